package secure

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// bulk is how much goes through a connection while its ways change.
func bulk() int {
	switch {
	case os.Getenv("JUXTA_SLOW") != "":
		return 200 << 20
	case raceEnabled:
		return 8 << 20
	}
	return 50 << 20
}

// pour sends octets in messages of some size, and the hash of all at the end.
func pour(from, to *node, total int, at map[int]func()) error {
	sum := sha256.New()
	src := rand.NewChaCha8([32]byte{1})
	for sent, n := 0, 0; sent < total; n++ {
		size := min(20_000+n%7*9_000, total-sent)
		body := make([]byte, size)
		_, _ = src.Read(body)
		sum.Write(body)
		m := message.New(message.Bytes("", "n", binary.BigEndian.AppendUint64(nil, uint64(n))), message.Bytes("", "body", body))
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		err := from.scope().SendSecure(ctx, to.id, "sink", "", m)
		cancel()
		if err != nil {
			return err
		}
		sent += size
		for where, do := range at {
			if sent >= where {
				delete(at, where)
				do()
			}
		}
	}
	m := message.New(message.Bytes("", "sum", sum.Sum(nil)))
	return from.scope().SendSecure(context.Background(), to.id, "sink", "", m)
}

// sink takes what pour sends; the channel gets nil when all is there and right.
func sink(n *node) chan error {
	done := make(chan error, 1)
	sum := sha256.New()
	next := uint64(0)
	_, err := n.scope().Handle("sink", "", func(_ context.Context, in endpoint.Incoming) {
		if want, ok := in.Message.Get("", "sum"); ok {
			if !bytes.Equal(want.Body, sum.Sum(nil)) {
				done <- fmt.Errorf("another hash after %d messages", next)
			}
			close(done)
			return
		}
		e, _ := in.Message.Get("", "n")
		if got := binary.BigEndian.Uint64(e.Body); got != next {
			done <- fmt.Errorf("message %d, want %d", got, next)
		}
		next++
		body, _ := in.Message.Get("", "body")
		sum.Write(body.Body)
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return done
}

func cut(a, b *node) {
	for _, n := range [][2]*node{{a, b}, {b, a}} {
		if l := n[0].ep.LinkTo(n[1].id); l != nil {
			_ = l.Close()
		}
		n[0].rt.Forget(n[1].id)
	}
}

// A stream survives that the direct link is cut and a peer in between takes over,
// that this peer dies and the direct way comes back, and that the receiver gets
// another address.
func TestWaysChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: 5 * time.Millisecond})
		wall := func(name string) *lossy {
			return &lossy{Transport: net.Transport(memory.TransportConfig{Name: name}), rand: rand.New(rand.NewPCG(1, 1))}
		}
		wa, wb := wall("a"), wall("b")
		a, b := startOver(t, net, "a", newIdentity(t), Config{}, wa), startOver(t, net, "b", newIdentity(t), Config{}, wb)
		r := newNode(t, net, "r")
		a.knows(b)
		done := sink(b)
		total := bulk()
		relayed := false
		err := pour(a, b, total, map[int]func(){
			total / 4: func() {
				wa.walled.Store(true)
				wb.walled.Store(true)
				cut(a, b)
				r.knows(a)
				r.knows(b)
				time.AfterFunc(2*time.Second, func() { a.knows(b, r); b.knows(a, r) })
			},
			total / 2: func() {
				relayed = a.ep.LinkTo(b.id) == nil && r.rt.Stats().Forwarded > 0
				r.kill()
				wa.walled.Store(false)
				wb.walled.Store(false)
				time.AfterFunc(3*time.Second, func() { a.rt.Forget(b.id); a.knows(b); b.rt.Forget(a.id) })
			},
			total * 3 / 4: func() {
				net.Crash("b")
				a.rt.Forget(b.id)
				if err := b.ep.Add(net.Transport(memory.TransportConfig{Name: "b2"})); err != nil {
					t.Error(err)
				}
				time.AfterFunc(time.Second, func() { a.knows(b) })
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		a.flush(b)
		if !relayed {
			t.Error("nothing went through the peer in between")
		}
		want(t, "connections ever", a.sec.Stats().Opened, 1)
		want(t, "losses", a.losses(), "[]")
		if a.sec.Stats().Repeats == 0 {
			t.Error("nothing was lost on the way, so nothing was tried")
		}
		t.Logf("%+v", a.sec.Connections())
		t.Logf("%+v", a.sec.Stats())
		t.Logf("%+v", b.sec.Stats())
	})
}

// Loss, doubles and shuffling on the way are not seen above.
func TestLossyWay(t *testing.T) {
	for _, x := range []struct {
		name               string
		lose, double, hold float64
	}{
		{"loss", 0.1, 0, 0},
		{"doubles", 0, 0.2, 0},
		{"shuffled", 0, 0, 0.3},
		{"all", 0.1, 0.1, 0.2},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := memory.New(memory.Config{Latency: 20 * time.Millisecond, Jitter: 5 * time.Millisecond, LinkLoss: 0.01})
				shim := func(name string, seed uint64) endpoint.Transport {
					return &lossy{
						Transport: net.Transport(memory.TransportConfig{Name: name}),
						lose:      x.lose, double: x.double, hold: x.hold, rand: rand.New(rand.NewPCG(seed, 1)),
					}
				}
				a := startOver(t, net, "a", newIdentity(t), Config{}, shim("a", 1))
				b := startOver(t, net, "b", newIdentity(t), Config{}, shim("b", 2))
				a.knows(b)
				done := sink(b)
				began := time.Now()
				if err := pour(a, b, 2<<20, nil); err != nil {
					t.Fatal(err)
				}
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				t.Logf("%v, %+v", time.Since(began), a.sec.Stats())
				a.flush(b)
				want(t, "losses", a.losses(), "[]")
			})
		})
	}
}
