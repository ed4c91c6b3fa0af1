package governance

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	crand "crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// epochContext begins what makers of epochs sign.
const epochContext = "juxta governance epoch 1\x00"

// Errors of closed groups.
var (
	// ErrNoKey: this member has no secret of the group yet.
	ErrNoKey = errors.New("no secret of the group yet")
	// ErrStale: it is sealed with a secret that is no longer in use.
	ErrStale = errors.New("sealed with a secret no longer in use")
	// ErrSealed: it was not sealed with the group's secret, or was altered.
	ErrSealed = errors.New("not sealed with the group's secret")
	// ErrMaker: the secret was made by one who may not.
	ErrMaker = errors.New("made by one who may not")
)

// EpochError says that something is sealed with a later secret than those this
// member has, or that somebody says so: anybody can write the number.
type EpochError struct{ Number uint64 }

// Error implements error.
func (e *EpochError) Error() string {
	return fmt.Sprintf("governance: sealed in epoch %d, which is not known", e.Number)
}

// Epoch is one secret of a closed group and the time of its use. A new one is
// made when a member is excluded, who keeps the old one and does not get the new.
// It must not be changed. Whoever has it is a member: it is neither printed nor
// logged.
type Epoch struct {
	number uint64
	group  id.Group
	key    [32]byte
	made   time.Time
	maker  []byte // public key

	// credential is what its maker shows, for those who do not know it as a
	// moderator.
	credential xmldoc.Node

	// covers are the exclusions that its maker knew.
	covers []Brief

	doc []byte // as signed
	sig []byte
}

// NewEpoch makes a secret with a number, which covers the exclusions named.
// credential may be zero if the maker is a moderator.
func NewEpoch(group id.Group, number uint64, maker *identity.Identity, credential xmldoc.Node, covers []Brief, now time.Time) (*Epoch, error) {
	e := &Epoch{
		number: number, group: group, made: now.Truncate(time.Millisecond).UTC(), maker: maker.SPKI(),
		credential: credential, covers: slices.Clone(covers),
	}
	if len(e.covers) > maxCovered {
		e.covers = e.covers[len(e.covers)-maxCovered:]
	}
	_, _ = crand.Read(e.key[:])
	var err error
	if e.doc, err = xmldoc.Marshal((*epochTerms)(e)); err != nil {
		return nil, fmt.Errorf("governance: epoch: %w", err)
	}
	if e.sig, err = maker.Sign(e.signed()); err != nil {
		return nil, fmt.Errorf("governance: epoch: %w", err)
	}
	return e, nil
}

// ReadEpoch reads the printed form of an epoch and verifies its maker's
// signature. Whether the maker may make one is not asked.
func ReadEpoch(b []byte, group id.Group) (*Epoch, error) {
	e := new(Epoch)
	if err := xmldoc.Unmarshal(b, e); err != nil {
		return nil, fmt.Errorf("governance: epoch: %w", err)
	}
	if e.group != group {
		return nil, fmt.Errorf("governance: epoch %w", ErrGroup)
	}
	if err := identity.Verify(publicKey(e.maker), e.signed(), e.sig); err != nil {
		return nil, fmt.Errorf("governance: epoch: %w: %w", ErrSignature, err)
	}
	return e, nil
}

// Marshal returns the printed form, which holds the secret.
func (e *Epoch) Marshal() ([]byte, error) { return xmldoc.Marshal(e) }

// Number returns the number, from 1 on.
func (e *Epoch) Number() uint64 { return e.number }

// Maker returns the public key of its maker, and Made when it was made.
func (e *Epoch) Maker() []byte { return e.maker }

// Made returns when it was made.
func (e *Epoch) Made() time.Time { return e.made }

// Hash tells epochs apart; it does not give away the secret.
func (e *Epoch) Hash() Hash { return HashOf(e.doc) }

// Covers reports whether its maker knew an exclusion.
func (e *Epoch) Covers(exclusion ID) bool { return slices.Contains(e.covers, exclusion.Brief()) }

// String tells the number and nothing of the secret.
func (e *Epoch) String() string { return fmt.Sprintf("epoch %d", e.number) }

// Format implements [fmt.Formatter]: no verb prints the secret.
func (e *Epoch) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.String())) }

// Before reports whether e gives way to o: to a higher number, and of two with
// the same number, which two halves of a divided group make, to the lower hash.
func (e *Epoch) Before(o *Epoch) bool {
	a, b := e.Hash(), o.Hash()
	return cmp.Or(cmp.Compare(e.number, o.number), bytes.Compare(b[:], a[:])) < 0
}

// derive makes a secret for one purpose of the epoch's.
func (e *Epoch) derive(purpose string) [32]byte {
	h := hmac.New(sha256.New, e.key[:])
	h.Write([]byte("juxta closed group "))
	h.Write([]byte(purpose))
	return [32]byte(h.Sum(nil))
}

// Address is the group ID under which members address each other on the wire
// while the epoch lasts. It follows from the secret, so that nobody else knows
// which group it stands for, or whether two of them stand for the same.
func (e *Epoch) Address() id.Group {
	tag := e.derive("address")
	return id.GroupFromSeed(id.Group{}, tag[:16])
}

func (e *Epoch) signed() []byte {
	return slices.Concat([]byte(epochContext), []byte(e.group.String()), []byte{0}, e.doc)
}

// Map implements [xmldoc.Document].
func (e *Epoch) Map(m *xmldoc.Mapper) {
	m.Root("juxta:SignedEpoch")
	doc, sig := octets(e.doc), octets(e.sig)
	m.Value("Epoch", &doc)
	m.Value("Signature", &sig)
	if !m.Reading() || m.Err() != nil {
		return
	}
	if len(doc) > maxEpoch || len(sig) > maxSignature {
		m.Fail(fmt.Errorf("epoch: %w", ErrTooLarge))
		return
	}
	m.Fail(xmldoc.Unmarshal(doc, (*epochTerms)(e)))
	e.doc, e.sig = doc, sig
}

// epochTerms are what an epoch says.
type epochTerms Epoch

// Map implements [xmldoc.Document].
func (e *epochTerms) Map(m *xmldoc.Mapper) {
	m.Root("juxta:Epoch")
	number, made := int64(min(e.number, maxNumber+1)), millis(e.made) // bounded
	key, maker, covers := octets(e.key[:]), octets(e.maker), octets(joinBriefs(e.covers))
	m.Value("Group", &e.group)
	m.Int("Number", &number)
	m.Int("Time", &made)
	m.Value("Key", &key)
	m.Value("Maker", &maker)
	m.OptionalValue("Covers", &covers)
	m.Node("Credential", &e.credential)
	if m.Err() != nil {
		return
	}
	if number < 1 || number > maxNumber || len(key) != len(e.key) || len(maker) > maxKey || e.credential.Size() > maxCredential {
		m.Fail(fmt.Errorf("%w epoch", ErrMalformed))
		return
	}
	if _, err := identity.ParseKey(maker); err != nil {
		m.Fail(err)
		return
	}
	if !m.Reading() {
		return
	}
	var err error
	if e.made, err = clock(made); err != nil {
		m.Fail(err)
	}
	if e.covers, err = cutBriefs(covers); err != nil {
		m.Fail(err)
	} else if len(e.covers) > maxCovered {
		m.Fail(fmt.Errorf("covered exclusions: %w", ErrTooLarge))
	}
	e.number, e.maker = uint64(number), maker
	copy(e.key[:], key)
}
