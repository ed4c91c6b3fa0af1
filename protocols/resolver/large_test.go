package resolver

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// However it is printed and read, in pieces or as a whole, an index message is
// the same.
func TestPropertyLargeIndexMessages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.StringOf(rapid.RuneFrom([]rune("ab<>&;\"' \n]é€𝄞-"))).Draw(t, "payload")
		size := rapid.IntRange(2*maxReference, 80).Draw(t, "size")
		x := &Index{Handler: "h-", Payload: "x" + payload + "x"}
		whole, err := xmldoc.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		parts, err := printParts(x, size)
		if err != nil || !bytes.Equal(parts, whole) {
			t.Fatalf("printed in pieces, %v\n%s\nas a whole\n%s", err, parts, whole)
		}
		again, err := readParts(parts, size)
		if err != nil || *again != *x {
			t.Fatalf("read %+v, %v; want %+v", again, err, x)
		}
	})
}

func TestLargeIndexMessages(t *testing.T) {
	x := &Index{Handler: "h", Payload: strings.Repeat("<Entry>é & more</Entry>\n", 100_000) + "."}
	doc, err := printIndex(x)
	if err != nil {
		t.Fatal(err)
	}
	again, err := readIndex(doc)
	if err != nil || *again != *x {
		t.Fatalf("read another, %v", err)
	}
	head, tail := "<jxta:ResolverSRDI><HandlerName>h</HandlerName>", "</jxta:ResolverSRDI>"
	blank := strings.Repeat(" ", xmldoc.MaxDocument)
	for what, c := range map[string]struct {
		doc  string
		want error
	}{
		"too large":         {head + "<Payload>" + strings.Repeat("x", MaxIndex) + "</Payload>" + tail, errBomb},
		"no payload":        {head + blank + tail, xmldoc.ErrMissing},
		"markup inside":     {head + "<Payload>" + blank + "<!-- --></Payload>" + tail, xmldoc.ErrSyntax},
		"another root":      {"<a>" + "<Payload>" + blank + "</Payload>" + "</a>", xmldoc.ErrRoot},
		"large elsewhere":   {head + blank + "<Payload>x</Payload>" + tail, xmldoc.ErrLimit},
		"two payloads":      {head + "<Payload>x</Payload>" + blank + "<Payload>y</Payload>" + tail, xmldoc.ErrSyntax},
		"an unknown entity": {head + "<Payload>" + blank + "&nonsense;</Payload>" + tail, nil},
	} {
		x, err := readIndex([]byte(c.doc))
		if c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
		if c.want == nil && (err != nil || x.Payload != "&nonsense;") {
			t.Errorf("%s: %q, %v", what, x.Payload, err)
		}
	}
	if _, err := printIndex(&Index{Handler: "h", Payload: strings.Repeat("<", MaxIndex/2)}); !errors.Is(err, errBomb) {
		t.Errorf("too large when printed: %v", err)
	}
	if _, err := printIndex(&Index{Handler: "h", Payload: strings.Repeat("x", 2*piece) + "\x01"}); !errors.Is(err, xmldoc.ErrText) {
		t.Errorf("a control character: %v", err)
	}
	for i := 0; i < len(doc)-1; i += 1 + i/8 {
		if _, err := readIndex(doc[:i]); err == nil {
			t.Fatalf("read although cut at %d of %d", i, len(doc))
		}
	}
}

// Whatever is read in pieces is read the same as a whole.
func FuzzLargeIndex(f *testing.F) {
	for _, payload := range []string{"", "x", "&lt;jxta:GenSRDI/>", "&#60;&#x3c;&amp;amp;", "]]>", " a ", "<b/>", "&nonsense;", "\xff"} {
		f.Add([]byte("<jxta:ResolverSRDI><HandlerName>h</HandlerName><Payload>" + payload + "</Payload></jxta:ResolverSRDI>"))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		parts, err := readParts(doc, 2*maxReference)
		if err != nil {
			return // stricter
		}
		whole := new(Index)
		if err := xmldoc.Unmarshal(doc, whole); err != nil {
			t.Fatalf("read in pieces, but not as a whole: %v", err)
		}
		if got, want := fmt.Sprintf("%+v", parts.Payload+parts.Handler), fmt.Sprintf("%+v", whole.Payload+whole.Handler); got != want {
			t.Fatalf("in pieces\n%q\nas a whole\n%q", got, want)
		}
	})
}
