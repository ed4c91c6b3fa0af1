package pipe

import (
	"bytes"
	"testing"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

func sampleNotice() notice {
	return notice{
		epoch: 7, limit: 1000, bytes: 1 << 20, done: 3, pipe: id.PipeFromSeed(id.NetGroup, []byte("a pipe")),
		became: []outcomes{{1, 10, delivered}, {11, 1, dropped}, {12, 4000, unseen}},
	}
}

// TestNotice: it comes back as it was, and cut at any octet it is refused.
func TestNotice(t *testing.T) {
	e, _ := sampleNotice().message().Get(message.Platform, elemNotice)
	n, err := readNotice(e.Body)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := n.message().Get(message.Platform, elemNotice)
	if !bytes.Equal(again.Body, e.Body) {
		t.Error("another notice came back")
	}
	for i := range e.Body {
		if _, err := readNotice(e.Body[:i]); err == nil {
			t.Errorf("a notice cut behind %d octets was read", i)
		}
	}
	a := ask{epoch: 1, sent: 2, bytes: 3, since: 4, until: 5}
	if got, ok := readAsk(a.element().Body); !ok || got != a {
		t.Errorf("another question came back: %+v", got)
	}
}

// FuzzNotice: whatever comes is refused, or is a notice within the limits.
func FuzzNotice(f *testing.F) {
	e, _ := sampleNotice().message().Get(message.Platform, elemNotice)
	f.Add(e.Body)
	f.Add(ask{1, 2, 3, 4, 5}.element().Body)
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, ok := readAsk(b); ok && (a.sent > maxCounter || a.bytes > maxCounter) {
			t.Error("a counter beyond its limit")
		}
		n, err := readNotice(b)
		if err != nil {
			return
		}
		again, _ := n.message().Get(message.Platform, elemNotice)
		m, err := readNotice(again.Body)
		if err != nil || m.epoch != n.epoch || m.pipe != n.pipe || len(m.became) != len(n.became) {
			t.Errorf("another notice came back: %v", err)
		}
	})
}
