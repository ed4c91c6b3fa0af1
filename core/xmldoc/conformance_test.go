package xmldoc_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// messages are the recordings of core/message, which are kept once.
const messages = "../message/testdata/"

// survives reads a document, prints it, and reads it again.
func survives(t *testing.T, what string, doc []byte) xmldoc.Node {
	t.Helper()
	n, err := xmldoc.ParseNode(doc)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return n
	}
	out, err := n.Marshal()
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return n
	}
	if again, err := xmldoc.ParseNode(out); err != nil || !again.Equal(n) {
		t.Errorf("%s: printed and read again it is another document, error %v:\n%s", what, err, out)
	}
	return n
}

// TestDocumentsOfServices: peer info as JXSE 2.5 prints it, content as 2.7 does,
// and a list of seeds as both read it.
func TestDocumentsOfServices(t *testing.T) {
	files, err := filepath.Glob(vectors + "services/*.xml")
	if err != nil || len(files) != 7 {
		t.Fatal(files, err)
	}
	for _, f := range append(files, vectors+"seeds/seeds.xml") {
		b := readFile(t, f)
		survives(t, f, b)
		if !strings.Contains(f, "/pip-") {
			continue
		}
		if n, err := xmldoc.ParseNode(b); err != nil {
			t.Error(err)
		} else if out, err := n.Marshal(); err != nil || !bytes.Equal(out, b) {
			t.Errorf("%s: printed otherwise: %v\n%s", f, err, out)
		}
	}
}

// TestDocumentsInMessages: every document in every recorded message, at whatever
// level of escaping, compressed or not, survives being read and printed.
func TestDocumentsInMessages(t *testing.T) {
	count := 0
	var look func(what string, b []byte)
	var walk func(what string, n xmldoc.Node)
	walk = func(what string, n xmldoc.Node) {
		look(what+"/"+n.Name(), []byte(n.Text()))
		for c := range n.Children() {
			walk(what+"/"+n.Name(), c)
		}
	}
	look = func(what string, b []byte) {
		if bytes.HasPrefix(b, []byte("<?xml")) {
			count++
			walk(what, survives(t, what, b))
		}
	}
	var files []string
	for _, pattern := range []string{"transport/*.bin", "services/*.jxm", "services/*.dgram"} {
		f, err := filepath.Glob(messages + pattern)
		if err != nil || len(f) == 0 {
			t.Fatal(pattern, err)
		}
		files = append(files, f...)
	}
	for _, f := range files {
		b := readFile(t, f)
		// Whatever stands before the message, its magic is where it begins.
		for i := bytes.Index(b, []byte("jxmg")); i >= 0; i = next(b, i) {
			m, err := message.Decode(b[i:])
			if err != nil {
				continue // one made to be refused
			}
			for e := range m.All() {
				body := e.Body
				if message.BaseType(e.Type) == message.TypeGzip {
					body = unzip(t, body)
				}
				look(filepath.Base(f)+": "+e.Name, body)
			}
		}
	}
	const want = 288
	if count != want {
		t.Errorf("%d documents found, want %d", count, want)
	}
}

// next finds the next message after the one at i, or returns -1.
func next(b []byte, i int) int {
	k := bytes.Index(b[i+4:], []byte("jxmg"))
	if k < 0 {
		return -1
	}
	return i + 4 + k
}

func unzip(t *testing.T, b []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
