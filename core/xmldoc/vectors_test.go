package xmldoc_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

const vectors = "testdata/documents/"

// tree is what a Java peer makes of a recorded document.
type tree struct {
	Name     string      `json:"n"`
	Attrs    [][2]string `json:"a"`
	Text     string      `json:"t"`
	Children []tree      `json:"c"`
}

type expected struct {
	File string `json:"file"`
	Tree tree   `json:"tree"`
}

func readExpected(t testing.TB, file string) []expected {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(readFile(t, vectors+file)))
	var list []expected
	for d.More() {
		var e expected
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func recorded(t testing.TB) []string {
	t.Helper()
	var files []string
	for _, dir := range []string{"jxse25", "jxse27"} {
		f, err := filepath.Glob(vectors + dir + "/*.xml")
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f...)
	}
	const want = 141
	if len(files) != want {
		t.Fatalf("found %d recorded documents, want %d", len(files), want)
	}
	return files
}

func toTree(n xmldoc.Node) tree {
	v := tree{Name: n.Name(), Text: n.Text()}
	for _, a := range n.Attrs() {
		v.Attrs = append(v.Attrs, [2]string{a.Name, a.Value})
	}
	for c := range n.Children() {
		v.Children = append(v.Children, toTree(c))
	}
	return v
}

func TestTreesOfJavaPeers(t *testing.T) {
	list := append(readExpected(t, "expected-jxse25.jsonl"), readExpected(t, "expected-jxse27.jsonl")...)
	const want = 141
	if len(list) != want {
		t.Fatalf("%d expectations, want %d", len(list), want)
	}
	for _, e := range list {
		n, err := xmldoc.ParseNode(readFile(t, vectors+e.File))
		if err != nil {
			t.Errorf("%s: %v", e.File, err)
			continue
		}
		if d := cmp.Diff(e.Tree, toTree(n)); d != "" {
			t.Errorf("%s: tree differs (-java +ours):\n%s", e.File, d)
		}
	}
}

// Documents that we print otherwise than JXSE 2.5 did: they hold "]]>", which we
// escape for the sake of XML parsers, or blanks at the end of a text.
var reprinted = map[string]bool{
	"pa-unicode-usergroup.xml":        true,
	"pa-unicode-usergroup.pretty.xml": true,
	"pa-escaped.xml":                  true,
}

func TestPrintAsJXSE25(t *testing.T) {
	for _, f := range recorded(t) {
		b := readFile(t, f)
		n, err := xmldoc.ParseNode(b)
		if err != nil {
			t.Fatal(f, err)
		}
		out, err := n.Marshal()
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		again, err := xmldoc.ParseNode(out)
		if err != nil || !again.Equal(n) {
			t.Errorf("%s: printed and read again it is another document, error %v", f, err)
		}
		java27 := strings.Contains(f, "jxse27") // prints blank lines that nobody needs
		if !java27 && bytes.Equal(b, out) == reprinted[filepath.Base(f)] {
			t.Errorf("%s: equal to what JXSE printed: %v", f, !reprinted[filepath.Base(f)])
		}
	}
}

// hostile returns the manifest of malformed and malicious documents: file name
// and our verdict.
func hostile(t testing.TB) map[string]string {
	t.Helper()
	verdicts := make(map[string]string)
	for i, line := range strings.Split(strings.TrimSpace(string(readFile(t, vectors+"hostile/manifest.tsv"))), "\n") {
		if col := strings.Split(line, "\t"); i > 0 {
			verdicts[col[0]] = col[1]
		}
	}
	const want = 71
	if len(verdicts) != want {
		t.Fatalf("manifest has %d lines, want %d", len(verdicts), want)
	}
	return verdicts
}

func TestHostileSyntax(t *testing.T) {
	for f, verdict := range hostile(t) {
		switch {
		case !strings.HasPrefix(f, "s"):
			verdict = "accept" // refused for what it says, not for how
		case strings.HasPrefix(f, "s29-"), strings.HasPrefix(f, "s30-"):
			verdict = "accept" // refused for the name of the root
		}
		_, err := xmldoc.ParseNode(readFile(t, vectors+"hostile/"+f))
		if (err == nil) != (verdict == "accept") && verdict != "either" {
			t.Errorf("%s: error %v, want %s", f, err, verdict)
		}
	}
}

func TestHostileContent(t *testing.T) {
	for file, want := range map[string]string{
		"s13-processing-instruction.xml": "n",
		"s14-cdata.xml":                  "bob & co",
		"s15-entities.xml":               "<>&\"'AB\U0001F600&nbsp;&bogus;&",
		"s16-cdata-end-in-text.xml":      "x ]]> y",
		"s18-control-characters.xml":     "a\ufffdb\ufffdc",
		"s28-crlf.xml":                   "line1\nline2",
		"s35-latin1-bytes.xml":           "Éléonore",
		"s36-invalid-utf8.xml":           "a\ufffd b",
	} {
		n, err := xmldoc.ParseNode(readFile(t, vectors+"hostile/"+file))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if name, _ := n.Child("Name"); name.Text() != want {
			t.Errorf("%s: name %q, want %q", file, name.Text(), want)
		}
	}
}

// What costs a JXSE peer seconds is read, but never passed on.
func TestDeepSameNamesAreNotWritten(t *testing.T) {
	for _, f := range []string{"s32-nested-same-name-12.xml", "s33-nested-same-name-20.xml"} {
		n, err := xmldoc.ParseNode(readFile(t, vectors+"hostile/"+f))
		if err != nil {
			t.Fatal(f, err)
		}
		if _, err := n.Marshal(); !errors.Is(err, xmldoc.ErrLimit) {
			t.Errorf("%s: writing gives %v, want ErrLimit", f, err)
		}
	}
}

func TestParseCut(t *testing.T) {
	for _, f := range recorded(t) {
		b := readFile(t, f)
		whole, err := xmldoc.ParseNode(b)
		if err != nil {
			t.Fatal(f, err)
		}
		step := 1
		if len(b) > 500 {
			step = 17 // the long ones repeat what the short ones have
		}
		end := len(bytes.TrimRight(b, "\n"))
		for i := 0; i < end; i += step {
			if _, err := xmldoc.ParseNode(b[:i]); !errors.Is(err, xmldoc.ErrSyntax) {
				t.Fatalf("%s cut at %d: error %v, want ErrSyntax", f, i, err)
			}
		}
		if n, err := xmldoc.ParseNode(b[:end]); err != nil || !n.Equal(whole) {
			t.Fatalf("%s without the last line feed: %v", f, err)
		}
	}
}
