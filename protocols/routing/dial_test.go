package routing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// site is what is at an address: after a time a peer answers, or the attempt fails,
// or nothing ever happens.
type site struct {
	after time.Duration
	peer  id.Peer
	phase endpoint.Phase // if nobody answers; "" for silence
}

// world is a transport of several protocols to sites. It notes who is dialled when.
type world struct {
	sink
	serves []string
	sites  map[string]site

	mu    sync.Mutex
	start time.Time
	log   []string
}

func (w *world) Protocol() string            { return w.serves[0] }
func (w *world) Serves(protocol string) bool { return slices.Contains(w.serves, protocol) }

func (w *world) Dial(ctx context.Context, a endpoint.Address) (endpoint.Link, error) {
	w.mu.Lock()
	w.log = append(w.log, fmt.Sprintf("%v %s", time.Since(w.start).Round(time.Millisecond), a))
	w.mu.Unlock()
	s := w.sites[a.String()]
	if s == (site{}) {
		s.after = time.Hour
	}
	select {
	case <-time.After(s.after):
	case <-ctx.Done():
		return nil, &endpoint.DialError{Addr: a, Phase: endpoint.PhaseConnect, Err: context.Cause(ctx)}
	}
	if s.peer.IsZero() {
		return nil, &endpoint.DialError{Addr: a, Phase: s.phase, Err: errors.New("no")}
	}
	l := &sinkLink{peer: s.peer, at: a}
	return l, w.host.Opened(l)
}

// dials returns the addresses that were dialled since the last call, and when.
func (w *world) dials() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	log := w.log
	w.log, w.start = nil, time.Now()
	return log
}

func addresses(texts ...string) (all []endpoint.Address) {
	for _, s := range texts {
		all = append(all, endpoint.MustParseAddress(s))
	}
	return all
}

// TestAddressesAreDialledSideBySide: each with a head start of 250 ms, the next at
// once when all before have failed; HTTP last; TLS before TCP at the same port, and
// TCP not at all where TLS found another peer or the port does not answer.
func TestAddressesAreDialledSideBySide(t *testing.T) {
	b, other := seeded("b"), seeded("other")
	refused, odd, wrong := site{phase: endpoint.PhaseConnect, after: time.Millisecond}, site{phase: endpoint.PhaseHandshake, after: time.Millisecond}, site{peer: other, after: time.Millisecond}
	good := site{peer: b, after: 10 * time.Millisecond}
	for _, c := range []struct {
		what  string
		known string
		sites map[string]site
		want  string
		took  time.Duration
		lost  bool
	}{
		{"the third answers", "tcp://10.0.0.1:1 tcp://10.0.0.2:1 tcp://10.0.0.3:1 tcp://10.0.0.4:1", map[string]site{"tcp://10.0.0.3:1": good},
			"0s tcp://10.0.0.1:1, 250ms tcp://10.0.0.2:1, 500ms tcp://10.0.0.3:1", 510 * time.Millisecond, false},
		{"the first is slow", "tcp://10.0.0.1:1 tcp://10.0.0.2:1", map[string]site{"tcp://10.0.0.1:1": {peer: b, after: 400 * time.Millisecond}},
			"0s tcp://10.0.0.1:1, 250ms tcp://10.0.0.2:1", 400 * time.Millisecond, false},
		{"failures do not wait", "tcp://10.0.0.1:1 tcp://10.0.0.2:1 tcp://10.0.0.3:1", map[string]site{"tcp://10.0.0.1:1": refused, "tcp://10.0.0.2:1": refused, "tcp://10.0.0.3:1": good},
			"0s tcp://10.0.0.1:1, 1ms tcp://10.0.0.2:1, 2ms tcp://10.0.0.3:1", 12 * time.Millisecond, false},
		{"HTTP comes last", "http://10.0.0.1:1 tcp://10.0.0.1:2 quic://10.0.0.1:3", map[string]site{"tcp://10.0.0.1:2": refused, "quic://10.0.0.1:3": refused, "http://10.0.0.1:1": good},
			"0s tcp://10.0.0.1:2, 1ms quic://10.0.0.1:3, 2ms http://10.0.0.1:1", 12 * time.Millisecond, false},
		{"TLS is not spoken there", "tcp://10.0.0.1:1 tls://10.0.0.1:1", map[string]site{"tls://10.0.0.1:1": odd, "tcp://10.0.0.1:1": good},
			"0s tls://10.0.0.1:1, 1ms tcp://10.0.0.1:1", 11 * time.Millisecond, false},
		{"another peer", "tcp://10.0.0.1:1 tls://10.0.0.1:1", map[string]site{"tls://10.0.0.1:1": wrong, "tcp://10.0.0.1:1": good},
			"0s tls://10.0.0.1:1", time.Millisecond, true},
		{"nobody", "tls://10.0.0.1:1 tcp://10.0.0.1:1 tls://10.0.0.2:1", map[string]site{"tls://10.0.0.1:1": refused, "tls://10.0.0.2:1": refused},
			"0s tls://10.0.0.1:1, 1ms tls://10.0.0.2:1", 2 * time.Millisecond, true},
		{"black holes", "tls://10.0.0.1:1 tcp://10.0.0.1:1 tcp://10.0.0.2:1 tcp://10.0.0.3:1 tcp://10.0.0.4:1", nil,
			"0s tls://10.0.0.1:1, 250ms tcp://10.0.0.2:1, 500ms tcp://10.0.0.3:1, 750ms tcp://10.0.0.4:1", 3750 * time.Millisecond, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &world{serves: []string{"tcp", "tls", "quic", "http"}, sites: c.sites}
			a := newNode(t, memory.New(memory.Config{}), "a", nodeConfig{also: w})
			a.r.Learn(&advertisements.Route{Dest: b, Addresses: addresses(strings.Fields(c.known)...)})
			w.dials()
			began := time.Now()
			err := a.send(endpoint.KnownWays(t.Context()), &node{id: b}, "x")
			took := time.Since(began)
			if got := strings.Join(w.dials(), ", "); got != c.want || took != c.took || (err != nil) != c.lost {
				t.Errorf("%s: dialled %s in %v, want %s in %v; %v", c.what, got, took, c.want, c.took, err)
			}
			if !c.lost {
				return
			}
			// The same again finds all of them at rest.
			began = time.Now()
			err = a.send(endpoint.KnownWays(t.Context()), &node{id: b}, "x")
			if got := w.dials(); len(got) > 0 || time.Since(began) > 0 || !errors.Is(err, endpoint.ErrNoRoute) {
				t.Errorf("%s: then dialled %v: %v", c.what, got, err)
			}
			time.Sleep(attemptPause)
			for _, l := range a.ep.Links() { // to the wrong peer, which would do
				w.host.Closed(l)
			}
			w.dials()
			_ = a.send(endpoint.KnownWays(t.Context()), &node{id: b}, "x")
			if got := w.dials(); strings.Join(got, ", ") != c.want {
				t.Errorf("%s: later dialled %v", c.what, got)
			}
		})
	}
}

// TestOrderOfPlaces: those of an IP version that this machine does not have, and
// link-local ones, after the others; zones are no obstacle.
func TestOrderOfPlaces(t *testing.T) {
	v4, v6 := "tcp://192.0.2.1:1", "tcp://[2001:db8::1]:1"
	local, zone := "tcp://[fe80::1]:1", "tcp://[fe80::1%eth0]:1"
	for _, c := range []struct{ own, known, want string }{
		{"", v6 + " " + v4, v6 + " " + v4},
		{v4, v6 + " " + v4, v4 + " " + v6},
		{v6, v4 + " " + v6, v6 + " " + v4},
		{v4 + " " + v6, v6 + " " + v4, v6 + " " + v4},
		{"tcp://127.0.0.1:1", v6 + " " + v4, v6 + " " + v4},
		{v4 + " " + zone, local + " " + zone + " " + v6 + " " + v4, v4 + " " + v6 + " " + local + " " + zone},
		{v4, "tcp://[::1]:1 tcp://example.net:1 http://192.0.2.9:1 " + v4, "tcp://[::1]:1 tcp://example.net:1 " + v4 + " http://192.0.2.9:1"},
	} {
		var got []string
		for _, p := range places(addresses(strings.Fields(c.known)...), addresses(strings.Fields(c.own)...)) {
			for _, a := range p {
				got = append(got, a.String())
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("at %s: %s, want %s", c.own, s, c.want)
		}
	}
	a := endpoint.MustParseAddress
	if !unspecified(a("tcp://[::%eth0]:1")) || !unspecified(a("tcp://[ff02::1%eth0]:1")) || unspecified(a(zone)) || !isLoopback(a("tcp://[::ffff:127.0.0.1]:1")) {
		t.Error("addresses of no use are not seen")
	}
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, memory.New(memory.Config{}), "a", nodeConfig{also: &world{serves: []string{"tcp"}}})
		if got := n.r.usable(addresses(zone, "tcp://[::1%lo]:1", "tcp://[fe80::1%eth0]:0", "tcp://0.0.0.0:1", "tcp://[fe80::1%eth0]:2/x/y")); fmt.Sprint(got) != "[tcp://[fe80::1%eth0]:1 tcp://[fe80::1%eth0]:2]" {
			t.Errorf("usable are %v", got)
		}
	})
}

// TestStrangersCauseFewDials: four a message, twenty a minute, one address once in
// five minutes. Own messages are not bounded so.
func TestStrangersCauseFewDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		w := &world{serves: []string{"tcp"}}
		v, k := newNode(t, net, "v", nodeConfig{also: w}), newKeeper(t, net, "k")
		l, err := k.ep.Dial(t.Context(), mem("v"))
		if err != nil {
			t.Fatal(err)
		}
		push := func(to int) int {
			t.Helper()
			w.dials()
			if err := k.ep.SendOn(t.Context(), l, v.r.hop(), routed(t, k.id, numbered(to), header{})); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			return len(w.dials())
		}
		for i := range 10 {
			var at []endpoint.Address
			for n := range 6 {
				at = append(at, endpoint.Address{Protocol: "tcp", Host: fmt.Sprintf("10.0.%d.%d:1", i, n)})
			}
			v.r.Hear(&advertisements.Route{Dest: numbered(i), Addresses: at})
		}
		for i := range 10 {
			if got, want := push(i), []int{4, 4, 4, 4, 4, 0, 0, 0, 0, 0}[i]; got != want {
				t.Errorf("message %d: %d dials, want %d", i, got, want)
			}
		}
		time.Sleep(strangerWindow)
		if got := push(0); got != 2 { // the other two of its six
			t.Errorf("after a minute %d dials", got)
		}
		if got := push(9); got != 4 {
			t.Errorf("of another %d dials", got)
		}
		time.Sleep(strangerAgain)
		if got := push(0); got != 4 {
			t.Errorf("after five minutes %d dials", got)
		}
		w.dials()
		for i := range 10 {
			_ = v.send(endpoint.KnownWays(t.Context()), &node{id: numbered(i)}, "own")
		}
		if got := len(w.dials()); got < 50 {
			t.Errorf("own messages: %d dials", got)
		}
		if s := v.r.Stats(); s.DeniedDials == 0 || s.DroppedNoRoute != 13 {
			t.Errorf("%+v", s)
		}
	})
}

// TestExplain: every address and hop with what came of it.
func TestExplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		b := seeded("b")
		w := &world{serves: []string{"tcp", "tls"}, sites: map[string]site{
			"tcp://10.0.0.1:1": {phase: endpoint.PhaseConnect, after: time.Millisecond},
			"tcp://10.0.0.2:1": {phase: endpoint.PhaseHandshake, after: time.Millisecond},
			"tls://10.0.0.3:1": {peer: seeded("other"), after: time.Millisecond},
		}}
		a := newNode(t, net, "a", nodeConfig{also: w})
		leads, knowsNot, silent := newNode(t, net, "leads", nodeConfig{}), newNode(t, net, "knows-not", nodeConfig{}), newKeeper(t, net, "silent")
		a.dial(t, leads)
		a.dial(t, knowsNot)
		a.dial(t, &node{name: "silent"})
		real := newNode(t, net, "b", nodeConfig{deaf: true})
		real.dial(t, leads)
		time.Sleep(time.Second)
		a.r.Learn(&advertisements.Route{Dest: b, Addresses: addresses("tcp://10.0.0.1:1", "tcp://10.0.0.2:1", "tls://10.0.0.3:1", "tcp://10.0.0.4:1")})
		if err := a.send(endpoint.KnownWays(t.Context()), &node{id: b}, "x"); err == nil {
			t.Fatal("sent")
		}
		gone := &node{id: seeded("gone")}
		for _, h := range []*node{gone, {id: silent.id}, knowsNot, leads} {
			a.r.Learn(hops(b, h))
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		x := a.r.Explain(ctx, b)
		if d := time.Since(began); d != 5*time.Second {
			t.Errorf("it took %v", d)
		}
		var got []string
		for _, s := range x.Tried {
			if s.Rested.IsZero() || s.Err == nil || s.Err.Addr != s.Address || s.Err.Err == nil {
				t.Fatalf("%+v", s)
			}
			got = append(got, fmt.Sprintf("%s %s %v %t", s.Address, s.Err.Phase, s.Took.Round(time.Millisecond), s.Peer.IsZero()))
		}
		if want := []string{
			"tcp://10.0.0.1:1 connect 1ms true", "tcp://10.0.0.2:1 handshake 1ms true", "tls://10.0.0.3:1 identity 1ms false", "tcp://10.0.0.4:1 connect 5s true",
		}; !slices.Equal(got, want) {
			t.Errorf("tried %q", got)
		}
		got = nil
		for _, w := range x.Through {
			for _, h := range w.Peers {
				got = append(got, fmt.Sprintf("%s %t %s %t %t", h.Peer.Short(), h.Linked, h.Kind, h.Leads, h.Err == nil))
			}
		}
		if want := []string{
			leads.id.Short() + " true mem true true", knowsNot.id.Short() + " true mem false false",
			silent.id.Short() + " true mem false false", gone.id.Short() + " false  false false",
		}; !slices.Equal(got, want) {
			t.Errorf("hops %q, want %q", got, want)
		}
		if len(x.Failures) != 1 || !errors.Is(x.Failures[0].Err, endpoint.ErrNoRoute) || x.Reached || x.Known.Kind != KindHops || len(x.Links) != 0 || x.Nack != nil {
			t.Errorf("%+v", x)
		}
		// A neighbour.
		x = a.r.Explain(t.Context(), leads.id)
		if len(x.Links) != 1 || !x.Links[0].Outgoing || x.Links[0].Kind != "mem" || !x.Reached || !x.Known.Linked {
			t.Errorf("%+v", x)
		}
		// Somebody of whom nothing is known.
		if x = a.r.Explain(t.Context(), numbered(1)); x.Reached || len(x.Tried)+len(x.Through) > 0 || x.Known.Peer != numbered(1) {
			t.Errorf("%+v", x)
		}
	})
}

// TestRoutesExpire: what is not used or heard of again for twenty minutes is told to
// nobody; a way through others is forgotten, an address stays as the last resort.
func TestRoutesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a, m, b := newNode(t, net, "a", nodeConfig{}), newNode(t, net, "m", nodeConfig{}), newNode(t, net, "b", nodeConfig{deaf: true})
		a.dial(t, m)
		b.dial(t, m)
		used, unused := b.id, numbered(1)
		a.r.Learn(hops(used, m))
		a.r.Learn(hops(unused, m))
		a.r.Learn(&advertisements.Route{Dest: numbered(2), Addresses: []endpoint.Address{mem("x")}})
		i, _ := a.r.Route(numbered(2))
		if until := time.Until(i.Expires); until != routeLife || !i.Learned.Equal(time.Now()) {
			t.Errorf("%+v", i)
		}
		for range 5 {
			time.Sleep(routeLife / 4)
			if err := a.send(t.Context(), b, "x"); err != nil {
				t.Fatal(err)
			}
			b.want(t, a, "x")
		}
		asker := a.r.asker.Load()
		if asker.known(used, nil) == nil || asker.known(unused, nil) != nil {
			t.Error("the way in use is not told, or the other is")
		}
		if i, _ := a.r.Route(unused); len(i.Ways) != 0 || i.Kind != KindNone {
			t.Errorf("%+v", i)
		}
		if i, _ := a.r.Route(numbered(2)); time.Until(i.Expires) > 0 || len(i.Addresses) != 1 {
			t.Errorf("%+v", i)
		}
		newNode(t, net, "x", nodeConfig{peer: numbered(2)})
		if err := a.send(t.Context(), &node{id: numbered(2)}, "x"); err != nil {
			t.Error(err)
		}
	})
}
