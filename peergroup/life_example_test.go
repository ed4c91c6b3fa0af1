package peergroup_test

import (
	"context"
	"fmt"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
)

// A group is made, found and joined; a group in it is no business of others.
func ExampleGroup_Create() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	peers, err := box(ctx, "ann", "bob")
	if err != nil {
		fmt.Println(err)
		return
	}
	ann, bob := peers[0], peers[1]
	crew, err := ann.Net().Create(ctx, peergroup.Spec{Name: "crew", Description: "those who sail"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := crew.Create(ctx, peergroup.Spec{Name: "watch"}); err != nil {
		fmt.Println(err)
		return
	}
	found, err := bob.Net().Discovery().FindOne(ctx, discovery.Query{Kind: advertisements.Groups, Attr: "Name", Value: "cre*"})
	if err != nil {
		fmt.Println(err)
		return
	}
	member, err := bob.Net().Join(ctx, found.Adv.(*advertisements.Group))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := member.Rendezvous().WaitConnected(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(member.Name(), member.Advertisement().Desc, member.ID() == crew.ID())
	inner, err := member.Discovery().FindOne(ctx, discovery.Query{Kind: advertisements.Groups, Attr: "Name", Value: "watch"})
	fmt.Println(inner.Adv.(*advertisements.Group).Name, err)
	member.Leave()
	for _, p := range peers {
		_ = p.Close()
	}
	// Output:
	// crew those who sail true
	// watch <nil>
}
