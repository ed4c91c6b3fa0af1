package pipe_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// A message of a propagate pipe reaches the listeners of all rendezvous, each
// once, and in order, from wherever it is sent.
func TestPropagateThroughManyRendezvous(t *testing.T) {
	for _, count := range []int{2, 3, 6} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := memory.New(memory.Config{Latency: time.Millisecond})
				rdvs, edges := circle(t, net, count)
				chat := propagate("chat")
				all := append(rdvs[:count:count], edges...)
				inputs := map[*node]*pipe.Input{}
				for i, n := range all {
					if i != 1 { // one rendezvous only relays
						inputs[n] = n.listen(chat)
					}
				}
				time.Sleep(time.Second)
				for _, n := range all {
					out := n.dial(chat)
					for i := range 3 {
						send(t, out, fmt.Sprint(n.name, i))
					}
					out.Close()
					for _, to := range all {
						if in := inputs[to]; in != nil {
							want(t, n.name+" to "+to.name, drain(t, in), []string{n.name + "0", n.name + "1", n.name + "2"})
						}
					}
				}
				for n, in := range inputs {
					if st := in.Stats(); st.DroppedDuplicates > 0 || st.DroppedFull > 0 {
						t.Errorf("%s: %+v", n.name, st)
					}
				}
				for _, r := range rdvs {
					if st := r.pipes.Stats(); st.RelayDroppedFull+st.RelayDroppedSlow+st.DroppedMalformed > 0 {
						t.Errorf("%s: %+v", r.name, st)
					}
				}
			})
		})
	}
}

// The same where the rendezvous hear each other in the neighbourhood too.
func TestPropagateThroughNeighbouringRendezvous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		var rdvs, all []*node
		for i := range 4 {
			cfg := nodeConfig{role: rendezvous.Rendezvous, segment: fmt.Sprint("lan ", i/2)}
			if i > 0 {
				cfg.seeds = rdvs[:1]
			}
			rdvs = append(rdvs, newNode(t, net, fmt.Sprint("r", i), cfg))
		}
		for i, r := range rdvs {
			all = append(all, newNode(t, net, fmt.Sprint("e", i), nodeConfig{seeds: []*node{r}, segment: fmt.Sprint("lan ", i/2)}).leased())
		}
		acquainted(t, rdvs...)
		chat := propagate("chat")
		var ins []*pipe.Input
		for _, n := range all {
			ins = append(ins, n.listen(chat))
		}
		time.Sleep(time.Second)
		for _, n := range all {
			send(t, n.dial(chat), n.name)
			for i, in := range ins {
				want(t, n.name+" to "+all[i].name, drain(t, in), []string{n.name})
			}
		}
	})
}

// Who dials a moment before somebody listens, at whatever rendezvous, is told at
// once and need not ask again.
func TestListenerComesWhileItIsLookedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		rdvs, edges := circle(t, net, 5)
		for i, asker := range append(rdvs[:5:5], edges[0]) {
			for k, listener := range []*node{edges[3], rdvs[2]} {
				if asker == listener {
					continue
				}
				adv := unicast(fmt.Sprint("late ", i, k))
				began := time.Now()
				time.AfterFunc(100*time.Millisecond, func() { listener.listen(adv) })
				out := asker.dial(adv)
				want(t, "peer", out.Peer(), listener.id)
				if took := time.Since(began); took > 200*time.Millisecond {
					t.Errorf("%s to %s: bound after %v", asker.name, listener.name, took)
				}
			}
		}
	})
}

// A pipe whose entries have followed the view is still found.
func TestPipesFollowTheView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		rdvs, edges := circle(t, net, 3)
		for i := range 20 {
			edges[0].listen(unicast(fmt.Sprint("p", i)))
			rdvs[1].listen(unicast(fmt.Sprint("q", i)))
		}
		for i := range 4 {
			rdvs = append(rdvs, newNode(t, net, fmt.Sprint("s", i), nodeConfig{role: rendezvous.Rendezvous, seeds: rdvs[:1]}))
		}
		acquainted(t, rdvs...)
		replaced := uint64(0)
		for _, r := range rdvs {
			replaced += r.pipes.Stats().Replaced
		}
		if replaced == 0 {
			t.Error("nothing was placed anew")
		}
		for i := range 20 {
			began := time.Now()
			want(t, "peer", rdvs[3+i%4].dial(unicast(fmt.Sprint("p", i))).Peer(), edges[0].id)
			want(t, "peer", rdvs[3+i%4].dial(unicast(fmt.Sprint("q", i))).Peer(), rdvs[1].id)
			if took := time.Since(began); took > 200*time.Millisecond {
				t.Errorf("%d: found after %v", i, took)
			}
		}
	})
}

// Peers at rest have no goroutine of this package.
func TestGoroutinesAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		_, e := network(t, net, "a", "b", "c")
		newNode(t, net, "adhoc", nodeConfig{role: rendezvous.AdHoc})
		for _, n := range e {
			n.listen(unicast(n.name))
			n.listen(propagate("all of " + n.name))
		}
		time.Sleep(time.Minute)
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		for s := range strings.SplitSeq(string(stacks), "\n\n") {
			if strings.Contains(s, "protocols/pipe.(") || strings.Contains(s, "resolver/srdi.(") {
				t.Errorf("%s", s)
			}
		}
	})
}
