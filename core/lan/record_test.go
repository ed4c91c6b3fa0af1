package lan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

func peerOf(name string) id.Peer { return id.PeerFromSeed(id.NetGroup, []byte(name)) }

func addrs(list ...string) []endpoint.Address {
	var out []endpoint.Address
	for _, s := range list {
		out = append(out, endpoint.MustParseAddress(s))
	}
	return out
}

func anything(endpoint.Address) bool { return true }

var compareRecords = cmp.AllowUnexported(record{}, id.Peer{}, id.Group{}, id.ID{})

func TestRecordRoundTrip(t *testing.T) {
	for name, r := range map[string]record{
		"plain":          {peer: peerOf("a"), group: id.NetGroup, addresses: addrs("tcp://192.0.2.1:9701")},
		"everything":     {peerOf("b"), id.NewGroup(id.NetGroup), "Zoë \"the\" \\back\\slash", "rdv,relay", addrs("tcp://192.0.2.1:1", "http://[2001:db8::1]:2")},
		"key of a peer":  {peer: id.PeerFromKey([]byte("key")), group: id.NetGroup, addresses: addrs("tls://192.0.2.1:9701")},
		"many addresses": {peer: peerOf("c"), group: id.NetGroup, addresses: addrs("tcp://192.0.2.1:1", "tcp://192.0.2.1:2", "tcp://192.0.2.1:3", "tcp://192.0.2.1:4", "tcp://192.0.2.1:5", "tcp://192.0.2.1:6", "tcp://192.0.2.1:7", "tcp://192.0.2.1:8")},
	} {
		got, err := decode(r.encode(), anything)
		if d := cmp.Diff(r, got, compareRecords); err != nil || d != "" {
			t.Errorf("%s: %v\n%s", name, err, d)
		}
		got, err = decode(overDNS(t, r.encode()), anything)
		if d := cmp.Diff(r, got, compareRecords); err != nil || d != "" {
			t.Errorf("%s over DNS: %v\n%s", name, err, d)
		}
	}
	first := record{peer: peerOf("a"), group: id.NetGroup, addresses: addrs("tcp://192.0.2.1:9701")}.encode()
	want := []string{"txtvers=1", "id=" + peerOf("a").Unique(), "g=jxta-NetGroup", "a0=tcp://192.0.2.1:9701"}
	if d := cmp.Diff(want, first); d != "" {
		t.Error(d)
	}
}

// overDNS sends strings through a packed answer.
func overDNS(t *testing.T, strs []string) []string {
	t.Helper()
	m := new(dns.Msg)
	m.Answer = []dns.RR{&dns.TXT{
		Hdr: dns.RR_Header{Name: serviceName, Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: apply(strs, escape),
	}}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	m = new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		t.Fatal(err)
	}
	return apply(m.Answer[0].(*dns.TXT).Txt, unescape)
}

func TestRecordFitsADatagram(t *testing.T) {
	r := record{peer: peerOf("a"), group: id.NewGroup(id.NetGroup), name: strings.Repeat("ö", 500), roles: strings.Repeat("r", 500)}
	long := endpoint.Address{Protocol: "tcp", Host: strings.Repeat("h", 250) + ":9701"}
	r.addresses = append(r.addresses, long)
	for i := range 20 {
		r.addresses = append(r.addresses, endpoint.Address{Protocol: "tcp", Host: fmt.Sprintf("%s%02d:9701", strings.Repeat("h", 200), i)})
	}
	total := 0
	strs := r.encode()
	for _, s := range strs {
		total += len(s) + 1
		if len(s) > maxString {
			t.Errorf("a string of %d octets", len(s))
		}
	}
	if total > maxText {
		t.Errorf("%d octets in all", total)
	}
	got, err := decode(strs, anything)
	if err != nil || got.peer != r.peer || len(got.name) > maxName || !utf8.ValidString(got.name) || got.name == "" {
		t.Errorf("%+v, %v", got, err)
	}
	if n := len(got.addresses); n < 2 || n > maxAddresses || got.addresses[0] != r.addresses[1] {
		t.Errorf("%d addresses, first %s", n, got.addresses[0])
	}
}

func TestDecodeRules(t *testing.T) {
	p, g, a := "id="+peerOf("a").Unique(), "g=jxta-NetGroup", "a0=tcp://192.0.2.1:1"
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprintf("a%d=tcp://192.0.2.1:%d", i%10, i+1))
	}
	for _, tc := range []struct {
		name  string
		strs  []string
		addrs int // none: an error is wanted
	}{
		{"whole", []string{"txtvers=1", p, g, a}, 1},
		{"any order and case", []string{a, strings.ToUpper(g[:1]) + g[1:], p, "TXTVERS=1"}, 1},
		{"unknown keys", []string{"x", "=", "", p, g, a, "z=1", "a=tcp://192.0.2.1:9", "aa=tcp://192.0.2.1:9"}, 1},
		{"first counts", []string{p, g, a, "id=rubbish", "a0=tcp://192.0.2.1:2"}, 1},
		{"repeated address", []string{p, g, a, "a1=tcp://192.0.2.1:1"}, 1},
		{"bad addresses are left out", []string{p, g, "a0=", "a1=tcp:", "a2=tcp://a b:1", "a3=tcp://192.0.2.1:1"}, 1},
		{"not too many addresses", append([]string{p, g}, many...), maxAddresses},
		{"not too many strings", append(append([]string{p, g}, slices.Repeat([]string{"x=y"}, maxStrings)...), a), 0},
		{"other version", []string{"txtvers=2", p, g, a}, 0},
		{"no peer", []string{g, a}, 0},
		{"bad peer", []string{"id=uuid-00", g, a}, 0},
		{"a pipe for a peer", []string{"id=" + id.NewPipe(id.NetGroup).Unique(), g, a}, 0},
		{"no group", []string{p, a}, 0},
		{"a peer for a group", []string{p, "g=" + p[3:], a}, 0},
		{"no address", []string{p, g}, 0},
		{"nothing", nil, 0},
	} {
		r, err := decode(tc.strs, anything)
		if tc.addrs == 0 && !errors.Is(err, errRecord) || tc.addrs > 0 && (err != nil || len(r.addresses) != tc.addrs) {
			t.Errorf("%s: %+v, %v", tc.name, r, err)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"alice":                    "alice",
		"  a b  ":                  "a b",
		"\x1b[31mred\x1b[0m":       "[31mred[0m",
		"a\nb\x00c\u202ed\u200be":  "abcde",
		"\xff\xfe ok":              "ok",
		"":                         "",
		strings.Repeat("ä", 40):    strings.Repeat("ä", 31),
		strings.Repeat("x", 1<<20): strings.Repeat("x", maxName),
	} {
		if got := clean(in, maxName); got != want {
			t.Errorf("%.40q: %q, want %q", in, got, want)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(strings.Join(record{peer: peerOf("a"), group: id.NetGroup, name: "ann", addresses: addrs("tcp://192.0.2.1:1")}.encode(), "\n"))
	f.Add("txtvers=1\nid=uuid-00\na0=tcp://h:1")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := decode(strings.Split(s, "\n"), fromMachine)
		if err != nil {
			return
		}
		again, err := decode(r.encode(), fromMachine)
		if err != nil || again.peer != r.peer || again.group != r.group || again.name != r.name || again.roles != r.roles {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}

func FuzzEscape(f *testing.F) {
	f.Add([]byte("a\\b\"c\xc3\xa9\x00\\195"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := string(b[:min(len(b), maxString)])
		if got := overDNS(t, []string{s}); got[0] != s {
			t.Fatalf("%q became %q", s, got[0])
		}
		unescape(s) // must not panic whatever comes
	})
}

func TestLabel(t *testing.T) {
	seen := map[string]bool{}
	trailing, err := id.ParsePeerUnique("uuid-59616261646162614E50472050325033A0000000000040008000800000000000" + "03")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []id.Peer{peerOf("a"), peerOf("b"), id.PeerFromKey([]byte("k")), trailing} {
		l := label(p)
		if len(l) != 32 || strings.Trim(l, "0123456789abcdef") != "" || seen[l] {
			t.Errorf("%s: %q", p, l)
		}
		seen[l] = true
	}
	whole, err := id.ParsePeerUnique("uuid-59616261646162614E50472050325033A000000000004000800080000000010303")
	if err != nil {
		t.Fatal(err)
	}
	if l := label(whole); l != "a0000000000040008000800000000103" {
		t.Error(l)
	}
}
