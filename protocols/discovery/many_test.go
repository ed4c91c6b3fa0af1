package discovery_test

import (
	"context"
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/resolver/srdi"
)

func (n *many) all() []*peer { return slices.Concat(n.rdvs, n.edges) }

// sent is how many messages all peers have sent.
func (n *many) sent() (sum uint64) {
	for _, p := range n.all() {
		sum += p.ep.Stats().Sent
	}
	return sum
}

// asked is how many queries, answers and index messages all peers have got.
func (n *many) asked() (sum uint64) {
	for _, p := range n.all() {
		st := p.res.Stats()
		sum += st.Queries + st.Responses + st.Indexes
	}
	return sum
}

// row is the rendezvous as each of them knows them.
func (n *many) row() *srdi.Row {
	var all []id.Peer
	for _, r := range n.rdvs {
		all = append(all, r.id)
	}
	return srdi.NewRow(all...)
}

// keeper returns the rendezvous that keeps the copy of a name.
func (n *many) keeper(tb testing.TB, name string) *peer {
	tb.Helper()
	at, ok := n.row().Place("Adv", "Name", name)
	i := slices.IndexFunc(n.rdvs, func(r *peer) bool { return r.id == at })
	if !ok || i < 0 {
		tb.Fatal("no place")
	}
	return n.rdvs[i]
}

// What an edge has is found by edges of other rendezvous with five messages: to
// the rendezvous, to the one with the copy, to the holder through the one that
// made the copy, and the answer.
func TestCostOfALookup(t *testing.T) {
	for _, rdvs := range []int{3, 16} {
		t.Run(fmt.Sprint(rdvs), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := group(t, rdvs, 1)
				for i, e := range n.edges {
					publish(t, e, discovery.Lifetime{}, fmt.Sprint("of ", i))
				}
				settle()
				limit := uint64(2*bits.Len(uint(rdvs-1)) + 4)
				// What goes on beside counts too, more of it on a busy machine: the best of
				// some times.
				var costs []uint64
				for range 3 {
					costs = nil
					for i, e := range n.edges {
						q := byName(fmt.Sprint("of ", (i+1)%rdvs))
						q.RemoteOnly = true
						before, asked := n.sent(), n.asked()
						expect(t, e, 100*time.Millisecond, q, q.Value)
						costs = append(costs, n.sent()-before)
						if got := n.asked() - asked; got > 4 {
							t.Errorf("%d queries and answers", got)
						}
					}
					slices.Sort(costs)
					if costs[0] <= 5 && costs[len(costs)/2] <= 5 && costs[len(costs)*3/4] <= limit {
						break
					}
				}
				if costs[0] > 5 || costs[len(costs)/2] > 5 || costs[len(costs)*3/4] > limit {
					t.Errorf("messages: %v, at most %d but for what goes on beside", costs, limit)
				}
				for _, r := range n.rdvs {
					if st := r.rdv.Stats(); st.DroppedMalformed+st.DroppedNoListener > 0 {
						t.Errorf("%+v", st)
					}
				}
			})
		})
	}
}

// When rendezvous come and go, the entries follow them to their new places.
func TestEntriesFollowTheView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := group(t, 4, 2)
		var names []string
		for i := range 40 {
			names = append(names, fmt.Sprint("pipe ", i))
			publish(t, n.edges[i%len(n.edges)], discovery.Lifetime{}, names[i])
		}
		publish(t, n.rdvs[1], discovery.Lifetime{}, "own")
		names = append(names, "own")
		settle()
		check := func(what string) {
			t.Helper()
			for _, name := range names {
				if st := n.keeper(t, name).disc; !slices.ContainsFunc(n.all(), func(p *peer) bool { return p.disc == st }) {
					t.Fatal("no keeper")
				}
			}
			again := uint64(0)
			for i, name := range names {
				asker := n.edges[(i+3)%len(n.edges)]
				q := byName(name)
				q.RemoteOnly = true
				expect(t, asker, time.Second, q, name) // before it would ask again
				again += asker.disc.Stats().AskedAgain
			}
			if again > 0 {
				t.Errorf("%s: asked again %d times", what, again)
			}
			for i, r := range n.rdvs {
				if st := r.disc.Stats(); st.UnsentEntries+st.DroppedOverBudget+st.DroppedForeignIndex > 0 || st.Queued > 0 {
					t.Errorf("%s: rendezvous %d: %+v", what, i, st)
				}
			}
		}
		check("at first")
		for i := range 4 {
			n.rdvs = append(n.rdvs, start(t, n.net, fmt.Sprint("n", i), setup{role: rendezvous.Rendezvous, seeds: []string{"r0"}}))
		}
		n.meet(t)
		check("with four more")
		replaced := uint64(0)
		for _, r := range n.rdvs {
			replaced += r.disc.Stats().Replaced
		}
		if replaced == 0 {
			t.Error("nothing was placed anew")
		}
		gone := n.rdvs[4:6]
		n.rdvs = slices.Concat(n.rdvs[:4], n.rdvs[6:])
		for _, r := range gone {
			r.stop()
		}
		n.meet(t)
		check("with two less")
		time.Sleep(2 * time.Minute) // who has found something has announced that by now
		before := uint64(0)
		for _, r := range n.rdvs {
			before += r.disc.Stats().Pushed
		}
		time.Sleep(10 * time.Minute)
		after := uint64(0)
		for _, r := range n.rdvs {
			after += r.disc.Stats().Pushed
		}
		if after != before {
			t.Errorf("%d index messages while nothing happened", after-before)
		}
	})
}

// Who asks a moment before it is published gets it, without asking again.
func TestPublishedWhileItIsLookedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := group(t, 5, 1)
		for i, asker := range slices.Concat(n.edges[:1], n.rdvs) {
			for k, holder := range []*peer{n.edges[3], n.rdvs[2]} {
				if asker == holder {
					continue
				}
				name := fmt.Sprintf("late %d %d", i, k)
				time.AfterFunc(300*time.Millisecond, func() { publish(t, holder, discovery.Lifetime{}, name) })
				expect(t, asker, time.Second, byName(name), name)
			}
		}
		waited, came := uint64(0), uint64(0)
		for _, r := range n.rdvs {
			waited += r.disc.Stats().Waited
			came += r.disc.Stats().Came
		}
		if waited == 0 || came == 0 {
			t.Errorf("%d waited, %d came", waited, came)
		}
		// Not for ever.
		time.AfterFunc(6*time.Second, func() { publish(t, n.edges[3], discovery.Lifetime{}, "too late") })
		expect(t, n.rdvs[0], 8*time.Second, byName("too late"), "")
	})
}

// What the index has lost is found all the same, by asking once more and widely.
func TestAskedAgainAndWidely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := group(t, 9, 1)
		// It announces nothing, as edges of JXSE 2.7, and so is asked by its own
		// rendezvous alone, which is the last one on the way.
		far := slices.MaxFunc(n.rdvs, func(a, b *peer) int { return strings.Compare(a.id.String(), b.id.String()) })
		mute := start(t, n.net, "mute", setup{seeds: []string{name(n, far)}})
		if err := mute.disc.Close(); err != nil {
			t.Fatal(err)
		}
		connected(t, mute)
		_, err := mute.res.Register(t.Context(), handler, resolver.Handler{Query: func(ctx context.Context, q *resolver.RawQuery) resolver.Outcome {
			_, value, _ := strings.Cut(q.Body, "<Value>")
			value, _, _ = strings.Cut(value, "<")
			if value = strings.TrimSuffix(value, "*"); strings.HasPrefix(value, "lost") {
				_ = mute.res.SendResponse(ctx, q.Source, &resolver.RawResponse{Handler: handler, ID: q.ID, Body: answer(60000, document(t, pipe(value)))})
			}
			return resolver.Done
		}})
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range n.rdvs {
			if r == far {
				continue
			}
			for k, p := range []*peer{r, n.edges[i]} {
				q := byName(fmt.Sprint("lost", i, k)) // those who find it have it
				q.RemoteOnly = true
				expect(t, p, 1900*time.Millisecond, q, "")
				if st := p.disc.Stats(); st.AskedAgain != 0 {
					t.Error("asked again too soon")
				}
				expect(t, p, 3*time.Second, q, q.Value)
				if st := p.disc.Stats(); st.AskedAgain != 1 {
					t.Errorf("asked again %d times", st.AskedAgain)
				}
			}
		}
		expect(t, far, 10*time.Second, byName("nowhere"), "")
		if st := far.disc.Stats(); st.AskedAgain != 1 {
			t.Errorf("asked again %d times for what is nowhere", st.AskedAgain)
		}
	})
}

func name(n *many, r *peer) string { return fmt.Sprint("r", slices.Index(n.rdvs, r)) }

// A burst of publishing costs few messages, however much it is, and all of it is
// found.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := group(t, 4, 1)
		const count = 10_000
		before := n.edges[0].disc.Stats().Pushed
		copied := func() (sum uint64) {
			for _, r := range n.rdvs {
				sum += r.disc.Stats().Pushed
			}
			return sum
		}
		copies := copied()
		for i := range count {
			publish(t, n.edges[0], discovery.Lifetime{}, fmt.Sprint("p", i))
			if i%100 == 0 {
				time.Sleep(10 * time.Millisecond) // a second in all
			}
		}
		time.Sleep(3 * time.Second)
		settle()
		st := n.edges[0].disc.Stats()
		if pushed := st.Pushed - before; pushed > 11 || st.Unsent > 0 {
			t.Errorf("%d messages, %+v", pushed, st)
		}
		if n := copied() - copies; n > 2*11 {
			t.Errorf("%d messages to the rendezvous that keep the copies", n)
		}
		if got := n.rdvs[0].disc.Index().Entries; got != 2+2*count {
			t.Errorf("%d entries", got)
		}
		for i := 0; i < count; i += 997 {
			expect(t, n.edges[1+i%3], time.Second, byName(fmt.Sprint("p", i)), fmt.Sprint("p", i))
		}
		for i, r := range n.rdvs {
			if st := r.disc.Stats(); st.UnsentEntries+st.DroppedRefused+st.DroppedOverBudget > 0 {
				t.Errorf("rendezvous %d: %+v", i, st)
			}
		}
	})
}

// A peer that becomes a rendezvous places what it has; one that becomes an edge
// forgets what others have said and announces what it has.
func TestRolesChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := group(t, 3, 2)
		p := n.edges[0]
		publish(t, p, discovery.Lifetime{}, "wanderer's")
		settle()
		found := func(what string) {
			t.Helper()
			for _, e := range n.edges[1:] {
				q := byName("wanderer's")
				q.RemoteOnly = true
				expect(t, e, time.Second, q, "wanderer's")
			}
			_ = what
		}
		found("as an edge")
		if err := p.rdv.SetRole(rendezvous.Rendezvous); err != nil {
			t.Fatal(err)
		}
		n.rdvs = append(n.rdvs, p)
		n.meet(t)
		found("as a rendezvous")
		if st := p.disc.Stats(); st.Pushed == 0 || p.disc.Copies().Entries == 0 && p.disc.Stats().Copied == 0 && n.row().Size() == 0 {
			t.Errorf("%+v", st)
		}
		if err := p.rdv.SetRole(rendezvous.Edge); err != nil {
			t.Fatal(err)
		}
		n.rdvs = n.rdvs[:3]
		connected(t, p)
		n.meet(t)
		if p.disc.Index().Entries+p.disc.Copies().Entries > 0 {
			t.Errorf("an edge keeps %d entries", p.disc.Index().Entries+p.disc.Copies().Entries)
		}
		found("as an edge again")
	})
}

// Peers at rest have no goroutine of this package.
func TestGoroutinesAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		start(t, net, "adhoc", setup{role: rendezvous.AdHoc})
		start(t, net, "r", setup{role: rendezvous.Rendezvous})
		for i := range 5 {
			e := start(t, net, fmt.Sprint("e", i), setup{seeds: []string{"r"}})
			connected(t, e)
			publish(t, e, discovery.Lifetime{}, "x")
		}
		settle()
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		for s := range strings.SplitSeq(string(stacks), "\n\n") {
			if strings.Contains(s, "protocols/discovery.(") || strings.Contains(s, "resolver/srdi.(") {
				t.Errorf("%s", s)
			}
		}
	})
}
