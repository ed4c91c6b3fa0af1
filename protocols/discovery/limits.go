package discovery

import "time"

const (
	// maxResults bounds the advertisements of one answer, as in JXSE, and
	// those of one received.
	maxResults = 50

	// maxAnswer bounds the text of one answer in octets, as it stands escaped
	// in the message: readers refuse documents of more than 256 KiB.
	maxAnswer = 200 << 10

	// maxForward bounds the holders to whom a rendezvous forwards a query that
	// does not come from the asker itself: the answers all go to somebody who
	// may not have asked. For others it is the threshold, as in JXSE.
	maxForward = 10

	// maxHolders bounds the holders from which those are drawn.
	maxHolders = 1024

	// maxRemember bounds the versions of advertisements that one Find remembers
	// in order not to yield them again; what comes after them is left out.
	maxRemember = 10_000

	// maxLife clips the life of what comes from others: they say it again
	// within a day if it still holds.
	maxLife = 24 * time.Hour

	// maxNews bounds the neighbours and leases that one Find has not asked yet; if
	// there are more it asks everybody.
	maxNews = 16

	// maxIndexed bounds the values announced to a rendezvous in octets; longer
	// ones, which are descriptions, are found by asking the peer itself.
	maxIndexed = 1 << 10

	// maxDelayed bounds the answers to broadcast queries that wait for their
	// moment; more are dropped and counted.
	maxDelayed = 64
)

// The budgets bound in octets per second, and at once, what others can make
// this peer send: answers to a peer that asked itself or through a rendezvous
// of ours, and answers to somebody for whom another peer asked, who may be the
// victim of it.
const (
	askerRate, askerBurst     = 4 << 20, 32 << 20
	victimRate, victimBurst   = 32 << 10, 512 << 10
	queryCost                 = 512       // octets that answering nothing counts
	patternCost               = 16 << 10  // and searching by pattern, which looks at every value
	forwardCost               = 2 << 10   // and each holder that is made to answer
	publishRate, publishBurst = 100, 1000 // advertisements taken unasked from one peer
)

const (
	// pushAfter is how long after a push the next one waits, so that a series
	// of changes travels together; while it goes on, that doubles with every push
	// up to pushMost. The first change after quiet goes at once. So a burst costs
	// a message for each doubling of its length, ten in the first two seconds, and
	// then one every two seconds; JXSE sends one every 30 s.
	pushAfter = 2 * time.Millisecond
	pushMost  = 2 * time.Second
	quiet     = time.Second

	// lazyPush is how long what was merely cached from others waits to be
	// announced, the period of JXSE.
	lazyPush = 30 * time.Second

	// fullPush is how often everything is announced again while a lease lasts,
	// since a rendezvous forgets within a day.
	fullPush = 8 * time.Hour

	// retryPush is the pause after a failed push.
	retryPush = time.Second

	// pushTimeout bounds sending one index message.
	pushTimeout = 5 * time.Second

	// answerTimeout bounds sending one answer, which may have to dial.
	answerTimeout = 10 * time.Second

	// maxDelay is the longest that an answer to a broadcast waits, by chance, so
	// that the neighbourhood does not answer at the same moment.
	maxDelay = 50 * time.Millisecond

	// connectGrace is how long Find waits for a way to the group before it says
	// that there is nobody to ask.
	connectGrace = 3 * time.Second

	// askAgain is how long Find waits for a first answer to a question for an
	// exact value before it asks once more, and more widely.
	askAgain = 2 * time.Second
)

const (
	// defaultLocal and defaultRemote are the lifetimes of JXSE.
	defaultLocal  = 365 * 24 * time.Hour
	defaultRemote = 2 * time.Hour

	// findOneLimit is what FindOne asks of each peer, and to how many holders a
	// rendezvous gives the question: one, and another one in case that the first
	// has gone a moment ago or its answer does not fit.
	findOneLimit = 2
)
