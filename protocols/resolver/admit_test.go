package resolver_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// TestAdmit: what arrives is shown with whom it is from, and what is refused is neither
// answered nor passed on, and counted.
func TestAdmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var seen []resolver.Shown
		refused := errors.New("refused")
		admit := func(x resolver.Shown) error {
			if x.Handler != greet.Name() && x.Handler != "told" {
				return nil // the router's
			}
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, x)
			if x.Credential.Text() != "friend" {
				return refused
			}
			return nil
		}
		take := func() []resolver.Shown {
			mu.Lock()
			defer mu.Unlock()
			all := seen
			seen = nil
			return all
		}
		net := memory.New(memory.Config{Latency: time.Millisecond})
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous, shows: "friend", admit: admit})
		b := newNode(t, net, "b", nodeConfig{seeds: []string{"r"}, answer: true, shows: "friend"})
		friend := newNode(t, net, "friend", nodeConfig{seeds: []string{"r"}, shows: "friend"})
		foe := newNode(t, net, "foe", nodeConfig{seeds: []string{"r"}})
		time.Sleep(time.Second)
		ask := func(n *node, to id.Peer) []string {
			return names(t, 2*time.Second, func(ctx context.Context) func(func(resolver.Response[*intro], error) bool) {
				if to.IsZero() {
					return greet.Ask(ctx, n.res, &hello{From: n.name})
				}
				return greet.AskPeer(ctx, n.res, to, &hello{From: n.name})
			})
		}
		take()
		if got := ask(friend, id.Peer{}); !slices.Equal(got, []string{"b"}) {
			t.Errorf("%q answered a friend", got)
		}
		if all := take(); len(all) != 1 || all[0].Kind != resolver.Question || all[0].Peer != friend.id {
			t.Errorf("%+v", all)
		}
		if got := ask(foe, id.Peer{}); len(got) != 0 {
			t.Errorf("%q answered a foe", got)
		}
		if n := r.res.Stats().DroppedDenied; n != 1 {
			t.Errorf("%d counted", n)
		}
		take()
		if got := ask(r, b.id); !slices.Equal(got, []string{"b"}) {
			t.Errorf("%q answered", got)
		}
		if all := take(); len(all) != 1 || all[0].Kind != resolver.Answer || all[0].Peer != b.id {
			t.Errorf("%+v", all)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.res.SpreadResponse(ctx, &resolver.RawResponse{Handler: "told", Body: "x"}); err != nil {
			t.Fatal(err)
		}
		if err := b.res.SendResponse(ctx, r.id, &resolver.RawResponse{Handler: "told", Body: "x"}); err != nil {
			t.Fatal(err)
		}
		if err := b.res.SendIndex(ctx, r.id, &resolver.Index{Handler: "told", Payload: "x"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		var got []string
		for _, x := range take() {
			from := "somebody"
			if x.Peer == b.id {
				from = "b"
			}
			got = append(got, map[resolver.Kind]string{resolver.Notice: "notice", resolver.Push: "push"}[x.Kind]+" of "+from)
		}
		slices.Sort(got)
		if want := "notice of b, notice of somebody, push of b"; strings.Join(got, ", ") != want {
			t.Errorf("%q, want %s", got, want)
		}
	})
}

// TestPlayedBackQuery: a query that nobody has passed on has to carry the credential of
// whoever it comes from, whatever it says of who asks.
func TestPlayedBackQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var from id.Peer
		net := memory.New(memory.Config{Latency: time.Millisecond})
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous, admit: func(x resolver.Shown) error {
			if x.Handler == greet.Name() {
				mu.Lock()
				defer mu.Unlock()
				from = x.Peer
			}
			return nil
		}})
		eve := newNode(t, net, "eve", nodeConfig{seeds: []string{"r"}})
		time.Sleep(time.Second)
		q := &resolver.RawQuery{Handler: greet.Name(), ID: 1_000_000_001, Source: id.PeerFromSeed(id.NetGroup, []byte("ann"))}
		for hc, want := range []id.Peer{eve.id, q.Source} {
			q.HC = hc
			doc, err := xmldoc.Marshal(q)
			if err != nil {
				t.Fatal(err)
			}
			send(t, eve, r, "ORes", message.Element{Type: message.TypeXML, Body: doc})
			time.Sleep(time.Second)
			mu.Lock()
			if from != want {
				t.Errorf("forwarded %d times: of %s, want %s", hc, from.Short(), want.Short())
			}
			mu.Unlock()
		}
	})
}

// TestPermit: nothing leaves a peer that may not send.
func TestPermit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		no := errors.New("not yet")
		net := memory.New(memory.Config{Latency: time.Millisecond})
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous, answer: true})
		a := newNode(t, net, "a", nodeConfig{seeds: []string{"r"}, permit: func() error { return no }})
		time.Sleep(time.Second)
		ctx := t.Context()
		before := r.res.Stats()
		spread := func(_ int, err error) error { return err }
		for what, err := range map[string]error{
			"SendQuery":      a.res.SendQuery(ctx, r.id, &resolver.RawQuery{Handler: "x"}),
			"SpreadQuery":    spread(a.res.SpreadQuery(ctx, &resolver.RawQuery{Handler: "x"})),
			"WalkQuery":      spread(a.res.WalkQuery(ctx, &resolver.RawQuery{Handler: "x"})),
			"SendResponse":   a.res.SendResponse(ctx, r.id, &resolver.RawResponse{Handler: "x"}),
			"SpreadResponse": spread(a.res.SpreadResponse(ctx, &resolver.RawResponse{Handler: "x"})),
			"SendIndex":      a.res.SendIndex(ctx, r.id, &resolver.Index{Handler: "x"}),
			"SpreadIndex":    a.res.SpreadIndex(ctx, &resolver.Index{Handler: "x"}),
		} {
			if !errors.Is(err, no) {
				t.Errorf("%s: %v", what, err)
			}
		}
		time.Sleep(time.Second)
		if after := r.res.Stats(); after != before {
			t.Errorf("%+v became %+v", before, after)
		}
	})
}
