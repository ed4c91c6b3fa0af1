package commands_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/shell/commands"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// TestFiles: what goes out by exportfile comes in by importfile, octet for octet.
func TestFiles(t *testing.T) {
	peer, err := peergroup.Start(t.Context(), peergroup.Config{Name: "ann", ClientOnly: true, NoLAN: true, NoMulticast: true})
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	var out bytes.Buffer
	host := commands.New(peer)
	s := interp.New(interp.Config{Commands: host.Commands(), Out: &out, Err: &out, Describe: host.Describe})
	defer s.Close()
	if err := host.Attach(s); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	binary := []byte("a\x00b\xff\r\n no line end")
	if err := os.WriteFile(filepath.Join(dir, "in"), binary, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, tt := range []struct {
		line, out string
		status    int
	}{
		{"doc = importfile in; exportfile out doc", "", 0},
		{"importfile -f in doc2; exportfile -f out2 doc2", "", 0},
		{"msg = mkmsg; put msg data doc; put -f in msg file; cat msg", "1: data  application/octet-stream  18 octets\n2: file  application/octet-stream  18 octets\n", 0},
		{"back = get msg file; exportfile out3 back", "", 0},
		{"pipe = newpipe p; exportfile pipe.xml pipe; again = importfile pipe.xml; publish again", "", 0},
		{"search -q | wc -l", "1\n", 0},
		{"echo one; echo 'two\nthree' | exportfile lines", "one\n", 0},
		{"text = importfile lines; grep -n t text", "1: two\n2: three\n", 0},
		{"more text", "two\nthree\n", 0},
		{"importfile nothing", "no such file", 1},
		{"importfile", "wants a file", 2},
		{"exportfile out nothing", "no variable", 3},
		{"exportfile out", "wants a file and a variable", 2},
		{"exportfile no/such/folder doc", "cannot write it", 1},
	} {
		out.Reset()
		if status := s.Run(t.Context(), tt.line); status != tt.status || !strings.Contains(out.String(), tt.out) || tt.out == "" && out.Len() > 0 {
			t.Errorf("%s: status %d, %q; want %d, %q", tt.line, status, out.String(), tt.status, tt.out)
		}
	}
	for _, name := range []string{"out", "out2", "out3"} {
		if b, err := os.ReadFile(name); err != nil || !bytes.Equal(b, binary) {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}
