package secure

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// javaCertificates are made once: RSA keys take their time.
var javaCertificates = sync.OnceValue(func() (all [2]tls.Certificate) {
	for i := range all {
		c, err := NewJavaCertificate("peer")
		if err != nil {
			panic(err)
		}
		all[i] = c
	}
	return all
})

// javaPair is pair with peers that talk as original JXTA peers do.
func javaPair(t *testing.T, f func(t *testing.T, net *memory.Network, a, b *node, pa, pb *Pins)) {
	t.Helper()
	certs := javaCertificates()
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: 10 * time.Millisecond})
		pa, pb := new(Pins), new(Pins)
		a := startNode(t, net, "ann", nil, Config{Java: JavaConfig{Certificate: certs[0], Trust: pa.Check}})
		b := startNode(t, net, "bob", nil, Config{Java: JavaConfig{Certificate: certs[1], Trust: pb.Check}})
		a.knows(b)
		b.knows(a)
		f(t, net, a, b, pa, pb)
	})
}

func TestJavaRules(t *testing.T) {
	javaPair(t, func(t *testing.T, _ *memory.Network, a, b *node, pa, _ *Pins) {
		met := 0
		pa.Added = func(p id.Peer, _ string) { met++; want(t, "met", p, b.id) }
		inA, inB := a.listen("echo"), b.listen("echo")
		a.send(b, "echo", "one")
		in := inB.next(t)
		want(t, "from", in.From, a.id)
		want(t, "secured", in.Secured, true)
		b.send(a, "echo", "two")
		want(t, "text", inA.line(t), "two")
		big := message.New(message.Bytes("", "body", make([]byte, 1<<20)))
		if err := a.scope().SendSecure(t.Context(), b.id, "echo", "", big); err != nil {
			t.Fatal(err)
		}
		want(t, "size", inB.next(t).Message.Size(), big.Size())
		a.flush(b)
		i := a.sec.Connections()[0]
		want(t, "version", i.Version, "TLS 1.0")
		want(t, "proof", i.Proof, ByCertificate)
		want(t, "peers met", met, 1)
		want(t, "connections", len(b.sec.Connections()), 1)
		time.Sleep(defaultIdle + javaExtra + 2*sweepEvery + closeWait)
		want(t, "connections when idle", a.sec.Stats().Connections+b.sec.Stats().Connections, 0)
		a.send(b, "echo", "three")
		want(t, "text", inB.line(t), "three")
		want(t, "losses", len(a.losses())+len(b.losses()), 0)
	})
}

// The certificate that a peer has shown once is asked of it ever after.
func TestPins(t *testing.T) {
	javaPair(t, func(t *testing.T, _ *memory.Network, a, b *node, pa, _ *Pins) {
		pa.Set(b.id, "AAAA-AAAA-AAAA-AAAA")
		if err := a.try(b, "echo", "secret", time.Minute); !errors.Is(err, ErrCertificate) {
			t.Errorf("another certificate: %v", err)
		}
		back := a.listen("echo")
		_ = b.try(a, "echo", "lie", time.Minute)
		time.Sleep(time.Minute)
		want(t, "came", len(back.c), 0)
		if err := pa.Check(a.id, nil); !errors.Is(err, ErrCertificate) {
			t.Errorf("no certificate: %v", err)
		}
		for len(pa.m) < maxPins {
			pa.Set(id.NewPeer(id.NetGroup), "x")
		}
		leaf := javaCertificates()[0].Leaf
		if err := pa.Check(a.id, []*x509.Certificate{leaf}); !errors.Is(err, ErrCertificate) {
			t.Errorf("too many: %v", err)
		}
	})
}

// A peer that was started anew begins with block 1. That replaces a connection
// only when it has been idle for a minute, and the handshake is over.
func TestJavaRestart(t *testing.T) {
	javaPair(t, func(t *testing.T, net *memory.Network, a, b *node, _, pb *Pins) {
		in, back := b.listen("echo"), a.listen("echo")
		a.send(b, "echo", "one")
		in.line(t)
		a.flush(b)
		first := numbered{1, []byte("\x16\x03\x01\x00\x05rubbish")}
		forge := func() {
			a.sec.receive(t.Context(), endpoint.Incoming{From: b.id, Message: message.New(first.element())})
		}
		forge()
		time.Sleep(restartAfter + time.Second)
		forge()
		time.Sleep(handshakeWait + time.Second) // that handshake leads nowhere
		want(t, "connections", len(a.sec.Connections()), 1)
		a.send(b, "echo", "two")
		want(t, "text", in.line(t), "two")
		a.flush(b)
		b.kill()
		time.Sleep(restartAfter + time.Second)
		again := startNode(t, net, "bob", nil, Config{Java: JavaConfig{Certificate: javaCertificates()[1], Trust: pb.Check}})
		again.knows(a)
		again.send(a, "echo", "I am back")
		want(t, "text", back.line(t), "I am back")
		in = again.listen("echo")
		a.send(again, "echo", "three")
		want(t, "text", in.line(t), "three")
		want(t, "losses", len(a.losses()), 0)
	})
}

// Without configuration, peers that can prove nothing get no answer.
func TestJavaIsOff(t *testing.T) {
	pair(t, func(t *testing.T, _ *memory.Network, a, b *node) {
		first := numbered{1, []byte("\x16\x03\x01\x00\x05hello")}
		a.sec.receive(t.Context(), endpoint.Incoming{From: id.NewPeer(id.NetGroup), Message: message.New(first.element())})
		a.sec.receive(t.Context(), endpoint.Incoming{From: b.id, Message: message.New(first.element())})
		want(t, "dropped", a.sec.Stats().DroppedUnprovable, 2)
		want(t, "connections", a.sec.Stats().Connections, 0)
	})
}
