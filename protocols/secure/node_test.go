package secure

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/routing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is a peer as far as this package needs one.
type node struct {
	t    testing.TB
	name string
	own  *identity.Identity
	id   id.Peer
	ep   *endpoint.Endpoint
	rt   *routing.Router
	sec  *Service
	net  *memory.Network

	mu   sync.Mutex
	lost []Loss
	once sync.Once
}

func newNode(t testing.TB, net *memory.Network, name string) *node {
	return startNode(t, net, name, newIdentity(t), Config{})
}

func newIdentity(t testing.TB) *identity.Identity {
	t.Helper()
	i, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func startNode(t testing.TB, net *memory.Network, name string, own *identity.Identity, cfg Config) *node {
	return startOver(t, net, name, own, cfg, net.Transport(memory.TransportConfig{Name: name}))
}

func startOver(
	t testing.TB, net *memory.Network, name string, own *identity.Identity, cfg Config, transport endpoint.Transport,
) *node {
	t.Helper()
	n := &node{t: t, name: name, own: own, id: id.PeerFromSeed(id.NetGroup, []byte(name)), net: net}
	if own != nil {
		n.id = own.Peer()
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	var err error
	n.ep, err = endpoint.New(endpoint.Config{Peer: n.id})
	must(err)
	must(n.ep.Add(transport))
	scope := n.ep.Scope(id.NetGroup)
	n.rt, err = routing.New(routing.Config{Scope: scope, Self: func() *advertisements.Route {
		return &advertisements.Route{Dest: n.id, Addresses: n.ep.Addresses()}
	}})
	must(err)
	cfg.Scope = scope
	if cfg.Identity == nil {
		cfg.Identity = own
	}
	cfg.Lost = func(l Loss) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.lost = append(n.lost, l)
	}
	n.sec, err = New(cfg)
	must(err)
	t.Cleanup(n.stop)
	return n
}

func (n *node) stop() {
	n.once.Do(func() {
		n.sec.Close()
		n.rt.Close()
		if err := n.ep.Close(); err != nil {
			n.t.Error(err)
		}
	})
}

// kill takes the peer off the network and ends it without goodbye.
func (n *node) kill() {
	n.net.Crash(n.name)
	n.stop()
}

func (n *node) losses() []Loss {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]Loss(nil), n.lost...)
}

func (n *node) scope() endpoint.Scope { return n.ep.Scope(id.NetGroup) }

// knows tells the node how to reach another one: directly, or through hops.
func (n *node) knows(o *node, hops ...*node) {
	r := &advertisements.Route{Dest: o.id}
	if len(hops) == 0 {
		r.Addresses = o.ep.Addresses()
	}
	for _, h := range hops {
		r.Hops = append(r.Hops, advertisements.AccessPoint{Peer: h.id, Addresses: h.ep.Addresses()})
	}
	n.rt.Learn(r)
}

// inbox collects what comes to a service.
type inbox struct {
	c chan endpoint.Incoming
}

func (n *node) listen(service string) *inbox {
	n.t.Helper()
	b := &inbox{make(chan endpoint.Incoming, 10_000)}
	if _, err := n.scope().Handle(service, "", func(_ context.Context, in endpoint.Incoming) { b.c <- in }); err != nil {
		n.t.Fatal(err)
	}
	return b
}

func (b *inbox) next(t testing.TB) endpoint.Incoming {
	t.Helper()
	select {
	case in := <-b.c:
		return in
	case <-time.After(time.Minute):
		t.Fatal("nothing came")
		return endpoint.Incoming{}
	}
}

func (b *inbox) line(t testing.TB) string { t.Helper(); return b.next(t).Message.Text("", "line") }

func (n *node) send(to *node, service, text string) {
	n.t.Helper()
	if err := n.try(to, service, text, time.Minute); err != nil {
		n.t.Fatalf("%s: %v", n.name, err)
	}
}

func (n *node) try(to *node, service, text string, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return n.scope().SendSecure(ctx, to.id, service, "", line(text))
}

func (n *node) flush(to *node) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := n.sec.Flush(ctx, to.id); err != nil {
		n.t.Fatalf("%s: %v", n.name, err)
	}
}

func line(s string) *message.Message { return message.New(message.Text("", "line", s)) }

func want(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}
