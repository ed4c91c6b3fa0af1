package discovery_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// Publishing into a cache in memory, without anybody to tell.
func BenchmarkPublish(b *testing.B) {
	p := start(b, memory.New(memory.Config{}), "p", setup{role: rendezvous.AdHoc})
	const n = 20_000
	all := make([]*advertisements.Pipe, n)
	for i := range all {
		all[i] = &advertisements.Pipe{ID: id.NewPipe(id.NetGroup), Type: advertisements.Unicast, Name: fmt.Sprint("pipe ", i)}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := p.disc.Publish(context.Background(), all[i%n], discovery.Lifetime{}); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// One answer of one peer to another, there and back over the memory transport.
func BenchmarkAnswer(b *testing.B) {
	net := memory.New(memory.Config{})
	ann := start(b, net, "ann", setup{role: rendezvous.AdHoc})
	bob := start(b, net, "bob", setup{role: rendezvous.AdHoc})
	if _, err := bob.ep.Dial(context.Background(), addr("ann")); err != nil {
		b.Fatal(err)
	}
	publish(b, ann, discovery.Lifetime{}, "chat")
	body := ask(2, 5, "Name", "chat")
	b.ReportAllocs()
	for b.Loop() {
		q := &resolver.RawQuery{Handler: handler, Body: body}
		for _, err := range bob.res.Collect(context.Background(), ann.id, q) {
			if err != nil {
				b.Fatal(err)
			}
			break
		}
	}
}

// hub starts a rendezvous and two edges with leases, in real time; ann has so
// many advertisements.
func hub(b *testing.B, n int) (ann, bob *peer) {
	b.Helper()
	net := memory.New(memory.Config{})
	rdv := start(b, net, "rdv", setup{role: rendezvous.Rendezvous})
	ann = start(b, net, "ann", setup{seeds: []string{"rdv"}})
	bob = start(b, net, "bob", setup{seeds: []string{"rdv"}})
	for i := range n {
		publish(b, ann, discovery.Lifetime{}, fmt.Sprint("pipe ", i))
	}
	connected(b, ann)
	connected(b, bob)
	for rdv.disc.Index().Entries < min(2000, 4+2*n) {
		time.Sleep(time.Millisecond)
	}
	return ann, bob
}

// An edge asks its rendezvous, which asks the holder, which answers the edge.
func BenchmarkFindThroughRendezvous(b *testing.B) {
	for _, n := range []int{10, 900} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			_, bob := hub(b, n)
			q := byName("pipe 7")
			q.RemoteOnly = true
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bob.disc.FindOne(context.Background(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// From publishing something to finding it at another edge, asking again and again.
func BenchmarkPublishedToFound(b *testing.B) {
	ann, bob := hub(b, 10)
	i := 0
	for b.Loop() {
		name := fmt.Sprint("new ", i)
		i++
		publish(b, ann, discovery.Lifetime{}, name)
		q := byName(name)
		q.RemoteOnly = true
		for {
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			_, err := bob.disc.FindOne(ctx, q)
			cancel()
			if err == nil {
				break
			}
		}
		if i%400 == 0 { // not more than a rendezvous keeps
			if _, err := ann.disc.Flush(context.Background(), advertisements.Advs); err != nil {
				b.Fatal(err)
			}
		}
	}
}
