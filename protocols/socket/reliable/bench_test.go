package reliable

import (
	"context"
	"testing"

	"github.com/juxta-p2p/juxta/core/message"
)

// pair returns two Conns wired to each other; everything passes the binary form.
func pair(tb testing.TB, mode Mode) (a, b *Conn) {
	tb.Helper()
	a = New(Config{Mode: mode, Send: func(_ context.Context, m *message.Message) error { return deliver(m, b) }})
	b = New(Config{Mode: mode, Send: func(_ context.Context, m *message.Message) error { return deliver(m, a) }})
	message.Poison(false) // which takes longer than all else
	tb.Cleanup(func() { a.Close(); b.Close(); message.Poison(true) })
	return a, b
}

// deliver hands a copy of the message to a Conn.
func deliver(m *message.Message, to *Conn) error {
	mem := message.NewMemory(m.Size())
	w, err := m.AppendTo(mem.Bytes()[:0])
	if err != nil {
		return err
	}
	var d message.Decoder
	got, err := d.Decode(w, mem)
	if err != nil {
		return err
	}
	to.TakeOver(got)
	return nil
}

func benchmarkStream(b *testing.B, mode Mode, size int) {
	from, to := pair(b, mode)
	block := make([]byte, size)
	ctx := context.Background()
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		for range b.N {
			if from.WriteBlock(ctx, block) != nil {
				return
			}
		}
	}()
	for range b.N {
		got, err := to.Receive(ctx)
		if err != nil || len(got.Body) != size {
			b.Fatal(len(got.Body), err)
		}
		got.Release()
	}
	b.StopTimer()
	if n := from.Stats().Repeated; n != 0 {
		b.Fatalf("%d blocks repeated", n)
	}
	b.ReportMetric(float64(to.Stats().AcksSent)/float64(b.N), "acks/op")
}

// benchmarkEcho has one small block go and one come back.
func benchmarkEcho(b *testing.B, mode Mode) {
	from, to := pair(b, mode)
	ctx, cancel := context.WithCancel(context.Background())
	block := make([]byte, 64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			got, err := to.Receive(ctx)
			if err != nil || to.WriteBlock(ctx, got.Body) != nil {
				return
			}
			got.Release()
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		if err := from.WriteBlock(ctx, block); err != nil {
			b.Fatal(err)
		}
		got, err := from.Receive(ctx)
		if err != nil {
			b.Fatal(err)
		}
		got.Release()
	}
	cancel()
	<-done
}

func BenchmarkJuxtaEcho(b *testing.B) { benchmarkEcho(b, Juxta) }
func BenchmarkJavaEcho(b *testing.B)  { benchmarkEcho(b, Java) }

func BenchmarkJuxta64K(b *testing.B) { benchmarkStream(b, Juxta, 64<<10) }
func BenchmarkJuxta64(b *testing.B)  { benchmarkStream(b, Juxta, 64) }
func BenchmarkJava64K(b *testing.B)  { benchmarkStream(b, Java, 64<<10) }
func BenchmarkJava64(b *testing.B)   { benchmarkStream(b, Java, 64) }
