package srdi

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// payloads returns the pushes recorded from JXSE 2.5.
func payloads(tb testing.TB) (all []string) {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.jxm")
	if err != nil || len(files) == 0 {
		tb.Fatal("no recordings", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		msg, err := message.Decode(b)
		if err != nil {
			tb.Fatal(err)
		}
		for e := range msg.All() {
			if !strings.HasSuffix(e.Name, "Srdi") {
				continue
			}
			z, err := gzip.NewReader(bytes.NewReader(e.Body))
			if err != nil {
				tb.Fatal(err)
			}
			doc, err := io.ReadAll(z)
			if err != nil {
				tb.Fatal(err)
			}
			var x resolver.Index
			if err := xmldoc.Unmarshal(doc, &x); err != nil {
				tb.Fatal(err)
			}
			all = append(all, x.Payload)
		}
	}
	return all
}

func sample(n int) *Push {
	p := &Push{Holder: numbered(1)[0], Primary: "Adv", TTL: 1}
	for i := range n {
		p.Entries = append(p.Entries,
			Entry{"Id", id.PipeFromHash(id.NetGroup, fmt.Append(nil, i)).String(), 31535999997},
			Entry{"Name", fmt.Sprintf("pipe <%d> & more", i), int64(i % 3)})
	}
	return p
}

// A burst of publishing fits in one message.
func TestLargePushes(t *testing.T) {
	p := sample(10_000) // as a burst of publishing makes it
	x, err := p.Message("handler")
	if err != nil {
		t.Fatal(err)
	}
	again, err := Read(x.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(p, again, cmp.Comparer(func(a, b id.Peer) bool { return a == b })); d != "" {
		t.Errorf("%.2000s", d)
	}
	if parts := Split(p.Entries); len(parts) != 1 {
		t.Errorf("20,000 entries in %d messages", len(parts))
	}
}

func TestSplit(t *testing.T) {
	if parts := Split(nil); parts != nil {
		t.Error(parts)
	}
	all := slices.Repeat([]Entry{{"Name", "x", 1}}, maxEntries+1)
	if parts := Split(all); len(parts) != 2 || len(parts[0]) != maxEntries || len(parts[1]) != 1 {
		t.Errorf("%d parts", len(parts))
	}
	long := slices.Repeat([]Entry{{"Name", strings.Repeat("<", 1000), 1}}, 1000)
	n := 0
	for _, part := range Split(long) {
		n += len(part)
		p := &Push{Holder: numbered(1)[0], Primary: "Adv", Entries: part}
		x, err := p.Message("handler")
		if err != nil {
			t.Fatal(err)
		}
		if octets := len(x.Payload) + strings.Count(x.Payload, "<")*3 + strings.Count(x.Payload, "&")*4; octets > resolver.MaxIndex {
			t.Errorf("%d entries are %d octets", len(part), octets)
		}
	}
	if n != len(long) {
		t.Errorf("%d of %d entries", n, len(long))
	}
}

func TestReadRefuses(t *testing.T) {
	x, err := sample(2000).Message("handler")
	if err != nil {
		t.Fatal(err)
	}
	doc := x.Payload
	for what, c := range map[string]struct {
		doc  string
		want error
	}{
		"too many entries": {"<jxta:GenSRDI><PID>" + numbered(1)[0].String() + "</PID><PKey>Adv</PKey>" + strings.Repeat("<Entry>x</Entry>", maxRead+1) + "</jxta:GenSRDI>", xmldoc.ErrLimit},
		"too much markup":  {"<jxta:GenSRDI>" + strings.Repeat("<E/>", 2*maxRead+xmldoc.MaxMarkup) + "</jxta:GenSRDI>", xmldoc.ErrLimit},
		"too large":        {"<jxta:GenSRDI><Entry>" + strings.Repeat("x", resolver.MaxIndex) + "</Entry></jxta:GenSRDI>", xmldoc.ErrLimit},
		"no holder":        {strings.ReplaceAll(doc, "PID>", "Pid>"), xmldoc.ErrMissing},
		"another root":     {strings.ReplaceAll(doc, "jxta:GenSRDI", "jxta:Gen"), xmldoc.ErrRoot},
		"no number":        {strings.Replace(doc, `Expiration="0"`, `Expiration="soon"`, 1), xmldoc.ErrSyntax},
	} {
		if _, err := Read(c.doc); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
	for i := 0; i < len(doc)-1; i += 1 + i/12 {
		if _, err := Read(doc[:i]); err == nil {
			t.Fatalf("read although cut at %d of %d", i, len(doc))
		}
	}
}

// Whatever is read is printed and read again.
func FuzzRead(f *testing.F) {
	for _, s := range payloads(f) {
		f.Add(s)
	}
	f.Add(`<jxta:GenSRDI><Entry SKey="a">x</Entry><PID>` + numbered(1)[0].String() + `</PID><Entry>y</Entry><PKey>k</PKey><Entry/></jxta:GenSRDI>`)
	f.Fuzz(func(t *testing.T, doc string) {
		p, err := Read(doc)
		if err != nil {
			return
		}
		for _, part := range Split(p.Entries) {
			q := *p
			q.Entries = part
			x, err := q.Message("h")
			if err != nil {
				t.Fatal(err)
			}
			again, err := Read(x.Payload)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := fmt.Sprintf("%+v", again), fmt.Sprintf("%+v", &q); got != want {
				t.Fatalf("read again as\n%s\nwas\n%s", got, want)
			}
		}
	})
}

func BenchmarkLargePush(b *testing.B) {
	p := sample(10_000)
	x, err := p.Message("handler")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("print", func(b *testing.B) {
		b.SetBytes(int64(len(x.Payload)))
		b.ReportAllocs()
		for b.Loop() {
			_, _ = p.Message("handler")
		}
	})
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(x.Payload)))
		b.ReportAllocs()
		for b.Loop() {
			_, _ = Read(x.Payload)
		}
	})
}
