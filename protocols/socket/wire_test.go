package socket

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// recorded returns a message between two JXSE 2.5 peers.
func recorded(t testing.TB, name string) *message.Message {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".jxm")
	if err != nil {
		t.Fatal(err)
	}
	m, err := message.Decode(b)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

// spaceOf returns the elements of a namespace.
func spaceOf(m *message.Message, ns string) (all []message.Element) {
	for e := range m.All() {
		if e.Namespace == ns {
			all = append(all, e)
		}
	}
	return all
}

// What JXSE sends to open a connection is read, and what this package writes for the
// same is equal to it, octet by octet and in the same order.
func TestRecordedHandshakes(t *testing.T) {
	for _, x := range []struct {
		name           string
		answer, stream bool
		cred           bool
	}{
		{"sock-01-connect", false, true, false},
		{"sock-02-accept", true, true, false},
		{"sock-07-connect-unreliable", false, false, false},
		{"sock-09-connect-credential", false, true, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			m := recorded(t, x.name)
			h, err := readHello(m, x.answer, !x.stream)
			if err != nil {
				t.Fatal(err)
			}
			want(t, "stream", h.Stream, x.stream)
			want(t, "juxta", h.Juxta, false)
			want(t, "credential", !h.Credential.IsZero(), x.cred)
			want(t, "name", h.Pipe.Name[len(h.Pipe.Name)-7:], ".remote")
			if _, ok := h.Peer.Route(); !ok {
				t.Error("no route")
			}
			doc, err := advertisements.Marshal(h.Peer)
			if err != nil {
				t.Fatal(err)
			}
			again, err := h.message(doc)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(spaceOf(m, namespace), spaceOf(again, namespace)); d != "" {
				t.Error(d)
			}
			h.Juxta = true
			if again, err = h.message(doc); err != nil {
				t.Fatal(err)
			}
			all := spaceOf(again, namespace)
			want(t, "last element", all[len(all)-1], message.Text("JXTASOC", "juxta", "1"))
			if d := cmp.Diff(spaceOf(m, namespace), all[:len(all)-1]); d != "" {
				t.Error(d)
			}
		})
	}
}

// The short messages of a connection are those of JXSE.
func TestRecordedControl(t *testing.T) {
	for name, ours := range map[string]*message.Message{
		"sock-05-close":           control(elemClose, closeRequest),
		"sock-06-close-ack":       control(elemClose, closeAnswer),
		"sock-08-data-unreliable": message.New(message.Bytes(namespace, elemData, []byte("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuv"))),
	} {
		if d := cmp.Diff(spaceOf(recorded(t, name), namespace), spaceOf(ours, namespace)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	m := recorded(t, "mcast-01-datagram")
	from, err := id.ParsePeer(m.Text(castNamespace, elemSource))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(spaceOf(m, castNamespace), spaceOf(datagram(from, []byte("hello-mcast")), castNamespace)); d != "" {
		t.Error(d)
	}
}

func TestRefusalTellsWhy(t *testing.T) {
	m, err := (&hello{Answer: true, Refused: saysFull}).message(nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := readHello(m, true, true)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "reason", h.Refused, saysFull)
	want(t, "close", m.Text(namespace, elemClose), "close")
	for text, shown := range map[string]string{
		"":                                     "without saying why",
		"\x00\x1b[31m no\n":                    "[31m no",
		string(bytes.Repeat([]byte("x"), 999)): string(bytes.Repeat([]byte("x"), maxReason)),
	} {
		want(t, "words", words([]byte(text)), shown)
	}
}

// A handshake that ends anywhere, or is too large, is refused without harm.
func TestHandshakeCut(t *testing.T) {
	m := recorded(t, "sock-09-connect-credential")
	for _, name := range []string{elemCred, elemRequest, elemPeer} {
		e, _ := m.Get(namespace, name)
		for n := range len(e.Body) - 1 {
			cut := m.Clone()
			cut.Replace(message.XML(namespace, name, e.Body[:n]))
			if _, err := readHello(cut, false, false); err == nil && n < len(bytes.TrimSpace(e.Body)) {
				t.Errorf("%s of %d octets was taken", name, n)
			}
		}
		large := m.Clone()
		large.Replace(message.XML(namespace, name, append(bytes.Clone(e.Body), make([]byte, maxDocument)...)))
		_, err := readHello(large, false, false)
		want(t, "large "+name, err, errDocumentSize)
	}
	for _, name := range []string{elemRequest, elemPeer} {
		without := m.Clone()
		without.Remove(namespace, name)
		_, err := readHello(without, false, false)
		want(t, "without "+name, err, errNoHandshake)
	}
}

func FuzzHello(f *testing.F) {
	for _, name := range []string{"sock-01-connect", "sock-02-accept", "sock-05-close", "sock-09-connect-credential"} {
		b, err := os.ReadFile("testdata/" + name + ".jxm")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, true)
		f.Add(b, false)
	}
	f.Fuzz(func(t *testing.T, b []byte, answer bool) {
		m, err := message.Decode(b)
		if err != nil {
			return
		}
		h, err := readHello(m, answer, true)
		if err != nil || h.Refused != "" {
			return
		}
		doc, err := advertisements.Marshal(h.Peer)
		if err != nil {
			return
		}
		m, err = h.message(doc)
		if err != nil {
			return
		}
		again, err := readHello(m, answer, !h.Stream)
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if again.Pipe.ID != h.Pipe.ID || again.Peer.ID != h.Peer.ID || again.Stream != h.Stream || again.Juxta != h.Juxta {
			t.Errorf("read %+v, then %+v", h, again)
		}
	})
}
