package rendezvous

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/juxta-p2p/juxta/core/compact"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// The propagation header as this package and JXSE print it. Every message that
// is spread carries one that is read and changed at each hop, so it is neither
// parsed nor printed as XML where that can be helped.
const (
	headStart = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE jxta:RendezVousPropagateMessage>\n<jxta:RendezVousPropagateMessage "
	headAttrs = "xml:space=\"preserve\" xmlns:jxta=\"http://jxta.org\">\n<MessageId>"
	headOther = "xmlns:jxta=\"http://jxta.org\" xml:space=\"preserve\">\n<MessageId>" // JXSE turns them round at times
	headName  = "</MessageId><DestSName>"
	headParam = "</DestSName><DestSParam>"
	headTTL   = "</DestSParam><TTL>"
	headPath  = "</TTL><Path>"
	headNext  = "</Path><Path>"
	headEnd   = "</Path></jxta:RendezVousPropagateMessage>\n"
)

// print returns the document.
func (h *header) print() ([]byte, error) {
	if !plain(h.ID) || !plain(h.Service) || !plain(h.Param) || len(h.Path) == 0 || len(h.Path) > maxPath ||
		slices.ContainsFunc(h.Path, func(p id.Peer) bool { return !plain(p.String()) }) {
		c := *h // so that others stay out of the heap
		return xmldoc.Marshal(&c)
	}
	const ids = 96 // an ID and what is around it, mostly less
	b := make([]byte, 0, len(headStart)+len(headAttrs)+len(headName)+len(headParam)+len(headTTL)+len(headPath)+len(headEnd)+
		len(h.ID)+len(h.Service)+len(h.Param)+len("1000")+len(h.Path)*ids)
	for _, s := range [...]string{headStart, headAttrs, h.ID, headName, h.Service, headParam, h.Param, headTTL} {
		b = append(b, s...)
	}
	b = strconv.AppendInt(b, h.TTL, 10)
	b = append(b, headPath...)
	for i, p := range h.Path {
		if i > 0 {
			b = append(b, headNext...)
		}
		b = append(b, p.String()...)
	}
	return append(b, headEnd...), nil
}

var errCompact = errors.New("rendezvous: the short form of a header is broken")

// readHeader reads the document, or the short form of it.
func readHeader(b []byte) (*header, error) {
	if compact.Is(b) {
		if h, ok := readCompact(b); ok {
			return h, nil
		}
		return nil, errCompact
	}
	if h, ok := scanHeader(b); ok {
		return h, nil
	}
	h := new(header)
	if err := xmldoc.Unmarshal(b, h); err != nil {
		return nil, err
	}
	return h, nil
}

// scanHeader reads a document that is printed as this package prints it, and
// reports whether it is.
func scanHeader(doc []byte) (*header, bool) {
	if !bytes.HasPrefix(doc, []byte(headStart)) || !bytes.HasSuffix(doc, []byte(headEnd)) || len(doc) < len(headStart)+len(headEnd) {
		return nil, false
	}
	s := string(doc[len(headStart) : len(doc)-len(headEnd)])
	rest, ok := strings.CutPrefix(s, headAttrs)
	if !ok {
		if rest, ok = strings.CutPrefix(s, headOther); !ok {
			return nil, false
		}
	}
	h := new(header)
	for _, part := range [...]struct {
		text *string
		end  string
	}{{&h.ID, headName}, {&h.Service, headParam}, {&h.Param, headTTL}} {
		if *part.text, rest, ok = strings.Cut(rest, part.end); !ok || !plain(*part.text) {
			return nil, false
		}
	}
	ttl, path, ok := strings.Cut(rest, headPath)
	if !ok || !plain(ttl) {
		return nil, false
	}
	n, err := strconv.ParseUint(ttl, 10, 31)
	if err != nil {
		return nil, false
	}
	h.TTL = int64(n)
	h.Path = make([]id.Peer, 0, 2) // room for the next hop
	for more := true; more; {
		var one string
		one, path, more = strings.Cut(path, headNext)
		p, err := id.ParsePeer(one)
		if err != nil || len(h.Path) == maxPath {
			return nil, false
		}
		h.Path = append(h.Path, p)
	}
	return h, true
}

// lastHeader is a header that was read, and its text around the ID: mostly the next one
// differs in nothing else.
type lastHeader struct {
	header
	front, back string
}

// lastOf prepares a document for comparing the next one with it; nil if it has an
// unusual form.
func lastOf(doc []byte, h *header) *lastHeader {
	s := string(doc)
	if compact.Is(doc) {
		return &lastHeader{header: *h, front: s[:len(s)-len(h.ID)]}
	}
	front, rest, ok := strings.Cut(s, h.ID)
	if !ok || !strings.HasSuffix(front, "<MessageId>") || !strings.HasPrefix(rest, headName) || !plain(h.ID) {
		return nil
	}
	l := &lastHeader{header: *h, front: front, back: rest}
	l.Path = slices.Clip(slices.Clone(h.Path))
	return l
}

// like reads a document that differs from the last one in the ID only, and reports
// whether it does. l may be nil.
func (l *lastHeader) like(doc []byte) (header, bool) {
	if l == nil || len(doc) != len(l.front)+len(l.ID)+len(l.back) ||
		string(doc[:len(l.front)]) != l.front || string(doc[len(l.front)+len(l.ID):]) != l.back {
		return header{}, false
	}
	name := string(doc[len(l.front) : len(l.front)+len(l.ID)])
	if !plain(name) {
		return header{}, false
	}
	h := l.header
	h.ID = name
	return h, true
}

// plain reports whether the text is not empty and means the same inside and
// outside of XML.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return s != ""
}
