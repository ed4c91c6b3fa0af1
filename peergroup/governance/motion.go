package governance

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// actContext begins what moderators sign, so that no other signature can pass
// for theirs; the group's ID follows, so that none counts in another group.
const actContext = "juxta governance act 1\x00"

// Signature is one moderator's consent.
type Signature struct {
	Key   Hash // of the moderator's public key
	Value []byte
}

// Motion is an act with the signatures it has so far: a proposal until there
// are enough. It is immutable and safe for concurrent use.
type Motion struct {
	id   ID
	act  Act
	doc  []byte      // as signed
	sigs []Signature // in order of Key, each key once
}

// NewMotion prints the act and signs it, as its author. Group, Author, Time and
// Random are filled in if they are not set. The error wraps [ErrMalformed] or
// [ErrTooLarge] if the act is not in order.
func NewMotion(group id.Group, author *identity.Identity, act Act, random [16]byte, now time.Time) (*Motion, error) {
	act.Group, act.Author = group, HashOf(author.SPKI())
	act.Key = slices.Clone(act.Key)
	if act.Time.IsZero() {
		act.Time = now
	}
	act.Time = act.Time.Truncate(time.Millisecond).UTC()
	if !act.From.IsZero() {
		act.From = act.From.Truncate(time.Millisecond).UTC()
	}
	if act.Random == [16]byte{} {
		act.Random = random
	}
	doc, err := xmldoc.Marshal(&act)
	if err != nil {
		return nil, fmt.Errorf("governance: %w", err)
	}
	m, err := readAct(doc)
	if err != nil {
		return nil, fmt.Errorf("governance: %w", err)
	}
	return m.Sign(author)
}

// readAct makes a motion without signatures of an act's document.
func readAct(doc []byte) (*Motion, error) {
	m := &Motion{doc: doc, id: ID(HashOf(doc))}
	if len(doc) > maxDismissal {
		return nil, fmt.Errorf("act: %w", ErrTooLarge)
	}
	if err := xmldoc.Unmarshal(doc, &m.act); err != nil {
		return nil, err
	}
	if len(doc) > m.act.limit() {
		return nil, fmt.Errorf("act: %w", ErrTooLarge)
	}
	return m, nil
}

// ReadMotion reads the printed form of a motion. Signatures are not verified.
func ReadMotion(b []byte) (*Motion, error) {
	m := new(Motion)
	if err := xmldoc.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("governance: %w", err)
	}
	return m, nil
}

// Map implements [xmldoc.Document].
func (m *Motion) Map(x *xmldoc.Mapper) { x.Fail(m.parts(x)) }

// parts describes the document, and returns what is wrong with an act that was read.
func (m *Motion) parts(x *xmldoc.Mapper) error {
	x.Root("juxta:Motion")
	doc := octets(m.doc)
	x.Value("Act", &doc)
	xmldoc.Each(x, "Signature", MaxSigners, &m.sigs, mapSignature)
	if !x.Reading() || x.Err() != nil {
		return nil
	}
	read, err := readAct(doc)
	if err != nil {
		return err
	}
	m.id, m.act, m.doc = read.id, read.act, read.doc
	m.sigs = slices.Clone(m.sigs)
	slices.SortStableFunc(m.sigs, bySigner)
	m.sigs = slices.CompactFunc(m.sigs, func(a, b Signature) bool { return a.Key == b.Key })
	return nil
}

// carried is a motion in a message: if its act is not in order, the others of
// the message are taken all the same.
type carried struct {
	Motion
	bad error
}

// Map implements [xmldoc.Document].
func (c *carried) Map(x *xmldoc.Mapper) { c.bad = c.parts(x) }

func mapSignature(x *xmldoc.Mapper, s *Signature) {
	value := octets(s.Value)
	x.Value("Key", &s.Key)
	x.Value("Value", &value)
	if len(value) > maxSignature {
		x.Fail(fmt.Errorf("signature: %w", ErrTooLarge))
	}
	if x.Reading() { // what is written others may be reading
		s.Value = value
	}
}

// Marshal returns the printed form.
func (m *Motion) Marshal() ([]byte, error) { return xmldoc.Marshal(m) }

// ID returns the ID of the act.
func (m *Motion) ID() ID { return m.id }

// Act returns the act. What it points to must not be changed.
func (m *Motion) Act() Act { return m.act }

// Signers returns the hashes of the keys that signed, in order of the hash. For
// motions that a service or [Fold] holds they have been verified.
func (m *Motion) Signers() []Hash {
	list := make([]Hash, len(m.sigs))
	for i, s := range m.sigs {
		list[i] = s.Key
	}
	return list
}

// Sign returns the motion with one more signature.
func (m *Motion) Sign(by *identity.Identity) (*Motion, error) {
	sig, err := by.Sign(m.signed())
	if err != nil {
		return nil, fmt.Errorf("governance: %w", err)
	}
	return m.with(Signature{HashOf(by.SPKI()), sig}), nil
}

// with returns the motion with the signatures added whose keys have not signed.
func (m *Motion) with(more ...Signature) *Motion {
	c := *m
	c.sigs = slices.Clone(m.sigs)
	for _, s := range more {
		if i, ok := slices.BinarySearchFunc(c.sigs, s, bySigner); !ok {
			c.sigs = slices.Insert(c.sigs, i, s)
		}
	}
	return &c
}

func (m *Motion) hasSigner(k Hash) bool {
	_, ok := slices.BinarySearchFunc(m.sigs, Signature{Key: k}, bySigner)
	return ok
}

// signed returns what signatures are made over.
func (m *Motion) signed() []byte {
	return slices.Concat([]byte(actContext), []byte(m.act.Group.String()), []byte{0}, m.doc)
}

// verify reports whether a signature is that of the key.
func (m *Motion) verify(s Signature, key crypto.PublicKey) error {
	if err := identity.Verify(key, m.signed(), s.Value); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return nil
}

// size is roughly how many octets the motion has in a message.
func (m *Motion) size() int {
	n := len(m.doc)*4/3 + 128
	for _, s := range m.sigs {
		n += len(s.Value)*4/3 + 160
	}
	return n
}

// stamp tells states of the motion apart: it is a hash of its signers. Values of
// signatures do not count, of which one key can make many.
func (m *Motion) stamp() (s [8]byte) {
	h := sha256.New()
	for _, sig := range m.sigs {
		h.Write(sig.Key[:])
	}
	copy(s[:], h.Sum(nil))
	return s
}

func bySigner(a, b Signature) int { return bytes.Compare(a.Key[:], b.Key[:]) }

// inOrder compares motions by time, then by ID: the order of the fold.
func inOrder(a, b *Motion) int {
	return cmp.Or(a.act.Time.Compare(b.act.Time), bytes.Compare(a.id[:], b.id[:]))
}
