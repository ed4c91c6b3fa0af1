package rendezvous

import "time"

const (
	// MaxTTL is the most hops a propagated message may take, as in JXSE.
	MaxTTL = 200

	// NearTTL is for messages to the neighbourhood, as in JXSE.
	NearTTL = 2

	// strangerTTL caps messages from peers without lease or neighbourhood.
	strangerTTL = 3

	// maxPath bounds the peers a propagated message may have visited.
	maxPath = 200

	// seenEdge and seenRendezvous are how many message IDs are remembered to
	// suppress duplicates; JXSE remembers 1000.
	seenEdge       = 1000
	seenRendezvous = 10_000

	// DefaultMaxClients is how many leases a rendezvous grants; JXSE grants 200.
	DefaultMaxClients = 1000

	// maxClientsPerHost bounds leases held from one IP address, except from
	// this machine.
	maxClientsPerHost = 8

	// defaultLease is the time for which a lease is granted, as in JXSE.
	defaultLease = 20 * time.Minute

	// renewBefore is how long before its end a lease is renewed, at most half
	// of the lease.
	renewBefore = 5 * time.Minute

	// seedsPerRound is how many rendezvous an edge asks before it pauses, as in
	// JXSE, and stagger the time it gives each of them before it asks the next.
	seedsPerRound = 3
	stagger       = 500 * time.Millisecond

	// retryFirst and retryMost bound the pause between rounds of asking seeds;
	// it doubles, with jitter, from one to the other.
	retryFirst = 250 * time.Millisecond
	retryMost  = 6 * time.Second

	// grantWindow is how long after the request a grant is taken.
	grantWindow = 30 * time.Second

	// referrals is how many other rendezvous an answer to a request names, and
	// maxOthers how many of those an edge remembers.
	referrals = 3
	maxOthers = 8

	// maxAdded bounds the seeds added while the service runs.
	maxAdded = 16

	// fewOthers is below how many an edge has its rendezvous name more, and
	// topUpEvery how often at most.
	fewOthers  = 3
	topUpEvery = time.Minute

	// spareEvery is the least time between attempts to open a link to a spare
	// rendezvous.
	spareEvery = 5 * time.Second

	// crowded is the load of a rendezvous from which on its edges look for
	// another one within moveAfter, give or take half of it, and worthMoving by
	// how much less that must be loaded.
	crowded     = 0.8
	worthMoving = 0.2
	moveAfter   = time.Minute

	// comeBack is how long a client without link has to return before it is
	// found out whether it is still there. A flood of them is checked one after
	// the other, checkAtOnce by one goroutine.
	comeBack    = 30 * time.Second
	checkAtOnce = 32

	// viewEnough, fewClients and stepBackPercent say when a rendezvous is not
	// needed, as in JXSE: among more than so many others, without clients, or
	// with fewer than some and then by chance.
	viewEnough      = 5
	fewClients      = 3
	stepBackPercent = 5

	// idleLooks is how often in a row the rendezvous with the least ID finds itself
	// without clients before it steps back for the others: by then those without
	// clients have.
	idleLooks = 3

	// stepTimeout bounds giving a walking message to one member of the view, and
	// maxSteps how many that cannot be reached are stepped over.
	stepTimeout = 3 * time.Second
	maxSteps    = 4

	// maxTasks bounds the goroutines that ask, connect and give back.
	maxTasks = 64

	// tellAgain is how often a peer without lease that spreads messages through
	// this rendezvous is told that it has none, and maxTold bounds the peers
	// remembered for it.
	tellAgain = 10 * time.Second
	maxTold   = 1024

	// goodbyeTimeout bounds saying goodbye when the service closes.
	goodbyeTimeout = time.Second

	// sendTimeout bounds handing one copy of a message to one peer.
	sendTimeout = 5 * time.Second

	// sideBySide is to how many peers without link a message is given at once.
	sideBySide = 8

	// sourceRate and sourceBurst bound the propagated messages taken from one
	// neighbouring peer, per second and at once: well above what a JXSE peer
	// can send, well below what would occupy this one.
	sourceRate  = 5_000
	sourceBurst = 20_000

	// relatedTimes is how many times as many are taken from a client, from the
	// rendezvous that grants the lease, from one in the view and from who is near.
	relatedTimes = 20

	// maxPaths bounds the peers of which the way is remembered.
	maxPaths = 1024

	// maxSources bounds the neighbours whose rate is remembered.
	maxSources = 1024
)
