package framing

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

const peerText = "urn:jxta:uuid-59616261646162614E50472050325033A000000000004000800080000000000303"

func welcomes(t testing.TB) map[string][]byte {
	all := map[string][]byte{}
	for _, r := range recordings(t) {
		if r.Kind == "welcome" {
			all[r.File] = r.read(t)
		}
	}
	if len(all) != 3 {
		t.Fatalf("%d recordings", len(all))
	}
	return all
}

func readWelcome(b []byte) (Welcome, error) { return ReadWelcome(bufio.NewReader(bytes.NewReader(b))) }

func TestRecordedWelcomes(t *testing.T) {
	for file, b := range welcomes(t) {
		w, err := readWelcome(b)
		if err != nil {
			t.Fatal(file, err)
		}
		if w.Version != "1.1" || w.NoPropagate {
			t.Errorf("%s: %+v", file, w)
		}
		if got := w.AppendTo(nil); !bytes.Equal(got, b) {
			t.Errorf("%s written again:\n%q\n%q", file, got, b)
		}
		for n := range b {
			_, err := readWelcome(b[:n])
			if n == 0 && err != io.EOF || n > 0 && (!errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, ErrWelcome)) {
				t.Fatalf("%s cut at %d: %v", file, n, err)
			}
		}
	}
	w, err := readWelcome(welcomes(t)["tcp-welcome-relay-client.bin"])
	want := Welcome{
		Dest:    endpoint.MustParseAddress("tcp://127.0.0.1:9701/EndpointService:jxta-NetGroup/uuid-DEADBEEFDEAFBABAFEEDBABE0000000F05/connect,3600000,keep,true"),
		Public:  endpoint.MustParseAddress("tcp://127.0.0.1:0"),
		Version: "1.1",
	}
	want.Peer, _ = id.ParsePeer(peerText)
	if err != nil || w != want {
		t.Fatalf("%+v, %v", w, err)
	}
}

func TestWelcomeRules(t *testing.T) {
	const head = Greeting + " tcp://192.0.2.1:1 tcp://192.0.2.2:2 " + peerText
	fill := func(n int) string { // a welcome of n octets
		s := Greeting + " tcp://h:1/" + strings.Repeat("s", 200) + "/" + strings.Repeat("p", 700) +
			" tcp://h:1/" + strings.Repeat("s", 200) + "/" + strings.Repeat("p", 700) + " " + peerText + " "
		return s + strings.Repeat("x", n-len(s)-len(" 0 1.1\r\n")) + " 0 1.1\r\n"
	}
	for _, tc := range []struct {
		name, line string
		ok         bool
		version    string
		noprop     bool
	}{
		{"1.1", head + " 0 1.1\r\n", true, "1.1", false},
		{"no propagation", head + " 1 1.1\r\n", true, "1.1", true},
		{"odd flag", head + " x 1.1\r\n", true, "1.1", false},
		{"3.0", head + " 1 1 3.0\r\n", true, "3.0", true},
		{"five tokens", head + " 9.9\r\n", true, "9.9", false},
		{"eight tokens", head + " 0 1 2 9.9\r\n", true, "9.9", false},
		{"nine tokens", head + " 0 1 2 3 9.9\r\n", false, "", false},
		{"four tokens", head + "\r\n", false, "", false},
		{"no version", head + " 0 \r\n", false, "", false},
		{"long version", head + " 0 " + strings.Repeat("1", maxVersion+1) + "\r\n", false, "", false},
		{"lower case", strings.ToLower(head) + " 0 1.1\r\n", false, "", false},
		{"longer greeting", strings.Replace(head, Greeting, Greeting+"X", 1) + " 0 1.1\r\n", false, "", false},
		{"two blanks", Greeting + "  tcp://192.0.2.1:1 tcp://192.0.2.2:2 " + peerText + " 0 1.1\r\n", false, "", false},
		{"tabulator", head + "\t0 1.1\r\n", false, "", false},
		{"LF alone", head + " 0 1.1\n", false, "", false},
		{"CR inside", head + " 0\r1.1\r\n", false, "", false},
		{"CR CR LF", head + " 0 1.1\r\r\n", false, "", false},
		{"NUL", head + " 0\x00 1.1\r\n", false, "", false},
		{"DEL", head + " 0\x7f 1.1\r\n", false, "", false},
		{"not UTF-8", head + " \xff 1.1\r\n", false, "", false},
		{"bad destination", Greeting + " tcp: tcp://192.0.2.2:2 " + peerText + " 0 1.1\r\n", false, "", false},
		{"bad public address", Greeting + " tcp://192.0.2.1:1 tcp: " + peerText + " 0 1.1\r\n", false, "", false},
		{"bad peer", Greeting + " tcp://192.0.2.1:1 tcp://192.0.2.2:2 urn:jxta:uuid-00 0 1.1\r\n", false, "", false},
		{"a group for a peer", Greeting + " tcp://192.0.2.1:1 tcp://192.0.2.2:2 urn:jxta:jxta-NetGroup 0 1.1\r\n", false, "", false},
		{"any protocol", Greeting + " tcp://192.0.2.1:1 http://192.0.2.2:2 " + peerText + " 0 1.1\r\n", true, "1.1", false},
		{"4096 octets", fill(MaxWelcome), true, "1.1", false},
		{"4097 octets", fill(MaxWelcome + 1), false, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := bufio.NewReader(strings.NewReader(tc.line + "rest"))
			w, err := ReadWelcome(r)
			if !tc.ok {
				if !errors.Is(err, ErrWelcome) || errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("%+v, %v", w, err)
				}
				return
			}
			if err != nil || w.Version != tc.version || w.NoPropagate != tc.noprop || w.Peer.String() != peerText {
				t.Fatalf("%+v, %v", w, err)
			}
			if rest, _ := io.ReadAll(r); string(rest) != "rest" {
				t.Fatalf("%q is left", rest)
			}
		})
	}
}

func TestReadWelcomeGivesUpEarly(t *testing.T) {
	broken := errors.New("broken")
	for _, start := range []string{"\x16", "GET ", "JXTAHELLX", Greeting + " \x00"} {
		r := bufio.NewReader(io.MultiReader(strings.NewReader(start), iotest.ErrReader(broken)))
		if _, err := ReadWelcome(r); !errors.Is(err, ErrWelcome) {
			t.Errorf("%q: %v", start, err)
		}
	}
	r := bufio.NewReader(io.MultiReader(strings.NewReader(Greeting), iotest.ErrReader(broken)))
	if _, err := ReadWelcome(r); !errors.Is(err, broken) || errors.Is(err, ErrWelcome) {
		t.Error(err)
	}
}

func FuzzWelcome(f *testing.F) {
	for _, b := range welcomes(f) {
		f.Add(b)
	}
	f.Add([]byte(Greeting + " a://b c://d/e/f " + peerText + " 1 2 3.0\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := readWelcome(b)
		if err != nil {
			if err != io.EOF && !errors.Is(err, ErrWelcome) {
				t.Fatal(err)
			}
			return
		}
		line := w.AppendTo(nil)
		again, err := readWelcome(line)
		w.Version = Version
		if err != nil || again != w {
			t.Fatalf("%+v became %+v, %v", w, again, err)
		}
	})
}

func BenchmarkReadWelcome(b *testing.B) {
	line := welcomes(b)["tcp-welcome-initiator.bin"]
	src := bytes.NewReader(line)
	r := bufio.NewReader(src)
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(line)
		r.Reset(src)
		if _, err := ReadWelcome(r); err != nil {
			b.Fatal(err)
		}
	}
}
