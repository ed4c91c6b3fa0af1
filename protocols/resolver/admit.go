package resolver

import (
	"fmt"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Kind says what a message of this protocol is.
type Kind uint8

// The kinds of messages.
const (
	Question Kind = iota + 1
	Answer        // to a question of this peer
	Notice        // an answer that nobody asked for, such as a publication
	Push          // of index entries
)

// Shown is what the sender of a message shows, see [Config.Admit].
type Shown struct {
	Kind       Kind
	Handler    string
	Credential xmldoc.Node // zero if absent

	// Peer is whose the credential has to be: who asked, answered or pushed. It is zero
	// of what was spread, by whom the message does not say. That the message comes from
	// that peer is as sure as the link.
	Peer id.Peer
}

// permitted reports whether this peer may send.
func (s *Service) permitted() error {
	if s.cfg.Permit == nil {
		return nil
	}
	if err := s.cfg.Permit(); err != nil {
		return fmt.Errorf("resolver: %w", err)
	}
	return nil
}

// admit reports whether a message is to be taken.
func (s *Service) admit(x Shown) bool {
	if s.cfg.Admit == nil {
		return true
	}
	err := s.cfg.Admit(x)
	if err != nil {
		s.stats.denied.Add(1)
		s.log.Debug("resolver message refused", "handler", x.Handler, "peer", x.Peer.Short(), "error", err)
	}
	return err == nil
}

// asker is who has to own the credential of a query: the peer that says it asks, or, if
// nobody has passed the query on, the one that it comes from.
func (q *RawQuery) asker() id.Peer {
	if q.HC == 0 && !q.ToGroup && !q.Broadcast {
		return q.From
	}
	return q.Source
}
