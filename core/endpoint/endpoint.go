// Package endpoint is where messages enter and leave a peer: it keeps the
// links to other peers, finds one for each message that goes out, and hands
// each message that comes in to the service it is addressed to.
//
// Services register in the [Scope] of their group, so that the same service of
// two groups never meets the other's messages. JXTA v2 specification, chapter
// "Endpoint"; addressing follows JXSE 2.5.
package endpoint

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/message"
)

// Errors of sending. Typed errors that tell more wrap them.
var (
	// ErrClosed: the endpoint is closed.
	ErrClosed = errors.New("endpoint is closed")
	// ErrNoTransport: no transport serves the protocol of the address.
	ErrNoTransport = errors.New("no transport serves this protocol")
	// ErrNoRoute: nothing is known that leads to the peer.
	ErrNoRoute = errors.New("no route to the peer")
	// ErrTaken: another handler listens on the same service and parameter.
	ErrTaken = errors.New("service and parameter are taken")
	// ErrEmpty: a message without elements; JXSE stops reading a link that carries one.
	ErrEmpty = errors.New("message has no element")
	// ErrTooManyLinks: the limit of links is reached and none is idle.
	ErrTooManyLinks = errors.New("too many links")
	// ErrQueueFull: the queue of messages to this very peer is full.
	ErrQueueFull = errors.New("queue of messages to self is full")

	errEmpty = fmt.Errorf("endpoint: %w", ErrEmpty)
)

// Config configures an [Endpoint]. It is copied.
type Config struct {
	// Peer is the local peer. Required.
	Peer id.Peer

	// Net is the group whose router carries messages to peers; zero means
	// id.NetGroup.
	Net id.Group

	// Identity proves Peer to others; nil if nothing can.
	Identity *identity.Identity

	// RequireSecure refuses plain links: everything is encrypted, and every
	// neighbour has proven its ID. Original JXTA peers are then out of reach.
	RequireSecure bool

	// AllowClaimed takes peers on plain links that go by an ID made of a key
	// without showing the key, as JXSE 2.7 peers do. Without it they are refused,
	// since anybody could claim such an ID. Peers with made-up IDs, as JXSE 2.5
	// has them, are always taken, as claimed.
	AllowClaimed bool

	// Admit, if not nil, says of each new link whether it is wanted; an error
	// refuses it and names the rule. Juxta peers are told the rule. It must not
	// block.
	Admit func(Link) error

	// Logger gets state changes and dropped input; nil is silent.
	Logger *slog.Logger

	// IdleTimeout closes links unused for so long. Zero means 15 minutes, as
	// JXSE has it; negative means never.
	IdleTimeout time.Duration

	// MaxLinks bounds open links. When it is reached, a new link takes the place
	// of one that is unused for at least 30 s; if there is none, it is refused.
	// Zero means 1024.
	MaxLinks int
}

// Router carries a message to a jxta:// address of another peer.
type Router func(ctx context.Context, dst Address, msg *message.Message) error

// Endpoint is a peer's place in the network. Its methods are safe for
// concurrent use. Close it when done.
type Endpoint struct {
	cfg      Config
	log      *slog.Logger
	ctx      context.Context
	cancel   context.CancelCauseFunc
	wg       sync.WaitGroup
	router   atomic.Pointer[Router]
	secure   atomic.Pointer[Router]
	start    time.Time
	seed     maphash.Seed
	loop     loopback
	stats    counters
	refused  refusals
	offences offences

	changes atomic.Uint64 // of the links, counted

	tmu        sync.RWMutex
	transports []Transport
	addable    bool // false from Close on

	lmu     sync.RWMutex
	byLink  sync.Map // of Link to *conn
	links   int
	leaving int                 // how many of them are
	byPeer  map[id.Peer]*conn   // the oldest; the others follow
	dialled []*conn             // the latest comes last
	dialing map[place]*dialCall // nil when there is none
	watches []*watch            // replaced, never changed
	taps    atomic.Pointer[[]*tap]
	idle    *time.Timer // runs closeIdle; nil without links
	closed  bool

	handled  atomic.Uint64 // changes of the handlers, counted
	hmu      sync.RWMutex
	handlers []*handlers // in order of group
}

// place is an address to dial: the base of an [Address].
type place struct{ protocol, host string }

func placeOf(a Address) place { return place{a.Protocol, a.Host} }

// New makes an endpoint without transports.
func New(cfg Config) (*Endpoint, error) {
	if cfg.Peer.IsZero() {
		return nil, errors.New("endpoint: Config.Peer is not set")
	}
	if cfg.Net.IsZero() {
		cfg.Net = id.NetGroup
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.IdleTimeout == 0 {
		cfg.IdleTimeout = defaultIdle
	}
	if cfg.MaxLinks <= 0 {
		cfg.MaxLinks = defaultMaxLinks
	}
	e := &Endpoint{cfg: cfg, log: cfg.Logger, start: time.Now(), seed: maphash.MakeSeed(), addable: true}
	e.ctx, e.cancel = context.WithCancelCause(context.Background())
	if _, err := e.Scope(cfg.Net).Handle(asideService, "", e.askedAside); err != nil {
		return nil, err
	}
	return e, nil
}

// now is the time in ns since the endpoint was made, by a clock that nobody sets.
func (e *Endpoint) now() int64 { return int64(time.Since(e.start)) }

// Peer returns the local peer's ID.
func (e *Endpoint) Peer() id.Peer { return e.cfg.Peer }

// Net returns the group whose router carries messages to peers.
func (e *Endpoint) Net() id.Group { return e.cfg.Net }

// Add starts a transport and takes ownership of it; it is closed if it cannot
// be started.
func (e *Endpoint) Add(t Transport) error {
	if e.ctx.Err() != nil {
		_ = t.Close()
		return fmt.Errorf("endpoint: %w", ErrClosed)
	}
	err := t.Start(Host{
		Peer: e.cfg.Peer, Logger: e.log.With("transport", t.Protocol()),
		Identity: e.cfg.Identity, RequireSecure: e.cfg.RequireSecure, AllowClaimed: e.cfg.AllowClaimed,
		Offend: e.Offend, Opened: e.opened, Receive: e.receive, ReceiveShared: e.receiveShared, Closed: e.linkClosed,
	})
	if err != nil {
		_ = t.Close()
		return err
	}
	e.tmu.Lock()
	ok := e.addable
	if ok {
		e.transports = append(e.transports, t)
	}
	e.tmu.Unlock()
	if !ok { // closed meanwhile
		_ = t.Close()
		return fmt.Errorf("endpoint: %w", ErrClosed)
	}
	return nil
}

// Transports returns the started transports in the order they were added.
func (e *Endpoint) Transports() []Transport {
	e.tmu.RLock()
	defer e.tmu.RUnlock()
	return slices.Clone(e.transports)
}

// Addresses returns the addresses of all transports, best first.
func (e *Endpoint) Addresses() []Address {
	var all []Address
	for _, t := range e.Transports() {
		all = append(all, t.Addresses()...)
	}
	return all
}

// SetRouter installs the way to peers that have no link; nil removes it.
func (e *Endpoint) SetRouter(r Router) {
	if r == nil {
		e.router.Store(nil)
		return
	}
	e.router.Store(&r)
}

// SetSecure installs the way to peers that is encrypted from end to end, which
// jxtatls:// addresses take; nil removes it.
func (e *Endpoint) SetSecure(r Router) {
	if r == nil {
		e.secure.Store(nil)
		return
	}
	e.secure.Store(&r)
}

// Send carries msg to dst, whose service may be mangled with a group; services
// use the methods of [Scope] instead. A message to a jxta:// address takes the
// router, any other the transport of its protocol; to the peer itself it is
// delivered here, later. The message is not changed and may be reused when
// Send returns.
//
// A nil error means that the message was written to a link, or queued behind a
// write in flight; whether it arrives only the receiver knows.
func (e *Endpoint) Send(ctx context.Context, dst Address, msg *message.Message) error {
	if msg.Len() == 0 {
		return errEmpty
	}
	if dst.Protocol == secureProtocol {
		r := e.secure.Load()
		if r == nil {
			e.stats.noRouter.Add(1)
			return fmt.Errorf("endpoint: send to %s: %w", dst.Base(), ErrNoTransport)
		}
		return (*r)(ctx, dst, msg)
	}
	if dst.Protocol != "jxta" {
		l, err := e.Dial(ctx, dst)
		if err != nil {
			e.stats.noLink.Add(1)
			return err
		}
		return e.SendOn(ctx, l, dst, msg)
	}
	if dst.Host == e.cfg.Peer.Unique() {
		return e.loop.put(e, Incoming{
			Message: msg.Clone(), From: e.cfg.Peer, Source: PeerAddress(e.cfg.Peer, "", ""), Dest: dst,
		})
	}
	r := e.router.Load()
	if r == nil {
		e.stats.noRouter.Add(1)
		return fmt.Errorf("endpoint: send to %s: %w", dst.Base(), ErrNoRoute)
	}
	return (*r)(ctx, dst, msg)
}

// SendOn writes msg to a link, for the service and parameter of dst there, with
// the two address elements that every hop has.
func (e *Endpoint) SendOn(ctx context.Context, l Link, dst Address, msg *message.Message) error {
	return e.SendFlow(ctx, l, dst, msg, 0)
}

// SendFlow is [Endpoint.SendOn] for a message of a flow: on a busy link flows take
// turns, and each keeps its order. Flow 0 is that of everything small.
func (e *Endpoint) SendFlow(ctx context.Context, l Link, dst Address, msg *message.Message, flow uint8) error {
	if msg.Len() == 0 {
		return errEmpty
	}
	return e.sendFlow(ctx, l, dst, msg, flow, false)
}

// PassOn is [Endpoint.SendFlow] for who passes on a message of another peer on the
// goroutine that reads it: a large one is written while the next is read.
func (e *Endpoint) PassOn(ctx context.Context, l Link, dst Address, msg *message.Message, flow uint8) error {
	if msg.Len() == 0 {
		return errEmpty
	}
	return e.sendFlow(ctx, l, dst, msg, flow, true)
}

func (e *Endpoint) sendFlow(ctx context.Context, l Link, dst Address, msg *message.Message, flow uint8, passing bool) error {
	buf := buffers.Get().(*sendBuffer)
	defer buf.free()
	tail, err := buf.tail(l, dst.Service, dst.Param)
	if err != nil {
		return err
	}
	if passing {
		tail = tail.ForPassing()
	}
	c := e.conn(l)
	if c == nil {
		c = &conn{Link: l} // not yet, or no more, a link of this endpoint
	}
	return e.sendTail(ctx, c, msg, tail.WithFlow(flow), e.now())
}

// FlowOf returns the flow of the messages to an address; see [Endpoint.SendFlow].
func (e *Endpoint) FlowOf(dst Address) uint8 {
	return 1 + uint8(maphash.Comparable(e.seed, dst)%(math.MaxUint8))
}

// sendTail writes msg to a link, with the two address elements as its tail.
func (e *Endpoint) sendTail(ctx context.Context, c *conn, msg *message.Message, tail message.Tail, now int64) error {
	l := c.Link
	var err error
	var octets int
	if s, ok := l.(MessageSender); ok {
		octets = msg.Size() + tail.Size()
		err = s.SendMessage(ctx, msg, tail)
	} else {
		buf := buffers.Get().(*sendBuffer)
		if buf.body, err = msg.AppendWith(buf.body[:0], tail); err == nil {
			octets = len(buf.body)
			err = l.Send(ctx, buf.body)
		}
		buf.free()
	}
	switch {
	case err == nil:
	case errors.Is(err, message.ErrTooLarge):
		e.stats.tooLarge.Add(1)
		return err
	default:
		e.stats.unsent.Add(1)
		return fmt.Errorf("endpoint: send to %s: %w", l.Remote(), err)
	}
	e.stats.sent.Add(1)
	c.gone.Store(now)
	c.sent.Add(1)
	c.sentOctets.Add(uint64(octets))
	if taps := e.taps.Load(); taps != nil {
		e.tapOut(*taps, l, msg, tail)
	}
	return nil
}

// Broadcasts reports whether a transport reaches the neighbourhood.
func (e *Endpoint) Broadcasts() bool {
	e.tmu.RLock()
	defer e.tmu.RUnlock()
	for _, t := range e.transports {
		if _, ok := t.(Broadcaster); ok {
			return true
		}
	}
	return false
}

// Broadcast sends msg to the neighbourhood over every transport that can. It
// returns [ErrNoTransport] if none can, else the first error if all failed.
func (e *Endpoint) Broadcast(ctx context.Context, service, param string, msg *message.Message) error {
	if msg.Len() == 0 {
		return errEmpty
	}
	if e.ctx.Err() != nil {
		return fmt.Errorf("endpoint: broadcast: %w", ErrClosed)
	}
	var first error
	done := false
	for _, t := range e.Transports() {
		b, ok := t.(Broadcaster)
		if !ok {
			continue
		}
		body, err := msg.AppendTo(nil,
			message.Text(message.Platform, elemOrigin, e.cfg.Peer.String()),
			message.Text(message.Platform, elemSource, PeerAddress(e.cfg.Peer, "", "").String()),
			message.Text(message.Platform, elemDest, b.Group().With(service, param).String()))
		if err == nil {
			err = b.Broadcast(ctx, body)
		}
		if err == nil {
			done = true
			e.stats.sent.Add(1)
			continue
		}
		e.stats.broadcast.Add(1)
		if first == nil {
			first = err
		}
	}
	switch {
	case done:
		return nil
	case first != nil:
		return first
	}
	return fmt.Errorf("endpoint: broadcast: %w", ErrNoTransport)
}

// Close closes every transport and link and returns when no goroutine of the
// endpoint is left and no handler runs. It is idempotent.
func (e *Endpoint) Close() error {
	e.lmu.Lock()
	e.closed = true
	if e.idle != nil {
		e.idle.Stop()
	}
	e.lmu.Unlock()
	e.cancel(ErrClosed)
	e.tmu.Lock()
	e.addable = false
	e.tmu.Unlock()
	// All at once: a handler that keeps one transport from closing may be
	// waiting for a link of another.
	all := e.Transports()
	errs := make([]error, len(all))
	var closing sync.WaitGroup
	for i, t := range all {
		closing.Go(func() { errs[i] = t.Close() })
	}
	closing.Wait()
	e.wg.Wait()
	e.loop.close()
	return errors.Join(errs...)
}

// secureProtocol is that of the addresses that mean end-to-end encryption.
const secureProtocol = "jxtatls"

// Names of the elements the endpoint adds and removes.
const (
	elemSource = "EndpointSourceAddress"
	elemDest   = "EndpointDestinationAddress"
	elemOrigin = "EndpointHeaderSrcPeer"
)

// sendBuffer is the memory for sending one message.
type sendBuffer struct{ body, addrs, tails []byte }

var buffers = sync.Pool{New: func() any { return new(sendBuffer) }}

func (b *sendBuffer) free() {
	if cap(b.body) <= maxPooledBuffer {
		buffers.Put(b)
	}
}

// tail makes the address elements of a message to a service at the other end of a
// link, in the memory of b.
func (b *sendBuffer) tail(l Link, service, param string) (message.Tail, error) {
	b.addrs = l.Local().AppendTo(b.addrs[:0])
	n := len(b.addrs)
	b.addrs = l.Remote().With(service, param).AppendTo(b.addrs)
	tail, err := message.AppendTail(b.tails[:0],
		message.Element{Namespace: message.Platform, Name: elemSource, Type: message.TypeText, Body: b.addrs[:n]},
		message.Element{Namespace: message.Platform, Name: elemDest, Type: message.TypeText, Body: b.addrs[n:]})
	if err == nil {
		b.tails = tail.Memory()
	}
	return tail, err
}
