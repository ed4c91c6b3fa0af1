package pipe

import (
	"bytes"
	"strconv"

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
		return xmldoc.Marshal(h)
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

// headerOf reads the header of a message. last is the previous one of the same
// way, whose IDs are mostly the same and need no parsing; it may be nil.
func headerOf(msg *message.Message, last *header) (*header, error) {
	e, ok := msg.Get(message.Platform, elemHeader)
	if !ok {
		return nil, errNoHeader
	}
	if h, ok := scan(e.Body, last); ok {
		return h, nil
	}
	h := new(header)
	if err := xmldoc.Unmarshal(e.Body, h); err != nil {
		return nil, err
	}
	h.TTL = min(h.TTL, wireTTL)
	return h, nil
}

// scan reads a header that is printed as this package prints it, and reports
// whether it is.
func scan(b []byte, last *header) (*header, bool) {
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
		return nil, false
	}
	h := &header{MsgID: string(msgID)}
	if last != nil && string(source) == last.Source.String() && string(pipe) == last.Pipe.String() {
		h.Source, h.Pipe = last.Source, last.Pipe
	} else if h.Source.UnmarshalText(source) != nil || h.Pipe.UnmarshalText(pipe) != nil {
		return nil, false
	}
	n := 0
	for _, c := range ttl {
		if c < '0' || c > '9' || n > wireTTL {
			return nil, false
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
