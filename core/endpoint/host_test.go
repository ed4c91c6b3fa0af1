package endpoint_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	ann = id.PeerFromSeed(id.NetGroup, []byte("ann"))
	bob = id.PeerFromSeed(id.NetGroup, []byte("bob"))
	eve = id.PeerFromSeed(id.NetGroup, []byte("eve"))
	sub = id.GroupFromSeed(id.NetGroup, []byte("a subgroup"))
)

// peer is an endpoint on a memory network, called like its host there.
type peer struct {
	*endpoint.Endpoint
	addr endpoint.Address
}

func newPeer(t testing.TB, net *memory.Network, name string, set ...func(*endpoint.Config, *memory.TransportConfig)) *peer {
	t.Helper()
	cfg := endpoint.Config{Peer: id.PeerFromSeed(id.NetGroup, []byte(name))}
	tcfg := memory.TransportConfig{Name: name}
	for _, f := range set {
		f(&cfg, &tcfg)
	}
	e, err := endpoint.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	if err := e.Add(net.Transport(tcfg)); err != nil {
		t.Fatal(err)
	}
	return &peer{e, endpoint.Address{Protocol: memory.Protocol, Host: tcfg.Name}}
}

// bubble runs f in virtual time with a network of the configuration.
func bubble(t *testing.T, cfg memory.Config, f func(*testing.T, *memory.Network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, memory.New(cfg)) })
}

// inbox collects what a handler gets.
type inbox struct {
	mu  sync.Mutex
	all []endpoint.Incoming
}

func (b *inbox) handle(_ context.Context, in endpoint.Incoming) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, in)
}

// texts returns the texts of the messages so far.
func (b *inbox) texts() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := []string{}
	for _, in := range b.all {
		all = append(all, in.Message.Text("", "text"))
	}
	return all
}

func (b *inbox) want(t *testing.T, texts ...string) {
	t.Helper()
	if got := b.texts(); !slices.Equal(got, texts) {
		t.Errorf("got %q, want %q", got, texts)
	}
}

// listen registers an inbox.
func listen(t testing.TB, s endpoint.Scope, service, param string) *inbox {
	t.Helper()
	b := &inbox{}
	if _, err := s.Handle(service, param, b.handle); err != nil {
		t.Fatal(err)
	}
	return b
}

func text(s string) *message.Message { return message.New(message.Text("", "text", s)) }

// wire is a transport whose links end in the hands of the test.
type wire struct {
	endpoint.Host
	dial func(ctx context.Context, addr endpoint.Address) (endpoint.Link, error)

	mu    sync.Mutex
	links []*cable
}

func (w *wire) Protocol() string            { return "wire" }
func (w *wire) Start(h endpoint.Host) error { w.Host = h; return nil }
func (w *wire) Addresses() []endpoint.Address {
	return []endpoint.Address{{Protocol: "wire", Host: "here"}}
}

func (w *wire) Dial(ctx context.Context, addr endpoint.Address) (endpoint.Link, error) {
	if w.dial == nil {
		return nil, &endpoint.DialError{Addr: addr, Phase: endpoint.PhaseConnect, Err: errors.New("nobody")}
	}
	return w.dial(ctx, addr)
}

func (w *wire) Close() error {
	w.mu.Lock()
	links := slices.Clone(w.links)
	w.mu.Unlock()
	for _, c := range links {
		_ = c.Close()
	}
	return nil
}

// cable is a link of a wire; what is sent on it is kept.
type cable struct {
	w             *wire
	peer          id.Peer
	remote        endpoint.Address
	proven, ours  bool
	origin        string
	mu            sync.Mutex
	sent          [][]byte
	closed, taken bool
}

func (c *cable) Peer() id.Peer            { return c.peer }
func (c *cable) Proven() bool             { return c.proven }
func (c *cable) Local() endpoint.Address  { return endpoint.Address{Protocol: "wire", Host: "here"} }
func (c *cable) Remote() endpoint.Address { return c.remote }
func (c *cable) Outgoing() bool           { return c.ours }
func (c *cable) Origin() string           { return c.origin }

func (c *cable) Send(_ context.Context, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return endpoint.ErrLinkClosed
	}
	c.sent = append(c.sent, slices.Clone(body))
	return nil
}

func (c *cable) Close() error {
	c.mu.Lock()
	was := c.closed
	c.closed = true
	c.mu.Unlock()
	if !was && c.taken {
		c.w.Closed(c)
	}
	return nil
}

func (c *cable) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// plug opens a link.
func (w *wire) plug(t testing.TB, c *cable) *cable {
	t.Helper()
	if err := w.try(c); err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *wire) try(c *cable) error {
	c.w = w
	if c.remote.IsZero() {
		c.remote = endpoint.Address{Protocol: "wire", Host: "there"}
	}
	if err := w.Opened(c); err != nil {
		return err
	}
	c.taken = true
	w.mu.Lock()
	defer w.mu.Unlock()
	w.links = append(w.links, c)
	return nil
}

// newWire makes an endpoint of ann with a wire.
func newWire(t testing.TB, cfg endpoint.Config) (*endpoint.Endpoint, *wire) {
	t.Helper()
	cfg.Peer = ann
	e, err := endpoint.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	w := &wire{}
	if err := e.Add(w); err != nil {
		t.Fatal(err)
	}
	return e, w
}

// packet is a message with its addresses as they stand on the wire.
func packet(t testing.TB, src, dst string, more ...message.Element) []byte {
	t.Helper()
	m := text("packet").Add(more...)
	if src != "" {
		m.Add(message.Text(message.Platform, "EndpointSourceAddress", src))
	}
	if dst != "" {
		m.Add(message.Text(message.Platform, "EndpointDestinationAddress", dst))
	}
	b, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
