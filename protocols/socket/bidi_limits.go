package socket

import "time"

const (
	// bidiDialWait bounds dialling a bidirectional pipe, as in JXSE.
	bidiDialWait = 15 * time.Second

	// bidiAcceptWait bounds answering a request: the way to the dialler may
	// have to be looked for.
	bidiAcceptWait = 15 * time.Second

	// bidiLinger bounds how long Close waits until what was sent has arrived, as
	// in JXSE.
	bidiLinger = 15 * time.Second

	// bidiServiceLinger bounds the same when the whole service closes.
	bidiServiceLinger = time.Second

	// bidiWindow is how many blocks are under way to a Java peer, as in JXSE.
	bidiWindow = 50

	// bidiBacklog is how many pipes wait to be accepted unless configured
	// otherwise, as in JXSE.
	bidiBacklog = 50

	// maxBidiOpening and maxBidiPeerOpening bound the requests that a listener
	// answers at a time, in all and of one peer: each costs a goroutine, an input
	// pipe and maybe a search for a route.
	maxBidiOpening     = 64
	maxBidiPeerOpening = 8

	// maxBidiDocument bounds each document of a handshake in octets: a stranger
	// has it parsed.
	maxBidiDocument = 64 << 10

	// maxBidiBuffer bounds the memory kept to encode messages in.
	maxBidiBuffer = 256 << 10
)
