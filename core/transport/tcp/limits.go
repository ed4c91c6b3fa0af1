package tcp

import (
	"net"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
)

const (
	// defaultMaxMessage is the largest message accepted.
	defaultMaxMessage = message.MaxSize

	// defaultMaxPerHost bounds accepted connections per IP address, so that
	// one machine cannot take all links.
	defaultMaxPerHost = 32

	// maxHandshakes bounds connections that have not said who they are; a new one
	// takes the place of the oldest.
	maxHandshakes = 128

	// maxHandshakesPerHost bounds those from one IP address, so that one machine
	// cannot push out all others.
	maxHandshakesPerHost = 8

	// maxAddresses bounds the addresses advertised for one wildcard listener.
	maxAddresses = 16

	// maxQueued bounds the octets that wait behind a write in flight; senders
	// wait. Large enough for good batches, small enough that they stay in the
	// processor's cache and that what is urgent does not queue for long.
	maxQueued = 1 << 18

	// maxAhead bounds the memory taken for a message before its octets came.
	maxAhead = 64 << 10

	// maxCopied is the size of a message up to which copying it behind its header
	// is cheaper than telling the system of two pieces.
	maxCopied = 8 << 10

	// maxPooled bounds the write buffers kept for reuse: a full queue fits.
	maxPooled = 2 * maxQueued

	// readBuffer holds several small messages per system call.
	readBuffer = 16 << 10

	// burstGap is the time after a write within which a new message counts as
	// one of a burst: shorter than any round trip, longer than a loop around Send.
	burstGap = 5 * time.Microsecond

	// minRate, in octets per second, bounds the time for a message as a whole.
	minRate = 16 << 10

	// acceptRetry is the pause after a failed accept, for lack of descriptors.
	acceptRetry = 100 * time.Millisecond

	// userTimeout bounds how long sent octets may stay unacknowledged by the
	// other machine, where the system lets us say so.
	userTimeout = 30 * time.Second
)

// times are the timeouts of a transport. Tests shorten them.
type times struct {
	connect time.Duration // dialling and welcome together, as in JXSE 2.5
	welcome time.Duration // a stranger's welcome line
	settle  time.Duration // the pause between the welcomes and the first message to an acceptor not known to be Juxta
	read    time.Duration // without an octet inside a message, and for it as a whole, plus its size at minRate
	inline  time.Duration // Send in its caller's goroutine, which must be able to see its context end
	write   time.Duration // without an octet taken by the other side, as in JXSE 2.5
	drain   time.Duration // closing a link waits for its queue
}

var defaultTimes = times{
	connect: 10 * time.Second,
	welcome: 10 * time.Second,
	settle:  100 * time.Millisecond,
	read:    10 * time.Second,
	inline:  2 * time.Millisecond,
	write:   10 * time.Second,
	drain:   200 * time.Millisecond,
}

// keepAlive finds a vanished machine at the other end of an idle link within
// half a minute.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}
