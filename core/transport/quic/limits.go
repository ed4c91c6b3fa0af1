package quic

import (
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

	// retryFrom is how many connections that have not said who they are make new
	// ones prove first, at the price of a round trip, that they receive at the
	// address they send from.
	retryFrom = 16

	// maxResolved bounds the addresses of a host name that are tried.
	maxResolved = 4

	// firstWindow and maxWindow bound the octets that the other side may send
	// before they are taken: enough for 300 Mbit/s at 100 ms of round trip.
	firstWindow = 256 << 10
	maxWindow   = 4 << 20

	// maxDiscarded bounds what is still read of a link that this side closes.
	maxDiscarded = 1 << 20

	// discardBuffer is how much of it is read at once.
	discardBuffer = 4 << 10

	// maxPunchers bounds the accepted connections that may be waited for at once.
	maxPunchers = 256

	// maxRemembered bounds the hosts of which session tickets and address tokens
	// are kept, and maxTokens those of one host.
	maxRemembered = 128
	maxTokens     = 4

	// connectionID is the length of connection IDs in octets: too many to guess.
	connectionID = 8

	// keepAlive is how often something is sent on an idle link, so that address
	// translators keep their mapping, which the least patient drop after 30 s.
	keepAlive = 15 * time.Second

	// silence is after how long a link is dead from which nothing comes.
	silence = 30 * time.Second

	// watchEvery is how often the transport looks whether this machine has other
	// addresses than before, while it has links that it dialled.
	watchEvery = 2 * time.Second

	// knockEvery is the first pause between two packets that ask whether anybody
	// listens; each is twice the one before.
	knockEvery = 200 * time.Millisecond

	// punchEvery is how often a packet is sent to open an address translator.
	punchEvery = 100 * time.Millisecond
)

// times are the timeouts of a transport beside those of its links. Tests shorten
// them.
type times struct {
	answer  time.Duration // without a packet from who is dialled
	connect time.Duration // dialling and welcome together, as in JXSE 2.5
	linger  time.Duration // for the other side to take what it was sent before a link was closed
	leave   time.Duration // the same when the whole transport closes, or if no link came of it
	move    time.Duration // for a link to go on from another address
	nudge   time.Duration // for what is sent on a link that may be dead
	punch   time.Duration // for one attempt through address translators
	watch   time.Duration // between two looks at the addresses of this machine
}

var defaultTimes = times{
	answer: 5 * time.Second, connect: 10 * time.Second, linger: 5 * time.Second, leave: 300 * time.Millisecond,
	move: 10 * time.Second, nudge: time.Second, punch: 3 * time.Second, watch: watchEvery,
}
