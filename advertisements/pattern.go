package advertisements

import "strings"

// Match reports whether a value of an indexed field fits a pattern. "*" stands
// for any text, also for none, wherever it is; everything else stands for
// itself, octet by octet, upper and lower case apart. The empty pattern fits
// every value. The time is linear in the length of the value.
//
// JXSE 2.5 understands "*" only at the two ends; see [SendablePattern].
func Match(pattern, value string) bool {
	if pattern == "" {
		return true
	}
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == value
	}
	value, ok := strings.CutPrefix(value, head)
	if !ok {
		return false
	}
	for {
		part, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(value, part)
		}
		i := strings.Index(value, part)
		if i < 0 {
			return false
		}
		value, rest = value[i+len(part):], more
	}
}

// SendablePattern reports whether other peers understand a pattern as [Match]
// does: whether "*" stands only at its ends. JXSE 2.5 takes a pattern with "*"
// inside literally, without its first and last character.
func SendablePattern(p string) bool {
	return len(p) < 3 || !strings.Contains(p[1:len(p)-1], "*")
}
