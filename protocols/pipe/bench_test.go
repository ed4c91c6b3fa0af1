package pipe_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/transport/tcp"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// carriers makes the transports of two peers.
var carriers = map[string]func() (net *memory.Network, transport func() endpoint.Transport){
	"memory": func() (*memory.Network, func() endpoint.Transport) {
		return memory.New(memory.Config{}), func() endpoint.Transport { return nil }
	},
	"tcp": func() (*memory.Network, func() endpoint.Transport) {
		return nil, func() endpoint.Transport { return tcp.New(tcp.Config{Listen: []string{"127.0.0.1:0"}}) }
	},
	"tls": func() (*memory.Network, func() endpoint.Transport) { // of nodes that can prove their IDs
		return nil, func() endpoint.Transport { return tcp.New(tcp.Config{Listen: []string{"127.0.0.1:0"}}) }
	},
}

// BenchmarkUnicast sends messages one way; an operation is one message sent and
// received.
func BenchmarkUnicast(b *testing.B) {
	for _, carrier := range []string{"memory", "tcp", "tls"} {
		for _, size := range []int{64, 1 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("%s/%d", carrier, size), func(b *testing.B) {
				net, transport := carriers[carrier]()
				x := newNode(b, net, "x", nodeConfig{role: rendezvous.AdHoc, secure: carrier == "tls", transport: transport()})
				y := newNode(b, net, "y", nodeConfig{role: rendezvous.AdHoc, secure: carrier == "tls", transport: transport(), near: []*node{x}})
				if l, err := y.ep.Dial(b.Context(), x.ep.Addresses()[0]); err != nil || (carrier == "tls") != l.Proven() && carrier != "memory" {
					b.Fatal(err)
				}
				in := x.listen(unicast("p"))
				out := y.dial(unicast("p"))
				msg := message.New(message.Bytes("", "data", make([]byte, size)))
				b.SetBytes(int64(size))
				b.ReportAllocs()
				b.ResetTimer()
				go func() {
					for range b.N {
						if err := out.Send(context.Background(), msg); err != nil {
							b.Error(err)
							return
						}
					}
				}()
				for range b.N {
					m, err := in.Receive(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					m.Release()
				}
				b.StopTimer()
				if st := in.Stats(); st.DroppedFull > 0 {
					b.Errorf("%d messages dropped", st.DroppedFull)
				}
			})
		}
	}
}

// BenchmarkRoundTrip sends a message there and back, taken by handlers.
func BenchmarkRoundTrip(b *testing.B) {
	for _, carrier := range []string{"memory", "tcp", "tls"} {
		b.Run(carrier, func(b *testing.B) {
			net, transport := carriers[carrier]()
			x := newNode(b, net, "x", nodeConfig{role: rendezvous.AdHoc, secure: carrier == "tls", transport: transport()})
			y := newNode(b, net, "y", nodeConfig{role: rendezvous.AdHoc, secure: carrier == "tls", transport: transport(), near: []*node{x}})
			if l, err := y.ep.Dial(b.Context(), x.ep.Addresses()[0]); err != nil || (carrier == "tls") != l.Proven() && carrier != "memory" {
				b.Fatal(err)
			}
			var there, back *pipe.Output
			done := make(chan struct{})
			msg := message.New(message.Bytes("", "data", make([]byte, 1<<10)))
			n := 0
			for _, l := range []struct {
				at     *node
				name   string
				handle func(pipe.Message)
			}{
				{x, "there", func(m pipe.Message) {
					_ = back.Send(context.Background(), m.Message)
					m.Release()
				}},
				{y, "back", func(m pipe.Message) {
					m.Release()
					if n++; n == b.N {
						close(done)
					} else if err := there.Send(context.Background(), msg); err != nil {
						b.Error(err)
					}
				}},
			} {
				if _, err := l.at.pipes.ListenWith(b.Context(), unicast(l.name), pipe.ListenConfig{Handle: l.handle, Quiet: true}); err != nil {
					b.Fatal(err)
				}
			}
			var err error
			if back, err = x.pipes.Bind(unicast("back"), y.id); err != nil {
				b.Fatal(err)
			}
			if there, err = y.pipes.Bind(unicast("there"), x.id); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			if err := there.Send(b.Context(), msg); err != nil {
				b.Fatal(err)
			}
			<-done
		})
	}
}

// BenchmarkFanOut sends 1 KiB from an edge through its rendezvous to ten
// listeners; an operation is one message that all of them have got.
func BenchmarkFanOut(b *testing.B) {
	const listeners, window = 10, 32
	net := memory.New(memory.Config{})
	r := newNode(b, net, "r", nodeConfig{role: rendezvous.Rendezvous})
	sender := newNode(b, net, "s", nodeConfig{seeds: []*node{r}}).leased()
	got := make(chan struct{}, listeners*window)
	for i := range listeners {
		e := newNode(b, net, fmt.Sprint("e", i), nodeConfig{seeds: []*node{r}}).leased()
		_, err := e.pipes.ListenWith(b.Context(), propagate("chat"), pipe.ListenConfig{Handle: func(pipe.Message) { got <- struct{}{} }})
		if err != nil {
			b.Fatal(err)
		}
	}
	for r.pipes.Stats().IndexEntries < listeners {
		time.Sleep(time.Millisecond)
	}
	out := sender.dial(propagate("chat"))
	msg := message.New(message.Bytes("", "data", make([]byte, 1<<10)))
	b.ReportAllocs()
	b.ResetTimer()
	sent, arrived := 0, 0
	for arrived < b.N*listeners {
		if sent < b.N && sent*listeners-arrived < window*listeners {
			if err := out.Send(b.Context(), msg); err != nil {
				b.Fatal(err)
			}
			sent++
			continue
		}
		<-got
		arrived++
	}
}

// BenchmarkPublish sends 1 KiB from a rendezvous to ten edges that listen, over TCP; an
// operation is one message that all of them have got.
func BenchmarkPublish(b *testing.B) {
	const listeners = 10
	for _, carrier := range []string{"tcp", "tls"} {
		for _, window := range []int{32, 1024} {
			b.Run(fmt.Sprint(carrier, "/", window), func(b *testing.B) {
				_, transport := carriers[carrier]()
				own := carrier == "tls"
				r := newNode(b, nil, "r", nodeConfig{role: rendezvous.Rendezvous, secure: own, transport: transport()})
				const every = 16
				got := make(chan int, listeners) // every message that is a multiple, by each
				for i := range listeners {
					e := newNode(b, nil, fmt.Sprint("e", i), nodeConfig{seeds: []*node{r}, secure: own, transport: transport()}).leased()
					in := e.listen(propagate("chat"))
					go func() {
						for n := range b.N {
							m, err := in.Receive(b.Context())
							if err != nil {
								b.Error(err)
								return
							}
							m.Release()
							if n%every == every-1 || n == b.N-1 {
								got <- n / every
							}
						}
					}()
				}
				for r.pipes.Stats().IndexEntries < listeners {
					time.Sleep(time.Millisecond)
				}
				out := r.dial(propagate("chat"))
				msg := message.New(message.Bytes("", "data", make([]byte, 1<<10)))
				b.ReportAllocs()
				b.ResetTimer()
				count := make([]int, (b.N+every-1)/every) // how many have got the last of each
				for sent, all := 0, 0; all < len(count); {
					if sent < b.N && sent-all*every < window {
						if err := out.Send(b.Context(), msg); err != nil {
							b.Fatal(err)
						}
						sent++
						continue
					}
					count[<-got]++
					for all < len(count) && count[all] == listeners {
						all++
					}
				}
			})
		}
	}
}

// BenchmarkDial binds to a peer through the rendezvous that knows who listens.
func BenchmarkDial(b *testing.B) {
	net := memory.New(memory.Config{})
	r, e := network(b, net, "e1", "e2")
	e[0].listen(unicast("p"))
	for r.pipes.Stats().IndexEntries == 0 {
		time.Sleep(time.Millisecond)
	}
	b.ReportAllocs()
	for b.Loop() {
		e[1].dial(unicast("p")).Close()
	}
}
