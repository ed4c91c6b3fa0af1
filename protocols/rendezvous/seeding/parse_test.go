package seeding

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPlainForm(t *testing.T) {
	for _, c := range []struct {
		name, text       string
		want             []endpoint.Address
		malformed, blank int
	}{
		{"sample", string(file(t, "seeds.txt")),
			addresses("tcp://192.0.2.20:9701", "http://192.0.2.21:9700", "tcp://192.0.2.22:9701"), 1, 1},
		{"empty", "", nil, 0, 0},
		{"only a line end", "\n", nil, 0, 1},
		{"line ends", "tcp://a:1\r\ntcp://b:1\rtcp://c:1\n\ntcp://d:1", addresses("tcp://a:1", "tcp://b:1", "tcp://c:1", "tcp://d:1"), 0, 1},
		{"comment", " # tcp://a:1\n#\n", nil, 0, 0},
		{"no comment behind", "tcp://a:1 # here", nil, 1, 0},
		{"byte order mark", "\ufefftcp://a:1\n", addresses("tcp://a:1"), 0, 0},
		{"twice", "tcp://a:1\nTCP://A:1\ntcp://a:1/service/parameter\n", addresses("tcp://a:1"), 0, 0},
		{"page", "<html>\n<body>\nplease log in\n", nil, 3, 0},
		{"octets", "\x00\xff\xfe\ntcp://a:1\n", addresses("tcp://a:1"), 1, 0},
	} {
		p := parsePlain([]byte(c.text))
		if !slices.Equal(p.addresses, c.want) || p.malformed != c.malformed || p.blank != c.blank {
			t.Errorf("%s: %v, %d malformed, %d blank", c.name, p.addresses, p.malformed, p.blank)
		}
	}
}

// route prints a route with addresses as it stands in a list.
func route(list ...string) string {
	return "<jxta:RA><Dst><jxta:APA><EA>" + strings.Join(list, "</EA><EA>") + "</EA></jxta:APA></Dst></jxta:RA>"
}

func TestXMLForm(t *testing.T) {
	ra := route
	for _, c := range []struct {
		name, text string
		want       []endpoint.Address
		malformed  int
	}{
		// The first addresses of all routes come first.
		{"sample", string(file(t, "seeds.xml")),
			addresses("tcp://192.0.2.20:9701", "tcp://192.0.2.21:9701", "http://192.0.2.20:9700"), 0},
		{"any root", "<x ordered='TRUE'>" + ra("tcp://b:1") + "<y>" + ra("tcp://c:1") + "</y>" + ra("tcp://a:1") + "</x>",
			addresses("tcp://b:1", "tcp://a:1"), 0},
		{"routes of no use", "<x ordered='true'>" + ra("nothing") + "<jxta:RA/><jxta:RA><DstPID>?</DstPID></jxta:RA>" + ra("tcp://a:1") + "</x>",
			addresses("tcp://a:1"), 3},
		{"twice", "<x>" + ra("tcp://a:1") + ra("tcp://a:1/service") + "</x>", addresses("tcp://a:1"), 0},
		{"root is a route", ra("tcp://a:1"), nil, 0},
	} {
		p, err := parseXML([]byte(c.text), seeded(1))
		if err != nil || !slices.Equal(p.addresses, c.want) || p.malformed != c.malformed {
			t.Errorf("%s: %v, %d malformed, %v", c.name, p.addresses, p.malformed, err)
		}
	}
}

func TestXMLOrder(t *testing.T) {
	var b strings.Builder
	var written []endpoint.Address
	for i := range 20 {
		a := fmt.Sprintf("tcp://192.0.2.%d:9701", i)
		b.WriteString(route(a))
		written = append(written, endpoint.MustParseAddress(a))
	}
	read := func(attr string, seed uint64) []endpoint.Address {
		p, err := parseXML([]byte("<s"+attr+">"+b.String()+"</s>"), seeded(seed))
		if err != nil {
			t.Fatal(err)
		}
		return p.addresses
	}
	for _, attr := range []string{` ordered="true"`, ` ordered="True"`} {
		if got := read(attr, 1); !slices.Equal(got, written) {
			t.Errorf("%s: %v", attr, got)
		}
	}
	for _, attr := range []string{"", ` ordered="false"`, ` ordered="yes"`} {
		one, two := read(attr, 1), read(attr, 2)
		if slices.Equal(one, written) || slices.Equal(one, two) {
			t.Errorf("%q: not shuffled: %v, %v", attr, one, two)
		}
		byText := func(a, b endpoint.Address) int { return strings.Compare(a.Host, b.Host) }
		sorted, want := slices.SortedFunc(slices.Values(one), byText), slices.SortedFunc(slices.Values(written), byText)
		if !slices.Equal(sorted, want) {
			t.Errorf("%q: shuffling lost something: %v", attr, sorted)
		}
	}
}

func TestFormOfDocument(t *testing.T) {
	const plain, tree = "tcp://a:1\n", "<x><jxta:RA><Dst><jxta:APA><EA>tcp://x:1</EA></jxta:APA></Dst></jxta:RA></x>"
	for _, c := range []struct {
		mediaType, name, body string
		want                  string // "" refused, "-" nothing found
	}{
		{"text/xml", "/seeds.txt", tree, "tcp://x:1"},
		{"Application/XML; charset=utf-8", "/seeds", tree, "tcp://x:1"},
		{"text/plain", "/seeds.xml", plain, "tcp://a:1"},
		{"text/plain", "/seeds.xml", tree, "-"}, // the media type has the last word
		{"text/html", "/cgi-bin/seeds", plain, "tcp://a:1"},
		{"", "/seeds.XML", tree, "tcp://x:1"},
		{"", "/seeds.txt", plain, "tcp://a:1"},
		{"", "/seeds.txt", tree, "-"},
		{"", "/seeds", tree, "tcp://x:1"},
		{"", "/seeds", "\ufeff\r\n " + tree, "tcp://x:1"},
		{"", "/seeds", plain, "tcp://a:1"},
		{"", "/seeds.d/", plain, "tcp://a:1"},
		{"", "", "", "-"},
		{"application/octet-stream", "/seeds.xml", tree, "tcp://x:1"},
		{"application/octet-stream", "/seeds", tree, "tcp://x:1"},
		{"nonsense; ; =", "/seeds", tree, "tcp://x:1"},
		{"image/png", "/seeds.txt", plain, ""},
		{"application/json", "/seeds.txt", plain, ""},
		{"multipart/form-data", "/seeds.txt", plain, ""},
	} {
		p, err := parse(document{[]byte(c.body), c.mediaType, c.name}, seeded(1))
		switch {
		case c.want == "":
			if !errors.Is(err, ErrType) {
				t.Errorf("%+v: %v, %v", c, p, err)
			}
		case err != nil:
			t.Errorf("%+v: %v", c, err)
		case c.want == "-" && len(p.addresses) > 0, c.want != "-" && !slices.Equal(p.addresses, addresses(c.want)):
			t.Errorf("%+v: %v", c, p.addresses)
		}
	}
}

func TestAddressesOfADocumentAreBounded(t *testing.T) {
	var plain, tree strings.Builder
	tree.WriteString(`<x ordered="true">`)
	for i := range MaxAddresses + 10 {
		fmt.Fprintf(&plain, "tcp://host%d:1\n", i)
		tree.WriteString(route(fmt.Sprintf("tcp://host%d:1", i)))
	}
	tree.WriteString("</x>")
	fromTree, err := parseXML([]byte(tree.String()), seeded(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []parsed{parsePlain([]byte(plain.String())), fromTree} {
		if len(p.addresses) != MaxAddresses || p.addresses[MaxAddresses-1].Host != fmt.Sprintf("host%d:1", MaxAddresses-1) {
			t.Errorf("%d addresses", len(p.addresses))
		}
	}
}

func TestHostileXML(t *testing.T) {
	bomb := `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>`
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"entities":          {bomb, xmldoc.ErrSyntax},
		"file of the host":  {`<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>`, xmldoc.ErrSyntax},
		"undeclared entity": {"<x>" + route("tcp://a:1", "&f;://b:1") + "</x>", nil},
		"foreign DTD":       {`<!DOCTYPE x SYSTEM "http://192.0.2.1/x.dtd"><x>` + route("tcp://a:1") + `</x>`, nil}, // never fetched
		"deep":              {strings.Repeat("<x>", 10_000), xmldoc.ErrLimit},
		"deep, closed":      {strings.Repeat("<x>", 200) + strings.Repeat("</x>", 200), xmldoc.ErrLimit},
		"wide":              {"<x>" + strings.Repeat("<jxta:RA/>", 10_000) + "</x>", xmldoc.ErrLimit},
		"two roots":         {"<x/><x/>", xmldoc.ErrSyntax},
		"none":              {"", xmldoc.ErrSyntax},
		"HTML":              {"<!DOCTYPE html><html><br>log in</html>", xmldoc.ErrSyntax},
	} {
		p, err := parseXML([]byte(c.text), seeded(1))
		if c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v", name, p, err)
		}
		for _, a := range p.addresses {
			if a.Host != "a:1" && a.Protocol != "&f;" { // text like any other
				t.Errorf("%s: address %v", name, a)
			}
		}
	}
}

func TestParseCutAtEveryOctet(t *testing.T) {
	tree := bytes.TrimSpace(file(t, "seeds.xml"))
	for n := range tree {
		if p, err := parseXML(tree[:n], seeded(1)); err == nil {
			t.Fatalf("cut at %d: %v", n, p.addresses)
		}
	}
	plain := file(t, "seeds.txt")
	whole := parsePlain(plain).addresses
	for n := range plain {
		got := parsePlain(plain[:n]).addresses
		for i, a := range got[:max(0, len(got)-1)] { // the last one may be cut itself
			if a != whole[i] {
				t.Fatalf("cut at %d: %v", n, got)
			}
		}
	}
}

// wellFormed fails unless the addresses are what a list may hold.
func wellFormed(t *testing.T, p parsed) {
	t.Helper()
	if len(p.addresses) > MaxAddresses {
		t.Fatalf("%d addresses", len(p.addresses))
	}
	seen := map[endpoint.Address]bool{}
	for _, a := range p.addresses {
		again, err := endpoint.ParseAddress(a.String())
		if err != nil || again != a || seen[a] || a.Service != "" || a.Param != "" {
			t.Fatalf("%#v: read again %#v, %v", a, again, err)
		}
		seen[a] = true
	}
}

func FuzzPlain(f *testing.F) {
	f.Add(file(f, "seeds.txt"))
	f.Add([]byte("\ufefftcp://a:1\r\n\r#\nmem://b"))
	f.Add([]byte("urn:jxta:uuid-03\njxta://uuid-0003/s\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := parsePlain(b)
		wellFormed(t, p)
		var text strings.Builder
		for _, a := range p.addresses {
			fmt.Fprintln(&text, a)
		}
		if again := parsePlain([]byte(text.String())); !slices.Equal(again.addresses, p.addresses) {
			t.Fatalf("%v, read again %v", p.addresses, again.addresses)
		}
	})
}

func FuzzXML(f *testing.F) {
	f.Add(file(f, "seeds.xml"))
	f.Add([]byte("<x ordered='true'>" + route("tcp://a:1", "http://a:2") + route("tcp://b:1") + "</x>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parseXML(b, seeded(1))
		if err != nil && len(p.addresses) > 0 {
			t.Fatalf("%v with %v", p.addresses, err)
		}
		wellFormed(t, p)
	})
}

func BenchmarkPlain(b *testing.B) {
	var text strings.Builder
	for i := range MaxAddresses {
		fmt.Fprintf(&text, "tcp://host%d.example.org:9701\n", i)
	}
	b.ReportAllocs()
	for b.Loop() {
		parsePlain([]byte(text.String()))
	}
}

func BenchmarkXML(b *testing.B) {
	var text strings.Builder
	text.WriteString("<x>")
	for i := range MaxAddresses {
		text.WriteString(route(fmt.Sprintf("tcp://host%d.example.org:9701", i)))
	}
	text.WriteString("</x>")
	rng := seeded(1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseXML([]byte(text.String()), rng); err != nil {
			b.Fatal(err)
		}
	}
}
