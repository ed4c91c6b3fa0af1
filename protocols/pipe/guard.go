package pipe

import (
	"fmt"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// Guard decides who may use the pipes of a group that has members. Its functions may be
// nil, must not wait, and are called concurrently.
type Guard struct {
	// Permit is asked before this peer opens either end of a pipe; its error is returned.
	Permit func() error

	// Proof is what this peer shows with each message of a propagate pipe: whoever gets
	// it may never have heard of this peer. Nothing is shown if it is empty.
	Proof func() []byte

	// Admit decides about each message that arrives. from is who sent it, and proof
	// what came with it, nil on unicast pipes, whose ends have asked and answered before.
	// A message with an error is dropped, neither passed on, and counted.
	Admit func(from id.Peer, proof []byte) error

	// Reach is asked before a message goes to a peer that listens; nil reaches
	// everybody. Its error is that of sending on a unicast pipe; on a propagate pipe
	// the peer is passed over.
	Reach func(to id.Peer) error
}

// The element in which a proof travels.
const (
	proofNamespace = "juxta"
	proofElement   = "Cred"
)

// permitted reports whether this peer may open a pipe.
func (s *Service) permitted(what string) error {
	if s.cfg.Guard.Permit == nil {
		return nil
	}
	if err := s.cfg.Guard.Permit(); err != nil {
		return fmt.Errorf("pipe: %s: %w", what, err)
	}
	return nil
}

// prove adds to a message of a propagate pipe what this peer shows.
func (s *Service) prove(out *message.Message) {
	if s.cfg.Guard.Proof == nil {
		return
	}
	if doc := s.cfg.Guard.Proof(); len(doc) > 0 {
		out.Replace(message.XML(proofNamespace, proofElement, doc))
	}
}

// unprove takes that off again, before the message is read.
func (s *Service) unprove(msg *message.Message) {
	if s.cfg.Guard.Admit != nil {
		msg.Remove(proofNamespace, proofElement)
	}
}

// admitted reports whether a message is to be taken.
func (s *Service) admitted(from id.Peer, msg *message.Message) bool {
	if s.cfg.Guard.Admit == nil || from == s.self {
		return true
	}
	var proof []byte
	if e, ok := msg.Get(proofNamespace, proofElement); ok {
		if proof = e.Body; len(proof) > maxProof {
			proof = nil
		}
	}
	err := s.cfg.Guard.Admit(from, proof)
	if err != nil {
		s.stats.denied.Add(1)
		s.log.Debug("message of a pipe refused", "from", from.Short(), "error", err)
	}
	return err == nil
}

// reached reports whether messages may go to a peer.
func (s *Service) reached(to id.Peer) error {
	if s.cfg.Guard.Reach == nil {
		return nil
	}
	return s.cfg.Guard.Reach(to)
}
