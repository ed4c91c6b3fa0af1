package advertisements

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1" // JXSE signs advertisements over it
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Errors of signed advertisements.
var (
	// ErrUnsigned: there is no signature where one is wanted.
	ErrUnsigned = errors.New("not signed")
	// ErrSignature: the signature is not that of the credential's key over the payload.
	ErrSignature = errors.New("wrong signature of an advertisement")
	// ErrPayload: what was signed is no advertisement, or another than it says.
	ErrPayload = errors.New("unusable payload of a signed advertisement")
	// ErrNotOwner: an advertisement by which a peer describes itself was signed by another.
	ErrNotOwner = errors.New("signed by another peer than the one it describes")
)

const (
	// payloadLine is the length of a line of base64.
	payloadLine = 76

	// maxSignature bounds a signature in octets: that of the longest RSA key in use.
	maxSignature = 1024
)

// Signed is an advertisement with the signature of a peer and its credential in a
// group: jxta:SA. Make it with [Sign]. One that was read has the signature checked,
// before anything looked into the payload; whether the signer is worth anything
// tells [Signed.Open]. It is immutable and safe for concurrent use.
//
// Like the payload it is found by the fields of the payload, but among [Advs] whatever
// the payload is: JXSE keeps it there, without fields, and finds it only when it asks
// for everything.
//
// The signature is over the octets of the payload: Ed25519, or SHA1withRSA as JXSE 2.5
// and 2.7 write. SHA-1 does not protect from a signer who wants to have signed two
// texts with one signature; it still takes the signer.
type Signed struct {
	credential *credential.Credential
	signature  []byte
	payload    []byte
	adv        Advertisement // the payload, read

	registry *Registry // that reads the payload; nil means the standard one
}

// Sign signs an advertisement. The credential is the signer's in the group where it is
// to be published, made with [credential.Sign], of the same identity. Advertisements
// cannot be signed twice over. The error wraps [ErrPayload], [ErrSignature] if the
// credential is of another key, or tells of an advertisement that cannot be written.
func Sign(adv Advertisement, signer *identity.Identity, c *credential.Credential) (*Signed, error) {
	if _, twice := adv.(*Signed); adv == nil || twice {
		return nil, fmt.Errorf("advertisements: %w: nothing that can be signed", ErrPayload)
	}
	if c == nil || len(c.Chain) == 0 || !bytes.Equal(c.Chain[0].RawSubjectPublicKeyInfo, signer.SPKI()) {
		return nil, fmt.Errorf("advertisements: %w: the credential is not the signer's", ErrSignature)
	}
	payload, err := Marshal(adv)
	if err != nil {
		return nil, err
	}
	if payload[len(payload)-1] != '\n' {
		payload = append(payload, '\n')
	}
	key, ok := signer.Certificate().PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("advertisements: a key of type %T cannot sign", signer.Certificate().PrivateKey)
	}
	s := &Signed{credential: c, payload: payload, adv: adv}
	if _, ok := key.Public().(ed25519.PublicKey); ok {
		s.signature, err = key.Sign(nil, payload, crypto.Hash(0))
	} else {
		sum := sha1.Sum(payload)
		s.signature, err = key.Sign(nil, sum[:], crypto.SHA1)
	}
	if err != nil {
		return nil, fmt.Errorf("advertisements: %w", err)
	}
	return s, nil
}

// DocType returns "jxta:SA".
func (*Signed) DocType() string { return "jxta:SA" }

// Key identifies the payload among those of the same signing key: nobody's signed
// version takes the place of another's.
func (s *Signed) Key() string {
	if s.adv == nil || s.credential == nil {
		return ""
	}
	inner, err := KeyOf(s.adv)
	if err != nil {
		return ""
	}
	return id.PeerFromKey(s.credential.Chain[0].RawSubjectPublicKeyInfo).Unique() + "/" + inner
}

// Indexed returns the names of the searchable children of the payload; see [Fields].
func (s *Signed) Indexed() []string {
	if x, ok := s.adv.(interface{ Indexed() []string }); ok {
		return x.Indexed()
	}
	return nil
}

// Payload returns a copy of the octets that were signed, a document with its prolog.
func (s *Signed) Payload() []byte { return bytes.Clone(s.payload) }

// Credential returns who says to have signed, not verified; it must not be changed.
func (s *Signed) Credential() *credential.Credential { return s.credential }

// Map implements [xmldoc.Document].
func (s *Signed) Map(m *xmldoc.Mapper) {
	m.Root(s.DocType())
	if !m.Reading() {
		s.write(m)
		return
	}
	var cred, adv xmldoc.Node
	var signature string
	m.Node("Credential", &cred)
	m.Filled("Signature", &signature)
	m.Node("Advertisement", &adv)
	if m.Err() != nil {
		return
	}
	m.Fail(s.read(cred, signature, adv))
}

func (s *Signed) write(m *xmldoc.Mapper) {
	if s.credential == nil || s.adv == nil {
		m.Fail(ErrUnsigned)
		return
	}
	m.EmbedAs("Credential", s.credential)
	signature := base64.StdEncoding.EncodeToString(s.signature)
	m.Filled("Signature", &signature)
	m.Element("Advertisement", func(m *xmldoc.Mapper) {
		kind, text := s.adv.DocType(), lines(s.payload)
		m.Attr("type", &kind)
		m.Self(&text)
	})
}

// read checks the signature, then reads the payload.
func (s *Signed) read(cred xmldoc.Node, signature string, adv xmldoc.Node) error {
	if cred.IsZero() || adv.IsZero() {
		return fmt.Errorf("%w: credential or advertisement %w", ErrUnsigned, xmldoc.ErrMissing)
	}
	var err error
	if s.credential, err = credential.Parse(cred); err != nil {
		return err
	}
	if s.credential.Kind != credential.Certificate || len(s.credential.Chain) == 0 {
		return fmt.Errorf("%w: a credential without a certificate", ErrUnsigned)
	}
	if len(signature) > 2*maxSignature {
		return fmt.Errorf("signature: %w", xmldoc.ErrLimit)
	}
	if s.signature, err = octets(signature); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if s.payload, err = octets(adv.Text()); err != nil {
		return fmt.Errorf("%w: %w", ErrPayload, err)
	}
	if err := verify(s.credential.Chain[0], s.payload, s.signature); err != nil {
		return err
	}
	said, _ := adv.Attr("type")
	return s.unpack(said)
}

// unpack reads the payload.
func (s *Signed) unpack(said string) error {
	n, err := xmldoc.ParseNode(s.payload)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPayload, err)
	}
	if kind, _ := n.Attr("type"); n.Name() != said && (said == "" || kind != said) {
		return fmt.Errorf("%w: %q instead of %q", ErrPayload, n.Name(), said)
	}
	reg := s.registry
	if reg == nil {
		reg = Standard()
	}
	if n.Holds(s.DocType()) {
		return fmt.Errorf("%w: signed twice over", ErrPayload)
	}
	if s.adv, err = reg.Decode(n); err != nil {
		return fmt.Errorf("%w: %w", ErrPayload, err)
	}
	if u, ok := s.adv.(*Unknown); ok {
		u.Bytes = s.payload
	}
	return nil
}

// verify checks the signature of an advertisement.
func verify(x *x509.Certificate, payload, signature []byte) error {
	pub, err := identity.ParseKey(x.RawSubjectPublicKeyInfo)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	switch pub := pub.(type) {
	case ed25519.PublicKey:
		if ed25519.Verify(pub, payload, signature) {
			return nil
		}
	case *rsa.PublicKey:
		sum := sha1.Sum(payload)
		if rsa.VerifyPKCS1v15(pub, crypto.SHA1, sum[:], signature) == nil {
			return nil
		}
	}
	return ErrSignature
}

// lines writes base64 in lines.
func lines(b []byte) string {
	text := base64.StdEncoding.EncodeToString(b)
	var out strings.Builder
	for len(text) > payloadLine {
		out.WriteString(text[:payloadLine])
		out.WriteByte('\n')
		text = text[payloadLine:]
	}
	out.WriteString(text)
	return out.String()
}

// octets reads base64 with any blanks in it.
func octets(text string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
}
