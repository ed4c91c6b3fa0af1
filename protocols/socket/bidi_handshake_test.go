package socket

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

func bidiRecording(t testing.TB, name string) *message.Message {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".jxm"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := message.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sameElements compares the elements of the namespace: names, types, bodies and
// order.
func sameElements(t *testing.T, name string, got, want *message.Message) {
	t.Helper()
	list := func(m *message.Message) (all []message.Element) {
		for e := range m.All() {
			if e.Namespace == bidiNamespace {
				all = append(all, e)
			}
		}
		return all
	}
	g, w := list(got), list(want)
	if len(g) != len(w) {
		t.Fatalf("%s: %d elements, want %d", name, len(g), len(w))
	}
	for i := range w {
		if g[i].Name != w[i].Name || g[i].Type != w[i].Type || !bytes.Equal(g[i].Body, w[i].Body) {
			t.Errorf("%s: element %d is %s %s\n%q\nwant %s %s\n%q", name, i, g[i].Name, g[i].Type, g[i].Body, w[i].Name, w[i].Type, w[i].Body)
		}
	}
}

// TestBidiRecordings reads the handshakes of JXSE 2.5 peers, and writes the same
// octets but for what Juxta never says.
func TestBidiRecordings(t *testing.T) {
	for _, c := range []struct {
		name             string
		answer, reliable bool
	}{{"bidi-01-open", false, false}, {"bidi-05-open-reliable", false, true}, {"bidi-02-accept", true, false}} {
		m := bidiRecording(t, c.name)
		h, err := readBidiHello(m, c.answer)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if h.Reliable != c.reliable || h.Juxta || h.Refused || h.Overrides || !h.Credential.IsZero() || h.Pipe.Name != "GoldenBidi" {
			t.Errorf("%s: %+v", c.name, h)
		}
		ours, err := h.message()
		if err != nil {
			t.Fatal(err)
		}
		if ours.Text(bidiNamespace, bidiDirect) != "false" {
			t.Errorf("%s: direct=%q", c.name, ours.Text(bidiNamespace, bidiDirect))
		}
		// The same with the flag that Java sets.
		raised := message.New()
		for e := range ours.All() {
			if e.Name == bidiDirect {
				e.Body = []byte("true")
			}
			raised.Add(e)
		}
		sameElements(t, c.name, raised, m)
	}
	sameElements(t, "bidi-04-close", goodbye(), bidiRecording(t, "bidi-04-close"))
	if m := bidiRecording(t, "bidi-04-close"); !closesBidi(m) {
		t.Error("bidi-04-close is no goodbye")
	}
	block, _ := bidiRecording(t, "rel-07-message-close").Get("jxtarel", "2")
	m, err := message.Decode(block.Body)
	if err != nil || !closesBidi(m) {
		t.Errorf("rel-07: %v, %v", m, err)
	}
	if ours, err := goodbye().MarshalBinary(); err != nil || !bytes.Equal(ours, block.Body) {
		t.Errorf("the goodbye as a block is\n%q, %v, want\n%q", ours, err, block.Body)
	}
	block, _ = bidiRecording(t, "rel-06-message-block").Get("jxtarel", "1")
	if m, err = message.Decode(block.Body); err != nil || m.Text("app", "Text") != "hello-bidi-rel" || closesBidi(m) {
		t.Errorf("rel-06: %v, %v", m, err)
	}
}

// TestBidiHello: what is written is read as it was meant, and any part of it is
// no handshake.
func TestBidiHello(t *testing.T) {
	java, err := readBidiHello(bidiRecording(t, "bidi-05-open-reliable"), false)
	if err != nil {
		t.Fatal(err)
	}
	cred := xmldoc.NewNode("jxta:Cred", "", xmldoc.NewNode("Identity", "ann"))
	for _, h := range []bidiHello{
		{Pipe: java.Pipe, Peer: java.Peer, Reliable: true, Juxta: true, Credential: cred},
		{Pipe: java.Pipe, Peer: java.Peer, Juxta: true},
		{Answer: true, Pipe: java.Pipe, Peer: java.Peer, Juxta: true, Credential: cred},
		{Answer: true, Pipe: java.Pipe, Peer: java.Peer},
	} {
		m, err := h.message()
		if err != nil {
			t.Fatal(err)
		}
		got, err := readBidiHello(m, h.Answer)
		if err != nil {
			t.Fatal(err)
		}
		if got.Pipe.ID != h.Pipe.ID || got.Peer.ID != h.Peer.ID || got.Reliable != h.Reliable || got.Juxta != h.Juxta || !got.Credential.Equal(h.Credential) {
			t.Errorf("%+v became %+v", h, got)
		}
		if _, err := readBidiHello(m, !h.Answer); err != errBidiForeign {
			t.Errorf("read as the other kind: %v", err)
		}
		elems := slices.Collect(m.All())
		for i, e := range elems {
			if e.Name != bidiRequest && e.Name != bidiAnswer && e.Name != bidiPeer {
				continue
			}
			for cut := 0; cut < len(bytes.TrimSpace(e.Body)); cut++ {
				part := slices.Clone(elems)
				part[i].Body = e.Body[:cut]
				if _, err := readBidiHello(message.New(part...), h.Answer); err == nil {
					t.Fatalf("%s cut at %d is read", e.Name, cut)
				}
			}
		}
	}
	refusal, err := (&bidiHello{Answer: true, Refused: true}).message()
	if err != nil {
		t.Fatal(err)
	}
	if h, err := readBidiHello(refusal, true); err != nil || !h.Refused {
		t.Errorf("the refusal is read as %+v, %v", h, err)
	}
	if _, err := readBidiHello(goodbye(), true); err != errBidiForeign {
		t.Errorf("a goodbye instead of an answer: %v", err)
	}
}

// FuzzBidiHello: whatever a stranger writes is read or refused.
func FuzzBidiHello(f *testing.F) {
	for _, name := range []string{"bidi-01-open", "bidi-02-accept", "bidi-04-close", "bidi-05-open-reliable"} {
		b, err := os.ReadFile(filepath.Join("testdata", name+".jxm"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, name == "bidi-02-accept")
	}
	f.Fuzz(func(t *testing.T, b []byte, answer bool) {
		m, err := message.Decode(b)
		if err != nil {
			return
		}
		h, err := readBidiHello(m, answer)
		if err != nil {
			return
		}
		again, err := h.message()
		if err != nil {
			return // names and texts that cannot be written
		}
		if _, err := readBidiHello(again, answer); err != nil {
			t.Errorf("what was read cannot be read again: %v", err)
		}
	})
}
