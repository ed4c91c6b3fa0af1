// Package advertisements holds what peers say about things: typed documents
// for peers, groups, pipes, modules and routes, a registry that reads them, and
// the rules for searching them.
//
// An advertisement is a struct with one description, [Advertisement.Map], that
// serves reading and writing alike. Types that this package does not know are
// read as [Unknown], which keeps every element, so that forwarding loses
// nothing.
package advertisements

import "github.com/juxta-p2p/juxta/core/xmldoc"

// Advertisement is anything that can be published and found. Implementations
// are pointers to structs; they are not safe for concurrent modification.
//
// A type may also implement any of
//
//	Indexed() []string // names of the direct children that can be searched
//	Key() string       // what makes it one thing across versions, usually its ID's unique value
//	Kind() Kind        // in which store it lives; Advs if the method is missing
type Advertisement interface {
	xmldoc.Document

	// DocType returns the name of the root element, for example
	// "jxta:PipeAdvertisement".
	DocType() string
}

// Kind is one of the three stores into which discovery divides advertisements.
// The values are those of the discovery protocol.
type Kind uint8

// The stores of the discovery protocol.
const (
	Peers  Kind = 0 // peer advertisements
	Groups Kind = 1 // group advertisements
	Advs   Kind = 2 // everything else
)

// String returns the name of the store as it stands in index messages.
func (k Kind) String() string {
	switch k {
	case Peers:
		return "Peers"
	case Groups:
		return "Groups"
	}
	return "Adv"
}

// Field is one searchable value of an advertisement.
type Field struct{ Name, Value string }
