package secure

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // what JXSE signs its certificates over
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
)

// JavaConfig says how to talk to original JXTA peers: TLS 1.0 with RSA
// certificates, which is weak by today's measure. The zero value is not to.
type JavaConfig struct {
	// Certificate is shown to them; [NewJavaCertificate] makes one. They must have
	// its root among their trusted certificates. Without it, JXSE is out of reach.
	Certificate tls.Certificate

	// Trust decides whether the chain that a peer has shown, its own certificate
	// first, belongs to the peer. That each is signed by the next is known then,
	// and nothing else. [Pins.Check] trusts on first use. Required.
	Trust func(p id.Peer, chain []*x509.Certificate) error

	// Roots returns the root certificates that a peer may have, as far as known:
	// the one in its peer advertisement (RootCert). JXSE shows its own certificate
	// only to those that name its root, so a peer of which none is known cannot
	// begin a connection. nil means that none ever is.
	Roots func(p id.Peer) []*x509.Certificate
}

func (j *JavaConfig) enabled() bool { return len(j.Certificate.Certificate) > 0 && j.Trust != nil }

// ErrCertificate is why a certificate of an original JXTA peer is not accepted.
var ErrCertificate = errors.New("unacceptable certificate")

// javaSuites are those of original JXTA peers, best first: Java since 7 does the
// first ones, Java 5 and 6 the others.
var javaSuites = []uint16{
	tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
	tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	tls.TLS_RSA_WITH_AES_256_CBC_SHA,
	tls.TLS_RSA_WITH_AES_128_CBC_SHA,
	tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA,
}

// javaTLS is the configuration for a connection with an original JXTA peer.
func (s *Service) javaTLS(c *connection) (*tls.Config, error) {
	j := &s.cfg.Java
	if !j.enabled() {
		return nil, ErrUnproven
	}
	cfg := &tls.Config{
		MinVersion:                  tls.VersionTLS10, //nolint:gosec // they speak nothing else
		MaxVersion:                  tls.VersionTLS10,
		CipherSuites:                javaSuites,
		Certificates:                []tls.Certificate{j.Certificate},
		ClientAuth:                  tls.RequireAnyClientCert,
		InsecureSkipVerify:          true, // VerifyConnection does
		SessionTicketsDisabled:      true,
		DynamicRecordSizingDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if err := checkChain(state.PeerCertificates); err != nil {
				return err
			}
			return j.Trust(c.peer, state.PeerCertificates)
		},
	}
	if !c.client && j.Roots != nil {
		cfg.ClientCAs = x509.NewCertPool()
		for _, root := range j.Roots(c.peer) {
			cfg.ClientCAs.AddCert(root)
		}
	}
	return cfg, nil
}

// checkChain checks that each certificate is signed by the next, and the last by
// itself. Package x509 would refuse SHA-1, and roots that do not say that they are
// some; JXSE makes both.
func checkChain(chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return fmt.Errorf("%w: there is none", ErrCertificate)
	}
	for i, cert := range chain {
		by := chain[min(i+1, len(chain)-1)]
		key, ok := by.PublicKey.(*rsa.PublicKey)
		if !ok || key.N.BitLen() < javaLeastKey {
			return fmt.Errorf("%w: the key is not RSA of %d bits or more", ErrCertificate, javaLeastKey)
		}
		var h crypto.Hash
		switch cert.SignatureAlgorithm {
		case x509.SHA1WithRSA:
			h = crypto.SHA1
		case x509.SHA256WithRSA:
			h = crypto.SHA256
		default:
			return fmt.Errorf("%w: signed by %v", ErrCertificate, cert.SignatureAlgorithm)
		}
		sum := h.New()
		sum.Write(cert.RawTBSCertificate)
		if err := rsa.VerifyPKCS1v15(key, h, sum.Sum(nil), cert.Signature); err != nil {
			return fmt.Errorf("%w: it is not signed by the next one", ErrCertificate)
		}
		if !bytes.Equal(cert.RawIssuer, by.RawSubject) {
			return fmt.Errorf("%w: it names another issuer than the next one", ErrCertificate)
		}
	}
	return nil
}

// NewJavaCertificate makes what an original JXTA peer needs to be shown: a root of
// the name, and a certificate signed by it, with RSA keys of 2048 bits and for ten
// years, as JXSE makes its own with 1024 bits. The root is the last of the chain;
// JXSE peers must import it.
func NewJavaCertificate(name string) (tls.Certificate, error) {
	fail := func(err error) (tls.Certificate, error) { return tls.Certificate{}, fmt.Errorf("secure: %w", err) }
	rootKey, err := rsa.GenerateKey(rand.Reader, javaKey)
	if err != nil {
		return fail(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, javaKey)
	if err != nil {
		return fail(err)
	}
	subject := func(cn string) pkix.Name { return pkix.Name{CommonName: cn, Organization: []string{"www.jxta.org"}} }
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: subject(name + "-CA"), SignatureAlgorithm: x509.SHA256WithRSA,
		NotBefore: time.Now().Add(-javaEarly), NotAfter: time.Now().Add(javaLife), IsCA: true, BasicConstraintsValid: true,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		return fail(err)
	}
	own := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: subject(name), SignatureAlgorithm: x509.SHA256WithRSA,
		NotBefore: root.NotBefore, NotAfter: root.NotAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, own, root, key.Public(), rootKey)
	if err != nil {
		return fail(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return fail(err)
	}
	return tls.Certificate{Certificate: [][]byte{der, rootDER}, PrivateKey: key, Leaf: leaf}, nil
}

// Pins remembers the root certificate of each peer that was met, and trusts no
// other in its place. The zero value knows none. Its methods are safe for
// concurrent use.
type Pins struct {
	// Added, if not nil, is called when a peer is met for the first time; keep what
	// it gets, and give it to Set after a restart. It must not block.
	Added func(p id.Peer, fingerprint string)

	mu sync.Mutex
	m  map[id.Peer]string
}

// Set notes the fingerprint of the root of a peer.
func (x *Pins) Set(p id.Peer, fingerprint string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.m == nil {
		x.m = map[id.Peer]string{}
	}
	x.m[p] = fingerprint
}

// Check is a [JavaConfig].Trust: it notes the root of a peer that it has not met,
// up to 10,000 of them, and after that trusts this root alone. The error wraps
// [ErrCertificate].
func (x *Pins) Check(p id.Peer, chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return fmt.Errorf("secure: %w: there is none", ErrCertificate)
	}
	got := identity.Fingerprint(chain[len(chain)-1].RawSubjectPublicKeyInfo)
	x.mu.Lock()
	known, met := x.m[p]
	full := len(x.m) >= maxPins
	if !met && !full {
		if x.m == nil {
			x.m = map[id.Peer]string{}
		}
		x.m[p] = got
	}
	x.mu.Unlock()
	switch {
	case met && known != got:
		return fmt.Errorf("secure: %w: peer %s had the root %s before, and shows %s now", ErrCertificate, p.Short(), known, got)
	case !met && full:
		return fmt.Errorf("secure: %w: too many peers are remembered", ErrCertificate)
	case !met && x.Added != nil:
		x.Added(p, got)
	}
	return nil
}

// javaConnection returns the connection that a message of an original JXTA peer
// belongs to, a new one if it begins one. Connections have no numbers there, so a
// first block means a new one if the old one has been idle for a minute, as in
// JXSE; the old one stays until the handshake of the new one is over.
func (s *Service) javaConnection(p id.Peer, x *packet) *connection {
	if !s.cfg.Java.enabled() || p.Provable() && s.cfg.Identity != nil {
		s.stats.unprovable.Add(1)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.all[key{peer: p, pending: true}]; c != nil {
		return c
	}
	c := s.all[key{peer: p}]
	first := len(x.blocks) > 0 && x.blocks[0].number == 1
	switch {
	case s.closed:
		return nil
	case !first && c == nil:
		s.stats.stray.Add(1)
		return nil
	case !first, c != nil && (c.state == shaking || c.idle() < restartAfter):
		return c
	}
	if !s.makePlace(p) || !s.makeRoom() {
		s.stats.refused.Add(1)
		return nil
	}
	n := s.newConnection(p, 0, false)
	n.key.pending = c != nil
	s.begin(n)
	return n
}

// javaAdopt gives a connection the place of the one that the peer has forgotten.
// It returns the latter. s.mu is held.
func (s *Service) javaAdopt(c *connection) (old *connection) {
	if c.id != 0 || !c.key.pending {
		return nil
	}
	delete(s.all, c.key)
	c.key.pending = false
	old = s.all[c.key]
	s.all[c.key] = c
	if old != nil && s.current[c.peer] == old {
		delete(s.current, c.peer)
	}
	return old
}
