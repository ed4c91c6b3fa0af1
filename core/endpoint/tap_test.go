package endpoint_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// TestTap: both sides see a message, as it was on the wire; who has stopped sees nothing.
func TestTap(t *testing.T) {
	net := memory.New(memory.Config{})
	start := func(name string) *endpoint.Endpoint {
		e, err := endpoint.New(endpoint.Config{Peer: id.PeerFromSeed(id.NetGroup, []byte(name+" of the tap ...."))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = e.Close() })
		if err := e.Add(net.Transport(memory.TransportConfig{Name: name})); err != nil {
			t.Fatal(err)
		}
		return e
	}
	a, b := start("a"), start("b")
	got := make(chan struct{}, 10)
	if _, err := b.Scope(id.NetGroup).Handle("service", "", func(context.Context, endpoint.Incoming) { got <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := map[string][]endpoint.Traced{}
	tap := func(name string, e *endpoint.Endpoint) func() {
		return e.Tap(func(x endpoint.Traced) {
			mu.Lock()
			defer mu.Unlock()
			seen[name] = append(seen[name], x)
		})
	}
	stopA, stopA2, stopB := tap("a", a), tap("a again", a), tap("b", b)
	link, err := a.Dial(t.Context(), endpoint.Address{Protocol: "mem", Host: "b"})
	if err != nil {
		t.Fatal(err)
	}
	send := func() {
		t.Helper()
		msg := message.New(message.Text("", "word", "hello"))
		if err := a.SendOn(t.Context(), link, endpoint.Address{Protocol: "mem", Host: "b", Service: "EndpointService:jxta-NetGroup", Param: "service"}, msg); err != nil {
			t.Fatal(err)
		}
		select {
		case <-got:
		case <-time.After(10 * time.Second):
			t.Fatal("the message does not come")
		}
	}
	send()
	mu.Lock()
	for name, want := range map[string]endpoint.Traced{"a": {Out: true, Peer: b.Peer()}, "a again": {Out: true, Peer: b.Peer()}, "b": {Peer: a.Peer()}} {
		all := seen[name]
		if len(all) != 1 || all[0].Out != want.Out || all[0].Peer != want.Peer || all[0].Time.IsZero() {
			t.Errorf("%s has seen %+v", name, all)
			continue
		}
		m, err := message.Decode(all[0].Body)
		if err != nil || m.Text("", "word") != "hello" || m.Text(message.Platform, "EndpointDestinationAddress") == "" {
			t.Errorf("%s has seen %q, %v", name, all[0].Body, err)
		}
	}
	if !slices.Equal(seen["a"][0].Body, seen["b"][0].Body) {
		t.Error("the two sides have seen different things")
	}
	clear(seen)
	mu.Unlock()
	stopA()
	stopA()
	stopB()
	send()
	stopA2()
	mu.Lock()
	defer mu.Unlock()
	if len(seen["a"])+len(seen["b"]) != 0 || len(seen["a again"]) != 1 {
		t.Errorf("after the end: %v", seen)
	}
}
