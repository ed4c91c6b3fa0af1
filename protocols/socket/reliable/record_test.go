package reliable

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
)

// recording reads a message that JXSE 2.5 has sent.
func recording(tb testing.TB, name string) *message.Message {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".jxm"))
	if err != nil {
		tb.Fatal(err)
	}
	m, err := message.Decode(b)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// ours leaves only the elements of the layer.
func ours(m *message.Message) []message.Element {
	var es []message.Element
	for e := range m.All() {
		if e.Namespace == namespace {
			e.Body = bytes.Clone(e.Body)
			es = append(es, e)
		}
	}
	return es
}

func sameElements(tb testing.TB, got, want []message.Element) {
	tb.Helper()
	if len(got) != len(want) {
		tb.Fatalf("%d elements, want %d", len(got), len(want))
	}
	for i := range got {
		g, w := got[i], want[i]
		if g.Name != w.Name || g.Type != w.Type || !bytes.Equal(g.Body, w.Body) {
			tb.Errorf("element %d is %s (%s) %.40x, want %s (%s) %.40x", i, g.Name, g.Type, g.Body, w.Name, w.Type, w.Body)
		}
	}
}

// spy makes a Conn that keeps what it sends.
func spy(tb testing.TB, cfg Config) (*Conn, func() [][]message.Element) {
	var mu sync.Mutex
	var sent [][]message.Element
	cfg.Send = func(_ context.Context, m *message.Message) error {
		mu.Lock()
		defer mu.Unlock()
		sent = append(sent, ours(m))
		return nil
	}
	c := New(cfg)
	tb.Cleanup(func() { c.Close() })
	return c, func() [][]message.Element {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		s := sent
		sent = nil
		return s
	}
}

// TestRecordedBlocks: the same content makes the same elements as JXSE makes.
func TestRecordedBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		c, sent := spy(t, Config{})
		first, again := ours(recording(t, "sock-03-data")), ours(recording(t, "rel-04-retransmit"))
		if err := c.WriteBlock(ctx, first[0].Body); err != nil {
			t.Fatal(err)
		}
		if err := c.WriteBlock(ctx, again[0].Body); err != nil {
			t.Fatal(err)
		}
		s := sent()
		sameElements(t, s[0], first)
		sameElements(t, s[1], again[:1])

		c.Take(recording(t, "sock-04-ack")) // of the first
		if st := c.Stats(); st.AcknowledgedTo != 1 || st.AcksReceived != 1 {
			t.Errorf("%+v", st)
		}
		time.Sleep(javaFirstPatience)
		sameElements(t, sent()[0], again)
	})
}

// TestRecordedAcks: what JXSE acknowledged while its block 2 was missing.
func TestRecordedAcks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sent := spy(t, Config{Window: 50})
		for i := range 10 {
			if err := c.WriteBlock(context.Background(), fill(i, 10)); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(sent()); n != 3 {
			t.Fatalf("%d blocks at first", n)
		}
		for _, step := range []struct {
			name           string
			upTo, underWay int
		}{
			{"rel-01-ack-with-sack", 1, 4}, // 3 is held: 2 and 4 to 6 are under way
			{"rel-02-sack-two", 1, 4},      // 4 and 5 as well; 7 and 8 follow, and 2 again
			{"rel-03-bare-repeat", 1, 4},
			{"rel-05-ack-batch", 5, 5}, // 2, and 3 to 5 wait for the reader
		} {
			time.Sleep(javaSettle / 2) // by the third, block 2 is held to be lost
			c.Take(recording(t, step.name))
			synctest.Wait()
			if st := c.Stats(); int(st.AcknowledgedTo) != step.upTo || st.UnderWay < step.underWay || st.AcksBad != 0 {
				t.Errorf("%s: %+v", step.name, st)
			}
		}
		again := 0
		for _, es := range sent() {
			if es[0].Name == "2" {
				again++
				if len(es) != 2 || es[1].Name != nameRetry {
					t.Errorf("repeated with %d elements", len(es))
				}
			}
		}
		if again != 1 {
			t.Errorf("block 2 repeated %d times after three later ones had come", again)
		}
	})
}

// TestRecordedMessages: a reliable bidirectional pipe; blocks are messages.
func TestRecordedMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sent := spy(t, Config{Window: 50})
		c.Take(recording(t, "rel-07-message-close")) // 2 before 1
		c.Take(recording(t, "rel-06-message-block"))
		for i, want := range []struct{ namespace, name, text string }{{"app", "Text", "hello"}, {"JXTABIP", "close", "close"}} {
			b, err := c.ReadBlock(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			m, err := message.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Text(want.namespace, want.name); !bytes.HasPrefix([]byte(got), []byte(want.text)) {
				t.Errorf("block %d holds %q", i+1, got)
			}
		}
		c.End()
		if _, err := c.ReadBlock(context.Background()); err != io.EOF {
			t.Error(err)
		}
		// Acknowledged when read, as in rel-01 and sock-04; the list behind it is filled
		// up with the same number, to slow the other side down.
		s := sent()
		last := s[len(s)-1]
		if len(last) != 1 || last[0].Name != nameAck || last[0].Type != typeAck || !bytes.Equal(last[0].Body, bytes.Repeat([]byte{0, 0, 0, 2}, 1+javaThrottle)) {
			t.Errorf("%+v", last)
		}
	})
}

// TestAcksLikeRecorded: the acknowledgements themselves.
func TestAcksLikeRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sent := spy(t, Config{})
		put := func(n string) {
			c.Take(message.New(message.Element{Namespace: namespace, Name: n, Type: typeBlock, Body: []byte("x")}))
		}
		put("1")
		if s := sent(); len(s) != 0 {
			t.Errorf("%d messages before anything is read", len(s))
		}
		if _, err := c.ReadBlock(context.Background()); err != nil {
			t.Fatal(err)
		}
		sameElements(t, sent()[0], ours(recording(t, "sock-04-ack")))
		time.Sleep(reAck)
		put("3")
		sameElements(t, sent()[0], ours(recording(t, "rel-01-ack-with-sack")))
		put("4")
		put("5")
		if s := sent(); len(s) != 0 {
			t.Errorf("%d messages within a second", len(s))
		}
		time.Sleep(reAck)
		want := ours(recording(t, "rel-02-sack-two"))
		want[0].Body = []byte{0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5} // we list 3 again
		sameElements(t, sent()[0], want)
		put("2")
		if _, err := c.ReadBlock(context.Background()); err != nil {
			t.Fatal(err)
		}
		sameElements(t, sent()[0], ours(recording(t, "rel-05-ack-batch")))
	})
}
