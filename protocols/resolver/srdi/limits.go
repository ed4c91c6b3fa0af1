package srdi

import (
	"time"

	"github.com/juxta-p2p/juxta/protocols/resolver"
)

const (
	// Threshold is how many rendezvous must know each other before entries are
	// copied, as in JXSE 2.5.
	Threshold = 3

	// maxEntries and maxText bound one index message that is sent: what fits in
	// [resolver.MaxIndex] octets. JXSE puts everything it has of one kind into
	// one message, so that it costs as many of ours as of theirs up to there.
	maxEntries = 25_000
	maxText    = resolver.MaxIndex - 64<<10

	// maxRead bounds the entries read from one index message: JXSE has no bound,
	// the octets of the message allow 40,000 of the shortest.
	maxRead = 40_000

	// entryText is what an entry takes in a message beside its name and value,
	// with the longest of numbers.
	entryText = 72
)

// Bounds on what other peers can make us do.
const (
	// pushRate and pushBurst bound the octets of index messages taken from one
	// peer, per second and at once. The burst is what a rendezvous with a thousand
	// clients has to tell one of few others when the view changes; sendRate and
	// sendBurst keep below it, so that nothing of ours is refused for it.
	pushRate, pushBurst = 512 << 10, 24 << 20
	sendRate, sendBurst = 384 << 10, 12 << 20

	// maxWaiting bounds the questions for which the answer is waited for, and
	// maxWaitingOf those of one asker; waitFor is how long: the time that an
	// edge's push takes to its rendezvous and from there to the copy.
	maxWaiting   = 1024
	maxWaitingOf = 64
	waitFor      = 5 * time.Second

	// maxComing bounds the answers of this kind that are not yet given.
	maxComing = 4096
)

// What is sent to other rendezvous.
const (
	// underWay is how many index messages are sent at the same time, each to
	// another rendezvous.
	underWay = 8

	// maxQueued bounds the entries that wait to be sent when edges push them:
	// more are not sent and counted. What is placed anew waits before it is
	// queued, as soon as there are roomy entries.
	maxQueued = 500_000
	roomy     = 20_000

	// maxIdle bounds the rendezvous of which is remembered how much was sent to
	// them lately.
	maxIdle = 1024

	// sendTimeout bounds sending one index message, attempts how often it is
	// tried, and tryAgain is the pause before that.
	sendTimeout = 5 * time.Second
	attempts    = 3
	tryAgain    = 2 * time.Second

	// settleFor is how long the view has to tell its changes before entries are
	// placed anew, and replaceEvery the least time from one time to the next:
	// while a group grows by hundreds of rendezvous, its views change every
	// moment.
	settleFor    = 500 * time.Millisecond
	replaceEvery = 5 * time.Second

	// refreshEvery is how often everything is placed anew though nothing changed,
	// since an index forgets within a day, and edges of JXSE say what they have
	// once.
	refreshEvery = 12 * time.Hour
)
