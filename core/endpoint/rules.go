package endpoint

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// Rules are what a group demands of the messages in it. Its functions are called
// for each message, by any goroutine, and must not wait; those that are nil cost
// nothing.
type Rules struct {
	// Admit says of each message that came in whether a service of the group gets
	// it; an error drops it, which is counted. Messages of the peer to itself are
	// asked about as well.
	Admit func(in Incoming) error

	// Allow says of each peer whether messages are sent to it; the error is that of
	// sending. [Scope.SendTo] cannot ask, since it knows no peer.
	Allow func(p id.Peer) error

	// Seal seals what is sent in the group, service and parameter included, and
	// says under the ID of which group it travels; see [Scope.Unseal]. The error is
	// that of sending. The octets are not kept.
	Seal func(plain []byte) (id.Group, []byte, error)
}

// SealedService is the service that sealed messages are addressed to, in the group
// that [Rules.Seal] names.
const SealedService = "juxta.sealed"

// ErrSealed is the cause when a sealed message was not in order.
var ErrSealed = errors.New("a sealed message is not in order")

// The one element of a sealed message. What is sealed is the sender's ID, the service
// and the parameter, each after its length in two octets, and the encoded message.
const (
	sealedSpace = "juxta"
	elemSealed  = "Sealed"
)

// ScopeUnder returns the view of a group with rules. They hold for what is sent and
// registered through this view.
func (e *Endpoint) ScopeUnder(g id.Group, rules Rules) Scope {
	s := e.Scope(g)
	s.rules = &rules
	return s
}

// guarded returns the handler behind the rules of the group.
func (s Scope) guarded(h Handler) Handler {
	if s.rules == nil || s.rules.Admit == nil {
		return h
	}
	admit, e, group := s.rules.Admit, s.e, s.group
	return func(ctx context.Context, in Incoming) {
		if err := admit(in); err != nil {
			e.stats.notAdmitted.Add(1)
			e.log.Debug("a message is not admitted", "group", group.Short(), "service", in.Dest.Service, "from", in.From.Short(), "error", err)
			return
		}
		h(ctx, in)
	}
}

// allow says whether messages are sent to a peer.
func (s Scope) allow(p id.Peer) error {
	if s.rules == nil || s.rules.Allow == nil || p == s.e.cfg.Peer {
		return nil
	}
	if err := s.rules.Allow(p); err != nil {
		return fmt.Errorf("endpoint: send to %s: %w", p.Short(), err)
	}
	return nil
}

// seals reports whether messages of the group are sealed.
func (s Scope) seals() bool { return s.rules != nil && s.rules.Seal != nil }

// seal returns the message that carries msg sealed, and the view in which it is sent.
func (s Scope) seal(service, param string, msg *message.Message) (Scope, *message.Message, error) {
	if msg.Len() == 0 {
		return s, nil, errEmpty
	}
	var plain []byte
	for _, part := range [...]string{s.e.cfg.Peer.String(), service, param} {
		if len(part) > math.MaxUint16 {
			return s, nil, fmt.Errorf("endpoint: the name of a service: %w", message.ErrTooLarge)
		}
		plain = append(binary.BigEndian.AppendUint16(plain, uint16(len(part))), part...)
	}
	plain, err := msg.AppendTo(plain)
	if err != nil {
		return s, nil, err
	}
	g, body, err := s.rules.Seal(plain)
	if err != nil {
		return s, nil, fmt.Errorf("endpoint: %w", err)
	}
	return s.e.Scope(g), message.New(message.Element{Namespace: sealedSpace, Name: elemSealed, Body: body}), nil
}

// SealedBody returns what is sealed in a message to [SealedService].
func SealedBody(in Incoming) ([]byte, bool) {
	e, ok := in.Message.Get(sealedSpace, elemSealed)
	return e.Body, ok
}

// Unseal delivers what [Rules.Seal] was given by another member to the service of
// the group that it is for. in is the message that carried it; plain is kept. The
// error wraps [ErrSealed] if it does not come from the peer that sealed it.
func (s Scope) Unseal(in Incoming, plain []byte) error {
	var head [3]string // sender, service and parameter
	for i := range head {
		if len(plain) < 2 || len(plain)-2 < int(binary.BigEndian.Uint16(plain)) {
			s.e.stats.malformed.Add(1)
			return fmt.Errorf("endpoint: %w: it is cut off", ErrSealed)
		}
		end := 2 + int(binary.BigEndian.Uint16(plain))
		head[i], plain = string(plain[2:end]), plain[end:]
	}
	msg, err := message.Decode(plain)
	if err != nil {
		s.e.stats.malformed.Add(1)
		return fmt.Errorf("endpoint: %w: %w", ErrSealed, err)
	}
	if from, err := id.ParsePeer(head[0]); err != nil || from != in.From {
		s.e.stats.noAddress.Add(1)
		return fmt.Errorf("endpoint: %w: it comes from %s and names another sender", ErrSealed, in.From.Short())
	}
	service, param := head[1], head[2]
	if strings.HasPrefix(service, manglePrefix) || msg.Len() == 0 {
		s.e.stats.noAddress.Add(1)
		return fmt.Errorf("endpoint: %w: no service of the group", ErrSealed)
	}
	in.Message, in.Sealed = msg, true
	s.Deliver(in, service, param)
	return nil
}
