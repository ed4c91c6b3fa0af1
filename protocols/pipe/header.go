package pipe

import (
	"bytes"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/juxta-p2p/juxta/core/compact"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

const elemHeader = "JxtaWireHeader"

// header travels with every message of a propagate pipe, JxtaWire.
type header struct {
	Source id.Peer // who sent it first, as it says; may be zero
	Pipe   id.Pipe
	MsgID  string // a UUID; other text is legal
	TTL    int64
}

// Map implements [xmldoc.Document].
func (h *header) Map(m *xmldoc.Mapper) {
	m.Root("JxtaWire")
	m.Indented()
	m.OptionalValue("SrcPeer", &h.Source)
	m.Value("PipeId", &h.Pipe)
	m.Filled("MsgId", &h.MsgID)
	m.Int("TTL", &h.TTL)
	if m.Err() == nil {
		m.Fail(h.check())
	}
}

func (h *header) check() error {
	switch {
	case len(h.MsgID) > maxMsgID:
		return errMsgID
	case h.TTL < 1:
		return errTTL
	}
	return nil
}

// The header as this package and JXSE print it; every message carries one, so
// it is neither printed nor parsed as XML where that can be helped.
const (
	headHead   = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE JxtaWire>\n<JxtaWire xmlns:jxta=\"http://jxta.org\">\n"
	headSource = "\t<SrcPeer>\n\t\t"
	headPipe   = "\n\t</SrcPeer>\n\t<PipeId>\n\t\t"
	headMsgID  = "\n\t</PipeId>\n\t<MsgId>\n\t\t"
	headTTL    = "\n\t</MsgId>\n\t<TTL>\n\t\t"
	headTail   = "\n\t</TTL>\n</JxtaWire>\n"
)

// print returns the document. The texts of IDs and of a plain message ID need
// no escapes; what does goes the long way.
func (h *header) print() ([]byte, error) {
	if h.Source.IsZero() || h.check() != nil || !plain([]byte(h.MsgID)) || !plain([]byte(h.Source.String())) || !plain([]byte(h.Pipe.String())) {
		c := *h // so that others stay out of the heap
		return xmldoc.Marshal(&c)
	}
	b := make([]byte, 0, 512)
	b = append(b, headHead...)
	b = append(b, headSource...)
	b = append(b, h.Source.String()...)
	b = append(b, headPipe...)
	b = append(b, h.Pipe.String()...)
	b = append(b, headMsgID...)
	b = append(b, h.MsgID...)
	b = append(b, headTTL...)
	b = strconv.AppendInt(b, h.TTL, 10)
	return append(b, headTail...), nil
}

// The short form, for peers of Juxta at the other end of a link: hops, who sent the message
// and the pipe, and then the ID of the message, in the form of package compact.

// compact returns the header in the short form; ok is false if it has none.
func (h *header) compact() (doc []byte, ok bool) {
	if h.check() != nil || h.TTL > wireTTL || h.Source.IsZero() || len(h.Source.Unique()) > compact.MaxField ||
		len(h.Pipe.Unique()) > compact.MaxField || !plain([]byte(h.MsgID)) {
		return nil, false
	}
	b := make([]byte, 0, 4+len(h.Source.Unique())+len(h.Pipe.Unique())+len(h.MsgID))
	b = append(b, compact.Mark, byte(h.TTL))
	b = compact.Append(compact.Append(b, h.Source.Unique()), h.Pipe.Unique())
	return append(b, h.MsgID...), true
}

// readCompact reads the short form.
func readCompact(b []byte) (h header, ok bool) {
	if !compact.Is(b) || len(b) < 2 {
		return header{}, false
	}
	h.TTL = min(int64(b[1]), wireTTL)
	source, rest, ok := compact.Next(b[2:])
	if !ok {
		return header{}, false
	}
	pipe, rest, ok := compact.Next(rest)
	if !ok || !plain(rest) {
		return header{}, false
	}
	var err error
	if h.Source, err = id.ParsePeerUnique(string(source)); err != nil {
		return header{}, false
	}
	if h.Pipe, err = id.ParsePipe(urn + string(pipe)); err != nil {
		return header{}, false
	}
	h.MsgID = string(rest)
	return h, h.check() == nil
}

const urn = "urn:jxta:"

// Uncompact returns the document for which a header in the short form stands, as peers of JXSE
// would get it. ok is false if that is none.
func Uncompact(b []byte) (doc []byte, ok bool) {
	h, ok := readCompact(b)
	if !ok {
		return nil, false
	}
	doc, err := h.print()
	return doc, err == nil
}

// headers reads headers. It is safe for concurrent use; the zero value is ready.
type headers struct{ last atomic.Pointer[lastHeader] }

// of reads the header of a message.
func (r *headers) of(msg *message.Message) (header, error) {
	e, ok := msg.Get(message.Platform, elemHeader)
	if !ok {
		return header{}, errNoHeader
	}
	if h, ok := r.last.Load().like(e.Body); ok {
		return h, nil
	}
	if compact.Is(e.Body) {
		h, ok := readCompact(e.Body)
		if !ok {
			return header{}, errCompact
		}
		r.last.Store(&lastHeader{header: h, front: string(e.Body[:len(e.Body)-len(h.MsgID)])})
		return h, nil
	}
	if h, ok := scan(e.Body); ok {
		r.last.Store(lastOf(e.Body, h))
		return h, nil
	}
	h := new(header)
	if err := xmldoc.Unmarshal(e.Body, h); err != nil {
		return header{}, err
	}
	h.TTL = min(h.TTL, wireTTL)
	return *h, nil
}

// lastHeader is a header that was read, and its text around the ID of the message: mostly
// the next one differs in nothing else.
type lastHeader struct {
	header
	front, back string
}

// lastOf prepares a document that [scan] has read for comparing the next one with it.
func lastOf(doc []byte, h header) *lastHeader {
	front, back, _ := strings.Cut(string(doc), headMsgID)
	return &lastHeader{h, front + headMsgID, back[len(h.MsgID):]}
}

// like reads a document that differs from the last one in the ID only, and reports
// whether it does. l may be nil.
func (l *lastHeader) like(doc []byte) (header, bool) {
	if l == nil || len(doc) != len(l.front)+len(l.MsgID)+len(l.back) ||
		string(doc[:len(l.front)]) != l.front || string(doc[len(l.front)+len(l.MsgID):]) != l.back {
		return header{}, false
	}
	name := doc[len(l.front) : len(l.front)+len(l.MsgID)]
	if !plain(name) {
		return header{}, false
	}
	h := l.header
	h.MsgID = string(name)
	return h, true
}

// scan reads a header that is printed as this package prints it, and reports
// whether it is.
func scan(b []byte) (header, bool) {
	var source, pipe, msgID, ttl []byte
	b, ok := bytes.CutPrefix(b, []byte(headHead+headSource))
	if ok {
		source, b, ok = bytes.Cut(b, []byte(headPipe))
	}
	if ok {
		pipe, b, ok = bytes.Cut(b, []byte(headMsgID))
	}
	if ok {
		msgID, b, ok = bytes.Cut(b, []byte(headTTL))
	}
	if ok {
		ttl, ok = bytes.CutSuffix(b, []byte(headTail))
	}
	if !ok || !plain(source) || !plain(pipe) || !plain(msgID) {
		return header{}, false
	}
	h := header{MsgID: string(msgID)}
	if h.Source.UnmarshalText(source) != nil || h.Pipe.UnmarshalText(pipe) != nil {
		return header{}, false
	}
	n := 0
	for _, c := range ttl {
		if c < '0' || c > '9' || n > wireTTL {
			return header{}, false
		}
		n = n*10 + int(c-'0')
	}
	h.TTL = min(int64(n), wireTTL)
	return h, h.check() == nil
}

// plain reports whether the text is not empty and means the same inside and
// outside of XML.
func plain(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return len(b) > 0
}
