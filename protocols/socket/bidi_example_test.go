package socket_test

import (
	"context"
	"fmt"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// Whole messages go both ways through a bidirectional pipe.
func ExampleBidiPipe() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	network := memory.New(memory.Config{})
	ann, stopAnn := peer(network, "ann")
	defer stopAnn()
	bob, stopBob := peer(network, "bob")
	defer stopBob()

	adv := advertisements.NewPipe(id.NetGroup, "oracle", advertisements.Unicast)
	server := must(ann.ListenBidi(ctx, adv))
	defer server.Close()
	go func() {
		p, err := server.Accept(ctx)
		if err != nil {
			return
		}
		defer p.Close()
		for m := range p.Messages(ctx) { // until bob ends
			answer := message.New(message.Text("oracle", "answer", "it depends on "+m.Text("oracle", "question")))
			if p.Send(ctx, answer) != nil {
				return
			}
		}
	}()

	p := must(bob.DialBidi(ctx, adv))
	defer p.Close()
	for _, about := range []string{"the weather", "you"} {
		if err := p.Send(ctx, message.New(message.Text("oracle", "question", about))); err != nil {
			panic(err)
		}
		fmt.Println(must(p.Receive(ctx)).Text("oracle", "answer"))
	}
	// Output:
	// it depends on the weather
	// it depends on you
}
