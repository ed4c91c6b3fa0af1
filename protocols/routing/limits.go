package routing

import "time"

const (
	// maxHops bounds Fwd, Rvs, Hops and Bad: no useful path is longer.
	maxHops = 16

	// maxRoutes bounds the destinations remembered; the least recently used
	// goes first.
	maxRoutes = 10_000

	// maxPassedOver bounds the work of finding the least recently used among
	// destinations that somebody waits for and that therefore stay.
	maxPassedOver = 64

	// maxPrepared bounds the addresses for which sending is prepared; when it is
	// reached, all are forgotten.
	maxPrepared = 512

	// maxDialsPerRoute bounds the addresses tried for one destination.
	maxDialsPerRoute = 4

	// maxHeard bounds the addresses of a destination when others than it name
	// more; those known before stay.
	maxHeard = 8

	// maxPendingQueries bounds destinations being asked for.
	maxPendingQueries = 1024

	// maxForwards bounds messages being forwarded that wait for a dialled hop.
	maxForwards = 64

	// attemptTimeout bounds dialling one address.
	attemptTimeout = 3 * time.Second

	// attemptPause is how long an address that failed is left alone.
	attemptPause = 30 * time.Second

	// askAgain is the pause between queries for the same destination.
	askAgain = 5 * time.Second

	// searchTimeout bounds the search for one message's way, as in JXSE.
	searchTimeout = 60 * time.Second

	// announceAgain is how often a gateway is told the own route anew.
	announceAgain = 15 * time.Minute
)
