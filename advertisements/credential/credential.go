// Package credential reads, makes and verifies the credentials by which peers show
// who they are in a group: jxta:Cred documents, as the membership services of JXTA
// write them.
//
// Some of them prove nothing: that of a group without membership is a name that
// anybody may take, and that of a group with passwords says only that its holder knew
// one. A certificate credential is signed; [Credential.Verify] tells what it is worth.
//
// JXTA v2 specification, "Peer Membership Protocol"; the layout is that of JXSE 2.5.
package credential

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Kind is what a credential rests on.
type Kind uint8

// The kinds of credentials.
const (
	None        Kind = iota // jxta:NullCred: a name
	Password                // jxta:PasswdCred: a name, and the claim to have known a password
	Certificate             // jxta:PSECred: a signature
)

// String returns the kind in a word.
func (k Kind) String() string {
	switch k {
	case None:
		return "none"
	case Password:
		return "password"
	case Certificate:
		return "certificate"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

const (
	docType         = "jxta:Cred"
	typeNone        = "jxta:NullCred"
	typePassword    = "jxta:PasswdCred"
	typeCertificate = "jxta:PSECred"

	// passwordMark is what JXSE writes for a signature.
	passwordMark = "blah"
)

// ErrUnknown is the cause when a credential is of a kind that is not known.
var ErrUnknown = errors.New("a credential of unknown kind")

// Credential is what a member of a group shows. It must not be changed once it is in use.
type Credential struct {
	Kind  Kind
	Group id.Group
	Peer  id.Peer

	// Identity is the name that a credential of the kinds None and Password carries.
	Identity string

	// Chain is the certificates of one of the kind Certificate, the member's own first,
	// each signed by the next.
	Chain []*x509.Certificate

	algorithm string
	signature []byte // nil if there is none
}

// New makes a credential of the kind None or Password.
func New(k Kind, g id.Group, p id.Peer, name string) (*Credential, error) {
	if k != None && k != Password {
		return nil, fmt.Errorf("credential: the kind %s is not made of a name", k)
	}
	return &Credential{Kind: k, Group: g, Peer: p, Identity: name}, nil
}

// Parse reads a credential, under whatever name it is embedded. The error wraps
// [ErrUnknown] if the kind is not known. Nothing is verified.
func Parse(n xmldoc.Node) (*Credential, error) {
	c := &Credential{}
	kind, _ := n.Attr("type")
	switch kind {
	case typeNone:
		c.Kind = None
	case typePassword:
		c.Kind = Password
	case typeCertificate:
		c.Kind = Certificate
	default:
		return nil, fmt.Errorf("credential: %w: %q", ErrUnknown, clip(kind))
	}
	if err := n.Renamed(docType).Decode(c); err != nil {
		return nil, fmt.Errorf("credential: %w", err)
	}
	return c, nil
}

// Node returns the credential as an element jxta:Cred.
func (c *Credential) Node() (xmldoc.Node, error) { return xmldoc.NodeOf(c) }

// Subject is the name to which a list of rights refers: the identity, or the subject of
// the certificate as Java prints it.
func (c *Credential) Subject() string {
	if c.Kind != Certificate || len(c.Chain) == 0 {
		return c.Identity
	}
	return distinguished(c.Chain[0])
}

// Map implements [xmldoc.Document].
func (c *Credential) Map(m *xmldoc.Mapper) {
	m.Root(docType)
	switch c.Kind {
	case None:
		m.Type(typeNone)
	case Password:
		m.Type(typePassword)
	case Certificate:
		m.Attr("algorithm", &c.algorithm)
		m.Type(typeCertificate)
	default:
		m.Fail(ErrUnknown)
	}
	m.Value("PeerGroupID", &c.Group)
	m.Value("PeerID", &c.Peer)
	if c.Kind != Certificate {
		m.Text("Identity", &c.Identity)
		if len(c.Identity) > maxIdentity {
			m.Fail(fmt.Errorf("a name of %d octets, the limit is %d", len(c.Identity), maxIdentity))
		}
		if mark := passwordMark; c.Kind == Password {
			m.Text("ReallyInsecureSignature", &mark)
		}
		return
	}
	c.mapCertificate(m)
}

func clip(s string) string { return s[:min(len(s), maxKind)] }
