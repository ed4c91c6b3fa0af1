package advertisements

import (
	"bytes"

	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Unknown is an advertisement of a type that the registry does not know. It has
// no searchable fields and is identified by its content.
type Unknown struct {
	Node  xmldoc.Node // its elements
	Bytes []byte      // the document as it came, or nil; not to be changed
}

// DocType returns the name of the root element.
func (u *Unknown) DocType() string { return u.Node.Name() }

// Map describes the document, which is the element as it is.
func (u *Unknown) Map(m *xmldoc.Mapper) { m.Whole(&u.Node) }

// original returns a copy of the document as it came. What no peer should be
// asked to read, such as the same name nested many times, is refused.
func (u *Unknown) original() ([]byte, error) {
	if _, err := u.Node.Marshal(); err != nil {
		return nil, err
	}
	return bytes.Clone(u.Bytes), nil
}
