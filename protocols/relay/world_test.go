package relay_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/relay"
	"github.com/juxta-p2p/juxta/protocols/routing"
)

// world is a network of peers with routers. In a plain one links are as JXSE has
// them: they prove nothing, and the acceptor knows what was dialled.
type world struct {
	t     testing.TB
	net   *memory.Network
	plain bool

	mu      sync.Mutex
	origins map[string]string           // where a host seems to be; its name if absent
	dialled map[string]endpoint.Address // what a host is dialling
	proven  map[string]bool             // hosts that prove who they are all the same
}

func newWorld(t testing.TB, plain bool) *world {
	return &world{
		t: t, net: memory.New(memory.Config{Latency: 20 * time.Millisecond}), plain: plain,
		origins: map[string]string{}, dialled: map[string]endpoint.Address{}, proven: map[string]bool{},
	}
}

// peer is one of them.
type peer struct {
	w      *world
	name   string
	id     id.Peer
	ep     *endpoint.Endpoint
	scope  endpoint.Scope
	router *routing.Router

	mu    sync.Mutex
	hops  []advertisements.AccessPoint
	got   []string
	from  []id.Peer
	close []func()
}

func peerID(n int) id.Peer {
	return must(id.ParsePeer(fmt.Sprintf("urn:jxta:uuid-59616261646162614E50472050325033%032X03", n)))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// join starts a peer; deaf ones cannot be dialled.
func (w *world) join(name string, n int, deaf bool) *peer {
	p := &peer{w: w, name: name, id: peerID(n)}
	p.ep = must(endpoint.New(endpoint.Config{Peer: p.id}))
	var t endpoint.Transport = w.net.Transport(memory.TransportConfig{Name: name, Deaf: deaf})
	if w.plain {
		t = &plainTransport{Transport: t, w: w, name: name, links: map[endpoint.Link]*plainLink{}}
	}
	if err := p.ep.Add(t); err != nil {
		w.t.Fatal(err)
	}
	p.scope = p.ep.Scope(id.NetGroup)
	p.router = must(routing.New(routing.Config{Scope: p.scope, Self: p.route}))
	must(p.scope.Handle("app", "", func(_ context.Context, in endpoint.Incoming) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.got = append(p.got, in.Message.Text("", "text"))
		p.from = append(p.from, in.From)
	}))
	p.close = append(p.close, func() { _ = p.ep.Close() }, p.router.Close)
	return p
}

// leave closes the peer and what runs on it.
func (p *peer) leave() {
	for _, f := range slices.Backward(p.close) {
		f()
	}
	p.close = nil
}

func (p *peer) route() *advertisements.Route {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &advertisements.Route{Dest: p.id, Addresses: p.ep.Addresses(), Hops: p.hops}
}

func (p *peer) advertisement() *advertisements.Peer {
	adv := &advertisements.Peer{ID: p.id, Group: id.NetGroup, Name: p.name}
	if err := adv.SetRoute(p.route()); err != nil {
		panic(err)
	}
	return adv
}

func (p *peer) address() endpoint.Address { return p.ep.Addresses()[0] }

// serve makes the peer a relay.
func (p *peer) serve(cfg relay.ServerConfig) *relay.Server {
	cfg.Scope, cfg.Advertisement = p.scope, p.advertisement
	cfg.Rand = rand.New(rand.NewPCG(1, 2))
	s := must(relay.NewServer(cfg))
	p.router.SetKeep(s.Keep)
	p.close = append(p.close, s.Close)
	return s
}

// lease makes the peer a client of relays.
func (p *peer) lease(cfg relay.ClientConfig, relays ...*peer) *relay.Client {
	cfg.Scope, cfg.Connect = p.scope, p.router.Connect
	cfg.Rand = rand.New(rand.NewPCG(3, 4))
	if cfg.Seeds == nil {
		var seeds []endpoint.Address
		for _, r := range relays {
			seeds = append(seeds, r.address())
		}
		cfg.Seeds = func() []endpoint.Address { return seeds }
	}
	cfg.Changed = func(hops []advertisements.AccessPoint) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.hops = hops
	}
	c := must(relay.NewClient(cfg))
	p.close = append(p.close, c.Close)
	return c
}

func (p *peer) send(to *peer, text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return p.scope.Send(ctx, to.id, "app", "", message.New(message.Text("", "text", text)))
}

func (p *peer) texts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

func (p *peer) relays() []id.Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []id.Peer
	for _, h := range p.hops {
		all = append(all, h.Peer)
	}
	return all
}

// plainTransport makes the links of another one like those of JXSE.
type plainTransport struct {
	endpoint.Transport
	w    *world
	name string

	mu    sync.Mutex
	links map[endpoint.Link]*plainLink
}

type plainLink struct {
	endpoint.Link
	origin string
	proven bool
	asked  endpoint.Address
}

func (l *plainLink) Proven() bool              { return l.proven }
func (l *plainLink) Origin() string            { return l.origin }
func (l *plainLink) Dialled() endpoint.Address { return l.asked }

func (t *plainTransport) wrap(l endpoint.Link) *plainLink {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.links[l]
	if p == nil {
		t.w.mu.Lock()
		name := l.Remote().Host
		p = &plainLink{Link: l, origin: t.w.origins[name], proven: t.w.proven[name], asked: t.w.dialled[name]}
		t.w.mu.Unlock()
		if p.origin == "" {
			p.origin = name
		}
		t.links[l] = p
	}
	return p
}

func (t *plainTransport) Start(h endpoint.Host) error {
	opened, receive, closed := h.Opened, h.Receive, h.Closed
	h.Opened = func(l endpoint.Link) error { return opened(t.wrap(l)) }
	h.Receive = func(l endpoint.Link, body []byte) error { return receive(t.wrap(l), body) }
	h.Closed = func(l endpoint.Link) {
		p := t.wrap(l)
		t.mu.Lock()
		delete(t.links, l)
		t.mu.Unlock()
		closed(p)
	}
	return t.Transport.Start(h)
}

func (t *plainTransport) Dial(ctx context.Context, addr endpoint.Address) (endpoint.Link, error) {
	t.w.mu.Lock()
	t.w.dialled[t.name] = addr
	t.w.mu.Unlock()
	l, err := t.Transport.Dial(ctx, addr.Base())
	if err != nil {
		return nil, err
	}
	return t.wrap(l), nil
}

// bubble runs a test in virtual time, over links of both kinds.
func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	for name, plain := range map[string]bool{"juxta": false, "jxse": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, newWorld(t, plain)) })
		})
	}
}

// within waits until a condition holds, and fails if it does not in time.
func within(t testing.TB, d time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	for !ok() {
		if time.Since(begin) > d {
			t.Fatalf("not within %v: %s", d, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(begin)
}
