package endpoint

import "time"

const (
	// MaxAddress bounds the text of an address in octets: a peer ID, a group
	// prefix, a service name and a pipe ID fit several times.
	MaxAddress = 1024

	// maxHost bounds the host part: the longest DNS name with port, or an ID.
	maxHost = 262

	// maxService bounds the service name, which may be a whole URN.
	maxService = 256

	// defaultMaxLinks bounds open links, each of which costs a descriptor, a
	// goroutine and some buffers.
	defaultMaxLinks = 1024

	// maxLinksPerPeer bounds the links to one peer from one place: two when both
	// dial at once, one more for a relay lease, and one that may be dead.
	maxLinksPerPeer = 4

	// spareAfter is how long a link must be unused before it may be closed for
	// another when the limit of links is reached.
	spareAfter = 30 * time.Second

	// defaultIdle is how long an unused link stays open, as in JXSE 2.5.
	defaultIdle = 15 * time.Minute

	// idleParts bounds how often idle links are looked for, and how much longer
	// than allowed one may be idle: by this part of the idle time.
	idleParts = 15

	// dialTimeout bounds one attempt to open a link, as in JXSE 2.5.
	dialTimeout = 10 * time.Second

	// claimGrace is how long a link must have been silent before one from
	// another place that only claims the same peer ID may take its traffic.
	claimGrace = 30 * time.Second

	// maxLoopback bounds the messages a peer has sent to itself and not yet handled.
	maxLoopback = 1024

	// maxPooledBuffer keeps rare huge messages from staying in memory.
	maxPooledBuffer = 256 << 10

	// maxRefusals bounds the refusals remembered.
	maxRefusals = 256

	// maxRule bounds the words of a refusal.
	maxRule = 256

	// refuseTimeout bounds telling the other side of a refusal.
	refuseTimeout = time.Second

	// maxOffences bounds who is remembered to have run into limits.
	maxOffences = 256

	// maxIPs bounds the addresses advertised for one listener on every interface.
	maxIPs = 16
)
