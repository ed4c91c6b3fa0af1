package relay_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/relay"
)

// leased waits until a client holds n leases.
func leased(t testing.TB, c *relay.Client, n int) {
	t.Helper()
	within(t, time.Minute, fmt.Sprintf("%d leases", n), func() bool {
		st := c.Status()
		return len(st.Leases) == n && !slices.ContainsFunc(st.Leases, func(l relay.Lease) bool { return !l.Linked })
	})
	synctest.Wait() // for the route
}

// TestALeaseMakesAPeerReachable: a peer that cannot be dialled takes a lease, puts
// the relay into its route, is sent to through it, and gives the lease back.
func TestALeaseMakesAPeerReachable(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		r, hidden, ann := w.join("relay", 1, false), w.join("hidden", 2, true), w.join("ann", 3, false)
		defer ann.leave()
		defer r.leave()
		defer hidden.leave()
		s := r.serve(relay.ServerConfig{})
		begin := time.Now()
		c := hidden.lease(relay.ClientConfig{}, r)
		leased(t, c, 1)
		t.Log("leased after", time.Since(begin))
		synctest.Wait()
		l := c.Status().Leases[0]
		if l.Relay != r.id || l.Name != "relay" || l.Address != r.address() || l.Left < 50*time.Minute || l.Left > time.Hour {
			t.Errorf("lease %+v", l)
		}
		if !slices.Equal(l.Hop.Addresses, []endpoint.Address{r.address()}) {
			t.Errorf("hop %+v", l.Hop)
		}
		if got := s.Clients(); len(got) != 1 || got[0].Peer != hidden.id || got[0].Link != "mem" || got[0].Proven == w.plain {
			t.Errorf("clients %+v", got)
		}
		ann.router.Learn(hidden.route())
		if err := ann.send(hidden, "hello"); err != nil {
			t.Fatal(err)
		}
		within(t, time.Second, "the message", func() bool { return slices.Equal(hidden.texts(), []string{"hello"}) })
		if hidden.from[0] != ann.id {
			t.Errorf("from %v", hidden.from[0])
		}
		c.SetWanted(false)
		within(t, time.Second, "the lease is given back", func() bool { return len(s.Clients()) == 0 })
		within(t, time.Second, "the hop is gone", func() bool { return len(hidden.relays()) == 0 })
		c.SetWanted(true)
		leased(t, c, 1)
	})
}

// TestLeasesAreRenewed: for hours, without the link being idle for long.
func TestLeasesAreRenewed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		r, hidden := w.join("relay", 1, false), w.join("hidden", 2, true)
		defer r.leave()
		defer hidden.leave()
		s := r.serve(relay.ServerConfig{})
		c := hidden.lease(relay.ClientConfig{}, r)
		leased(t, c, 1)
		time.Sleep(5 * time.Hour)
		leased(t, c, 1)
		if st := c.Stats(); st.Granted != 1 || st.Lost != 0 || st.Reconnects != 0 || st.Renewed < 29 || st.Renewed > 40 {
			t.Errorf("%+v", st)
		}
		if got := s.Clients(); len(got) != 1 || got[0].Left < 45*time.Minute {
			t.Errorf("clients %+v", got)
		}
		if n := hidden.ep.Stats().LinksIdled + r.ep.Stats().LinksIdled; !w.plain && n != 0 {
			t.Errorf("%d links were idle", n)
		}
	})
}

// TestALeaseEnds when it is not renewed, not before, and its messages with it.
func TestALeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, false)
		r, hidden, ann := w.join("relay", 1, false), w.join("hidden", 2, true), w.join("ann", 3, false)
		defer r.leave()
		defer ann.leave()
		s := r.serve(relay.ServerConfig{MaxLease: 10 * time.Minute})
		c := hidden.lease(relay.ClientConfig{}, r)
		leased(t, c, 1)
		ann.router.Learn(hidden.route())
		w.net.Crash("hidden")
		defer hidden.leave()
		time.Sleep(time.Second)
		if err := ann.send(hidden, "x"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Minute)
		if i, ok := s.Client(hidden.id); !ok || i.Queued != 1 || i.Link != "" || i.Away < 9*time.Minute {
			t.Errorf("after 9 minutes: %+v %v", i, ok)
		}
		time.Sleep(time.Minute + 16*time.Second)
		if got := s.Clients(); len(got) != 0 {
			t.Errorf("after 10 minutes: %+v", got)
		}
		if st := s.Stats(); st.Clients != 0 || st.Messages != 0 || st.Bytes != 0 || st.DroppedForgotten != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// TestAStalledClientIsDropped where the relay is told to be as strict as JXSE.
func TestAStalledClientIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, false)
		r, hidden, ann := w.join("relay", 1, false), w.join("hidden", 2, true), w.join("ann", 3, false)
		defer r.leave()
		defer ann.leave()
		s := r.serve(relay.ServerConfig{Stall: 15 * time.Second})
		leased(t, hidden.lease(relay.ClientConfig{}, r), 1)
		ann.router.Learn(hidden.route())
		w.net.Crash("hidden")
		defer hidden.leave()
		time.Sleep(5 * time.Minute)
		if len(s.Clients()) != 1 {
			t.Fatal("dropped without messages waiting")
		}
		_ = ann.send(hidden, "x")
		time.Sleep(16 * time.Second)
		if len(s.Clients()) != 0 {
			t.Error("still there")
		}
	})
}

// TestASleeperGetsWhatCame: messages to a peer that is away wait for it, in order,
// as many as may, and no older than they may be; who sends too many is told.
func TestASleeperGetsWhatCame(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		r, hidden, ann := w.join("relay", 1, false), w.join("hidden", 2, true), w.join("ann", 3, false)
		defer ann.leave()
		defer r.leave()
		s := r.serve(relay.ServerConfig{MaxAge: 30 * time.Minute})
		leased(t, hidden.lease(relay.ClientConfig{}, r), 1)
		ann.router.Learn(hidden.route())
		w.net.Crash("hidden")
		hidden.leave()
		time.Sleep(time.Second)

		send := func(text string) {
			if err := ann.send(hidden, text); err != nil {
				t.Fatal(err)
			}
		}
		send("too old")
		time.Sleep(29 * time.Minute)
		ann.router.Learn(hidden.route()) // the old one is forgotten
		var want []string
		for i := range relay.DefaultQueue + 5 {
			send(fmt.Sprint(i))
			if i < relay.DefaultQueue-1 {
				want = append(want, fmt.Sprint(i))
			}
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		i, _ := s.Client(hidden.id)
		if i.Queued != relay.DefaultQueue-1 || i.Dropped != 7 {
			t.Errorf("%+v", i)
		}
		hidden = w.join("hidden", 2, true)
		defer hidden.leave()
		c := hidden.lease(relay.ClientConfig{}, r)
		leased(t, c, 1)
		within(t, time.Second, "what waited", func() bool { return len(hidden.texts()) >= len(want) })
		synctest.Wait()
		if got := hidden.texts(); !slices.Equal(got, want) {
			t.Errorf("got %v", got)
		}
		if st := s.Stats(); st.Messages != 0 || st.Bytes != 0 || st.Delivered != uint64(len(want)) || st.DroppedFull != 6 || st.DroppedAged != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// TestFailover: while one relay dies, messages go on through the other, and a
// third one takes its place.
func TestFailover(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		r1, r2 := w.join("r1", 1, false), w.join("r2", 2, false)
		hidden, ann := w.join("hidden", 3, true), w.join("ann", 4, false)
		defer ann.leave()
		defer hidden.leave()
		relays := map[id.Peer]*peer{r1.id: r1, r2.id: r2}
		for _, r := range relays {
			r.serve(relay.ServerConfig{})
			defer r.leave()
		}
		c := hidden.lease(relay.ClientConfig{}, r1, r2)
		leased(t, c, 2)
		within(t, time.Second, "two hops", func() bool { return len(hidden.relays()) == 2 })
		main := relays[hidden.relays()[0]]
		ann.router.Learn(hidden.route())
		if err := ann.send(hidden, "before"); err != nil {
			t.Fatal(err)
		}
		within(t, time.Second, "the first message", func() bool { return len(hidden.texts()) == 1 })
		w.net.Crash(main.name)
		gap := within(t, 2*time.Second, "the other relay is first", func() bool {
			h := hidden.relays()
			return len(h) > 0 && h[0] != main.id
		})
		time.Sleep(50 * time.Millisecond) // ann notices, too
		ann.router.Learn(hidden.route())
		if err := ann.send(hidden, "after"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := hidden.texts(); !slices.Equal(got, []string{"before", "after"}) {
			t.Errorf("got %v", got)
		}
		within(t, 30*time.Second, "the dead relay is given up", func() bool { return len(hidden.relays()) == 1 })
		var lost *relay.LeaseError
		if st := c.Status(); !errors.As(st.Err, &lost) {
			t.Errorf("status %+v", st)
		}
		t.Log("the other was first after", gap)

		// The dead one comes back, and is the spare one.
		main.leave()
		again := w.join(main.name, map[string]int{"r1": 1, "r2": 2}[main.name], false)
		defer again.leave()
		again.serve(relay.ServerConfig{})
		within(t, spareMost, "two leases again", func() bool { return len(c.Status().Leases) == 2 })
	})
}

const spareMost = 8 * time.Minute

// TestABrokenLinkIsOpenedAnew at once, and the lease goes on.
func TestABrokenLinkIsOpenedAnew(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		r, hidden := w.join("relay", 1, false), w.join("hidden", 2, true)
		defer r.leave()
		defer hidden.leave()
		s := r.serve(relay.ServerConfig{})
		c := hidden.lease(relay.ClientConfig{}, r)
		leased(t, c, 1)
		for _, l := range r.ep.Links() {
			_ = l.Close()
		}
		time.Sleep(time.Second)
		leased(t, c, 1)
		if i, ok := s.Client(hidden.id); !ok || i.Link == "" {
			t.Errorf("client %+v", i)
		}
		if st := c.Stats(); st.Reconnects != 1 || st.Lost != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestWake: after a sleep in which the relay forgot its client, one question finds
// out, and there is a new lease within seconds.
func TestWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, false)
		r, hidden := w.join("relay", 1, false), w.join("hidden", 2, true)
		defer hidden.leave()
		r.serve(relay.ServerConfig{})
		c := hidden.lease(relay.ClientConfig{}, r)
		leased(t, c, 1)
		w.net.Partition("relay") // the machine's network is another one
		time.Sleep(time.Second)
		c.Wake()
		took := within(t, 20*time.Second, "the lease is doubted", func() bool { return len(c.Status().Leases) == 0 || !c.Status().Leases[0].Linked })
		t.Log("doubted after", took)
		w.net.Heal()
		leased(t, c, 1)
		r.leave()
	})
}

// TestAClosingRelaySaysSo: its clients go elsewhere at once.
func TestAClosingRelaySaysSo(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		r1, r2, hidden := w.join("r1", 1, false), w.join("r2", 2, false), w.join("hidden", 3, true)
		defer r1.leave()
		defer r2.leave()
		defer hidden.leave()
		servers := map[id.Peer]*relay.Server{r1.id: r1.serve(relay.ServerConfig{}), r2.id: r2.serve(relay.ServerConfig{})}
		c := hidden.lease(relay.ClientConfig{Relays: 1}, r1, r2)
		leased(t, c, 1)
		first := c.Status().Leases[0].Relay
		servers[first].Close()
		within(t, 10*time.Second, "a lease at the other", func() bool {
			l := c.Status().Leases
			return len(l) == 1 && l[0].Relay != first
		})
	})
}

// TestRefusals are told in words, and the other relay that a full one names is
// found.
func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, false)
		full, other := w.join("full", 1, false), w.join("other", 2, false)
		defer full.leave()
		defer other.leave()
		other.serve(relay.ServerConfig{})
		s := full.serve(relay.ServerConfig{MaxClients: 1})
		a, b := w.join("a", 3, true), w.join("b", 4, true)
		defer a.leave()
		defer b.leave()
		leased(t, a.lease(relay.ClientConfig{Relays: 1}, full), 1)
		c := b.lease(relay.ClientConfig{Relays: 1}, full)
		within(t, 5*time.Second, "the refusal", func() bool { return errors.Is(c.Status().Err, relay.ErrFull) })
		if err := c.Status().Err; !errors.Is(err, relay.ErrRefused) {
			t.Errorf("%v", err)
		}
		if st := s.Stats(); st.Clients != 1 || st.Refused == 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestNobodyIsARelay: a peer that is none, an address where nobody is, and no
// address at all are told apart.
func TestNobodyIsARelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, false)
		plain, hidden := w.join("plain", 1, false), w.join("hidden", 2, true)
		defer plain.leave()
		defer hidden.leave()
		seed := endpoint.MustParseAddress("mem://nowhere")
		var seeds []endpoint.Address
		c := hidden.lease(relay.ClientConfig{Seeds: func() []endpoint.Address { return seeds }})
		within(t, time.Second, "no relay known", func() bool { return errors.Is(c.Status().Err, relay.ErrNoRelay) })
		seeds = []endpoint.Address{seed}
		c.Wake()
		var dial *endpoint.DialError
		within(t, 10*time.Second, "no such host", func() bool { return errors.As(c.Status().Err, &dial) && dial.Phase == endpoint.PhaseConnect })
		seeds = []endpoint.Address{plain.address()}
		c.Wake()
		within(t, time.Minute, "no answer", func() bool { return errors.Is(c.Status().Err, relay.ErrNoAnswer) })
		if st := c.Status(); !st.Wanted || len(st.Leases) != 0 || st.Next <= 0 {
			t.Errorf("%+v", st)
		}
	})
}
