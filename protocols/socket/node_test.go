package socket

import (
	"context"
	"crypto/sha1"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/transport/tcp"
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
	adv   *advertisements.Peer
	ep    *endpoint.Endpoint
	rt    *routing.Router
	pipes *pipe.Service
	s     *Service
	stop  func()
}

type nodeConfig struct {
	net    *memory.Network
	tcp    bool    // over loopback instead
	near   []*node // neighbours; without seeds
	seed   *node   // the rendezvous of an edge
	leads  bool    // a rendezvous
	secure bool    // with a key, and a way that is encrypted from end to end
}

func newNode(t testing.TB, name string, cfg nodeConfig) *node {
	t.Helper()
	n := &node{t: t, name: name, id: id.PeerFromSeed(id.NetGroup, []byte(name))}
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
	if cfg.tcp {
		must(n.ep.Add(tcp.New(tcp.Config{Listen: []string{"127.0.0.1:0"}})))
	} else {
		must(n.ep.Add(cfg.net.Transport(memory.TransportConfig{Name: name})))
	}
	scope := n.ep.Scope(id.NetGroup)
	route := func() *advertisements.Route {
		return &advertisements.Route{Dest: n.id, Addresses: n.ep.Addresses()}
	}
	n.rt, err = routing.New(routing.Config{Scope: scope, Self: route})
	must(err)
	var sec *secure.Service
	if cfg.secure {
		sec, err = secure.New(secure.Config{Scope: scope, Identity: own})
		must(err)
	}
	n.adv = &advertisements.Peer{ID: n.id, Group: id.NetGroup, Name: name}
	n.adv.SetRendezvous(cfg.leads)
	must(n.adv.SetRoute(route()))
	role := rendezvous.AdHoc
	switch {
	case cfg.leads:
		role = rendezvous.Rendezvous
	case cfg.seed != nil:
		role = rendezvous.Edge
	}
	self := func() *advertisements.Peer { return n.adv }
	rdv, err := rendezvous.New(rendezvous.Config{
		Connect: n.rt.Connect, Learn: n.rt.Learn, Hear: n.rt.Hear, Scope: scope, Role: role, Advertisement: self,
		Seeds: func() []endpoint.Address {
			if cfg.seed == nil {
				return nil
			}
			return cfg.seed.ep.Addresses()
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
	res, err := resolver.New(resolver.Config{Scope: scope, Rendezvous: rdv, Route: route, Learn: n.rt.Learn, Hear: n.rt.Hear})
	must(err)
	must(n.rt.Ask(context.Background(), res))
	n.pipes, err = pipe.New(pipe.Config{Scope: scope, Resolver: res, Self: self, Learn: n.rt.Learn, Secure: cfg.secure})
	must(err)
	n.s, err = New(Config{Scope: scope, Pipes: n.pipes, Self: self, Learn: n.rt.Learn, Secure: cfg.secure})
	must(err)
	stopped := false
	n.stop = func() {
		if stopped {
			return
		}
		stopped = true
		n.s.Close()
		n.pipes.Close()
		res.Close()
		rdv.Close()
		if sec != nil {
			sec.Close()
		}
		n.rt.Close()
		if err := n.ep.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(n.stop)
	for _, o := range cfg.near {
		_, err := n.ep.Dial(t.Context(), o.ep.Addresses()[0])
		must(err)
	}
	if cfg.seed != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		must(rdv.WaitConnected(ctx))
	}
	return n
}

// pair is two peers with a link, over memory or TCP.
func pair(t testing.TB, over string) (a, b *node) {
	t.Helper()
	cfg := nodeConfig{tcp: over == "tcp" || over == "tls", secure: over == "tls" || over == "secure"}
	if !cfg.tcp {
		cfg.net = memory.New(memory.Config{})
	}
	a = newNode(t, "a", cfg)
	cfg.near = []*node{a}
	return a, newNode(t, "b", cfg)
}

func unicast(name string) *advertisements.Pipe { return named(name, advertisements.Unicast) }

func named(name string, t advertisements.PipeType) *advertisements.Pipe {
	seed := sha1.Sum([]byte(name))
	return &advertisements.Pipe{ID: id.PipeFromSeed(id.NetGroup, seed[:]), Type: t, Name: name}
}

func (n *node) listen(adv *advertisements.Pipe, cfg ListenConfig) *Listener {
	n.t.Helper()
	l, err := n.s.ListenWith(n.t.Context(), adv, cfg)
	if err != nil {
		n.t.Fatalf("%s: %v", n.name, err)
	}
	return l
}

func (n *node) dial(adv *advertisements.Pipe, cfg DialConfig) *Conn {
	n.t.Helper()
	c, err := n.s.DialWith(n.t.Context(), adv, cfg)
	if err != nil {
		n.t.Fatalf("%s: %v", n.name, err)
	}
	return c
}

func (l *Listener) accept(t testing.TB) *Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := l.AcceptConn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// conns connects two peers.
func conns(t testing.TB, a, b *node, name string, cfg DialConfig) (dialled, accepted *Conn) {
	t.Helper()
	adv := unicast(name)
	l := a.listen(adv, ListenConfig{})
	defer l.Close()
	dialled = b.dial(adv, cfg)
	return dialled, l.accept(t)
}

// java connects two peers that take each other for JXSE peers.
func java(t testing.TB, a, b *node, stream bool) (x, y *Conn) {
	t.Helper()
	adv := unicast("java")
	x, err := a.s.newConn(adv)
	if err == nil {
		y, err = b.s.newConn(adv)
	}
	if err == nil {
		err = x.connect(&hello{Pipe: y.pipe(), Stream: stream}, b.id, true)
	}
	if err == nil {
		err = y.connect(&hello{Pipe: x.pipe(), Stream: stream}, a.id, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	return x, y
}

func want(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}

func write(t testing.TB, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

// read returns the next n octets.
func read(t testing.TB, r io.Reader, n int) string {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// pattern is octets that show where they belong.
type pattern struct{ at, end int64 }

func (p *pattern) Read(b []byte) (int, error) {
	if p.at == p.end {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), p.end-p.at))
	for i := range n {
		b[i] = octetAt(p.at + int64(i))
	}
	p.at += int64(n)
	return n, nil
}

func octetAt(i int64) byte { return byte(i*7 + i>>8*13 + i>>16*31) }
