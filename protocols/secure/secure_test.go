package secure

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/transport/memory"
)

func TestSendBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: 10 * time.Millisecond})
		a, b := newNode(t, net, "a"), newNode(t, net, "b")
		a.knows(b)
		atA, atB := a.listen("echo"), b.listen("echo")
		a.send(b, "echo", "one")
		in := atB.next(t)
		want(t, "text", in.Message.Text("", "line"), "one")
		want(t, "from", in.From, a.id)
		want(t, "secured", in.Secured, true)
		want(t, "source", in.Source, "jxtatls://"+a.id.Unique())
		b.send(a, "echo", "two")
		want(t, "text", atA.line(t), "two")
		a.flush(b)
		b.flush(a)
		list := a.sec.Connections()
		want(t, "connections", len(list), 1)
		i := list[0]
		want(t, "peer", i.Peer, b.id)
		want(t, "version", i.Version, "TLS 1.3")
		want(t, "acked", i.Acked, 1)
		want(t, "received", i.Received, 1)
		want(t, "proof", i.Proof, ByKey)
		want(t, "fingerprint", i.Fingerprint, b.own.Fingerprint())
		want(t, "connections of the other", len(b.sec.Connections()), 1)
		a.sec.Close()
		time.Sleep(time.Second)
		want(t, "left", b.sec.Stats().Connections, 0)
		want(t, "lost", len(a.losses())+len(b.losses()), 0)
	})
}
