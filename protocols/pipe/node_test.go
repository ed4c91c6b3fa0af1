package pipe_test

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/routing"
	"github.com/juxta-p2p/juxta/protocols/secure"
)

// node is a peer as far as this package needs one.
type node struct {
	t     testing.TB
	name  string
	id    id.Peer
	ep    *endpoint.Endpoint
	rt    *routing.Router
	rdv   *rendezvous.Service
	res   *resolver.Service
	pipes *pipe.Service
	sec   *secure.Service
	stop  func()
}

type nodeConfig struct {
	role      rendezvous.Role
	seeds     []*node
	near      []*node
	segment   string
	original  bool               // as one of JXSE looks to others
	transport endpoint.Transport // instead of the memory network
	pipes     pipe.Config        // limits
	bare      bool               // without pipe service
	secure    bool               // with a key, and a way that is encrypted from end to end
}

func peerID(name string) id.Peer { return id.PeerFromSeed(id.NetGroup, []byte(name)) }

func newNode(t testing.TB, net *memory.Network, name string, cfg nodeConfig) *node {
	t.Helper()
	n := &node{t: t, name: name, id: peerID(name)}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	var err error
	var own *identity.Identity
	if cfg.secure {
		own, err = identity.New(identity.Ed25519)
		must(err)
		n.id = own.Peer()
	}
	n.ep, err = endpoint.New(endpoint.Config{Peer: n.id, Identity: own})
	must(err)
	if cfg.transport == nil {
		cfg.transport = net.Transport(memory.TransportConfig{Name: name, Segment: cfg.segment, Original: cfg.original})
	}
	must(n.ep.Add(cfg.transport))
	scope := n.ep.Scope(id.NetGroup)
	self := func() *advertisements.Route {
		return &advertisements.Route{Dest: n.id, Addresses: n.ep.Addresses()}
	}
	n.rt, err = routing.New(routing.Config{Scope: scope, Self: self})
	must(err)
	if cfg.secure {
		n.sec, err = secure.New(secure.Config{Scope: scope, Identity: own})
		must(err)
		cfg.pipes.Secure = true
	}
	adv := &advertisements.Peer{ID: n.id, Group: id.NetGroup, Name: name}
	adv.SetRendezvous(cfg.role == rendezvous.Rendezvous)
	must(adv.SetRoute(self()))
	n.rdv, err = rendezvous.New(rendezvous.Config{
		Connect: n.rt.Connect, Learn: n.rt.Learn, Hear: n.rt.Hear,
		Scope: scope, Role: cfg.role, Advertisement: func() *advertisements.Peer { return adv },
		Seeds: func() []endpoint.Address {
			var all []endpoint.Address
			for _, s := range cfg.seeds {
				all = append(all, s.ep.Addresses()...)
			}
			return all
		},
		Near: func() []id.Peer {
			var all []id.Peer
			for _, o := range cfg.near {
				all = append(all, o.id)
			}
			return all
		},
		Met: func(adv *advertisements.Peer, _ time.Duration) {
			if r, ok := adv.Route(); ok {
				n.rt.Learn(r)
			}
		},
	})
	must(err)
	n.res, err = resolver.New(resolver.Config{Scope: scope, Rendezvous: n.rdv, Route: self, Learn: n.rt.Learn, Hear: n.rt.Hear})
	must(err)
	must(n.rt.Ask(context.Background(), n.res))
	pc := cfg.pipes
	pc.Scope, pc.Resolver = scope, n.res
	pc.Self = func() *advertisements.Peer { return adv }
	pc.Learn = n.rt.Learn
	if !cfg.bare {
		n.pipes, err = pipe.New(pc)
		must(err)
	}
	stopped := false
	n.stop = func() {
		if stopped {
			return
		}
		stopped = true
		if n.pipes != nil {
			n.pipes.Close()
		}
		n.res.Close()
		n.rdv.Close()
		if n.sec != nil {
			n.sec.Close()
		}
		n.rt.Close()
		if err := n.ep.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(n.stop)
	return n
}

// kill ends the peer without goodbye.
func (n *node) kill() { _ = n.ep.Close() }

// leased waits until the edge has a lease.
func (n *node) leased() *node {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := n.rdv.WaitConnected(ctx); err != nil {
		n.t.Fatalf("%s: %v", n.name, err)
	}
	return n
}

func (n *node) listen(adv *advertisements.Pipe) *pipe.Input {
	n.t.Helper()
	in, err := n.pipes.Listen(n.t.Context(), adv)
	if err != nil {
		n.t.Fatalf("%s: %v", n.name, err)
	}
	return in
}

func (n *node) dial(adv *advertisements.Pipe, peers ...id.Peer) *pipe.Output {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), time.Minute)
	defer cancel()
	out, err := n.pipes.DialPeers(ctx, adv, peers...)
	if err != nil {
		n.t.Fatalf("%s: %v", n.name, err)
	}
	return out
}

func send(t testing.TB, out *pipe.Output, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := out.Send(ctx, line(text)); err != nil {
		t.Fatal(err)
	}
}

func line(s string) *message.Message { return message.New(message.Text("", "line", s)) }

// receive returns the next message's line, or "-" if none comes within a while.
func receive(t testing.TB, in *pipe.Input) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	m, err := in.Receive(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return "-"
	}
	if err != nil {
		t.Fatal(err)
	}
	return m.Text("", "line")
}

// drain returns the lines that are there and come within some seconds.
func drain(t testing.TB, in *pipe.Input) (all []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for m, err := range in.Messages(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m.Text("", "line"))
	}
	return all
}

func want(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}

func unicast(name string) *advertisements.Pipe { return named(name, advertisements.Unicast) }

func propagate(name string) *advertisements.Pipe { return named(name, advertisements.Propagate) }

func named(name string, t advertisements.PipeType) *advertisements.Pipe {
	seed := sha1.Sum([]byte(name)) // of the name itself only the beginning would count
	return &advertisements.Pipe{ID: id.PipeFromSeed(id.NetGroup, seed[:]), Type: t, Name: name}
}

// network is a rendezvous with edges.
func network(t testing.TB, net *memory.Network, edges ...string) (*node, []*node) {
	t.Helper()
	r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
	var all []*node
	for _, name := range edges {
		all = append(all, newNode(t, net, name, nodeConfig{seeds: []*node{r}}).leased())
	}
	return r, all
}

func contextFor(t testing.TB, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}
