package console

import (
	"bytes"
	"slices"
	"time"
	"unsafe"
)

// history is the documents of some time. The latest is kept whole, and for each earlier one how
// it is made of the next: the oldest can be dropped at any time, and where little changes little
// is kept. The zero value is empty.
type history struct {
	at     time.Time // since when there is the latest
	latest [][]byte  // in pieces
	size   int       // octets of latest
	past   []moment  // oldest first
	kept   int       // octets of past
}

// moment is a document that was there from some time on.
type moment struct {
	at   time.Time
	made []part
}

// part is some pieces of the next document, or else a text of its own.
type part struct {
	from, n int
	text    []byte
}

// pieceEnd is where documents are cut: mostly between two peers, or two edges. Names may have it
// in them, too; a cut there does no harm.
var pieceEnd = []byte("},{")

// add takes in what is from now on. It reports false if that is what was before.
func (h *history) add(at time.Time, doc []byte) bool {
	fresh := bytes.SplitAfter(bytes.Clone(doc), pieceEnd)
	if h.latest != nil {
		if slices.EqualFunc(h.latest, fresh, bytes.Equal) {
			return false
		}
		m := moment{h.at, differences(h.latest, fresh)}
		h.past = append(h.past, m)
		h.kept += m.octets()
	}
	h.at, h.latest, h.size = at, fresh, len(doc)
	return true
}

// trim forgets what was over before since, and the oldest beyond a bound of octets. The latest
// stays in any case.
func (h *history) trim(since time.Time, most int) {
	for len(h.past) > 0 && (h.next(0).Before(since) || h.kept+h.size > most) {
		h.kept -= h.past[0].octets()
		h.past[0] = moment{}
		h.past = h.past[1:]
	}
}

// next returns when a moment was over.
func (h *history) next(i int) time.Time {
	if i+1 < len(h.past) {
		return h.past[i+1].at
	}
	return h.at
}

// when returns the document that was there at a time, or the oldest.
func (h *history) when(at time.Time) []byte {
	doc, since := h.latest, h.at
	for i := len(h.past) - 1; i >= 0 && since.After(at); i-- {
		doc, since = h.past[i].of(doc), h.past[i].at
	}
	return bytes.Join(doc, nil)
}

// of makes the document of a moment from the next one.
func (m *moment) of(next [][]byte) [][]byte {
	var doc [][]byte
	for _, p := range m.made {
		if p.text != nil {
			doc = append(doc, p.text)
		} else {
			doc = append(doc, next[p.from:p.from+p.n]...)
		}
	}
	return doc
}

// octets is what a moment takes of memory.
func (m *moment) octets() int {
	n := int(unsafe.Sizeof(*m)) + cap(m.made)*int(unsafe.Sizeof(part{}))
	for _, p := range m.made {
		n += len(p.text)
	}
	return n
}

// differences tells how a document is made of the next one.
func differences(doc, next [][]byte) []part {
	place := make(map[string]int, len(next))
	for i, piece := range next {
		place[string(piece)] = i
	}
	var made []part
	for _, piece := range doc {
		i, ok := place[string(piece)]
		last := len(made) - 1
		switch {
		case !ok:
			made = append(made, part{text: bytes.Clone(piece)}) // not with all of the others in memory
		case last >= 0 && made[last].text == nil && made[last].from+made[last].n == i:
			made[last].n++
		default:
			made = append(made, part{from: i, n: 1})
		}
	}
	return slices.Clip(made)
}
