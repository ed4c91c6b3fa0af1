package relay

import "time"

const (
	// DefaultMaxClients is how many leases a relay grants; JXSE grants 150.
	DefaultMaxClients = 1000

	// DefaultMaxLease is the longest lease granted, as in JXSE.
	DefaultMaxLease = time.Hour

	// DefaultMaxPerHost bounds the leases held from one IP address, except from
	// this machine: nobody is to take all of them.
	DefaultMaxPerHost = 8

	// DefaultQueue and MaxQueue bound the messages kept for one client: as JXSE
	// 2.5 and 2.7 have it.
	DefaultQueue = 20
	MaxQueue     = 200

	// DefaultQueueBytes bounds the octets of the messages kept for one client.
	DefaultQueueBytes = 1 << 20

	// DefaultTotalBytes bounds the octets of the messages kept for all clients.
	DefaultTotalBytes = 64 << 20

	// keptOverhead is what a kept message costs beside its octets.
	keptOverhead = 128

	// minLease is the shortest lease granted: each costs a request.
	minLease = 10 * time.Second

	// maxRequest bounds the text of a request, maxDigits the lease in it.
	maxRequest = 256
	maxDigits  = 15

	// maxAdvertisement bounds the advertisement of a relay in an answer.
	maxAdvertisement = 16 << 10

	// maxReason bounds the word of a refusal.
	maxReason = 64

	// claimGrace is how long a peer that proves nothing must have been silent
	// before somebody from another place may go by its ID.
	claimGrace = 30 * time.Second

	// sweepEvery is how often leases that ran out are looked for, as in JXSE.
	sweepEvery = 15 * time.Second

	// sendTimeout bounds handing one message to a link, and maxTries how often
	// one that a link does not take is tried, as in JXSE.
	sendTimeout = 10 * time.Second
	maxTries    = 3

	// idleHint is after which time without anything sent a client that is not
	// Juxta is told how long its lease still lasts: both sides close links that
	// are unused for 15 minutes, and JXSE renews only every 20.
	idleHint = 10 * time.Minute

	// settle is how long a link that JXSE opened is left alone before the answer:
	// JXSE 2.5 does not look at octets that came together with the welcome until
	// more come.
	settle = 150 * time.Millisecond

	// maxRefusing bounds the goroutines that tell peers that they get no lease.
	maxRefusing = 64

	// defaultRelays is at how many relays a client holds leases: one is in use,
	// the other ready when that fails. maxRelays bounds it, since each hop makes
	// the own route longer.
	defaultRelays = 2
	maxRelays     = 4

	// firstAnswer is how long the answer to a request in an address may take
	// before it is repeated as a message, nextAnswer how long that may take; as
	// in JXSE.
	firstAnswer = 5 * time.Second
	nextAnswer  = 15 * time.Second

	// wakeAnswer is how long a relay may take to answer after this machine slept.
	wakeAnswer = 3 * time.Second

	// firstRenewal is when a lease at a JXSE relay is renewed for the first time,
	// as JXSE does: it then names other relays.
	firstRenewal = 15 * time.Second

	// renewAtMost is the longest time between renewals: links unused for 15
	// minutes are closed.
	renewAtMost = 10 * time.Minute

	// giveUpAfter is how long after a renewal was due a lease is given up.
	giveUpAfter = 4 * time.Minute

	// leaseMargin is the share of a lease that is not relied on.
	leaseMargin = 10 // one part in ten

	// maxGranted bounds the lease that a relay is believed to have granted.
	maxGranted = 24 * time.Hour

	// dialTimeout bounds opening one link to a relay.
	dialTimeout = 6 * time.Second

	// reconnects is how often a lost link is tried to be opened anew, with
	// reconnectPause, doubled each time, in between.
	reconnects     = 3
	reconnectPause = 500 * time.Millisecond

	// retryFirst and retryMost bound the pause between rounds of asking relays;
	// it doubles, with jitter. spareMost is the most while another lease is held.
	retryFirst = time.Second
	retryMost  = 30 * time.Second
	spareMost  = 5 * time.Minute

	// shortLived is how long a lease must have lasted for the next one to be looked
	// for without a pause.
	shortLived = 5 * time.Second

	// maxSeeds bounds the relays asked in one round, maxReferred the relays
	// remembered that others told of, as in JXSE.
	maxSeeds    = 16
	maxReferred = 20

	// maxHopAddresses bounds the addresses of a relay in the own route, which
	// travels with messages.
	maxHopAddresses = 8

	// goodbyeTimeout bounds giving a lease back.
	goodbyeTimeout = time.Second

	// maxAnswers bounds the answers that wait to be looked at.
	maxAnswers = 4
)
