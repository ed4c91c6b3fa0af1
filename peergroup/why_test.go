package peergroup_test

import (
	"context"
	"errors"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/http"
	"github.com/juxta-p2p/juxta/core/transport/tcp"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/diagnose"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/pipe"
)

// why asks p why it cannot reach q, and checks the cause.
func why(t *testing.T, p *peergroup.Peer, q id.Peer, want diagnose.Cause) *diagnose.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r := p.Why(ctx, q, "the other")
	if r.Cause != want || r.Why == "" || r.Advice == "" && want != diagnose.Reachable {
		t.Errorf("the cause is %q (%s; %s), want %q", r.Cause, r.Why, r.Advice, want)
		for _, c := range r.Checks {
			t.Logf("%+v", c)
		}
	}
	return r
}

// knows tells p that q is at an address.
func knows(p *peergroup.Peer, q id.Peer, at string) {
	p.Router().Learn(&advertisements.Route{Dest: q, Addresses: []endpoint.Address{endpoint.MustParseAddress(at)}})
}

func seeded(p *peergroup.Peer) string { return p.Addresses()[0].String() }

// nobody is a peer that does not exist.
func nobody() id.Peer { return id.NewPeer(id.NetGroup) }

// listener returns a place where f is called with each connection.
func listener(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			f(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return "tcp://" + ln.Addr().String()
}

func TestWhyNothingIsWrong(t *testing.T) {
	t.Parallel()
	b := start(t, onLoopback("bob"))
	cfg := onLoopback("ann")
	cfg.Seeds = []string{seeded(b)}
	a := start(t, cfg)
	knows(a, b.ID(), seeded(b))
	r := why(t, a, b.ID(), diagnose.Reachable)
	if !strings.Contains(r.Why, "can be reached") {
		t.Error(r.Why)
	}
	why(t, a, a.ID(), diagnose.Reachable)
}

func TestWhyWrongPort(t *testing.T) {
	t.Parallel()
	a, q := start(t, onLoopback("ann")), nobody()
	knows(a, q, listener(t, func(c net.Conn) { _, _ = c.Write([]byte("SSH-2.0-OpenSSH_9.6\r\n")) }))
	why(t, a, q, diagnose.WrongPort)
}

func TestWhyRefused(t *testing.T) {
	t.Parallel()
	a, q := start(t, onLoopback("ann")), nobody()
	knows(a, q, closedPlace(t))
	r := why(t, a, q, diagnose.Refused)
	var de *endpoint.DialError
	if i := stepOf(r, diagnose.StepAddress); i < 0 || !errors.As(r.Checks[i].Err, &de) || de.Phase != endpoint.PhaseConnect {
		t.Errorf("the error of the address is not kept: %+v", r.Checks)
	}
}

func stepOf(r *diagnose.Report, step diagnose.Step) int {
	for i, c := range r.Checks {
		if c.Step == step {
			return i
		}
	}
	return -1
}

// closedPlace returns a place where a moment ago somebody listened.
func closedPlace(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return "tcp://" + ln.Addr().String()
}

func TestWhyWrongKey(t *testing.T) {
	t.Parallel()
	a, eve, q := start(t, onLoopback("ann")), start(t, onLoopback("eve")), nobody()
	knows(a, q, seeded(eve))
	why(t, a, q, diagnose.WrongKey)
}

func TestWhyExpired(t *testing.T) {
	t.Parallel()
	b := start(t, onLoopback("bob"))
	cfg := onLoopback("ann")
	cfg.Seeds = []string{seeded(b)}
	a := start(t, cfg)
	adv := &advertisements.Peer{ID: nobody(), Group: a.Net().ID(), Name: "carol"}
	if err := a.Net().Discovery().Publish(t.Context(), adv, discovery.Lifetime{Local: 20 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the advertisement has expired", func() bool {
		return len(a.Net().Discovery().Local(discovery.Query{Kind: advertisements.Peers, Attr: "Name", Value: "carol"})) == 0
	})
	why(t, a, adv.ID, diagnose.Expired)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if r := a.Why(ctx, id.Peer{}, "carol"); r.Cause != diagnose.Expired {
		t.Errorf("by name: %q", r.Cause)
	}
}

// eventually polls until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("still not so: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestWhyExcluded(t *testing.T) {
	t.Parallel()
	a := start(t, onLoopback("ann"))
	cfg := onLoopback("bob")
	cfg.Admit = func(l endpoint.Link) error {
		if l.Peer() == a.ID() {
			return errors.New("excluded by the moderators")
		}
		return nil
	}
	b := start(t, cfg)
	knows(a, b.ID(), seeded(b))
	if r := why(t, a, b.ID(), diagnose.Excluded); !strings.Contains(r.Why, "excluded by the moderators") {
		t.Errorf("the rule is not told: %s", r.Why)
	}
	if r := why(t, b, a.ID(), diagnose.Excluded); !strings.Contains(r.Why, "excluded by the moderators") {
		t.Errorf("the own rule is not told: %s", r.Why)
	}
}

func TestWhyFullQueue(t *testing.T) {
	t.Parallel()
	b := start(t, onLoopback("bob"))
	cfg := onLoopback("ann")
	cfg.Seeds = []string{seeded(b)}
	a := start(t, cfg)
	knows(a, b.ID(), seeded(b))
	adv := advertisements.NewPipe(b.Net().ID(), "inbox", advertisements.Unicast)
	in, err := b.Net().Pipes().ListenWith(t.Context(), adv, pipe.ListenConfig{Queue: 1, Quiet: true})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := a.Net().Pipes().Bind(adv, b.ID())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for range 5 {
		if err := out.Send(t.Context(), message.New(message.Text("", "text", "hello"))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the queue is full", func() bool { return len(b.Net().Pipes().FullInputs()) == 1 })
	if r := why(t, a, b.ID(), diagnose.QueueFull); !strings.Contains(r.Why, "inbox") {
		t.Errorf("the pipe is not named: %s", r.Why)
	}
}

func TestWhyNoRoute(t *testing.T) {
	t.Parallel()
	a := start(t, onLoopback("ann"))
	why(t, a, nobody(), diagnose.NoRoute)
}

func TestWhyNameUnknown(t *testing.T) {
	t.Parallel()
	a := start(t, onLoopback("ann"))
	r := a.Why(t.Context(), id.Peer{}, "zoe")
	if r.Cause != diagnose.NameUnknown || !strings.Contains(r.Why, "zoe") {
		t.Errorf("%q: %s", r.Cause, r.Why)
	}
}

func TestWhyClockOff(t *testing.T) {
	t.Parallel()
	cfg := onLoopback("rdv")
	cfg.Roles.Rendezvous = true
	rdv := start(t, cfg)
	cfg = onLoopback("ann")
	cfg.Seeds = []string{seeded(rdv)}
	cfg.Clock = func() time.Time { return time.Now().Add(-50 * time.Hour) }
	a := start(t, cfg)
	leased(t, a.Net())
	q := nobody()
	knows(a, q, closedPlace(t))
	if r := why(t, a, q, diagnose.ClockOff); !strings.Contains(r.Why, "50h0m0s ahead") {
		t.Error(r.Why)
	}
}

func TestWhyRelayLeaseLost(t *testing.T) {
	t.Parallel()
	cfg := onLoopback("relay")
	cfg.Roles = peergroup.Roles{Rendezvous: true, Relay: true}
	relay := start(t, cfg)
	cfg = onLoopback("ann")
	cfg.Seeds = []string{seeded(relay)}
	a := start(t, cfg)
	leased(t, a.Net())
	q := nobody()
	a.Router().Learn(&advertisements.Route{Dest: q, Hops: []advertisements.AccessPoint{{Peer: relay.ID()}}})
	if r := why(t, a, q, diagnose.LeaseLost); !strings.Contains(r.Why, relay.ID().Short()) {
		t.Errorf("the relay is not named: %s", r.Why)
	}
}

func TestWhyProxyRefuses(t *testing.T) {
	t.Parallel()
	proxy := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		nethttp.Error(w, "not for you", nethttp.StatusForbidden)
	}))
	defer proxy.Close()
	through, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	cfg := onLoopback("ann")
	cfg.Listen = nil
	cfg.Transports = []endpoint.Transport{
		tcp.New(tcp.Config{Listen: []string{"127.0.0.1:0"}}),
		http.New(http.Config{ClientOnly: true, Proxy: nethttp.ProxyURL(through)}),
	}
	a, q := start(t, cfg), nobody()
	knows(a, q, "http://127.0.0.1:9")
	if r := why(t, a, q, diagnose.ProxyRefuses); !strings.Contains(r.Why, "403") {
		t.Error(r.Why)
	}
}
