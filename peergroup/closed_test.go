package peergroup_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/governance"
	"github.com/juxta-p2p/juxta/peergroup/peergrouptest"
	"github.com/juxta-p2p/juxta/protocols/discovery"
)

// eavesdropper hears every message on every link as it is inside the link's
// encryption, which is what rendezvous and relays on the way see.
type eavesdropper struct {
	mu    sync.Mutex
	heard [][]byte
}

func (e *eavesdropper) tap(_, _ string, body []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, bytes.Clone(body))
}

// knows returns the words that were heard.
func (e *eavesdropper) knows(words ...string) (found []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, w := range words {
		if slices.ContainsFunc(e.heard, func(b []byte) bool { return bytes.Contains(b, []byte(w)) }) {
			found = append(found, w)
		}
	}
	return found
}

// invite has a moderator invite a peer, which joins by the text of the invitation.
func (c *crew) invite(by *peergroup.Group, n *peergrouptest.Node) *peergroup.Group {
	c.t.Helper()
	inv, err := by.Invite(n.Peer().Identity().SPKI(), n.Name(), time.Hour)
	if err != nil {
		c.t.Fatal(err)
	}
	text, err := inv.MarshalText()
	if err != nil {
		c.t.Fatal(err)
	}
	read := new(peergroup.Invitation)
	if err := read.UnmarshalText(text); err != nil {
		c.t.Fatal(err)
	}
	g, err := n.Net().Accept(c.t.Context(), read, greeter{})
	if err != nil {
		c.t.Fatal(err)
	}
	return g
}

// Members of a closed group work as in any other; what is heard outside, by the
// rendezvous that serve them too, tells neither what it is called nor what is said.
func TestClosedGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ear := new(eavesdropper)
		c := newCrew(t, 2, 11, 0, ear.tap)
		first := c.found(c.Edge(1), peergroup.Spec{Description: "gold on Hispaniola", Charter: &governance.Charter{Mode: governance.Closed}})
		for i := 2; i <= 8; i++ {
			c.members = append(c.members, c.invite(first, c.Edge(i)))
		}
		time.Sleep(2 * time.Minute)
		for _, g := range c.members {
			if got := answers(t, g, c.members); len(got) != 7 {
				t.Errorf("%s is answered by %q", g.PeerName(), got)
			}
		}
		pipe := advertisements.NewPipe(first.ID(), "the map room", advertisements.Propagate)
		in, err := c.members[3].Pipes().Listen(t.Context(), pipe)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		if err := first.Discovery().Publish(t.Context(), pipe, discovery.Lifetime{}); err != nil {
			t.Fatal(err)
		}
		out, err := c.members[6].Pipes().Dial(t.Context(), pipe)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		time.Sleep(30 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if _, err := c.members[5].Discovery().FindOne(ctx, discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: "the map room"}); err != nil {
			t.Errorf("an advertisement is not found: %v", err)
		}
		if err := out.Send(ctx, message.New(message.Text("", "word", "fifteen men"))); err != nil {
			t.Error(err)
		}
		if m, err := in.Receive(ctx); err != nil || m.Message.Text("", "word") != "fifteen men" {
			t.Errorf("received %v, %v", m, err)
		}
		secret := []string{first.Name(), "Hispaniola", "the map room", "fifteen men", first.ID().Unique(), pipe.ID.Unique(), greeting.Name(), "juxta.governance"}
		if found := ear.knows(secret...); len(found) > 0 {
			t.Errorf("outsiders heard %q", found)
		}
		if len(ear.knows("juxta.sealed")) == 0 {
			t.Error("nothing was sealed, or the ear is deaf")
		}
		outsider := c.Edge(10).Net()
		for _, q := range []discovery.Query{{Kind: advertisements.Groups}, {Kind: advertisements.Advs}} {
			short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			for found, err := range outsider.Discovery().Find(short, q) {
				if r, ok := found.Adv.(*advertisements.Rendezvous); err == nil && (!ok || r.Group != outsider.ID()) {
					t.Errorf("an outsider finds %v", found.Adv)
				}
			}
			cancel()
		}
	})
}

// Whoever was not invited gets no secret, even with the advertisement in hand.
func TestClosedGroupTurnsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 1, 6, 0, nil)
		first := c.found(c.Edge(1), peergroup.Spec{Charter: &governance.Charter{Mode: governance.Closed}})
		c.members = append(c.members, c.invite(first, c.Edge(2)), c.invite(first, c.Edge(3)))
		time.Sleep(time.Minute)
		guest := c.join(c.Edge(4)) // without an invitation
		time.Sleep(time.Minute)
		if got := answers(t, guest, c.members); len(got) != 0 {
			t.Errorf("one who was not invited is answered by %q", got)
		}
		if err := guest.Endpoint().Send(t.Context(), first.PeerID(), "x", "", message.New(message.Text("", "a", "b"))); !errors.Is(err, governance.ErrNoKey) {
			t.Errorf("its messages: %v", err)
		}
		// Nor does one with the invitation of another, or of somebody who may not invite.
		inv, err := first.Invite(c.Edge(2).Peer().Identity().SPKI(), "x", 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Edge(5).Net().Accept(t.Context(), inv); !errors.Is(err, credential.ErrOtherKey) {
			t.Errorf("the invitation of another: %v", err)
		}
		if _, err := c.members[1].Invite(c.Edge(5).Peer().Identity().SPKI(), "x", 0); !errors.Is(err, governance.ErrNotModerator) {
			t.Errorf("a member invites: %v", err)
		}
		own, err := c.Edge(5).Net().Create(t.Context(), peergroup.Spec{Name: "trick", ID: first.ID(), Charter: &governance.Charter{Mode: governance.Closed}})
		if err != nil {
			t.Fatal(err)
		}
		forged, err := own.Invite(c.Edge(6).Peer().Identity().SPKI(), "x", 0)
		if err != nil {
			t.Fatal(err)
		}
		forged.Group = first.Advertisement()
		forger, err := c.Edge(6).Net().Accept(t.Context(), forged, greeter{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := answers(t, forger, c.members); len(got) != 0 {
			t.Errorf("one whom no moderator invited is answered by %q", got)
		}
		// What is not sealed does not come in, whoever sends it.
		before := first.Peer().Endpoint().Stats().DroppedByRule
		plain := c.Edge(2).Peer().Endpoint().Scope(first.ID())
		if err := plain.Send(t.Context(), first.PeerID(), "JxtaPropagate", first.ID().Unique(), message.New(message.Text("", "a", "b"))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if first.Peer().Endpoint().Stats().DroppedByRule != before+1 {
			t.Error("an unsealed message was taken")
		}
	})
}

// A member who is excluded is out within a minute though it stays connected: it
// reads nothing that is said then.
func TestClosedGroupExcludes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 2, 10, 0.05, nil)
		first := c.found(c.Edge(1), peergroup.Spec{Charter: &governance.Charter{Mode: governance.Closed}})
		for i := 2; i <= 10; i++ {
			c.members = append(c.members, c.invite(first, c.Edge(i)))
		}
		time.Sleep(2 * time.Minute)
		badly := c.members[6]
		if got := answers(t, badly, c.members); len(got) != 9 {
			t.Fatalf("before: %q", got)
		}
		pipe := advertisements.NewPipe(first.ID(), "deck", advertisements.Propagate)
		heard, err := badly.Pipes().Listen(t.Context(), pipe)
		if err != nil {
			t.Fatal(err)
		}
		defer heard.Close()
		fine, err := c.members[3].Pipes().Listen(t.Context(), pipe)
		if err != nil {
			t.Fatal(err)
		}
		defer fine.Close()
		out, err := c.members[2].Pipes().Dial(t.Context(), pipe)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		if _, err := first.Exclude(t.Context(), badly.PeerID(), peergroup.Exclusion{Reason: "talks", KeepAddress: true}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		opened := metric(badly.Peer(), "secrets", "opened")
		for range 5 {
			if err := out.Send(t.Context(), message.New(message.Text("", "word", "without you"))); err != nil {
				t.Error(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if m, err := fine.Receive(ctx); err != nil || m.Message.Text("", "word") != "without you" {
			t.Errorf("a member received %v, %v", m, err)
		}
		short, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if m, err := heard.Receive(short); err == nil {
			t.Errorf("the excluded reads %v", m.Message)
		}
		if now := metric(badly.Peer(), "secrets", "opened"); now != opened {
			t.Errorf("the excluded opened %d messages", now-opened)
		}
		if got := answers(t, badly, c.members); len(got) != 0 {
			t.Errorf("the excluded is answered by %q", got)
		}
		rest := slices.DeleteFunc(slices.Clone(c.members), func(g *peergroup.Group) bool { return g == badly })
		if got := answers(t, c.members[8], rest); len(got) != 8 {
			t.Errorf("a member is answered by %q", got)
		}
	})
}

func metric(p *peergroup.Peer, service, name string) (sum uint64) {
	for _, m := range p.Metrics() {
		if m.Service == service && m.Name == name {
			sum += m.Value
		}
	}
	return sum
}

func TestInvitationIsRead(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "no PEM": "hello", "wrong certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"wrong group": "-----BEGIN JUXTA GROUP-----\nAAAA\n-----END JUXTA GROUP-----\n",
		"too long":    string(make([]byte, 1<<20)),
	} {
		if err := new(peergroup.Invitation).UnmarshalText([]byte(text)); !errors.Is(err, peergroup.ErrInvitation) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// lanEar is a transport that hears what others say to everybody on the LAN.
type lanEar struct {
	*memory.Transport
	ear *eavesdropper
}

func (l *lanEar) Start(h endpoint.Host) error {
	receive := h.Receive
	h.Receive = func(from endpoint.Link, body []byte) error {
		if from == nil {
			l.ear.tap("", "", body)
		}
		return receive(from, body)
	}
	h.ReceiveShared = nil
	return l.Transport.Start(h)
}

// What members of a closed group say by multicast tells an outsider on the LAN nothing.
func TestClosedGroupOnALAN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, ear := memory.New(memory.Config{Latency: 5 * time.Millisecond}), new(eavesdropper)
		at := func(name string) *peergroup.Peer {
			cfg := inBox(network, name, peergroup.Roles{Rendezvous: true})
			lan := network.Transport(memory.TransportConfig{Name: name, Segment: "lan"})
			cfg.PeerID, cfg.Identity, cfg.Transports = id.Peer{}, newKey(t), []endpoint.Transport{lan}
			if name == "eve" {
				cfg.Transports[0] = &lanEar{lan, ear}
			}
			return start(t, cfg)
		}
		ann, bob, _ := at("ann"), at("bob"), at("eve")
		crew, err := ann.Net().Create(t.Context(), peergroup.Spec{
			Name: "crew of the ship", Charter: &governance.Charter{Mode: governance.Closed}, Modules: []peergroup.Module{greeter{}},
		})
		if err != nil {
			t.Fatal(err)
		}
		inv, err := crew.Invite(bob.Identity().SPKI(), "bob", 0)
		if err != nil {
			t.Fatal(err)
		}
		member, err := bob.Net().Accept(t.Context(), inv, greeter{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if got := answers(t, member, []*peergroup.Group{crew}); len(got) != 1 {
			t.Errorf("answers %q", got)
		}
		pipe := advertisements.NewPipe(crew.ID(), "deck", advertisements.Propagate)
		in, err := crew.Pipes().Listen(t.Context(), pipe)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		out, err := member.Pipes().Dial(t.Context(), pipe)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := out.Send(ctx, message.New(message.Text("", "word", "fifteen men"))); err != nil {
			t.Error(err)
		}
		if m, err := in.Receive(ctx); err != nil || m.Message.Text("", "word") != "fifteen men" {
			t.Errorf("received %v, %v", m, err)
		}
		if len(ear.knows(endpoint.SealedService)) == 0 {
			t.Error("nothing was said to all, or the ear is deaf")
		}
		if found := ear.knows(crew.Name(), crew.ID().Unique(), "fifteen men", greeting.Name(), pipe.ID.Unique()); len(found) > 0 {
			t.Errorf("an outsider heard %q", found)
		}
	})
}
