package membership

import (
	"crypto/subtle"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/core/xmldoc"
)

const (
	elemParm  = "Parm"
	elemLogin = "login"
)

// substitution is the cipher of JXSE: what stands for each letter from A to Z.
const substitution = "WXMAHQKETRCUYIJSBFPGZNDLOV"

// encipher writes a password as it stands in a group's advertisement. Lower case is
// the same as upper case, and what is no letter stays. It hides nothing.
func encipher(password string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return rune(substitution[r-'A'])
		}
		return r
	}, strings.ToUpper(password))
}

// Passwords makes the parameters of a group with passwords, which map each name to
// its password; an empty one means that any will do. Whoever sees the group's
// advertisement can work out the passwords. The error wraps [ErrMalformed] if a name is
// empty or has a colon or a password has one, or [ErrTooMany].
func Passwords(users map[string]string) (xmldoc.Node, error) {
	if len(users) == 0 || len(users) > MaxLogins {
		return xmldoc.Node{}, fmt.Errorf("membership: %w: %d names, from 1 to %d can be", ErrTooMany, len(users), MaxLogins)
	}
	var all []xmldoc.Node
	for _, name := range slices.Sorted(maps.Keys(users)) {
		if name == "" || len(name) > maxName || strings.TrimSpace(name) != name || strings.Contains(name, ":") {
			return xmldoc.Node{}, fmt.Errorf("membership: %w: the name %q", ErrMalformed, clip(name))
		}
		if p := users[name]; len(p) > maxValue || strings.Contains(p, ":") {
			return xmldoc.Node{}, fmt.Errorf("membership: %w: the password of %q is too long or has a colon", ErrMalformed, name)
		}
		all = append(all, xmldoc.NewNode(elemLogin, name+":"+encipher(users[name])+":"))
	}
	return xmldoc.NewNode(elemParm, "", all...), nil
}

// readLogins reads the names and ciphers of a password group. Where a line is wrong
// JXSE cannot enter the group at all; here the line is left out.
func readLogins(parm xmldoc.Node) (map[string]string, error) {
	all := map[string]string{}
	for e := range parm.Children() {
		if e.Name() != elemLogin {
			continue
		}
		parts := strings.SplitN(e.Text(), ":", 3)
		if len(parts) != 3 || parts[0] == "" || len(parts[0]) > maxName {
			continue
		}
		if all[parts[0]] = parts[1]; len(all) > MaxLogins {
			return nil, fmt.Errorf("membership: %w: more than %d names", ErrTooMany, MaxLogins)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("membership: %w: a group with passwords, of which it names none", ErrMalformed)
	}
	return all, nil
}

// checkLogin reports whether the password is that of the name.
func checkLogin(logins map[string]string, name, password string) error {
	cipher, ok := logins[name]
	switch {
	case !ok:
		return fmt.Errorf("membership: %w: %q", ErrName, clip(name))
	case cipher == "" || subtle.ConstantTimeCompare([]byte(cipher), []byte(encipher(password))) == 1:
		return nil
	}
	return fmt.Errorf("membership: %w: that of %q", ErrPassword, clip(name))
}
