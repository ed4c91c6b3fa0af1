package governance_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/governance"
	"github.com/juxta-p2p/juxta/peergroup/peergrouptest"
)

// A founder writes the charter into the group's advertisement; members who join
// by it govern the group together.
func found(name string, quorum int, moderators ...*identity.Identity) (*advertisements.Group, error) {
	adv := &advertisements.Group{ID: id.NewGroup(id.Group{}), Spec: id.SpecGenericGroup, Name: name}
	charter := governance.Charter{Group: adv.ID, Quorum: quorum}
	for _, m := range moderators {
		charter.Moderators = append(charter.Moderators, governance.ModeratorOf(m))
	}
	signed, err := charter.Sign(moderators[0])
	if err != nil {
		return nil, err
	}
	return adv, signed.AddTo(adv)
}

// run starts a network with one member of the group for each identity, and one
// with none, and calls f with their policies.
func run(adv *advertisements.Group, f func(ctx context.Context, members []*governance.Service) error, who ...*identity.Identity) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	next := 0
	net, err := peergrouptest.Start(peergrouptest.Config{Rendezvous: 1, Edges: len(who), Configure: func(c *peergroup.Config) {
		if !c.Roles.Rendezvous {
			c.PeerID, c.Identity = id.Peer{}, who[next]
			next++
		}
	}})
	if err != nil {
		return err
	}
	defer func() { _ = net.Close() }()
	if err := net.WaitConnected(ctx); err != nil {
		return err
	}
	var members []*governance.Service
	for i, n := range net.Nodes() {
		group, err := n.Net().Join(ctx, adv)
		if err != nil {
			return err
		}
		if i == 0 {
			if err := group.Rendezvous().SetRole(1); err != nil {
				return err
			}
		}
		if err := group.Rendezvous().WaitConnected(ctx); err != nil {
			return err
		}
		members = append(members, group.Governance())
	}
	return f(ctx, members)
}

// wait waits until something is so.
func wait(ctx context.Context, ok func() bool) error {
	for !ok() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// A moderator excludes a peer; every member enforces it, in every group's ID of
// the peer.
func Example_exclude() {
	ann, mallory := fresh(), fresh()
	adv, err := found("crew", 1, ann)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = run(adv, func(ctx context.Context, members []*governance.Service) error {
		member, moderator := members[0], members[1]
		act := governance.Act{Kind: governance.Exclude, Peer: mallory.Peer(), Reason: "spam", Term: time.Hour}
		exclusion, err := moderator.Propose(ctx, act)
		if err != nil {
			return err
		}
		who := governance.Subject{Peer: mallory.Peer()}
		if err := wait(ctx, func() bool { return member.Judge(who) != nil }); err != nil {
			return err
		}
		for _, e := range member.List() {
			fmt.Println(strings.Contains(e.Act.String(), mallory.Peer().Short()), e.Act.Reason, e.Until.Sub(e.From))
		}
		if _, err := moderator.Propose(ctx, governance.Act{Kind: governance.Readmit, Target: exclusion}); err != nil {
			return err
		}
		if err := wait(ctx, func() bool { return member.Judge(who) == nil }); err != nil {
			return err
		}
		fmt.Println("readmitted:", len(member.List()) == 0)
		return nil
	}, ann)
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// true spam 1h0m0s
	// readmitted: true
}

// Where the quorum is two, a proposal waits for a second moderator.
func Example_vote() {
	ann, bob, mallory := fresh(), fresh(), fresh()
	adv, err := found("crew", 2, ann, bob)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = run(adv, func(ctx context.Context, members []*governance.Service) error {
		member, first, second := members[0], members[1], members[2]
		act, err := first.Propose(ctx, governance.Act{Kind: governance.Exclude, Key: mallory.SPKI(), Reason: "spam"})
		if err != nil {
			return err
		}
		if err := wait(ctx, func() bool { return len(second.State().Proposals) == 1 }); err != nil {
			return err
		}
		proposal := second.State().Proposals[0]
		fmt.Println("proposed:", proposal.Act().Reason, len(proposal.Signers()), "of", second.State().Quorum)
		fmt.Println("in effect:", member.State().InEffect(act))
		if err := second.Approve(ctx, act); err != nil {
			return err
		}
		if err := wait(ctx, func() bool { return member.State().InEffect(act) }); err != nil {
			return err
		}
		fmt.Println(member.Judge(governance.Subject{Key: mallory.SPKI()}))
		return nil
	}, ann, bob)
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// proposed: spam 1 of 2
	// in effect: false
	// governance: excluded (spam)
}

// What is withdrawn is known by the hash of its content.
func Example_withdraw() {
	ann := fresh()
	adv, err := found("crew", 1, ann)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = run(adv, func(ctx context.Context, members []*governance.Service) error {
		member, moderator := members[0], members[1]
		song := governance.HashOf([]byte("a song"))
		for _, kind := range []governance.Kind{governance.Withdraw, governance.Reinstate} {
			if _, err := moderator.Propose(ctx, governance.Act{Kind: kind, Content: song}); err != nil {
				return err
			}
			withdrawn := kind == governance.Withdraw
			if err := wait(ctx, func() bool { return member.Withdrawn(song) == withdrawn }); err != nil {
				return err
			}
			fmt.Println(kind, member.Withdrawn(song))
		}
		return nil
	}, ann)
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// withdraw true
	// reinstate false
}

// Members of a closed group seal what they send; whoever has not got the secret
// sees the number of the epoch and an address that says nothing.
func ExampleKeyring() {
	ann := fresh()
	group := id.NewGroup(id.Group{})
	first, err := governance.NewEpoch(group, 1, ann, xmldoc.Node{}, nil, time.Now())
	if err != nil {
		fmt.Println(err)
		return
	}
	var rings []*governance.Keyring
	for range 2 {
		ring, err := governance.NewKeyring(governance.KeyringConfig{Group: group})
		if err != nil {
			fmt.Println(err)
			return
		}
		if _, err := ring.Install(first, time.Now()); err != nil {
			fmt.Println(err)
			return
		}
		rings = append(rings, ring)
	}
	sealed, err := rings[0].Seal([]byte("meet me at noon"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := rings[1].Open(sealed, nil)
	fmt.Printf("%q %v, %d octets more\n", text, err, len(sealed)-len(text))
	a, _ := rings[0].Address()
	b, _ := rings[1].Address()
	fmt.Println("same address:", a == b, "that of the group:", a == group)
	// Output:
	// "meet me at noon" <nil>, 48 octets more
	// same address: true that of the group: false
}
