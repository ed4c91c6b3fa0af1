package pipe_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

func securePipe(name string) *advertisements.Pipe { return named(name, advertisements.UnicastSecure) }

// A secure pipe is found like any other, what goes over it is encrypted, and the
// reader knows from whom it comes, although the rendezvous is in between.
func TestSecurePipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		seen := 0
		net := memory.New(memory.Config{Latency: 5 * time.Millisecond, Tap: func(_, _ string, body []byte) {
			mu.Lock()
			defer mu.Unlock()
			if bytes.Contains(body, []byte("the secret")) {
				seen++
			}
		}})
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous, secure: true})
		// Neither can be dialled, so everything goes through the rendezvous.
		deaf := func(name string) endpoint.Transport {
			return net.Transport(memory.TransportConfig{Name: name, Deaf: true})
		}
		a := newNode(t, net, "a", nodeConfig{seeds: []*node{r}, secure: true, transport: deaf("a")}).leased()
		b := newNode(t, net, "b", nodeConfig{seeds: []*node{r}, secure: true, transport: deaf("b")}).leased()
		adv := securePipe("talk")
		in := b.listen(adv)
		out := a.dial(adv)
		want(t, "bound to", out.Peer(), b.id)
		send(t, out, "the secret")
		ctx, cancel := contextFor(t, time.Minute)
		defer cancel()
		m, err := in.Receive(ctx)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "line", m.Text("", "line"), "the secret")
		want(t, "from", m.From, a.id)
		want(t, "proven", m.Proven, true)
		want(t, "messages on the network that hold it", seen, 0)

		// Whatever comes another way is dropped: here the rendezvous says that it is
		// from the sender.
		b.ep.Deliver(endpoint.Incoming{
			Message: line("forged"), From: a.id, Link: b.ep.LinkTo(r.id), Dest: endpoint.PeerAddress(b.id, "PipeService", adv.ID.String()),
		}, true)
		synctest.Wait()
		time.Sleep(time.Second)
		send(t, out, "more")
		want(t, "line", receive(t, in), "more")
		want(t, "dropped", in.Stats().DroppedPlain, 1)
		want(t, "dropped in all", b.pipes.Stats().InputDroppedPlain, 1)

		fixed, err := a.pipes.Bind(adv, b.id)
		if err != nil {
			t.Fatal(err)
		}
		defer fixed.Close()
		send(t, fixed, "bound")
		want(t, "line", receive(t, in), "bound")
	})
}

// A listener that has no secure way, or no ID that can be proven, gets nothing:
// nothing falls back to a plain way.
func TestSecurePipeNeverPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		a := newNode(t, net, "a", nodeConfig{seeds: []*node{r}, secure: true}).leased()
		b := newNode(t, net, "b", nodeConfig{seeds: []*node{r}, pipes: pipe.Config{Secure: true}}).leased()
		adv := securePipe("talk")
		in := b.listen(adv)
		out := a.dial(adv)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := out.Send(ctx, line("lost")); err == nil {
			t.Error("sent to a peer that cannot prove its ID")
		}
		back, err := b.pipes.Bind(adv, a.id)
		if err != nil {
			t.Fatal(err)
		}
		defer back.Close()
		if err := back.Send(t.Context(), line("lost")); !errors.Is(err, endpoint.ErrNoTransport) {
			t.Errorf("sent without a secure way: %v", err)
		}
		time.Sleep(time.Second)
		want(t, "came", in.Stats().Received, 0)
	})
}
