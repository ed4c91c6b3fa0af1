package xmldoc

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/beevik/etree"
)

// alike compares two trees in everything that a parser finds.
func alike(a, b etree.Token) error {
	switch a := a.(type) {
	case *etree.CharData:
		if b, ok := b.(*etree.CharData); !ok || a.Data != b.Data {
			return fmt.Errorf("text %q is not %v", a.Data, b)
		}
	case *etree.Element:
		b, ok := b.(*etree.Element)
		if !ok || a.Space != b.Space || a.Tag != b.Tag || len(a.Child) != len(b.Child) {
			return fmt.Errorf("%s with %d children is not %v", a.FullTag(), len(a.Child), b)
		}
		if !slices.EqualFunc(a.Attr, b.Attr, func(x, y etree.Attr) bool { return x.Space == y.Space && x.Key == y.Key && x.Value == y.Value }) {
			return fmt.Errorf("%s: attributes %v are not %v", a.FullTag(), a.Attr, b.Attr)
		}
		for i := range a.Child {
			if a.Child[i].Parent() != a || a.Child[i].Index() != i {
				return fmt.Errorf("%s: child %d is in another place", a.FullTag(), i)
			}
			if err := alike(a.Child[i], b.Child[i]); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("%T", a)
	}
	return nil
}

// sameAsAny reports whether a document was scanned; then the general parser must
// make the same of it.
func sameAsAny(t testing.TB, b []byte) bool {
	t.Helper()
	b = clean(b)
	got, ok := scan(b)
	if !ok {
		return false
	}
	want, err := parseAny(b)
	if err != nil {
		t.Fatalf("%q was scanned but is refused: %v", b, err)
	}
	if err := alike(got, want); err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	if got.Parent() != nil && got.Parent().Tag != "" {
		t.Fatalf("%q: the root is in something", b)
	}
	return true
}

// recordedFiles are those in folders of that pattern.
func recordedFiles(tb testing.TB, folders string) []string {
	tb.Helper()
	files, err := filepath.Glob("testdata/documents/" + folders + "/*.xml")
	if err != nil || len(files) == 0 {
		tb.Fatal("no recorded documents", err)
	}
	return files
}

// TestScanRecorded: nearly everything that Java peers print is scanned, and cut
// anywhere it is not taken for something else.
func TestScanRecorded(t *testing.T) {
	const enough = 0.9
	scanned := 0
	files := recordedFiles(t, "jxse*")
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if sameAsAny(t, b) {
			scanned++
		} else {
			t.Logf("%s is left to the general parser", name)
		}
		const most = 600 // octets, which are cut away one after the other
		for i := range min(len(b), most) {
			if cut := b[:len(b)-i]; sameAsAny(t, cut) && strings.TrimSpace(string(b[len(b)-i:])) != "" {
				t.Fatalf("%s without the last %d octets was scanned", name, i)
			}
		}
	}
	if float64(scanned) < enough*float64(len(files)) {
		t.Errorf("%d of %d documents were scanned", scanned, len(files))
	}
}

// TestScan has what the scanner takes, and what it must leave alone.
func TestScan(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) }
	for doc, want := range map[string]bool{
		`<a/>`: true, `<a></a>`: true, `<a> x </a>`: true, " \n<a/>\t": true, `<x:a y:b="1" c="2"/>`: true, `<a b=""/>`: true,
		`<!DOCTYPE a><a/>`: true, "<?xml version=\"1.0\"?>\n<!DOCTYPE x:a>\n<x:a>\n\t<b>1</b>\n</x:a>\n": true,
		`<a>&lt;&gt;&amp;&quot;&apos;</a>`: true, `<a>x<b/>y<b/>z</a>`: true, `<a>é</a>`: true, `<a b="1"	c="2"/>`: true,
		deep(MaxDepth): true, deep(MaxDepth + 1): false, `<a>` + strings.Repeat(`<b c="d">e</b>`, 1000) + `</a>`: true, `<a>]]]]></a>`: true,

		`<a>&#13;</a>`: false, `<a>&amp</a>`: false, `<a>&x;</a>`: false, `<a b='1'/>`: false, `<a b="&lt;"/>`: false, `<a b="<"/>`: false, "<a>\r\n</a>": false,
		`<a/><b/>`: false, `<a/>x`: false, `x<a/>`: false, `<a><b></a></b>`: false, `</a>`: false, `<a>`: false, `<a`: false, `<a b="1`: false, ``: false,
		`<a><!-- x --></a>`: false, `<a><![CDATA[x]]></a>`: false, `<a><?x y?></a>`: false, `<!DOCTYPE b><a/>`: false, `<!DOCTYPE a [ ]><a/>`: false,
		`<!DOCTYPE a><!DOCTYPE a><a/>`: false, `<a><!DOCTYPE a></a>`: false, `<a:b:c/>`: false, `<:a/>`: false, `<a:/>`: false, `<1a/>`: false, `<é/>`: false,
		`<a b="1"c="2"/>`: false, `<a b = "1"/>`: false, `<a b/>`: false, `</a></a>`: false, `<a></a >`: false, `<a / >`: false,
		`<a` + strings.Repeat(` b="c"`, MaxAttributes+1) + `/>`: false,
	} {
		if got := sameAsAny(t, []byte(doc)); got != want {
			t.Errorf("%.60q: scanned is %v", doc, got)
		}
	}
}

// FuzzScan: whatever is scanned, the general parser makes the same of it.
func FuzzScan(f *testing.F) {
	for _, name := range recordedFiles(f, "*") {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, doc := range []string{`<a b="c" d:e="f">g &amp; h<i/> j</a>`, `<!DOCTYPE a:b><a:b>]]&gt;</a:b>`, `<a><b>1</b><b/></a>`, `<a  b="'>"  />`} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) <= MaxDocument {
			sameAsAny(t, b)
		}
	})
}

// TestScanAllocates bounds what reading costs: the general parser makes ten times
// as many allocations.
func TestScanAllocates(t *testing.T) {
	const children, most = 20, 40 // one for each text, and few beside
	doc := []byte("<!DOCTYPE a:b>\n<a:b c=\"d\">\n" + strings.Repeat("\t<e>some &amp; text</e>\n", children) + "</a:b>\n")
	if !sameAsAny(t, doc) {
		t.Fatal("not scanned")
	}
	if n := testing.AllocsPerRun(100, func() { scan(doc) }); n > most {
		t.Errorf("%v allocations, want %d at most", n, most)
	}
}
