package membership

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/advertisements/credential"
)

// begin reads the parameters of a certificate group and what the store has of it.
func (s *Service) begin() (err error) {
	if s.plain, err = readRoot(s.cfg.Parm); err != nil {
		return err
	}
	if s.cfg.Issuer == nil {
		b, err := s.load(FileIssuer)
		if err != nil {
			return err
		}
		if len(b) > 0 {
			if s.cfg.Issuer, err = ReadIssuer(b); err != nil {
				return err
			}
		}
	} else {
		b, err := s.cfg.Issuer.PEM()
		if err != nil {
			return err
		}
		if err := s.save(FileIssuer, b); err != nil {
			return err
		}
	}
	if i := s.cfg.Issuer; i != nil && !i.cert.Equal(s.plain.certificate()) {
		return fmt.Errorf("membership: %w: the issuer is that of another group", ErrForeign)
	}
	b, err := s.load(FileIssued)
	if err != nil {
		return err
	}
	if s.issued, err = readCertificates(b, MaxIssued); err != nil {
		return err
	}
	if b, err = s.load(FileRevoked); err != nil {
		return err
	}
	if len(b) > 0 {
		if _, err := s.Import(b); err != nil {
			return err
		}
	}
	if b, err = s.load(FileMember); err != nil {
		return err
	}
	if len(b) > 0 {
		if err := s.accept(b); err != nil {
			// Revoked or expired since: it is told when somebody wants to join.
			s.log.Info("the certificate of this peer is of no use", "error", err)
		}
	}
	return nil
}

func (s *Service) load(name string) ([]byte, error) {
	if s.cfg.Store.Load == nil {
		return nil, nil
	}
	b, err := s.cfg.Store.Load(name)
	if err != nil {
		return nil, fmt.Errorf("membership: %s: %w", name, err)
	}
	return b, nil
}

func (s *Service) save(name string, b []byte) error {
	if s.cfg.Store.Save == nil {
		return nil
	}
	if err := s.cfg.Store.Save(name, b); err != nil {
		return fmt.Errorf("membership: %s: %w", name, err)
	}
	return nil
}

// CanInvite reports whether this peer holds the group's key.
func (s *Service) CanInvite() bool { return s.cfg.Issuer != nil }

// Invite issues a certificate for the holder of a key, see [ReadRequest], under a name
// for lists of rights, from now on for the term given. The result, a PEM, is no secret:
// nobody else can use it. The error wraps [ErrNoIssuer], [ErrMalformed] or [ErrTooMany].
func (s *Service) Invite(to crypto.PublicKey, name string, term time.Duration) ([]byte, error) {
	if s.cfg.Issuer == nil {
		return nil, fmt.Errorf("membership: %w", ErrNoIssuer)
	}
	now := s.cfg.Now()
	x, err := s.cfg.Issuer.issue(s.cfg.Group, to, name, now, term)
	if err != nil {
		return nil, err
	}
	s.telling.Lock() // so that the store gets them in order
	defer s.telling.Unlock()
	s.mu.Lock()
	kept := slices.DeleteFunc(slices.Clone(s.issued), func(x *x509.Certificate) bool { return now.After(x.NotAfter) })
	if len(kept) >= MaxIssued {
		s.mu.Unlock()
		return nil, fmt.Errorf("membership: %w: %d certificates are in use", ErrTooMany, len(kept))
	}
	s.issued = append(kept, x)
	all := encodeCertificates(s.issued...)
	s.mu.Unlock()
	if err := s.save(FileIssued, all); err != nil {
		return nil, err
	}
	return encodeCertificates(x), nil
}

// Issued returns the certificates that this peer has issued and that have not expired.
func (s *Service) Issued() []*x509.Certificate {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	return slices.DeleteFunc(slices.Clone(s.issued), func(x *x509.Certificate) bool { return now.After(x.NotAfter) })
}

// Accept takes an invitation for this peer; [Service.Apply] then asks for nothing. The
// error wraps [ErrMalformed], [ErrForeign] if it is for another key or group, or what is
// wrong with the certificate, such as [credential.ErrIssuer].
func (s *Service) Accept(invitation []byte) error {
	if err := s.accept(invitation); err != nil {
		return err
	}
	s.telling.Lock()
	defer s.telling.Unlock()
	if err := s.save(FileMember, invitation); err != nil {
		return err
	}
	s.hub.Publish(Event{Kind: Invited})
	return nil
}

func (s *Service) accept(invitation []byte) error {
	if s.kind != Certificate {
		return fmt.Errorf("membership: %w: the group has no certificates", ErrForeign)
	}
	if len(invitation) > maxPEM {
		return fmt.Errorf("membership: %w: an invitation of %d octets", ErrTooMany, len(invitation))
	}
	chain, err := readCertificates(invitation, maxChain)
	if err != nil {
		return err
	}
	if len(chain) == 0 {
		return fmt.Errorf("membership: %w: an invitation without a certificate", ErrMalformed)
	}
	c, err := s.signWith(chain)
	if errors.Is(err, credential.ErrOtherKey) {
		return fmt.Errorf("membership: %w: the invitation is for another peer", ErrForeign)
	}
	if err != nil {
		return err
	}
	if _, err := s.judge(c); errors.Is(err, credential.ErrOtherGroup) {
		return fmt.Errorf("membership: %w: the invitation is of another group", ErrForeign)
	} else if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.member = chain
	return nil
}

// Own returns the certificate by which this peer is a member, or nil.
func (s *Service) Own() *x509.Certificate {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.member) == 0 {
		return nil
	}
	return s.member[0]
}

// Root returns the group's own certificate, which signs those of the members; nil
// if the group has none. It must not be changed.
func (s *Service) Root() *x509.Certificate {
	if s.plain == nil {
		return nil
	}
	return s.plain.certificate()
}

// invited reports whether this peer can sign with a key of its own: it has a
// certificate, or the key of the group.
func (s *Service) invited() bool { return s.Own() != nil || s.cfg.Issuer != nil }

// sign makes the credential of the own certificate. The founder needs none from
// anybody.
func (s *Service) sign() (*credential.Credential, error) {
	s.mu.Lock()
	chain := s.member
	s.mu.Unlock()
	if len(chain) == 0 {
		if s.cfg.Issuer == nil {
			return nil, fmt.Errorf("membership: %w", ErrNotInvited)
		}
		if s.cfg.Identity == nil || s.cfg.Identity.Peer() != s.cfg.Peer {
			return s.judged(credential.SignShared(s.cfg.Issuer.key, s.cfg.Peer, s.cfg.Group, s.cfg.Issuer.cert))
		}
		own, err := s.Invite(s.cfg.Identity.PublicKey(), founder, s.cfg.Issuer.cert.NotAfter.Sub(s.cfg.Now()))
		if err != nil {
			return nil, err
		}
		if err := s.Accept(own); err != nil {
			return nil, err
		}
		return s.sign()
	}
	return s.judged(s.signWith(chain))
}

// founder is the name of the holder of the group's key in the own certificate.
const founder = "founder"

func (s *Service) signWith(chain []*x509.Certificate) (*credential.Credential, error) {
	if s.cfg.Identity == nil || s.cfg.Identity.Peer() != s.cfg.Peer {
		return nil, fmt.Errorf("membership: %w: this peer's ID is not made of a key", ErrForeign)
	}
	c, err := credential.Sign(s.cfg.Identity, s.cfg.Group, chain...)
	if err != nil {
		return nil, fmt.Errorf("membership: %w", err)
	}
	return c, nil
}

// signShared makes the credential of the group's own key.
func (s *Service) signShared(password string) (*credential.Credential, error) {
	key, err := s.plain.open(password)
	if err != nil {
		return nil, err
	}
	return s.judged(credential.SignShared(key, s.cfg.Peer, s.cfg.Group, s.plain.certificate()))
}

// judged returns an own credential if others will accept it.
func (s *Service) judged(c *credential.Credential, err error) (*credential.Credential, error) {
	if err != nil {
		return nil, err
	}
	if _, err := s.judge(c); err != nil {
		return nil, err
	}
	return c, nil
}
