package secure

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// BenchmarkSend sends messages of some sizes between two peers of one process,
// encryption and acknowledgement included.
func BenchmarkSend(b *testing.B) {
	for _, size := range []int{100, 1 << 10, 16 << 10, 256 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			net := memory.New(memory.Config{})
			x, y := newNode(b, net, "a"), newNode(b, net, "b")
			x.knows(y)
			var got atomic.Int64
			done := make(chan struct{})
			total := int64(b.N)
			if _, err := y.scope().Handle("sink", "", func(context.Context, endpoint.Incoming) {
				if got.Add(1) == total {
					close(done)
				}
			}); err != nil {
				b.Fatal(err)
			}
			msg := message.New(message.Bytes("", "body", make([]byte, size)))
			ctx := context.Background()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if err := x.scope().SendSecure(ctx, y.id, "sink", "", msg); err != nil {
					b.Fatal(err)
				}
			}
			<-done
			b.StopTimer()
			st := x.sec.Stats()
			b.ReportMetric(float64(st.Repeats)/float64(b.N), "repeats/op")
		})
	}
}
