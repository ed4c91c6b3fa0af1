package pipe

import (
	"errors"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Values of MsgType.
const (
	typeQuery  = "Query"
	typeAnswer = "Answer"
)

var (
	errMsgType = errors.New("neither a query nor an answer")
	errNobody  = errors.New("an answer that names no peer")
	errTTL     = errors.New("no hop left")
	errMsgID   = errors.New("message ID empty or too long")
)

// binding asks who has an input pipe open, or answers, jxta:PipeResolver.
type binding struct {
	MsgType string
	Pipe    id.Pipe
	Type    advertisements.PipeType
	Peers   []id.Peer // of a query: who may answer, anybody if empty; of an answer: who has the pipe
	Found   bool      // of an answer
	PeerAdv string    // of an answer: the printed advertisement of the peer; may be missing
}

// Map implements [xmldoc.Document].
func (b *binding) Map(m *xmldoc.Mapper) {
	m.Root("jxta:PipeResolver")
	m.Indented()
	m.Filled("MsgType", &b.MsgType)
	m.Value("PipeId", &b.Pipe)
	m.Filled("Type", (*string)(&b.Type))
	xmldoc.Each(m, "Peer", maxPeers, &b.Peers, func(m *xmldoc.Mapper, p *id.Peer) { m.SelfValue(p) })
	switch b.MsgType {
	case typeQuery:
	case typeAnswer:
		found := "false"
		if b.Found {
			found = "true"
		}
		m.Always("Found", &found)
		if m.Reading() {
			// JXSE reads every spelling of true, and a missing one as true.
			b.Found = !m.Has("Found") || strings.EqualFold(found, "true")
			if len(b.Peers) == 0 {
				m.Fail(errNobody)
			}
		}
		m.Optional("PeerAdv", &b.PeerAdv)
	default:
		if m.Err() == nil && b.MsgType != "" {
			m.Fail(errMsgType)
		}
	}
}
