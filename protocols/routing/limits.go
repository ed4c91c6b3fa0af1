package routing

import "time"

const (
	// maxHops bounds Fwd, Rvs, Hops and Bad: no useful path is longer.
	maxHops = 16

	// maxRoutes bounds the destinations remembered; the least recently used
	// goes first.
	maxRoutes = 10_000

	// maxWays bounds the ways through others remembered for one destination:
	// one in use, and some to fall back on.
	maxWays = 4

	// routeLife is how long a route is used and told to others after it was
	// learned or used, as in JXSE.
	routeLife = 20 * time.Minute

	// wayInUse is for how long after the last message a way counts as in use,
	// so that no stranger's word displaces it.
	wayInUse = time.Minute

	// badHopLife is how long a peer that did not lead to another is not asked to,
	// as in JXSE.
	badHopLife = 2 * time.Minute

	// maxPassedOver bounds the work of finding the least recently used among
	// destinations that somebody waits for and that therefore stay.
	maxPassedOver = 64

	// maxPrepared bounds the addresses for which sending is prepared; when it is
	// reached, all are forgotten.
	maxPrepared = 512

	// maxDials bounds the places tried for one destination of this peer's own
	// messages, where tls and tcp at the same port are one place.
	maxDials = 12

	// maxDialsForOthers bounds them where a stranger's message causes the dialling.
	maxDialsForOthers = 4

	// maxAddresses bounds the addresses remembered of one destination.
	maxAddresses = 32

	// maxHeard bounds the addresses of a destination when others than it name
	// more; those known before stay.
	maxHeard = 16

	// strangerDials bounds the dials in strangerWindow that others cause by what
	// they tell, lest this peer scan ports for them.
	strangerDials  = 20
	strangerWindow = time.Minute

	// strangerAgain is how long one address is not dialled again for others.
	strangerAgain = 5 * time.Minute

	// maxPendingQueries bounds destinations being asked for.
	maxPendingQueries = 1024

	// maxForwards bounds messages being forwarded that wait for a dialled hop.
	maxForwards = 128

	// maxForwardsPerLink bounds those of them that came over one link, so that
	// nobody takes all places.
	maxForwardsPerLink = 64

	// defaultForwardRate bounds what is passed on per source link, in octets a
	// second, and defaultForwardAll what is passed on in all.
	defaultForwardRate = 1 << 20
	defaultForwardAll  = 16 << 20

	// forwardBurst is for how many seconds at that rate a burst may go on.
	forwardBurst = 4

	// loopMemory is how long a forwarded message is remembered to tell whether it
	// runs in circles, and maxLoopMemory how many are; beyond, half of them are
	// forgotten early. maxPasses is how often the same one is passed on.
	loopMemory    = 10 * time.Second
	maxLoopMemory = 8192

	// loopSample is how much of the beginning and of the end of a large element is looked at
	// for that, in octets, beside its size.
	loopSample = 1 << 10
	maxPasses  = 2

	// maxNacks bounds the NACKs being sent, and nackAgain how often the same peer
	// is told about the same destination, or believed about it.
	maxNacks  = 16
	nackAgain = 10 * time.Second

	// maxNackMemory bounds the pairs of which is remembered that one was told
	// about the other; linkNacks how many NACKs in nackAgain one link can cause.
	maxNackMemory = 1024
	linkNacks     = 100

	// maxNackBody bounds the document of a NACK, which names two peers and at
	// most maxHops others.
	maxNackBody = 16 << 10

	// askerRate bounds the route queries answered per asker in a second, and
	// neighbourRate those that one neighbour brings.
	askerRate     = 10
	neighbourRate = 200

	// newRoutes bounds the destinations a minute that one neighbour can make known
	// by its messages when more than half of maxRoutes are.
	newRoutes = 64

	// maxClimbs bounds the attempts at a time to replace ways through others by
	// links, climbTimeout each of them.
	maxClimbs    = 8
	climbTimeout = 30 * time.Second

	// climbPause is the pause after an attempt that failed; it doubles up to
	// climbPauseMost.
	climbPause     = 30 * time.Second
	climbPauseMost = 30 * time.Minute

	// maxFailures bounds the failed sends remembered of one peer, and
	// maxFailing the peers.
	maxFailures = 4
	maxFailing  = 256

	// attemptTimeout bounds dialling one address.
	attemptTimeout = 3 * time.Second

	// stagger is the head start of each address before the next is dialled beside
	// it.
	stagger = 250 * time.Millisecond

	// forwardTimeout bounds the search for the way of a message to be passed on.
	forwardTimeout = 10 * time.Second

	// backTimeout is how long an answer waits for a link to the asker before it
	// goes back the way the question came.
	backTimeout = 500 * time.Millisecond

	// attemptPause is how long an address that failed is left alone.
	attemptPause = 30 * time.Second

	// askAgain is the pause between queries for the same destination.
	askAgain = 5 * time.Second

	// searchTimeout bounds the search for one message's way, as in JXSE.
	searchTimeout = 60 * time.Second

	// lostFor is how long a destination that nobody knew counts as lost: a search
	// for it then lasts for one question only.
	lostFor = time.Minute

	// probeTimeout bounds asking a peer in between whether it leads to another.
	probeTimeout = 3 * time.Second

	// announceAgain is how often a gateway is told the own route anew.
	announceAgain = 15 * time.Minute

	// dialAlone is how long dialling the addresses of a peer may take before others
	// are asked for a way as well: longer than a link takes across the world.
	dialAlone = 400 * time.Millisecond
)
