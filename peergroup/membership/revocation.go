package membership

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// listYears is for how long a list of revocations says that it is good. It is a
// formality: a list counts until there is one of a higher number.
const listYears = 20

// revoked is the latest list of revocations, as an X.509 list (RFC 5280).
type revoked struct {
	number  *big.Int
	entries []x509.RevocationListEntry
	serials map[string]time.Time // by serial number in hex
	pem     []byte
}

// Revocation is a certificate that is no longer good.
type Revocation struct {
	Serial string // in hex
	Since  time.Time
}

// Revoke takes certificates back, from now on and for good. The list is then to be
// told to the members, who [Service.Import] it. The error wraps [ErrNoIssuer] or
// [ErrTooMany].
func (s *Service) Revoke(certificates ...*x509.Certificate) error {
	if s.cfg.Issuer == nil {
		return fmt.Errorf("membership: %w", ErrNoIssuer)
	}
	now := s.cfg.Now()
	number := big.NewInt(1)
	var entries []x509.RevocationListEntry
	old := s.revoked.Load()
	if old != nil {
		number.Add(old.number, number)
		entries = slices.Clone(old.entries)
	}
	news := false
	for _, x := range certificates {
		if x.Equal(s.cfg.Issuer.cert) {
			return fmt.Errorf("membership: %w: the group's own certificate cannot be revoked", ErrForeign)
		}
		if slices.ContainsFunc(entries, func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(x.SerialNumber) == 0 }) {
			continue
		}
		news = true
		entries = append(entries, x509.RevocationListEntry{SerialNumber: x.SerialNumber, RevocationTime: now})
	}
	if !news {
		return nil
	}
	if len(entries) > MaxRevoked {
		return fmt.Errorf("membership: %w: %d revocations", ErrTooMany, len(entries))
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: number, ThisUpdate: now, NextUpdate: now.AddDate(listYears, 0, 0), RevokedCertificateEntries: entries,
	}, s.cfg.Issuer.cert, s.cfg.Issuer.key)
	if err != nil {
		return fmt.Errorf("membership: a list of revocations: %w", err)
	}
	newer, err := s.Import(pem.EncodeToMemory(&pem.Block{Type: blockList, Bytes: der}))
	if err == nil && !newer {
		return s.Revoke(certificates...) // somebody was quicker
	}
	return err
}

// Export returns the latest list of revocations, a PEM, and its number; nil and 0 if
// there is none.
func (s *Service) Export() (list []byte, number uint64) {
	if r := s.revoked.Load(); r != nil {
		return r.pem, r.number.Uint64()
	}
	return nil, 0
}

// Revocations returns the certificates that the latest list names.
func (s *Service) Revocations() []Revocation {
	var all []Revocation
	if r := s.revoked.Load(); r != nil {
		for _, e := range r.entries {
			all = append(all, Revocation{serial(e.SerialNumber), e.RevocationTime})
		}
	}
	return all
}

// Import takes a list of revocations from wherever it comes, since the group's key has
// signed it. It reports false for one that is not newer than that known. Credentials
// of the revoked are refused from then on, and this peer's own are gone if it is among
// them. The error wraps [ErrMalformed], [ErrForeign] if the list is not signed by the
// group's key, or [ErrTooMany].
func (s *Service) Import(list []byte) (newer bool, err error) {
	if s.kind != Certificate {
		return false, fmt.Errorf("membership: %w: the group has no certificates", ErrForeign)
	}
	r, err := s.readList(list)
	if err != nil {
		s.stats.lists.Add(1)
		return false, err
	}
	s.telling.Lock()
	if old := s.revoked.Load(); old != nil && r.number.Cmp(old.number) <= 0 {
		s.telling.Unlock()
		return false, nil
	}
	s.mu.Lock()
	s.revoked.Store(r)
	s.verified.clear()
	s.known.deleteFunc(func(v verdict) bool {
		gone := s.isRevoked(v.leaf)
		if gone {
			s.out.put(v.credential.Peer, struct{}{})
		}
		return gone
	})
	mine := len(s.member) > 0 && s.isRevoked(s.member[0])
	if mine {
		s.member = nil
	}
	s.mu.Unlock()
	s.hub.Publish(Event{Kind: ListChanged})
	err = s.save(FileRevoked, r.pem)
	s.telling.Unlock()
	if mine {
		s.drop(Revoked)
	}
	return true, err
}

func (s *Service) readList(list []byte) (*revoked, error) {
	if len(list) > maxList {
		return nil, fmt.Errorf("membership: %w: a list of %d octets", ErrTooMany, len(list))
	}
	block, _ := pem.Decode(list)
	if block == nil || block.Type != blockList {
		return nil, fmt.Errorf("membership: %w: no list of revocations", ErrMalformed)
	}
	x, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("membership: %w: a list of revocations: %w", ErrMalformed, err)
	}
	switch {
	case x.Number == nil || x.Number.Sign() <= 0 || !x.Number.IsUint64():
		return nil, fmt.Errorf("membership: %w: a list of revocations without a number", ErrMalformed)
	case len(x.RevokedCertificateEntries) > MaxRevoked:
		return nil, fmt.Errorf("membership: %w: %d revocations", ErrTooMany, len(x.RevokedCertificateEntries))
	}
	if err := x.CheckSignatureFrom(s.plain.certificate()); err != nil {
		return nil, fmt.Errorf("membership: %w: a list of revocations: %w", ErrForeign, err)
	}
	r := &revoked{
		number: x.Number, entries: x.RevokedCertificateEntries, serials: map[string]time.Time{},
		pem: pem.EncodeToMemory(&pem.Block{Type: blockList, Bytes: block.Bytes}),
	}
	for _, e := range r.entries {
		r.serials[serial(e.SerialNumber)] = e.RevocationTime
	}
	return r, nil
}

// isRevoked reports whether a certificate is on the list. That of the group is not.
func (s *Service) isRevoked(x *x509.Certificate) bool {
	r := s.revoked.Load()
	if r == nil || x == nil || x.Equal(s.plain.certificate()) {
		return false
	}
	_, ok := r.serials[serial(x.SerialNumber)]
	return ok
}

// serial prints a serial number.
func serial(n *big.Int) string {
	if n == nil {
		return ""
	}
	return n.Text(16)
}
