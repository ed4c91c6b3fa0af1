package advertisements_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	adv "github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

const (
	documents = "../core/xmldoc/testdata/documents/"
	services  = "../core/message/testdata/services/"
)

// expected is what a Java peer found in a recorded document.
type expected struct {
	File  string            `json:"file"`
	Adv   string            `json:"adv"`
	Index map[string]string `json:"index"`
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func recorded(t testing.TB) []expected {
	t.Helper()
	var list []expected
	for _, name := range []string{"expected-jxse25.jsonl", "expected-jxse27.jsonl"} {
		d := json.NewDecoder(bytes.NewReader(readFile(t, documents+name)))
		for d.More() {
			var e expected
			if err := d.Decode(&e); err != nil {
				t.Fatal(err)
			}
			list = append(list, e)
		}
	}
	const want = 141
	if len(list) != want {
		t.Fatalf("%d recorded documents, want %d", len(list), want)
	}
	return list
}

// equal compares advertisements by value.
var equal = cmp.Options{
	cmp.Comparer(xmldoc.Node.Equal),
	cmp.Comparer(func(a, b id.ID) bool { return a == b }),
	cmp.Comparer(func(a, b endpoint.Address) bool { return a == b }),
	cmp.Comparer(func(a, b *adv.Signed) bool {
		x, err := adv.Marshal(a)
		y, err2 := adv.Marshal(b)
		return err == nil && err2 == nil && bytes.Equal(x, y) && bytes.Equal(a.Payload(), b.Payload())
	}),
}

func typeOf(a adv.Advertisement) string {
	if _, ok := a.(*adv.Unknown); ok {
		return "unknown"
	}
	return a.DocType()
}

func TestRecordedAdvertisements(t *testing.T) {
	reg := adv.Standard()
	count := make(map[string]int)
	for _, e := range recorded(t) {
		b := readFile(t, documents+e.File)
		a, err := reg.Parse(b)
		if err != nil {
			t.Errorf("%s: %v", e.File, err)
			continue
		}
		count[typeOf(a)]++
		if u, ok := a.(*adv.Unknown); ok {
			out, err := adv.Marshal(u)
			if err != nil || !bytes.Equal(out, b) {
				t.Errorf("%s: an unknown document did not stay as it was, error %v", e.File, err)
			}
			if fields, err := adv.Fields(u); err != nil || fields != nil {
				t.Errorf("%s: fields %v of an unknown document, error %v", e.File, fields, err)
			}
			continue
		}
		if a.DocType() != e.Adv {
			t.Errorf("%s: read as %s, Java reads it as %s", e.File, a.DocType(), e.Adv)
		}
		index := make(map[string]string)
		fields, err := adv.Fields(a)
		if err != nil {
			t.Errorf("%s: %v", e.File, err)
		}
		for _, f := range fields {
			index[f.Name] = f.Value
		}
		if len(index) != len(fields) {
			t.Errorf("%s: a field twice: %v", e.File, fields)
		}
		if _, ok := a.(*adv.Signed); ok {
			clear(index) // that of the payload, where Java has none
		}
		if d := cmp.Diff(e.Index, index); d != "" && len(e.Index)+len(index) > 0 {
			t.Errorf("%s: indexed (-java +ours):\n%s", e.File, d)
		}
		rewrite(t, reg, e.File, a, b)
	}
	want := map[string]int{
		"jxta:PA": 24, "jxta:PGA": 12, "jxta:PipeAdvertisement": 11, "jxta:MCA": 4, "jxta:MSA": 4, "jxta:MIA": 13,
		"jxta:RA": 6, "jxta:APA": 4, "jxta:RdvAdvertisement": 5, "jxta:SA": 3, "unknown": 55,
	}
	if d := cmp.Diff(want, count); d != "" {
		t.Errorf("documents of each type (-want +got):\n%s", d)
	}
}

// Advertisements that are written otherwise than JXSE 2.5 wrote them.
var writtenOtherwise = []string{
	"jxse25/pa-empty-name-desc.xml",          // empty elements, which mean the same as none
	"jxse25/pipe-default-type.xml",           // the same
	"jxse25/pa-escaped.xml",                  // blanks around a name, which get lost
	"jxse25/pa-unicode-usergroup.xml",        // "]]>", which other parsers refuse
	"jxse25/pa-unicode-usergroup.pretty.xml", // the same
}

// rewrite checks that an advertisement survives being written, and is written
// as JXSE 2.5 wrote it.
func rewrite(t *testing.T, reg *adv.Registry, file string, a adv.Advertisement, b []byte) {
	t.Helper()
	survives(t, reg, file, a)
	if !strings.HasPrefix(file, "jxse25/") {
		return // JXSE 2.7 puts blank lines in
	}
	marshal := adv.Marshal
	if strings.Contains(file, ".pretty.") {
		marshal = adv.MarshalIndent
	}
	out, err := marshal(a)
	if err != nil {
		t.Errorf("%s: %v", file, err)
	}
	if bytes.Equal(out, b) == slices.Contains(writtenOtherwise, file) {
		t.Errorf("%s: written as\n%s\nJXSE wrote\n%s", file, out, b)
	}
}

// survives checks that writing and reading in both layouts gives the same.
func survives(t *testing.T, reg *adv.Registry, what string, a adv.Advertisement) {
	t.Helper()
	for _, marshal := range []func(adv.Advertisement) ([]byte, error){adv.Marshal, adv.MarshalIndent} {
		out, err := marshal(a)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		again, err := reg.Parse(out)
		if err != nil {
			t.Errorf("%s: %v in %s", what, err, out)
			continue
		}
		if d := cmp.Diff(a, again, equal); d != "" {
			t.Errorf("%s: written and read again (-first +second):\n%s", what, d)
		}
	}
}

// Every advertisement inside the recorded messages of Java peers, at whatever
// depth, must be read and survive.
func TestAdvertisementsInMessages(t *testing.T) {
	files, err := filepath.Glob(services + "*.jxm")
	if err != nil || len(files) == 0 {
		t.Fatal("no recorded messages", err)
	}
	reg := adv.Standard()
	count := make(map[string]int)
	var look func(file string, b []byte)
	var walk func(file string, n xmldoc.Node)
	walk = func(file string, n xmldoc.Node) {
		a, err := reg.Decode(n)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			return
		}
		if _, ok := a.(*adv.Unknown); !ok {
			count[a.DocType()]++
			survives(t, reg, file, a)
		}
		for c := range n.Children() {
			walk(file, c)
		}
		look(file, []byte(n.Text()))
	}
	look = func(file string, b []byte) {
		if !bytes.HasPrefix(b, []byte("<?xml")) {
			return
		}
		n, err := xmldoc.ParseNode(b)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			return
		}
		walk(file, n)
	}
	for _, file := range files {
		m, err := message.Decode(readFile(t, file))
		if err != nil {
			t.Fatal(file, err)
		}
		for e := range m.All() {
			look(filepath.Base(file), e.Body)
		}
	}
	want := map[string]int{
		"jxta:PA": 14, "jxta:PipeAdvertisement": 62, "jxta:RA": 43, "jxta:APA": 43, "jxta:RdvAdvertisement": 6,
	}
	if d := cmp.Diff(want, count); d != "" {
		t.Errorf("advertisements of each type (-want +got):\n%s", d)
	}
}

// Verdicts that fall outside this package: signatures and credentials.
var signed = []string{"c01-", "c02-", "c03-", "c04-", "c06-"}

func TestHostileAdvertisements(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(string(readFile(t, documents+"hostile/manifest.tsv"))), "\n")[1:]
	const all = 71
	if len(lines) != all {
		t.Fatalf("%d lines in the manifest, want %d", len(lines), all)
	}
	for _, line := range lines {
		col := strings.Split(line, "\t")
		file, verdict := col[0], col[1]
		a, err := adv.Standard().Parse(readFile(t, documents+"hostile/"+file))
		if (a == nil) != (err != nil) {
			t.Errorf("%s: both or neither of advertisement and error", file)
		}
		if slices.Contains(signed, file[:4]) || verdict == "either" {
			continue
		}
		_, unknown := a.(*adv.Unknown)
		if accepted := err == nil && !unknown; accepted != (verdict == "accept") {
			t.Errorf("%s: %T, error %v, want %s", file, a, err, verdict)
		}
	}
}

func TestHostileValues(t *testing.T) {
	parse := func(file string) adv.Advertisement {
		t.Helper()
		a, err := adv.Standard().Parse(readFile(t, documents+"hostile/"+file))
		if err != nil {
			t.Fatal(file, err)
		}
		return a
	}
	if p := parse("m01-duplicate-elements.xml").(*adv.Peer); p.Name != "two" {
		t.Errorf("name %q, want the last one", p.Name)
	}
	if p := parse("m13-svc-parm-before-mcid.xml").(*adv.Peer); len(p.Services) != 1 {
		t.Errorf("services %v", p.Services)
	} else if a, _ := p.Services[0].Param.Child("a"); a.Text() != "2" {
		t.Errorf("parameters %v, want the last ones", p.Services[0].Param)
	}
	if p := parse("m14-svc-without-parm.xml").(*adv.Peer); len(p.Services) != 0 {
		t.Errorf("services %v, want none", p.Services)
	}
	if p := parse("m11-escaped-markup-in-parm.xml").(*adv.Peer); p.IsRendezvous() {
		t.Error("escaped text was taken for an element")
	}
	if p := parse("m12-escaped-markup-in-desc.xml").(*adv.Peer); !strings.Contains(p.Desc, "<") || !p.DescTree.IsZero() {
		t.Errorf("description %q, tree %v", p.Desc, p.DescTree)
	}
	r := parse("m22-route-unusable-address.xml").(*adv.Route)
	if len(r.Addresses) != 1 || r.Addresses[0].String() != "tcp://192.0.2.1:9701" {
		t.Errorf("addresses %v, want the usable one once", r.Addresses)
	}
	if m := parse("m23-mia-empty-comp.xml").(*adv.ModuleImpl); m.Comp.IsZero() {
		t.Error("no statement")
	} else if c, ok := m.Compatibility(); ok {
		t.Errorf("compatible with %v", c)
	}
}

func TestParseCut(t *testing.T) {
	reg := adv.Standard()
	for _, e := range recorded(t) {
		b := bytes.TrimRight(readFile(t, documents+e.File), "\n")
		if len(b) > 500 {
			continue
		}
		for i := range b {
			if a, err := reg.Parse(b[:i]); err == nil || a != nil {
				t.Fatalf("%s cut at %d: %v", e.File, i, a)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, e := range recorded(f) {
		f.Add(readFile(f, documents+e.File))
	}
	hostile, err := filepath.Glob(documents + "hostile/*.xml")
	if err != nil || len(hostile) == 0 {
		f.Fatal("no hostile documents", err)
	}
	for _, file := range hostile {
		f.Add(readFile(f, file))
	}
	reg := adv.Standard()
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := reg.Parse(b)
		if err != nil {
			return
		}
		_, fieldsErr := adv.Fields(a)
		key, keyErr := adv.KeyOf(a)
		if (key == "") != (keyErr != nil) {
			t.Fatalf("key %q, error %v", key, keyErr)
		}
		out, err := adv.Marshal(a)
		if err != nil {
			return
		}
		if fieldsErr != nil {
			t.Fatalf("can be written but not indexed: %v", fieldsErr)
		}
		again, err := reg.Parse(out)
		if err != nil {
			t.Fatalf("%q is written as %q, which cannot be read: %v", b, out, err)
		}
		if d := cmp.Diff(a, again, equal); d != "" {
			t.Fatalf("%q is written as %q, which differs:\n%s", b, out, d)
		}
	})
}
