package peergroup

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup/governance"
)

// Invitation is what a moderator gives to somebody for joining a closed group: its
// advertisement, which is published nowhere, and a certificate for the key of the
// invited. It is no secret from members; whoever else gets hold of it learns the
// name of the group and cannot join without the key.
type Invitation struct {
	Group       *advertisements.Group
	Certificate *x509.Certificate
	Contacts    []id.Peer // members to begin with, beside the moderators

	// Implementations say how the group is implemented, if it has services of its own.
	Implementations []*advertisements.ModuleImpl
}

// Errors of invitations.
var (
	// ErrInvitation: it is none, or damaged.
	ErrInvitation = errors.New("this is no invitation")
	// ErrNotClosed: the group is open, so nobody need be invited.
	ErrNotClosed = errors.New("the group is not closed")
)

const (
	// The blocks of an invitation as text.
	blockGroup   = "JUXTA GROUP"
	blockCert    = "CERTIFICATE"
	blockContact = "JUXTA CONTACTS"
	blockImpl    = "JUXTA IMPLEMENTATION"

	// maxInvitation bounds the text of an invitation in octets, and maxContacts its
	// contacts.
	maxInvitation = 128 << 10
	maxContacts   = 8

	// maxName bounds the name in a certificate.
	maxName = 64

	// longest is the term of an invitation without one, and before how much before
	// now it begins, for clocks that are behind.
	longest = 10 * 365 * 24 * time.Hour
	before  = 10 * time.Minute
)

// Invite makes an invitation to the closed group for the holder of a public key
// (SubjectPublicKeyInfo; see [identity.Identity.SPKI]), under a name that others
// see. The term is that of the certificate, zero means ten years. Only moderators
// can; the error wraps [governance.ErrNotModerator], [ErrNotClosed] or
// [identity.ErrKey]. Excluding the member by its key takes the invitation back.
func (g *Group) Invite(key []byte, name string, term time.Duration) (*Invitation, error) {
	s := g.Governance()
	if s == nil || !g.hidden() {
		return nil, fmt.Errorf("peergroup: inviting to %q: %w", g.Name(), ErrNotClosed)
	}
	ident := g.peer.proof()
	if !s.State().IsModerator(governance.HashOf(ident.SPKI())) {
		return nil, fmt.Errorf("peergroup: inviting to %q: %w", g.Name(), governance.ErrNotModerator)
	}
	public, err := identity.ParseKey(key)
	if err != nil {
		return nil, fmt.Errorf("peergroup: inviting to %q: %w", g.Name(), err)
	}
	if len(name) > maxName {
		return nil, fmt.Errorf("peergroup: inviting to %q: a name of more than %d octets", g.Name(), maxName)
	}
	if term <= 0 || term > longest {
		term = longest
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("peergroup: %w", err)
	}
	by, now := ident.Certificate(), time.Now()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{g.ID().Unique()}},
		NotBefore: now.Add(-before), NotAfter: now.Add(term), KeyUsage: x509.KeyUsageDigitalSignature,
	}, by.Leaf, public, by.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("peergroup: inviting to %q: %w", g.Name(), err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("peergroup: inviting to %q: %w", g.Name(), err)
	}
	contacts := append([]id.Peer{g.PeerID()}, g.rendezvousKnown()...)
	return &Invitation{Group: g.adv.Clone(), Certificate: cert, Contacts: contacts[:min(len(contacts), maxContacts)], Implementations: g.plan.impls}, nil
}

// Accept joins the closed group that this peer is invited to, with the modules
// given. The invitation must be for its key; the error wraps [credential.ErrOtherKey],
// [ErrNoKey] or what [Group.Join] says.
//
// Accept does not wait for other members: until one of them has given this peer the
// group's secret, what is sent in the group fails with [governance.ErrNoKey].
func (g *Group) Accept(ctx context.Context, inv *Invitation, modules ...Module) (*Group, error) {
	if inv == nil || inv.Group == nil || inv.Certificate == nil {
		return nil, fmt.Errorf("peergroup: %w", ErrInvitation)
	}
	ident := g.peer.proof()
	if ident == nil {
		return nil, fmt.Errorf("peergroup: joining %q: %w", inv.Group.Name, ErrNoKey)
	}
	if !bytes.Equal(inv.Certificate.RawSubjectPublicKeyInfo, ident.SPKI()) {
		return nil, fmt.Errorf("peergroup: joining %q: the invitation is for somebody else: %w", inv.Group.Name, credential.ErrOtherKey)
	}
	own, err := credential.Sign(ident, inv.Group.ID, inv.Certificate)
	if err != nil {
		return nil, fmt.Errorf("peergroup: joining %q: %w", inv.Group.Name, err)
	}
	contacts := inv.Contacts[:min(len(inv.Contacts), maxContacts)]
	return g.enter(ctx, inv.Group, entry{JoinConfig: JoinConfig{Modules: modules}, credential: own, contacts: contacts, impls: inv.Implementations})
}

// MarshalText implements [encoding.TextMarshaler]: PEM blocks, to be sent by mail or
// kept in a file.
func (i *Invitation) MarshalText() ([]byte, error) {
	doc, err := advertisements.Marshal(i.Group)
	if err != nil {
		return nil, fmt.Errorf("peergroup: invitation: %w", err)
	}
	var contacts strings.Builder
	for _, p := range i.Contacts {
		fmt.Fprintln(&contacts, p)
	}
	blocks := []*pem.Block{
		{Type: blockGroup, Bytes: doc}, {Type: blockCert, Bytes: i.Certificate.Raw}, {Type: blockContact, Bytes: []byte(contacts.String())},
	}
	for _, impl := range i.Implementations {
		doc, err := advertisements.Marshal(impl)
		if err != nil {
			return nil, fmt.Errorf("peergroup: invitation: %w", err)
		}
		blocks = append(blocks, &pem.Block{Type: blockImpl, Bytes: doc})
	}
	var b bytes.Buffer
	for _, block := range blocks {
		if err := pem.Encode(&b, block); err != nil {
			return nil, fmt.Errorf("peergroup: invitation: %w", err)
		}
	}
	return b.Bytes(), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler]. The error wraps
// [ErrInvitation]. Whether the group's charter is in order is found when it is joined.
func (i *Invitation) UnmarshalText(b []byte) error {
	if len(b) > maxInvitation {
		return fmt.Errorf("peergroup: %w: %d octets", ErrInvitation, len(b))
	}
	read := Invitation{}
	for {
		block, rest := pem.Decode(b)
		if block == nil {
			break
		}
		b = rest
		switch block.Type {
		case blockGroup:
			adv := new(advertisements.Group)
			if err := xmldoc.Unmarshal(block.Bytes, adv); err != nil {
				return fmt.Errorf("peergroup: %w: %w", ErrInvitation, err)
			}
			read.Group = adv
		case blockCert:
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return fmt.Errorf("peergroup: %w: %w", ErrInvitation, err)
			}
			read.Certificate = cert
		case blockImpl:
			impl := new(advertisements.ModuleImpl)
			if err := xmldoc.Unmarshal(block.Bytes, impl); err != nil {
				return fmt.Errorf("peergroup: %w: %w", ErrInvitation, err)
			}
			if len(read.Implementations) < maxImplementations {
				read.Implementations = append(read.Implementations, impl)
			}
		case blockContact:
			for line := range strings.Lines(string(block.Bytes)) {
				p, err := id.ParsePeer(strings.TrimSpace(line))
				if err != nil {
					return fmt.Errorf("peergroup: %w: %w", ErrInvitation, err)
				}
				if len(read.Contacts) < maxContacts {
					read.Contacts = append(read.Contacts, p)
				}
			}
		}
	}
	if read.Group == nil || read.Certificate == nil {
		return fmt.Errorf("peergroup: %w", ErrInvitation)
	}
	*i = read
	return nil
}
