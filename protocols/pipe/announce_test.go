package pipe_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver/srdi"
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

// acquainted waits until rendezvous know each other and have placed what there is.
func acquainted(t testing.TB, rdvs ...*node) {
	t.Helper()
	for range 300 {
		complete := true
		for _, r := range rdvs {
			complete = complete && len(r.rdv.View()) == len(rdvs)-1
		}
		if complete {
			time.Sleep(10 * time.Second)
			return
		}
		time.Sleep(time.Second)
	}
	t.Fatal("the rendezvous do not meet")
}

// circle starts rendezvous that know each other, each with one edge.
func circle(t testing.TB, net *memory.Network, count int) (rdvs, edges []*node) {
	t.Helper()
	for i := range count {
		cfg := nodeConfig{role: rendezvous.Rendezvous}
		if i > 0 {
			cfg.seeds = rdvs[:1]
		}
		rdvs = append(rdvs, newNode(t, net, fmt.Sprint("r", i), cfg))
	}
	for i, r := range rdvs {
		edges = append(edges, newNode(t, net, fmt.Sprint("e", i), nodeConfig{seeds: []*node{r}}).leased())
	}
	acquainted(t, rdvs...)
	return rdvs, edges
}

// Where there are several rendezvous, each entry has its place at one of them,
// where the others find it.
func TestEntriesAreReplicated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		rdvs, edges := circle(t, net, 4)
		mail := edges[0].listen(unicast("mail"))
		own := rdvs[1].listen(unicast("own"))
		chat := edges[0].listen(propagate("chat")) // stays where it is
		time.Sleep(time.Second)
		row := srdi.NewRow(rdvs[0].id, rdvs[1].id, rdvs[2].id, rdvs[3].id)
		entries := func() (all []int) {
			for _, r := range rdvs {
				all = append(all, r.pipes.Stats().IndexEntries)
			}
			return all
		}
		places := []int{2, 0, 0, 0} // what the edge has announced to its rendezvous
		for what, in := range map[int]*pipe.Input{0: mail, 1: own} {
			at, _ := row.Place("JxtaUnicast", "Id", in.Pipe().ID.String())
			for i, r := range rdvs {
				if r.id == at && i != what {
					places[i]++
				}
			}
		}
		want(t, "entries", entries(), places)
		for i := range 4 {
			want(t, "peer", rdvs[i].dial(unicast("mail")).Peer(), edges[0].id)
			want(t, "peer", rdvs[i].dial(unicast("own")).Peer(), rdvs[1].id)
			want(t, "peer", edges[i].dial(unicast("own")).Peer(), rdvs[1].id)
			if i > 0 {
				want(t, "peer", edges[i].dial(unicast("mail")).Peer(), edges[0].id)
			}
		}
		for _, r := range rdvs {
			if st := r.pipes.Stats(); st.UnsentEntries+st.IndexRefused+st.DroppedHostile > 0 {
				t.Errorf("%+v", st)
			}
		}
		mail.Close()
		own.Close()
		chat.Close()
		time.Sleep(time.Second)
		for i := range 4 {
			for _, n := range []*node{rdvs[i], edges[i]} {
				ctx, cancel := contextFor(t, time.Second)
				if _, err := n.pipes.Dial(ctx, unicast("mail")); err == nil {
					t.Errorf("%s binds to what is closed", n.name)
				}
				cancel()
			}
		}
		want(t, "entries", entries(), []int{0, 0, 0, 0})
	})
}
