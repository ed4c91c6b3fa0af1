package pipe_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

func TestManyInputsAreAnnouncedToTheNextRendezvous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		r, e := network(t, net, "e")
		const count = 600 // more than one message takes
		var last *pipe.Input
		for i := range count {
			last = e[0].listen(unicast(fmt.Sprint("pipe ", i)))
		}
		time.Sleep(time.Second)
		want(t, "entries", r.pipes.Stats().IndexEntries, count)
		r.stop()
		next := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		time.Sleep(10 * time.Second)
		want(t, "entries at the next", next.pipes.Stats().IndexEntries, count)
		last.Close()
		time.Sleep(time.Second)
		want(t, "entries after one is closed", next.pipes.Stats().IndexEntries, count-1)
		e[0].pipes.Close()
		time.Sleep(time.Second)
		want(t, "entries after all are", next.pipes.Stats().IndexEntries, 0)
	})
}

// Where there are several rendezvous, each entry has its place at one of them.
func TestEntriesAreReplicated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		place := pipe.Config{
			Replica: func(key string) (id.Peer, bool) {
				if key == "JxtaUnicastId"+unicast("mail").ID.String() || key == "JxtaUnicastId"+unicast("own").ID.String() {
					return peerID("r2"), true
				}
				t.Errorf("asked for %s", key)
				return id.Peer{}, false
			},
			Trusted: func(p id.Peer) bool { return p == peerID("r1") },
		}
		r1 := newNode(t, net, "r1", nodeConfig{role: rendezvous.Rendezvous, pipes: place})
		r2 := newNode(t, net, "r2", nodeConfig{role: rendezvous.Rendezvous, pipes: place})
		meet(t, r1, r2)
		e1 := newNode(t, net, "e1", nodeConfig{seeds: []*node{r1}}).leased()
		meet(t, e1, r2)
		in := e1.listen(unicast("mail"))
		own := r1.listen(unicast("own"))
		e1.listen(propagate("chat")) // stays where it is
		time.Sleep(time.Second)
		want(t, "entries at r1", r1.pipes.Stats().IndexEntries, 2)
		want(t, "entries at r2", r2.pipes.Stats().IndexEntries, 2)
		want(t, "peer", r2.dial(unicast("mail")).Peer(), e1.id)
		e2 := newNode(t, net, "e2", nodeConfig{seeds: []*node{r2}}).leased()
		want(t, "peer", e2.dial(unicast("mail")).Peer(), e1.id)
		want(t, "peer", e2.dial(unicast("own")).Peer(), r1.id)
		in.Close()
		own.Close()
		time.Sleep(time.Second)
		want(t, "entries at r2", r2.pipes.Stats().IndexEntries, 0)
		ctx, cancel := contextFor(t, time.Second)
		defer cancel()
		if _, err := r1.pipes.Dial(ctx, unicast("mail")); err == nil {
			t.Error("bound to what is closed")
		}
	})
}
