package direct

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// seenLink is a link of which only what an observer looks at is real.
type seenLink struct {
	endpoint.Link
	peer          id.Peer
	origin, local string
}

func (l *seenLink) Peer() id.Peer  { return l.peer }
func (l *seenLink) Origin() string { return l.origin }
func (l *seenLink) Local() endpoint.Address {
	return endpoint.Address{Protocol: "tcp", Host: l.local}
}

func TestKinds(t *testing.T) {
	type sight struct{ origin, at string }
	const local = "10.1.0.2:9701"
	for _, c := range []struct {
		what   string
		sights []sight
		want   Kind
		known  string // candidates
	}{
		{"nobody", nil, Unknown, ""},
		{"at its own address", []sight{{"198.51.100.1", local}}, Open, ""},
		{"one", []sight{{"198.51.100.1", "203.0.113.7:9701"}}, Translated, "203.0.113.7:9701"},
		{"the same one again", []sight{{"198.51.100.1", "203.0.113.7:9701"}, {"198.51.100.1", "203.0.113.7:9701"}}, Translated, "203.0.113.7:9701"},
		{"two alike", []sight{{"198.51.100.1", "203.0.113.7:9701"}, {"198.51.100.2", "203.0.113.7:9701"}}, Mapped, "203.0.113.7:9701"},
		{"two that differ", []sight{{"198.51.100.1", "203.0.113.7:1111"}, {"198.51.100.2", "203.0.113.7:2222"}}, Symmetric, "203.0.113.7:2222 203.0.113.7:1111"},
		{"from inside and outside", []sight{{"10.1.0.3", local}, {"198.51.100.1", "203.0.113.7:9701"}}, Translated, "203.0.113.7:9701"},
		{"a new mapping of the same", []sight{{"198.51.100.1", "203.0.113.7:1111"}, {"198.51.100.1", "203.0.113.7:2222"}}, Translated, "203.0.113.7:2222"},
		{"rubbish", []sight{{"198.51.100.1", "nonsense"}, {"198.51.100.1", "127.0.0.1:1"}, {"198.51.100.1", "203.0.113.7:0"}}, Unknown, ""},
	} {
		o := &Observer{changed: func() {}, all: map[string][]sighting{}}
		for _, s := range c.sights {
			o.see(&seenLink{origin: s.origin, local: local}, endpoint.Address{Protocol: "tcp", Host: s.at})
		}
		var known []string
		for _, a := range o.Candidates() {
			known = append(known, a.Host)
		}
		if got := o.Kind("tcp"); got != c.want || strings.Join(known, " ") != c.known {
			t.Errorf("%s: %v with %v, want %v with %s", c.what, got, known, c.want, c.known)
		}
		if o.Kind("tcp").String() == "" {
			t.Error("no words")
		}
	}
}

func TestObserverIsBounded(t *testing.T) {
	o := &Observer{changed: func() {}, all: map[string][]sighting{}}
	ip := netip.MustParseAddr("198.51.100.0")
	for range 1000 {
		ip = ip.Next()
		o.see(&seenLink{origin: ip.String(), local: "10.0.0.1:1"}, endpoint.Address{Protocol: "tcp", Host: "203.0.113.7:9701"})
	}
	if n := len(o.all["tcp"]); n > maxSamples {
		t.Errorf("%d sightings are kept", n)
	}
}

func TestDialable(t *testing.T) {
	for text, want := range map[string]bool{
		"tls://203.0.113.7:9701": true, "quic://[2001:db8::1]:9701": true, "tcp://10.0.0.1:1": true, "mem://x": true,
		"tcp://127.0.0.1:9701": false, "tcp://0.0.0.0:9701": false, "tcp://224.0.0.1:9701": false, "tcp://host.example:9701": false,
		"tcp://203.0.113.7:0": false, "tcp://[::1]:9701": false, "tcp://[fe80::1]:9701": false,
	} {
		if got := dialable(endpoint.MustParseAddress(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestDocuments(t *testing.T) {
	a := endpoint.MustParseAddress("tls://203.0.113.7:9701")
	in := document{Kind: kindProbed, Nonce: newNonce(), Token: newNonce(), Addresses: []endpoint.Address{a}, Results: []result{{Address: a}, {a, "connect", "refused <by> it"}}}
	b, err := xmldoc.Marshal(&in)
	if err != nil {
		t.Fatal(err)
	}
	var out document
	if err := xmldoc.Unmarshal(b, &out); err != nil || out.Kind != in.Kind || out.Nonce != in.Nonce || out.Token != in.Token || !slices.Equal(out.Results, in.Results) {
		t.Errorf("%+v became %+v, %v", in, out, err)
	}
	for i := range strings.TrimSpace(string(b)) {
		if xmldoc.Unmarshal(b[:i], &out) == nil {
			t.Fatalf("read although cut at %d", i)
		}
	}
	for _, bad := range []document{{Kind: "nonsense", Nonce: in.Nonce}, {Kind: kindGo, Nonce: "zz"}, {Kind: kindGo, Nonce: "00"}, {Kind: kindGo, Nonce: in.Nonce, Token: "00"}} {
		b, err := xmldoc.Marshal(&bad)
		if err == nil && xmldoc.Unmarshal(b, &out) == nil {
			t.Errorf("read: %+v", bad)
		}
	}
}

func FuzzDocument(f *testing.F) {
	b, err := xmldoc.Marshal(&document{Kind: kindAsk, Nonce: newNonce(), Addresses: []endpoint.Address{endpoint.MustParseAddress("tls://203.0.113.7:9701")}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var d document
		if xmldoc.Unmarshal(b, &d) != nil {
			return
		}
		if len(d.Addresses) > maxAddresses || len(d.Results) > maxProbed || len(d.Nonce) != 2*nonceOctets {
			t.Errorf("beyond the limits: %+v", d)
		}
	})
}
