package srdi

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// push gives a push of another peer to a keeper.
func push(t *testing.T, n *node, from id.Peer, p *Push) {
	t.Helper()
	x, err := p.Message("h")
	if err != nil {
		t.Fatal(err)
	}
	x.From = from
	n.keep.Receive(t.Context(), x)
}

func leased(t *testing.T, n *node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := n.rdv.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
}

// A change of the view has entries placed anew: after it has settled, not too
// often, and only those whose place is another one.
func TestPlacedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		ids := numbered(6)
		own := map[string][]Entry{}
		n := newNode(t, net, ids[4], rendezvous.Rendezvous, Config{
			Own:    func() map[string][]Entry { return own },
			Spread: func(primary string) bool { return primary != "Mine" },
		})
		client := newNode(t, net, ids[5], rendezvous.Edge, Config{}, ids[4])
		leased(t, client)
		var others []*node
		for _, p := range ids[:4] {
			o := newNode(t, net, p, rendezvous.AdHoc, Config{})
			o.deaf = true
			if _, err := o.ep.Dial(t.Context(), n.ep.Addresses()[0]); err != nil {
				t.Fatal(err)
			}
			others = append(others, o)
		}
		got := func() (all []string) {
			for i, o := range others {
				for _, s := range strings.Split(o.take(), "; ") {
					if s != "" {
						all = append(all, fmt.Sprintf("%d: %s", i+1, s))
					}
				}
			}
			return all
		}
		few, more := []id.Peer{ids[0], ids[1], ids[4]}, []id.Peer{ids[0], ids[1], ids[2], ids[3], ids[4]}
		find := func(before, after id.Peer) string {
			for i := 0; ; i++ {
				v := fmt.Sprint("v", i)
				a, _ := NewRow(few...).Place("Adv", "Name", v)
				b, _ := NewRow(more...).Place("Adv", "Name", v)
				if a == before && b == after {
					return v
				}
			}
		}
		stays, moves, goes := find(ids[0], ids[0]), find(ids[0], ids[1]), find(ids[1], ids[2])
		push(t, n, client.id, &Push{Holder: client.id, Primary: "Adv", TTL: 1, Entries: []Entry{{"Name", stays, 3600_000}, {"Name", moves, 3600_000}}})
		push(t, n, client.id, &Push{Holder: client.id, Primary: "Mine", TTL: 1, Entries: []Entry{{"Name", "x", 3600_000}}})
		own["Adv"] = entries(goes)
		time.Sleep(2 * time.Second)
		if s := got(); s != nil {
			t.Errorf("without others: %q", s)
		}
		n.setView(ids[0])
		time.Sleep(10 * time.Second)
		if s := got(); s != nil {
			t.Errorf("with too few others: %q", s)
		}
		n.setView(ids[0], ids[1])
		time.Sleep(settleFor - time.Millisecond)
		if s := got(); s != nil {
			t.Errorf("at once: %q", s)
		}
		time.Sleep(100 * time.Millisecond)
		want := []string{"1: p6 Adv Name=" + stays, "1: Name=" + moves, "2: p5 Adv Name=" + goes}
		s := strings.Join(got(), "\n")
		for _, w := range want {
			if _, w, _ := strings.Cut(w, ": "); !strings.Contains(s, w) {
				t.Errorf("with two: %q lacks %q", s, w)
			}
		}
		if strings.Contains(s, "Mine") || strings.Count(s, "Name=") != 3 {
			t.Errorf("with two: %q", s)
		}
		// A new view within the time after which everything may be placed again.
		n.setView(ids[0], ids[1], ids[2])
		time.Sleep(time.Second)
		n.setView(ids[0], ids[1], ids[2], ids[3])
		time.Sleep(2 * time.Second)
		if s := got(); s != nil {
			t.Errorf("too soon: %q", s)
		}
		time.Sleep(3 * time.Second)
		s = strings.Join(got(), "\n")
		if !strings.Contains(s, "2: p6 Adv Name="+moves) || !strings.Contains(s, "3: p5 Adv Name="+goes) || strings.Count(s, "Name=") != 2 {
			t.Errorf("with four: %q", s)
		}
		if st := n.keep.Stats(); st.Replaced != 5 {
			t.Errorf("%+v", st)
		}
		// Nothing happens until a half day is over.
		n.setView(ids[3], ids[2], ids[1], ids[0])
		time.Sleep(6 * time.Second)
		if s := got(); s != nil {
			t.Errorf("the same view again: %q", s)
		}
	})
}

// Everything is said again before an index elsewhere forgets it.
func TestPlacedAgainForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, others, ids := one(t, 3, 2, Config{})
		v := placed(ids[0], ids, 1)
		n.keep.cfg.Own = func() map[string][]Entry { return map[string][]Entry{"Adv": entries(v...)} }
		n.setView(ids[:2]...)
		time.Sleep(time.Second)
		if others[0].take() == "" {
			t.Error("not placed")
		}
		for day := range 2 {
			time.Sleep(11 * time.Hour)
			if s := others[0].take(); s != "" {
				t.Errorf("%q too soon", s)
			}
			time.Sleep(time.Hour)
			if s := others[0].take(); strings.Count(s, v[0]) != 1 {
				t.Errorf("half day %d: %q", day, s)
			}
		}
	})
}

// Pushes that come while the view changes go to the old place too.
func TestSpreadWhileTheViewChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, others, ids := one(t, 6, 5, Config{})
		n.setView(ids[0], ids[1])
		time.Sleep(6 * time.Second)
		few, more := NewRow(ids[0], ids[1], ids[5]), NewRow(ids...)
		v := ""
		for i := 0; v == ""; i++ {
			a, _ := few.Place("Adv", "Name", fmt.Sprint(i))
			b, _ := more.Place("Adv", "Name", fmt.Sprint(i))
			if a == ids[1] && b == ids[2] {
				v = fmt.Sprint(i)
			}
		}
		n.setView(ids[:5]...)
		n.keep.Announce("Adv", entries(v))
		time.Sleep(100 * time.Millisecond)
		if a, b := others[1].take(), others[2].take(); !strings.Contains(a, v) || !strings.Contains(b, v) {
			t.Errorf("%q and %q", a, b)
		}
		time.Sleep(10 * time.Second)
		others[2].take()
		n.keep.Announce("Adv", entries(v))
		time.Sleep(100 * time.Millisecond)
		if a, b := others[1].take(), others[2].take(); a != "" || !strings.Contains(b, v) {
			t.Errorf("later: %q and %q", a, b)
		}
	})
}

// Who may say what: a client for itself, a member of the view for others, nobody
// else; and through the one that says it others are reached.
func TestWhoMaySpeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		ids := numbered(5)
		n := newNode(t, net, ids[0], rendezvous.Rendezvous, Config{
			Knows:  func(primary string) bool { return primary == "Adv" },
			Accept: func(_ string, e *Entry) bool { e.Value = strings.ToLower(e.Value); return e.Value != "bad" },
		})
		client := newNode(t, net, ids[1], rendezvous.Edge, Config{}, ids[0])
		leased(t, client)
		n.setView(ids[2])
		member, far, stranger := ids[2], ids[3], ids[4]
		for _, c := range []struct {
			what            string
			from, holder    id.Peer
			ttl             int64
			primary, value  string
			found, learned  bool
			foreign, others uint64
		}{
			{"client", client.id, client.id, 1, "Adv", "Client", true, false, 0, 0},
			{"client for another", client.id, far, 0, "Adv", "x1", false, false, 1, 0},
			{"client for the rendezvous", client.id, n.id, 0, "Adv", "x2", false, false, 1, 0},
			{"member for another", member, far, 0, "Adv", "far", true, true, 0, 0},
			{"member for itself", member, member, 0, "Adv", "member", true, false, 0, 0},
			{"member for a client here", member, client.id, 0, "Adv", "copy", true, false, 0, 0},
			{"member, with hops left", member, far, 1, "Adv", "x3", false, false, 1, 0},
			{"member for this one", member, n.id, 0, "Adv", "x4", false, false, 1, 0},
			{"stranger for itself", stranger, stranger, 1, "Adv", "x5", false, false, 1, 0},
			{"another service", client.id, client.id, 1, "JxtaUnicast", "x6", false, false, 0, 1},
			{"no sense", client.id, client.id, 1, "Adv", "BAD", false, false, 0, 1},
		} {
			before := n.keep.Stats()
			n.learn = nil
			push(t, n, c.from, &Push{Holder: c.holder, Primary: c.primary, TTL: c.ttl, Entries: []Entry{{"Name", c.value, 60_000}}})
			if found := n.keep.Find(c.primary, "Name", strings.ToLower(c.value), 0); (len(found) == 1) != c.found || c.found && found[0] != c.holder {
				t.Errorf("%s: found %v", c.what, found)
			}
			if (len(n.learn) == 1) != c.learned || c.learned && (n.learn[0].Dest != c.holder || n.learn[0].Hops[0].Peer != c.from) {
				t.Errorf("%s: learned %v", c.what, n.learn)
			}
			after := n.keep.Stats()
			lost := after.DroppedMalformed + after.DroppedRefused - before.DroppedMalformed - before.DroppedRefused
			if after.DroppedForeign-before.DroppedForeign != c.foreign || lost != c.others {
				t.Errorf("%s: %+v", c.what, after)
			}
		}
		n.keep.Receive(t.Context(), &resolver.Index{From: client.id, Payload: "what?"})
		if st := n.keep.Stats(); st.DroppedMalformed != 2 {
			t.Errorf("%+v", st)
		}
		client.keep.Receive(t.Context(), &resolver.Index{From: n.id, Payload: "what?"})
		if st := client.keep.Stats(); st.DroppedForeign != 1 {
			t.Errorf("an edge: %+v", st)
		}
		n.keep.pushers.Spend(member, 2*pushBurst)
		n.keep.Receive(t.Context(), &resolver.Index{From: member, Payload: "x"})
		if st := n.keep.Stats(); st.DroppedOverBudget != 1 {
			t.Errorf("a flood: %+v", st)
		}
		if p, ok := n.keep.Place("Adv", "Name", "x"); ok {
			t.Errorf("a place among two: %v", p)
		}
		n.keep.Remember("Adv", "Name", "seen", far, time.Now().Add(time.Minute))
		if found := n.keep.Find("Adv", "Name", "seen", 0); len(found) != 1 || n.keep.Leased("Adv", "Name", "seen", 0) != nil {
			t.Errorf("found %v", found)
		}
		n.keep.Forget("Adv", "Name", "seen", far)
		n.keep.Drop(member)
		if found := append(n.keep.Find("Adv", "Name", "seen", 0), n.keep.Find("Adv", "Name", "member", 0)...); len(found) > 0 {
			t.Errorf("found %v", found)
		}
	})
}

// What comes within some seconds is given to those who asked, within bounds.
func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var came []string
		n, _, ids := one(t, 3, 0, Config{Came: func(_ context.Context, q *resolver.RawQuery, holder id.Peer) {
			mu.Lock()
			defer mu.Unlock()
			came = append(came, fmt.Sprint(q.ID, " ", host(holder)))
		}})
		take := func() string {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			slices.Sort(came)
			s := strings.Join(came, "; ")
			came = nil
			return s
		}
		n.setView(ids[0])
		says := func(value string, millis int64) {
			push(t, n, ids[0], &Push{Holder: ids[0], Primary: "Adv", Entries: []Entry{{"Name", value, millis}}})
		}
		ask := func(who id.Peer, query int32, value string) {
			n.keep.Wait(&resolver.RawQuery{Source: who, ID: query}, "Adv", "Name", value)
		}
		ask(ids[1], 1, "a")
		ask(ids[1], 1, "a") // the same
		ask(ids[1], 2, "a")
		ask(ids[0], 3, "a") // the holder itself
		ask(ids[1], 4, "b")
		says("a", 0) // withdrawn
		says("c", 60_000)
		if s := take(); s != "" {
			t.Errorf("%q", s)
		}
		says("a", 60_000)
		if s := take(); s != "1 p1; 2 p1" {
			t.Errorf("%q", s)
		}
		n.keep.Announce("Adv", entries("b"))
		if s := take(); s != "4 p3" {
			t.Errorf("%q", s)
		}
		time.Sleep(waitFor)
		says("a", 60_000)
		if s := take(); s != "" {
			t.Errorf("after its time: %q", s)
		}
		before := n.keep.Stats()
		for i := range maxWaitingOf + 3 {
			ask(ids[1], int32(i), fmt.Sprint(i))
		}
		if st := n.keep.Stats(); st.Waited-before.Waited != maxWaitingOf || st.DroppedWaiting-before.DroppedWaiting != 3 {
			t.Errorf("%+v", st)
		}
		for i := range maxWaiting {
			ask(id.NewPeer(id.NetGroup), int32(i), "z")
		}
		if st := n.keep.Stats(); st.Waited-before.Waited != maxWaiting {
			t.Errorf("%+v", st)
		}
		time.Sleep(waitFor)
		ask(ids[1], 1, "a")
		if w := &n.keep.waiting; len(w.order) != 1 || len(w.by) != 1 || len(w.of) != 1 {
			t.Errorf("%d, %d, %d remembered", len(w.order), len(w.by), len(w.of))
		}
	})
}

// Copies for which this is not the place any more make room when it is scarce.
func TestCopiesMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _, ids := one(t, 4, 0, Config{})
		row := NewRow(ids...)
		stay := 0
		holders := numbered(1200)[4:]
		for _, h := range holders {
			for k := range 250 {
				v := fmt.Sprint(k)
				_ = n.keep.copies.Add("Adv", "Name", v, h, time.Now().Add(time.Hour))
				if at, _ := row.Place("Adv", "Name", v); at == n.id {
					stay++
				}
			}
		}
		n.setView(ids[:3]...)
		time.Sleep(time.Second)
		if got := n.keep.copies.Count(); got != stay {
			t.Errorf("%d copies left, want %d", got, stay)
		}
	})
}
