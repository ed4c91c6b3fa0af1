package xmldoc_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// pile is a document of any size.
type pile struct{ items []string }

func (p *pile) Map(m *xmldoc.Mapper) {
	m.Root("pile")
	xmldoc.Each(m, "item", 1<<20, &p.items, func(m *xmldoc.Mapper, s *string) { m.Self(s) })
}

func TestBoundsOfOneKindOfDocument(t *testing.T) {
	many := &pile{}
	for range xmldoc.MaxMarkup {
		many.items = append(many.items, "x")
	}
	long := &pile{items: []string{strings.Repeat("x", xmldoc.MaxDocument)}}
	wide := xmldoc.Bounds{Octets: 2 * xmldoc.MaxDocument, Markup: 4 * xmldoc.MaxMarkup}
	for name, p := range map[string]*pile{"many elements": many, "a long text": long} {
		b, err := wide.Marshal(p)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		back := &pile{}
		if err := wide.Unmarshal(b, back); err != nil || len(back.items) != len(p.items) {
			t.Errorf("%s: read %d items, %v", name, len(back.items), err)
		}
		if err := xmldoc.Unmarshal(b, &pile{}); !errors.Is(err, xmldoc.ErrLimit) {
			t.Errorf("%s, within the usual bounds: %v", name, err)
		}
		if err := (xmldoc.Bounds{Octets: len(b) - 1, Markup: 4 * xmldoc.MaxMarkup}).Unmarshal(b, &pile{}); !errors.Is(err, xmldoc.ErrLimit) {
			t.Errorf("%s, one octet too long: %v", name, err)
		}
	}
	if _, err := xmldoc.Marshal(long); !errors.Is(err, xmldoc.ErrLimit) {
		t.Errorf("printing a long text within the usual bounds: %v", err)
	}
	if _, err := wide.Marshal(&pile{items: []string{strings.Repeat("x", 3*xmldoc.MaxDocument)}}); !errors.Is(err, xmldoc.ErrLimit) {
		t.Errorf("printing a longer text within wide bounds: %v", err)
	}
}
