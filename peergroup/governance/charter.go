package governance

import (
	"crypto"
	"fmt"
	"slices"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// charterContext begins what founders sign.
const charterContext = "juxta governance charter 1\x00"

// Unsigned says what members make of advertisements that nobody has signed.
type Unsigned string

// The rules for unsigned advertisements.
const (
	AcceptUnsigned Unsigned = ""       // take them, as JXTA does
	MarkUnsigned   Unsigned = "mark"   // take them, and show that they are unsigned
	RefuseUnsigned Unsigned = "refuse" // drop them
)

func (u Unsigned) valid() bool {
	return u == AcceptUnsigned || u == MarkUnsigned || u == RefuseUnsigned
}

// Moderator is one who may sign acts.
type Moderator struct {
	Key  []byte  // SubjectPublicKeyInfo, Ed25519 or RSA
	Peer id.Peer // an ID made of the key; zero is set to that of the World group
}

// ModeratorOf returns the moderator who holds the identity.
func ModeratorOf(i *identity.Identity) Moderator { return Moderator{Key: i.SPKI(), Peer: i.Peer()} }

// Hash returns the hash of the moderator's key.
func (m Moderator) Hash() Hash { return HashOf(m.Key) }

// Charter is with what a group begins. Whoever joins trusts the charter of the
// advertisement chosen: its founder is whoever signed it, which shows that it was
// not altered and no more. It must not be changed once it is signed.
type Charter struct {
	Group id.Group

	// Number counts the charters that a founder writes for a group; see [Charter.Replaces].
	Number int

	Mode       Mode // for the life of the group; empty is set to Open
	Quorum     int  // how many moderators must sign an act, from 1 to their number; 0 is set to 1
	Moderators []Moderator
	Unsigned   Unsigned

	founder []byte // key
	doc     []byte // as signed
	sig     []byte
}

// Sign returns the charter, with defaults filled in, signed by its founder, who
// need not be a moderator. The error wraps [ErrMalformed] if it is not in order.
func (c Charter) Sign(founder *identity.Identity) (*Charter, error) {
	if c.Mode == "" {
		c.Mode = Open
	}
	c.Quorum = max(c.Quorum, 1)
	c.Moderators = slices.Clone(c.Moderators)
	for i := range c.Moderators {
		if m := &c.Moderators[i]; m.Peer.IsZero() {
			m.Peer = id.PeerFromKey(m.Key)
		}
	}
	doc, err := xmldoc.Marshal((*terms)(&c))
	if err != nil {
		return nil, fmt.Errorf("governance: charter: %w", err)
	}
	c.doc, c.founder = doc, founder.SPKI()
	if c.sig, err = founder.Sign(c.signed()); err != nil {
		return nil, fmt.Errorf("governance: charter: %w", err)
	}
	return &c, nil
}

func (c *Charter) signed() []byte {
	return slices.Concat([]byte(charterContext), []byte(c.Group.String()), []byte{0}, c.doc)
}

// Founder returns the public key (SubjectPublicKeyInfo) of whoever signed the
// charter.
func (c *Charter) Founder() []byte { return c.founder }

// Hash names the charter: it is that of its document.
func (c *Charter) Hash() Hash { return HashOf(c.doc) }

// Replaces reports whether the charter is a later one of the same founder for
// the same group. Members do not take it by themselves: acts of the old one were
// decided by its moderators.
func (c *Charter) Replaces(old *Charter) bool {
	return c.Group == old.Group && string(c.founder) == string(old.founder) && c.Number > old.Number
}

// least is the quorum that acts cannot go below: where nobody could decide
// alone at the beginning, nobody ever can.
func (c *Charter) least() int { return min(c.Quorum, 2) }

// AddTo puts the charter into the group's advertisement.
func (c *Charter) AddTo(adv *advertisements.Group) error {
	if adv.ID != c.Group || c.sig == nil {
		return fmt.Errorf("governance: the charter is not signed, or %w", ErrGroup)
	}
	n, err := xmldoc.NodeOf(&charterParm{*c})
	if err != nil {
		return fmt.Errorf("governance: charter: %w", err)
	}
	adv.SetService(Class(), n)
	return nil
}

// CharterOf reads the charter in a group's advertisement and verifies the
// founder's signature. The error wraps [ErrNoCharter], [ErrMalformed],
// [ErrGroup] or [ErrSignature].
func CharterOf(adv *advertisements.Group) (*Charter, error) {
	n, ok := adv.Service(Class())
	if !ok {
		return nil, fmt.Errorf("governance: %w", ErrNoCharter)
	}
	return readCharter(n, adv.ID)
}

func readCharter(n xmldoc.Node, group id.Group) (*Charter, error) {
	var p charterParm
	if err := n.Decode(&p); err != nil {
		return nil, fmt.Errorf("governance: charter: %w: %w", ErrMalformed, err)
	}
	if p.Group != group {
		return nil, fmt.Errorf("governance: charter %w", ErrGroup)
	}
	key, err := identity.ParseKey(p.founder)
	if err != nil {
		return nil, fmt.Errorf("governance: charter: %w: %w", ErrMalformed, err)
	}
	if err := identity.Verify(key, p.signed(), p.sig); err != nil {
		return nil, fmt.Errorf("governance: charter: %w: %w", ErrSignature, err)
	}
	return &p.Charter, nil
}

// charterParm is the charter as it stands in an advertisement.
type charterParm struct{ Charter }

// Map implements [xmldoc.Document].
func (p *charterParm) Map(m *xmldoc.Mapper) {
	m.Root("Parm")
	doc, key, sig := octets(p.doc), octets(p.founder), octets(p.sig)
	m.Value("Charter", &doc)
	m.Value("Founder", &key)
	m.Value("Signature", &sig)
	if !m.Reading() || m.Err() != nil {
		return
	}
	if len(doc) > maxCharter || len(key) > maxKey || len(sig) > maxSignature {
		m.Fail(fmt.Errorf("charter: %w", ErrTooLarge))
		return
	}
	m.Fail(xmldoc.Unmarshal(doc, (*terms)(&p.Charter)))
	p.doc, p.founder, p.sig = doc, key, sig
}

// terms are what a charter says.
type terms Charter

// Map implements [xmldoc.Document].
func (t *terms) Map(m *xmldoc.Mapper) {
	m.Root("juxta:Charter")
	number, mode, quorum, unsigned := int64(t.Number), string(t.Mode), int64(t.Quorum), string(t.Unsigned)
	m.Value("Group", &t.Group)
	m.Int("Number", &number)
	m.Filled("Mode", &mode)
	m.Int("Quorum", &quorum)
	m.Optional("Unsigned", &unsigned)
	xmldoc.Each(m, "Moderator", MaxModerators, &t.Moderators, func(m *xmldoc.Mapper, v *Moderator) {
		key := octets(v.Key)
		m.Value("Peer", &v.Peer)
		m.Value("Key", &key)
		if m.Reading() { // what is written others may be reading
			v.Key = key
		}
	})
	if m.Err() != nil {
		return
	}
	if m.Reading() {
		t.Number, t.Mode, t.Unsigned = int(number), Mode(mode), Unsigned(unsigned)
		t.Quorum = int(min(max(quorum, 0), MaxModerators+1))
	}
	m.Fail(t.check())
}

func (t *terms) check() error {
	switch {
	case t.Group.IsZero() || t.Group == id.WorldGroup || t.Group == id.NetGroup:
		return fmt.Errorf("%w charter: the group cannot have one", ErrMalformed)
	case !t.Mode.valid() || !t.Unsigned.valid() || t.Number < 0:
		return fmt.Errorf("%w charter: mode, number or rule for unsigned advertisements", ErrMalformed)
	case len(t.Moderators) == 0 || t.Quorum < 1 || t.Quorum > len(t.Moderators):
		return fmt.Errorf("%w charter: a quorum of %d of %d moderators", ErrMalformed, t.Quorum, len(t.Moderators))
	}
	seen := map[Hash]bool{}
	for _, m := range t.Moderators {
		if len(m.Key) > maxKey {
			return fmt.Errorf("key: %w", ErrTooLarge)
		}
		if _, err := identity.ParseKey(m.Key); err != nil {
			return fmt.Errorf("%w charter: %w", ErrMalformed, err)
		}
		if !m.Peer.Proves(m.Key) {
			return fmt.Errorf("%w charter: the ID of a moderator is not made of the key", ErrMalformed)
		}
		if seen[m.Hash()] {
			return fmt.Errorf("%w charter: a moderator stands there twice", ErrMalformed)
		}
		seen[m.Hash()] = true
	}
	return nil
}

// publicKey reads a key that was checked before.
func publicKey(spki []byte) crypto.PublicKey {
	k, err := identity.ParseKey(spki)
	if err != nil {
		return nil
	}
	return k
}
