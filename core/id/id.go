// Package id holds JXTA IDs: names for peers, groups, pipes, modules and
// content that stay the same wherever the named thing is.
//
// Each kind of ID is a type of its own ([Peer], [Group], [Pipe], …), so that a
// pipe ID cannot be passed for a peer ID. All of them are small, immutable,
// comparable with == and usable as map keys; the zero value means "no ID".
// They hold the canonical text, so printing one costs nothing.
//
// JXTA v2 specification, chapter "IDs"; the limits and the reading of foreign
// spellings follow JXSE 2.5.
package id

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Kind says what an ID names.
type Kind uint8

// The kinds of IDs; the values up to KindContent are the type octets on the wire.
const (
	KindNone        Kind = 0 // the zero ID, the null ID
	KindCodat       Kind = 1
	KindGroup       Kind = 2
	KindPeer        Kind = 3
	KindPipe        Kind = 4
	KindModuleClass Kind = 5
	KindModuleSpec  Kind = 6
	KindContent     Kind = 7
	KindUnknown     Kind = 255 // an ID format this package does not read; the text is kept
)

var kindNames = map[Kind]string{
	KindNone: "null", KindCodat: "codat", KindGroup: "group", KindPeer: "peer", KindPipe: "pipe",
	KindModuleClass: "module class", KindModuleSpec: "module spec", KindContent: "content", KindUnknown: "unknown",
}

// String returns the English name of the kind.
func (k Kind) String() string {
	if s, ok := kindNames[k]; ok {
		return s
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

const (
	prefix = "urn:jxta:"

	nullText  = prefix + "jxta-Null"
	worldText = prefix + "jxta-WorldGroup"
	netText   = prefix + "jxta-NetGroup"

	// worldUUID and netUUID stand for the well-known groups inside other IDs.
	worldUUID = "59616261646162614A78746150325033"
	netUUID   = "59616261646162614E50472050325033"
)

// ErrSyntax is the cause of every error of the Parse functions.
var ErrSyntax = errors.New("not a JXTA ID")

// ErrKind is the cause when the text is an ID, but of another kind than asked for.
var ErrKind = errors.New("another kind of JXTA ID")

// ID is a JXTA ID of any kind. The typed IDs embed it.
type ID struct{ urn string }

// Null is the null ID, "urn:jxta:jxta-Null".
var Null = ID{nullText}

// String returns the canonical URN, for example "urn:jxta:jxta-NetGroup", or ""
// for the zero ID. It does not allocate.
func (i ID) String() string { return i.urn }

// Unique returns the text after "urn:jxta:", which JXTA uses inside addresses
// and element names, or "" for the zero ID. It does not allocate.
func (i ID) Unique() string {
	if i.urn == "" {
		return ""
	}
	return i.urn[len(prefix):]
}

// IsZero reports whether the ID is the zero value.
func (i ID) IsZero() bool { return i.urn == "" }

// Short returns a few characters that tell IDs apart in a table or a log line:
// the last eight hex digits before the type octet, or the name of a well-known
// ID. It is not unique.
func (i ID) Short() string {
	u := i.Unique()
	format, value, _ := strings.Cut(u, "-")
	switch {
	case format != "uuid" && format != "cbid":
		return value
	case len(value) <= 10:
		return value
	}
	return value[len(value)-10 : len(value)-2]
}

// Kind tells what the ID names.
func (i ID) Kind() Kind {
	u := i.Unique()
	switch {
	case u == "" || i.urn == nullText:
		return KindNone
	case i.urn == worldText || i.urn == netText:
		return KindGroup
	case strings.HasPrefix(u, "uuid-") || strings.HasPrefix(u, "cbid-"):
		return Kind(unhex(u[len(u)-2])<<4 | unhex(u[len(u)-1]))
	}
	return KindUnknown
}

// LogValue implements [slog.LogValuer]: logs show the short form.
func (i ID) LogValue() slog.Value { return slog.StringValue(i.Short()) }

// MarshalText implements [encoding.TextMarshaler]. The zero ID has an empty text,
// which cannot be read again; JSON leaves it out with "omitzero".
func (i ID) MarshalText() ([]byte, error) { return []byte(i.urn), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]; see [Parse].
func (i *ID) UnmarshalText(b []byte) error {
	v, err := Parse(string(b))
	if err == nil {
		*i = v
	}
	return err
}

// Parse reads the URN of any kind of ID. "urn:jxta:" and hex digits may be of
// any case and trailing zeros of the fields may be spelled out; the result is
// canonical, so that two spellings of one ID compare equal. The uuid and cbid
// spellings of the well-known groups are folded into their names. IDs of
// unknown formats are kept as text, as JXSE does, and have [KindUnknown]; like
// all URNs they must be printable ASCII. The empty text is an error, too.
//
// JXSE 2.5 differs: it reads signs in hex digits, refuses content IDs (type 07,
// known to JXSE 2.7) and fails on the cbid spelling of the well-known groups.
//
// The error wraps [ErrSyntax].
func Parse(s string) (ID, error) {
	if len(s) > MaxText {
		return ID{}, fmt.Errorf("id: %w: longer than %d octets", ErrSyntax, MaxText)
	}
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return ID{}, fmt.Errorf("id: %w: %q lacks the prefix %q", ErrSyntax, clip(s), prefix)
	}
	return parseUnique(s[len(prefix):])
}

// ParseUnique reads the text after "urn:jxta:", the form that stands in
// addresses; otherwise it is like [Parse].
func ParseUnique(s string) (ID, error) {
	if len(s) > MaxText-len(prefix) {
		return ID{}, fmt.Errorf("id: %w: longer than %d octets", ErrSyntax, MaxText)
	}
	return parseUnique(s)
}

func parseUnique(u string) (ID, error) {
	format, value, ok := strings.Cut(u, "-")
	if !ok || format == "" || value == "" {
		return ID{}, fmt.Errorf("id: %w: %q has no format and value", ErrSyntax, clip(u))
	}
	switch format {
	case "uuid", "cbid":
		return parseHex(format, value)
	case "jxta":
		switch strings.ToLower(value) {
		case "null":
			return Null, nil
		case "netgroup":
			return ID{netText}, nil
		case "worldgroup":
			return ID{worldText}, nil
		}
		return ID{}, fmt.Errorf("id: %w: no well-known ID is called %q", ErrSyntax, clip(value))
	}
	for i := 0; i < len(u); i++ {
		if u[i] <= ' ' || u[i] >= 0x7f {
			return ID{}, fmt.Errorf("id: %w: %q is not a printable ASCII character", ErrSyntax, u[i])
		}
	}
	return ID{prefix + u}, nil
}

// parseHex reads the value of the uuid and cbid formats: the non-zero head of
// 63 octets, then the type octet.
func parseHex(format, value string) (ID, error) {
	if len(value)%2 != 0 || len(value) > maxHex {
		return ID{}, fmt.Errorf("id: %w: %d hex digits, want an even number up to %d", ErrSyntax, len(value), maxHex)
	}
	canonical := true
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case '0' <= c && c <= '9', 'A' <= c && c <= 'F':
		case 'a' <= c && c <= 'f':
			canonical = false
		default:
			return ID{}, fmt.Errorf("id: %w: %q is not a hex digit", ErrSyntax, c)
		}
	}
	if !canonical {
		value = strings.ToUpper(value)
	}
	fields, typ := value[:len(value)-2], value[len(value)-2:]
	if typ < "01" || typ > "07" {
		return ID{}, fmt.Errorf("id: %w: no kind of ID has the type %s", ErrSyntax, typ)
	}
	for len(fields) > 2 && strings.HasSuffix(fields, "00") {
		fields = fields[:len(fields)-2]
	}
	if fields == "" {
		fields = "00"
	}
	if typ == "02" {
		switch fields {
		case worldUUID:
			return ID{worldText}, nil
		case netUUID:
			return ID{netText}, nil
		}
	}
	return ID{prefix + format + "-" + fields + typ}, nil
}

// format returns "uuid" or "cbid": the format of an ID, and of IDs made in the
// group if it is one. The well-known groups take uuid, as in JXSE 2.5.
func (i ID) format() string {
	if strings.HasPrefix(i.Unique(), "cbid-") {
		return "cbid"
	}
	return "uuid"
}

// octets returns the 63 octets of fields of a uuid or cbid ID, zero for others.
func (i ID) octets() (b [63]byte) {
	switch i.urn {
	case worldText:
		_, _ = hex.Decode(b[:], []byte(worldUUID))
		return b
	case netText:
		_, _ = hex.Decode(b[:], []byte(netUUID))
		return b
	}
	u := i.Unique()
	if strings.HasPrefix(u, "uuid-") || strings.HasPrefix(u, "cbid-") {
		_, _ = hex.Decode(b[:], []byte(u[5:len(u)-2]))
	}
	return b
}

// fromOctets makes the canonical ID of the octets.
func fromOctets(format string, fields []byte, kind Kind) ID {
	v, err := parseHex(format, strings.ToUpper(hex.EncodeToString(fields)+fmt.Sprintf("%02x", uint8(kind))))
	if err != nil {
		panic("id: " + err.Error()) // unreachable: callers pass at most 63 octets and a known kind
	}
	return v
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
