package costtest

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/transport/tcp"
)

// TestLinks bounds what a link between two peers costs, encrypted as by default: each
// end of it, when both are at rest.
func TestLinks(t *testing.T) {
	if racing {
		t.Skip("the race detector takes memory of its own")
	}
	const links, mostMemory, mostGoroutines = 200, 40 << 10, 3
	own, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	hub := peerOf(t, own, tcp.Config{Listen: []string{"127.0.0.1:0"}})
	at := hub.Addresses()[0]
	// Everything that a peer has before its first link is made before.
	var edges []*endpoint.Endpoint
	for range links {
		own, err := identity.New(identity.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		edges = append(edges, peerOf(t, own, tcp.Config{ClientOnly: true}))
	}
	memory, goroutines := used()
	for _, e := range edges {
		l, err := e.Dial(context.Background(), at)
		if err != nil {
			t.Fatal(err)
		}
		if !endpoint.Encrypted(l) {
			t.Fatal("the link is not encrypted")
		}
	}
	for until := time.Now().Add(10 * time.Second); len(hub.Links()) < links && time.Now().Before(until); {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond)
	now, all := used()
	each, n := (now-memory)/(2*links), float64(all-goroutines)/(2*links)
	t.Logf("an end of a link takes %d octets of heap and stacks and %.1f goroutines", each, n)
	if each > mostMemory || n > mostGoroutines {
		t.Errorf("want %d octets and %d goroutines at most", mostMemory, mostGoroutines)
	}
}

func peerOf(t *testing.T, own *identity.Identity, cfg tcp.Config) *endpoint.Endpoint {
	t.Helper()
	e, err := endpoint.New(endpoint.Config{Peer: own.Peer(), Identity: own})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	if err := e.Add(tcp.New(cfg)); err != nil {
		t.Fatal(err)
	}
	return e
}

// used is the memory in heap and stacks, and the goroutines, after garbage collection.
func used() (octets, goroutines int) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse), runtime.NumGoroutine()
}
