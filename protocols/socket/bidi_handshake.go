package socket

import (
	"errors"
	"fmt"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// bidiNamespace is that of the elements of bidirectional pipes.
const bidiNamespace = "JXTABIP"

// Elements of the namespace.
const (
	bidiCredential = "Cred"
	bidiRequest    = "reqPipe" // the pipe that the dialler has opened
	bidiAnswer     = "remPipe" // the pipe that the listener has opened for it
	bidiReliable   = "reliable"
	bidiDirect     = "direct" // able to use a connection of its own; Juxta never is
	bidiPeer       = "remPeer"
	bidiClose      = "close"
	bidiProbe      = "probe" // Juxta's own: asks whether the other side is there; JXSE passes over it
	bidiJuxta      = "juxta" // Juxta's own: the version of its reliability layer; JXSE passes over it
)

// typeAck is the type of an acknowledgement of JXSE's reliability layer.
const typeAck = "application/x-jxta-reliable-ack"

// bidiVersion is what bidiJuxta says.
const bidiVersion = "1"

// Errors of reading a handshake.
var (
	errBidiForeign  = errors.New("not a message of the handshake")
	errBidiTooLarge = errors.New("a document is too large")
	errBidiOther    = errors.New("the peer is not the one that the message comes from")
	errBidiType     = errors.New("the pipe is of another type")
)

// bidiHello is one message of the handshake: the request of a dialler, or the
// answer of a listener.
type bidiHello struct {
	Answer     bool
	Credential xmldoc.Node // zero if absent
	Pipe       *advertisements.Pipe
	Peer       *advertisements.Peer
	Reliable   bool
	Overrides  bool // the answer says itself whether the pipe is reliable
	Juxta      bool
	Refused    bool // the answer of a Juxta peer that does not accept
}

// message encodes the handshake, in the order of JXSE 2.5.
func (h *bidiHello) message() (*message.Message, error) {
	m := message.New()
	if !h.Credential.IsZero() {
		doc, err := h.Credential.Marshal()
		if err != nil {
			return nil, fmt.Errorf("credential: %w", err)
		}
		m.Add(message.XML(bidiNamespace, bidiCredential, doc))
	}
	if h.Refused {
		return m.Add(message.Text(bidiNamespace, bidiClose, bidiClose), message.Text(bidiNamespace, bidiJuxta, bidiVersion)), nil
	}
	pipe, err := advertisements.Marshal(h.Pipe)
	if err != nil {
		return nil, err
	}
	peer, err := advertisements.Marshal(h.Peer)
	if err != nil {
		return nil, err
	}
	if !h.Answer {
		m.Add(message.XML(bidiNamespace, bidiRequest, pipe), message.Text(bidiNamespace, bidiReliable, boolText(h.Reliable)))
	}
	m.Add(message.Text(bidiNamespace, bidiDirect, boolText(false)))
	if h.Juxta {
		m.Add(message.Text(bidiNamespace, bidiJuxta, bidiVersion))
	}
	if h.Answer {
		m.Add(message.XML(bidiNamespace, bidiAnswer, pipe))
	}
	return m.Add(message.XML(bidiNamespace, bidiPeer, peer)), nil
}

// boolText is how JXSE writes a boolean.
func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// readBidiHello reads a request, or an answer. errBidiForeign says that the
// message is neither. Missing elements mean what they mean to JXSE; what any
// stranger can write is bounded.
func readBidiHello(m *message.Message, answer bool) (*bidiHello, error) {
	h := &bidiHello{Answer: answer}
	_, h.Juxta = m.Get(bidiNamespace, bidiJuxta)
	name := bidiRequest
	if answer {
		name = bidiAnswer
	}
	pipe, ok := m.Get(bidiNamespace, name)
	if !ok {
		if _, closes := m.Get(bidiNamespace, bidiClose); answer && closes && h.Juxta {
			h.Refused = true
			return h, nil
		}
		return nil, errBidiForeign
	}
	peer, ok := m.Get(bidiNamespace, bidiPeer)
	if !ok {
		return nil, errBidiForeign
	}
	cred, credential := m.Get(bidiNamespace, bidiCredential)
	if max(len(pipe.Body), len(peer.Body), len(cred.Body)) > maxBidiDocument {
		return nil, errBidiTooLarge
	}
	h.Pipe, h.Peer = &advertisements.Pipe{}, &advertisements.Peer{}
	if err := xmldoc.Unmarshal(pipe.Body, h.Pipe); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := xmldoc.Unmarshal(peer.Body, h.Peer); err != nil {
		return nil, fmt.Errorf("%s: %w", bidiPeer, err)
	}
	if credential {
		var err error
		if h.Credential, err = xmldoc.ParseNode(cred.Body); err != nil {
			return nil, fmt.Errorf("%s: %w", bidiCredential, err)
		}
	}
	if e, ok := m.Get(bidiNamespace, bidiReliable); ok {
		h.Overrides = answer
		h.Reliable = strings.EqualFold(strings.TrimSpace(e.Text()), "true")
	}
	return h, nil
}

// closesBidi reports whether a message is the goodbye of the other side.
func closesBidi(m *message.Message) bool {
	_, ok := m.Get(bidiNamespace, bidiClose)
	return ok
}

// goodbye is the message that ends a bidirectional pipe.
func goodbye() *message.Message {
	return message.New(message.Text(bidiNamespace, bidiClose, bidiClose))
}
