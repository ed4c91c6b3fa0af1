package governance

import (
	"crypto/cipher"
	crand "crypto/rand"
	"encoding/binary"

	"golang.org/x/crypto/chacha20poly1305"
)

// What is sealed is sealed with XChaCha20-Poly1305, whose nonces are long enough to be
// drawn by chance for as many messages as anybody will send with one secret.
const (
	nonceSize = chacha20poly1305.NonceSizeX
	tagSize   = chacha20poly1305.Overhead
)

// newSealer returns what seals with a key.
func newSealer(key [chacha20poly1305.KeySize]byte) cipher.AEAD {
	s, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		return nil // unreachable: the length is right
	}
	return s
}

// Sealed is by how many octets a sealed message is longer: the number of the
// epoch, the nonce, and what shows that it was not altered.
const Sealed = 8 + nonceSize + tagSize

// seal writes the number of the epoch, a nonce and the sealed text.
func (e *held) seal(plaintext, aad []byte) []byte {
	out := make([]byte, 8+nonceSize, len(plaintext)+Sealed)
	binary.BigEndian.PutUint64(out, e.number)
	_, _ = crand.Read(out[8:])
	return e.sealer.Seal(out, out[8:], plaintext, bound(out[:8], aad))
}

// open is the other direction; sealed has at least Sealed octets.
func (e *held) open(sealed, aad []byte) ([]byte, error) {
	nonce, text := sealed[8:8+nonceSize], sealed[8+nonceSize:]
	return e.sealer.Open(make([]byte, 0, len(text)-tagSize), nonce, text, bound(sealed[:8], aad))
}

// bound ties the number of the epoch to what is sealed.
func bound(number, aad []byte) []byte {
	b := make([]byte, 0, len(number)+len(aad))
	return append(append(b, number...), aad...)
}
