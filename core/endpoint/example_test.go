package endpoint_test

import (
	"context"
	"fmt"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// Two peers on a network in memory: one asks over the other's address, the other
// answers on the link the question came on.
func Example() {
	ctx := context.Background()
	net := memory.New(memory.Config{})
	peer := func(name string) *endpoint.Endpoint {
		e, err := endpoint.New(endpoint.Config{Peer: id.PeerFromSeed(id.NetGroup, []byte(name))})
		if err != nil {
			panic(err)
		}
		if err := e.Add(net.Transport(memory.TransportConfig{Name: name})); err != nil {
			panic(err)
		}
		return e
	}
	ann, bob := peer("ann"), peer("bob")
	defer func() { _ = ann.Close() }()
	defer func() { _ = bob.Close() }()

	bobs := bob.Scope(id.NetGroup)
	_, _ = bobs.Handle("greeter", "", func(ctx context.Context, in endpoint.Incoming) {
		answer := message.New(message.Text("app", "text", "hello "+in.Message.Text("app", "text")))
		_ = bobs.SendOn(ctx, in.Link, "answers", in.Dest.Param, answer)
	})

	anns, answered := ann.Scope(id.NetGroup), make(chan string)
	_, _ = anns.Handle("answers", "42", func(_ context.Context, in endpoint.Incoming) {
		answered <- in.Message.Text("app", "text")
	})
	question := message.New(message.Text("app", "text", "from ann"))
	if err := anns.SendTo(ctx, bob.Addresses()[0], "greeter", "42", question); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-answered)
	// Output: hello from ann
}

// The same service of two groups: each gets its own messages only.
func ExampleScope() {
	e, err := endpoint.New(endpoint.Config{Peer: id.PeerFromSeed(id.NetGroup, []byte("ann"))})
	if err != nil {
		panic(err)
	}
	defer func() { _ = e.Close() }()
	crew := id.GroupFromSeed(id.NetGroup, []byte("crew"))
	done := make(chan struct{})
	for name, g := range map[string]id.Group{"net": id.NetGroup, "crew": crew} {
		_, _ = e.Scope(g).Handle("chat", "", func(_ context.Context, in endpoint.Incoming) {
			fmt.Println(name, "got", in.Message.Text("", "text"))
			close(done)
		})
	}
	_ = e.Scope(crew).Send(context.Background(), e.Peer(), "chat", "", message.New(message.Text("", "text", "hello crew")))
	<-done
	// Output: crew got hello crew
}
