// Package identity holds what makes a peer that peer: a key, and everything that
// follows from it. The peer ID is made of the key (cbid), so that whoever holds
// the key can prove the ID and nobody else can; a self-signed certificate carries
// the key into TLS.
//
// An [Identity] is made once, kept in the peer's home folder by [LoadOrCreate] and
// never changes; [Rotate] replaces it by another and leaves a [Handover] that says so,
// signed by both keys. The kept key may be encrypted, see [Config]. [VerifyPeer] is the other side: whether a certificate belongs to
// the peer ID somebody goes by. IDs that Java peers made up (uuid) work like
// others, but nothing can prove them.
package identity

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
)

// Algorithm says what kind of key an identity has.
type Algorithm uint8

const (
	// Ed25519 is the default: made in microseconds, 64-octet signatures.
	Ed25519 Algorithm = iota

	// RSA2048 is for peers of groups whose Java members check signatures: JXSE
	// 2.7 drops routed messages whose ID is not made of an RSA key. Making one
	// takes tens of milliseconds, on small devices seconds.
	RSA2048
)

// String returns the usual name, "Ed25519" or "RSA-2048".
func (a Algorithm) String() string {
	switch a {
	case Ed25519:
		return "Ed25519"
	case RSA2048:
		return "RSA-2048"
	}
	return fmt.Sprintf("algorithm %d", uint8(a))
}

const (
	// lifetime of a certificate, in years. It is a formality: the key is the
	// identity, and VerifyPeer does not look at the dates.
	lifetime = 20

	// backdate lets the certificate be valid for peers whose clock is behind.
	backdate = 24 * time.Hour

	rsaBits = 2048
)

// Identity is a peer's key with what is made of it. It is immutable and safe for
// concurrent use; make it with [New], [Load] or [LoadOrCreate]. Printing one shows
// the peer ID, never the key.
type Identity struct {
	key  crypto.Signer
	peer id.Peer
	cert tls.Certificate // Leaf is set
}

// New makes an identity with a fresh key. The error tells of an unknown algorithm.
func New(alg Algorithm) (*Identity, error) {
	var key crypto.Signer
	var err error
	switch alg {
	case Ed25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case RSA2048:
		key, err = rsa.GenerateKey(rand.Reader, rsaBits)
	default:
		err = errors.New("unknown")
	}
	if err != nil {
		return nil, fmt.Errorf("identity: making an %s key: %w", alg, err)
	}
	der, err := certify(key)
	if err != nil {
		return nil, fmt.Errorf("identity: making the certificate: %w", err)
	}
	i, err := assemble(key, der)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return i, nil
}

// certify makes the self-signed certificate of the key. It names the peer twice:
// for people by the fingerprint, since X.509 allows names of 64 characters only,
// and for programs by the URN.
func certify(key crypto.Signer) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	urn, err := url.Parse(id.PeerFromKey(spki).String())
	if err != nil {
		return nil, err
	}
	now := time.Now()
	cert := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Juxta peer " + Fingerprint(spki)},
		URIs:                  []*url.URL{urn},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.AddDate(lifetime, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	return x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
}

// assemble makes the identity of a key and its certificate, which must belong together.
func assemble(key crypto.Signer, der []byte) (*Identity, error) {
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(leaf.PublicKey) {
		return nil, errors.New("the certificate is of another key")
	}
	p := id.PeerFromKey(leaf.RawSubjectPublicKeyInfo)
	if err := VerifyPeer(p, leaf); err != nil {
		return nil, err
	}
	return &Identity{
		key:  key,
		peer: p,
		cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf},
	}, nil
}

// Peer returns the peer ID made of the key: a cbid of the World group, as JXSE 2.7
// makes it.
func (i *Identity) Peer() id.Peer { return i.peer }

// PublicKey returns the public key, an [ed25519.PublicKey] or *[rsa.PublicKey].
// It must not be altered.
func (i *Identity) PublicKey() crypto.PublicKey { return i.cert.Leaf.PublicKey }

// SPKI returns the DER form of the public key (SubjectPublicKeyInfo), of which the
// peer ID is made.
func (i *Identity) SPKI() []byte { return slices.Clone(i.cert.Leaf.RawSubjectPublicKeyInfo) }

// Certificate returns the self-signed certificate with its key, fit for TLS 1.3 as
// client and as server. Leaf is set. Its parts must not be altered.
func (i *Identity) Certificate() tls.Certificate { return i.cert }

// Fingerprint returns the [Fingerprint] of the public key.
func (i *Identity) Fingerprint() string { return Fingerprint(i.cert.Leaf.RawSubjectPublicKeyInfo) }

// Sign signs the message: Ed25519, or RSA PKCS #1 v1.5 over SHA-256 as JXSE 2.7
// signs messages. [Verify] checks it. What is signed should begin with a text that
// names its purpose, so that a signature made for one cannot serve another.
func (i *Identity) Sign(msg []byte) ([]byte, error) {
	var sig []byte
	var err error
	if _, ok := i.key.(*rsa.PrivateKey); ok {
		sum := sha256.Sum256(msg)
		sig, err = i.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	} else {
		sig, err = i.key.Sign(rand.Reader, msg, crypto.Hash(0))
	}
	if err != nil {
		return nil, fmt.Errorf("identity: signing: %w", err)
	}
	return sig, nil
}

// String returns the peer ID.
func (i *Identity) String() string { return i.peer.String() }

// Format implements [fmt.Formatter]: every verb prints the peer ID, so that none
// shows the key.
func (i *Identity) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, i.String()) }

// LogValue implements [slog.LogValuer]: logs show the short form of the peer ID.
func (i *Identity) LogValue() slog.Value { return i.peer.LogValue() }

const (
	fingerprintOctets = 10 // 80 bits, 16 letters
	fingerprintGroup  = 4
)

// Fingerprint returns a text of four groups of four letters and digits, such as
// "Q5JZ-2K7M-XKPA-44ND", by which people compare keys over the phone. It is the
// start of the SHA-256 of the DER form of the public key.
func Fingerprint(spki []byte) string {
	sum := sha256.Sum256(spki)
	text := base32.StdEncoding.EncodeToString(sum[:fingerprintOctets])
	var groups []string
	for g := range slices.Chunk([]byte(text), fingerprintGroup) {
		groups = append(groups, string(g))
	}
	return strings.Join(groups, "-")
}
