package membership

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// verdict is what a credential was found to be worth.
type verdict struct {
	credential *credential.Credential
	standing   credential.Standing
	leaf       *x509.Certificate // nil if it has none
	until      time.Time
}

// end bounds a time by the end of the certificate.
func (v verdict) end(t time.Time) time.Time {
	if v.leaf != nil && v.leaf.NotAfter.Before(t) {
		return v.leaf.NotAfter
	}
	return t
}

type counters struct {
	checked, repeated, lists                                                       atomic.Uint64
	absent, malformed, kind, group, peer, forged, issuer, key, expired, gone, name atomic.Uint64
}

// Stats counts what a service did since it was made, and tells what it has.
type Stats struct {
	Credentials int // own
	Known       int // peers that have shown a credential
	Revoked     int // certificates that the latest list names

	Checked  uint64 // credentials looked at, absent ones included
	Repeated uint64 // of these, those that had been verified of late

	// Those that were refused, by the reason.
	RefusedAbsent     uint64 // none was shown
	RefusedMalformed  uint64 // no credential, or of an unknown kind
	RefusedKind       uint64 // of another kind than the group's
	RefusedOtherGroup uint64
	RefusedOtherPeer  uint64 // that of another peer than the one that shows it: played back
	RefusedOtherKey   uint64 // the peer's ID is made of another key: self-signed by another
	RefusedForged     uint64 // not signed, or wrongly
	RefusedIssuer     uint64 // the group has not signed the certificate
	RefusedExpired    uint64 // or not valid yet
	RefusedRevoked    uint64
	RefusedName       uint64 // a name that the password group does not have

	RefusedLists uint64 // lists of revocations that were none of the group's
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	own, known := len(s.own), s.known.len()
	s.mu.Unlock()
	revoked := 0
	if r := s.revoked.Load(); r != nil {
		revoked = len(r.entries)
	}
	c := &s.stats
	return Stats{
		Credentials: own, Known: known, Revoked: revoked, Checked: c.checked.Load(), Repeated: c.repeated.Load(),
		RefusedAbsent: c.absent.Load(), RefusedMalformed: c.malformed.Load(), RefusedKind: c.kind.Load(),
		RefusedOtherGroup: c.group.Load(), RefusedOtherPeer: c.peer.Load(), RefusedOtherKey: c.key.Load(),
		RefusedForged: c.forged.Load(), RefusedIssuer: c.issuer.Load(), RefusedExpired: c.expired.Load(),
		RefusedRevoked: c.gone.Load(), RefusedName: c.name.Load(), RefusedLists: c.lists.Load(),
	}
}

// Check tells what a credential, as it came, is worth in this group: whose it is and
// how that is known. from is the peer that shows it, zero if that is not known. A
// credential that is worth nothing is refused and counted; the error wraps [ErrAbsent],
// [ErrMalformed], [ErrKind], [ErrName] or one of package credential.
//
// In a group without membership everything is accepted, and nothing is read: the
// credential returned is nil. Elsewhere the credential must be this group's and that of
// the peer that shows it, so that nobody can play back another's. Whether that peer is
// who it says is not asked: a link or a pipe on which it has proven its ID tells.
func (s *Service) Check(n xmldoc.Node, from id.Peer) (*credential.Credential, credential.Standing, error) {
	if s.kind == None {
		return nil, credential.Claimed, nil
	}
	return s.told(s.check(n, from))
}

// CheckDocument is [Service.Check] of a printed credential, which costs less if the same
// one was verified of late.
func (s *Service) CheckDocument(doc []byte, from id.Peer) (*credential.Credential, credential.Standing, error) {
	if s.kind == None {
		return nil, credential.Claimed, nil
	}
	if len(doc) == 0 {
		return s.told(verdict{}, fmt.Errorf("membership: %w", ErrAbsent))
	}
	sum := sha256.Sum256(doc)
	if v, ok := s.recall(sum, from); ok {
		return s.told(v, nil)
	}
	n, err := xmldoc.ParseNode(doc)
	if err != nil {
		return s.told(verdict{}, fmt.Errorf("membership: %w: %w", ErrMalformed, err))
	}
	return s.told(s.verify(sum, n, from))
}

// told counts what became of a credential.
func (s *Service) told(v verdict, err error) (*credential.Credential, credential.Standing, error) {
	s.stats.checked.Add(1)
	if err != nil {
		s.count(err)
		return nil, credential.Claimed, err
	}
	return v.credential, v.standing, nil
}

func (s *Service) check(n xmldoc.Node, from id.Peer) (verdict, error) {
	if n.IsZero() {
		return verdict{}, fmt.Errorf("membership: %w", ErrAbsent)
	}
	doc, err := n.Renamed("jxta:Cred").Marshal()
	if err != nil {
		return verdict{}, fmt.Errorf("membership: %w: %w", ErrMalformed, err)
	}
	sum := sha256.Sum256(doc)
	if v, ok := s.recall(sum, from); ok {
		return v, nil
	}
	return s.verify(sum, n, from)
}

// recall returns what was found of late.
func (s *Service) recall(sum [32]byte, from id.Peer) (verdict, bool) {
	s.mu.Lock()
	v, ok := s.verified.get(sum)
	s.mu.Unlock()
	if !ok || !s.cfg.Now().Before(v.until) || !from.IsZero() && v.credential.Peer != from {
		return verdict{}, false
	}
	s.stats.repeated.Add(1)
	return v, true
}

// verify reads and judges a credential, and remembers what came of it.
func (s *Service) verify(sum [32]byte, n xmldoc.Node, from id.Peer) (verdict, error) {
	now := s.cfg.Now()
	c, err := credential.Parse(n)
	if err != nil {
		return verdict{}, fmt.Errorf("membership: %w: %w", ErrMalformed, err)
	}
	if !from.IsZero() && c.Peer != from {
		return verdict{}, fmt.Errorf("membership: %w", credential.ErrOtherPeer)
	}
	v, err := s.judge(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && s.isRevoked(v.leaf) { // since it was judged
		err = fmt.Errorf("membership: %w", credential.ErrRevoked)
	}
	if err != nil {
		return verdict{}, err
	}
	s.out.delete(c.Peer) // it may have got another certificate
	v.until = v.end(now.Add(verifiedFor))
	s.verified.put(sum, v)
	v.until = v.end(now.Add(KnownFor))
	s.known.put(c.Peer, v)
	return v, nil
}

// judge verifies a credential by the rules of the group.
func (s *Service) judge(c *credential.Credential) (verdict, error) {
	want := map[Kind]credential.Kind{None: credential.None, Password: credential.Password, Certificate: credential.Certificate}[s.kind]
	if c.Group != s.cfg.Group {
		return verdict{}, fmt.Errorf("membership: %w", credential.ErrOtherGroup)
	}
	if c.Kind != want {
		return verdict{}, fmt.Errorf("membership: %w: %s, not %s", ErrKind, c.Kind, s.kind)
	}
	rules := credential.Rules{Group: s.cfg.Group, Now: s.cfg.Now()}
	v := verdict{credential: c}
	if s.kind == Certificate {
		if len(c.Chain) == 0 {
			return verdict{}, fmt.Errorf("membership: %w", credential.ErrUnsigned)
		}
		root := s.plain.certificate()
		v.leaf = c.Chain[0]
		if g, ok := groupOf(v.leaf); ok && g != s.cfg.Group {
			return verdict{}, fmt.Errorf("membership: %w: its certificate", credential.ErrOtherGroup)
		}
		rules.Roots, rules.Revoked = []*x509.Certificate{root}, s.isRevoked
		rules.SharedKey = s.plain.sealed != nil && v.leaf.Equal(root)
	}
	var err error
	if v.standing, err = c.Verify(rules); err != nil {
		return verdict{}, fmt.Errorf("membership: %w", err)
	}
	if _, ok := s.logins[c.Identity]; s.kind == Password && !ok {
		return verdict{}, fmt.Errorf("membership: %w: %q", ErrName, clip(c.Identity))
	}
	return v, nil
}

// count counts why a credential was refused.
func (s *Service) count(err error) {
	c := &s.stats
	for _, x := range []struct {
		err error
		n   *atomic.Uint64
	}{
		{ErrAbsent, &c.absent}, {ErrKind, &c.kind}, {ErrName, &c.name}, {credential.ErrOtherGroup, &c.group},
		{credential.ErrOtherPeer, &c.peer}, {credential.ErrOtherKey, &c.key}, {credential.ErrUnsigned, &c.forged},
		{credential.ErrSignature, &c.forged}, {credential.ErrIssuer, &c.issuer}, {credential.ErrExpired, &c.expired},
		{credential.ErrNotYet, &c.expired}, {credential.ErrRevoked, &c.gone},
	} {
		if errors.Is(err, x.err) {
			x.n.Add(1)
			return
		}
	}
	c.malformed.Add(1)
}

// Known returns the credential that a peer has shown of late, and what it is worth;
// ok is false if it has shown none, or it is no longer good. It is for messages that
// carry no credential, such as those of a pipe; nothing is counted.
func (s *Service) Known(p id.Peer) (c *credential.Credential, standing credential.Standing, ok bool) {
	if s.kind == None {
		return nil, credential.Claimed, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.known.get(p)
	if !ok || !s.cfg.Now().Before(v.until) {
		return nil, credential.Claimed, false
	}
	return v.credential, v.standing, true
}

// Out reports whether the certificate of a peer that was known was revoked since.
func (s *Service) Out(p id.Peer) bool {
	if s.kind != Certificate || s.revoked.Load() == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.out.get(p)
	return ok
}

// memo is a bounded map in which the oldest entry makes room. It is not safe for
// concurrent use.
type memo[K comparable, V any] struct {
	limit int
	m     map[K]V
	order []K // the oldest first
}

func (m *memo[K, V]) get(k K) (V, bool) { v, ok := m.m[k]; return v, ok }

func (m *memo[K, V]) len() int { return len(m.m) }

func (m *memo[K, V]) put(k K, v V) {
	if m.m == nil {
		m.m = map[K]V{}
	}
	if _, ok := m.m[k]; !ok {
		for len(m.order) >= m.limit {
			delete(m.m, m.order[0])
			m.order = m.order[1:]
		}
		m.order = append(m.order, k)
	}
	m.m[k] = v
}

func (m *memo[K, V]) delete(k K) {
	if _, ok := m.m[k]; ok {
		delete(m.m, k)
		m.order = slices.DeleteFunc(m.order, func(o K) bool { return o == k })
	}
}

func (m *memo[K, V]) clear() { m.m, m.order = nil, nil }

func (m *memo[K, V]) deleteFunc(f func(V) bool) {
	kept := m.order[:0:0]
	for _, k := range m.order {
		if f(m.m[k]) {
			delete(m.m, k)
		} else {
			kept = append(kept, k)
		}
	}
	m.order = kept
}
