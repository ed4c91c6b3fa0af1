package peergroup_test

import (
	"context"
	"fmt"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/governance"
)

// box starts peers with keys of their own in one process; the first is a rendezvous.
func box(ctx context.Context, names ...string) (peers []*peergroup.Peer, err error) {
	network := memory.New(memory.Config{})
	for i, name := range names {
		cfg := peergroup.Config{Name: name, NoLAN: true, Transports: []endpoint.Transport{network.Transport(memory.TransportConfig{Name: name})}}
		if cfg.Roles.Rendezvous = i == 0; i > 0 {
			cfg.Seeds = []string{"mem://" + names[0]}
		}
		p, err := peergroup.Start(ctx, cfg)
		if err != nil {
			return nil, err
		}
		peers = append(peers, p)
		if err := p.Net().Rendezvous().WaitConnected(ctx); i > 0 && err != nil {
			return nil, err
		}
	}
	return peers, nil
}

// The moderator of a group shuts a peer out; every member takes part in that.
func ExampleGroup_Exclude() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	peers, err := box(ctx, "ann", "bob", "mallory")
	if err != nil {
		fmt.Println(err)
		return
	}
	ann, bob, mallory := peers[0], peers[1], peers[2]
	crew, err := ann.Net().Create(ctx, peergroup.Spec{Name: "crew", Charter: &governance.Charter{}})
	if err != nil {
		fmt.Println(err)
		return
	}
	member, err := bob.Net().Join(ctx, crew.Advertisement())
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := member.Rendezvous().WaitConnected(ctx); err != nil {
		fmt.Println(err)
		return
	}
	known := make(chan struct{}, 1)
	stop := member.Governance().Watch(func(ev governance.Event) {
		if ev.Kind == governance.Excluded {
			known <- struct{}{}
		}
	})
	defer stop()
	if _, err := crew.Exclude(ctx, mallory.ID(), peergroup.Exclusion{Reason: "spam", Term: time.Hour}); err != nil {
		fmt.Println(err)
		return
	}
	<-known
	for _, e := range member.Governance().List() {
		fmt.Println(e.Act.Peer == mallory.ID(), e.Act.Reason, e.Until.Sub(e.From))
	}
	err = member.Endpoint().Send(ctx, mallory.ID(), "greeting", "", message.New(message.Text("", "text", "hello")))
	fmt.Println(err != nil)
	for _, p := range peers {
		_ = p.Close()
	}
	// Output:
	// true spam 1h0m0s
	// true
}

// A closed group is for the invited; outsiders see nothing of it.
func ExampleGroup_Invite() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	peers, err := box(ctx, "ann", "bob")
	if err != nil {
		fmt.Println(err)
		return
	}
	ann, bob := peers[0], peers[1]
	club, err := ann.Net().Create(ctx, peergroup.Spec{Name: "club", Charter: &governance.Charter{Mode: governance.Closed}})
	if err != nil {
		fmt.Println(err)
		return
	}
	invitation, err := club.Invite(bob.Identity().SPKI(), "bob", 24*time.Hour)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := invitation.MarshalText() // to be sent to Bob by mail
	if err != nil {
		fmt.Println(err)
		return
	}

	received := new(peergroup.Invitation)
	if err := received.UnmarshalText(text); err != nil {
		fmt.Println(err)
		return
	}
	member, err := bob.Net().Accept(ctx, received)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := member.Rendezvous().WaitConnected(ctx); err != nil {
		fmt.Println(err)
		return
	}
	deck := advertisements.NewPipe(club.ID(), "deck", advertisements.Unicast)
	in, err := club.Pipes().Listen(ctx, deck)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer in.Close()
	out, err := member.Pipes().Dial(ctx, deck)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer out.Close()
	if err := out.Send(ctx, message.New(message.Text("", "text", "meet me at noon"))); err != nil {
		fmt.Println(err)
		return
	}
	m, err := in.Receive(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(member.Name(), m.Message.Text("", "text"))
	for _, p := range peers {
		_ = p.Close()
	}
	// Output:
	// club meet me at noon
}
