package control

import "time"

const (
	// maxRequests is how many requests run commands or read events side by side. A
	// program that hangs up ends its request, so this is for one that forgets to.
	maxRequests = 64

	// maxConnections is how many connections are open at once; further ones are
	// refused with a word.
	maxConnections = 128

	// maxRefusals is how many connections are told at once why they are refused;
	// refuseWithin is how long one may take to ask, and maxRefused how much of its
	// question is read, in octets.
	maxRefusals  = 8
	refuseWithin = time.Second
	maxRefused   = 4 << 10

	// maxSessions is how many named sessions there are at once. Each keeps its
	// variables until it is ended.
	maxSessions = 64

	// maxSessionName bounds the name of a session, in octets.
	maxSessionName = 64

	// maxHead bounds the head of a request, in octets.
	maxHead = 16 << 10

	// maxBody bounds the body of a request, in octets: the longest script that the
	// language takes, with room for what JSON puts around and into it.
	maxBody = 2 << 20

	// headWithin and bodyWithin are how long head and body may take to arrive; idleFor
	// is how long a connection stays open without a request.
	headWithin = 10 * time.Second
	bodyWithin = 30 * time.Second
	idleFor    = time.Minute

	// maxBacklog is how many events wait for a reader that lags. Then the oldest are
	// dropped, and the stream tells how many.
	maxBacklog = 256

	// closeWithin is how long the requests under way may take to say their last word
	// when the peer ends.
	closeWithin = time.Second

	// askWithin is how long a peer may take to say who it is when peers are listed.
	askWithin = 2 * time.Second

	// maxSocketPath is what every system takes as the path of a Unix socket, in
	// octets; the structure for it has 104 on some.
	maxSocketPath = 103

	// maxSocketName bounds the part of the path that comes from a peer's name, in
	// octets.
	maxSocketName = 40

	// maxStreamLine bounds a line of an answer that [Client] reads, in octets.
	maxStreamLine = 16 << 20
)
