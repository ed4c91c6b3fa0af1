package reliable

import (
	"math"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
)

// MaxBlock bounds a block in octets: what fits into a message with everything
// around it. Received blocks are bounded by the transport.
const MaxBlock = message.MaxSize - 64<<10

// What a stranger may use of us.
const (
	// maxAhead is how far a block may be ahead of the reader in mode Java. JXSE has 51
	// unacknowledged at most, and 100 in its code's intention; it accepts any number
	// itself.
	maxAhead = 256

	// maxHeld is how many blocks are held for the reader in mode Java: behind a hole,
	// JXSE stops when 100 less half its window are listed as held, with its window under
	// way, which is 51 at most.
	maxHeld = 128

	// heldJava is how many octets are held in mode Java. JXSE's sockets have 21 blocks of
	// up to 256 KiB under way, not counting those that were listed, and repeat a
	// block only after 50 s, so that refusing one would stall the stream.
	// Only a part of what is held is listed, 1/listedShare, so that a sender stops in time.
	heldJava    = 8 << 20
	listedShare = 4

	// blockCost is what holding a block costs besides its octets. It makes windows bound
	// blocks of no or few octets as well.
	blockCost = 64

	// firstWindow is what a Juxta sender may have under way before it is told.
	firstWindow = 64 << 10

	// startWindow and maxWindow bound the window that grows by itself.
	startWindow = 256 << 10
	maxWindow   = 4 << 20

	// throughWindow is what it grows to where others pass everything on and round trips
	// are shorter than quickTrip: what lies on their way in more memory than the processor's
	// cache has is copied more slowly, and adds nothing.
	throughWindow = 1 << 20
	quickTrip     = 20 * time.Millisecond

	// maxListed bounds the numbers that are read of one acknowledgement, and
	// maxRanges the ranges that are written into one.
	maxListed = 256
	maxRanges = 128

	// maxDigits is how long the name of a block is at most: 2^62 in decimal.
	maxDigits = 19
)

// What we use ourselves.
const (
	defaultWindow    = 20 // JXSE's sockets
	defaultSendBytes = 4 << 20
	defaultGiveUp    = 60 * time.Second

	javaFirstWindow = 2   // JXSE starts with this, which lets three blocks go
	javaQueue       = 100 // JXSE's assumed queue of the receiver
	maxUnderWay     = 100 // span of unacknowledged numbers in mode Java

	lastJava  = math.MaxInt32
	lastJuxta = 1 << 62

	// A message carries this many blocks or octets of blocks at most in mode Juxta.
	// Larger blocks go alone. JXSE forgets the rest of a message behind a
	// duplicate, so mode Java sends one block a message.
	batchBlocks = 64
	batchOctets = 64 << 10

	// Blocks of up to slabBlock octets share memory of slabSize.
	slabBlock = 4 << 10
	slabSize  = 32 << 10

	// minRing is the first size of the tables of blocks. A table that has grown
	// beyond keepRing is given back when it is empty.
	minRing  = 16
	keepRing = 1024
)

// Times.
const (
	// How long to wait for an acknowledgement in mode Java, where the
	// reader's own time is part of the round trip. With firstPatience, one lost block is
	// recovered within a second.
	javaFirstPatience = 500 * time.Millisecond
	javaLeastPatience = 200 * time.Millisecond

	// javaQueueLeast is how many messages fit the queue of a connection of JXSE; the
	// window of its sockets is no larger, that of its duplex pipes is.
	javaQueueLeast = 20

	// javaThrottle is the least length of the list in an acknowledgement in mode Java; it is
	// filled up with what was taken. JXSE reckons its room from the length and then has 20
	// blocks under way at most: with more the queue of its connection gets full,
	// and its sender, which waits for that, misses now and then what should wake it, until
	// it repeats something 50 s later.
	javaThrottle = 90

	// javaSettle is the least time before a block is held to be lost in mode Java, however
	// many later ones have arrived. JXSE hands each message to another thread, and a
	// bidirectional pipe of it that gets a block again while it is being consumed delivers
	// that one twice and the next one never.
	javaSettle = 200 * time.Millisecond

	// juxtaPatience is how long a Juxta sender bears silence on a short way.
	juxtaPatience = time.Second

	// mostPatience bounds the waiting between repeats, so that an outage is over soon
	// after it is over.
	mostPatience = 4 * time.Second
	mostBackoff  = 5 // doublings

	// slowSend is how long Send takes to count as held up: blocks are not late then.
	slowSend = 50 * time.Millisecond

	// After an error of Send, the next try is after firstHold, doubling to mostHold.
	firstHold = 20 * time.Millisecond
	mostHold  = time.Second

	// ackDelay is how long a Juxta receiver collects what it acknowledges, and ackGap the
	// least time between acknowledgements that duplicates, holes and requests cause.
	ackDelay = 25 * time.Millisecond
	ackGap   = 2 * time.Millisecond

	// reAck is the least time between acknowledgements in mode Java that the reader did
	// not cause. JXSE takes 1 to 2 s.
	reAck = time.Second

	// The window grows if the reader takes all of it within two round trips, which count
	// as leastTrip at least, since nothing is gained on shorter ways, and mostTrip at
	// most, since the measure includes pauses of the sender.
	leastTrip = 2 * time.Millisecond
	mostTrip  = time.Second

	never time.Duration = math.MaxInt64
)
