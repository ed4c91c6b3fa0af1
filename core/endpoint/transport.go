package endpoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/message"
)

// Transport carries encoded messages between peers over one kind of network.
// An [Endpoint] owns its transports: it starts them, and closes them when it
// closes. All methods are safe for concurrent use. The test suite in
// core/transport/transporttest checks what is promised here.
type Transport interface {
	// Protocol is the address protocol served, for example "tcp".
	Protocol() string

	// Start begins to accept links, if the transport is configured to. It
	// returns when the transport can be dialled, or says why it cannot be.
	// It is called once.
	Start(h Host) error

	// Addresses are the addresses under which others may try to dial this
	// peer now, best first. It is empty when the transport does not listen.
	Addresses() []Address

	// Dial opens a link to addr and returns when the other peer has said who
	// it is. The service that addr may name is told to the other side. ctx bounds
	// the dialling only. The error is a *DialError.
	Dial(ctx context.Context, addr Address) (Link, error)

	// Close ends listening and every link, and returns when no goroutine of
	// the transport is left.
	Close() error
}

// Multi is a [Transport] that serves further protocols beside its first, as TCP
// does with TLS on the same port.
type Multi interface {
	Transport

	// Serves reports whether addresses of this protocol are dialled here.
	Serves(protocol string) bool
}

// Carries reports whether a transport serves a protocol.
func Carries(t Transport, protocol string) bool {
	if t.Protocol() == protocol {
		return true
	}
	m, ok := t.(Multi)
	return ok && m.Serves(protocol)
}

// Puncher is a [Transport] that can open a link through address translators and
// firewalls when both sides try at the same moment.
type Puncher interface {
	Transport

	// Punch tries to reach addr, where the other side does the same towards this
	// one, until a link is open or ctx ends. Exactly one of the two sides leads.
	// The link may as well come up as an accepted one, of which only Opened tells;
	// Punch then fails when ctx ends. The error is a *DialError.
	Punch(ctx context.Context, addr Address, lead bool) (Link, error)
}

// Broadcaster is a [Transport] that reaches every peer of the neighbourhood
// with one datagram, such as IP multicast.
type Broadcaster interface {
	Transport

	// Broadcast sends an encoded message to the neighbourhood. Delivery is not
	// certain, and nobody says so when it fails on the way.
	Broadcast(ctx context.Context, body []byte) error

	// Group is the address that stands for the neighbourhood.
	Group() Address
}

// Host is what an endpoint lends to its transports. All functions may be
// called from any goroutine until Close of the transport has returned.
type Host struct {
	Peer   id.Peer
	Logger *slog.Logger // never nil

	// Identity proves Peer to others; nil if nothing can, and links are then
	// plain JXTA.
	Identity *identity.Identity

	// RequireSecure forbids links over which the other side has not proven its
	// ID, and on which everybody can read.
	RequireSecure bool

	// AllowClaimed allows plain links with peers whose ID is made of a key that
	// they do not show. See [Config].
	AllowClaimed bool

	// Offend, if not nil, is called when somebody at a network origin, who may not
	// have said yet which peer it is, runs into a limit; see [Offence].
	Offend func(origin string, peer id.Peer, limit string)

	// Opened is called with each link, accepted or dialled, as soon as the
	// other side has said who it is and before the first Receive. A link that
	// it refuses must be closed, and Dial must return the error.
	Opened func(Link) error

	// Receive takes one encoded message. It is called on the reading goroutine
	// of the link, in order of arrival; while it runs, the link is not read.
	// The callee owns body. The link is nil for a datagram. An error means
	// that the octets were not a message; the link should be closed.
	Receive func(l Link, body []byte) error

	// ReceiveShared, if not nil, may be called in place of Receive for a body that
	// lies in memory which is used again: the callee becomes a user of mem, in
	// place of the caller, and does not own body.
	ReceiveShared func(l Link, body []byte, mem *message.Memory) error

	// Closed is called once for each link that Opened took, after its last
	// Receive.
	Closed func(Link)
}

// Link is an open connection to one peer, usable in both directions by all
// groups and services. Links are comparable. Its methods are safe for
// concurrent use.
type Link interface {
	// Peer is who the other side says it is.
	Peer() id.Peer

	// Proven reports whether the other side has proven to be Peer.
	Proven() bool

	// Local is the address this side goes by on the link.
	Local() Address

	// Remote is the address that was dialled, or for an accepted link the one
	// the other side claims to listen on, which may be no good for dialling.
	Remote() Address

	// Outgoing reports whether this side opened the link.
	Outgoing() bool

	// Origin is the network origin of the other side, usually its IP address,
	// to which limits and rules apply.
	Origin() string

	// Send frames and writes one encoded message. Messages sent from one
	// goroutine arrive in order. When it returns nil the message is written,
	// or queued behind a write in flight; body may be reused. It waits while
	// the queue is full, at most until ctx ends. The error unwraps to
	// ErrLinkClosed when the link is gone.
	Send(ctx context.Context, body []byte) error

	// Close closes the link at once. The other side is not told.
	Close() error
}

// MessageSender is a [Link] that encodes messages itself, right into what it
// writes, which spares a copy.
type MessageSender interface {
	Link

	// SendMessage sends a message with a tail behind its elements, as Send does with
	// their encoded form. The message is not changed, and neither it nor the tail
	// is kept.
	SendMessage(ctx context.Context, msg *message.Message, tail message.Tail) error
}

// Dialled returns the address under which the other side dialled an accepted
// link, with service and parameter if it named any; relay clients of JXSE put
// their request there. It reports false if the link was not accepted, or if its
// transport does not know; one that does gives its links the method
//
//	Dialled() Address
func Dialled(l Link) (Address, bool) {
	d, ok := l.(interface{ Dialled() Address })
	if !ok || l.Outgoing() {
		return Address{}, false
	}
	return d.Dialled(), true
}

// Observed returns the address at which the other side sees this one on a link,
// which differs from the own one behind an address translator. It reports false
// if the link cannot tell; one that can has the method
//
//	Observed() Address
func Observed(l Link) (Address, bool) {
	o, ok := l.(interface{ Observed() Address })
	if !ok {
		return Address{}, false
	}
	a := o.Observed()
	return a, !a.IsZero()
}

// IsJuxta reports whether the other side of a link is known to be Juxta; a link
// that knows has the method
//
//	Juxta() bool
func IsJuxta(l Link) bool {
	j, ok := l.(interface{ Juxta() bool })
	return ok && j.Juxta()
}

// Encrypted reports whether nobody between the two peers can read what goes over
// a link; a link that knows has the method
//
//	Encrypted() bool
func Encrypted(l Link) bool {
	x, ok := l.(interface{ Encrypted() bool })
	return ok && x.Encrypted()
}

// ErrUnproven is the cause when a link is refused because the other side goes by
// an ID that is made of a key, and did not show that it holds the key; or because
// only proven links are wanted.
var ErrUnproven = errors.New("the other side did not prove its peer ID")

// ErrLinkClosed is the cause of a failed Send on a link that is closed.
var ErrLinkClosed = errors.New("the link is closed")

// DialError tells which address could not be reached and in which phase the
// attempt failed.
type DialError struct {
	Addr  Address
	Phase Phase
	Err   error
}

// Phase is a step of opening a link.
type Phase string

// The phases of opening a link, in order.
const (
	PhaseAddress   Phase = "address"   // the address is unusable for the transport
	PhaseResolve   Phase = "resolve"   // the host name has no address
	PhaseConnect   Phase = "connect"   // nobody answers, or the port is closed
	PhaseHandshake Phase = "handshake" // something answers that does not speak JXTA
	PhaseIdentity  Phase = "identity"  // another peer, or ourselves, answers
	PhasePolicy    Phase = "policy"    // a limit or rule of this peer forbids it
)

// Error implements error.
func (e *DialError) Error() string {
	return fmt.Sprintf("dial %s: %s: %v", e.Addr, e.Phase, e.Err)
}

// Unwrap returns the cause.
func (e *DialError) Unwrap() error { return e.Err }
