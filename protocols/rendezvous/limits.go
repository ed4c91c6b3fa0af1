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

	// defaultMaxClients is how many leases a rendezvous grants, as in JXSE.
	defaultMaxClients = 200

	// maxClientsPerHost bounds leases held from one IP address, except from
	// this machine.
	maxClientsPerHost = 8

	// defaultLease is the time for which a lease is granted, as in JXSE.
	defaultLease = 20 * time.Minute

	// renewBefore is how long before its end a lease is renewed, at most half
	// of the lease.
	renewBefore = 5 * time.Minute

	// seedsPerRound is how many seeds an edge asks at a time, as in JXSE.
	seedsPerRound = 3

	// retryFirst and retryMost bound the pause between rounds of asking seeds;
	// it doubles, with jitter, from one to the other.
	retryFirst = 250 * time.Millisecond
	retryMost  = 4 * time.Second

	// grantWindow is how long after the request a grant is taken.
	grantWindow = 30 * time.Second

	// answerWait is how long an asked rendezvous may think before the next
	// round.
	answerWait = 3 * time.Second

	// goodbyeTimeout bounds saying goodbye when the service closes.
	goodbyeTimeout = time.Second

	// sendTimeout bounds handing one copy of a message to one peer.
	sendTimeout = 5 * time.Second

	// sourceRate and sourceBurst bound the propagated messages taken from one
	// neighbouring peer, per second and at once: well above what a JXSE peer
	// can send, well below what would occupy this one.
	sourceRate  = 5_000
	sourceBurst = 20_000

	// maxSources bounds the neighbours whose rate is remembered.
	maxSources = 1024
)
