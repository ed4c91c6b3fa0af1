package advertisements

import (
	"fmt"

	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
)

// Relation is what a signer has to do with what was signed.
type Relation uint8

// The relations.
const (
	Author  Relation = iota // the document describes no peer: a pipe, a group, a module
	Owner                   // it describes the signer
	Another                 // it describes another peer than the signer
)

// String returns the relation in a word.
func (r Relation) String() string {
	switch r {
	case Author:
		return "author"
	case Owner:
		return "owner"
	case Another:
		return "another"
	}
	return fmt.Sprintf("Relation(%d)", uint8(r))
}

// Signer tells who signed an advertisement.
type Signer struct {
	Peer     id.Peer // as the credential has it; believe it if Standing is Proven
	Key      id.Peer // the ID that the signing key makes
	Group    id.Group
	Subject  string // of the certificate
	Standing credential.Standing
	Relation Relation
}

// Open returns the payload and who signed it, by the rules: a credential of the
// group, signed itself, certificates that are valid now, and signed by one of the
// roots if there are any. With the zero group a credential of any group will do. The
// payload must not be changed. The error is that of [credential.Credential.Verify].
//
// JXSE checks none of that, and neither does it look at who signed what: see
// [Signer.Relation].
func (s *Signed) Open(rules credential.Rules) (Advertisement, Signer, error) {
	if s.adv == nil || s.credential == nil {
		return nil, Signer{}, fmt.Errorf("advertisements: %w", ErrUnsigned)
	}
	c := s.credential
	if rules.Group.IsZero() {
		rules.Group = c.Group
	}
	standing, err := c.Verify(rules)
	if err != nil {
		return nil, Signer{}, fmt.Errorf("advertisements: %w", err)
	}
	who := Signer{
		Peer: c.Peer, Key: id.PeerFromKey(c.Chain[0].RawSubjectPublicKeyInfo), Group: c.Group,
		Subject: c.Subject(), Standing: standing, Relation: relation(s.adv, c.Peer),
	}
	return s.adv, who, nil
}

// relation compares the signer with the peer that the advertisement describes. A type
// from elsewhere may tell by a method Owner.
func relation(adv Advertisement, signer id.Peer) Relation {
	var of id.Peer
	switch adv := adv.(type) {
	case *Peer:
		of = adv.ID
	case *Route:
		of = adv.Dest
	case *Rendezvous:
		of = adv.Peer
	case *AccessPoint:
		of = adv.Peer
	case interface{ Owner() id.Peer }:
		of = adv.Owner()
	}
	switch {
	case of.IsZero():
		return Author
	case of == signer:
		return Owner
	}
	return Another
}

// Policy says what is made of advertisements that nobody has signed.
type Policy uint8

// The policies.
const (
	AcceptUnsigned Policy = iota // take them, as JXTA does
	MarkUnsigned                 // take them, and show that they are unsigned
	RefuseUnsigned               // drop them
)

// String returns the policy in a word.
func (p Policy) String() string {
	switch p {
	case AcceptUnsigned:
		return "accept"
	case MarkUnsigned:
		return "mark"
	case RefuseUnsigned:
		return "refuse"
	}
	return fmt.Sprintf("Policy(%d)", uint8(p))
}

// Verdict is what is known about where an advertisement comes from.
type Verdict struct {
	Adv    Advertisement // the payload, of a signed one
	Signed bool          // by Signer, who may be unproven
	Signer Signer
	Marked bool // unsigned, where the policy is to show that
}

// String tells it to people.
func (v Verdict) String() string {
	switch {
	case !v.Signed:
		return "unsigned"
	case v.Signer.Standing == credential.Proven:
		return "signed by " + v.Signer.Peer.Short()
	}
	return "signed by somebody who says to be " + v.Signer.Peer.Short()
}

// Judge decides about an advertisement that came from elsewhere. Whatever the policy,
// one that is signed must be signed well: an error means that it is to be dropped, and
// wraps [ErrUnsigned], [ErrNotOwner] if it is by a peer that describes another, or what
// [Signed.Open] says. A hand-over of keys counts as signed by the new key.
func (p Policy) Judge(adv Advertisement, rules credential.Rules) (Verdict, error) {
	switch adv := adv.(type) {
	case *Signed:
		inner, who, err := adv.Open(rules)
		if err != nil {
			return Verdict{}, err
		}
		if who.Relation == Another {
			return Verdict{}, fmt.Errorf("advertisements: %w: by %s", ErrNotOwner, who.Peer)
		}
		return Verdict{Adv: inner, Signed: true, Signer: who}, nil
	case *identity.Handover:
		if err := identity.VerifyHandover(adv); err != nil {
			return Verdict{}, fmt.Errorf("advertisements: %w", err)
		}
		return Verdict{Adv: adv, Signed: true, Signer: Signer{
			Peer: adv.New, Key: id.PeerFromKey(adv.NewKey()), Group: rules.Group, Standing: credential.Proven, Relation: Owner,
		}}, nil
	}
	if p == RefuseUnsigned {
		return Verdict{}, fmt.Errorf("advertisements: %w", ErrUnsigned)
	}
	return Verdict{Adv: adv, Marked: p == MarkUnsigned}, nil
}
