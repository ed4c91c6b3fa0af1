package advertisements

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// ErrType is returned for a document whose root and type attribute name
// different types of advertisement, so that readers would differ on what it is.
var ErrType = errors.New("root and type attribute disagree")

// Registry knows types of advertisements by name. The zero value knows none. It is
// safe for concurrent use, and must not be copied but by [Registry.Clone].
type Registry struct {
	adding sync.Mutex
	types  atomic.Pointer[map[string]docType] // never changed, but replaced
}

// docType is an entry of a registry.
type docType struct {
	root string // name of the root element
	make func() Advertisement
}

// Standard returns a new registry with the types of this package.
func Standard() *Registry {
	r := new(Registry)
	r.Add("jxta:PA", func() Advertisement { return new(Peer) })
	r.Add("jxta:PGA", func() Advertisement { return new(Group) })
	r.Add("jxta:PipeAdvertisement", func() Advertisement { return new(Pipe) })
	r.Add("jxta:MCA", func() Advertisement { return new(ModuleClass) })
	r.Add("jxta:MSA", func() Advertisement { return new(ModuleSpec) })
	r.Add("jxta:MIA", func() Advertisement { return new(ModuleImpl) })
	r.Add("jxta:RA", func() Advertisement { return new(Route) })
	r.Add("jxta:APA", func() Advertisement { return new(AccessPoint) })
	r.Add("jxta:RdvAdvertisement", func() Advertisement { return new(Rendezvous) })
	r.Add("jxta:SA", func() Advertisement { return &Signed{registry: r} })
	r.Add("juxta:Handover", func() Advertisement { return new(identity.Handover) })
	return r
}

// Add makes a type known, or replaces it; new returns a fresh value. The name is
// that of the root element, or, for types that share a root with others, that of
// the type attribute.
func (r *Registry) Add(name string, new func() Advertisement) {
	entry := docType{new().DocType(), new}
	r.adding.Lock()
	defer r.adding.Unlock()
	types := maps.Clone(r.known())
	if types == nil {
		types = make(map[string]docType)
	}
	types[name] = entry
	r.types.Store(&types)
}

// Clone returns a registry that knows the same types now.
func (r *Registry) Clone() *Registry {
	c := new(Registry)
	c.types.Store(r.types.Load())
	return c
}

func (r *Registry) known() map[string]docType {
	if t := r.types.Load(); t != nil {
		return *t
	}
	return nil
}

// Parse reads a document as an advertisement of the type that it says it has,
// and as [*Unknown] if that type is not known. The error wraps those of package
// xmldoc, of the values in the document, or [ErrType].
func (r *Registry) Parse(b []byte) (Advertisement, error) {
	n, err := xmldoc.ParseNode(b)
	if err != nil {
		return nil, err
	}
	adv, err := r.Decode(n)
	if u, ok := adv.(*Unknown); ok {
		u.Bytes = bytes.Clone(b)
	}
	return adv, err
}

// Decode is [Registry.Parse] for an element that was read already, for instance
// one that holds the place of an advertisement in another document.
//
// The type attribute counts only in an element with a neutral name, such as
// Parm, and where the root is shared by several types. Elsewhere it must not
// name another known type: JXSE would read the document as that type.
func (r *Registry) Decode(n xmldoc.Node) (Advertisement, error) {
	if n.IsZero() {
		return nil, fmt.Errorf("advertisements: %w", xmldoc.ErrMissing)
	}
	types := r.known()
	entry, known := types[n.Name()]
	if name, ok := n.Attr("type"); ok && name != n.Name() {
		typed, ok := types[name]
		switch {
		case !ok:
		case typed.root == n.Name() || n.Holds(name):
			entry, known = typed, true
		default:
			return nil, fmt.Errorf("advertisements: %w", ErrType)
		}
	}
	if !known {
		return &Unknown{Node: n}, nil
	}
	adv := entry.make()
	if err := n.Decode(adv); err != nil {
		return nil, fmt.Errorf("advertisements: %w", err)
	}
	return adv, nil
}
