package direct

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Kinds of documents.
const (
	kindAsk    = "ask"    // let us try; these are my addresses
	kindAnswer = "answer" // agreed; these are mine
	kindGo     = "go"     // now
	kindProbe  = "probe"  // can you reach me at these addresses?
	kindProbed = "probed" // this is how it went
)

// document is what peers say to each other, juxta:Direct.
type document struct {
	Kind      string
	Nonce     string
	Token     string // in an answer, and in the go that follows it
	Addresses []endpoint.Address
	Results   []result // of a probe
}

// result is how dialling one address went.
type result struct {
	Address endpoint.Address
	Phase   string // "" if it was reached
	Reason  string
}

var (
	errKind  = errors.New("not a kind of message")
	errNonce = errors.New("not the number of an attempt")
)

func isNonce(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == nonceOctets
}

// Map implements [xmldoc.Document].
func (d *document) Map(m *xmldoc.Mapper) {
	m.Root("juxta:Direct")
	m.Text("Kind", &d.Kind)
	m.Text("Nonce", &d.Nonce)
	m.Optional("Token", &d.Token)
	xmldoc.Each(m, "EA", maxAddresses, &d.Addresses, func(m *xmldoc.Mapper, v *endpoint.Address) { m.SelfValue(v) })
	xmldoc.Each(m, "Result", maxProbed, &d.Results, func(m *xmldoc.Mapper, v *result) {
		m.Value("EA", &v.Address)
		m.Optional("Phase", &v.Phase)
		m.Optional("Reason", &v.Reason)
	})
	if !m.Reading() {
		return
	}
	if !slices.Contains([]string{kindAsk, kindAnswer, kindGo, kindProbe, kindProbed}, d.Kind) {
		m.Fail(errKind)
	}
	if !isNonce(d.Nonce) || d.Token != "" && !isNonce(d.Token) {
		m.Fail(errNonce)
	}
	for i := range d.Results {
		d.Results[i].Phase, d.Results[i].Reason = clip(d.Results[i].Phase), clip(d.Results[i].Reason)
	}
}

// clip makes a text from outside fit to be shown.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "")
	}
	return s
}

// candidates are the addresses that can be punched here, without services; of
// twins that differ in TLS only the one with it. Names are left out, for a
// stranger would have this peer ask the name server, and so is what no other
// machine can mean.
func candidates(in []endpoint.Address, ep *endpoint.Endpoint) []endpoint.Address {
	var out []endpoint.Address
	for _, a := range in {
		a = a.Base()
		if !punches(ep, a.Protocol) || !dialable(a) || slices.Contains(out, a) {
			continue
		}
		if a.Protocol == "tcp" && slices.Contains(in, endpoint.Address{Protocol: "tls", Host: a.Host}) {
			continue
		}
		if len(out) < maxCandidates {
			out = append(out, a)
		}
	}
	return out
}

// punches reports whether a transport punches for the protocol.
func punches(ep *endpoint.Endpoint, protocol string) bool {
	for _, t := range ep.Transports() {
		if _, ok := t.(endpoint.Puncher); ok && endpoint.Carries(t, protocol) {
			return true
		}
	}
	return false
}

// dialable refuses addresses of IP that no other machine has. Those of other kinds
// of networks are taken.
func dialable(a endpoint.Address) bool {
	switch a.Protocol {
	case "tcp", "tls", "quic", "http":
	default:
		return true
	}
	at, err := netip.ParseAddrPort(a.Host)
	ip := at.Addr()
	return err == nil && at.Port() != 0 && !ip.IsUnspecified() && !ip.IsMulticast() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast()
}
