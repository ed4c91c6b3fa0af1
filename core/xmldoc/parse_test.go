package xmldoc_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/core/xmldoc"
	"pgregory.net/rapid"
)

func TestParseLimits(t *testing.T) {
	attrs := func(n int) string {
		var s strings.Builder
		for i := range n {
			fmt.Fprintf(&s, " a%d='1'", i)
		}
		return s.String()
	}
	nested := func(n int) string {
		var s strings.Builder
		for i := range n {
			fmt.Fprintf(&s, "<e%d>", i)
		}
		for i := range n {
			fmt.Fprintf(&s, "</e%d>", n-1-i)
		}
		return s.String()
	}
	long := strings.Repeat("n", xmldoc.MaxName)
	room := xmldoc.MaxDocument - len("<a></a>")
	for name, c := range map[string]struct {
		doc  string
		want error
	}{
		"octets at the limit":            {"<a>" + strings.Repeat("x", room) + "</a>", nil},
		"octets over the limit":          {"<a>" + strings.Repeat("x", room+1) + "</a>", xmldoc.ErrLimit},
		"markup at the limit":            {"<a>" + strings.Repeat("<b/>", xmldoc.MaxMarkup-2) + "</a>", nil},
		"markup over the limit":          {"<a>" + strings.Repeat("<b/>", xmldoc.MaxMarkup-1) + "</a>", xmldoc.ErrLimit},
		"depth at the limit":             {nested(xmldoc.MaxDepth), nil},
		"depth over the limit":           {nested(xmldoc.MaxDepth + 1), xmldoc.ErrLimit},
		"attributes at the limit":        {"<a" + attrs(xmldoc.MaxAttributes) + "/>", nil},
		"attributes over the limit":      {"<a" + attrs(xmldoc.MaxAttributes+1) + "/>", xmldoc.ErrLimit},
		"name at the limit":              {"<" + long + "/>", nil},
		"name over the limit":            {"<" + long + "n/>", xmldoc.ErrLimit},
		"name of attribute at the limit": {"<a " + long + "='1'/>", nil},
		"name of attribute over it":      {"<a " + long + "n='1'/>", xmldoc.ErrLimit},
		"name below the root":            {"<a><b><" + long + "n/></b></a>", xmldoc.ErrLimit},

		"empty":                       {"", xmldoc.ErrSyntax},
		"blanks":                      {" \n", xmldoc.ErrSyntax},
		"prolog only":                 {"<?xml version='1.0'?>", xmldoc.ErrSyntax},
		"prolog cut":                  {"<?xml version='1.0'", xmldoc.ErrSyntax},
		"prolog of another version":   {"<?xml version='1.1'?><a/>", nil},
		"prolog of another charset":   {"<?xml version='1.0' encoding='KOI8-R'?><a/>", nil},
		"something like a prolog":     {"<?xmlish?><a/>", nil},
		"byte order mark":             {"\ufeff<a/>", nil},
		"byte order mark after":       {"<a/>\ufeff", xmldoc.ErrSyntax},
		"no-break space after":        {"<a/>\u00a0", xmldoc.ErrSyntax},
		"doctype":                     {"<!DOCTYPE a><a/>", nil},
		"doctype in other case":       {"<!doctype a><a/>", xmldoc.ErrSyntax},
		"doctype of a child":          {"<!DOCTYPE b><a><b/></a>", xmldoc.ErrSyntax},
		"doctype twice":               {"<!DOCTYPE a><!DOCTYPE a><a/>", xmldoc.ErrSyntax},
		"doctype after":               {"<a/><!DOCTYPE a>", xmldoc.ErrSyntax},
		"doctype inside":              {"<a><!DOCTYPE a></a>", xmldoc.ErrSyntax},
		"doctype deep inside":         {"<a><b><!DOCTYPE a></b></a>", xmldoc.ErrSyntax},
		"doctype without name":        {"<!DOCTYPE><a/>", xmldoc.ErrSyntax},
		"doctype with subset":         {"<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>", xmldoc.ErrSyntax},
		"element declaration":         {"<!ELEMENT a ANY><a/>", xmldoc.ErrSyntax},
		"comment around":              {"<!-- x --><a/><!-- y -->", nil},
		"attribute twice":             {"<a x='1' x='2'/>", xmldoc.ErrSyntax},
		"attribute twice with prefix": {"<a p:x='1' p:x='2'/>", xmldoc.ErrSyntax},
		"attribute of other prefix":   {"<a p:x='1' q:x='2' x='3'/>", nil},
		"unclosed":                    {"<a><b></a>", xmldoc.ErrSyntax},
		"closed twice":                {"<a></a></a>", xmldoc.ErrSyntax},
		"null octet":                  {"<a>\x00</a>", nil},
		"null octet in a name":        {"<a\x00/>", xmldoc.ErrSyntax},
		"noncharacters":               {"<a>\uffff\ufffe</a>", nil},
	} {
		_, err := xmldoc.ParseNode([]byte(c.doc))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
	}
}

func TestTextInPieces(t *testing.T) {
	for in, want := range map[string]string{
		"<a>b<!-- x -->c</a>":                              "bc",
		"<a> b <c>d</c> e </a>":                            "b  e",
		"<a><c/>b</a>":                                     "b",
		"<a>x<![CDATA[<&>]]>y</a>":                         "x<&>y",
		"<a>&#32;&lt;&#32;</a>":                            "<",
		"<a>&amp;lt;</a>":                                  "&lt;",
		"<a>]]></a>":                                       "]]>",
		"<a>1 < 2</a>":                                     "",
		"<a>R&D &unknown; &</a>":                           "R&D &unknown; &",
		"<a>&#x1F600;</a>":                                 "\U0001F600",
		"<a>\u00a0b\u2007\u202f\u0085</a>":                 "\u00a0b\u2007\u202f\u0085",
		"<a>\u2003b\u3000\u2028</a>":                       "b",
		"<a>" + strings.Repeat("<!-- -->x", 4000) + "</a>": strings.Repeat("x", 4000),
	} {
		n, err := xmldoc.ParseNode([]byte(in))
		if want == "" {
			if err == nil {
				t.Errorf("%s: no error", in)
			}
			continue
		}
		if err != nil || n.Text() != want {
			t.Errorf("%s: text %q, error %v, want %q", in, n.Text(), err, want)
		}
	}
}

func TestTrim(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "",
		"a":                     "a",
		" \t\r\n\v\f":           "",
		"\x1c\x1d\x1e\x1fa\x1b": "a\x1b",
		" a b ":                 "a b",
		"\u00a0a\u00a0":         "\u00a0a\u00a0",
		"\u2003é\u2003":         "é",
		"\u1680a\u205f":         "a",
	} {
		if got := xmldoc.Trim(in); got != want {
			t.Errorf("Trim(%q) = %q, want %q", in, got, want)
		}
	}
}

// genText draws texts with everything that has a meaning in XML, trimmed, since
// blanks at the ends are lost.
func genText() *rapid.Generator[string] {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"&", "<", ">", "\"", "'", "]]>", "&amp;", "&#65;", "<![CDATA[", "<!--", "\r", "\r\n", "\n", "\t", " ", "北京", "\U0001F600", "\u00a0"}),
		rapid.String(),
	)
	return rapid.Map(rapid.SliceOfN(piece, 0, 6), func(p []string) string {
		return xmldoc.Trim(strings.Join(p, ""))
	}).Filter(writable)
}

// writable tells whether XML can carry a text.
func writable(s string) bool {
	_, err := xmldoc.NewNode("a", s).Marshal()
	return err == nil
}

func genName() *rapid.Generator[string] {
	return rapid.StringMatching(`([a-z]{1,3}:)?[A-Za-z_][A-Za-z0-9_.-]{0,5}`)
}

func genNode(depth int) *rapid.Generator[xmldoc.Node] {
	return rapid.Custom(func(t *rapid.T) xmldoc.Node {
		var children []xmldoc.Node
		if depth > 0 {
			children = rapid.SliceOfN(genNode(depth-1), 0, 3).Draw(t, "children")
		}
		n := xmldoc.NewNode(genName().Draw(t, "name"), genText().Draw(t, "text"), children...)
		for _, k := range rapid.SliceOfNDistinct(genName(), 0, 3, rapid.ID).Draw(t, "attributes") {
			n = n.WithAttr(k, genText().Draw(t, "value"))
		}
		return n
	})
}

func TestPropertyNodeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := genNode(3).Draw(t, "node")
		for range 2 {
			b, err := n.Marshal()
			if err != nil {
				t.Fatalf("cannot write: %v", err)
			}
			again, err := xmldoc.ParseNode(b)
			if err != nil {
				t.Fatalf("cannot read %s: %v", b, err)
			}
			if !again.Equal(n) {
				t.Fatalf("%s reads as %v", b, again)
			}
			n = n.WithAttr("xml:space", "preserve") // the other layout
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, file := range recorded(f) {
		f.Add(readFile(f, file))
	}
	for file := range hostile(f) {
		f.Add(readFile(f, vectors+"hostile/"+file))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := xmldoc.ParseNode(b)
		if err != nil {
			return
		}
		if n.Name() == "" || len(n.Attrs()) > xmldoc.MaxAttributes {
			t.Fatalf("unbounded: %q", n.Name())
		}
		out, err := n.Marshal()
		if err != nil {
			return
		}
		again, err := xmldoc.ParseNode(out)
		if err != nil {
			t.Fatalf("%q is written as %q, which cannot be read: %v", b, out, err)
		}
		if !again.Equal(n) {
			t.Fatalf("%q is written as %q, which is another document", b, out)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for name, file := range benchmarked {
		doc := readFile(b, vectors+file)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				if _, err := xmldoc.ParseNode(doc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPrint(b *testing.B) {
	for name, file := range benchmarked {
		doc := readFile(b, vectors+file)
		n, err := xmldoc.ParseNode(doc)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				if _, err := n.Marshal(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// benchmarked are documents of typical sizes.
var benchmarked = map[string]string{
	"pipe": "jxse25/pipe-unicast.xml",
	"peer": "jxse25/pa-live-net.xml",
	"impl": "jxse25/mia-live-allpurpose.xml",
}
