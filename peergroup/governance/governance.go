// Package governance is a group's policy as signed acts: who moderates it, whom
// it excludes, what it withdraws, whether it is open or closed.
//
// A founder signs a [Charter], which travels in the group's advertisement:
// whoever joins a group trusts the charter of the advertisement chosen, and
// nothing else. From then on moderators decide by an [Act]: it is signed by one of them, spread to
// all members as a [Motion], co-signed by others, and takes effect when a quorum
// of moderators has signed it. Each member keeps all motions and folds them into
// the same [State], in whatever order they arrive; nobody has to be asked, and no
// moderator has to be there. Service spreads and enforces; Service.Judge
// is what is called for each message.
//
// # The fold
//
// Motions are taken in order of time, then of ID. Each is held to the moderators
// and the quorum as the motions before it left them: it takes effect when at
// least so many of these moderators have signed it, and has none otherwise.
// Moderators who are fewer than the quorum must all sign. So the state follows
// from the set of motions alone, and two halves of a network that was cut in two
// have one state as soon as they have exchanged what each lacked.
//
// Times are those that authors write, so a moderator who was dismissed could
// write acts of the past. Therefore a dismissal names the acts of the dismissed
// that its author knows (see [Act.Kept]); on others dated before the dismissal
// the signature of the dismissed counts no more. What a moderator decides in one
// half while being dismissed in the other is void after healing, unless
// enough others have signed it. Among acts by which moderators dismiss each
// other the earlier one wins, so that a group whose moderators decide alone,
// with a quorum of one, depends on each of them: choose two or more. A group
// founded with a quorum of two or more keeps at least two.
//
// # Closed groups
//
// [Keyring] holds the secrets of a closed group and [Exchange] hands them to
// admitted members. What a member sends is sealed, and carries nothing of the
// group but an opaque tag.
//
// None of this is part of JXTA; original JXTA peers pass it over.
package governance

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/juxta-p2p/juxta/core/id"
)

// classText is the module class under which the charter stands in the group's
// advertisement.
const classText = "urn:jxta:uuid-7B6C1E0A54D94E0F9C3AA1D2637F8E1405"

// Class is the module class under which the charter stands in the group's
// advertisement.
func Class() id.ModuleClass {
	c, err := id.ParseModuleClass(classText)
	if err != nil {
		return id.ModuleClass{} // unreachable: the text is a constant, which a test reads
	}
	return c
}

// Errors of this package.
var (
	// ErrMalformed: a document that is not what it should be.
	ErrMalformed = errors.New("malformed")
	// ErrGroup: it belongs to another group.
	ErrGroup = errors.New("of another group")
	// ErrSignature: a signature does not belong to document and key.
	ErrSignature = errors.New("wrong signature")
	// ErrNotModerator: the signer is no moderator of the group.
	ErrNotModerator = errors.New("not a moderator")
	// ErrFuture: the act is dated later than clocks may differ.
	ErrFuture = errors.New("dated in the future")
	// ErrExpired: the act has ended so long ago that it is forgotten.
	ErrExpired = errors.New("ended long ago")
	// ErrFull: its author has as many acts as one may have, see [MaxActs].
	ErrFull = errors.New("too many acts of one author")
	// ErrUnknown: there is no such act.
	ErrUnknown = errors.New("no such act")
	// ErrTooLarge: it exceeds a limit of limits.go.
	ErrTooLarge = errors.New("over the limit")
	// ErrNoCharter: the group's advertisement has no charter.
	ErrNoCharter = errors.New("the group has no charter")
)

// Hash is the SHA-256 of a public key (SubjectPublicKeyInfo) or of content.
type Hash [sha256.Size]byte

// HashOf returns the hash of the octets.
func HashOf(b []byte) Hash { return sha256.Sum256(b) }

// IsZero reports whether h is the zero value, which is the hash of nothing.
func (h Hash) IsZero() bool { return h == Hash{} }

// String returns 64 hex digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Short returns the first eight hex digits, for tables and logs.
func (h Hash) Short() string { return hex.EncodeToString(h[:4]) }

// MarshalText implements [encoding.TextMarshaler]; the zero hash has no text.
func (h Hash) MarshalText() ([]byte, error) {
	if h.IsZero() {
		return nil, nil
	}
	return []byte(h.String()), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (h *Hash) UnmarshalText(b []byte) error {
	var v Hash
	if len(b) != 2*len(v) {
		return fmt.Errorf("%w hash", ErrMalformed)
	}
	if _, err := hex.Decode(v[:], b); err != nil {
		return fmt.Errorf("%w hash", ErrMalformed)
	}
	*h = v
	return nil
}

// ID names an act: it is the hash of its document, so that no two acts can share
// one, and nobody can alter an act under its ID.
type ID Hash

// IsZero reports whether the ID is the zero value, which names nothing.
func (i ID) IsZero() bool { return i == ID{} }

// String returns 64 hex digits.
func (i ID) String() string { return Hash(i).String() }

// Short returns the first eight hex digits, for tables and logs.
func (i ID) Short() string { return Hash(i).Short() }

// MarshalText implements [encoding.TextMarshaler]; the zero ID has no text.
func (i ID) MarshalText() ([]byte, error) { return Hash(i).MarshalText() }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (i *ID) UnmarshalText(b []byte) error { return (*Hash)(i).UnmarshalText(b) }

// octets are written as base64.
type octets []byte

// MarshalText implements [encoding.TextMarshaler].
func (o octets) MarshalText() ([]byte, error) {
	return base64.RawStdEncoding.AppendEncode(nil, o), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (o *octets) UnmarshalText(b []byte) error {
	v, err := base64.RawStdEncoding.Strict().AppendDecode(nil, b)
	if err != nil {
		return fmt.Errorf("%w base64", ErrMalformed)
	}
	*o = v
	return nil
}
