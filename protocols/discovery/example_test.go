package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/discovery"
)

// lan returns the discovery services of two peers in one neighbourhood.
func lan() (ann, bob *discovery.Service, stop func()) {
	net := memory.New(memory.Config{})
	a, err := newPeer(net, "ann", setup{segment: "lan"})
	if err != nil {
		panic(err)
	}
	b, err := newPeer(net, "bob", setup{segment: "lan"})
	if err != nil {
		panic(err)
	}
	return a.disc, b.disc, func() { a.stop(); b.stop() }
}

// Ann publishes a pipe, Bob looks for what is called like it. Finding goes on
// until the context ends or one has seen enough.
func ExampleService_Find() {
	ann, bob, stop := lan()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()

	if err := ann.Publish(ctx, pipe("chat in the kitchen"), discovery.Lifetime{}); err != nil {
		fmt.Println(err)
		return
	}
	for found, err := range bob.Find(ctx, discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: "chat*"}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		p := found.Adv.(*advertisements.Pipe)
		fmt.Println(p.Name, "-", p.Type, "- for", found.Expiration.Round(time.Hour))
		break
	}
	// Output: chat in the kitchen - JxtaUnicast - for 2h0m0s
}

// Whoever has only one answer in mind asks for one. What nobody has is not found
// when the time is over.
func ExampleService_FindOne() {
	_, bob, stop := lan()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	found, err := bob.FindOne(ctx, discovery.Query{Kind: advertisements.Peers, Attr: "Name", Value: "ann"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(found.Adv.(*advertisements.Peer).Name)

	ctx, cancel = context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err = bob.FindOne(ctx, discovery.Query{Kind: advertisements.Groups, Attr: "Name", Value: "crew"})
	fmt.Println(errors.Is(err, discovery.ErrNotFound))
	// Output:
	// ann
	// true
}

// A copy can be pushed to others, who need not ask then.
func ExampleService_PublishRemote() {
	ann, bob, stop := lan()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := ann.PublishRemote(ctx, pipe("news"), discovery.Lifetime{Remote: time.Minute}); err != nil {
		fmt.Println(err)
		return
	}
	for bob.Stats().Published == 0 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	for _, found := range bob.Local(discovery.Query{Kind: advertisements.Advs}) {
		fmt.Println(found.Adv.(*advertisements.Pipe).Name)
	}
	// Output: news
}
