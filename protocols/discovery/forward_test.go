package discovery_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// A question for everything goes to some holders, and is not spread further.
func TestMatchAllIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names []string
		for i := range 20 {
			names = append(names, fmt.Sprintf("edge%02d", i))
		}
		net, rdv, e := star(t, names...)
		for i, p := range e {
			publish(t, p, discovery.Lifetime{}, fmt.Sprintf("pipe%02d", i))
		}
		victim := start(t, net, "victim", setup{role: rendezvous.AdHoc})
		evil := start(t, net, "evil", setup{role: rendezvous.AdHoc})
		if _, err := evil.ep.Dial(t.Context(), addr("rdv")); err != nil {
			t.Fatal(err)
		}
		settle()
		q := &resolver.RawQuery{Handler: handler, ID: 9, Source: victim.id, Route: victim.route, Body: ask(2, 50, "", "")}
		evil.res.ForwardQuery(t.Context(), q, []id.Peer{rdv.id})
		settle()
		if n := rdv.disc.Stats().Forwarded; n == 0 || n > 10 {
			t.Errorf("forwarded to %d in another's name", n)
		}
		// Asked by a client, all that were asked for: fewer than there are if so wished.
		forwarded := rdv.disc.Stats().Forwarded
		ask := discovery.Query{Kind: advertisements.Advs, RemoteOnly: true, Limit: 5}
		if found, _ := look(e[0], soon, ask); len(found) != 5 || rdv.disc.Stats().Forwarded != forwarded+5 {
			t.Errorf("limit 5: %d found, forwarded to %d", len(found), rdv.disc.Stats().Forwarded-forwarded)
		}
		ask.Limit = 0
		if found, _ := look(e[0], soon, ask); len(found) != 19 {
			t.Errorf("no limit: %d found", len(found))
		}
	})
}

// Edges that announce nothing, like those of JXSE 2.7, are asked when nobody
// else has it.
func TestSilentEdgesAreAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, rdv, e := star(t, "ann")
		mute := start(t, net, "mute", setup{seeds: []string{"rdv"}})
		if err := mute.disc.Close(); err != nil {
			t.Fatal(err)
		}
		connected(t, mute)
		doc := document(t, pipe("quiet"))
		_, err := mute.res.Register(t.Context(), handler, resolver.Handler{Query: func(ctx context.Context, q *resolver.RawQuery) resolver.Outcome {
			_ = mute.res.SendResponse(ctx, q.Source, &resolver.RawResponse{Handler: handler, ID: q.ID, Body: answer(60000, doc)})
			return resolver.Done
		}})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, e[0], soon, byName("quiet"), "quiet")
		expect(t, rdv, soon, byName("quiet"), "quiet")
	})
}

func TestHopCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, rdv, e := star(t, "ann", "bob")
		publish(t, e[0], discovery.Lifetime{}, "edge's")
		publish(t, rdv, discovery.Lifetime{}, "rendezvous's")
		settle()
		for hc, want := range []int{2, 2, 1, 0} {
			ctx, cancel := context.WithTimeout(t.Context(), soon)
			defer cancel()
			n := 0
			q := &resolver.RawQuery{Handler: handler, HC: hc, Body: ask(2, 5, "Name", "*")}
			for _, err := range e[1].res.Collect(ctx, rdv.id, q) {
				if err != nil {
					t.Fatal(err)
				}
			}
			q = &resolver.RawQuery{Handler: handler, HC: hc, Body: ask(2, 5, "Name", "*")}
			ctx, cancel = context.WithTimeout(t.Context(), soon)
			defer cancel()
			send := func(ctx context.Context) error { return e[1].res.SendQuery(ctx, rdv.id, q) }
			for _, err := range e[1].res.CollectBy(ctx, id.Peer{}, q, send) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			if n != want {
				t.Errorf("hop count %d: %d answers, want %d", hc, n, want)
			}
		}
	})
}

// A rendezvous does not spread questions for everything, and others only to
// where no edge of its own is.
func TestWhatARendezvousSpreads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		start(t, net, "rdv", setup{role: rendezvous.Rendezvous, segment: "lan"})
		near := start(t, net, "near", setup{role: rendezvous.AdHoc, segment: "lan"})
		ann := start(t, net, "ann", setup{seeds: []string{"rdv"}})
		bob := start(t, net, "bob", setup{seeds: []string{"rdv"}})
		connected(t, ann)
		connected(t, bob)
		settle()
		expect(t, bob, soon, discovery.Query{Kind: advertisements.Groups}, "")
		expect(t, bob, soon, discovery.Query{Kind: advertisements.Groups, Attr: "Name", Value: "*"}, "")
		if n := near.disc.Stats().Queries; n != 0 {
			t.Errorf("%d questions for everything were spread", n)
		}
		expect(t, bob, soon, discovery.Query{Kind: advertisements.Groups, Attr: "Name", Value: "g*"}, "")
		if n := near.disc.Stats().Queries; n != 1 {
			t.Errorf("the neighbourhood of the rendezvous got %d queries", n)
		}
		if n := ann.disc.Stats().Queries; n != 0 {
			t.Errorf("an edge that has nothing of the kind got %d queries", n)
		}
	})
}

func TestThresholdOfStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, e := star(t, "ann", "bob")
		for i := range 60 {
			publish(t, e[0], discovery.Lifetime{}, fmt.Sprint("pipe ", i))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for r, err := range e[1].res.Collect(ctx, e[0].id, &resolver.RawQuery{Handler: handler, Body: ask(2, 1000, "Name", "pipe*")}) {
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(r.Body, "<Response "); n != 50 {
				t.Errorf("asked for 1000, got %d", n)
			}
			return
		}
		t.Error("no answer")
	})
}

// An edge that has vanished without a word is asked no more: when it cannot be
// reached, and when its lease is over.
func TestHoldersThatVanish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		rdv := start(t, net, "rdv", setup{role: rendezvous.Rendezvous, lease: 5 * time.Minute})
		ann := start(t, net, "ann", setup{seeds: []string{"rdv"}})
		cid := start(t, net, "cid", setup{seeds: []string{"rdv"}})
		bob := start(t, net, "bob", setup{seeds: []string{"rdv"}})
		for _, p := range []*peer{ann, bob, cid} {
			connected(t, p)
		}
		publish(t, ann, discovery.Lifetime{}, "ann's")
		publish(t, cid, discovery.Lifetime{}, "cid's")
		settle()
		net.Partition("ann", "cid")
		time.Sleep(memory.BreakAfter + time.Second)
		expect(t, bob, 20*time.Second, byName("ann's"), "")
		if n := rdv.disc.Index().Holders; n != 2 || !rdv.rdv.HasClient(ann.id) {
			t.Errorf("%d holders after one could not be reached", n)
		}
		for rdv.rdv.HasClient(cid.id) {
			time.Sleep(time.Second)
		}
		if n := rdv.disc.Index().Holders; n != 2 {
			t.Skip("the lease was swept at once") // the rest is about the moment before
		}
		queries := rdv.disc.Stats().Forwarded + rdv.disc.Stats().Unsent
		expect(t, bob, 20*time.Second, byName("cid's"), "")
		if n := rdv.disc.Stats().Forwarded + rdv.disc.Stats().Unsent; n != queries || rdv.disc.Index().Holders != 2 {
			t.Errorf("a peer whose lease is over was asked")
		}
	})
}

// Edges of JXSE say what they have once: their entries live as long as their
// lease is renewed.
func TestRenewalKeepsEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, rdv, e := star(t, "ann", "bob")
		if err := e[0].disc.Close(); err != nil {
			t.Fatal(err)
		}
		index(t, e[0], rdv, claim(e[0].id, 1, "Name", "said once", math.MaxInt64))
		settle()
		time.Sleep(100 * time.Hour)
		// Bob says again what he has, which sweeps what is over.
		if n := rdv.disc.Index().Entries; n != 2+2+1 {
			t.Errorf("%d entries, want those of two peers and the one said once", n)
		}
	})
}
