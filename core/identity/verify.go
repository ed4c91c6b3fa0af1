package identity

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/juxta-p2p/juxta/core/id"
)

// Proof says how it is known that a peer ID belongs to whoever uses it.
type Proof uint8

const (
	// Claimed means that somebody says so: every ID of the uuid format, every ID
	// on a link without TLS, everything heard from third parties.
	Claimed Proof = iota

	// Proven means that the holder of the key the ID is made of has shown it.
	Proven
)

// String returns "claimed" or "proven".
func (p Proof) String() string {
	if p == Proven {
		return "proven"
	}
	return "claimed"
}

var (
	// ErrNotProven is a cause of every error of [VerifyPeer]: the peer ID is not
	// known to belong to the holder of the certificate.
	ErrNotProven = errors.New("peer ID not proven")

	// ErrUnprovable is the cause if the peer ID is not made of a key (uuid), so
	// that nothing can prove it. It may still be the peer it claims to be.
	ErrUnprovable = errors.New("the ID is not made of a key")

	// ErrOtherKey is the cause if the peer ID is made of another key.
	ErrOtherKey = errors.New("the ID is made of another key")

	// ErrKey is the cause if a public key is malformed, of a kind not in use here,
	// or of a length not accepted.
	ErrKey = errors.New("unacceptable key")

	// ErrSignature is the cause if a signature does not belong to message and key.
	ErrSignature = errors.New("wrong signature")
)

// ProofError tells why a certificate does not prove a peer ID. It wraps
// [ErrNotProven] and one of [ErrUnprovable], [ErrOtherKey], [ErrKey] and
// [ErrSignature].
type ProofError struct {
	Peer id.Peer // the ID to be proven
	Key  id.Peer // the ID that the certificate's key makes; zero if there is none
	Err  error
}

// Error implements error.
func (e *ProofError) Error() string {
	text := fmt.Sprintf("identity: peer ID %s not proven: %v", e.Peer, e.Err)
	if errors.Is(e.Err, ErrOtherKey) {
		text += fmt.Sprintf("; that of the certificate makes %s", e.Key)
	}
	return text
}

// Unwrap returns the causes.
func (e *ProofError) Unwrap() []error { return []error{ErrNotProven, e.Err} }

// VerifyPeer reports whether the certificate belongs to the peer: whether the ID
// is a cbid of its key, in whatever group, the key is strong enough (Ed25519, or
// RSA of 2048 to 8192 bits), and the certificate is signed with it, not over SHA-1.
// Names and dates are not looked at, since the ID is in the key and peers exist
// whose clock starts at 1970 each morning.
//
// It does not show that whoever sent the certificate holds the key; a TLS handshake
// or a signature checked with [Verify] does. The error is a [*ProofError].
func VerifyPeer(p id.Peer, cert *x509.Certificate) error {
	e := &ProofError{Peer: p}
	if cert == nil {
		e.Err = fmt.Errorf("%w: no certificate", ErrKey)
		return e
	}
	e.Key = id.PeerFromKey(cert.RawSubjectPublicKeyInfo)
	switch {
	case !p.Provable():
		e.Err = ErrUnprovable
		return e
	case !p.Proves(cert.RawSubjectPublicKeyInfo):
		e.Err = ErrOtherKey
		return e
	}
	if err := checkKey(cert.PublicKey, minProofBits); err != nil {
		e.Err = err
		return e
	}
	if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		e.Err = fmt.Errorf("%w of the certificate: %w", ErrSignature, err)
		return e
	}
	return nil
}

// Verify checks a signature that [Identity.Sign] made, or JXSE 2.7 for its messages
// (RSA PKCS #1 v1.5 over SHA-256, from 1024 bits). The key is an
// [ed25519.PublicKey] or *[rsa.PublicKey]. The error wraps [ErrSignature] or [ErrKey].
func Verify(pub crypto.PublicKey, msg, sig []byte) error {
	if err := checkKey(pub, minRSABits); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	ok := false
	switch k := pub.(type) {
	case ed25519.PublicKey:
		ok = ed25519.Verify(k, msg, sig)
	case *rsa.PublicKey:
		sum := sha256.Sum256(msg)
		ok = rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], sig) == nil
	}
	if !ok {
		return fmt.Errorf("identity: %w", ErrSignature)
	}
	return nil
}

// ParseKey reads the DER form of a public key (SubjectPublicKeyInfo) and returns an
// [ed25519.PublicKey] or *[rsa.PublicKey] fit for [Verify]. The error wraps [ErrKey].
func ParseKey(spki []byte) (crypto.PublicKey, error) {
	if len(spki) > maxSPKI {
		return nil, fmt.Errorf("identity: %w: %d octets", ErrKey, len(spki))
	}
	pub, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, fmt.Errorf("identity: %w: %w", ErrKey, err)
	}
	if err := checkKey(pub, minRSABits); err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return pub, nil
}

func checkKey(pub crypto.PublicKey, minBits int) error {
	switch k := pub.(type) {
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return fmt.Errorf("%w: Ed25519 of %d octets", ErrKey, len(k))
		}
	case *rsa.PublicKey:
		if k == nil || k.N == nil {
			return fmt.Errorf("%w: RSA without a modulus", ErrKey)
		}
		if n := k.N.BitLen(); n < minBits || n > maxRSABits {
			return fmt.Errorf("%w: RSA of %d bits, want %d to %d", ErrKey, n, minBits, maxRSABits)
		}
	default:
		return fmt.Errorf("%w: neither Ed25519 nor RSA", ErrKey)
	}
	return nil
}
