package governance

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// fetch asks a member which epoch it has, and for it if it is a later one than
// this member's.
func (x *Exchange) fetch(p id.Peer) {
	ctx, cancel := context.WithTimeout(x.ctx, fetchTimeout)
	defer cancel()
	q := x.question()
	x.stats.asked.Add(1)
	a, err := x.cfg.Lobby.ask(ctx, p, q)
	if err != nil {
		x.stats.unanswered.Add(1)
		x.log.Debug("a member was not asked for the secret", "peer", p.Short(), "error", err)
		return
	}
	if err := a.Card.verify(x.group, p); err != nil {
		x.stats.cards.Add(1)
		x.log.Warn("a card is not that of its peer", "peer", p.Short(), "error", err)
		return
	}
	if a.Number == 0 || a.Number < q.Number || a.Number == q.Number && a.Same == q.Same {
		x.heard(q, a)
		return
	}
	// This member may have learned of the epoch meanwhile.
	if e, ok := x.cfg.Keyring.Epoch(); ok && (e.number > a.Number || e.number == a.Number && e.sameness(q.Nonce[:]) == a.Same) {
		return
	}
	if err := x.request(ctx, p, &a.Card); err != nil {
		x.log.Debug("no secret came", "peer", p.Short(), "error", err)
	}
}

// request asks for the epoch itself, showing the credential to the member alone.
func (x *Exchange) request(ctx context.Context, p id.Peer, to *card) error {
	doc, err := xmldoc.Marshal(&keyRequest{Credential: x.credential()})
	if err != nil {
		return err
	}
	q := x.question()
	if q.Sealed, err = to.seal(purposeRequest, x.group, q.Nonce[:], doc); err != nil {
		return err
	}
	a, err := x.cfg.Lobby.ask(ctx, p, q)
	if err != nil {
		x.stats.unanswered.Add(1)
		return err
	}
	if len(a.Sealed) == 0 {
		return fmt.Errorf("governance: %w", resolver.ErrNoAnswer)
	}
	doc, err = x.desk.open(purposeGrant, x.group, q.Nonce[:], a.Sealed)
	if err != nil {
		x.stats.epochs.Add(1)
		return fmt.Errorf("governance: %w: %w", ErrSealed, err)
	}
	e, err := ReadEpoch(doc, x.group)
	if err == nil {
		err = x.mayMake(e)
	}
	if err == nil {
		_, err = x.cfg.Keyring.Install(e, time.Now())
	}
	if err != nil {
		x.stats.epochs.Add(1)
		return err
	}
	x.stats.got.Add(1)
	x.Meet(p) // for the hints
	return nil
}

// hints returns the rendezvous of the group that this member knows, sealed.
func (x *Exchange) hints(q *keyQuery) []byte {
	if x.cfg.Rendezvous == nil {
		return nil
	}
	list := x.cfg.Rendezvous()
	var b []byte
	for _, p := range list[:min(len(list), maxHints)] {
		b = append(append(b, p.Unique()...), '\n')
	}
	if len(b) == 0 {
		return nil
	}
	sealed, err := x.cfg.Keyring.Seal(b, q.Nonce[:])
	if err != nil {
		return nil
	}
	return sealed
}

// heard takes the rendezvous that another member knows.
func (x *Exchange) heard(q *keyQuery, a *keyAnswer) {
	if x.cfg.Heard == nil || len(a.Hints) == 0 {
		return
	}
	b, err := x.cfg.Keyring.Open(a.Hints, q.Nonce[:])
	if err != nil {
		x.stats.epochs.Add(1)
		return
	}
	var list []id.Peer
	for line := range strings.Lines(string(b)) {
		if p, err := id.ParsePeer("urn:jxta:" + strings.TrimSpace(line)); err == nil && len(list) < maxHints {
			list = append(list, p)
		}
	}
	x.cfg.Heard(list)
}

// mayMake reports whether an epoch is to be used, by who made it.
func (x *Exchange) mayMake(e *Epoch) error {
	if err := x.member(id.PeerFromKey(e.maker), e.maker, e.credential); err != nil {
		return fmt.Errorf("governance: %v: %w: %w", e, ErrMaker, err)
	}
	return nil
}

// member reports why somebody is no member; key has been shown to be the peer's.
func (x *Exchange) member(p id.Peer, key []byte, credential xmldoc.Node) error {
	h := HashOf(key)
	if policy := x.policy(); policy != nil {
		if err := policy.Judge(Subject{Peer: p, Key: key}); err != nil {
			return err
		}
		if policy.state().IsModerator(h) {
			return nil
		}
	} else {
		for _, m := range x.cfg.Moderators {
			if m.Hash() == h {
				return nil
			}
		}
	}
	if x.cfg.Admit == nil {
		return ErrNotModerator
	}
	return x.cfg.Admit(p, key, credential)
}

// answer answers a question about the group's secret.
func (x *Exchange) answer(from id.Peer, q *keyQuery) (*keyAnswer, error) {
	if policy := x.policy(); policy != nil {
		if err := policy.Judge(Subject{Peer: from, Key: q.Card.key}); err != nil {
			x.stats.excluded.Add(1)
			return nil, resolver.ErrNoAnswer
		}
	}
	if err := q.Card.verify(x.group, from); err != nil {
		x.stats.cards.Add(1)
		x.log.Debug("a card is not that of its peer", "peer", from.Short(), "error", err)
		return nil, resolver.ErrNoAnswer
	}
	a := &keyAnswer{Card: x.desk.card}
	e, have := x.cfg.Keyring.Epoch()
	if have {
		a.Number, a.Same = e.number, e.sameness(q.Nonce[:])
	}
	if have && q.Number == a.Number && q.Same == a.Same {
		a.Hints = x.hints(q)
	}
	if q.Number > a.Number || q.Number == a.Number && q.Number != 0 && q.Same != a.Same {
		x.Meet(from) // it has another one, maybe a better
	}
	if len(q.Sealed) == 0 || !have {
		return a, nil
	}
	doc, err := x.desk.open(purposeRequest, x.group, q.Nonce[:], q.Sealed)
	if err != nil {
		x.stats.members.Add(1)
		return a, nil
	}
	var r keyRequest
	if err := xmldoc.Unmarshal(doc, &r); err != nil {
		x.stats.members.Add(1)
		return a, nil
	}
	if err := x.member(from, q.Card.key, r.Credential); err != nil {
		x.stats.members.Add(1)
		x.log.Debug("the secret was refused", "peer", from.Short(), "error", err)
		return a, nil
	}
	if doc, err = e.Marshal(); err == nil {
		a.Sealed, err = q.Card.seal(purposeGrant, x.group, q.Nonce[:], doc)
	}
	if err != nil {
		return nil, fmt.Errorf("governance: %w", err)
	}
	x.stats.given.Add(1)
	return a, nil
}
