package governance

import (
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/hpke"
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// cardContext begins what members sign of their cards.
const cardContext = "juxta governance card 1\x00"

// card is a fresh key of a member for receiving secrets, signed with its
// identity: an Ed25519 key cannot be encrypted to.
type card struct {
	key    []byte // of the identity
	public []byte // X25519
	sig    []byte
}

// desk is a member's own card with what opens what is sealed to it.
type desk struct {
	card    card
	private hpke.PrivateKey
}

func newDesk(group id.Group, i *identity.Identity) (*desk, error) {
	key, err := ecdh.X25519().GenerateKey(crand.Reader)
	if err != nil {
		return nil, fmt.Errorf("governance: %w", err)
	}
	d := &desk{card: card{key: i.SPKI(), public: key.PublicKey().Bytes()}}
	if d.private, err = hpke.NewDHKEMPrivateKey(key); err != nil {
		return nil, fmt.Errorf("governance: %w", err)
	}
	if d.card.sig, err = i.Sign(d.card.signed(group)); err != nil {
		return nil, fmt.Errorf("governance: %w", err)
	}
	return d, nil
}

func (c *card) signed(group id.Group) []byte {
	return slices.Concat([]byte(cardContext), []byte(group.String()), []byte{0}, c.public)
}

// verify reports whether the card is that of the peer, for the group.
func (c *card) verify(group id.Group, p id.Peer) error {
	if !p.Proves(c.key) {
		return fmt.Errorf("card: %w", identity.ErrOtherKey)
	}
	key, err := identity.ParseKey(c.key)
	if err != nil {
		return err
	}
	if err := identity.Verify(key, c.signed(group), c.sig); err != nil {
		return fmt.Errorf("card: %w: %w", ErrSignature, err)
	}
	return nil
}

// purposes of what is sealed to a card; they end up in what ties the sealed text
// to the group and to the nonce of the question.
const (
	purposeRequest = "juxta governance key request 1\x00"
	purposeGrant   = "juxta governance key grant 1\x00"
)

func sealInfo(purpose string, group id.Group, nonce []byte) []byte {
	return slices.Concat([]byte(purpose), []byte(group.String()), []byte{0}, nonce)
}

// seal seals to whoever has the card.
func (c *card) seal(purpose string, group id.Group, nonce, plaintext []byte) ([]byte, error) {
	point, err := ecdh.X25519().NewPublicKey(c.public)
	if err != nil {
		return nil, err
	}
	to, err := hpke.NewDHKEMPublicKey(point)
	if err != nil {
		return nil, err
	}
	return hpke.Seal(to, hpke.HKDFSHA256(), hpke.AES256GCM(), sealInfo(purpose, group, nonce), plaintext)
}

// open opens what was sealed to the desk's card.
func (d *desk) open(purpose string, group id.Group, nonce, sealed []byte) ([]byte, error) {
	return hpke.Open(d.private, hpke.HKDFSHA256(), hpke.AES256GCM(), sealInfo(purpose, group, nonce), sealed)
}

// describe is the part of a document that a card is.
func (c *card) describe(m *xmldoc.Mapper) {
	key, public, sig := octets(c.key), octets(c.public), octets(c.sig)
	m.Value("Key", &key)
	m.Value("Public", &public)
	m.Value("Signature", &sig)
	if len(key) > maxKey || len(public) != 32 || len(sig) > maxSignature {
		m.Fail(fmt.Errorf("%w card", ErrMalformed))
	}
	c.key, c.public, c.sig = key, public, sig
}

// hintOf tells members, and nobody who does not know the group's ID, that a
// question is about the group.
func hintOf(group id.Group, nonce []byte) (hint [16]byte) {
	h := hmac.New(sha256.New, []byte("juxta governance hint 1\x00"+group.String()))
	h.Write(nonce)
	copy(hint[:], h.Sum(nil))
	return hint
}

// sameness tells two members that they have the same epoch, and nobody else.
func (e *Epoch) sameness(nonce []byte) (tag [16]byte) {
	key := e.derive("sameness")
	h := hmac.New(sha256.New, key[:])
	h.Write(nonce)
	copy(tag[:], h.Sum(nil))
	return tag
}

// rankOf orders those who could make an epoch, differently for each number.
func rankOf(number uint64, p id.Peer) Hash {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], number)
	if m, ok := markOf(p); ok {
		return HashOf(append(b[:], m[:]...))
	}
	return HashOf(append(b[:], p.Unique()...))
}
