package secure

import "time"

const (
	// defaultMaxConnections bounds connections, each of which costs three
	// goroutines and buffers.
	defaultMaxConnections = 256

	// maxPending bounds handshakes that others have begun: the first block proves
	// nothing, and anybody can send one in anybody's name.
	maxPending = 16

	// maxPendingPerPeer bounds those in the name of one peer: one that is left
	// over, and one that is meant.
	maxPendingPerPeer = 2

	// pendingGrace is for how long a handshake that others have begun keeps its
	// place when another one wants it.
	pendingGrace = 2 * time.Second

	// handshakeWait bounds a handshake. JXSE has no limit.
	handshakeWait = 30 * time.Second

	// giveUp is how long the oldest block may go without acknowledgement before
	// the connection fails: twice two minutes, as in JXSE.
	giveUp = 4 * time.Minute

	// defaultIdle is how long a connection that nobody uses stays, as in JXSE.
	// One with JXSE must stay a little longer than there, since JXSE does not
	// tell when it forgets one.
	defaultIdle = 5 * time.Minute
	javaExtra   = time.Minute

	// sweepEvery is how often idle connections are looked for.
	sweepEvery = 30 * time.Second

	// restartAfter is how long a connection with JXSE must have been idle before
	// a new first block may replace it, as in JXSE.
	restartAfter = time.Minute

	// closeWait bounds the end of a connection: what was sent is acknowledged, and
	// the other side has said that it will send no more. stopWait is the same
	// when the service closes.
	closeWait = 10 * time.Second
	stopWait  = 2 * time.Second

	// retireAfter is after how many blocks a connection makes room for a new one:
	// far from the end of the numbers, and of what one key should encrypt.
	retireAfter = 1 << 22

	// maxOutbox bounds messages that wait for the connection to encrypt them; a
	// single larger one is taken alone.
	maxOutbox = 256 << 10

	// maxUnsent bounds octets of the TLS stream that wait to become a block.
	maxUnsent = 128 << 10

	// maxBlock bounds a block that is accepted. blockSize is what is sent to
	// Juxta, and javaBlock to JXSE, where a block is one TLS record.
	maxBlock  = 64 << 10
	blockSize = 3*(16<<10) + 256
	javaBlock = 16<<10 + 512

	// maxBlocksPerMessage bounds the blocks in one message; senders put one.
	maxBlocksPerMessage = 16

	// maxNumber is the highest number of a block, which JXSE reads as int.
	maxNumber = 1<<31 - 1

	// maxSelective bounds the list of blocks that came out of order.
	maxSelective = 128

	// window is what a connection with Juxta takes before its reader has read it:
	// 50 MB/s over a round trip of 80 ms. handshakeWindow is the same as long as
	// nobody has proven anything, and javaWindow with JXSE, whose senders do not
	// look at it.
	window          = 4 << 20
	handshakeWindow = 64 << 10
	javaWindow      = 256 << 10

	// guaranteed is the part of the window that each connection has for itself;
	// what is beyond it comes out of maxShared, which all share.
	guaranteed = 256 << 10
	maxShared  = 64 << 20

	// maxAhead is how far before the next block one is kept, and javaAhead with
	// JXSE, which sends 20 without acknowledgement, and then one every 200 ms.
	maxAhead  = 1024
	javaAhead = 127

	// maxInFlight bounds blocks sent and not acknowledged; javaInFlight is what
	// JXSE allows itself. nagleAfter is how many small ones there may be before
	// the next waits to become a large one.
	maxInFlight  = 512
	javaInFlight = 20
	nagleAfter   = 64

	// The congestion window, in octets: what relays and links on the way are
	// trusted to hold.
	firstCongestion = 256 << 10
	leastCongestion = 2 * blockSize
	mostCongestion  = 16 << 20

	// A block is lost when one sent lossGap later has come, or when it is later
	// than one by lossTimes/8 of the round trip; RFC 9002, section 6.1.
	lossGap   = 3
	lossTimes = 9

	// The round trip time is taken for firstRTT until it is known, as in JXSE. A
	// probe is sent after the round trip time with its usual variation, but not
	// before leastProbe; javaProbe is the least that JXSE waits.
	firstRTT   = time.Second
	leastProbe = 200 * time.Millisecond
	javaProbe  = time.Second
	mostProbe  = 5 * time.Second

	// probes is how many blocks are sent again when nothing is heard, and
	// javaProbes the same with JXSE, which needs more since its lists are short.
	probes     = 2
	javaProbes = 5

	// sendWait bounds handing one message to the router. After a failure the next
	// attempt is made after firstRetry, then after twice as long each time, and
	// every mostRetry in the end.
	sendWait   = 15 * time.Second
	firstRetry = 100 * time.Millisecond
	mostRetry  = 5 * time.Second

	// remindEvery is how often a missing block is pointed out to JXSE, as it does
	// itself.
	remindEvery = time.Second

	// goneEvery is how often a peer is told that it uses a connection that is not
	// known here, and maxGone how many may be told within that time.
	goneEvery = time.Second
	maxGone   = 32

	// addressRoom is what the address of most services takes.
	addressRoom = 256

	// maxOverhead is how much a message may hold beside a block for the block to be
	// kept where it is, and not copied.
	maxOverhead = 4 << 10

	// javaKey is the size of RSA keys made for JXSE, and javaLeastKey of those
	// accepted from it, which are of 1024 bits.
	javaKey      = 2048
	javaLeastKey = 1024

	// javaLife is for how long certificates for JXSE are made, as it does itself;
	// they begin javaEarly ago, since clocks differ.
	javaLife  = 10 * 365 * 24 * time.Hour
	javaEarly = 24 * time.Hour

	// maxPins bounds the peers whose root certificate is remembered.
	maxPins = 10_000
)
