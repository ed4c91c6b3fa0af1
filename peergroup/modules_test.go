package peergroup_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

var (
	specBase = id.NewModuleSpec(id.NewModuleClass())
	specEcho = id.NewModuleSpec(id.NewModuleClass())
)

// logged is a module that writes down what happens to it.
type logged struct {
	name  string
	log   *journal
	fails error
}

type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *journal) take() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	defer func() { j.lines = nil }()
	return strings.Join(j.lines, ", ")
}

func (m logged) Start(context.Context, *peergroup.Group) error {
	if m.fails != nil {
		return m.fails
	}
	m.log.add("+%s", m.name)
	return nil
}

// Wait is called when the module is stopped, or its group was left.
func (m logged) Wait() { m.log.add("-%s", m.name) }

// Stats is what the peer's metrics show of it.
func (m logged) Stats() struct{ Answers uint64 } { return struct{ Answers uint64 }{42} }

// kit is what a program of these tests implements.
func kit(j *journal) map[id.ModuleSpec]peergroup.Implementation {
	return map[id.ModuleSpec]peergroup.Implementation{
		specBase: {Name: "base", New: func(xmldoc.Node) (peergroup.Module, error) { return logged{name: "base", log: j}, nil }},
		specEcho: {Name: "echo", Description: "says it again", Needs: []id.ModuleSpec{specBase}, New: func(p xmldoc.Node) (peergroup.Module, error) {
			n, _ := p.Child("Times")
			if n.Text() == "no" {
				return nil, errors.New("what is that to mean")
			}
			return logged{name: "echo" + n.Text(), log: j}, nil
		}},
	}
}

func echoing(times string) []peergroup.GroupService {
	return []peergroup.GroupService{{Spec: specEcho, Params: xmldoc.NewNode("Parm", "", xmldoc.NewNode("Times", times))}, {Spec: specBase}}
}

// states writes the modules of a group that are not of the standard.
func states(g *peergroup.Group) string {
	var all []string
	for _, m := range g.Modules() {
		if !m.Standard {
			all = append(all, m.Name+" "+m.State.String())
		}
	}
	return strings.Join(all, ", ")
}

func offered(t *testing.T, in *peergroup.Group, by *peergroup.Group) (specs []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	r, err := in.Discovery().FindOne(ctx, discovery.Query{Kind: advertisements.Peers, Attr: "PID", Value: by.PeerID().String(), Peer: by.PeerID(), RemoteOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range peergroup.OffersOf(r.Adv.(*advertisements.Peer)) {
		specs = append(specs, map[id.ModuleSpec]string{specBase: "base", specEcho: "echo"}[o.Spec])
	}
	slices.Sort(specs)
	return specs
}

// A group has modules of its own: who joins it runs what it has an implementation of,
// in the order of need, with the group's parameters, and offers that to others.
func TestModulesOfAGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{Latency: 5 * time.Millisecond})
		var ann, bob journal
		peer := func(name string, roles peergroup.Roles, j *journal, seeds ...string) *peergroup.Peer {
			cfg := inBox(network, name, roles, seeds...)
			if j != nil {
				cfg.Implementations = kit(j)
			}
			p := start(t, cfg)
			leased(t, p.Net())
			return p
		}
		start(t, inBox(network, "r", peergroup.Roles{Rendezvous: true}))
		a, b, c := peer("ann", peergroup.Roles{}, &ann, "r"), peer("bob", peergroup.Roles{}, &bob, "r"), peer("carl", peergroup.Roles{}, nil, "r")
		first, err := a.Net().Create(t.Context(), peergroup.Spec{Name: "crew", Services: echoing("3")})
		if err != nil {
			t.Fatal(err)
		}
		if got := ann.take(); got != "+base, +echo3" {
			t.Errorf("started %s", got)
		}
		second, err := b.Net().Join(t.Context(), first.Advertisement())
		if err != nil {
			t.Fatal(err)
		}
		if got := bob.take(); got != "+base, +echo3" || states(second) != "base running, echo running" {
			t.Errorf("joined: %s; %s", got, states(second))
		}
		leased(t, second)
		third, err := c.Net().Join(t.Context(), first.Advertisement())
		if err != nil {
			t.Fatal(err)
		}
		if got := states(third); got != " missing,  missing" {
			t.Errorf("without implementations: %s", got)
		}
		var missing *peergroup.ModuleError
		if m := third.Modules(); !errors.As(m[len(m)-1].Err, &missing) || !errors.Is(missing, peergroup.ErrNoImplementation) {
			t.Errorf("why: %v", m[len(m)-1].Err)
		}
		leased(t, third)
		if got := offered(t, third, second); fmt.Sprint(got) != "[base echo]" {
			t.Errorf("offered %q", got)
		}
		if got := metric(b, "echo", "answers"); got != 42 {
			t.Errorf("the module's metric is %d", got)
		}
		// The list of services is published twice: for us, and what Java peers know of it.
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		kinds := map[string]int{}
		for r, err := range c.Net().Discovery().Find(ctx, discovery.Query{Kind: advertisements.Advs, Attr: "MSID", Value: first.Advertisement().Spec.String()}) {
			if impl, ok := r.Adv.(*advertisements.ModuleImpl); err == nil && ok {
				comp, _ := impl.Compatibility()
				kinds[comp.Binding] = len(slices.Collect(impl.Modules()))
			}
		}
		if kinds[advertisements.JavaBinding]+2 != kinds[advertisements.JuxtaBinding] || len(kinds) != 2 {
			t.Errorf("implementations %v", kinds)
		}
		// What one needs takes it along when it is stopped.
		bob.take()
		stop, err := third.LoadSpec(specBase, xmldoc.Node{})
		if err == nil || !errors.Is(err, peergroup.ErrNoImplementation) || stop != nil {
			t.Errorf("loading what is not there: %v", err)
		}
		if _, err := second.LoadSpec(specEcho, xmldoc.Node{}); !errors.Is(err, peergroup.ErrLoaded) {
			t.Errorf("loading it twice: %v", err)
		}
		second.Leave()
		if got := bob.take(); got != "-echo3, -base" {
			t.Errorf("left: %s", got)
		}
	})
}

// Modules come and go while the group runs, and so do their offers.
func TestModulesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{Latency: 5 * time.Millisecond})
		var j journal
		cfg := inBox(network, "r", peergroup.Roles{Rendezvous: true})
		cfg.Implementations = kit(&j)
		r := start(t, cfg)
		other := start(t, inBox(network, "a", peergroup.Roles{}, "r"))
		leased(t, other.Net())
		if _, err := r.Net().LoadSpec(specEcho, xmldoc.Node{}); !errors.Is(err, peergroup.ErrNeeds) {
			t.Errorf("without what it needs: %v", err)
		}
		base, err := r.Net().LoadSpec(specBase, xmldoc.Node{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Net().LoadSpec(specEcho, xmldoc.NewNode("Parm", "", xmldoc.NewNode("Times", "no"))); !errors.Is(err, peergroup.ErrParams) {
			t.Errorf("with parameters that it does not understand: %v", err)
		}
		if _, err := r.Net().LoadSpec(specEcho, xmldoc.NewNode("Parm", "", xmldoc.NewNode("Times", "7"))); err != nil {
			t.Fatal(err)
		}
		if got := offered(t, other.Net(), r.Net()); fmt.Sprint(got) != "[base echo]" {
			t.Errorf("offered %q", got)
		}
		if _, err := r.Net().LoadSpec(id.SpecResolver, xmldoc.Node{}); !errors.Is(err, peergroup.ErrStandard) {
			t.Errorf("a standard one: %v", err)
		}
		base()
		base()
		synctest.Wait()
		if got := j.take(); got != "+base, +echo7, -echo7, -base" {
			t.Errorf("it went %s", got)
		}
		if got := offered(t, other.Net(), r.Net()); len(got) != 0 || states(r.Net()) != "" {
			t.Errorf("afterwards offered %q, %s", got, states(r.Net()))
		}
	})
}

// What strangers write into a group's documents is refused by name.
func TestHostileServiceLists(t *testing.T) {
	other := id.NewModuleSpec(id.NewModuleClass())
	standard := []id.ModuleSpec{id.SpecEndpoint, id.SpecResolver, id.SpecMembershipNone, id.SpecAccessAlways, id.SpecRendezvous, id.SpecDiscovery, id.SpecPipe}
	list := func(more ...id.ModuleSpec) (l []advertisements.Module) {
		for _, s := range append(slices.Clone(standard), more...) {
			l = append(l, advertisements.Module{Role: "Svc", Class: s.Class(), Spec: s})
		}
		return l
	}
	own := id.NewModuleSpec(id.ClassPeerGroup)
	for name, x := range map[string]struct {
		list []advertisements.Module
		parm xmldoc.Node
		want error
	}{
		"unknown resolver":  {list: append(list()[:1], append([]advertisements.Module{{Role: "Svc", Class: id.ClassResolver, Spec: other}}, list()[2:]...)...), want: peergroup.ErrNoImplementation},
		"no resolver":       {list: append(list()[:1], list()[2:]...), want: peergroup.ErrMandatory},
		"a group in itself": {list: list(own), want: peergroup.ErrCycle},
		"huge parameters":   {list: list(specEcho), parm: xmldoc.NewNode("Parm", strings.Repeat("x", 1<<20)), want: peergroup.ErrParams},
		"unknown module":    {list: list(other)},
		"twice the same":    {list: list(specBase, specBase)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := memory.New(memory.Config{Latency: 5 * time.Millisecond})
				cfg := inBox(network, "r", peergroup.Roles{Rendezvous: true})
				var j journal
				cfg.Implementations = kit(&j)
				r := start(t, cfg)
				impl := &advertisements.ModuleImpl{Spec: own, Comp: advertisements.JavaCompatibility().Node(), Code: "com.evil.Group", URI: "http://evil.example/evil.jar"}
				impl.SetModules(x.list)
				if err := r.Net().Discovery().Publish(t.Context(), impl, discovery.Lifetime{}); err != nil {
					t.Fatal(err)
				}
				adv := &advertisements.Group{ID: id.NewGroup(id.Group{}), Spec: own, Name: "trap"}
				if !x.parm.IsZero() {
					adv.SetService(specEcho.Class(), x.parm)
				}
				g, err := r.Net().Join(t.Context(), adv)
				if !errors.Is(err, x.want) || x.want == nil && err != nil {
					t.Fatalf("joined: %v, want %v", err, x.want)
				}
				var e *peergroup.ModuleError
				if err != nil && !errors.As(err, &e) {
					t.Errorf("the error is a %T", err)
				}
				if s := r.Net().ModuleStats(); err != nil && s.RefusedUnknown+s.RefusedCycle+s.RefusedParams+s.RefusedLacking != 1 {
					t.Errorf("counted %+v", s)
				} else if err == nil && s.Foreign != 1 {
					t.Errorf("foreign code is not counted: %+v", s)
				}
				_ = g
			})
		})
	}
	t.Run("nobody knows", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, inBox(memory.New(memory.Config{}), "r", peergroup.Roles{Rendezvous: true}))
			_, err := r.Net().Join(t.Context(), &advertisements.Group{ID: id.NewGroup(id.Group{}), Spec: own, Name: "trap"})
			if !errors.Is(err, peergroup.ErrNoImplementation) {
				t.Error(err)
			}
		})
	})
}

// TestWrongImplementations are refused before the peer starts.
func TestWrongImplementations(t *testing.T) {
	make := func(xmldoc.Node) (peergroup.Module, error) { return nil, nil }
	for name, impls := range map[string]map[id.ModuleSpec]peergroup.Implementation{
		"no name":      {specBase: {New: make}},
		"no New":       {specBase: {Name: "x"}},
		"no spec":      {id.ModuleSpec{}: {Name: "x", New: make}},
		"standard":     {id.SpecResolver: {Name: "x", New: make}},
		"needs nobody": {specBase: {Name: "x", New: make, Needs: []id.ModuleSpec{specEcho}}},
		"circle":       {specBase: {Name: "x", New: make, Needs: []id.ModuleSpec{specEcho}}, specEcho: {Name: "y", New: make, Needs: []id.ModuleSpec{specBase}}},
	} {
		cfg := inBox(memory.New(memory.Config{}), "r", peergroup.Roles{})
		cfg.Implementations = impls
		var e *peergroup.ModuleError
		if p, err := peergroup.Start(t.Context(), cfg); !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				_ = p.Close()
			}
		}
	}
}

var adder = peergroup.DefineService[*hello, *hello](id.NewModuleSpec(id.NewModuleClass()), "greeter")

// provider serves adder in a group: it answers with its name, or does worse.
func provide(t *testing.T, g *peergroup.Group, f func(ctx context.Context, q peergroup.Request[*hello]) (*hello, error)) (stop func()) {
	t.Helper()
	if f == nil {
		f = func(context.Context, peergroup.Request[*hello]) (*hello, error) { return &hello{g.PeerName()}, nil }
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := adder.Serve(ctx, g, f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	return cancel
}

// A call finds whoever serves, and another one when that fails.
func TestCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 1, 5, 0, nil)
		g := func(i int) *peergroup.Group { return c.Edge(i).Net() }
		caller := g(1)
		call := func() (string, error) {
			r, from, err := adder.Call(t.Context(), caller, &hello{"me"})
			if err != nil {
				return "", err
			}
			if (from == caller.PeerID()) != (r.Name == caller.PeerName()) {
				t.Errorf("%s answered as %s", r.Name, from.Short())
			}
			return r.Name, nil
		}
		began := time.Now()
		if _, err := call(); !errors.Is(err, peergroup.ErrNoProvider) || time.Since(began) > 31*time.Second {
			t.Errorf("nobody serves: %v after %v", err, time.Since(began))
		}
		stop2 := provide(t, g(2), nil)
		if got, err := call(); got != "e00002" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		stop3 := provide(t, g(3), nil)
		time.Sleep(time.Second)
		if err := c.Edge(2).Kill(); err != nil { // the one that answered before
			t.Fatal(err)
		}
		if got, err := call(); got != "e00003" || err != nil {
			t.Errorf("after a death: %q, %v", got, err)
		}
		stop2()
		stop3()
		var failed *peergroup.CallError
		busy := provide(t, g(4), func(context.Context, peergroup.Request[*hello]) (*hello, error) {
			return nil, &peergroup.Fault{Code: "drunk", Words: "not before noon"}
		})
		if _, err := call(); !errors.As(err, &failed) || failed.Code != "drunk" || failed.Words != "not before noon" || failed.Provider != g(4).PeerID() {
			t.Errorf("a fault: %v", err)
		}
		busy()
		mute := provide(t, g(4), func(ctx context.Context, _ peergroup.Request[*hello]) (*hello, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		if _, err := call(); !errors.As(err, &failed) || !errors.Is(err, peergroup.ErrSilent) {
			t.Errorf("silence: %v", err)
		}
		stop5 := provide(t, g(5), nil)
		if got, err := call(); got != "e00005" || err != nil {
			t.Errorf("one is mute: %q, %v", got, err)
		}
		mute()
		stop5()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := adder.Call(ctx, caller, &hello{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the deadline: %v", err)
		}
		provide(t, caller, nil)
		if got, err := call(); got != "e00001" || err != nil {
			t.Errorf("its own: %q, %v", got, err)
		}
		if err := adder.Serve(t.Context(), caller, nil); !errors.Is(err, peergroup.ErrLoaded) {
			t.Errorf("serving twice: %v", err)
		}
	})
}

// One caller does not keep a service from the others, and hostile calls are counted.
func TestCallsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 1, 3, 0, nil)
		server, greedy, modest := c.Edge(1).Net(), c.Edge(2).Net(), c.Edge(3).Net()
		var running, most atomic.Int64
		hold := make(chan struct{})
		provide(t, server, func(ctx context.Context, q peergroup.Request[*hello]) (*hello, error) {
			if q.Body.Name == "quick" {
				return &hello{"done"}, nil
			}
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer running.Add(-1)
			select {
			case <-hold:
			case <-ctx.Done():
			}
			return &hello{"done"}, nil
		})
		var calling sync.WaitGroup
		var refused atomic.Int64
		for range 40 {
			calling.Go(func() {
				_, _, err := adder.CallWith(t.Context(), greedy, &hello{"slow"}, peergroup.CallOptions{Peer: server.PeerID(), Attempt: time.Minute})
				var e *peergroup.CallError
				if errors.As(err, &e) && strings.Contains(e.Code, "busy") {
					refused.Add(1)
				}
			})
		}
		time.Sleep(time.Second)
		if r, _, err := adder.CallWith(t.Context(), modest, &hello{"quick"}, peergroup.CallOptions{Peer: server.PeerID()}); err != nil || r.Name != "done" {
			t.Errorf("another caller: %v", err)
		}
		close(hold)
		calling.Wait()
		if most.Load() != 16 || refused.Load() != 24 {
			t.Errorf("%d at a time, %d refused", most.Load(), refused.Load())
		}
		for _, body := range []string{"", "<x/>", "<juxta:Call xmlns:juxta=\"x\"><MSID>nonsense</MSID></juxta:Call>"} {
			if err := modest.Resolver().SendQuery(t.Context(), server.PeerID(), &resolver.RawQuery{Handler: "juxta.call", Body: body}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if got := metric(server.Peer(), "calls", "dropped_malformed"); got != 3 {
			t.Errorf("%d hostile calls counted", got)
		}
		if _, _, err := adder.Call(t.Context(), modest, &hello{strings.Repeat("x", peergroup.MaxRequest)}); !errors.Is(err, xmldoc.ErrLimit) {
			t.Errorf("a question that is too large: %v", err)
		}
	})
}

// A rendezvous goes on announcing itself, and listening for others, when what it offers
// changes.
func TestOffersDoNotEndTheAnnouncements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{Latency: 5 * time.Millisecond})
		start(t, inBox(network, "r", peergroup.Roles{Rendezvous: true}))
		cfg := inBox(network, "ann", peergroup.Roles{}, "r")
		var j journal
		cfg.Implementations = kit(&j)
		a, b := start(t, cfg), start(t, inBox(network, "bob", peergroup.Roles{}, "r"))
		leased(t, a.Net())
		leased(t, b.Net())
		crew, err := a.Net().Create(t.Context(), peergroup.Spec{Name: "crew", Services: echoing("1")})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		g, err := b.Net().Join(t.Context(), crew.Advertisement())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(8 * time.Second)
		if l, ok := g.Rendezvous().Lease(); !ok || l.Peer != a.ID() {
			t.Errorf("after ten minutes the rendezvous is not found: %v, %v", l, ok)
		}
	})
}
