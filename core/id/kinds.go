package id

import "fmt"

// Peer names a peer. The same peer has the same ID in all its groups.
type Peer struct{ ID }

// Group names a peer group.
type Group struct{ ID }

// Pipe names a pipe, wherever its ends are.
type Pipe struct{ ID }

// ModuleClass names what a module does, as seen by its users.
type ModuleClass struct{ ID }

// ModuleSpec names one way (one protocol) to provide a module class.
type ModuleSpec struct{ ID }

// Codat names a piece of content or data.
type Codat struct{ ID }

// The two groups every peer knows.
var (
	// WorldGroup holds the physical transports; every peer is in it.
	WorldGroup = Group{ID{worldText}}
	// NetGroup is the default network, the parent of groups made by users.
	NetGroup = Group{ID{netText}}
)

// ParsePeer reads the URN of a peer ID. The error wraps [ErrSyntax] or [ErrKind].
func ParsePeer(s string) (Peer, error) { v, err := parseKind(s, KindPeer); return Peer{v}, err }

// ParsePeerUnique reads a peer ID without "urn:jxta:", as it stands in addresses.
func ParsePeerUnique(s string) (Peer, error) {
	v, err := ParseUnique(s)
	if err == nil {
		v, err = v.want(KindPeer)
	}
	return Peer{v}, err
}

// ParseGroup reads the URN of a group ID. The error wraps [ErrSyntax] or [ErrKind].
func ParseGroup(s string) (Group, error) { v, err := parseKind(s, KindGroup); return Group{v}, err }

// ParsePipe reads the URN of a pipe ID. The error wraps [ErrSyntax] or [ErrKind].
func ParsePipe(s string) (Pipe, error) { v, err := parseKind(s, KindPipe); return Pipe{v}, err }

// ParseModuleClass reads the URN of a module class ID. The error wraps [ErrSyntax] or [ErrKind].
func ParseModuleClass(s string) (ModuleClass, error) {
	v, err := parseKind(s, KindModuleClass)
	return ModuleClass{v}, err
}

// ParseModuleSpec reads the URN of a module spec ID. The error wraps [ErrSyntax] or [ErrKind].
func ParseModuleSpec(s string) (ModuleSpec, error) {
	v, err := parseKind(s, KindModuleSpec)
	return ModuleSpec{v}, err
}

// ParseCodat reads the URN of a codat ID. The error wraps [ErrSyntax] or [ErrKind].
func ParseCodat(s string) (Codat, error) { v, err := parseKind(s, KindCodat); return Codat{v}, err }

// UnmarshalText implements [encoding.TextUnmarshaler]; see [ParsePeer].
func (p *Peer) UnmarshalText(b []byte) error { return unmarshalKind(&p.ID, b, KindPeer) }

// UnmarshalText implements [encoding.TextUnmarshaler]; see [ParseGroup].
func (g *Group) UnmarshalText(b []byte) error { return unmarshalKind(&g.ID, b, KindGroup) }

// UnmarshalText implements [encoding.TextUnmarshaler]; see [ParsePipe].
func (p *Pipe) UnmarshalText(b []byte) error { return unmarshalKind(&p.ID, b, KindPipe) }

// UnmarshalText implements [encoding.TextUnmarshaler]; see [ParseModuleClass].
func (c *ModuleClass) UnmarshalText(b []byte) error { return unmarshalKind(&c.ID, b, KindModuleClass) }

// UnmarshalText implements [encoding.TextUnmarshaler]; see [ParseModuleSpec].
func (s *ModuleSpec) UnmarshalText(b []byte) error { return unmarshalKind(&s.ID, b, KindModuleSpec) }

// UnmarshalText implements [encoding.TextUnmarshaler]; see [ParseCodat].
func (c *Codat) UnmarshalText(b []byte) error { return unmarshalKind(&c.ID, b, KindCodat) }

// Class returns the module class the specification belongs to, or the zero value
// for the zero value.
func (s ModuleSpec) Class() ModuleClass {
	if s.IsZero() {
		return ModuleClass{}
	}
	b := s.octets()
	return ModuleClass{fromOctets(s.format(), b[:16], KindModuleClass)}
}

func parseKind(s string, want Kind) (ID, error) {
	v, err := Parse(s)
	if err != nil {
		return ID{}, err
	}
	return v.want(want)
}

func unmarshalKind(dst *ID, b []byte, want Kind) error {
	v, err := parseKind(string(b), want)
	if err == nil {
		*dst = v
	}
	return err
}

func (i ID) want(k Kind) (ID, error) {
	if got := i.Kind(); got != k {
		return ID{}, fmt.Errorf("id: %w: %s names a %s, want a %s", ErrKind, clip(i.urn), got, k)
	}
	return i, nil
}
