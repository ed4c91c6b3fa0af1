// Package compact writes and reads the short form that headers have between peers of Juxta,
// where the XML of JXTA would be longer than what it is about: an octet that no XML begins
// with, and then fields of up to 255 octets with their length before them.
package compact

// Mark is the first octet. Another form would have another one.
const Mark = 1

// Is reports whether a header has the short form.
func Is(b []byte) bool { return len(b) > 0 && b[0] == Mark }

// MaxField is how long a field may be, in octets.
const MaxField = 255

// Append appends a field, which must not be longer than [MaxField].
func Append(b []byte, field string) []byte { return append(append(b, byte(len(field))), field...) }

// Next returns the first field and what is behind it; ok is false if it ends too early.
func Next(b []byte) (field, rest []byte, ok bool) {
	if len(b) == 0 || len(b) <= int(b[0]) {
		return nil, nil, false
	}
	n := 1 + int(b[0])
	return b[1:n], b[n:], true
}
