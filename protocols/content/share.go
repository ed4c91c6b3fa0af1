package content

import (
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Share advertises that a peer has a content, "juxta:Share". Peers that have not
// added the type to their registry store and pass it on as well; adding it,
//
//	registry.Add("juxta:Share", func() advertisements.Advertisement { return new(content.Share) })
//
// makes copies at those who have asked searchable, too.
type Share struct {
	Item Item
	Peer id.Peer             // the holder
	Pipe advertisements.Pipe // on which it listens
}

// DocType returns "juxta:Share".
func (*Share) DocType() string { return "juxta:Share" }

// Map describes the document. An item over the limits of this package is refused.
func (a *Share) Map(m *xmldoc.Mapper) {
	m.Root("juxta:Share")
	a.Item.describe(m)
	words := a.Item.searchText()
	m.Optional("Words", &words) // for the index alone; who reads it makes it anew
	m.Value("Peer", &a.Peer)
	m.Embed(&a.Pipe)
}

// Indexed returns the names of the searchable children.
func (*Share) Indexed() []string { return []string{"Hash", "Name", "Words"} }

// Key returns the content and its holder: each holder has an advertisement of its
// own.
func (a *Share) Key() string {
	if a.Item.ID.IsZero() || a.Peer.IsZero() {
		return ""
	}
	return a.Item.ID.String() + " " + a.Peer.Unique()
}

// searchText are the words that are looked for by a pattern, as many as an index
// takes.
func (it *Item) searchText() string {
	var b strings.Builder
	for _, w := range it.tokens() {
		if b.Len()+1+len(w) > maxSearchText {
			break
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w)
	}
	return b.String()
}

// hit reads what discovery has found: the advertisement, or its element if the
// registry does not know the type.
func hit(adv advertisements.Advertisement) (Hit, bool) {
	a, ok := adv.(*Share)
	if u, unknown := adv.(*advertisements.Unknown); unknown {
		a = new(Share)
		ok = u.Node.Name() == a.DocType() && u.Node.Decode(a) == nil
	}
	if !ok {
		return Hit{}, false
	}
	return Hit{a.Item, Holder{a.Peer, &a.Pipe}}, true
}
