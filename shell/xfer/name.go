package xfer

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/juxta-p2p/juxta/protocols/content"
)

// unnamed is the name of files whose own cannot be used.
const unnamed = "unnamed"

// PlainName reduces the name of a file, as a stranger gives it, to one that stays in
// its folder on every system and looks like what it is: the part behind the last
// slash or backslash, "_" in place of what some system forbids or nobody can see, not
// hidden, 200 octets at most.
func PlainName(name string) string {
	const longest = 200
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || strings.ContainsRune(`<>:"|?*`, r) || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, name)
	name = strings.TrimLeft(name, ". ")
	for len(name) > longest {
		_, n := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-n]
	}
	name = strings.TrimRight(name, ". ")
	if content.CheckName(name) != nil {
		if name = "_" + name; content.CheckName(name) != nil || name == "_" { // a device: _con.txt
			return unnamed
		}
	}
	return name
}
