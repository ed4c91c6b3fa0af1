// Package secure carries messages that are encrypted from end to end: TLS between
// two peers over whatever lies between them, links, relays and other peers that
// come and go while the connection stays.
//
// It is the TLS transport of JXSE 2.5 on the wire: the octets of a TLS connection
// travel in numbered blocks, which are acknowledged and repeated until they have
// arrived, in messages of the Endpoint Routing Protocol. Between Juxta peers it is
// TLS 1.3, both sides prove their peer IDs, and the window is wide. Original JXTA
// peers speak TLS 1.0 with certificates that prove nothing about a peer ID; they
// are out of reach unless [Config].Java is set.
//
// [endpoint.Scope.SendSecure] sends this way, and what arrives so is marked by
// [endpoint.Incoming].Secured.
package secure

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/message"
)

const (
	serviceName = "TlsTransport"
	protocol    = "jxtatls"
	routerName  = "EndpointRouter"
	groupPrefix = "EndpointService:"
	elemSource  = "EndpointSourceAddress"
	elemDest    = "EndpointDestinationAddress"
)

// ErrUnproven: the peer goes by an ID that nothing can prove, and nothing in the
// configuration says how to trust it all the same.
var ErrUnproven = errors.New("nothing can prove the peer's ID")

// ErrBusy: there are as many connections as allowed, and all are in use.
var ErrBusy = errors.New("too many secure connections")

// Config configures a [Service]. It is copied.
type Config struct {
	// Scope is the endpoint in the net group. Required.
	Scope endpoint.Scope

	// Identity proves the own peer ID. Required.
	Identity *identity.Identity

	// Java says how to talk to original JXTA peers; the zero value is not to.
	Java JavaConfig

	// MaxConnections bounds connections; one that is idle makes room for another.
	// Zero means 256.
	MaxConnections int

	// Idle is after what time a connection that nobody uses is closed. Zero means
	// five minutes, as in JXSE.
	Idle time.Duration

	// Lost, if not nil, is told when a connection has failed of messages of which
	// nobody knows whether they arrived. It must not block.
	Lost func(Loss)

	// Logger may be nil.
	Logger *slog.Logger
}

// Loss tells of messages that may be lost with their connection.
type Loss struct {
	Peer     id.Peer
	Messages uint64 // that were sent and not acknowledged
	Err      error  // why the connection failed
}

// LostError is the error of [Service.Flush] when messages may be lost.
type LostError struct{ Loss }

// Error implements error.
func (e *LostError) Error() string {
	return fmt.Sprintf("secure: connection with peer %s failed, %d messages may be lost: %v", e.Peer.Short(), e.Messages, e.Err)
}

// Unwrap returns the cause.
func (e *LostError) Unwrap() error { return e.Err }

// Service is the secure transport of a peer. Its methods are safe for concurrent
// use. Close it when done, before the router.
type Service struct {
	cfg    Config
	ep     *endpoint.Endpoint
	self   id.Peer
	log    *slog.Logger
	wg     sync.WaitGroup
	ctx    context.Context
	cancel context.CancelFunc
	undo   func()
	source []byte // the own address
	shared *shared
	stats  counters
	retire uint32 // blocks after which a connection is replaced

	mu      sync.Mutex
	closed  bool
	sweeper *time.Timer
	all     map[key]*connection
	current map[id.Peer]*connection // to send on; in handshake only if begun here
	gone    map[id.Peer]time.Time   // who was told that a connection is not known
}

// key names a connection.
type key struct {
	peer    id.Peer
	id      uint64
	pending bool // with JXSE, where there are no numbers: beside another one
}

// New starts the service: jxtatls:// addresses lead through it from now on.
func New(cfg Config) (*Service, error) {
	switch {
	case cfg.Scope.Endpoint() == nil:
		return nil, errors.New("secure: Config.Scope is not set")
	case cfg.Identity == nil && !cfg.Java.enabled():
		return nil, errors.New("secure: Config.Identity is not set")
	}
	if cfg.MaxConnections <= 0 {
		cfg.MaxConnections = defaultMaxConnections
	}
	if cfg.Idle <= 0 {
		cfg.Idle = defaultIdle
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		cfg: cfg, ep: cfg.Scope.Endpoint(), self: cfg.Scope.Peer(), log: cfg.Logger,
		shared: newShared(maxShared), retire: retireAfter,
		all: map[key]*connection{}, current: map[id.Peer]*connection{}, gone: map[id.Peer]time.Time{},
	}
	s.source = endpoint.Address{Protocol: protocol, Host: s.self.Unique()}.AppendTo(nil)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	remove, err := cfg.Scope.Handle(serviceName, "", s.receive)
	if err != nil {
		s.cancel()
		return nil, err
	}
	s.undo = remove
	s.ep.SetSecure(s.Send)
	return s, nil
}

// Close ends every connection in good order, for which it takes two seconds at
// most, and returns when no goroutine of the service is left. It is idempotent.
func (s *Service) Close() {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	if s.sweeper != nil {
		s.sweeper.Stop()
	}
	var all []*connection
	for _, c := range s.all {
		all = append(all, c)
	}
	s.mu.Unlock()
	if first {
		s.ep.SetSecure(nil)
		timer := time.AfterFunc(stopWait, func() {
			for _, c := range all {
				c.st.fail(ErrClosed)
			}
		})
		for _, c := range all {
			select {
			case <-c.decided:
				c.leaveFor(ErrClosed)
			default:
				c.st.fail(ErrClosed)
			}
		}
		for _, c := range all {
			<-c.ended
		}
		timer.Stop()
		s.undo()
		s.cancel()
	}
	s.wg.Wait()
}

// Send carries msg to a jxtatls:// address; it is the way that
// [endpoint.Endpoint.SetSecure] installs, and services use
// [endpoint.Scope.SendSecure] instead. It opens a connection if there is none, and
// waits until the peer has proven its ID, and while too much is waiting to be
// sent, at most until ctx ends. The message is not changed and may be reused.
//
// A nil error means that the connection has taken the message: it is repeated
// until the peer has acknowledged it, whatever ways to the peer there are
// meanwhile. If it cannot be for four minutes, the connection fails, and
// [Config].Lost and [Service.Flush] tell so. Messages of one goroutine arrive in
// the order sent.
//
// The error wraps [ErrHandshake], [ErrUnproven], [ErrBusy], [ErrClosed] or one of
// package endpoint.
func (s *Service) Send(ctx context.Context, dst endpoint.Address, msg *message.Message) error {
	p, ok := dst.Peer()
	if !ok {
		return fmt.Errorf("secure: %s: %w", dst, endpoint.ErrAddress)
	}
	if msg.Len() == 0 {
		return fmt.Errorf("secure: %w", endpoint.ErrEmpty)
	}
	if p == s.self { // nobody is in between
		dst.Protocol = "jxta"
		return s.ep.Send(ctx, dst, msg)
	}
	addrs := [2]message.Element{
		{Namespace: message.Platform, Name: elemSource, Type: message.TypeText, Body: s.source},
		{Namespace: message.Platform, Name: elemDest, Type: message.TypeText, Body: dst.AppendTo(make([]byte, 0, addressRoom))},
	}
	for {
		c, err := s.connect(ctx, p)
		if err == nil {
			err = c.out.put(ctx, msg, addrs)
		}
		switch {
		case err == nil:
			c.touch()
			s.stats.sent.Add(1)
			return nil
		case errors.Is(err, errOver), errors.Is(err, errSuperseded):
			if err := context.Cause(ctx); err != nil {
				return fmt.Errorf("secure: send to peer %s: %w", p.Short(), err)
			}
			continue
		}
		return fmt.Errorf("secure: send to peer %s: %w", p.Short(), err)
	}
}

// Flush waits until the peer has acknowledged everything sent to it before, or ctx
// ends. The error is a *[LostError] if the connection fails first.
func (s *Service) Flush(ctx context.Context, p id.Peer) error {
	s.mu.Lock()
	var all []*connection
	for k, c := range s.all {
		if k.peer == p && c.state != shaking {
			all = append(all, c)
		}
	}
	s.mu.Unlock()
	for _, c := range all {
		end, err := c.out.encrypted(ctx, c.st.ctx)
		if err == nil {
			err = c.st.await(ctx, end)
		}
		if err == nil {
			continue
		}
		if c.st.ctx.Err() == nil {
			return fmt.Errorf("secure: flush to peer %s: %w", p.Short(), err)
		}
		if n := c.out.unacknowledged(c.st.ackedSoFar()); n > 0 {
			return &LostError{Loss{p, n, context.Cause(c.st.ctx)}}
		}
	}
	return nil
}

// connect returns the connection to send on, a new one if there is none.
func (s *Service) connect(ctx context.Context, p id.Peer) (*connection, error) {
	for {
		c, err := s.find(p)
		if err != nil {
			return nil, err
		}
		select {
		case <-c.decided:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		s.mu.Lock()
		state, successor, predecessor := c.state, c.successor, c.predecessor
		s.mu.Unlock()
		over := state == shaking || state == finished || c.st.ctx.Err() != nil
		var until <-chan struct{}
		switch {
		case over:
			until = c.ended
		case state == leaving:
			continue // find does not return it again
		case successor != nil:
			until = successor.decided
		case predecessor != nil:
			until = predecessor.ended
		case c.st.number() >= s.retire:
			// What was sent comes before what goes over the next one.
			c.leaveFor(errRetired)
			until = c.ended
		default:
			return c, nil
		}
		select {
		case <-until:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if over && !c.adopted.Load() {
			if err := context.Cause(c.st.ctx); !errors.Is(err, errSuperseded) {
				return nil, err
			}
		}
		s.settled(c, successor, predecessor)
	}
}

// find returns the current connection or begins one.
func (s *Service) find(p id.Peer) (*connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if c := s.current[p]; c != nil {
		return c, nil
	}
	var n uint64
	switch {
	case p.Provable() && s.cfg.Identity != nil:
		n = newNumber()
	case !s.cfg.Java.enabled():
		return nil, ErrUnproven
	}
	if !s.makeRoom() {
		return nil, ErrBusy
	}
	c := s.newConnection(p, n, true)
	s.current[p] = c
	s.begin(c)
	return c, nil
}

// begin registers and starts a connection. s.mu is held.
func (s *Service) begin(c *connection) {
	s.all[c.key] = c
	s.stats.opened.Add(1)
	s.wg.Go(c.run)
	if s.sweeper == nil {
		s.sweeper = time.AfterFunc(sweepEvery, s.sweep)
	}
}

// newNumber makes the number of a connection, which only the two peers and those
// in between know.
func newNumber() uint64 {
	var b [8]byte
	for {
		_, _ = rand.Read(b[:]) // never fails
		if n := binary.BigEndian.Uint64(b[:]); n != 0 {
			return n
		}
	}
}

func firstPart(s string) string {
	name, _, _ := strings.Cut(s, "/")
	return name
}
