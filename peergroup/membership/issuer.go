package membership

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // names a key in a certificate, which is no secret
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
)

// Types of PEM blocks.
const (
	blockKey         = "PRIVATE KEY"
	blockCertificate = "CERTIFICATE"
	blockRequest     = "PUBLIC KEY"
	blockList        = "X509 CRL"
)

const (
	issuerYears = 20
	backdate    = time.Hour
	rsaBits     = 2048

	// organization is what JXSE writes into its certificates.
	organization = "www.jxta.org"
)

// Issuer is the key of a certificate group. Its holder, the founder, says who is a
// member. It must not be changed and is safe for concurrent use; printing one does not
// show the key.
type Issuer struct {
	key  crypto.Signer
	cert *x509.Certificate
}

// NewIssuer makes the key of a group, Ed25519 or, for groups that Java peers shall be
// in, RSA.
func NewIssuer(group string, alg identity.Algorithm) (*Issuer, error) {
	var key crypto.Signer
	var err error
	switch alg {
	case identity.Ed25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case identity.RSA2048:
		key, err = rsa.GenerateKey(rand.Reader, rsaBits)
	default:
		err = fmt.Errorf("%w: %s", ErrMalformed, alg)
	}
	if err != nil {
		return nil, fmt.Errorf("membership: the key of a group: %w", err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("membership: %w", err)
	}
	sum := sha1.Sum(spki)
	now := time.Now()
	cert := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{organization}, CommonName: clip(group) + "-CA"},
		NotBefore: now.Add(-backdate), NotAfter: now.AddDate(issuerYears, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		IsCA:     true, BasicConstraintsValid: true, SubjectKeyId: sum[:],
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("membership: the certificate of a group: %w", err)
	}
	x, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("membership: the certificate of a group: %w", err)
	}
	return &Issuer{key, x}, nil
}

// ReadIssuer reads what [Issuer.PEM] returned.
func ReadIssuer(b []byte) (*Issuer, error) {
	i := &Issuer{}
	err := eachBlock(b, func(kind string, der []byte) error {
		switch kind {
		case blockKey:
			k, err := x509.ParsePKCS8PrivateKey(der)
			if err != nil {
				return err
			}
			switch k := k.(type) {
			case *rsa.PrivateKey:
				i.key = k
			case ed25519.PrivateKey:
				i.key = k
			}
		case blockCertificate:
			var err error
			i.cert, err = x509.ParseCertificate(der)
			return err
		}
		return nil
	})
	if err == nil && (i.key == nil || i.cert == nil) {
		err = errors.New("a key and its certificate are needed")
	}
	if err == nil && !sameKey(i.key.Public(), i.cert.PublicKey) {
		err = errors.New("the certificate is of another key")
	}
	if err != nil {
		return nil, fmt.Errorf("membership: %w: the key of a group: %w", ErrMalformed, err)
	}
	return i, nil
}

// PEM returns the key and its certificate. Whoever has it rules the group.
func (i *Issuer) PEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		return nil, fmt.Errorf("membership: %w", err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: blockKey, Bytes: der}), encodeCertificates(i.cert)...), nil
}

// Certificate returns the group's own certificate; it must not be changed.
func (i *Issuer) Certificate() *x509.Certificate { return i.cert }

// String returns the name in the certificate.
func (i *Issuer) String() string { return i.cert.Subject.CommonName }

// Format implements [fmt.Formatter]: no verb shows the key.
func (i *Issuer) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, i.String()) }

// issue signs a certificate for a member of a group, which ends with the group's own
// at the latest.
func (i *Issuer) issue(group id.Group, to crypto.PublicKey, name string, now time.Time, term time.Duration) (*x509.Certificate, error) {
	if name == "" || len(name) > maxName || strings.ContainsAny(name, ",=+\"\\<>;") {
		return nil, fmt.Errorf("membership: %w: the name %q", ErrMalformed, clip(name))
	}
	if term <= 0 {
		return nil, fmt.Errorf("membership: %w: a term of %v", ErrMalformed, term)
	}
	spki, err := x509.MarshalPKIXPublicKey(to)
	if err == nil {
		to, err = identity.ParseKey(spki) // no key that cannot be verified with
	}
	if err != nil {
		return nil, fmt.Errorf("membership: the key of %q: %w", name, err)
	}
	var uris []*url.URL
	for _, urn := range []string{group.String(), id.PeerFromKey(spki).String()} {
		u, err := url.Parse(urn)
		if err != nil {
			return nil, fmt.Errorf("membership: %w", err)
		}
		uris = append(uris, u)
	}
	end := now.Add(term)
	if end.After(i.cert.NotAfter) || end.Before(now) {
		end = i.cert.NotAfter
	}
	cert := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{organization}, CommonName: name},
		NotBefore: now.Add(-backdate), NotAfter: end, KeyUsage: x509.KeyUsageDigitalSignature,
		URIs: uris, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, i.cert, to, i.key)
	if err != nil {
		return nil, fmt.Errorf("membership: the certificate of %q: %w", name, err)
	}
	x, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("membership: the certificate of %q: %w", name, err)
	}
	return x, nil
}

// Request returns the PEM of a peer's public key: what the founder of a group needs to
// invite it. It is no secret, but it must come to the founder unaltered; people compare
// its [identity.Fingerprint].
func Request(i *identity.Identity) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockRequest, Bytes: i.SPKI()})
}

// ReadRequest reads the public key of a request. The error wraps [ErrMalformed].
func ReadRequest(b []byte) (crypto.PublicKey, error) {
	var key crypto.PublicKey
	err := eachBlock(b, func(kind string, der []byte) (err error) {
		if kind == blockRequest && key == nil {
			key, err = identity.ParseKey(der)
		}
		return err
	})
	if err == nil && key == nil {
		err = errors.New("no public key")
	}
	if err != nil {
		return nil, fmt.Errorf("membership: %w: a request: %w", ErrMalformed, err)
	}
	return key, nil
}

// eachBlock calls f with each block of a PEM document.
func eachBlock(b []byte, f func(kind string, der []byte) error) error {
	if len(b) > maxList {
		return fmt.Errorf("%w: %d octets", ErrTooMany, len(b))
	}
	for {
		block, rest := pem.Decode(b)
		if block == nil {
			return nil
		}
		if err := f(block.Type, block.Bytes); err != nil {
			return err
		}
		b = rest
	}
}

// readCertificates reads the certificates of a PEM document, at most so many.
func readCertificates(b []byte, most int) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	err := eachBlock(b, func(kind string, der []byte) error {
		if kind != blockCertificate {
			return nil
		}
		if len(all) == most || len(der) > maxCertificate {
			return fmt.Errorf("%w: more or larger certificates than can be", ErrTooMany)
		}
		x, err := x509.ParseCertificate(der)
		all = append(all, x)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("membership: %w: %w", ErrMalformed, err)
	}
	return all, nil
}

func encodeCertificates(all ...*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, x := range all {
		_ = pem.Encode(&b, &pem.Block{Type: blockCertificate, Bytes: x.Raw}) // a buffer takes all
	}
	return b.Bytes()
}

func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// groupOf returns the group that a certificate names; ok is false if it names none.
func groupOf(x *x509.Certificate) (g id.Group, ok bool) {
	for _, u := range x.URIs {
		if g, err := id.ParseGroup(u.String()); err == nil {
			return g, true
		}
	}
	return id.Group{}, false
}
