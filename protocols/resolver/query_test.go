package resolver_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// TestQueryTellsWhoPassedItOn: a question that a rendezvous spreads comes from the
// rendezvous and was asked by the edge; one to a single peer comes from the asker.
func TestQueryTellsWhoPassedItOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{Latency: time.Millisecond})
		r := newNode(t, network, "r", nodeConfig{role: rendezvous.Rendezvous})
		a := newNode(t, network, "a", nodeConfig{seeds: []string{"r"}})
		b := newNode(t, network, "b", nodeConfig{seeds: []string{"r"}})
		time.Sleep(time.Second)
		type ways struct{ source, from id.Peer }
		got := make(chan ways, 8)
		if err := greet.Handle(t.Context(), b.res, func(_ context.Context, q resolver.Query[*hello]) (*intro, error) {
			got <- ways{q.Source, q.From}
			return nil, resolver.ErrNoAnswer
		}); err != nil {
			t.Fatal(err)
		}
		ask := func(all bool) ways {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			seq := greet.AskPeer(ctx, a.res, b.id, &hello{From: "a"})
			if all {
				seq = greet.Ask(ctx, a.res, &hello{From: "a"})
			}
			for range seq { // nobody answers
			}
			return <-got
		}
		if w := ask(true); w != (ways{a.id, r.id}) {
			t.Errorf("to all: asked by %s, from %s", w.source.Short(), w.from.Short())
		}
		if w := ask(false); w != (ways{a.id, a.id}) {
			t.Errorf("to one: asked by %s, from %s", w.source.Short(), w.from.Short())
		}
	})
}
