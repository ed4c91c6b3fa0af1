package endpoint_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// deafWire is a wire that fails to broadcast.
type deafWire struct{ *wire }

func (deafWire) Broadcast(context.Context, []byte) error { return errors.New("nobody hears") }
func (deafWire) Group() endpoint.Address {
	return endpoint.Address{Protocol: "wire", Host: "all"}
}

// TestWhatIsLostIsCounted: each reason has its counter, and raises no other.
func TestWhatIsLostIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := newWire(t, endpoint.Config{MaxLinks: 2, IdleTimeout: 10 * time.Minute})
		if err := e.Add(deafWire{&wire{}}); err != nil {
			t.Fatal(err)
		}
		s := e.Scope(id.NetGroup)
		hold := make(chan struct{})
		if _, err := s.Handle("slow", "", func(context.Context, endpoint.Incoming) { <-hold }); err != nil {
			t.Fatal(err)
		}
		there := endpoint.MustParseAddress("wire://nobody")
		var first *cable
		for _, c := range []struct {
			what string
			do   func() error
			fail bool
			want endpoint.Stats // what it adds
		}{
			{"a link", func() error { first = w.plug(t, &cable{peer: bob}); return nil }, false,
				endpoint.Stats{Links: 1, LinksOpened: 1}},
			{"a message", func() error { return s.SendOn(t.Context(), first, "x", "", text("x")) }, false,
				endpoint.Stats{Sent: 1}},
			{"nobody at the address", func() error { return s.SendTo(t.Context(), there, "x", "", text("x")) }, true,
				endpoint.Stats{UnsentNoLink: 1, FailedDials: 1}},
			{"no such transport", func() error {
				return s.SendTo(t.Context(), endpoint.MustParseAddress("tcp://192.0.2.1:1"), "x", "", text("x"))
			}, true, endpoint.Stats{UnsentNoLink: 1, FailedDials: 1}},
			{"no router", func() error { return s.Send(t.Context(), eve, "x", "", text("x")) }, true,
				endpoint.Stats{UnsentNoRouter: 1}},
			{"too large", func() error {
				return s.SendOn(t.Context(), first, "x", "", message.New(message.Text("", strings.Repeat("x", 1<<16), "x")))
			}, true, endpoint.Stats{UnsentTooLarge: 1}},
			{"a broadcast", func() error { return s.Broadcast(t.Context(), "x", "", text("x")) }, true,
				endpoint.Stats{UnsentBroadcast: 1}},
			{"one more link", func() error { time.Sleep(time.Second); w.plug(t, &cable{peer: eve}); return nil }, false,
				endpoint.Stats{Links: 1, LinksOpened: 1}},
			{"too many links", func() error { return w.try(&cable{peer: id.PeerFromSeed(id.NetGroup, []byte("third"))}) }, true,
				endpoint.Stats{RefusedLinks: 1}},
			{"room for another", func() error { time.Sleep(time.Minute); return w.try(&cable{peer: bob, origin: "x"}) }, false,
				endpoint.Stats{LinksOpened: 1, EvictedLinks: 1}},
			{"a closed link", func() error { return s.SendOn(t.Context(), first, "x", "", text("x")) }, true,
				endpoint.Stats{UnsentLink: 1}},
			{"no listener", func() error { return w.Receive(w.links[1], packet(t, "wire://there", "wire://here/x")) }, false,
				endpoint.Stats{Received: 1, DroppedNoListener: 1}},
			{"idle", func() error { time.Sleep(11 * time.Minute); return nil }, false,
				endpoint.Stats{Links: -2, LinksIdled: 2}},
			{"to oneself", func() error {
				for range 1024 + 1 { // the first is being handled
					if err := s.Send(t.Context(), ann, "slow", "", text("x")); err != nil {
						return err
					}
					synctest.Wait()
				}
				return nil
			}, false, endpoint.Stats{Delivered: 1}},
			{"too much to oneself", func() error { return s.Send(t.Context(), ann, "slow", "", text("x")) }, true,
				endpoint.Stats{DroppedSelfFull: 1}},
			{"closing with messages to oneself", func() error {
				time.AfterFunc(time.Second, func() { close(hold) })
				return e.Close()
			}, false, endpoint.Stats{DroppedSelfClosed: 1024}},
		} {
			before := e.Stats()
			if err := c.do(); (err != nil) != c.fail {
				t.Errorf("%s: %v", c.what, err)
			}
			synctest.Wait()
			if got := minus(e.Stats(), before); got != c.want {
				t.Errorf("%s: %+v, want %+v", c.what, got, c.want)
			}
		}
	})
}

func minus(a, b endpoint.Stats) endpoint.Stats {
	return endpoint.Stats{
		Sent: a.Sent - b.Sent, Received: a.Received - b.Received, Delivered: a.Delivered - b.Delivered,
		Links: a.Links - b.Links, LinksOpened: a.LinksOpened - b.LinksOpened, LinksIdled: a.LinksIdled - b.LinksIdled,
		UnsentLink: a.UnsentLink - b.UnsentLink, UnsentNoLink: a.UnsentNoLink - b.UnsentNoLink,
		UnsentNoRouter: a.UnsentNoRouter - b.UnsentNoRouter, UnsentTooLarge: a.UnsentTooLarge - b.UnsentTooLarge,
		UnsentBroadcast: a.UnsentBroadcast - b.UnsentBroadcast, DroppedMalformed: a.DroppedMalformed - b.DroppedMalformed,
		DroppedNoAddress: a.DroppedNoAddress - b.DroppedNoAddress, DroppedNoListener: a.DroppedNoListener - b.DroppedNoListener,
		DroppedOwn: a.DroppedOwn - b.DroppedOwn, DroppedSelfFull: a.DroppedSelfFull - b.DroppedSelfFull,
		DroppedSelfClosed: a.DroppedSelfClosed - b.DroppedSelfClosed, FailedDials: a.FailedDials - b.FailedDials,
		RefusedLinks: a.RefusedLinks - b.RefusedLinks, EvictedLinks: a.EvictedLinks - b.EvictedLinks,
	}
}

// TestManyHandlers: few or many in a group, each is found, and after it is removed
// no more.
func TestManyHandlers(t *testing.T) {
	e, err := endpoint.New(endpoint.Config{Peer: ann})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	s := e.Scope(sub)
	got := ""
	var removes []func()
	name := func(i int) (string, string) { return fmt.Sprint("s", i%3), fmt.Sprint("p", i) }
	deliver := func(i int) string {
		got = ""
		service, param := name(i)
		s.Deliver(endpoint.Incoming{Message: text("x"), From: bob}, service, param)
		return got
	}
	for i := range 100 {
		service, param := name(i)
		remove, err := s.Handle(service, param, func(context.Context, endpoint.Incoming) { got += param })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Handle(service, param, nil); !errors.Is(err, endpoint.ErrTaken) {
			t.Fatalf("the same again: %v", err)
		}
		removes = append(removes, remove)
		for j := range i + 1 {
			if _, want := name(j); deliver(j) != want {
				t.Fatalf("of %d handlers, number %d got %q", i+1, j, got)
			}
		}
	}
	for i := range 100 {
		removes[i]()
		removes[i]()
		if deliver(i) != "" {
			t.Fatalf("number %d is still called", i)
		}
		for j := i + 1; j < 100; j++ {
			if _, want := name(j); deliver(j) != want {
				t.Fatalf("with %d handlers left, number %d got %q", 99-i, j, got)
			}
		}
	}
	remove, err := s.Handle("s", "", func(context.Context, endpoint.Incoming) {})
	if err != nil {
		t.Fatal(err)
	}
	remove()
}

// TestTraffic: each link counts what it carries, both ways and on both sides alike, and knows
// nothing any more when it is closed.
func TestTraffic(t *testing.T) {
	bubble(t, memory.Config{}, func(t *testing.T, net *memory.Network) {
		a, b := newPeer(t, net, "a"), newPeer(t, net, "b")
		listen(t, b.Scope(id.NetGroup), "ask", "")
		const count = 3
		for range count {
			if err := a.Scope(id.NetGroup).SendTo(t.Context(), b.addr, "ask", "", text("hello")); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		l := a.LinkTo(b.Peer())
		here, ok := a.TrafficOf(l)
		there, ok2 := b.TrafficOf(b.LinkTo(a.Peer()))
		if !ok || !ok2 || here.Sent != count || here.Received != 0 || here.ReceivedOctets != 0 {
			t.Errorf("here %+v %v", here, ok)
		}
		if there.Received != here.Sent || there.ReceivedOctets != here.SentOctets || there.Sent != 0 || here.SentOctets < count*uint64(len("hello")) {
			t.Errorf("here %+v, there %+v", here, there)
		}
		if got, ok := b.TrafficOf(l); ok || got != (endpoint.Traffic{}) {
			t.Errorf("of a link of somebody else: %+v", got)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got, ok := a.TrafficOf(l); ok || got != (endpoint.Traffic{}) {
			t.Errorf("after its end: %+v", got)
		}
	})
}
