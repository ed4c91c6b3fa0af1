package srdi

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

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
func Split(entries []Entry) (parts [][]Entry) { return split(entries, maxEntries, maxText) }

func split(entries []Entry, most, octets int) (parts [][]Entry) {
	from, size := 0, 0
	for i := range entries {
		n := entries[i].size()
		if i > from && (i-from >= most || size+n > octets) {
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

const (
	entryBegin = "<Entry"
	entryEnd   = "</Entry>"
	pushEnd    = "</jxta:GenSRDI>"
)

// Message puts the push into the envelope of the resolver. It must not have more
// entries than [Split] leaves together.
func (p *Push) Message(handler string) (*resolver.Index, error) {
	parts := split(p.Entries, printAtOnce, printOctets)
	if len(parts) <= 1 {
		doc, err := xmldoc.Marshal(p)
		return &resolver.Index{Handler: handler, Payload: string(doc)}, err
	}
	// A larger document than xmldoc prints: the entries of several.
	var all bytes.Buffer
	part := *p
	for i := range parts {
		part.Entries = parts[i]
		doc, err := xmldoc.Marshal(&part)
		if err != nil {
			return nil, err
		}
		begin, end := bytes.Index(doc, []byte(entryBegin)), bytes.LastIndex(doc, []byte(pushEnd))
		if begin < 0 || end < begin {
			return nil, fmt.Errorf("srdi: %w: entries", xmldoc.ErrMissing)
		}
		if all.Len() > 0 {
			begin = bytes.LastIndexByte(doc[:begin], '\n') + 1
		} else {
			begin = 0
		}
		if i == len(parts)-1 {
			end = len(doc)
		}
		all.Write(doc[begin:end])
	}
	return &resolver.Index{Handler: handler, Payload: all.String()}, nil
}

// Read reads a push of any size that a message of the resolver can have. The
// error is that of [xmldoc.Unmarshal].
func Read(doc string) (*Push, error) {
	if len(doc) <= readAtOnce {
		p := new(Push)
		return p, xmldoc.Unmarshal([]byte(doc), p)
	}
	return readParts(doc, readAtOnce)
}

// readParts reads a push as several documents, each with some octets of entries
// and with everything else.
func readParts(doc string, size int) (*Push, error) {
	p := new(Push)
	begin, end := strings.Index(doc, entryBegin), strings.LastIndex(doc, entryEnd)
	if begin < 0 || end < begin {
		return p, xmldoc.Unmarshal([]byte(doc), p)
	}
	end += len(entryEnd)
	head, body, tail := doc[:begin], doc[begin:end], doc[end:]
	if strings.Contains(body, "<!") || strings.Contains(body, "<?") {
		return nil, fmt.Errorf("srdi: large push with more than entries: %w", xmldoc.ErrSyntax)
	}
	var all []Entry
	for body != "" {
		n := strings.LastIndex(body[:min(len(body), size)], entryEnd)
		if n < 0 { // one entry longer than that
			n = strings.Index(body, entryEnd)
		}
		n += len(entryEnd)
		*p = Push{}
		if err := xmldoc.Unmarshal([]byte(head+body[:n]+tail), p); err != nil {
			return nil, err
		}
		if all = append(all, p.Entries...); len(all) > maxRead {
			return nil, fmt.Errorf("srdi: more than %d entries: %w", maxRead, xmldoc.ErrLimit)
		}
		body = body[n:]
	}
	p.Entries = all
	return p, nil
}
