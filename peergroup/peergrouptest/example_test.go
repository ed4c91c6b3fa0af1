package peergrouptest_test

import (
	"context"
	"fmt"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/peergroup/peergrouptest"
	"github.com/juxta-p2p/juxta/protocols/discovery"
)

// Twelve peers: one publishes something, which another one finds; then the
// rendezvous of that one crashes, and all who had a lease there get another one.
// In a test, [New] and a testing/synctest bubble make this shorter and the waiting
// virtual.
func Example() {
	net, err := peergrouptest.Start(peergrouptest.Config{Rendezvous: 3, Edges: 9, Seed: 1})
	if err != nil {
		panic(err)
	}
	defer func() { _ = net.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := net.WaitConnected(ctx); err != nil {
		panic(err)
	}

	ann, bob := net.Edge(1).Net(), net.Edge(2).Net()
	chat := advertisements.NewPipe(ann.ID(), "chat", advertisements.Propagate)
	if err := ann.Discovery().Publish(ctx, chat, discovery.Lifetime{}); err != nil {
		panic(err)
	}
	time.Sleep(200 * time.Millisecond) // until the rendezvous know of it
	found, err := bob.Discovery().FindOne(ctx, discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: "chat"})
	if err != nil {
		panic(err)
	}
	fmt.Println(found.Adv.(*advertisements.Pipe).ID == chat.ID)

	lease, _ := bob.Rendezvous().Lease()
	for _, node := range net.Nodes() {
		if node.ID() == lease.Peer {
			_ = node.Kill()
		}
	}
	if err := net.WaitConnected(ctx); err != nil {
		panic(err)
	}
	fmt.Println(len(net.Nodes()), "peers are left")
	// Output:
	// true
	// 11 peers are left
}
