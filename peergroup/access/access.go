// Package access tells who may do what in a group.
//
// A group has one of three kinds of access. With [Always] every member may do
// everything. With [List] the group's advertisement names, for an operation, those who
// may. With [Certificate] whoever has shown a certificate that the group has issued may
// do everything. A [Control] is made of what the advertisement says, and is asked by
// whoever does something for others.
//
// JXTA v2 specification, access service; the lists are those of JXSE 2.5, where no
// service asks. Those of Juxta do, for the operations that [Operations] lists.
package access

import (
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Errors of this package.
var (
	// ErrDenied: the operation is not permitted. It is the cause of every [*DeniedError].
	ErrDenied = errors.New("not permitted")
	// ErrSpec: a kind of access that is not known.
	ErrSpec = errors.New("an access service that is not known")
	// ErrMalformed: the group's parameters are not what they should be.
	ErrMalformed = errors.New("malformed")
)

// DeniedError says what was not permitted to whom.
type DeniedError struct {
	Operation string
	Who       string // "" for somebody without a credential
	Reason    string
}

// Error implements error.
func (e *DeniedError) Error() string {
	who := "somebody who shows no credential"
	if e.Who != "" {
		who = fmt.Sprintf("%q", e.Who)
	}
	return fmt.Sprintf("access: %v: %s to %s: %s", ErrDenied, e.Operation, who, e.Reason)
}

// Unwrap returns [ErrDenied].
func (e *DeniedError) Unwrap() error { return ErrDenied }

// Kind is on what access in a group rests.
type Kind uint8

// The kinds of access.
const (
	Always      Kind = iota // every member may do everything
	List                    // who may do what is listed
	Certificate             // members whose certificate was verified may do everything
)

// String returns the kind in a word.
func (k Kind) String() string {
	switch k {
	case Always:
		return "always"
	case List:
		return "list"
	case Certificate:
		return "certificate"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Spec returns the specification of the access service of this kind.
func (k Kind) Spec() id.ModuleSpec {
	switch k {
	case List:
		return id.SpecAccessList
	case Certificate:
		return id.SpecAccessPSE
	}
	return id.SpecAccessAlways
}

const (
	elemParm = "Parm"
	elemPerm = "perm"

	// elemCertificate marks parameters of a group with certificate access, which JXSE
	// knows by the specification alone.
	elemCertificate = "CertificateRequired"
)

// Words of lists.
const (
	// Everybody, among the names, is everybody, with or without a credential.
	Everybody = "<<ALL>>"

	// Default, as an operation, is all those of applications that are not listed.
	Default = "<<DEFAULT>>"

	// Services, as an operation, is all those of [Operations] that are not listed. It is
	// not of JXSE, which passes it over.
	Services = "<<SERVICES>>"
)

// denyWord is an operation, or a name, that JXSE never permits.
const denyWord = "DENY"

// KindOf tells the kind of a group's access: that of the specification which an
// implementation of the group names, or if that is zero the one that its parameters
// are made for. The error wraps [ErrSpec].
func KindOf(spec id.ModuleSpec, parm xmldoc.Node) (Kind, error) {
	switch spec {
	case id.SpecAccessAlways:
		return Always, nil
	case id.SpecAccessList:
		return List, nil
	case id.SpecAccessPSE:
		return Certificate, nil
	case id.ModuleSpec{}:
	default:
		return Always, fmt.Errorf("access: %w: %s", ErrSpec, spec)
	}
	if _, ok := parm.Child(elemCertificate); ok {
		return Certificate, nil
	}
	if _, ok := parm.Child(elemPerm); ok {
		return List, nil
	}
	return Always, nil
}

// Rights makes the parameters of a group with a list: who may do each operation, by the
// names in their credentials. The error wraps [ErrMalformed] if a word is empty or has
// a character that the list is made of.
func Rights(rights map[string][]string) (xmldoc.Node, error) {
	if len(rights) == 0 || len(rights) > MaxRights {
		return xmldoc.Node{}, fmt.Errorf("access: %w: %d operations, from 1 to %d can be", ErrMalformed, len(rights), MaxRights)
	}
	var all []xmldoc.Node
	for _, op := range slices.Sorted(maps.Keys(rights)) {
		if !isWord(op) {
			return xmldoc.Node{}, fmt.Errorf("access: %w: the operation %q", ErrMalformed, clip(op))
		}
		if names := rights[op]; len(names) > maxNames || slices.ContainsFunc(names, func(s string) bool { return !isWord(s) }) {
			return xmldoc.Node{}, fmt.Errorf("access: %w: the names for %s", ErrMalformed, op)
		}
		all = append(all, xmldoc.NewNode(elemPerm, op+":"+strings.Join(rights[op], ",")))
	}
	return xmldoc.NewNode(elemParm, "", all...), nil
}

// Certificates makes the parameters of a group in which only those may do something
// whose certificate was verified.
func Certificates() xmldoc.Node {
	return xmldoc.NewNode(elemParm, "", xmldoc.NewNode(elemCertificate, "true"))
}

func isWord(s string) bool {
	return s != "" && len(s) <= maxWord && !strings.ContainsAny(s, ":,") && strings.TrimSpace(s) == s
}

// Control decides in one group. Its methods are safe for concurrent use and take no
// lock.
type Control struct {
	kind      Kind
	rights    map[string]map[string]bool // by operation, who may
	asked     atomic.Uint64
	denied    atomic.Uint64
	unlisted  atomic.Uint64
	uncertain atomic.Uint64
}

// Stats counts what a control decided.
type Stats struct {
	Asked           uint64
	DeniedList      uint64 // the list does not name who asked
	DeniedUnlisted  uint64 // the list has neither the operation nor a default
	DeniedUncertain uint64 // a certificate is needed
}

// New makes the control of a group of what its advertisement has under the class of
// access, and of the access service that its implementation names; a zero spec means
// to go by parm, see [KindOf]. The error wraps [ErrSpec] or [ErrMalformed].
func New(spec id.ModuleSpec, parm xmldoc.Node) (*Control, error) {
	kind, err := KindOf(spec, parm)
	if err != nil {
		return nil, err
	}
	c := &Control{kind: kind}
	if kind != List {
		return c, nil
	}
	c.rights = map[string]map[string]bool{}
	for e := range parm.Children() {
		if e.Name() != elemPerm {
			continue
		}
		op, names, ok := strings.Cut(e.Text(), ":")
		if !ok {
			continue // as JXSE does
		}
		who := map[string]bool{}
		for name := range strings.SplitSeq(names, ",") {
			if name = strings.TrimSpace(name); name != "" {
				who[name] = true
			}
		}
		if c.rights[strings.TrimSpace(op)] = who; len(c.rights) > MaxRights || len(who) > maxNames {
			return nil, fmt.Errorf("access: %w: more than %d operations or %d names", ErrMalformed, MaxRights, maxNames)
		}
	}
	if len(c.rights) == 0 {
		return nil, fmt.Errorf("access: %w: a group with a list of rights, and none on it", ErrMalformed)
	}
	return c, nil
}

// Kind returns the kind of the group's access.
func (c *Control) Kind() Kind { return c.kind }

// Permit returns nil if somebody may do an operation, else a [*DeniedError]. who is the
// credential that was shown and verified, nil for somebody who has shown none, and
// standing what it is worth. That it is good and of the group is not asked again.
//
// A list is looked through for the operation, then for [Services] if it is one of
// [Operations], else for [Default]. Where that leaves nothing, an operation of a service
// is permitted, since JXSE knows none and its lists mean those of applications, and any
// other is not. A name on the list is the name in the credential; of a certificate it is
// the common name or the whole subject, or the peer ID without "urn:jxta:".
func (c *Control) Permit(op string, who *credential.Credential, standing credential.Standing) error {
	c.asked.Add(1)
	if c.kind == Always {
		return nil
	}
	if c.kind == Certificate {
		if who != nil && who.Kind == credential.Certificate && standing >= credential.Signed {
			return nil
		}
		c.uncertain.Add(1)
		return denied(op, who, "a certificate of the group is needed")
	}
	if op == denyWord {
		c.denied.Add(1)
		return denied(op, who, "nobody may")
	}
	may, ok := c.rights[op]
	if !ok && slices.Contains(Operations(), op) {
		if may, ok = c.rights[Services]; !ok {
			return nil
		}
	} else if !ok {
		may, ok = c.rights[Default]
	}
	if !ok {
		c.unlisted.Add(1)
		return denied(op, who, "the group's list of rights does not have it")
	}
	if may[Everybody] || who != nil && slices.ContainsFunc(names(who), func(n string) bool { return n != denyWord && may[n] }) {
		return nil
	}
	c.denied.Add(1)
	return denied(op, who, "the group's list of rights names others")
}

// Stats returns the counters.
func (c *Control) Stats() Stats {
	return Stats{Asked: c.asked.Load(), DeniedList: c.denied.Load(), DeniedUnlisted: c.unlisted.Load(), DeniedUncertain: c.uncertain.Load()}
}

// names are those under which the holder of a credential may be listed.
func names(who *credential.Credential) []string {
	if who.Kind != credential.Certificate {
		return []string{who.Subject()}
	}
	return []string{commonName(who.Chain), who.Subject(), who.Peer.Unique()}
}

func commonName(chain []*x509.Certificate) string {
	if len(chain) == 0 {
		return ""
	}
	return chain[0].Subject.CommonName
}

func denied(op string, who *credential.Credential, reason string) error {
	e := &DeniedError{Operation: clip(op), Reason: reason}
	if who != nil {
		e.Who = clip(who.Subject())
	}
	return e
}

// clip bounds what an error repeats.
func clip(s string) string { return s[:min(len(s), maxWord)] }
