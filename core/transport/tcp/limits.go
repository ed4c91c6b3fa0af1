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

	// maxHandshakes bounds connections that have not said who they are.
	maxHandshakes = 128

	// maxAddresses bounds the addresses advertised for one wildcard listener.
	maxAddresses = 16

	// maxQueued bounds the octets that wait behind a write in flight; senders
	// wait. A multiple of the socket buffer, so that batches are large.
	maxQueued = 1 << 20

	// maxAhead bounds the memory taken for a message before its octets came.
	maxAhead = 64 << 10

	// readBuffer holds several small messages per system call.
	readBuffer = 16 << 10

	// connectTimeout bounds dialling and welcome together, as in JXSE 2.5.
	connectTimeout = 10 * time.Second

	// welcomeTimeout bounds how long a stranger may take for its welcome line.
	welcomeTimeout = 10 * time.Second

	// settle is the pause between the welcomes and the first message to an
	// acceptor that is not known to be Juxta.
	settle = 100 * time.Millisecond

	// readTimeout and minRate bound the time for a message once it has begun:
	// 10 s, plus its size at 16 KiB/s.
	readTimeout = 10 * time.Second
	minRate     = 16 << 10

	// writeTimeout closes a link whose other side takes nothing for so long.
	writeTimeout = 10 * time.Second

	// drainTimeout bounds how long closing a link waits for its queue.
	drainTimeout = 200 * time.Millisecond

	// acceptRetry is the pause after a failed accept, for lack of descriptors.
	acceptRetry = 100 * time.Millisecond

	// userTimeout bounds how long sent octets may stay unacknowledged by the
	// other machine, where the system lets us say so.
	userTimeout = 30 * time.Second
)

// keepAlive finds a vanished machine at the other end of an idle link within
// half a minute.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}
