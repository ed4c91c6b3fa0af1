package peergrouptest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
)

// TestThreeHundredOnSockets: the lookups of the simulations over real sockets, with
// ten rendezvous and 300 edges on the loopback interface.
func TestThreeHundredOnSockets(t *testing.T) {
	if os.Getenv("JUXTA_CROWD") == "" {
		t.Skip("310 peers on sockets take a while on a small machine: SKIPPED, set JUXTA_CROWD=1 to run them")
	}
	const rendezvous, edges, lookups = 10, 300, 1000
	begin := func(name string, roles peergroup.Roles, seeds []string) *peergroup.Peer {
		p, err := peergroup.Start(context.Background(), peergroup.Config{
			Name: name, Roles: roles, Seeds: seeds, Listen: []string{"tcp://127.0.0.1:0"}, NoLAN: true, NoMulticast: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var all, rdvs []*peergroup.Peer
	var urls []string
	defer func() {
		var closing sync.WaitGroup
		for _, p := range slices.Backward(all) {
			closing.Go(func() { _ = p.Close() })
		}
		closing.Wait()
	}()
	for i := range rendezvous {
		p := begin(fmt.Sprint("r", i), peergroup.Roles{Rendezvous: true}, urls[:min(3, len(urls))])
		all, rdvs, urls = append(all, p), append(rdvs, p), append(urls, p.Addresses()[0].String())
	}
	began := time.Now()
	for i := range edges {
		n := rng.IntN(rendezvous)
		p := begin(fmt.Sprint("e", i), peergroup.Roles{}, []string{urls[n], urls[(n+1)%rendezvous], urls[(n+2)%rendezvous]})
		all = append(all, p)
		adv := advertisements.NewPipe(p.Net().ID(), fmt.Sprint("thing ", i), advertisements.Unicast)
		if err := p.Net().Discovery().Publish(t.Context(), adv, discovery.Lifetime{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range all {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		if err := p.Net().Rendezvous().WaitConnected(ctx); err != nil {
			t.Fatal(p.Name(), err)
		}
		cancel()
	}
	for _, p := range rdvs {
		for p.Net().Rendezvous().PeerView().Size() < rendezvous-1 {
			if time.Since(began) > time.Minute {
				t.Fatalf("%s knows %d others", p.Name(), p.Net().Rendezvous().PeerView().Size())
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	t.Logf("%d edges with a lease and all views complete %v after the first edge", edges, time.Since(began).Round(time.Millisecond))
	time.Sleep(time.Second) // the index entries are on their way
	var took []time.Duration
	for range lookups {
		a, b := rendezvous+rng.IntN(edges), rendezvous+rng.IntN(edges)
		if a == b {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		began := time.Now()
		_, err := all[a].Net().Discovery().FindOne(ctx, discovery.Query{
			Kind: advertisements.Advs, Attr: "Name", Value: fmt.Sprint("thing ", b-rendezvous), RemoteOnly: true,
		})
		cancel()
		if err != nil {
			t.Errorf("%s looked for the thing of %s: %v", all[a].Name(), all[b].Name(), err)
			continue
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("%d lookups found, %v at the median, %v at 99 %%, %v at most", len(took), took[len(took)/2].Round(10*time.Microsecond),
		took[len(took)*99/100].Round(10*time.Microsecond), took[len(took)-1].Round(10*time.Microsecond))
}
