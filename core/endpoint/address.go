package endpoint

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"unicode/utf8"

	"github.com/juxta-p2p/juxta/core/id"
)

// Address says where a message goes: the protocol that carries it, a place in
// terms of that protocol, and optionally the service there with a parameter.
// Addresses are comparable; [ParseAddress] folds what JXTA reads as equal.
//
//	tcp://192.0.2.1:9701
//	jxta://uuid-…03/PipeService/urn:jxta:uuid-…04
type Address struct {
	Protocol string // lower case: tcp, tls, http, mcast, mem, jxta, …
	Host     string // host:port, or the unique value of a peer ID
	Service  string // service name, may be empty
	Param    string // parameter of the service, may be empty, may contain slashes
}

// ErrAddress is the cause of every error of [ParseAddress].
var ErrAddress = errors.New("not an endpoint address")

// ParseAddress reads "protocol://host[/service[/parameter]]". "urn:jxta:X" is
// read as "jxta://X", with the service after "#". Protocol and host are folded
// to lower case, except that unique values of IDs take their canonical form. An
// empty service or parameter is none. Blanks, control characters and invalid
// UTF-8 are refused, since addresses travel inside text protocols.
//
// The error wraps [ErrAddress]. JXSE 2.5 reads the same without the bounds, keeps
// the case and compares without it, and takes other spellings of "urn:jxta:" for
// protocols of their own.
func ParseAddress(s string) (Address, error) {
	if len(s) > MaxAddress {
		return Address{}, fmt.Errorf("endpoint: %w: longer than %d octets", ErrAddress, MaxAddress)
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] == 0x7f {
			return Address{}, fmt.Errorf("endpoint: %w: blank or control character", ErrAddress)
		}
	}
	if !utf8.ValidString(s) {
		return Address{}, fmt.Errorf("endpoint: %w: not valid UTF-8", ErrAddress)
	}
	if rest, ok := strings.CutPrefix(s, "urn:jxta:"); ok {
		place, tail, _ := strings.Cut(rest, "#")
		if strings.Contains(place, "/") {
			return Address{}, fmt.Errorf("endpoint: %w: a service follows \"#\" in the URN form", ErrAddress)
		}
		s = "jxta://" + place + "/" + tail
	}
	proto, rest, ok := strings.Cut(s, "://")
	if !ok {
		return Address{}, fmt.Errorf("endpoint: %w: %q has no \"://\"", ErrAddress, s)
	}
	if strings.ContainsAny(proto, ":/") {
		return Address{}, fmt.Errorf("endpoint: %w: %q is not a protocol name", ErrAddress, proto)
	}
	host, tail, _ := strings.Cut(rest, "/")
	service, param, _ := strings.Cut(tail, "/")
	if proto == "" || host == "" {
		return Address{}, fmt.Errorf("endpoint: %w: %q lacks the protocol or the host", ErrAddress, s)
	}
	if len(host) > maxHost || len(service) > maxService {
		return Address{}, fmt.Errorf("endpoint: %w: host or service too long", ErrAddress)
	}
	a := Address{Protocol: lower(proto), Host: host, Service: service, Param: param}
	if !a.namesPeer() {
		a.Host = lower(host)
	} else if v, err := id.ParseUnique(host); err == nil {
		a.Host = v.Unique()
	}
	if len(s)-len(host)+len(a.Host) > MaxAddress { // "uuid-03" is short for "uuid-0003"
		return Address{}, fmt.Errorf("endpoint: %w: longer than %d octets", ErrAddress, MaxAddress)
	}
	return a, nil
}

// lower folds ASCII letters only: names and numbers of hosts have no others, and
// folding the rest could lengthen them.
func lower(s string) string {
	upper := func(c byte) bool { return 'A' <= c && c <= 'Z' }
	for i := 0; i < len(s); i++ {
		if !upper(s[i]) {
			continue
		}
		b := []byte(s)
		for ; i < len(b); i++ {
			if upper(b[i]) {
				b[i] += 'a' - 'A'
			}
		}
		return string(b)
	}
	return s
}

// MustParseAddress is [ParseAddress] for constants; it panics on an error.
func MustParseAddress(s string) Address {
	a, err := ParseAddress(s)
	if err != nil {
		panic(err)
	}
	return a
}

// PeerAddress is the address of a service at a peer, however it is reached.
func PeerAddress(p id.Peer, service, param string) Address {
	return Address{Protocol: "jxta", Host: p.Unique(), Service: service, Param: param}
}

// namesPeer reports whether the host part is the unique value of an ID.
func (a Address) namesPeer() bool {
	switch a.Protocol {
	case "jxta", "relay", "jxtatls", "cbjx":
		return true
	}
	return false
}

// Peer returns the peer that a jxta:// (relay://, jxtatls://) address names.
func (a Address) Peer() (id.Peer, bool) {
	if !a.namesPeer() {
		return id.Peer{}, false
	}
	p, err := id.ParsePeerUnique(a.Host)
	return p, err == nil
}

// Base returns the address without service and parameter.
func (a Address) Base() Address { return Address{Protocol: a.Protocol, Host: a.Host} }

// With returns the address of a service at the same place.
func (a Address) With(service, param string) Address {
	a.Service, a.Param = service, param
	return a
}

// IsZero reports whether the address is the zero value.
func (a Address) IsZero() bool { return a == Address{} }

// HostPort splits the host part into name or IP and port.
func (a Address) HostPort() (host, port string, err error) { return net.SplitHostPort(a.Host) }

// String returns the text form, the inverse of [ParseAddress], or "" for the zero address.
func (a Address) String() string {
	if a.IsZero() {
		return ""
	}
	return string(a.AppendTo(nil))
}

// AppendTo appends the text form to b.
func (a Address) AppendTo(b []byte) []byte {
	b = append(b, a.Protocol...)
	b = append(b, "://"...)
	b = append(b, a.Host...)
	if a.Service != "" || a.Param != "" {
		b = append(b, '/')
		b = append(b, a.Service...)
	}
	if a.Param != "" {
		b = append(b, '/')
		b = append(b, a.Param...)
	}
	return b
}

// MarshalText implements [encoding.TextMarshaler]; the zero address is empty text.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]; see [ParseAddress].
func (a *Address) UnmarshalText(b []byte) error {
	v, err := ParseAddress(string(b))
	if err == nil {
		*a = v
	}
	return err
}
