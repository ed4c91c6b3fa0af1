package http

import (
	"time"

	"github.com/juxta-p2p/juxta/core/message"
)

const (
	// maxHead bounds the head of a request, maxURL its address, headTimeout the
	// time for it.
	maxHead     = 8 << 10
	maxURL      = 2 << 10
	headTimeout = 10 * time.Second

	// maxBody bounds one message.
	defaultMaxMessage = message.MaxSize

	// maxPerHost bounds what one IP address may have, of polls, of tunnels, and
	// twice of connections; except this machine. maxAll bounds those of all.
	maxPerHost = 32
	maxAll     = 1024

	// maxPollWait is the longest that a poll waits, and what JXSE asks for.
	maxPollWait = 120 * time.Second

	// pollAgain is the pause between two polls of an original peer's server, from
	// the start of the last answer, as in JXSE; after an answer with messages there
	// is none.
	pollAgain = 5 * time.Second

	// pollGone is how long a client that polls may be without a poll.
	pollGone = 10 * time.Second

	// refuseFor is how long a client that was sent away is told so.
	refuseFor = 30 * time.Second

	// maxQueued and maxQueuedBytes bound what waits for a poll, or to be posted.
	maxQueued      = 64
	maxQueuedBytes = 1 << 20

	// requestTimeout bounds a ping, and a request that posts, as in JXSE.
	requestTimeout = 15 * time.Second

	// attempts is how often a request is made before its link is given up.
	attempts = 2

	// tunnelWindow bounds the octets of a tunnel that wait at either side.
	tunnelWindow = 1 << 20

	// tunnelChunk is the most octets of a tunnel in one request or answer.
	tunnelChunk = 256 << 10

	// tunnelWait is how long a request for octets waits: shorter than what
	// firewalls and proxies give an idle connection.
	tunnelWait = 20 * time.Second

	// tunnelGone is how long the other side of a tunnel may be silent, and how long
	// a failing request is repeated.
	tunnelGone = 60 * time.Second

	// refusals is how many requests in a row the server's machine must refuse for the
	// server to be gone.
	refusals = 3

	// retryFirst and retryMost are the pauses between repetitions.
	retryFirst = 50 * time.Millisecond
	retryMost  = 2 * time.Second

	// lingerFor is how long closing a tunnel takes to send what is left.
	lingerFor  = 2 * time.Second
	lingerStep = 5 * time.Millisecond

	// idleConnections is how long a connection without a request stays open.
	idleConnections = 60 * time.Second

	// maxPing bounds the answer to a ping: the unique value of an ID.
	maxPing = 512
)
