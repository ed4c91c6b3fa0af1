package peergroup_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/home"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inBox is the configuration of a peer in a memory network.
func inBox(network *memory.Network, name string, roles peergroup.Roles, seeds ...string) peergroup.Config {
	cfg := peergroup.Config{
		Name: name, Roles: roles, NoLAN: true, PeerID: id.PeerFromSeed(id.NetGroup, []byte(name)),
		Transports: []endpoint.Transport{network.Transport(memory.TransportConfig{Name: name})},
	}
	for _, s := range seeds {
		cfg.Seeds = append(cfg.Seeds, "mem://"+s)
	}
	return cfg
}

func start(t *testing.T, cfg peergroup.Config) *peergroup.Peer {
	t.Helper()
	p, err := peergroup.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// leased waits until the peer has a way to the rest of the network.
func leased(t *testing.T, g *peergroup.Group) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := g.Rendezvous().WaitConnected(ctx); err != nil {
		t.Fatalf("%s in %s: %v", g.PeerName(), g.Name(), err)
	}
}

// find returns the names of what remote peers have under a name pattern.
func find(t *testing.T, g *peergroup.Group, k advertisements.Kind, pattern string, wait time.Duration) (names []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	for r, err := range g.Discovery().Find(ctx, discovery.Query{Kind: k, Attr: "Name", Value: pattern, RemoteOnly: true}) {
		if err != nil {
			t.Fatal(err)
		}
		switch a := r.Adv.(type) {
		case *advertisements.Pipe:
			names = append(names, a.Name)
		case *advertisements.Peer:
			names = append(names, a.Name)
		case *advertisements.Group:
			names = append(names, a.Name)
		}
	}
	return names
}

func TestAnEdgeFindsWhatAnotherPublishedAndTalksToIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{Latency: 5 * time.Millisecond})
		r := start(t, inBox(network, "r", peergroup.Roles{Rendezvous: true}))
		began := time.Now()
		a, b := start(t, inBox(network, "a", peergroup.Roles{}, "r")), start(t, inBox(network, "b", peergroup.Roles{}, "r"))
		leased(t, a.Net())
		leased(t, b.Net())
		if d := time.Since(began); d > 200*time.Millisecond {
			t.Fatalf("the leases took %v", d)
		}
		ctx := t.Context()
		for _, p := range []*peergroup.Peer{a, r} {
			if got := p.Net().Discovery().Local(discovery.Query{Kind: advertisements.Peers}); len(got) < 2 {
				t.Errorf("%s knows %d peers, itself included, though it has met others", p.Name(), len(got))
			}
		}
		adv := advertisements.NewPipe(a.Net().ID(), "wall", advertisements.Unicast)
		in, err := a.Net().Pipes().Listen(ctx, adv)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		if err := a.Net().Discovery().Publish(ctx, adv, discovery.Lifetime{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		if got := find(t, b.Net(), advertisements.Advs, "wa*", time.Second); fmt.Sprint(got) != "[wall]" {
			t.Fatalf("found %v", got)
		}
		out, err := b.Net().Pipes().Dial(ctx, adv)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		const count = 10_000
		body := []byte(strings.Repeat("x", 1024))
		go func() {
			for i := range count {
				m := message.New(message.Text("", "n", fmt.Sprint(i)), message.Bytes("", "body", body))
				if err := out.Send(ctx, m); err != nil {
					t.Errorf("message %d: %v", i, err)
					return
				}
			}
		}()
		next := 0
		for m, err := range in.Messages(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Text("", "n"); got != fmt.Sprint(next) || m.From != b.ID() {
				t.Fatalf("got message %s of %s, want %d", got, m.From.Short(), next)
			}
			if next++; next == count {
				break
			}
		}
	})
}

func TestTheNetworkHealsWhenTheRendezvousReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{Latency: 5 * time.Millisecond})
		r := start(t, inBox(network, "r", peergroup.Roles{Rendezvous: true}))
		a, b := start(t, inBox(network, "a", peergroup.Roles{}, "r")), start(t, inBox(network, "b", peergroup.Roles{}, "r"))
		leased(t, a.Net())
		leased(t, b.Net())
		adv := advertisements.NewPipe(a.Net().ID(), "wall", advertisements.Unicast)
		if err := a.Net().Discovery().Publish(t.Context(), adv, discovery.Lifetime{}); err != nil {
			t.Fatal(err)
		}
		// Not Close, which says goodbye: it dies.
		if err := r.Endpoint().Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		start(t, inBox(network, "r", peergroup.Roles{Rendezvous: true}))
		time.Sleep(9 * time.Second)
		if got := find(t, b.Net(), advertisements.Advs, "wall", time.Second); fmt.Sprint(got) != "[wall]" {
			t.Fatalf("found %v", got)
		}
	})
}

func TestNetworksWithDifferentIDsDoNotMeet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{})
		private := id.GroupFromSeed(id.Group{}, []byte("our own network."))
		rc := inBox(network, "r", peergroup.Roles{Rendezvous: true})
		rc.Net = private
		ac := inBox(network, "a", peergroup.Roles{}, "r")
		ac.Net = private
		start(t, rc)
		a, b := start(t, ac), start(t, inBox(network, "b", peergroup.Roles{}, "r"))
		leased(t, a.Net())
		time.Sleep(time.Minute)
		if b.Net().Rendezvous().Connected() {
			t.Fatal("a peer of the public network got a lease in a private one")
		}
		if got := find(t, a.Net(), advertisements.Peers, "r", time.Second); fmt.Sprint(got) != "[r]" {
			t.Fatalf("found %v", got)
		}
	})
}

// hi is the question and the answer of a protocol for these tests.
type hi struct{ Name string }

func (h *hi) Map(m *xmldoc.Mapper) {
	m.Root("Hi")
	m.Text("Name", &h.Name)
}

var hiProtocol = resolver.Define[*hi, *hi]("urn:test:hi")

type hiModule struct{}

func (hiModule) Start(ctx context.Context, g *peergroup.Group) error {
	return hiProtocol.Handle(ctx, g.Resolver(), func(context.Context, resolver.Query[*hi]) (*hi, error) {
		return &hi{Name: g.PeerName() + "@" + g.Name()}, nil
	})
}

func TestTwoGroupsOfTheSamePeersNeverMix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		network := memory.New(memory.Config{Latency: time.Millisecond})
		start(t, inBox(network, "r", peergroup.Roles{Rendezvous: true}))
		var peers []*peergroup.Peer
		for _, n := range []string{"a", "b", "c", "outsider"} {
			p := start(t, inBox(network, n, peergroup.Roles{}, "r"))
			leased(t, p.Net())
			peers = append(peers, p)
		}
		members, outsider := peers[:3], peers[3]
		groups := map[string][]*peergroup.Group{}
		for _, name := range []string{"red", "blue"} {
			g, err := members[0].Net().Create(ctx, peergroup.Spec{Name: name, Modules: []peergroup.Module{hiModule{}}})
			if err != nil {
				t.Fatal(err)
			}
			groups[name] = append(groups[name], g)
			time.Sleep(time.Second)
			for _, p := range members[1:] {
				r, err := p.Net().Discovery().FindOne(ctx, discovery.Query{Kind: advertisements.Groups, Attr: "Name", Value: name})
				if err != nil {
					t.Fatal(err)
				}
				g, err := p.Net().Join(ctx, r.Adv.(*advertisements.Group), hiModule{})
				if err != nil {
					t.Fatal(err)
				}
				leased(t, g)
				groups[name] = append(groups[name], g)
			}
			// Each group has a resource of the same name, that says whose it is.
			adv := advertisements.NewPipe(g.ID(), "wall", advertisements.Propagate)
			adv.Desc = name
			if err := groups[name][1].Discovery().Publish(ctx, adv, discovery.Lifetime{}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		for name, gs := range groups {
			for _, g := range gs {
				tctx, cancel := context.WithTimeout(ctx, time.Second)
				found := 0
				for r, err := range g.Discovery().Find(tctx, discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: "wall"}) {
					if err != nil {
						t.Fatal(err)
					}
					if p := r.Adv.(*advertisements.Pipe); p.Desc != name {
						t.Errorf("in %s: found the wall of %s", name, p.Desc)
					}
					found++
				}
				cancel()
				if found == 0 {
					t.Errorf("%s in %s found nothing", g.PeerName(), name)
				}
			}
			var answers []string
			tctx, cancel := context.WithTimeout(ctx, time.Second)
			for r, err := range hiProtocol.Ask(tctx, gs[2].Resolver(), &hi{Name: "c"}) {
				if err != nil {
					t.Fatal(err)
				}
				answers = append(answers, r.Body.Name)
			}
			cancel()
			if len(answers) != 2 {
				t.Errorf("in %s %v answered, want the two other members", name, answers)
			}
			for _, a := range answers {
				if !strings.HasSuffix(a, "@"+name) {
					t.Errorf("in %s %s answered", name, a)
				}
			}
		}
		if got := find(t, outsider.Net(), advertisements.Advs, "wall", time.Second); got != nil {
			t.Errorf("the outsider found %v", got)
		}
		tctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		for _, err := range hiProtocol.Ask(tctx, outsider.Net().Resolver(), &hi{Name: "x"}) {
			t.Errorf("the outsider was answered: %v", err)
			break
		}
	})
}

func TestLeavingAGroupEndsItsModules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, inBox(memory.New(memory.Config{}), "a", peergroup.Roles{Rendezvous: true}))
		g, err := p.Net().Create(t.Context(), peergroup.Spec{Name: "g", Modules: []peergroup.Module{hiModule{}}})
		if err != nil {
			t.Fatal(err)
		}
		ended := false
		g.Go(func(ctx context.Context) { <-ctx.Done(); time.Sleep(time.Second); ended = true })
		if _, err := p.Net().Join(t.Context(), g.Advertisement()); !errors.Is(err, peergroup.ErrJoined) {
			t.Fatalf("joining twice: %v", err)
		}
		stop, err := g.Load(hiOther{})
		if err != nil {
			t.Fatal(err)
		}
		stop()
		if _, err := g.Load(failing{}); err == nil || !strings.Contains(err.Error(), "no luck") {
			t.Fatalf("a failing module: %v", err)
		}
		g.Leave()
		g.Leave()
		if !ended || len(p.Net().Groups()) != 0 {
			t.Fatal("leaving did not wait, or the group is still listed")
		}
		if _, err := g.Load(hiOther{}); !errors.Is(err, peergroup.ErrLeft) {
			t.Fatalf("loading into a group that was left: %v", err)
		}
		again, err := p.Net().Join(t.Context(), g.Advertisement(), hiModule{})
		if err != nil {
			t.Fatalf("joining again: %v", err)
		}
		again.Leave()
	})
}

func TestTheRendezvousOfAGroupIsAnnouncedWhileItIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, inBox(memory.New(memory.Config{}), "a", peergroup.Roles{Rendezvous: true}))
		g, err := p.Net().Create(t.Context(), peergroup.Spec{Name: "g"})
		if err != nil {
			t.Fatal(err)
		}
		announced := func() int {
			return len(p.Net().Discovery().Local(discovery.Query{
				Kind: advertisements.Advs, Attr: "RdvServiceName", Value: advertisements.RendezvousService(g.ID()),
			}))
		}
		time.Sleep(time.Hour) // longer than one announcement lives
		if announced() != 1 {
			t.Error("the rendezvous is there and not announced")
		}
		g.Leave()
		if announced() != 0 {
			t.Error("the rendezvous left and is still announced")
		}
	})
}

type hiOther struct{}

func (hiOther) Start(ctx context.Context, g *peergroup.Group) error {
	_, err := g.Resolver().Register(ctx, "other", resolver.Handler{})
	return err
}

type failing struct{}

func (failing) Start(context.Context, *peergroup.Group) error { return errors.New("no luck") }

// onLoopback is the configuration of a peer with real sockets.
func onLoopback(name string) peergroup.Config {
	return peergroup.Config{Name: name, Listen: []string{"tcp://127.0.0.1:0"}, NoLAN: true, NoMulticast: true}
}

func TestFiftyStartsLeaveNothing(t *testing.T) {
	dir, meeting := t.TempDir(), t.TempDir()
	var files int
	for i := range 50 {
		cfg := onLoopback("again")
		cfg.Home = dir
		cfg.NoLAN, cfg.MeetingDir = i%10 != 0, meeting
		p, err := peergroup.Start(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		at := p.Addresses()[0].Host
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		ln, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatalf("the port is not free: %v", err)
		}
		_ = ln.Close()
		if i == 0 {
			files = openFiles(t)
		}
	}
	if n := openFiles(t); n > files {
		t.Errorf("%d files are open, %d were after the first", n, files)
	}
	if left, _ := filepath.Glob(filepath.Join(meeting, "*")); len(left) != 0 {
		t.Errorf("left in the meeting place: %v", left)
	}
}

func openFiles(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Logf("open files are not counted on this system: %v", err)
		return 0
	}
	return len(list)
}

func TestTheSamePeerComesBack(t *testing.T) {
	cfg := onLoopback("ann")
	cfg.Home = filepath.Join(t.TempDir(), "home")
	first, err := peergroup.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	adv := advertisements.NewPipe(first.Net().ID(), "kept", advertisements.Unicast)
	if err := first.Net().Discovery().Publish(t.Context(), adv, discovery.Lifetime{}); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := start(t, cfg)
	if second.ID() != first.ID() || !second.ID().Provable() {
		t.Errorf("came back as %s, was %s", second.ID(), first.ID())
	}
	if got := second.Net().Discovery().Local(discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: "kept"}); len(got) != 1 {
		t.Errorf("%d of its advertisements are left", len(got))
	}
}

func TestASecondPeerOnOneHomeIsRefused(t *testing.T) {
	cfg := onLoopback("ann")
	cfg.Home = t.TempDir()
	p := start(t, cfg)
	_, err := peergroup.Start(t.Context(), cfg)
	var locked *home.LockedError
	if !errors.As(err, &locked) {
		t.Fatalf("got %v", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	start(t, cfg)
}

func TestAPortThatIsTakenIsNamed(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	cfg := onLoopback("ann")
	cfg.Listen = []string{"tcp://" + ln.Addr().String()}
	_, err = peergroup.Start(t.Context(), cfg)
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), ln.Addr().String()) {
		t.Fatalf("got %v", err)
	}
}

func TestWrongConfigurationIsRefusedBeforeAnythingStarts(t *testing.T) {
	for name, cfg := range map[string]peergroup.Config{
		"roles":         {Roles: peergroup.Roles{AdHoc: true, Rendezvous: true}},
		"relay":         {Roles: peergroup.Roles{AdHoc: true, Relay: true}},
		"world":         {Net: id.WorldGroup},
		"seed":          {Seeds: []string{"tcp://with blank:1"}},
		"listen":        {Listen: []string{"quic://127.0.0.1:1"}},
		"listen port":   {Listen: []string{"tcp://127.0.0.1"}},
		"contradiction": {ClientOnly: true, Listen: []string{"tcp://127.0.0.1:0"}},
	} {
		if p, err := peergroup.Start(t.Context(), cfg); err == nil {
			_ = p.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTheLifetimeClosesThePeer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := peergroup.Start(ctx, onLoopback("ann"))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-p.Done()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestPeersOfOneMachineMeetWithoutConfiguration(t *testing.T) {
	meeting := t.TempDir()
	join := func(name string) *peergroup.Peer {
		cfg := onLoopback(name)
		cfg.NoLAN, cfg.MeetingDir = false, meeting
		return start(t, cfg)
	}
	a := join("a")
	b := join("b")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	for {
		found := false
		sctx, stop := context.WithTimeout(ctx, 200*time.Millisecond)
		for r, err := range a.Net().Discovery().Find(sctx, discovery.Query{Kind: advertisements.Peers, Attr: "Name", Value: "b", RemoteOnly: true}) {
			found = err == nil && r.Adv.(*advertisements.Peer).ID == b.ID()
			break // an error says that there is nobody to ask, yet
		}
		<-sctx.Done() // a search that could not be made ends at once
		stop()
		if found {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("not found within 3 s; neighbours of a: %+v", a.Neighbours())
		}
	}
}
