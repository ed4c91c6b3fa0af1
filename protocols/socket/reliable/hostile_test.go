package reliable

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
)

// made makes a message with one element of the layer.
func made(name, typ string, body []byte) *message.Message {
	return message.New(message.Element{Namespace: namespace, Name: name, Type: typ, Body: body})
}

func ackBody(mode Mode, upTo uint64, listed ...span) *message.Message {
	return made(nameAck, typeAck, appendAck(nil, mode, upTo, listed))
}

func TestBlocksFarAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range bothModes {
			c, _ := spy(t, Config{Mode: mode})
			limit := uint64(maxAhead)
			if mode == Juxta {
				limit = startWindow/blockCost + 2
			}
			for _, n := range []uint64{limit + 1, limit + 2, math.MaxInt32} {
				c.Take(made(strconv.FormatUint(n, 10), typeBlock, []byte("x")))
			}
			if st := c.Stats(); st.Refused != 3 || st.Held != 0 || len(c.in.ring) != 0 {
				t.Errorf("%v: %+v", mode, st)
			}
			c.Take(made(strconv.FormatUint(limit, 10), typeBlock, []byte("x")))
			if st := c.Stats(); st.Held != 1 || len(c.in.ring)*32 > 4*startWindow {
				t.Errorf("%v: %+v, table of %d", mode, st, len(c.in.ring))
			}
		}
	})
}

func TestBadNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range bothModes {
			names := []string{"0", "-1", "+1", " 1", "1 ", "", "x", "1x", "0x1", "１", "99999999999999999999", "18446744073709551616", "9223372036854775807"}
			if mode == Java {
				names = append(names, "2147483648")
			}
			c, _ := spy(t, Config{Mode: mode})
			for _, n := range names {
				c.Take(made(n, typeBlock, []byte("x")))
			}
			if st := c.Stats(); st.Malformed != uint64(len(names)) || st.Held != 0 {
				t.Errorf("%v: %+v", mode, st)
			}
		}
	})
}

// TestFlood: blocks that nobody reads, and blocks behind a hole, fill what is
// allowed and no more.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const big = 100 << 10
		for _, mode := range bothModes {
			for _, size := range []int{0, 1, 1000, big} {
				for _, first := range []int{1, 2} {
					c, _ := spy(t, Config{Mode: mode})
					body := make([]byte, size)
					for n := first; n < 20000; n++ {
						c.Take(made(strconv.Itoa(n), typeBlock, body))
					}
					st, bound := c.Stats(), startWindow
					if mode == Java {
						bound = heldJava
					}
					if st.HeldOctets > bound+size+blockCost || st.Refused == 0 {
						t.Errorf("%v, %d octets from %d: %+v", mode, size, first, st)
					}
					if mode == Java && st.Held > maxHeld+1 {
						t.Errorf("%d held", st.Held)
					}
					// The block the reader needs is taken even so, and reading goes on.
					if first == 2 {
						c.Take(made("1", typeBlock, body))
					}
					for range st.Held {
						if _, err := c.ReadBlock(context.Background()); err != nil {
							t.Error(err)
						}
					}
				}
			}
		}
	})
}

// TestMillionTinyBlocks takes bounded memory and time, also in messages of a thousand.
func TestMillionTinyBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range bothModes {
			c, _ := spy(t, Config{Mode: mode})
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			begin := time.Now()
			m := message.New()
			for n := range 1000 {
				m.Add(message.Element{Namespace: namespace, Name: strconv.Itoa(2 + n), Type: typeBlock})
			}
			for range 1000 {
				c.Take(m)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
				t.Errorf("%v: %d octets", mode, grown)
			}
			st := c.Stats()
			if st.Received+st.Duplicates+st.Refused != 1e6 || st.AcksSent > 10 {
				t.Errorf("%v: %+v in %v", mode, st, time.Since(begin))
			}
		}
	})
}

// TestBadAcks: acknowledgements of what was never sent, and of any length.
func TestBadAcks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range bothModes {
			c, sent := spy(t, Config{Mode: mode})
			for i := range 10 {
				if err := c.WriteBlock(context.Background(), fill(i, 100)); err != nil {
					t.Fatal(err)
				}
			}
			all := len(sent())
			under := c.Stats().UnderWay
			for _, upTo := range []uint64{uint64(under) + 1, 11, 1000, math.MaxInt32} {
				c.Take(ackBody(mode, upTo))
			}
			if st := c.Stats(); st.AcksBad != 4 || st.UnderWay != under {
				t.Errorf("%v: %+v", mode, st)
			}
			for _, body := range [][]byte{nil, {1}, {0, 0, 1}, {0xff, 0xff, 0xff, 0xff}, bytes.Repeat([]byte{0xff}, 16)} {
				c.Take(made(nameAck, typeAck, body))
			}
			if st := c.Stats(); st.Malformed != 5 || st.UnderWay != under {
				t.Errorf("%v: %+v", mode, st)
			}
			// Listed numbers that were never sent; the good one among them counts.
			c.Take(ackBody(mode, 0, span{2, 2}, span{3000, 3000}, span{math.MaxInt32 - 1, math.MaxInt32 - 1}))
			if st := c.Stats(); st.AcksBad != 6 || st.Kept != 9 {
				t.Errorf("%v: %+v", mode, st)
			}
			// A long list.
			var list []byte
			if mode == Java {
				list = make([]byte, 4, 8<<20)
				for n := uint32(1 << 20); n > 1; n-- {
					list = binary.BigEndian.AppendUint32(list, n)
				}
			} else {
				list = make([]byte, 8, 8<<20)
				for n := uint64(2); n < 1<<18; n += 2 {
					list = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(list, n), n)
				}
			}
			c.Take(made(nameAck, typeAck, list))
			if st := c.Stats(); cap(c.spans) > 2*maxListed || st.Kept == 0 {
				t.Errorf("%v: memory for %d, %+v", mode, cap(c.spans), st)
			}
			if mode == Juxta {
				// Ranges that overlap would have the same blocks looked at many times.
				c.Take(ackBody(mode, 0, span{2, math.MaxUint64}, span{2, math.MaxUint64}))
				if st := c.Stats(); st.Malformed != 6 {
					t.Errorf("%+v", st)
				}
				c.Take(made(nameWin, "", []byte{1, 2}))
				c.Take(made(nameWin, "", bytes.Repeat([]byte{0xff}, 8)))
				if st := c.Stats(); st.Malformed != 7 || st.SendWindow > math.MaxInt32 {
					t.Errorf("%+v", st)
				}
			}
			_ = all
		}
	})
}

// TestBadEnds: blocks behind the end, an end before blocks that have come.
func TestBadEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		c, _ := spy(t, Config{Mode: Juxta})
		c.Take(made("1", typeBlock, []byte("a")))
		c.Take(made("4", typeBlock, []byte("d")))
		c.Take(made("2", typeEnd, nil)) // refused
		c.Take(made("5", typeEnd, nil))
		c.Take(made("6", typeBlock, []byte("f"))) // refused
		c.Take(made("6", typeEnd, nil))           // refused
		c.Take(made("2", typeBlock, []byte("b")))
		c.Take(made("3", typeBlock, nil))
		for _, want := range []string{"a", "b", "", "d"} {
			if got, err := c.ReadBlock(ctx); err != nil || string(got) != want {
				t.Errorf("%q, %v", got, err)
			}
		}
		if _, err := c.ReadBlock(ctx); err != io.EOF {
			t.Error(err)
		}
		if st := c.Stats(); st.Refused != 3 || st.Received != 5 {
			t.Errorf("%+v", st)
		}
		// In mode Java there is no such thing.
		j, _ := spy(t, Config{})
		j.Take(made("1", typeEnd, nil))
		if st := j.Stats(); st.Received != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestRepliesAreFew: what a stranger sends draws no more than a few answers.
func TestRepliesAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range bothModes {
			c, sent := spy(t, Config{Mode: mode})
			c.Take(made("1", typeBlock, []byte("x")))
			if _, err := c.ReadBlock(context.Background()); err != nil {
				t.Fatal(err)
			}
			sent()
			for range 10000 {
				c.Take(made("1", typeBlock, []byte("x")))
				c.Take(made(nameRetry, "", retryBody))
				c.Take(made("3", typeBlock, []byte("x")))
			}
			n := len(sent())
			time.Sleep(10 * time.Minute)
			n += len(sent())
			// Mode Java tells of the hole each second for a minute.
			if n > 65 || mode == Juxta && n > 3 {
				t.Errorf("%v: %d messages", mode, n)
			}
		}
	})
}

func TestLastNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range bothModes {
			ctx := context.Background()
			a, b, _, _ := link(t, Config{Mode: mode}, 1)
			highest := a.out.highest
			for _, s := range []*uint64{&a.out.base, &a.out.next, &a.out.end, &a.out.repeatFrom} {
				*s = highest - 4
			}
			for _, r := range []*uint64{&b.in.taken, &b.in.whole, &b.in.top} {
				*r = highest - 5
			}
			if err := transfer(a, b, sizes(5, func(i int) int { return 100 }), time.Minute); err != nil {
				t.Fatal(err)
			}
			if err := a.WriteBlock(ctx, []byte("x")); err != ErrExhausted {
				t.Errorf("%v: %v", mode, err)
			}
			if err := a.Flush(ctx); err != nil {
				t.Error(err)
			}
			// The other direction goes on.
			if err := transfer(b, a, sizes(5, func(i int) int { return 100 }), time.Minute); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestParseAckInverts(t *testing.T) {
	for _, listed := range [][]span{nil, {{5, 5}}, {{5, 5}, {9, 9}}} {
		for _, mode := range bothModes {
			a, ok := parseAck(mode, appendAck(nil, mode, 3, listed), nil)
			if !ok || a.upTo != 3 || !slices.Equal(a.listed, listed) {
				t.Errorf("%v %v: %+v %v", mode, listed, a, ok)
			}
		}
	}
	if a, ok := parseAck(Java, []byte{0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 4, 0xff, 0, 0, 0, 0, 0, 0, 1, 7, 7}, nil); !ok ||
		!slices.Equal(a.listed, []span{{4, 4}, {9, 9}}) || a.count != 4 {
		t.Errorf("%+v %v", a, ok)
	}
}

// FuzzTake hands in whatever comes, cut into single messages, in both modes, between
// writes and reads. Nothing may panic, and what is held stays within the limits.
func FuzzTake(f *testing.F) {
	for _, name := range []string{"rel-01-ack-with-sack", "rel-02-sack-two", "rel-03-bare-repeat", "rel-04-retransmit",
		"rel-05-ack-batch", "rel-06-message-block", "rel-07-message-close", "sock-03-data", "sock-04-ack"} {
		b, err := recording(f, name).MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint8(0))
		f.Add(b, uint8(1))
	}
	several := message.New(
		message.Element{Namespace: namespace, Name: "1", Type: typeBlock, Body: []byte("a")},
		message.Element{Namespace: namespace, Name: "3", Type: typeEnd},
		message.Element{Namespace: namespace, Name: nameAck, Type: typeAck, Body: appendAck(nil, Juxta, 1, []span{{3, 9}})},
		message.Element{Namespace: namespace, Name: nameWin, Body: []byte{0, 0, 0, 0, 0, 1, 0, 0}},
		message.Element{Namespace: namespace, Name: nameRetry, Type: message.TypeText, Body: retryBody})
	b, err := several.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, uint8(1))
	f.Add(slices.Concat(b, b), uint8(9))
	f.Fuzz(func(t *testing.T, b []byte, how uint8) {
		mode := Mode(how & 1)
		c := New(Config{Mode: mode, ReceiveBytes: 1, Send: func(context.Context, *message.Message) error { return nil }})
		defer c.Close()
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		for i := range int(how >> 4) {
			if err := c.WriteBlock(context.Background(), fill(i, 10)); err != nil {
				t.Fatal(err)
			}
		}
		r := message.NewReader(bytes.NewReader(b))
		for {
			one, err := r.Next()
			if err != nil {
				break
			}
			m, err := message.Decode(one)
			if err != nil {
				continue
			}
			c.Take(m)
			if how&2 != 0 {
				c.Moved()
			}
			if how&4 != 0 {
				_, _ = c.ReadBlock(gone)
			}
			if how&8 != 0 {
				c.End()
			}
		}
		st := c.Stats()
		if st.HeldOctets > firstWindow+len(b)+maxHeld*blockCost || st.UnderWay < 0 || st.Kept < 0 || st.KeptOctets < 0 {
			t.Fatalf("%+v", st)
		}
	})
}

// TestCutElements: elements cut at every octet.
func TestCutElements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range bothModes {
			c, _ := spy(t, Config{Mode: mode})
			for i := range 3 {
				if err := c.WriteBlock(context.Background(), fill(i, 10)); err != nil {
					t.Fatal(err)
				}
			}
			body := appendAck(nil, mode, 0, []span{{2, 2}})
			good := 0
			for n := range body {
				_, ok := parseAck(mode, body[:n], nil)
				if ok {
					good++
				}
				c.Take(made(nameAck, typeAck, body[:n]))
				c.Take(made(nameWin, "", make([]byte, n)))
			}
			// Mode Java takes what is whole, as JXSE does.
			if mode == Java && good != 4 || mode == Juxta && good != 1 {
				t.Errorf("%v: %d prefixes are good", mode, good)
			}
			if st := c.Stats(); st.Kept != 3 {
				t.Errorf("%v: %+v", mode, st)
			}
		}
	})
}
