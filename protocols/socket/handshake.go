package socket

import (
	"errors"
	"fmt"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Messages of sockets go to the input pipes of the two sides.
const pipeService = "PipeService"

// The elements of sockets, as JXSE 2.5 has them, and those that Juxta has besides,
// which JXSE passes over.
const (
	namespace   = "JXTASOC"
	elemCred    = "Cred"
	elemRequest = "reqPipe" // the pipe of the dialler
	elemAnswer  = "remPipe" // the pipe that the listener has opened for it
	elemPeer    = "remPeer"
	elemStream  = "stream"
	elemData    = "data"
	elemClose   = "close"

	elemJuxta   = "juxta"   // in request and answer: reliable.Juxta is understood
	elemRefused = "refused" // the answer of a listener that does not accept, in words
	elemProbe   = "probe"   // without meaning: to find out whether there is a way

	closeRequest = "close"
	closeAnswer  = "closeACK"
	version      = "1"

	probeAsk  = "ask" // of bidirectional pipes, whose probes are answered
	probeHere = "here"

	// reliableNamespace is that of the elements of package reliable.
	reliableNamespace = "jxtarel"
)

// Errors of reading a handshake.
var (
	errNoHandshake  = errors.New("not a message of the handshake")
	errDocumentSize = errors.New("a document is too large")
	errOtherPeer    = errors.New("the peer named is not the one that the message comes from")
	errOtherType    = errors.New("the pipe is of another type")
	errNotStream    = errors.New("the listener offers an unreliable connection only")
)

// Why a listener refuses, as it tells Juxta diallers.
const (
	saysFull     = "too many connections wait to be accepted"
	saysChecked  = "the credential is not accepted"
	saysReliable = "only reliable connections are accepted"
)

// hello is one message of the handshake: the request of a dialler, or the answer of a
// listener.
type hello struct {
	Answer     bool
	Credential xmldoc.Node // zero if absent
	Pipe       *advertisements.Pipe
	Peer       *advertisements.Peer
	Stream     bool
	Juxta      bool
	route      *advertisements.Route // of Peer, when read; nil if it says none
	Refused    string                // the answer of a Juxta peer that does not accept; Pipe and Peer are nil
}

// message encodes the handshake, in the order of JXSE 2.5. peer is the document of
// h.Peer, which mostly is at hand.
func (h *hello) message(peer []byte) (*message.Message, error) {
	m := message.New()
	if h.Refused != "" {
		return m.Add(message.Text(namespace, elemClose, closeRequest), message.Text(namespace, elemRefused, h.Refused)), nil
	}
	if !h.Credential.IsZero() {
		doc, err := h.Credential.Marshal()
		if err != nil {
			return nil, fmt.Errorf("credential: %w", err)
		}
		m.Add(message.XML(namespace, elemCred, doc))
	}
	pipe, err := advertisements.Marshal(h.Pipe)
	if err != nil {
		return nil, err
	}
	name := elemRequest
	if h.Answer {
		name = elemAnswer
	}
	m.Add(message.XML(namespace, name, pipe), message.XML(namespace, elemPeer, peer), message.Text(namespace, elemStream, boolText(h.Stream)))
	if h.Juxta {
		m.Add(message.Text(namespace, elemJuxta, version))
	}
	return m, nil
}

// readHello reads a request, or an answer. errNoHandshake says that the message is
// neither. stream is what a missing element means.
func readHello(m *message.Message, answer, stream bool) (*hello, error) {
	return (*Service)(nil).read(m, answer, stream)
}

// read is readHello with the help of what peers said of themselves before.
func (s *Service) read(m *message.Message, answer, stream bool) (*hello, error) {
	h := &hello{Answer: answer, Stream: stream}
	name := elemRequest
	if answer {
		name = elemAnswer
		if e, ok := m.Get(namespace, elemRefused); ok {
			h.Refused = words(e.Body)
			return h, nil
		}
	}
	pipe, ok1 := m.Get(namespace, name)
	peer, ok2 := m.Get(namespace, elemPeer)
	if !ok1 || !ok2 {
		return nil, errNoHandshake
	}
	cred, credential := m.Get(namespace, elemCred)
	if max(len(pipe.Body), len(peer.Body), len(cred.Body)) > maxDocument {
		return nil, errDocumentSize
	}
	h.Pipe = new(advertisements.Pipe)
	if err := xmldoc.Unmarshal(pipe.Body, h.Pipe); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	said, err := s.readPeer(peer.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", elemPeer, err)
	}
	h.Peer, h.route = said.adv, said.route
	if credential {
		var err error
		if h.Credential, err = xmldoc.ParseNode(cred.Body); err != nil {
			return nil, fmt.Errorf("%s: %w", elemCred, err)
		}
	}
	if e, ok := m.Get(namespace, elemStream); ok {
		h.Stream = len(e.Body) <= maxReason && strings.EqualFold(strings.TrimSpace(e.Text()), "true")
	}
	_, h.Juxta = m.Get(namespace, elemJuxta)
	return h, nil
}

// saying is what a peer says of itself. It is not changed.
type saying struct {
	adv   *advertisements.Peer
	route *advertisements.Route // nil if it says none
}

// readPeer reads a peer advertisement, unless it was read before: whoever dials
// often sends the same.
func (s *Service) readPeer(doc []byte) (*saying, error) {
	keep := s != nil && len(doc) <= maxRememberedSize
	if keep {
		s.mu.Lock()
		known := s.sayings[string(doc)]
		s.mu.Unlock()
		if known != nil {
			return known, nil
		}
	}
	said := &saying{adv: new(advertisements.Peer)}
	if err := xmldoc.Unmarshal(doc, said.adv); err != nil {
		return nil, err
	}
	said.route, _ = said.adv.Route()
	if keep {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.sayings == nil || len(s.sayings) >= maxRemembered {
			s.sayings = map[string]*saying{}
		}
		s.sayings[string(doc)] = said
	}
	return said, nil
}

// learnOf gives the router the way to a peer that has dialled or answered.
func (s *Service) learnOf(h *hello) {
	if h.route != nil {
		s.learn(h.route)
	}
}

// words makes what a stranger wrote fit to be shown.
func words(b []byte) string {
	b = b[:min(len(b), maxReason)]
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return -1
		}
		return r
	}, string(b))
	if text = strings.TrimSpace(text); text == "" {
		return "without saying why"
	}
	return text
}

// control makes a message of one short element.
func control(name, text string) *message.Message {
	return message.New(message.Text(namespace, name, text))
}
