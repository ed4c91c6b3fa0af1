package lan

import (
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// Hint says that a peer seems to be near, and where it may be dialled. Whoever
// is near can announce anything: who answers is known only when a link is up.
type Hint struct {
	Peer      id.Peer            // as announced, unproven
	Group     id.Group           // its net group; peers of others are of no use
	Name      string             // for people; without control characters
	Roles     string             // for people, for example "rdv,relay"
	Addresses []endpoint.Address // where to dial, most useful first; at least one
	Source    Source             // how it is known
	Age       time.Duration      // since it was last heard of
}

// Source tells how a peer is known. It is a set.
type Source uint8

// The sources.
const (
	Machine Source = 1 << iota // the peer is on the same machine, run by the same user
	MDNS                       // the peer answers on the local network
)

// String returns "machine", "mdns" or "machine,mdns".
func (s Source) String() string {
	switch s {
	case Machine:
		return "machine"
	case MDNS:
		return "mdns"
	case Machine | MDNS:
		return "machine,mdns"
	}
	return "none"
}

// Kind is what happened to a peer.
type Kind uint8

// The kinds of events.
const (
	Found   Kind = iota + 1 // the peer was not known
	Changed                 // it has other addresses, attributes or sources
	Lost                    // it is not heard any more; a link to it may well live on
)

// String returns "found", "changed" or "lost".
func (k Kind) String() string {
	switch k {
	case Found:
		return "found"
	case Changed:
		return "changed"
	case Lost:
		return "lost"
	}
	return "unknown"
}

// Event is a change of the peers that are near.
type Event struct {
	Kind Kind
	Hint Hint // for Lost the last one
}

// same reports whether two hints say the same, ages aside.
func (h Hint) same(o Hint) bool {
	return h.Peer == o.Peer && h.Group == o.Group && h.Name == o.Name && h.Roles == o.Roles &&
		h.Source == o.Source && slices.Equal(h.Addresses, o.Addresses)
}
