package identity

import (
	"crypto"
	"encoding/binary"
	"fmt"
)

// signedPrefix begins whatever is signed for a purpose, so that no such text is also
// one that [Identity.Sign] was asked to sign for something else: those begin with
// a letter or "<".
const signedPrefix = "\x00juxta signature 1\x00"

// SignFor signs the parts of a message for one purpose, named by the context such as
// "example.org/order 1". A signature made for one purpose, or of parts divided in
// another way, is of no use for another. [VerifyFor] checks it. The error tells of
// an empty context.
func (i *Identity) SignFor(context string, parts ...[]byte) ([]byte, error) {
	if context == "" {
		return nil, fmt.Errorf("identity: signing: %w", errContext)
	}
	return i.Sign(purposeful(context, parts))
}

// VerifyFor checks a signature that [Identity.SignFor] made. The key is an
// [ed25519.PublicKey] or *[rsa.PublicKey]. The error wraps [ErrSignature] or [ErrKey].
func VerifyFor(pub crypto.PublicKey, context string, sig []byte, parts ...[]byte) error {
	if context == "" {
		return fmt.Errorf("identity: %w: %w", ErrSignature, errContext)
	}
	return Verify(pub, purposeful(context, parts), sig)
}

// purposeful is what is signed: each text after its length.
func purposeful(context string, parts [][]byte) []byte {
	n := len(signedPrefix) + 8 + len(context)
	for _, p := range parts {
		n += 8 + len(p)
	}
	b := append(make([]byte, 0, n), signedPrefix...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(context)))
	b = append(b, context...)
	for _, p := range parts {
		b = binary.BigEndian.AppendUint64(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}
