package id_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/juxta-p2p/juxta/core/id"
)

const (
	peerText  = "urn:jxta:uuid-59616261646162614E50472050325033A000000000004000800080000000000103"
	groupText = "urn:jxta:uuid-E0E1E2E3E4E546E7A8E9AAEBECEDEEEF02"
	pipeText  = "urn:jxta:uuid-59616261646162614E504720503250330A0A0A0A0A0A4A0A8A0A0A0A0A0A0A0404"
)

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{
		"", "urn:jxta:", "urn:jxta:uuid", "urn:jxta:-03", "urn:jxta:uuid-", "uuid-0003",
		"urn:jxtaXuuid-0003", "urn:other:uuid-0003", " " + peerText, peerText + " ", peerText + "\x00",
		"urn:jxta:uuid-0G03", "urn:jxta:uuid-00 3", "urn:jxta:uuid-003", "urn:jxta:uuid-0000", "urn:jxta:uuid-00FF",
		"urn:jxta:uuid-+103", "urn:jxta:cbid-0x03", "urn:jxta:jxta-", "urn:jxta:jxta-Foo",
		"urn:jxta:uuid-" + strings.Repeat("AB", 64) + "03", "urn:jxta:cbid-" + strings.Repeat("AB", 64) + "03",
		"urn:jxta:new-a b", "urn:jxta:new-a\x7f", "urn:jxta:new-\xff", "urn:jxta:new-é",
		"urn:jxta:new-" + strings.Repeat("x", id.MaxText),
	} {
		if got, err := id.Parse(s); !errors.Is(err, id.ErrSyntax) || !got.IsZero() {
			t.Errorf("Parse(%q) = %q, %v, want ErrSyntax", s, got, err)
		} else if len(err.Error()) > 400 {
			t.Errorf("Parse(%q): the error repeats %d octets", s, len(err.Error()))
		}
	}
}

func TestParseFoldsSpellings(t *testing.T) {
	for in, want := range map[string]string{
		strings.ToLower(peerText):                                           peerText,
		"URN:JXTA:" + strings.TrimPrefix(peerText, "urn:jxta:"):             peerText,
		"urn:jxta:uuid-0000000003":                                          "urn:jxta:uuid-0003",
		"urn:jxta:cbid-AB0003":                                              "urn:jxta:cbid-AB03",
		"urn:jxta:uuid-59616261646162614E50472050325033" + "000002":         "urn:jxta:jxta-NetGroup",
		"urn:jxta:cbid-59616261646162614a78746150325033" + "02":             "urn:jxta:jxta-WorldGroup",
		"urn:jxta:jxta-WORLDGROUP":                                          "urn:jxta:jxta-WorldGroup",
		"urn:jxta:uuid-" + strings.Repeat("00", 63) + "03":                  "urn:jxta:uuid-0003",
		"urn:jxta:binaryid-bAAEC.uuid.0102":                                 "urn:jxta:binaryid-bAAEC.uuid.0102",
		"urn:jxta:Uuid-ab03":                                                "urn:jxta:Uuid-ab03",
		"urn:jxta:JXTA-NetGroup":                                            "urn:jxta:JXTA-NetGroup",
		"urn:jxta:uuid-59616261646162614E504720503250330000000000" + "0003": "urn:jxta:uuid-59616261646162614E5047205032503303",
	} {
		if got, err := id.Parse(in); err != nil || got.String() != want {
			t.Errorf("Parse(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestZero(t *testing.T) {
	var i id.ID
	if !i.IsZero() || i.String() != "" || i.Unique() != "" || i.Short() != "" || i.Kind() != id.KindNone {
		t.Errorf("zero ID: %q %q %q %v", i, i.Unique(), i.Short(), i.Kind())
	}
	var p id.Peer
	if !p.IsZero() || p.Provable() || p.Proves(nil) || p == (id.Peer{ID: id.Null}) {
		t.Error("the zero peer ID is more than nothing")
	}
	var s id.ModuleSpec
	if c := s.Class(); !c.IsZero() {
		t.Errorf("the zero spec belongs to class %q", c)
	}
	if id.Null.IsZero() || id.Null.Kind() != id.KindNone {
		t.Error("the null ID is an ID that names nothing, not no ID")
	}
}

func TestMapKey(t *testing.T) {
	a, err := id.ParsePeer(peerText)
	if err != nil {
		t.Fatal(err)
	}
	b, err := id.ParsePeer(strings.ToLower(peerText))
	if err != nil {
		t.Fatal(err)
	}
	m := map[id.Peer]string{a: "alpha"}
	if m[b] != "alpha" || a != b {
		t.Error("two spellings of one ID are two keys")
	}
	u, _ := id.ParsePeer("urn:jxta:uuid-AB03")
	c, _ := id.ParsePeer("urn:jxta:cbid-AB03")
	if u == c {
		t.Error("the format of an ID does not count")
	}
}

func TestJSON(t *testing.T) {
	type document struct {
		Peer  id.Peer
		Group id.Group
		Pipe  *id.Pipe `json:",omitempty"`
		None  id.Pipe  `json:",omitzero"`
		Any   id.ID
		Names map[id.Peer]string
		Class id.ModuleClass
		Spec  id.ModuleSpec
		Codat id.Codat `json:",omitzero"`
	}
	const in = `{"Peer":"` + peerText + `","Group":"urn:jxta:jxta-NetGroup","Pipe":"` + pipeText + `",` +
		`"Any":"urn:jxta:new-<x>","Names":{"` + peerText + `":"alpha"},` +
		`"Class":"urn:jxta:uuid-DEADBEEFDEAFBABAFEEDBABE0000000205","Spec":"urn:jxta:uuid-DEADBEEFDEAFBABAFEEDBABE000000020106",` +
		`"Codat":"urn:jxta:uuid-0001"}`
	var d document
	if err := json.Unmarshal([]byte(in), &d); err != nil {
		t.Fatal(err)
	}
	if d.Group != id.NetGroup || d.Class != id.ClassResolver || d.Spec != id.SpecResolver || d.Names[d.Peer] != "alpha" {
		t.Errorf("read %+v", d)
	}
	out, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.NewReplacer("<", `\u003c`, ">", `\u003e`).Replace(in); string(out) != want {
		t.Errorf("\n got %s\nwant %s", out, want)
	}
	for _, bad := range []string{`{"Peer":"` + groupText + `"}`, `{"Peer":""}`, `{"Names":{"x":""}}`, `{"Group":"urn:jxta:jxta-Null"}`} {
		keep := d
		if err := json.Unmarshal([]byte(bad), &keep); err == nil {
			t.Errorf("%s is read", bad)
		} else if keep.Peer != d.Peer || keep.Group != d.Group {
			t.Errorf("%s: a failure altered the value", bad)
		}
	}
}

func TestKindsAreNotMixed(t *testing.T) {
	parsers := map[id.Kind]func(string) (string, error){
		id.KindPeer:        func(s string) (string, error) { v, err := id.ParsePeer(s); return v.String(), err },
		id.KindGroup:       func(s string) (string, error) { v, err := id.ParseGroup(s); return v.String(), err },
		id.KindPipe:        func(s string) (string, error) { v, err := id.ParsePipe(s); return v.String(), err },
		id.KindModuleClass: func(s string) (string, error) { v, err := id.ParseModuleClass(s); return v.String(), err },
		id.KindModuleSpec:  func(s string) (string, error) { v, err := id.ParseModuleSpec(s); return v.String(), err },
		id.KindCodat:       func(s string) (string, error) { v, err := id.ParseCodat(s); return v.String(), err },
	}
	for kind, parse := range parsers {
		for typ := id.KindCodat; typ <= id.KindContent; typ++ {
			text := "urn:jxta:uuid-AB0" + string(rune('0'+typ))
			got, err := parse(text)
			if typ == kind && (err != nil || got != text) {
				t.Errorf("%s as a %s: %v", text, kind, err)
			}
			if typ != kind && (!errors.Is(err, id.ErrKind) || got != "") {
				t.Errorf("%s as a %s: %q, %v, want ErrKind", text, kind, got, err)
			}
		}
		for _, text := range []string{"urn:jxta:jxta-Null", "urn:jxta:new-AB0" + string(rune('0'+kind))} {
			if _, err := parse(text); !errors.Is(err, id.ErrKind) {
				t.Errorf("%s as a %s: %v, want ErrKind", text, kind, err)
			}
		}
	}
	if _, err := id.ParsePeerUnique("uuid-AB04"); !errors.Is(err, id.ErrKind) {
		t.Errorf("a pipe as a peer: %v", err)
	}
}

func TestShort(t *testing.T) {
	for text, want := range map[string]string{
		peerText:                     "00000001",
		"urn:jxta:uuid-0003":         "0003",
		"urn:jxta:uuid-1122334403":   "1122334403",
		"urn:jxta:uuid-112233445503": "22334455",
		"urn:jxta:jxta-NetGroup":     "NetGroup",
		"urn:jxta:new-value":         "value",
	} {
		i, err := id.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := i.Short(); got != want {
			t.Errorf("%s is %q in short, want %q", text, got, want)
		}
	}
	p, _ := id.ParsePeer(peerText)
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "peer", p)
	if !strings.HasSuffix(out.String(), "peer=00000001\n") {
		t.Errorf("logged as %q", out.String())
	}
}

func TestKindString(t *testing.T) {
	if id.KindModuleSpec.String() != "module spec" || id.Kind(99).String() != "kind 99" {
		t.Errorf("%q, %q", id.KindModuleSpec, id.Kind(99))
	}
}

// Random IDs carry the group's octets and the marks of a version 4 UUID, and
// never repeat.
func TestRandom(t *testing.T) {
	parent, err := id.ParseGroup(groupText)
	if err != nil {
		t.Fatal(err)
	}
	cbid, err := id.ParseGroup("urn:jxta:cbid-533A9E7E6D3A4D4B954C98F0DCB56E4A02")
	if err != nil {
		t.Fatal(err)
	}
	const net, own = "uuid-59616261646162614E50472050325033", "uuid-E0E1E2E3E4E546E7A8E9AAEBECEDEEEF"
	seen := map[string]bool{}
	for range 100 {
		for _, made := range []struct {
			text, prefix string
			kind         id.Kind
		}{
			{id.NewPeer(id.NetGroup).String(), net, id.KindPeer},
			{id.NewPeer(parent).String(), own, id.KindPeer},
			{id.NewPeer(cbid).String(), "uuid-533A", id.KindPeer},
			{id.NewPipe(parent).String(), own, id.KindPipe},
			{id.NewPipe(cbid).String(), "cbid-533A", id.KindPipe},
			{id.NewPipe(id.Group{}).String(), "uuid-00000000000000000000000000000000", id.KindPipe},
			{id.NewGroup(id.Group{}).String(), "uuid-", id.KindGroup},
			{id.NewGroup(parent).String(), "uuid-", id.KindGroup},
			{id.NewModuleClass().String(), "uuid-", id.KindModuleClass},
			{id.NewModuleRole(id.ClassResolver).String(), "uuid-DEADBEEFDEAFBABAFEEDBABE00000002", id.KindModuleClass},
			{id.NewModuleSpec(id.ClassResolver).String(), "uuid-DEADBEEFDEAFBABAFEEDBABE00000002", id.KindModuleSpec},
		} {
			got, err := id.Parse(made.text)
			if err != nil || got.String() != made.text || got.Kind() != made.kind || !strings.HasPrefix(got.Unique(), made.prefix) {
				t.Fatalf("%q (%v), want a %s that starts with %s", made.text, err, made.kind, made.prefix)
			}
			if seen[made.text] {
				t.Fatalf("%s was made twice", made.text)
			}
			seen[made.text] = true
		}
		if u := id.NewGroup(parent).Unique(); u[5+12] != '4' || u[5+32:len(u)-2] != own[5:] {
			t.Fatalf("%s: not a version 4 UUID followed by the parent", u)
		}
		if c := id.NewModuleSpec(id.ClassResolver).Class(); c != id.ClassResolver {
			t.Fatalf("the spec's class is %s", c)
		}
	}
	if u := id.NewUUID(); len(u) != 36 || u[14] != '4' || strings.Count(u, "-") != 4 {
		t.Errorf("%q is no version 4 UUID", u)
	}
}

func TestProves(t *testing.T) {
	key := []byte("any DER will do")
	p := id.PeerFromKey(key)
	if !p.Provable() || !p.Proves(key) || p.Proves([]byte("another")) || p.Proves(nil) {
		t.Errorf("%s does not belong to its key alone", p)
	}
	if u := id.NewPeer(id.NetGroup); u.Provable() || u.Proves(key) {
		t.Error("a random ID can be proven")
	}
}

// genText draws IDs as peers may spell them.
func genText(t *rapid.T) string {
	format := rapid.SampledFrom([]string{"uuid", "cbid"}).Draw(t, "format")
	octets := rapid.SliceOfN(rapid.SampledFrom([]string{"00", "01", "ab", "Ff"}), 0, 63).Draw(t, "octets")
	typ := rapid.SampledFrom([]string{"01", "02", "03", "04", "05", "06", "07"}).Draw(t, "type")
	return "urn:jxta:" + format + "-" + strings.Join(octets, "") + typ
}

func TestPropertyCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := genText(t)
		a, err := id.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, spelling := range []string{a.String(), strings.ToLower(a.String()), "URN:jxta:" + a.Unique()} {
			if b, err := id.Parse(spelling); err != nil || a != b {
				t.Fatalf("%q is %q, its spelling %q is %q (%v)", text, a, spelling, b, err)
			}
		}
		if b, err := id.ParseUnique(a.Unique()); err != nil || a != b {
			t.Fatalf("ParseUnique(%q) = %q, %v", a.Unique(), b, err)
		}
		if len(a.String()) > len(text)+2 || len(a.String()) > id.MaxText {
			t.Fatalf("%q grew to %q", text, a)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, v := range vectors(f) {
		for _, s := range []string{v.ID, v.Result, v.Parse} {
			if s != "" {
				f.Add(s)
			}
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := id.Parse(s)
		if err != nil {
			if !errors.Is(err, id.ErrSyntax) || !a.IsZero() {
				t.Fatalf("%q, %v, want ErrSyntax", a, err)
			}
			return
		}
		if b, err := id.Parse(a.String()); err != nil || a != b || a.IsZero() {
			t.Fatalf("%q is %q, read again %q, %v", s, a, b, err)
		}
		if b, err := id.ParseUnique(a.Unique()); err != nil || a != b {
			t.Fatalf("%q: ParseUnique(%q) = %q, %v", s, a.Unique(), b, err)
		}
		if k := a.Kind(); k > id.KindContent && k != id.KindUnknown {
			t.Fatalf("%q is a %s", s, k)
		}
		if a.Short() == "" {
			t.Fatalf("%q has no short form", s)
		}
		if p, err := id.ParsePeer(s); err == nil {
			_ = p.Proves([]byte(s))
		}
	})
}

// An ID cut anywhere is an error or another ID, never a panic.
func TestParseCut(t *testing.T) {
	for n := range len(peerText) {
		if got, err := id.ParsePeer(peerText[:n]); err == nil && got.String() == peerText {
			t.Errorf("cut at %d it is still %s", n, got)
		}
	}
}

func TestAllocations(t *testing.T) {
	p, err := id.ParsePeer(peerText)
	if err != nil {
		t.Fatal(err)
	}
	var sink any
	for _, c := range []struct {
		name  string
		limit float64
		f     func()
	}{
		{"ParsePeer", 1, func() { p, _ = id.ParsePeer(peerText) }},
		{"String", 0, func() { _ = p.String() }},
		{"Unique", 0, func() { _ = p.Unique() }},
		{"Short", 0, func() { _ = p.Short() }},
		{"Kind", 0, func() { _ = p.Kind() }},
		{"Proves", 0, func() { _ = p.Proves(nil) }},
	} {
		if got := testing.AllocsPerRun(100, c.f); got > c.limit {
			t.Errorf("%s makes %v allocations, want at most %v", c.name, got, c.limit)
		}
	}
	_ = sink
}

func BenchmarkParsePeer(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"canonical", peerText},
		{"lower-case", strings.ToLower(peerText)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := id.ParsePeer(c.text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPeerFromKey(b *testing.B) {
	key := make([]byte, 44)
	b.ReportAllocs()
	for b.Loop() {
		_ = id.PeerFromKey(key)
	}
}
