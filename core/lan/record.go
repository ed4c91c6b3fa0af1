package lan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// Keys of the strings of a record, in DNS-SD and in the meeting folder.
// Addresses have the keys a0, a1, …
const (
	keyVersion = "txtvers"
	keyPeer    = "id"
	keyGroup   = "g"
	keyName    = "n"
	keyRoles   = "r"
	keyAddress = "a"

	// version of the keys; it comes first.
	version = "1"

	urnPrefix = "urn:jxta:"
)

// errRecord is the cause of every error of decode.
var errRecord = errors.New("not the record of a peer")

// record is what a peer says about itself.
type record struct {
	peer        id.Peer
	group       id.Group
	name, roles string
	addresses   []endpoint.Address
}

// encode writes the record as strings of the form key=value, within the limits
// of a TXT record. Addresses that do not fit are left out.
func (r record) encode() []string {
	var out []string
	left := maxText
	add := func(key, value string) bool {
		s := key + "=" + value
		if len(s) > maxString || len(s)+1 > left {
			return false
		}
		left -= len(s) + 1
		out = append(out, s)
		return true
	}
	add(keyVersion, version)
	add(keyPeer, r.peer.Unique())
	add(keyGroup, r.group.Unique())
	if name := clean(r.name, maxName); name != "" {
		add(keyName, name)
	}
	if roles := clean(r.roles, maxRoles); roles != "" {
		add(keyRoles, roles)
	}
	n := 0
	for _, a := range r.addresses {
		if n < maxAddresses && add(fmt.Sprintf("%s%d", keyAddress, n), a.String()) {
			n++
		}
	}
	return out
}

// clipped counts the addresses of a record that are not among its strings.
func (s *Service) clipped(r record, strs []string) {
	n := 0
	for _, x := range strs {
		if key, _, _ := strings.Cut(x, "="); isAddressKey(key) {
			n++
		}
	}
	s.stats.clipped.Add(uint64(len(r.addresses) - n))
}

// decode reads what strangers wrote. Unknown keys are passed over, the first of
// several equal ones counts, and addresses that accept refuses are left out.
// The error wraps errRecord; a record without usable address is an error too.
func decode(strs []string, accept func(endpoint.Address) bool) (record, error) {
	var r record
	var err error
	seen := map[string]bool{}
	for i, s := range strs[:min(len(strs), maxStrings)] {
		key, value, _ := strings.Cut(s, "=")
		key = strings.ToLower(key)
		if i == 0 && key == keyVersion && value != version {
			return record{}, fmt.Errorf("lan: %w: version %.8q", errRecord, value)
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		switch {
		case key == keyPeer:
			if r.peer, err = id.ParsePeerUnique(value); err != nil {
				return record{}, fmt.Errorf("lan: %w: %w", errRecord, err)
			}
		case key == keyGroup:
			if r.group, err = id.ParseGroup(urnPrefix + value); err != nil {
				return record{}, fmt.Errorf("lan: %w: %w", errRecord, err)
			}
		case key == keyName:
			r.name = clean(value, maxName)
		case key == keyRoles:
			r.roles = clean(value, maxRoles)
		case isAddressKey(key) && len(r.addresses) < maxAddresses:
			a, aerr := endpoint.ParseAddress(value)
			if a = a.Base(); aerr == nil && accept(a) && !slices.Contains(r.addresses, a) {
				r.addresses = append(r.addresses, a)
			}
		}
	}
	switch {
	case r.peer.IsZero() || r.group.IsZero():
		return record{}, fmt.Errorf("lan: %w: no peer or no group", errRecord)
	case len(r.addresses) == 0:
		return record{}, fmt.Errorf("lan: %w: no usable address", errRecord)
	}
	return r, nil
}

// isAddressKey reports whether a key is a0, a1, … Addresses count in the order
// in which they stand.
func isAddressKey(key string) bool {
	return len(key) == len(keyAddress)+1 && strings.HasPrefix(key, keyAddress) && '0' <= key[1] && key[1] <= '9'
}

// clean makes a text fit to be shown: no octets that are not UTF-8, no control
// or formatting characters, at most limit octets, cut between characters.
func clean(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s[:min(len(s), 4*limit)])
	s = strings.TrimSpace(s)
	if len(s) > limit {
		n := limit
		for !utf8.RuneStart(s[n]) {
			n--
		}
		s = strings.TrimSpace(s[:n])
	}
	return s
}
