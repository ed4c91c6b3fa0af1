package message

import "strings"

// BaseType returns the type and subtype of a MIME text in lower case, without
// parameters: "text/xml" for `TEXT/XML; charset="UTF-8"`. Compare it, never the
// text of an element, since peers spell types differently.
//
// An empty text means [TypeOctets], and so does one that is no MIME type, because
// a body of unknown type is just octets; JXSE refuses the message then. It
// allocates only if the text has upper case letters.
func BaseType(t string) string {
	switch t {
	case TypeText: // most elements are spelt like this
		return "text/plain"
	case TypeXML:
		return "text/xml"
	}
	base, _, _ := strings.Cut(t, ";")
	base = strings.Trim(base, " \t")
	major, minor, ok := strings.Cut(base, "/")
	if !ok || !isToken(major) || !isToken(minor) {
		return TypeOctets
	}
	return strings.ToLower(base) // returns base itself if nothing changes
}

// isToken reports whether s is a token of RFC 2045, section 5.1.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return s != ""
}
