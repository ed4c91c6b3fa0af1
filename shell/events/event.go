// Package events tells what happens at a peer: links, leases, roles, who is found and lost,
// groups, pipes, and how others reach it. The control socket and the command monitor show
// the same.
package events

import (
	"fmt"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// Kinds of events, with what may happen.
const (
	KindLink       = "link"         // up, down
	KindRendezvous = "rendezvous"   // see rendezvous.EventKind
	KindPeer       = "peer"         // near, not near, known, forgotten
	KindGroup      = "group"        // joined, left
	KindPipe       = "pipe"         // opened, closed
	KindRelay      = "relay"        // leased, lost, client joined, client left
	KindReach      = "reachability" // public, private, unknown
)

// Kinds returns all kinds in the order of the constants.
func Kinds() []string {
	return []string{KindLink, KindRendezvous, KindPeer, KindGroup, KindPipe, KindRelay, KindReach}
}

// Event is something that happened. Fields that do not fit its kind are zero.
type Event struct {
	Kind, What string

	Peer id.Peer // the other side; zero if it is about this peer alone
	Name string  // of the peer, as it says; empty if it was not said

	Group   string // in which it happened, or which it is about
	GroupID id.Group
	Role    string // of this peer in the group, when it has changed

	Address            string // of a link
	Encrypted          bool   // nobody can read what goes over the link
	Proven             bool   // the other side of the link has shown its key
	Last               bool   // there is no other link to the peer
	Pipe               id.Pipe
	PipeName, PipeType string // name and type
}

// Fields returns what fits the kind, what first.
func (e *Event) Fields() []interp.Field {
	all := []interp.Field{{Name: "what", Value: e.What}}
	add := func(name string, value any) { all = append(all, interp.Field{Name: name, Value: value}) }
	switch e.Kind {
	case KindLink:
		add("peer_id", e.Peer.String())
		add("address", e.Address)
		add("encrypted", e.Encrypted)
		add("proven", e.Proven)
		add("last", e.Last)
		return all
	case KindReach:
		return all
	case KindPipe:
		add("pipe_id", e.Pipe.String())
		add("name", e.PipeName)
		add("type", e.PipeType)
	case KindRendezvous:
		add("peer_id", e.Peer.String())
	case KindPeer, KindRelay:
		add("peer_id", e.Peer.String())
		add("name", e.Name)
	}
	if e.Group != "" {
		add("group", e.Group)
		add("group_id", e.GroupID.String())
	}
	if e.Role != "" {
		add("role", e.Role)
	}
	return all
}

// Text tells the event to people. peer is how the other peer is called.
func (e *Event) Text(peer string) string {
	switch e.Kind {
	case KindLink:
		if e.What == "up" {
			return fmt.Sprintf("a link to %s at %s, %s", peer, e.Address, either(e.Encrypted, "encrypted", "not encrypted"))
		}
		return fmt.Sprintf("the link to %s at %s has ended%s", peer, e.Address, either(e.Last, ", the last one to it", ""))
	case KindRendezvous:
		return e.rendezvous(peer) + " in " + e.Group
	case KindPeer:
		switch e.What {
		case "near":
			return peer + " is near by"
		case "not near":
			return peer + " is not near by any more"
		case "known":
			return peer + " is known now in " + e.Group
		}
		return peer + " was not heard of any more and is forgotten in " + e.Group
	case KindGroup:
		return either(e.What == "joined", "joined ", "left ") + e.Group
	case KindPipe:
		return fmt.Sprintf("the pipe %s (%s) is %s in %s", e.PipeName, e.PipeType, either(e.What == "opened", "open", "closed"), e.Group)
	case KindRelay:
		switch e.What {
		case "leased":
			return peer + " relays for this peer"
		case "lost":
			return peer + " relays for this peer no more"
		case "client joined":
			return "this peer relays for " + peer
		}
		return "this peer relays for " + peer + " no more"
	}
	switch e.What {
	case "public":
		return "others can dial this peer"
	case "private":
		return "others cannot dial this peer"
	}
	return "it is not known whether others can dial this peer"
}

func (e *Event) rendezvous(peer string) string {
	switch e.What {
	case "leased":
		return "the rendezvous " + peer + " has granted a lease"
	case "renewed":
		return "the rendezvous " + peer + " has prolonged the lease"
	case "lost":
		return "the lease at " + peer + " has ended"
	case "client joined":
		return peer + " leases from this peer"
	case "client stayed":
		return peer + " has prolonged its lease"
	case "client left":
		return peer + " leases from this peer no more"
	case "neighbour up":
		return peer + " is a neighbour"
	case "role changed":
		return "this peer is " + e.Role + " now"
	case "view joined":
		return "the rendezvous " + peer + " is in view"
	case "view left":
		return "the rendezvous " + peer + " is out of view"
	}
	return e.What + ": " + peer
}

func either(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}
