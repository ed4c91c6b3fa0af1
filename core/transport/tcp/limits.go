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

	// acceptRetry is the pause after a failed accept, for lack of descriptors.
	acceptRetry = 100 * time.Millisecond

	// punchPause is the time between attempts to get through address translators,
	// which forget what came to nothing only after much longer.
	punchPause = 250 * time.Millisecond

	// punchFirst and punchLongest bound one such attempt; each takes twice as long
	// as the one before. The longest gives the system time to ask again.
	punchFirst   = 500 * time.Millisecond
	punchLongest = 3 * time.Second

	// maxUnsent bounds the octets that the system has taken and cannot send yet: half
	// a second at 256 kbit/s. What it has sent and waits to be acknowledged does not
	// count, so that fast ways are not slowed down.
	maxUnsent = 16 << 10

	// userTimeout bounds how long sent octets may stay unacknowledged by the
	// other machine, where the system lets us say so.
	userTimeout = 12 * time.Second
)

// times are the timeouts of a transport beside those of its links. Tests shorten
// them.
type times struct {
	connect time.Duration // dialling and welcome together, as in JXSE 2.5
}

var defaultTimes = times{connect: 10 * time.Second}

// keepAlive finds a vanished machine at the other end of an idle link within
// half a minute.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}
