package srdi

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// Push is what a peer holds, jxta:GenSRDI.
type Push struct {
	Holder  id.Peer
	Primary string // the name of a store, or the type of pipes
	TTL     int64  // 1: the receiver should place copies; absent means 0
	Entries []Entry
}

// Entry is a value by which something can be found at the holder.
type Entry struct {
	Name, Value string
	Millis      int64 // that it is left to live; 0 withdraws it; -1 if nothing is said
}

var errExpiration = errors.New("expiration is no number")

// Map implements [xmldoc.Document].
func (p *Push) Map(m *xmldoc.Mapper) {
	m.Root("jxta:GenSRDI")
	m.Indented()
	m.Value("PID", &p.Holder)
	m.Filled("PKey", &p.Primary)
	if m.Reading() || p.TTL != 0 {
		m.OptionalInt("ttl", &p.TTL)
	}
	xmldoc.Each(m, "Entry", maxRead, &p.Entries, mapEntry)
}

func mapEntry(m *xmldoc.Mapper, e *Entry) {
	if m.Reading() {
		e.Name = "NA" // as JXSE reads it when it is missing
	}
	m.Attr("SKey", &e.Name)
	text := ""
	if !m.Reading() {
		text = strconv.FormatInt(e.Millis, 10)
	}
	m.Attr("Expiration", &text)
	m.Self(&e.Value)
	if !m.Reading() {
		return
	}
	e.Millis = -1
	if text = xmldoc.Trim(text); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			m.Fail(fmt.Errorf("%w: %w", errExpiration, xmldoc.ErrSyntax))
		}
		e.Millis = n
	}
	if e.Value == "" {
		m.Skip()
	}
}

// size is what the entry adds to a message, escaped twice at the worst.
func (e *Entry) size() int {
	n := entryText + len(e.Name) + len(e.Value)
	for i := range len(e.Value) {
		if c := e.Value[i]; c == '<' || c == '&' {
			n += 8
		}
	}
	return n
}

// Split cuts the entries into as many as fit in one message each.
func Split(entries []Entry) (parts [][]Entry) {
	from, size := 0, 0
	for i := range entries {
		n := entries[i].size()
		if i > from && (i-from >= maxEntries || size+n > maxText) {
			parts = append(parts, entries[from:i])
			from, size = i, 0
		}
		size += n
	}
	if from < len(entries) {
		parts = append(parts, entries[from:])
	}
	return parts
}

// bounds are those of an index message: it has two "<" for each entry.
var bounds = xmldoc.Bounds{Octets: resolver.MaxIndex, Markup: 2*maxRead + xmldoc.MaxMarkup}

// Message puts the push into the envelope of the resolver. It must not have more
// entries than [Split] leaves together.
func (p *Push) Message(handler string) (*resolver.Index, error) {
	doc, err := bounds.Marshal(p)
	return &resolver.Index{Handler: handler, Payload: string(doc)}, err
}

// Read reads a push of any size that a message of the resolver can have. The
// error is that of [xmldoc.Unmarshal].
func Read(doc string) (*Push, error) {
	p := new(Push)
	return p, bounds.Unmarshal([]byte(doc), p)
}
