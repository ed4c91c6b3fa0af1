package socket

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/pipe"
)

// Datagrams reach everybody, the sender included, or the one that is named.
func TestMulticast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{Latency: time.Millisecond})
		r := newNode(t, "r", nodeConfig{net: network, leads: true})
		adv := named("cast", advertisements.Propagate)
		var all []*Multicast
		nodes := []*node{r}
		for _, name := range []string{"a", "b"} {
			nodes = append(nodes, newNode(t, name, nodeConfig{net: network, seed: r}))
		}
		for _, n := range nodes {
			m, err := n.s.Multicast(t.Context(), adv)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, m)
		}
		time.Sleep(time.Second) // until the rendezvous knows who listens
		buf := make([]byte, 100)
		read := func(m *Multicast) (string, net.Addr) {
			t.Helper()
			_ = m.SetReadDeadline(time.Now().Add(time.Second))
			n, from, err := m.ReadFrom(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return "-", nil
			}
			if err != nil {
				t.Fatal(err)
			}
			return string(buf[:n]), from
		}
		for _, to := range []net.Addr{nil, all[1].Everybody(), Addr{}} {
			if _, err := all[1].WriteTo([]byte("to all"), to); err != nil {
				t.Fatal(err)
			}
			for i, m := range all {
				text, from := read(m)
				want(t, nodes[i].name, text, "to all")
				want(t, "from", from, Addr{nodes[1].id, adv.ID})
			}
		}
		for range 2 {
			n, err := all[1].WriteTo([]byte("to b"), Addr{Peer: nodes[2].id})
			want(t, "written", n, 4)
			want(t, "error", err, nil)
		}
		for _, wanted := range []string{"to b", "to b", "-"} {
			text, _ := read(all[2])
			want(t, "b", text, wanted)
		}
		for _, m := range all[:2] {
			text, _ := read(m)
			want(t, "others", text, "-")
		}
		if _, err := all[2].WriteTo([]byte("mine"), all[2].LocalAddr()); err != nil {
			t.Fatal(err)
		}
		d, err := all[2].Receive(t.Context())
		want(t, "received", string(d.Data), "mine")
		want(t, "from", d.From, nodes[2].id)
		want(t, "proven", d.Proven, true)
		want(t, "error", err, nil)

		buffer := []byte("once")
		for _, to := range []net.Addr{nil, all[2].LocalAddr()} {
			copy(buffer, "once")
			if _, err := all[2].WriteTo(buffer, to); err != nil {
				t.Fatal(err)
			}
			copy(buffer, "then")
			text, _ := read(all[2])
			want(t, "written before the buffer changed", text, "once")
		}
		for _, m := range all[:2] {
			text, _ := read(m)
			want(t, "others", text, "once")
		}

		_, err = all[1].WriteTo(make([]byte, maxDatagram+1), nil)
		want(t, "too large", errors.Is(err, ErrTooLarge), true)
		_, err = all[1].WriteTo(nil, &net.UDPAddr{})
		want(t, "another network", err != nil, true)
		big := bytes.Repeat([]byte("x"), maxDatagram)
		_, err = all[1].WriteTo(big, nil)
		want(t, "error", err, nil)
		d, err = all[0].Receive(t.Context())
		want(t, "large", bytes.Equal(d.Data, big), true)
		want(t, "error", err, nil)
		_ = all[1].SetReadDeadline(time.Time{})
		n, _, err := all[1].ReadFrom(buf)
		want(t, "cut", n, len(buf))
		want(t, "error", err, nil)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = all[0].Receive(ctx)
		want(t, "nothing", errors.Is(err, context.DeadlineExceeded), true)
		_ = all[0].SetDeadline(time.Time{}) // the one set by reading before has passed
		done := make(chan error)
		go func() { _, _, err := all[0].ReadFrom(buf); done <- err }()
		synctest.Wait()
		_ = all[0].Close()
		_ = all[0].Close()
		want(t, "closed", errors.Is(<-done, net.ErrClosed), true)
		_, err = all[0].WriteTo([]byte("x"), nil)
		want(t, "closed", errors.Is(err, net.ErrClosed), true)
		_, err = nodes[0].s.Multicast(t.Context(), unicast("s"))
		want(t, "type", errors.Is(err, pipe.ErrType), true)
	})
}

// Datagrams that are incomplete, or in the name of another peer, are dropped.
func TestHostileDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{})
		a := newNode(t, "a", nodeConfig{net: network})
		adv := named("cast", advertisements.Propagate)
		m, err := a.s.Multicast(t.Context(), adv)
		if err != nil {
			t.Fatal(err)
		}
		out, err := a.pipes.Dial(t.Context(), adv)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		for _, bad := range []*message.Message{
			message.New(message.Text("", "x", "y")),
			message.New(message.Text(castNamespace, elemSource, a.id.String())),
			message.New(message.Bytes(castNamespace, elemDatagram, []byte("x"))),
			message.New(message.Text(castNamespace, elemSource, "x"), message.Bytes(castNamespace, elemDatagram, []byte("x"))),
			message.New(message.Text(castNamespace, elemSource, string(make([]byte, maxPeerID+1))), message.Bytes(castNamespace, elemDatagram, nil)),
			datagram(id.PeerFromSeed(id.NetGroup, []byte("other")), []byte("x")),
		} {
			_ = out.Send(t.Context(), bad)
		}
		if _, err := m.WriteTo([]byte("fine"), nil); err != nil && !errors.Is(err, pipe.ErrNobody) {
			t.Fatal(err)
		}
		d, err := m.Receive(t.Context())
		want(t, "received", string(d.Data), "fine")
		want(t, "error", err, nil)
		want(t, "malformed", a.s.Stats().DatagramsDroppedMalformed, 5)
		want(t, "forged", a.s.Stats().DatagramsDroppedForged, 1)
		_ = m.Close()
	})
}
