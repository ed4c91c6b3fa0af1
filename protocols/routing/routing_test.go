package routing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/framing"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// node is a peer with a router, and a service "svc" that keeps what it gets.
type node struct {
	name string
	id   id.Peer
	ep   *endpoint.Endpoint
	r    *Router
	rdv  *rendezvous.Service
	got  chan endpoint.Incoming
}

type nodeConfig struct {
	peer  id.Peer
	deaf  bool
	role  rendezvous.Role
	seeds []string
	also  endpoint.Transport // beside that of the network
	cfg   Config             // but for Scope and Self
}

func newNode(t testing.TB, net *memory.Network, name string, cfg nodeConfig) *node {
	t.Helper()
	n := &node{name: name, id: cfg.peer, got: make(chan endpoint.Incoming, 100)}
	if n.id.IsZero() {
		n.id = id.PeerFromSeed(id.NetGroup, []byte(name))
	}
	var err error
	check := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	n.ep, err = endpoint.New(endpoint.Config{Peer: n.id})
	check()
	err = n.ep.Add(net.Transport(memory.TransportConfig{Name: name, Deaf: cfg.deaf}))
	check()
	scope := n.ep.Scope(id.NetGroup)
	if cfg.also != nil {
		err = n.ep.Add(cfg.also)
		check()
	}
	cfg.cfg.Scope, cfg.cfg.Self = scope, n.route
	n.r, err = New(cfg.cfg)
	check()
	n.rdv, err = rendezvous.New(rendezvous.Config{
		Scope: scope, Role: cfg.role,
		Advertisement: func() *advertisements.Peer {
			adv := &advertisements.Peer{ID: n.id, Group: id.NetGroup, Name: name}
			if err := adv.SetRoute(n.route()); err != nil {
				t.Error(err)
			}
			return adv
		},
		Seeds: func() (all []endpoint.Address) {
			for _, s := range cfg.seeds {
				all = append(all, mem(s))
			}
			return all
		},
	})
	check()
	res, err := resolver.New(resolver.Config{Scope: scope, Rendezvous: n.rdv, Route: n.route, Learn: n.r.Learn})
	check()
	ctx, cancel := context.WithCancel(context.Background())
	err = n.r.Ask(ctx, res)
	check()
	_, err = scope.Handle("svc", "", func(_ context.Context, in endpoint.Incoming) { n.got <- in })
	check()
	t.Cleanup(func() {
		cancel()
		res.Close()
		n.rdv.Close()
		n.r.Close()
		if err := n.ep.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func mem(name string) endpoint.Address { return endpoint.MustParseAddress("mem://" + name) }

func (n *node) route() *advertisements.Route {
	return &advertisements.Route{Dest: n.id, Addresses: n.ep.Addresses()}
}

func (n *node) send(ctx context.Context, to *node, text string) error {
	return n.ep.Scope(id.NetGroup).Send(ctx, to.id, "svc", "p", message.New(message.Text("", "t", text)))
}

func (n *node) dial(t *testing.T, to *node) {
	t.Helper()
	if _, err := n.ep.Dial(t.Context(), mem(to.name)); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func (n *node) want(t *testing.T, from *node, text string) endpoint.Incoming {
	t.Helper()
	synctest.Wait()
	select {
	case in := <-n.got:
		if got := in.Message.Text("", "t"); got != text || in.From != from.id {
			t.Fatalf("%s got %q from %s, want %q from %s", n.name, got, in.From.Short(), text, from.name)
		}
		if in.Message.Len() != 1 {
			t.Fatalf("%d elements are left in the message", in.Message.Len())
		}
		return in
	default:
		t.Fatalf("%s got nothing", n.name)
	}
	return endpoint.Incoming{}
}

func TestSendDialsAKnownAddressAndTheAnswerComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a, b := newNode(t, net, "a", nodeConfig{}), newNode(t, net, "b", nodeConfig{})
		a.r.Learn(b.route())
		if err := a.send(t.Context(), b, "ping"); err != nil {
			t.Fatal(err)
		}
		in := b.want(t, a, "ping")
		if want := endpoint.PeerAddress(a.id, "", ""); in.Source != want || in.Dest.Service != "svc" || in.Dest.Param != "p" {
			t.Fatalf("source %s, destination %s", in.Source, in.Dest)
		}
		// b learned the way to a from the message.
		if err := b.send(t.Context(), a, "pong"); err != nil {
			t.Fatal(err)
		}
		a.want(t, b, "pong")
		for _, l := range a.ep.Links() {
			_ = l.Close()
		}
		synctest.Wait()
		if err := b.send(t.Context(), a, "again"); err != nil {
			t.Fatalf("after the link broke: %v", err)
		}
		a.want(t, b, "again")
	})
}

func TestSendTellsWhatWasTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a := newNode(t, net, "a", nodeConfig{})
		gone := id.PeerFromSeed(id.NetGroup, []byte("gone"))
		err := a.ep.Scope(id.NetGroup).Send(t.Context(), gone, "svc", "p", message.New(message.Text("", "t", "x")))
		if !errors.Is(err, endpoint.ErrNoRoute) || !strings.Contains(err.Error(), "nobody to ask") {
			t.Fatalf("got %v", err)
		}
		a.r.Learn(&advertisements.Route{Dest: gone, Addresses: []endpoint.Address{mem("nowhere")}})
		err = a.ep.Scope(id.NetGroup).Send(t.Context(), gone, "svc", "p", message.New(message.Text("", "t", "x")))
		var de *endpoint.DialError
		if !errors.As(err, &de) || de.Phase != endpoint.PhaseConnect || !errors.Is(err, endpoint.ErrNoRoute) {
			t.Fatalf("got %v", err)
		}
	})
}

func TestMessagesPassThroughAPeerBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a, m, b := newNode(t, net, "a", nodeConfig{deaf: true}), newNode(t, net, "m", nodeConfig{}), newNode(t, net, "b", nodeConfig{deaf: true})
		a.dial(t, m)
		b.dial(t, m)
		a.r.Learn(&advertisements.Route{Dest: b.id, Hops: []advertisements.AccessPoint{{Peer: m.id}}})
		if err := a.send(t.Context(), b, "over m"); err != nil {
			t.Fatal(err)
		}
		b.want(t, a, "over m")
		// The way back was learned from Rvs.
		if err := b.send(t.Context(), a, "back"); err != nil {
			t.Fatal(err)
		}
		a.want(t, b, "back")
		if s := m.r.Stats(); s.Forwarded != 2 || s.Delivered != 0 {
			t.Fatalf("stats of the peer between: %+v", s)
		}
	})
}

func TestARouteThatNobodyHasIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		a := newNode(t, net, "a", nodeConfig{seeds: []string{"r"}, deaf: true})
		b := newNode(t, net, "b", nodeConfig{seeds: []string{"r"}, deaf: true})
		time.Sleep(time.Second)
		start := time.Now()
		if err := a.send(t.Context(), b, "found"); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d > 100*time.Millisecond {
			t.Fatalf("it took %v", d)
		}
		time.Sleep(10 * time.Millisecond)
		b.want(t, a, "found")
	})
}

func TestSendGivesUpWhenNobodyKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		a := newNode(t, net, "a", nodeConfig{seeds: []string{"r"}})
		time.Sleep(time.Second)
		start := time.Now()
		gone := &node{id: id.PeerFromSeed(id.NetGroup, []byte("gone"))}
		err := a.send(t.Context(), gone, "x")
		if !errors.Is(err, endpoint.ErrNoRoute) || time.Since(start) != searchTimeout {
			t.Fatalf("after %v: %v", time.Since(start), err)
		}
	})
}

// TestForwardLikeJXSE replays a recording: our router in the place of the
// forwarding peer must write what it wrote.
func TestForwardLikeJXSE(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hop1, hop2 := recording(t, "tcp-package-routed-hop1"), recording(t, "tcp-package-routed-hop2")
		in, want := headerOf(t, hop1), headerOf(t, hop2)
		src, _ := in.Src.Peer()
		dest, _ := in.Dest.Peer()
		net := memory.New(memory.Config{})
		alpha := newNode(t, net, "alpha", nodeConfig{peer: in.Fwd[0]})
		beta := newNode(t, net, "beta", nodeConfig{peer: src})
		var got *message.Message
		gamma, err := endpoint.New(endpoint.Config{Peer: dest})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = gamma.Close() }()
		if err := gamma.Add(net.Transport(memory.TransportConfig{Name: "gamma"})); err != nil {
			t.Fatal(err)
		}
		if _, err := gamma.Scope(id.NetGroup).Handle(service, "", func(_ context.Context, in endpoint.Incoming) {
			if h := headerOf(t, in.Message); h.Src == endpoint.PeerAddress(src, "", "") {
				got = in.Message
			}
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := gamma.Dial(t.Context(), mem("alpha")); err != nil {
			t.Fatal(err)
		}
		l, err := beta.ep.Dial(t.Context(), mem("alpha"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"EndpointSourceAddress", "EndpointDestinationAddress"} {
			hop1.Remove(message.Platform, name)
			hop2.Remove(message.Platform, name)
		}
		if err := beta.ep.SendOn(t.Context(), l, alpha.r.hop(), hop1); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got == nil {
			t.Fatal("nothing was forwarded")
		}
		h := headerOf(t, got)
		if h.Src != want.Src || h.Dest != want.Dest || h.Last != want.Last || fmt.Sprint(h.Fwd, h.Rvs) != fmt.Sprint(want.Fwd, want.Rvs) {
			t.Fatalf("router document\n%+v, want\n%+v", h, want)
		}
		var names, wantNames []string
		for e := range got.All() {
			names = append(names, e.Namespace+":"+e.Name)
		}
		for e := range hop2.All() {
			wantNames = append(wantNames, e.Namespace+":"+e.Name)
		}
		if fmt.Sprint(names) != fmt.Sprint(wantNames) {
			t.Fatalf("elements %v, want %v", names, wantNames)
		}
	})
}

func TestHostileRouterDocuments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		evil, v, other := newNode(t, net, "evil", nodeConfig{}), newNode(t, net, "v", nodeConfig{}), newNode(t, net, "other", nodeConfig{})
		l, err := evil.ep.Dial(t.Context(), mem("v"))
		if err != nil {
			t.Fatal(err)
		}
		other.dial(t, v)
		at := func(n *node) endpoint.Address { return endpoint.PeerAddress(n.id, "", "") }
		dest := endpoint.PeerAddress(v.id, "svc", "p")
		for name, h := range map[string]header{
			"last is not the neighbour":       {Src: at(evil), Dest: dest, Last: at(other)},
			"from the receiver itself":        {Src: at(v), Dest: dest, Last: at(evil)},
			"passed the receiver before":      {Src: at(evil), Dest: at(other).With("svc", "p"), Last: at(evil), Rvs: []id.Peer{v.id}},
			"originator that is no peer":      {Src: mem("x"), Dest: dest, Last: at(evil)},
			"destination that is unreachable": {Src: at(evil), Dest: endpoint.PeerAddress(id.NewPeer(id.NetGroup), "svc", "p"), Last: at(evil)},
		} {
			doc, err := xmldoc.Marshal(&h)
			if err != nil {
				t.Fatal(err)
			}
			msg := message.New(message.Text("", "t", name), message.XML(message.Platform, elemHeader, doc))
			if err := evil.ep.SendOn(t.Context(), l, v.r.hop(), msg); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
			for _, n := range []*node{v, other} {
				select {
				case in := <-n.got:
					t.Errorf("%s: delivered %q", name, in.Message.Text("", "t"))
				default:
				}
			}
		}
		// A route of a third peer is not believed.
		lie := &advertisements.Route{Dest: other.id, Addresses: []endpoint.Address{mem("trap")}}
		doc, err := xmldoc.Marshal(&header{Src: at(evil), Dest: dest, Last: at(evil), Route: lie})
		if err != nil {
			t.Fatal(err)
		}
		if err := evil.ep.SendOn(t.Context(), l, v.r.hop(), message.New(message.Text("", "t", "lie"), message.XML(message.Platform, elemHeader, doc))); err != nil {
			t.Fatal(err)
		}
		v.want(t, evil, "lie")
		for _, i := range v.r.Routes() {
			for _, a := range i.Addresses {
				if a == mem("trap") {
					t.Fatal("a forged route was taken")
				}
			}
		}
	})
}

func TestRecordedDocuments(t *testing.T) {
	for name, d := range map[string]interface {
		xmldoc.Document
		check() bool
	}{
		"tcp-package-route-query":    &query{},
		"tcp-package-route-response": &response{},
		"tcp-package-route-nack":     &response{},
	} {
		msg := recording(t, name)
		var body string
		for e := range msg.All() {
			switch {
			case strings.HasSuffix(e.Name, "ORes"):
				q := &resolver.RawQuery{}
				if err := xmldoc.Unmarshal(e.Body, q); err != nil {
					t.Fatal(err)
				}
				body = q.Body
			case strings.HasSuffix(e.Name, "IRes"):
				r := &resolver.RawResponse{}
				if err := xmldoc.Unmarshal(e.Body, r); err != nil {
					t.Fatal(err)
				}
				body = r.Body
			}
		}
		if err := xmldoc.Unmarshal([]byte(body), d); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, body)
		}
		if !d.check() {
			t.Errorf("%s: read as %+v", name, d)
		}
		again, err := xmldoc.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := xmldoc.ParseNode([]byte(body))
		b, _ := xmldoc.ParseNode(again)
		if a.Name() != b.Name() {
			t.Errorf("%s: printed as %s", name, again)
		}
	}
}

func (q *query) check() bool    { return !q.Dest.IsZero() && !q.Src.Dest.IsZero() }
func (r *response) check() bool { return !r.Dest.Dest.IsZero() && !r.Src.Dest.IsZero() }

func recording(t testing.TB, name string) *message.Message {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".bin"))
	if err != nil {
		t.Fatal(err)
	}
	_, body, err := framing.ParseHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := message.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func headerOf(t testing.TB, m *message.Message) *header {
	t.Helper()
	e, _ := m.Get(message.Platform, elemHeader)
	h := &header{}
	if err := xmldoc.Unmarshal(e.Body, h); err != nil {
		t.Fatal(err)
	}
	return h
}

func FuzzHeader(f *testing.F) {
	for _, name := range []string{"tcp-package-routed-hop1", "tcp-package-routed-hop2"} {
		e, _ := recording(f, name).Get(message.Platform, elemHeader)
		f.Add(e.Body)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h := &header{}
		if xmldoc.Unmarshal(b, h) != nil {
			return
		}
		doc, err := xmldoc.Marshal(h)
		if err != nil {
			t.Fatalf("what was read cannot be printed: %v", err)
		}
		again := &header{}
		if err := xmldoc.Unmarshal(doc, again); err != nil || again.Src != h.Src || again.Dest != h.Dest || fmt.Sprint(again.Fwd, again.Rvs) != fmt.Sprint(h.Fwd, h.Rvs) {
			t.Fatalf("%v: read again as %+v, was %+v", err, again, h)
		}
	})
}

func FuzzQueryAndResponse(f *testing.F) {
	for _, name := range []string{"tcp-package-route-query", "tcp-package-route-response", "tcp-package-route-nack"} {
		for e := range recording(f, name).All() {
			q, r := &resolver.RawQuery{}, &resolver.RawResponse{}
			if xmldoc.Unmarshal(e.Body, q) == nil {
				f.Add([]byte(q.Body))
			}
			if xmldoc.Unmarshal(e.Body, r) == nil {
				f.Add([]byte(r.Body))
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, d := range []func() xmldoc.Document{
			func() xmldoc.Document { return &query{} }, func() xmldoc.Document { return &response{} },
		} {
			read := d()
			if xmldoc.Unmarshal(b, read) != nil {
				continue
			}
			doc, err := xmldoc.Marshal(read)
			if err != nil {
				t.Fatalf("what was read cannot be printed: %v", err)
			}
			if err := xmldoc.Unmarshal(doc, d()); err != nil {
				t.Fatalf("what was printed cannot be read: %v\n%s", err, doc)
			}
		}
	})
}
