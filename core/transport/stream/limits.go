package stream

import "time"

const (
	// maxQueued bounds the octets of a lane that wait behind a write in flight;
	// senders wait. Large enough for good batches, small enough that they stay in the
	// processor's cache. On a slow link it is laneBatches of what
	// is written at once, so that little waits.
	maxQueued   = 1 << 18
	laneBatches = 4

	// laneCount is how many flows of messages wait side by side; more share.
	laneCount = 16

	// maxQuantum bounds what a lane may write when it is its turn and others wait,
	// but for a single larger message.
	maxQuantum = 16 << 10

	// What is written at once, while others wait, is startBatch at first, and then
	// from minBatch to maxQueued, so that writing it takes slowBatch at most: who
	// comes meanwhile waits no longer.
	startBatch = 8 << 10
	minBatch   = 4 << 10
	slowBatch  = 20 * time.Millisecond

	// A connection on which even minBatch takes longer than slowBatch, and octets longer
	// than paceFar there and back, is paced: what is
	// under way is firstPace at first, and then between leastPace, two packets, and
	// mostPace, so that octets take no more than paceLate longer than at best. Of that
	// the system holds no more than paceUnsent that it could not send, since what is
	// given to it cannot be overtaken. Pacing ends at enoughPace, and for paceRest when it
	// was of no use for paceVain: octets were later than paceHeld all the time. The writer looks every paceLook.
	firstPace  = 8 << 10
	leastPace  = 3 << 10
	mostPace   = 4 << 20
	enoughPace = 128 << 10
	paceUnsent = 4 << 10
	paceFar    = 20 * time.Millisecond
	paceLate   = 100 * time.Millisecond
	paceHeld   = 300 * time.Millisecond
	paceVain   = 10 * time.Second
	paceRest   = time.Minute
	paceLook   = 5 * time.Millisecond

	// maxAhead bounds the memory taken for a message before its octets came: one
	// with a body of 64 KiB fits.
	maxAhead = 72 << 10

	// Octets are read into slabs of minSlab to maxSlab, as the traffic asks for;
	// a link at rest holds one. Small enough that a message which somebody keeps
	// does not keep much with it, large enough for many small ones a system call.
	minSlab = 2 << 10
	maxSlab = 32 << 10

	// chunkSize is how much is read at once of a connection that is encrypted: two
	// messages with bodies of 64 KiB are nearly there.
	chunkSize = 128 << 10

	// maxShared is the size of a message up to which it shares a slab with others.
	// The body of a longer one is read to where it stays.
	maxShared = 8 << 10

	// maxSmall is the size of a message up to which one of a burst waits a moment for
	// others, to be written with them.
	maxSmall = 8 << 10

	// minAround is the size of a message from which a body of at least half of that is
	// encrypted where it is. A smaller one is copied to the rest, which saves a record.
	minAround = 32 << 10

	// maxPooled bounds the write buffers kept for reuse: a full queue fits.
	maxPooled = 2 * maxQueued

	// maxEmptyReads is how often in a row a read may give nothing.
	maxEmptyReads = 100

	// manyGap is how soon after the copies of one message those of the next one wait for
	// their turn, to be written with what follows: otherwise each would cost a system call
	// here and there, and a change of process. Those of a message that comes alone are
	// written at once.
	manyGap = 300 * time.Microsecond

	// spreadShare is for how many links of what goes to many one goroutine writes.
	spreadShare = 16

	// welcomeBuffer is for reading the welcome, or the first octets of TLS.
	welcomeBuffer = 4 << 10

	// burstGap is the time after a write within which a new message counts as
	// one of a burst: shorter than any round trip, longer than a loop around Send.
	burstGap = 5 * time.Microsecond

	// maxAnswers bounds the octets of TLS itself, such as answers to new keys,
	// that wait for a side which asks for them and takes nothing.
	maxAnswers = 64 << 10

	// minRate, in octets per second, bounds the time for a message as a whole.
	minRate = 16 << 10
)

// Times are the timeouts of links. The zero value of each means the default.
type Times struct {
	Welcome time.Duration // until both sides know each other, with TLS and all; 10 s
	Follow  time.Duration // for the first octet of who leads, when both sides dialled; 1 s
	Settle  time.Duration // the pause between the welcomes and the first message to an acceptor not known to be Juxta; 100 ms
	Read    time.Duration // without an octet inside a message, and for it as a whole, plus its size at minRate; 10 s
	Inline  time.Duration // Send in its caller's goroutine, which must be able to see its context end; 2 ms
	Write   time.Duration // without an octet taken by the other side; 10 s, as in JXSE 2.5
	Drain   time.Duration // closing a link waits for its queue; 200 ms
}

func (t Times) complete() Times {
	for _, x := range []struct {
		v *time.Duration
		d time.Duration
	}{
		{&t.Welcome, 10 * time.Second},
		{&t.Follow, time.Second},
		{&t.Settle, 100 * time.Millisecond},
		{&t.Read, 10 * time.Second},
		{&t.Inline, 2 * time.Millisecond},
		{&t.Write, 10 * time.Second},
		{&t.Drain, 200 * time.Millisecond},
	} {
		if *x.v == 0 {
			*x.v = x.d
		}
	}
	return t
}
