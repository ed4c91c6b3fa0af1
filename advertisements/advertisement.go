// Package advertisements holds what peers say about things: typed documents
// for peers, groups, pipes, modules and routes, a registry that reads them, and
// the rules for searching them.
//
// An advertisement is a struct with one description, Map, that serves reading
// and writing alike. Types that this package does not know are read as
// [Unknown], which keeps every element, so that forwarding loses nothing.
package advertisements

import (
	"crypto/sha1"
	"encoding/hex"
	"slices"

	"github.com/juxta-p2p/juxta/core/xmldoc"
)

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

// Marshal returns the advertisement as a compact document, the form in which it
// is stored and sent inside messages. An [Unknown] is returned as it came.
func Marshal(adv Advertisement) ([]byte, error) {
	if u, ok := adv.(*Unknown); ok && len(u.Bytes) > 0 {
		return u.original()
	}
	return xmldoc.Marshal(adv)
}

// MarshalIndent returns the advertisement as an indented document, the form in
// which JXSE pushes advertisements to other peers. An [Unknown] is returned as
// it came.
func MarshalIndent(adv Advertisement) ([]byte, error) {
	if u, ok := adv.(*Unknown); ok && len(u.Bytes) > 0 {
		return u.original()
	}
	return xmldoc.MarshalIndent(adv)
}

// Fields returns the searchable values of an advertisement in the order of its
// Indexed method: the trimmed text of the direct children of those names, the
// last one where a name repeats. What is empty cannot be searched and is left
// out. JXTA v2, discovery; JXSE 2.5 indexes the same, but for those of a [Signed] one,
// which are those of its payload.
func Fields(adv Advertisement) ([]Field, error) {
	if s, ok := adv.(*Signed); ok && s.adv != nil {
		return Fields(s.adv)
	}
	x, ok := adv.(interface{ Indexed() []string })
	if !ok {
		return nil, nil
	}
	names := x.Indexed()
	fields := make([]Field, len(names))
	err := xmldoc.Leaves(adv, func(name, text string) {
		if i := slices.Index(names, name); i >= 0 {
			fields[i] = Field{name, text}
		}
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(fields, func(f Field) bool { return f.Value == "" }), nil
}

// KeyOf returns what identifies an advertisement among those of its kind: a
// later version of the same thing has the same key. Types without a Key method,
// or with nothing to name them by, are identified by their whole content.
func KeyOf(adv Advertisement) (string, error) {
	if k, ok := adv.(interface{ Key() string }); ok {
		if key := k.Key(); key != "" {
			return key, nil
		}
	}
	b, err := Marshal(adv)
	if err != nil {
		return "", err
	}
	sum := sha1.Sum(b)
	return "cm" + hex.EncodeToString(sum[:]), nil
}

// KindOf returns the store in which an advertisement lives.
func KindOf(adv Advertisement) Kind {
	if k, ok := adv.(interface{ Kind() Kind }); ok {
		return k.Kind()
	}
	return Advs
}
