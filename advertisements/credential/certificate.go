package credential

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1" // JXSE's credentials are signed with it
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// What certificate credentials are signed with: the first is all that JXSE knows, the
// second is for groups of Juxta peers.
const (
	algorithmRSA     = "SHA1withRSA"
	algorithmEd25519 = "Ed25519"
)

// Errors of [Credential.Verify].
var (
	// ErrUnsigned: a certificate credential without a signature. JXSE takes it.
	ErrUnsigned = errors.New("the credential is not signed")
	// ErrSignature: the signature does not belong to the credential and its certificate.
	ErrSignature = errors.New("the signature of the credential is wrong")
	// ErrOtherGroup: it is a credential of another group.
	ErrOtherGroup = errors.New("the credential is of another group")
	// ErrOtherPeer: it is the credential of another peer than the one that shows it.
	ErrOtherPeer = errors.New("the credential is that of another peer")
	// ErrOtherKey: the peer's ID is made of another key than the certificate's.
	ErrOtherKey = errors.New("the peer's ID is made of another key")
	// ErrExpired, ErrNotYet: a certificate is not valid at the time.
	ErrExpired = errors.New("the certificate has expired")
	ErrNotYet  = errors.New("the certificate is not valid yet")
	// ErrIssuer: no trusted certificate has signed the chain.
	ErrIssuer = errors.New("nobody trusted has signed the certificate")
	// ErrRevoked: a certificate of the chain was revoked.
	ErrRevoked = errors.New("the certificate was revoked")
)

// Standing is what a credential is worth.
type Standing uint8

// The standings, the least first.
const (
	Claimed Standing = iota // a name that nothing proves
	Signed                  // by the key of its certificate; nothing binds that to the peer's ID
	Proven                  // signed, and the peer's ID is made of the key
)

// String returns the standing in a word.
func (s Standing) String() string {
	switch s {
	case Claimed:
		return "claimed"
	case Signed:
		return "signed"
	case Proven:
		return "proven"
	}
	return fmt.Sprintf("Standing(%d)", uint8(s))
}

// Rules are what a credential is held to.
type Rules struct {
	Group id.Group // required
	Peer  id.Peer  // who shows it; zero if that is not known

	// Roots have signed the certificates of the members; none means that every
	// certificate is as good as another.
	Roots []*x509.Certificate

	// Revoked reports whether a certificate was revoked; it may be nil.
	Revoked func(*x509.Certificate) bool

	// SharedKey says that all members have the key of the certificate, as in the
	// groups of JXSE that one password opens. It then proves no peer's ID, which may
	// be made of another.
	SharedKey bool

	Now time.Time // zero means the present
}

// Sign makes the certificate credential of an identity for a group, which holds its
// self-signed certificate, or the chain given, whose first certificate must be of the
// identity's key. Java peers can check it if the key is RSA.
func Sign(i *identity.Identity, g id.Group, chain ...*x509.Certificate) (*Credential, error) {
	if len(chain) == 0 {
		chain = []*x509.Certificate{i.Certificate().Leaf}
	}
	if string(chain[0].RawSubjectPublicKeyInfo) != string(i.SPKI()) {
		return nil, fmt.Errorf("credential: %w: the first certificate is not the identity's", ErrOtherKey)
	}
	key, ok := i.Certificate().PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("credential: a key of type %T cannot sign", i.Certificate().PrivateKey)
	}
	return sign(key, i.Peer(), g, chain...)
}

// SignShared makes the certificate credential of a peer with a key that all members
// of the group share; see [Rules.SharedKey]. The first certificate must be of the key,
// which is RSA or Ed25519.
func SignShared(key crypto.Signer, p id.Peer, g id.Group, chain ...*x509.Certificate) (*Credential, error) {
	if len(chain) == 0 {
		return nil, fmt.Errorf("credential: %w: no certificate", ErrOtherKey)
	}
	if pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(chain[0].PublicKey) {
		return nil, fmt.Errorf("credential: %w: the first certificate is not that of the key", ErrOtherKey)
	}
	return sign(key, p, g, chain...)
}

func sign(key crypto.Signer, p id.Peer, g id.Group, chain ...*x509.Certificate) (*Credential, error) {
	c := &Credential{Kind: Certificate, Group: g, Peer: p, Chain: chain, algorithm: algorithmRSA}
	msg := c.signed()
	var err error
	if _, ed := key.Public().(ed25519.PublicKey); ed {
		c.algorithm = algorithmEd25519
		c.signature, err = key.Sign(nil, msg, crypto.Hash(0))
	} else {
		sum := sha1.Sum(msg)
		c.signature, err = key.Sign(nil, sum[:], crypto.SHA1)
	}
	if err != nil {
		return nil, fmt.Errorf("credential: %w", err)
	}
	return c, nil
}

// signed is what the signature of a certificate credential is over.
func (c *Credential) signed() []byte {
	msg := append([]byte(c.Group.String()), c.Peer.String()...)
	for _, x := range c.Chain {
		msg = append(msg, x.Raw...)
	}
	return msg
}

// Verify tells what the credential is worth by the rules, or why it is worth nothing.
// Where JXSE takes an unsigned one, a chain that is none, or another peer's, this
// does not.
func (c *Credential) Verify(r Rules) (Standing, error) {
	standing, err := c.verify(r)
	if err != nil {
		return Claimed, fmt.Errorf("credential: %w", err)
	}
	return standing, nil
}

func (c *Credential) verify(r Rules) (Standing, error) {
	switch {
	case c.Group != r.Group:
		return 0, ErrOtherGroup
	case !r.Peer.IsZero() && c.Peer != r.Peer:
		return 0, ErrOtherPeer
	case c.Kind != Certificate:
		return Claimed, nil
	case len(c.signature) == 0 || len(c.Chain) == 0:
		return 0, ErrUnsigned
	}
	if err := verifySignature(c.Chain[0].PublicKey, c.signed(), c.signature, c.algorithm == algorithmEd25519); err != nil {
		return 0, err
	}
	now := r.Now
	if now.IsZero() {
		now = time.Now()
	}
	for i, x := range c.Chain {
		switch {
		case now.After(x.NotAfter.Add(clockSkew)):
			return 0, ErrExpired
		case now.Before(x.NotBefore.Add(-clockSkew)):
			return 0, ErrNotYet
		case r.Revoked != nil && r.Revoked(x):
			return 0, ErrRevoked
		case i+1 < len(c.Chain) && !signedBy(x, c.Chain[i+1]):
			return 0, ErrIssuer
		}
	}
	if len(r.Roots) > 0 && !c.trusted(r.Roots) {
		return 0, ErrIssuer
	}
	if r.SharedKey || !c.Peer.Provable() {
		return Signed, nil
	}
	switch err := identity.VerifyPeer(c.Peer, c.Chain[0]); {
	case err == nil:
		return Proven, nil
	case errors.Is(err, identity.ErrOtherKey):
		return 0, ErrOtherKey
	case errors.Is(err, identity.ErrSignature) && c.Chain[0].SignatureAlgorithm != x509.SHA1WithRSA:
		return Proven, nil // another has signed the certificate; the credential shows the key
	}
	return Signed, nil // with a key that is too weak to prove anything, as those of JXSE
}

// trusted reports whether the last certificate is a root or signed by one.
func (c *Credential) trusted(roots []*x509.Certificate) bool {
	last := c.Chain[len(c.Chain)-1]
	for _, root := range roots {
		if last.Equal(root) || signedBy(last, root) {
			return true
		}
	}
	return false
}

// signedBy reports whether a certificate is signed with the key of another. The
// certificates of JXSE are of no authority as X.509 has it, and signed over SHA-1.
func signedBy(x, by *x509.Certificate) bool {
	switch x.SignatureAlgorithm {
	case x509.SHA1WithRSA:
		return verifySignature(by.PublicKey, x.RawTBSCertificate, x.Signature, false) == nil
	case x509.PureEd25519:
		return verifySignature(by.PublicKey, x.RawTBSCertificate, x.Signature, true) == nil
	}
	return by.CheckSignature(x.SignatureAlgorithm, x.RawTBSCertificate, x.Signature) == nil
}

func verifySignature(pub crypto.PublicKey, msg, sig []byte, ed bool) error {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		sum := sha1.Sum(msg)
		if ed || rsa.VerifyPKCS1v15(pub, crypto.SHA1, sum[:], sig) != nil {
			return ErrSignature
		}
	case ed25519.PublicKey:
		if !ed || !ed25519.Verify(pub, msg, sig) {
			return ErrSignature
		}
	default:
		return fmt.Errorf("%w: a key of type %T", ErrSignature, pub)
	}
	return nil
}

// mapCertificate describes what a certificate credential has beside the IDs. The
// signature comes last, as the reader of JXSE wants it.
func (c *Credential) mapCertificate(m *xmldoc.Mapper) {
	chain := &holder{list: c.Chain}
	m.EmbedAs("Certificate", chain)
	if m.Reading() {
		if c.Chain = chain.list; len(c.Chain) == 0 {
			m.Fail(errors.New("no certificate"))
		}
	}
	sig := wrap(c.signature)
	m.Optional("Signature", &sig)
	if !m.Reading() {
		return
	}
	var err error
	if c.signature, err = unwrap(sig, maxSignature); err != nil {
		m.Fail(fmt.Errorf("signature: %w", err))
	}
}

// holder is the certificates of a chain, each in the one before, jxta:cert.
type holder struct{ list []*x509.Certificate }

// Map implements [xmldoc.Document].
func (h *holder) Map(m *xmldoc.Mapper) {
	m.Root("jxta:cert")
	m.Type("jxta:cert")
	h.one(m, 0)
}

func (h *holder) one(m *xmldoc.Mapper, at int) {
	var text string
	if !m.Reading() {
		if at >= len(h.list) {
			m.Fail(errors.New("no certificate"))
			return
		}
		text = wrap(h.list[at].Raw)
	}
	m.Self(&text)
	more := at+1 < len(h.list)
	if m.Reading() {
		der, err := unwrap(text, maxCertificate)
		if err != nil {
			m.Fail(err)
			return
		}
		x, err := x509.ParseCertificate(der)
		if err != nil {
			m.Fail(fmt.Errorf("certificate: %w", err))
			return
		}
		if h.list = append(h.list, x); len(h.list) > maxChain {
			m.Fail(fmt.Errorf("more than %d certificates", maxChain))
			return
		}
	}
	m.OptionalElement("Issuer", &more, func(m *xmldoc.Mapper) {
		kind := "jxta:cert"
		m.Attr("type", &kind)
		h.one(m, at+1)
	})
}

// wrap writes base64 in lines.
func wrap(b []byte) string {
	s := base64.StdEncoding.EncodeToString(b)
	var out strings.Builder
	for len(s) > lineLength {
		out.WriteString(s[:lineLength])
		out.WriteByte('\n')
		s = s[lineLength:]
	}
	out.WriteString(s)
	return out.String()
}

// unwrap reads base64 with any blanks in it.
func unwrap(s string, most int) ([]byte, error) {
	if len(s) > 2*most {
		return nil, fmt.Errorf("%d characters, %d octets are the limit", len(s), most)
	}
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
}

// distinguished prints the subject as Java does, the last part first.
func distinguished(x *x509.Certificate) string {
	var all pkix.RDNSequence
	if _, err := asn1.Unmarshal(x.RawSubject, &all); err != nil {
		return x.Subject.String()
	}
	var parts []string
	for _, part := range slices.Backward(all) {
		parts = append(parts, pkix.RDNSequence{part}.String())
	}
	return strings.Join(parts, ", ")
}
