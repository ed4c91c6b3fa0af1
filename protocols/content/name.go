package content

import (
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// NameError tells why a name was refused. It unwraps to [ErrName].
type NameError struct{ Name, Why string }

// Error implements error.
func (e *NameError) Error() string {
	const shown = 80
	name := e.Name
	if len(name) > shown {
		name = name[:shown] + "…"
	}
	return "content: the name " + quote(name) + " cannot be taken: " + e.Why
}

// Unwrap returns [ErrName].
func (*NameError) Unwrap() error { return ErrName }

func quote(s string) string {
	return `"` + strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, s) + `"`
}

// partPrefix begins the names of files that are being fetched.
const partPrefix = ".juxta-"

// CheckName refuses names that cannot be the name of a file within a folder on
// every system, slashes between its parts: what leaves the folder, is empty, too
// long or not UTF-8, has characters that Windows forbids, ends in a dot or a blank,
// or names a device there. The error is a [*NameError].
func CheckName(name string) error {
	bad := func(why string) error { return &NameError{name, why} }
	switch {
	case name == "":
		return bad("it is empty")
	case len(name) > maxName:
		return bad("it is too long")
	case !utf8.ValidString(name):
		return bad("it is not UTF-8")
	case strings.Count(name, "/") >= maxParts:
		return bad("it is too deep")
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "":
			return bad("a part of it is empty")
		case part == "." || part == "..":
			return bad("it leaves its folder")
		case len(part) > maxPart:
			return bad("a part of it is too long")
		case strings.ContainsAny(part, `<>:"\|?*`):
			return bad("it has a character that not every system allows")
		case strings.ContainsFunc(part, hidden):
			return bad("it has a character that cannot be seen")
		case strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") || strings.HasPrefix(part, " "):
			return bad("a part of it begins or ends in a blank, or ends in a dot")
		case device(part):
			return bad("it is that of a device")
		case strings.HasPrefix(strings.ToLower(part), partPrefix):
			return bad("it is that of a file that is being fetched")
		}
	}
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return bad("it leaves its folder")
	}
	return nil
}

// hidden reports characters that are controls, or that turn the direction of the
// text around, so that a name looks like another.
func hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == utf8.RuneError ||
		r == '\u2028' || r == '\u2029' || r == '\ufeff'
}

// device reports whether Windows takes the name for a device, with any extension.
func device(part string) bool {
	base, _, _ := strings.Cut(strings.ToUpper(part), ".")
	base = strings.TrimRight(base, " ")
	switch base {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	for _, port := range []string{"COM", "LPT"} {
		if n, ok := strings.CutPrefix(base, port); ok {
			switch n {
			case "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³":
				return true
			}
		}
	}
	return false
}
