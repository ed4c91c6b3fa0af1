package xmldoc

import "cmp"

// Bounds are the limits of one kind of document that is legitimately larger than
// documents are, for a caller that has other means to keep strangers from
// flooding it. The zero value means [MaxDocument] and [MaxMarkup]; all other
// limits of this package stay.
type Bounds struct {
	Octets int // of the document
	Markup int // times "<" in it
}

func (b Bounds) octets() int { return cmp.Or(b.Octets, MaxDocument) }
func (b Bounds) markup() int { return cmp.Or(b.Markup, MaxMarkup) }

// Marshal is the function [Marshal] within these bounds.
func (b Bounds) Marshal(d Document) ([]byte, error) {
	p := newPrinter()
	p.bounds = b
	return p.document(d)
}

// Unmarshal is the function [Unmarshal] within these bounds.
func (b Bounds) Unmarshal(doc []byte, d Document) error {
	n, err := b.parse(doc)
	if err != nil {
		return err
	}
	return n.Decode(d)
}
