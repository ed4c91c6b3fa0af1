package endpoint_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// TestRefusal: a rule keeps a peer out, both sides know which, and others are not
// touched.
func TestRefusal(t *testing.T) {
	bubble(t, memory.Config{}, func(t *testing.T, net *memory.Network) {
		rule := errors.New("excluded by the moderators until tomorrow")
		a := newPeer(t, net, "ann", func(c *endpoint.Config, _ *memory.TransportConfig) {
			c.Admit = func(l endpoint.Link) error {
				if l.Peer() == bob {
					return rule
				}
				return nil
			}
		})
		b, e := newPeer(t, net, "bob"), newPeer(t, net, "eve")
		_, _ = b.Dial(t.Context(), a.addr)
		synctest.Wait()
		if a.LinkTo(bob) != nil || b.LinkTo(ann) != nil {
			t.Error("the refused link is open")
		}
		ours, theirs := a.Refusals(), b.Refusals()
		if len(ours) != 1 || ours[0].Peer != bob || !ours[0].Ours || len(theirs) != 1 || theirs[0].Peer != ann || theirs[0].Ours {
			t.Fatalf("refusals %v and %v", ours, theirs)
		}
		if got := theirs[0].Error(); !strings.Contains(got, "excluded by the moderators") {
			t.Errorf("bob is told %q", got)
		}
		if !errors.Is(&theirs[0], endpoint.ErrRefused) || a.Stats().RefusedRule != 1 {
			t.Errorf("stats %+v", a.Stats())
		}
		if _, err := e.Dial(t.Context(), a.addr); err != nil || a.LinkTo(eve) == nil {
			t.Errorf("eve is not let in: %v", err)
		}

		// The dialler may be the one who refuses.
		if _, err := a.Dial(t.Context(), b.addr); !errors.Is(err, endpoint.ErrRefused) {
			t.Errorf("dialling a peer that is not wanted: %v", err)
		}

		a.Refuse(eve, errors.New("no more"))
		synctest.Wait()
		if a.LinkTo(eve) != nil || len(e.Refusals()) != 1 || e.Refusals()[0].Rule != "no more" {
			t.Errorf("eve is still there, or was not told: %v", e.Refusals())
		}
	})
}

// TestRefusalsAreBounded: whoever claims to refuse again and again fills no memory.
func TestRefusalsAreBounded(t *testing.T) {
	bubble(t, memory.Config{}, func(t *testing.T, net *memory.Network) {
		a, b := newPeer(t, net, "ann"), newPeer(t, net, "bob")
		l, err := b.Dial(t.Context(), a.addr)
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			msg := message.New(message.Text(message.Platform, "Rule", "two\nlines "+strings.Repeat("x", 10_000)))
			if err := b.SendOn(t.Context(), l, a.addr.With("juxta.refused", ""), msg); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := a.Refusals(); len(got) != 1 || len(got[0].Rule) > 256 || strings.Contains(got[0].Rule, "\n") {
			t.Errorf("%d refusals are remembered, the first with %d octets", len(got), len(got[0].Rule))
		}
	})
}
