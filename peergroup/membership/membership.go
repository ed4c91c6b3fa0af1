// Package membership tells who is a member of a group, and makes this peer one.
//
// A group has one of three kinds of membership. With [None] everybody is a member
// under any name. With [Password] whoever knows a name of the group's list and its
// password; the cipher of that list is that of JXSE and hides nothing, so it keeps
// out nobody but those who come by mistake. With [Certificate] whoever holds a
// certificate that the group has issued, or, in groups as JXSE makes them, knows the
// password that opens the group's own key.
//
// A [Service] is this peer's side in one group. To become a member, take an
// [Authenticator] from [Service.Apply], fill in its fields, and hand it to
// [Service.Join]: the result is a credential, which goes along with what this peer
// sends to the group. What others show is judged by [Service.Check].
//
// JXTA v2 specification, "Peer Membership Protocol"; passwords and the group's own
// key are as JXSE 2.5 has them. Certificates for single members, their revocation
// and the refusal of what proves nothing are Juxta's own.
package membership

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/event"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Errors of this package. Those of package credential say what is wrong with a
// credential.
var (
	// ErrNotMember: this peer has no credential of the group.
	ErrNotMember = errors.New("this peer is not a member of the group: apply for membership and join first")
	// ErrAbsent: somebody showed no credential where one is needed.
	ErrAbsent = errors.New("no credential was shown")
	// ErrKind: a credential of another kind than the group's.
	ErrKind = errors.New("a credential of another kind than the group's")
	// ErrMethod: the group's membership does not know this way to apply.
	ErrMethod = errors.New("unknown way to apply")
	// ErrField: the authenticator has no field of that name, or the value is no value.
	ErrField = errors.New("no such field")
	// ErrIncomplete: a field is not filled in.
	ErrIncomplete = errors.New("not everything is filled in")
	// ErrName: the group knows no member of that name.
	ErrName = errors.New("the group knows nobody of that name")
	// ErrPassword: the password is wrong.
	ErrPassword = errors.New("the password is wrong")
	// ErrNotInvited: this peer has no certificate of the group.
	ErrNotInvited = errors.New("this peer has no certificate of the group: ask its founder for an invitation, and accept it")
	// ErrNoIssuer: this peer does not hold the key by which the group issues certificates.
	ErrNoIssuer = errors.New("this peer does not hold the key of the group")
	// ErrMalformed: the group's parameters, or a document, are not what they should be.
	ErrMalformed = errors.New("malformed")
	// ErrSpec: a kind of membership that is not known.
	ErrSpec = errors.New("a membership service that is not known")
	// ErrForeign: it was made for another group or another peer.
	ErrForeign = errors.New("made for somebody else")
	// ErrTooMany: over a limit of limits.go.
	ErrTooMany = errors.New("over the limit")
)

// Kind is on what the membership of a group rests.
type Kind uint8

// The kinds of membership.
const (
	None        Kind = iota // everybody is a member
	Password                // a name and a password, which hide nothing
	Certificate             // a certificate of the group
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

// Spec returns the specification of the membership service of this kind.
func (k Kind) Spec() id.ModuleSpec {
	switch k {
	case Password:
		return id.SpecMembershipPasswd
	case Certificate:
		return id.SpecMembershipPSE
	}
	return id.SpecMembershipNone
}

// KindOf tells the kind of a group's membership: that of the specification which an
// implementation of the group names, or if that is zero the one that its parameters
// are made for. The error wraps [ErrSpec].
func KindOf(spec id.ModuleSpec, parm xmldoc.Node) (Kind, error) {
	switch spec {
	case id.SpecMembershipNone:
		return None, nil
	case id.SpecMembershipPasswd:
		return Password, nil
	case id.SpecMembershipPSE:
		return Certificate, nil
	case id.ModuleSpec{}:
	default:
		return None, fmt.Errorf("membership: %w: %s", ErrSpec, spec)
	}
	if _, ok := parm.Child(elemRoot); ok {
		return Certificate, nil
	}
	if _, ok := parm.Child(elemLogin); ok {
		return Password, nil
	}
	return None, nil
}

// Config configures a [Service]. It is copied.
type Config struct {
	Group id.Group // required
	Peer  id.Peer  // required

	// Identity is the peer's key, which signs certificate credentials; nil if the
	// peer's ID is not made of one.
	Identity *identity.Identity

	// Parm is what the group's advertisement has under the class of membership.
	Parm xmldoc.Node

	// Spec is the membership service that the group's implementation names; zero
	// means to go by Parm, see [KindOf].
	Spec id.ModuleSpec

	// Issuer is the key of a certificate group, at its founder; nil elsewhere.
	Issuer *Issuer

	// Store keeps certificates and lists while the peer is down; the zero value
	// forgets them.
	Store Store

	// Now is the clock; nil means the system's.
	Now func() time.Time

	// Logger may be nil.
	Logger *slog.Logger
}

// Store keeps what a peer has of a group. Both functions may be nil. They are called
// by one goroutine at a time.
type Store struct {
	// Load returns what Save was given under the name; nil is nothing and no error.
	Load func(name string) ([]byte, error)

	// Save keeps the octets under the name. Those of [FileIssuer] are secret.
	Save func(name string, b []byte) error
}

// The names under which a [Store] keeps things, each a PEM document.
const (
	FileIssuer  = "issuer.pem"  // the key of the group, at its founder
	FileIssued  = "issued.pem"  // the certificates it has issued
	FileMember  = "member.pem"  // the own certificate
	FileRevoked = "revoked.pem" // the latest list of revocations
)

// EventKind says what has changed.
type EventKind uint8

// What can change.
const (
	Joined      EventKind = iota + 1 // this peer got a credential
	Resigned                         // it gave them up
	Invited                          // it accepted a certificate
	Revoked                          // its certificate was revoked, and its credentials are gone
	ListChanged                      // there is a newer list of revocations
)

// String returns the name of the kind.
func (k EventKind) String() string {
	switch k {
	case Joined:
		return "joined"
	case Resigned:
		return "resigned"
	case Invited:
		return "invited"
	case Revoked:
		return "revoked"
	case ListChanged:
		return "list changed"
	}
	return fmt.Sprintf("EventKind(%d)", uint8(k))
}

// Event tells a change of this peer's membership.
type Event struct {
	Kind       EventKind
	Credential *credential.Credential // of Joined
}

// Service is this peer's membership in one group. Its methods are safe for
// concurrent use. It has no goroutine and needs no closing.
type Service struct {
	cfg  Config
	kind Kind
	log  *slog.Logger
	hub  event.Hub[Event]

	logins map[string]string // name to cipher, of a password group
	plain  *root             // of a certificate group

	stats   counters
	shown   atomic.Pointer[shown]   // the default credential
	revoked atomic.Pointer[revoked] // the latest list; nil if there is none

	telling sync.Mutex // held while an event is told, so that they come in order

	mu       sync.Mutex
	own      []*credential.Credential
	member   []*x509.Certificate // the own certificate of the group and what leads to the root
	issued   []*x509.Certificate
	verified memo[[32]byte, verdict]
	known    memo[id.Peer, verdict]
	out      memo[id.Peer, struct{}] // peers whose certificate was revoked
}

// shown is the default credential, and as it travels.
type shown struct {
	credential *credential.Credential
	node       xmldoc.Node
	document   []byte
}

// New makes the service. The error wraps [ErrSpec] or [ErrMalformed] if the group's
// parameters are of no known membership; a peer cannot be in such a group.
func New(cfg Config) (*Service, error) {
	if cfg.Group.IsZero() || cfg.Peer.IsZero() {
		return nil, errors.New("membership: Config.Group or Config.Peer is not set")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		cfg: cfg, log: cfg.Logger,
		verified: memo[[32]byte, verdict]{limit: MaxVerified}, known: memo[id.Peer, verdict]{limit: MaxKnown},
		out: memo[id.Peer, struct{}]{limit: MaxOut},
	}
	var err error
	if s.kind, err = KindOf(cfg.Spec, cfg.Parm); err != nil {
		return nil, err
	}
	switch s.kind {
	case None:
		err = s.admit(credential.None, anybody)
	case Password:
		s.logins, err = readLogins(cfg.Parm)
	case Certificate:
		err = s.begin()
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Kind returns the kind of the group's membership.
func (s *Service) Kind() Kind { return s.kind }

// Group returns the group.
func (s *Service) Group() id.Group { return s.cfg.Group }

// Member returns nil if this peer is a member, and else an error that wraps
// [ErrNotMember] and says what to do.
func (s *Service) Member() error {
	if s.kind == None || s.shown.Load() != nil {
		return nil
	}
	return fmt.Errorf("membership: %w (%s)", ErrNotMember, s.hint())
}

// hint says how to become a member.
func (s *Service) hint() string {
	switch {
	case s.kind == Password:
		return "it takes a name and a password"
	case s.plain.sealed != nil:
		return "it takes the group's password"
	}
	return "it takes a certificate of the group, which its founder issues"
}

// Join makes this peer a member with a filled-in authenticator of this service. The
// first credential becomes the default one. The error wraps [ErrIncomplete],
// [ErrName], [ErrPassword], [ErrNotInvited] or what [Service.Check] would say.
func (s *Service) Join(a *Authenticator) (*credential.Credential, error) {
	if a == nil || a.s != s {
		return nil, fmt.Errorf("membership: %w: the authenticator", ErrForeign)
	}
	if err := a.Ready(); err != nil {
		return nil, err
	}
	c, err := a.make()
	if err != nil {
		return nil, err
	}
	if err := s.add(c); err != nil {
		return nil, err
	}
	return c, nil
}

// admit makes a credential of a name and keeps it.
func (s *Service) admit(k credential.Kind, name string) error {
	c, err := credential.New(k, s.cfg.Group, s.cfg.Peer, name)
	if err != nil {
		return err
	}
	return s.add(c)
}

// add keeps an own credential.
func (s *Service) add(c *credential.Credential) error {
	x, err := show(c)
	if err != nil {
		return err
	}
	s.telling.Lock()
	defer s.telling.Unlock()
	s.mu.Lock()
	if len(s.own) >= maxCredentials {
		s.mu.Unlock()
		return fmt.Errorf("membership: %w: %d credentials", ErrTooMany, maxCredentials)
	}
	s.own = append(s.own, c)
	if s.shown.Load() == nil {
		s.shown.Store(x)
	}
	s.mu.Unlock()
	s.hub.Publish(Event{Kind: Joined, Credential: c})
	return nil
}

// Resign gives up all credentials. In a group without membership the one of nobody
// remains. It is idempotent.
func (s *Service) Resign() { s.drop(Resigned) }

func (s *Service) drop(why EventKind) {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.mu.Lock()
	had := len(s.own) > 0
	if s.kind == None && had {
		c := s.own[0]
		s.own = s.own[:1:1]
		if x, err := show(c); err == nil {
			s.shown.Store(x)
		}
	} else {
		s.own = nil
		s.shown.Store(nil)
	}
	s.mu.Unlock()
	if had {
		s.hub.Publish(Event{Kind: why})
	}
}

// Default returns the credential that this peer shows, or nil.
func (s *Service) Default() *credential.Credential {
	if x := s.shown.Load(); x != nil {
		return x.credential
	}
	return nil
}

// Shown returns the default credential as it travels, the zero Node if there is none.
func (s *Service) Shown() xmldoc.Node {
	if x := s.shown.Load(); x != nil {
		return x.node
	}
	return xmldoc.Node{}
}

// Document returns the default credential printed, nil if there is none; it must not be
// changed.
func (s *Service) Document() []byte {
	if x := s.shown.Load(); x != nil {
		return x.document
	}
	return nil
}

// show prints a credential as it travels.
func show(c *credential.Credential) (*shown, error) {
	n, err := c.Node()
	if err != nil {
		return nil, fmt.Errorf("membership: %w", err)
	}
	doc, err := n.Marshal()
	if err != nil {
		return nil, fmt.Errorf("membership: %w", err)
	}
	return &shown{c, n, doc}, nil
}

// SetDefault makes one of [Service.Credentials] the one that is shown.
func (s *Service) SetDefault(c *credential.Credential) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.own {
		if o != c {
			continue
		}
		x, err := show(c)
		if err != nil {
			return err
		}
		s.shown.Store(x)
		return nil
	}
	return fmt.Errorf("membership: %w: the credential", ErrForeign)
}

// Credentials returns this peer's credentials in the group, in order of joining.
func (s *Service) Credentials() []*credential.Credential {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*credential.Credential(nil), s.own...)
}

// Watch has f called with what changes from now on, in order, until stop is called.
// f must not wait and must not change the membership.
func (s *Service) Watch(f func(Event)) (stop func()) { return s.hub.Watch(f) }
