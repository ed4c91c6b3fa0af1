package http

import (
	"time"

	"github.com/juxta-p2p/juxta/core/message"
)

const (
	// maxHead bounds the head of a request; net/http adds headSlack to what it is
	// told. maxURL bounds the address in it, headTimeout the time for it.
	maxHead     = 8 << 10
	headSlack   = 4 << 10
	maxURL      = 2 << 10
	headTimeout = 10 * time.Second

	// A body ends when nothing came for bodySilence, or when it is slower than
	// minRate, in octets per second, after that time. What is written of an answer
	// must be taken within answerTimeout.
	bodySilence   = 10 * time.Second
	minRate       = 16 << 10
	answerTimeout = 15 * time.Second

	// defaultMaxMessage bounds one message.
	defaultMaxMessage = message.MaxSize

	// defaultMaxPerHost bounds the tunnels of one IP address, and half and twice of it
	// its polling clients and its connections; except this machine. maxAll bounds
	// those of all.
	defaultMaxPerHost = 32
	maxAll            = 1024

	// maxPerPeer bounds the links of one polling client; a new one takes the place of
	// the oldest.
	maxPerPeer = 2

	// maxPollWait is what is asked for in polls, as by JXSE. answerWait is the longest
	// that a poll is kept waiting here: JXSE gives up after maxPollWait, and soon for
	// good.
	maxPollWait = 120 * time.Second
	answerWait  = 110 * time.Second

	// maxQueued and maxQueuedBytes bound what waits for a poll, or to be posted.
	maxQueued      = 64
	maxQueuedBytes = 1 << 20

	// requestTimeout bounds a ping, and a request that posts, as in JXSE.
	requestTimeout = 15 * time.Second

	// attempts is how often a request is made before its link is given up.
	attempts = 2

	// tunnelWindow bounds the octets of a tunnel that wait at either side.
	tunnelWindow = 1 << 20

	// tunnelChunk is the most octets of a tunnel in one request or answer, tunnelPost
	// those to which requests are cut where a proxy finds them too long, and
	// tunnelPart what is taken from one at a time.
	tunnelChunk = 512 << 10
	tunnelPost  = 16 << 10
	tunnelPart  = 32 << 10

	// tunnelWait is how long a request for octets waits: shorter than what firewalls
	// and proxies give an idle connection. Where one of them gives less, as requests
	// that end early tell, the tunnel asks for less, down to tunnelWaitLeast.
	tunnelWait      = 20 * time.Second
	tunnelWaitLeast = 500 * time.Millisecond

	// tunnelGone is how long the other side of a tunnel may be silent, and how long
	// a failing request is repeated; refusals how many requests in a row the server's
	// machine must refuse for the server to be gone.
	tunnelGone = 90 * time.Second
	refusals   = 3

	// retryFirst and retryMost are the pauses between repetitions.
	retryFirst = 50 * time.Millisecond
	retryMost  = 2 * time.Second

	// drainFor is how long closing a link waits for its queue, lingerFor how long
	// closing a tunnel takes to send what is left.
	drainFor  = 200 * time.Millisecond
	lingerFor = 2 * time.Second

	// idleConnections is how long a connection without a request stays open, and
	// maxIdle how many of them to one server or proxy.
	idleConnections = 60 * time.Second
	maxIdle         = 64

	// maxPing bounds the answer to a ping: the unique value of an ID.
	maxPing = 512

	// maxName bounds the name that a client gives a link.
	maxName = 32
)

// times are those that tests shorten.
type times struct {
	// again is the pause between two polls of an original peer's server, from the
	// start of the first, as in JXSE; after an answer with messages there is none.
	again time.Duration

	// gone is how long a client may be without a poll.
	gone time.Duration

	// refuse is how long a client whose link was closed here is told so.
	refuse time.Duration

	// early is how long a posted message waits for the first poll of its sender, who
	// does both at once.
	early time.Duration

	// wait is how long a request for octets of a tunnel waits.
	wait time.Duration

	// head, silence and answer bound the time for a head, without an octet of a body,
	// and for an answer to be taken.
	head, silence, answer time.Duration
}

var defaultTimes = times{
	again: 5 * time.Second, gone: 10 * time.Second, refuse: 30 * time.Second, early: 2 * time.Second, wait: tunnelWait,
	head: headTimeout, silence: bodySilence, answer: answerTimeout,
}

// A tunnel keeps octets in pieces of pieceLeast to pieceMost.
const (
	pieceLeast = 512
	pieceMost  = 64 << 10
)
