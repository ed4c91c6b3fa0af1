package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

const soon = 50 * time.Millisecond

func TestEdgesFindEachOtherThroughRendezvous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, rdv, e := star(t, "ann", "bob")
		publish(t, e[0], discovery.Lifetime{}, "chat")
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		time.Sleep(12 * time.Millisecond) // one way of the announcement, and coalescing
		r, err := e[1].disc.FindOne(ctx, byName("chat"))
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > soon {
			t.Errorf("found %v after publishing", took)
		}
		if p, ok := r.Adv.(*advertisements.Pipe); !ok || p.ID != pipe("chat").ID || r.From != e[0].id {
			t.Errorf("found %+v from %v", r.Adv, r.From.Short())
		}
		if r.Expiration != 2*time.Hour {
			t.Errorf("expires after %v", r.Expiration)
		}
		if st := rdv.disc.Stats(); st.Forwarded == 0 || st.Answered != 0 {
			t.Errorf("the rendezvous should have forwarded the query: %+v", st)
		}
		// It is in the cache now, and a copy lives no longer than it may.
		expect(t, e[1], soon, discovery.Query{Kind: advertisements.Advs, LocalOnly: true}, "chat")
		time.Sleep(2 * time.Hour)
		expect(t, e[1], soon, discovery.Query{Kind: advertisements.Advs, LocalOnly: true}, "")
	})
}

func TestPatterns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, e := star(t, "ann", "bob")
		publish(t, e[0], discovery.Lifetime{}, "chat-1", "chat-2", "my-chat", "radio-1", "Chat")
		time.Sleep(soon)
		for value, want := range map[string]string{
			"chat-1":  "chat-1",
			"chat*":   "chat-1 chat-2",
			"*chat":   "my-chat",
			"*chat*":  "chat-1 chat-2 my-chat",
			"*":       "Chat chat-1 chat-2 my-chat radio-1",
			"":        "Chat chat-1 chat-2 my-chat radio-1",
			"*a*-1":   "chat-1 radio-1",
			"c*-2":    "chat-2",
			"*h*t*2":  "chat-2",
			" chat* ": "chat-1 chat-2",
			"nothing": "",
		} {
			q := byName(value)
			q.RemoteOnly = true
			expect(t, e[1], soon, q, want)
			q.RemoteOnly = false
			expect(t, e[0], soon, q, want)
		}
		q := discovery.Query{Kind: advertisements.Advs, RemoteOnly: true}
		expect(t, e[1], soon, q, "Chat chat-1 chat-2 my-chat radio-1")
		q.Attr = "Type" // not searchable
		expect(t, e[1], soon, q, "")
	})
}

func TestThreshold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, e := star(t, "ann", "bob")
		for i := range 60 {
			publish(t, e[0], discovery.Lifetime{}, fmt.Sprintf("pipe-%02d", i))
		}
		time.Sleep(soon)
		for limit, want := range map[int]int{1: 1, 7: 7, 50: 50, 1000: 50, 0: 50} {
			q := byName("pipe*")
			q.Limit, q.RemoteOnly = limit, true
			found, err := look(e[1], soon, q)
			if err != nil || len(found) != want {
				t.Errorf("limit %d finds %d, %v; want %d", limit, len(found), err, want)
			}
		}
		q := byName("pipe*")
		q.LocalOnly = true
		if got := len(e[0].disc.Local(q)); got != 60 {
			t.Errorf("%d in the own cache", got)
		}
		q.Limit = 7
		if got := len(e[0].disc.Local(q)); got != 7 {
			t.Errorf("limit 7 finds %d in the own cache", got)
		}
	})
}

func TestLifetimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, rdv, e := star(t, "ann", "bob")
		ann, bob := e[0], e[1]
		publish(t, ann, discovery.Lifetime{Remote: -1}, "private")
		publish(t, ann, discovery.Lifetime{Local: time.Minute}, "short")
		publish(t, ann, discovery.Lifetime{Remote: time.Minute}, "fleeting")
		publish(t, ann, discovery.Lifetime{Local: discovery.Forever, Remote: discovery.Forever}, "stone")
		time.Sleep(20 * time.Millisecond)
		one := byName("*")
		one.Limit, one.RemoteOnly = 1, true
		expect(t, bob, soon, one, "short") // the first of those that are given out
		found := expect(t, bob, soon, byName("*"), "fleeting short stone")
		for _, r := range found {
			want := time.Minute
			if names([]discovery.Result{r}) == "stone" {
				want = 24 * time.Hour // the most that a copy lives
			}
			if r.Expiration > want || r.Expiration < want-time.Second {
				t.Errorf("%s expires after %v", names([]discovery.Result{r}), r.Expiration)
			}
		}
		expect(t, ann, soon, byName("*"), "fleeting private short stone")
		if n := rdv.disc.Index().Entries; n != 4+2*3 {
			t.Errorf("the index has %d entries, want those of two peers and three pipes", n)
		}
		time.Sleep(time.Minute)
		expect(t, bob, soon, discovery.Query{Kind: advertisements.Advs, LocalOnly: true}, "stone")
		expect(t, bob, soon, byName("*"), "fleeting stone") // asked for anew
		expect(t, ann, soon, byName("*"), "fleeting private stone")

		if err := ann.disc.Publish(t.Context(), pipe("x"), discovery.Lifetime{Local: -1}); !errors.Is(err, discovery.ErrLifetime) {
			t.Errorf("negative lifetime: %v", err)
		}
	})
}

func TestRemoveAndFlushWithdraw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, rdv, e := star(t, "ann", "bob", "cid")
		publish(t, e[0], discovery.Lifetime{}, "one", "two", "three")
		time.Sleep(soon)
		before := rdv.disc.Index().Entries
		if err := e[0].disc.Remove(t.Context(), pipe("one")); err != nil {
			t.Fatal(err)
		}
		if err := e[0].disc.Remove(t.Context(), pipe("one")); !errors.Is(err, discovery.ErrNotFound) {
			t.Errorf("removing it again: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
		if n := rdv.disc.Index().Entries; n != before-2 {
			t.Errorf("%d index entries after the removal, %d before", n, before)
		}
		asked := e[0].disc.Stats().Queries
		expect(t, e[1], soon, byName("one"), "")
		if e[0].disc.Stats().Queries != asked {
			t.Error("a query went to a peer that withdrew its entry")
		}
		n, err := e[0].disc.Flush(t.Context())
		if err != nil || n != 2 {
			t.Errorf("flushed %d, %v", n, err)
		}
		time.Sleep(20 * time.Millisecond)
		expect(t, e[2], soon, byName("*"), "")
		expect(t, e[2], soon, discovery.Query{Kind: advertisements.Peers, Attr: "Name", Value: "ann"}, "ann")
	})
}

// Changes in quick succession travel together, and only what changed does.
func TestAnnouncementsAreDeltasAndTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, rdv, e := star(t, "ann")
		first := e[0].disc.Stats().Pushed
		publish(t, e[0], discovery.Lifetime{}, "a")
		time.Sleep(soon)
		if n := e[0].disc.Stats().Pushed - first; n != 1 {
			t.Errorf("%d index messages for one advertisement", n)
		}
		indexed := rdv.disc.Stats().Indexed
		for i := range 100 {
			publish(t, e[0], discovery.Lifetime{}, fmt.Sprint("b", i))
		}
		time.Sleep(soon)
		if n := e[0].disc.Stats().Pushed - first; n > 3 {
			t.Errorf("%d index messages for 101 advertisements", n)
		}
		if n := rdv.disc.Stats().Indexed - indexed; n != 200 {
			t.Errorf("%d entries announced for 100 advertisements", n)
		}
		pushed := e[0].disc.Stats().Pushed
		for i := range 10 {
			publish(t, e[0], discovery.Lifetime{}, fmt.Sprint("c", i))
			time.Sleep(100 * time.Microsecond)
		}
		time.Sleep(soon)
		if n := e[0].disc.Stats().Pushed - pushed; n != 2 {
			t.Errorf("%d index messages for 10 advertisements within a millisecond", n)
		}
		pushed = e[0].disc.Stats().Pushed
		time.Sleep(time.Hour)
		if n := e[0].disc.Stats().Pushed; n != pushed {
			t.Errorf("%d index messages though nothing changed", n-pushed)
		}
		time.Sleep(8 * time.Hour)
		if n := e[0].disc.Stats().Pushed; n != pushed+2 {
			t.Errorf("%d index messages to say everything again, want one for peers and one for the others", n-pushed)
		}
	})
}

// A rendezvous forgets what it is told within a day, unless it is told again.
func TestAnnouncedAgainWhileTheLeaseLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, e := star(t, "ann", "bob")
		publish(t, e[0], discovery.Lifetime{}, "old")
		time.Sleep(50 * time.Hour)
		expect(t, e[1], soon, byName("old"), "old")
	})
}

func TestPeersAndGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, e := star(t, "ann", "bob", "cid")
		g := &advertisements.Group{ID: id.GroupFromSeed(id.NetGroup, []byte("crew")), Spec: id.SpecGenericGroup, Name: "crew"}
		if err := e[0].disc.Publish(t.Context(), g, discovery.Lifetime{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(soon)
		expect(t, e[1], soon, discovery.Query{Kind: advertisements.Groups}, "crew")
		expect(t, e[1], soon, byName("crew"), "")
		// The rendezvous answers with itself, and those it knows with themselves.
		expect(t, e[1], soon, discovery.Query{Kind: advertisements.Peers}, "ann bob cid rdv")
		expect(t, e[1], soon, discovery.Query{Kind: advertisements.Peers, Attr: "PID", Value: e[2].id.String()}, "cid")
		if e[1].routes() == 0 {
			t.Error("no route was learned from the advertisements of peers")
		}
	})
}

func TestRendezvousFindsAndIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, rdv, e := star(t, "ann", "bob")
		publish(t, e[0], discovery.Lifetime{}, "edge's")
		publish(t, rdv, discovery.Lifetime{}, "rendezvous's")
		time.Sleep(soon)
		expect(t, rdv, soon, byName("*"), "edge's rendezvous's")
		expect(t, e[1], soon, byName("*"), "edge's rendezvous's")
		expect(t, rdv, soon, byName("nothing"), "")
	})
}

func TestDirectedQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, e := star(t, "ann", "bob", "cid")
		publish(t, e[0], discovery.Lifetime{}, "from ann")
		publish(t, e[2], discovery.Lifetime{}, "from cid")
		time.Sleep(soon)
		q := byName("from*")
		q.Peer = e[2].id
		found := expect(t, e[1], soon, q, "from cid")
		if len(found) != 1 || found[0].From != e[2].id {
			t.Errorf("found %v", found)
		}
		q.Peer = e[1].id // oneself
		expect(t, e[1], soon, q, "from cid")

		q = byName("from*")
		q.Peer = id.PeerFromSeed(id.NetGroup, []byte("nobody"))
		q.RemoteOnly = true
		if found, err := look(e[1], time.Minute*2, q); err == nil || len(found) > 0 {
			t.Errorf("asking a peer that does not exist: %v, %v", found, err)
		}
	})
}

func TestNeighbourhoodWithoutRendezvous(t *testing.T) {
	for _, role := range []rendezvous.Role{rendezvous.Edge, rendezvous.AdHoc} {
		t.Run(role.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := memory.New(memory.Config{Latency: time.Millisecond})
				ann := start(t, net, "ann", setup{role: role, segment: "lan"})
				bob := start(t, net, "bob", setup{role: role, segment: "lan"})
				far := start(t, net, "far", setup{role: role, segment: "elsewhere"})
				publish(t, ann, discovery.Lifetime{}, "here")
				expect(t, bob, 200*time.Millisecond, byName("here"), "here")
				expect(t, far, 200*time.Millisecond, byName("here"), "")
				n, err := ann.disc.PublishRemote(t.Context(), pipe("told"), discovery.Lifetime{})
				if err != nil || n != 1 {
					t.Errorf("told %d, %v", n, err)
				}
				time.Sleep(soon)
				q := byName("told")
				q.LocalOnly = true
				expect(t, bob, soon, q, "told")
			})
		})
	}
}

func TestNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		alone := start(t, net, "alone", setup{role: rendezvous.AdHoc})
		publish(t, alone, discovery.Lifetime{}, "mine")
		found, err := look(alone, time.Minute, byName("*"))
		if names(found) != "mine" || !errors.Is(err, discovery.ErrNobody) {
			t.Errorf("found %q, %v", names(found), err)
		}
		if _, err := alone.disc.PublishRemote(t.Context(), pipe("x"), discovery.Lifetime{}); !errors.Is(err, discovery.ErrNobody) {
			t.Errorf("publishing: %v", err)
		}
		if _, err := alone.disc.FindOne(t.Context(), byName("other")); !errors.Is(err, discovery.ErrNotFound) || !errors.Is(err, discovery.ErrNobody) {
			t.Errorf("FindOne: %v", err)
		}
		// An edge may find its rendezvous in a moment.
		edge := start(t, net, "edge", setup{seeds: []string{"late"}})
		began := time.Now()
		if _, err := look(edge, time.Minute, byName("*")); !errors.Is(err, discovery.ErrNobody) || time.Since(began) > 5*time.Second {
			t.Errorf("an edge without rendezvous: %v after %v", err, time.Since(began))
		}
		time.Sleep(10 * time.Second)
		late := start(t, net, "late", setup{role: rendezvous.Rendezvous})
		publish(t, late, discovery.Lifetime{}, "late's")
		edge.rdv.TrySeeds()
		expect(t, edge, 4*time.Second, byName("*"), "late's")
	})
}

func TestInvalidQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, memory.New(memory.Config{}), "p", setup{role: rendezvous.AdHoc})
		for _, q := range []discovery.Query{
			{Kind: 3},
			{Value: "x"},
			{LocalOnly: true, RemoteOnly: true},
			{Kind: advertisements.Advs, Attr: "Name", Value: "\x01", RemoteOnly: true},
		} {
			if _, err := look(p, time.Second, q); !errors.Is(err, discovery.ErrQuery) {
				t.Errorf("%+v: %v", q, err)
			}
		}
	})
}

func TestRemotePublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, rdv, e := star(t, "ann", "bob")
		ann, bob := e[0], e[1]
		n, err := ann.disc.PublishRemote(t.Context(), pipe("all"), discovery.Lifetime{Remote: time.Minute})
		if err != nil || n != 1 {
			t.Fatalf("told %d, %v", n, err)
		}
		if err := ann.disc.PublishTo(t.Context(), bob.id, pipe("bob's"), discovery.Lifetime{}); err != nil {
			t.Fatal(err)
		}
		if n, err = rdv.disc.PublishRemote(t.Context(), pipe("down"), discovery.Lifetime{}); err != nil || n != 2 {
			t.Errorf("the rendezvous told %d, %v", n, err)
		}
		time.Sleep(20 * time.Millisecond)
		local := discovery.Query{Kind: advertisements.Advs, LocalOnly: true}
		expect(t, rdv, soon, local, "all")
		expect(t, bob, soon, local, "bob's down")
		expect(t, ann, soon, local, "down")
		entries := rdv.disc.Index().Entries
		time.Sleep(time.Minute)
		expect(t, rdv, soon, local, "")
		if n := rdv.disc.Index().Entries; n != entries {
			t.Errorf("what came unasked was announced: %d entries, then %d", entries, n)
		}
		if err := ann.disc.PublishTo(t.Context(), bob.id, pipe("no"), discovery.Lifetime{Remote: -1}); !errors.Is(err, discovery.ErrLifetime) {
			t.Errorf("publishing something private: %v", err)
		}
	})
}

// What was asked for and cached is announced too, but not at once: caches become
// holders, as with JXSE.
func TestCachesBecomeHolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, e := star(t, "ann", "bob", "cid")
		publish(t, e[0], discovery.Lifetime{}, "popular")
		time.Sleep(soon)
		expect(t, e[1], soon, byName("popular"), "popular")
		e[0].stop()
		time.Sleep(soon)
		expect(t, e[2], soon, byName("popular"), "")
		time.Sleep(31 * time.Second)
		found := expect(t, e[2], soon, byName("popular"), "popular")
		if len(found) == 1 && (found[0].From != e[1].id || found[0].Expiration > 2*time.Hour-30*time.Second) {
			t.Errorf("got it from %v for %v", found[0].From.Short(), found[0].Expiration)
		}
	})
}

func TestNewVersionIsYielded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, e := star(t, "ann", "bob")
		ad := pipe("chat")
		ad.Desc = "old"
		if err := e[0].disc.Publish(t.Context(), ad, discovery.Lifetime{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(soon)
		expect(t, e[1], soon, byName("chat"), "chat")
		expect(t, e[1], soon, byName("chat"), "chat") // in the cache and remote: once
		ad.Desc = "new"
		if err := e[0].disc.Publish(t.Context(), ad, discovery.Lifetime{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(soon)
		found := expect(t, e[1], soon, byName("chat"), "chat chat")
		if len(found) == 2 && found[1].Adv.(*advertisements.Pipe).Desc != "new" {
			t.Errorf("got %q last", found[1].Adv.(*advertisements.Pipe).Desc)
		}
		expect(t, e[1], soon, byName("chat"), "chat")
	})
}

func TestLeaseLossAndRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, rdv, e := star(t, "ann", "bob")
		publish(t, e[0], discovery.Lifetime{}, "chat")
		time.Sleep(soon)
		rdv.stop()
		time.Sleep(time.Second)
		if _, ok := e[0].rdv.Lease(); ok {
			t.Fatal("still leased")
		}
		publish(t, e[0], discovery.Lifetime{}, "meanwhile")
		if err := e[0].disc.Remove(t.Context(), pipe("chat")); err != nil {
			t.Fatal(err)
		}
		publish(t, e[0], discovery.Lifetime{}, "last")

		time.Sleep(500 * time.Millisecond)
		again := start(t, net, "rdv", setup{role: rendezvous.Rendezvous})
		e[0].rdv.TrySeeds()
		connected(t, e[0])
		time.Sleep(time.Second)
		e[1].rdv.TrySeeds()
		connected(t, e[1])
		time.Sleep(soon)
		if n := again.disc.Index().Entries; n != 4+2+2 {
			t.Errorf("the new rendezvous has %d entries", n)
		}
		expect(t, e[1], soon, byName("*"), "last meanwhile")
	})
}

// A search asks a rendezvous that turns up while it runs.
func TestFindAsksTheNewRendezvous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		// The segment makes the first question reach somebody.
		edge := start(t, net, "edge", setup{seeds: []string{"rdv"}, segment: "lan"})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		time.AfterFunc(10*time.Second, func() {
			rdv := start(t, net, "rdv", setup{role: rendezvous.Rendezvous})
			publish(t, rdv, discovery.Lifetime{}, "chat")
			edge.rdv.TrySeeds()
		})
		if _, err := edge.disc.FindOne(ctx, byName("chat")); err != nil {
			t.Error(err)
		}
	})
}

func TestEntriesGoWithTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, rdv, e := star(t, "ann", "bob")
		publish(t, e[0], discovery.Lifetime{}, "chat")
		time.Sleep(soon)
		before := rdv.disc.Index()
		e[0].stop()
		time.Sleep(soon)
		after := rdv.disc.Index()
		if before.Holders != 2 || after.Holders != 1 || after.Entries != 2 {
			t.Errorf("index before %+v, after %+v", before, after)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, e := star(t, "ann", "bob")
		done := make(chan error)
		go func() {
			_, err := look(e[0], time.Hour, byName("nothing"))
			done <- err
		}()
		time.Sleep(soon)
		if err := e[0].disc.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, discovery.ErrClosed) {
			t.Errorf("a running Find ends with %v", err)
		}
		if err := e[0].disc.Close(); err != nil {
			t.Error("closing again:", err)
		}
		if err := e[0].disc.Publish(t.Context(), pipe("x"), discovery.Lifetime{}); !errors.Is(err, discovery.ErrClosed) {
			t.Errorf("publishing: %v", err)
		}
		if _, err := e[0].disc.PublishRemote(t.Context(), pipe("x"), discovery.Lifetime{}); !errors.Is(err, discovery.ErrClosed) {
			t.Errorf("publishing to others: %v", err)
		}
		if _, err := e[0].disc.Flush(t.Context()); !errors.Is(err, discovery.ErrClosed) {
			t.Errorf("flushing: %v", err)
		}
		if _, err := look(e[0], time.Hour, byName("x")); !errors.Is(err, discovery.ErrClosed) {
			t.Errorf("finding: %v", err)
		}
	})
}

// Breaking off frees the question: later answers go nowhere.
func TestBreakingOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, e := star(t, "ann", "bob")
		publish(t, e[0], discovery.Lifetime{}, "one", "two")
		time.Sleep(soon)
		for range e[1].disc.Find(t.Context(), byName("*")) { // no time limit: only break ends it
			break
		}
		synctest.Wait()
	})
}
