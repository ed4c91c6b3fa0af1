package seeding

import (
	"strings"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// ACL is an access list, the document jxta:XACL of JXSE 2.5. Read and write it
// with xmldoc.
type ACL struct {
	// GrantAll lets in peers that are not listed. JXSE 2.5 writes this and, by a
	// fault, always reads it as false.
	GrantAll    bool
	Description string // for people
	Peers       []Entry
}

// Entry is what an [ACL] says of one peer.
type Entry struct {
	Peer id.Peer
	Name string // for people, printable ASCII
	Deny bool
}

// Values of the attribute access. Everything but grant, in any case, denies; an
// entry without the attribute grants.
const (
	accessGrant = "grant"
	accessDeny  = "deny"
)

// DocType returns "jxta:XACL".
func (*ACL) DocType() string { return "jxta:XACL" }

// Map describes the document. An entry that does not name a peer spoils it, as in
// JXSE: half an access list is none.
func (a *ACL) Map(m *xmldoc.Mapper) {
	m.Root(a.DocType())
	m.OptionalBool("grantAll", &a.GrantAll)
	m.Optional("description", &a.Description)
	xmldoc.Each(m, "peer", maxEntries, &a.Peers, func(m *xmldoc.Mapper, e *Entry) {
		m.Attr("name", &e.Name)
		access := accessGrant
		if e.Deny && !m.Reading() {
			access = accessDeny
		}
		m.Attr("access", &access)
		e.Deny = !strings.EqualFold(access, accessGrant)
		m.SelfValue(&e.Peer)
	})
}

// Allows reports whether a peer may serve. Its last entry counts; a peer without
// one is refused unless GrantAll is set. The time is linear in the entries.
//
// GrantAll does not overrule an entry that denies, which would have no meaning
// otherwise; in JXSE it does where a program sets it.
func (a *ACL) Allows(p id.Peer) bool {
	for i := len(a.Peers) - 1; i >= 0; i-- {
		if a.Peers[i].Peer == p {
			return !a.Peers[i].Deny
		}
	}
	return a.GrantAll
}
