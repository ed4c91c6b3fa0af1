package http

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func newTestConn() *conn { return newConn(&net.TCPAddr{}, &net.TCPAddr{}) }

// octets are n of them, different at each place of a stream.
func octets(at, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte((at + i) * 131 >> 3)
	}
	return b
}

// flat is the octets of a part.
func flat(p part) []byte {
	b := []byte{}
	for _, x := range p.body {
		b = append(b, x...)
	}
	return b
}

// TestTook: what comes may come again, whole or in part, and no octet is doubled or
// left out.
func TestTook(t *testing.T) {
	c := newTestConn()
	now := time.Now()
	for _, x := range []struct {
		at, n int
		upTo  int64
		err   error
	}{
		{0, 10, 10, nil},
		{0, 10, 10, nil}, // the answer got lost
		{10, 0, 10, nil}, // nothing new
		{5, 10, 15, nil}, // half of it is known
		{16, 4, 15, errGap},
		{3, 4, 15, nil}, // an old one that was under way for long
		{15, 5, 20, nil},
		{0, 25, 25, nil},
	} {
		upTo, err := c.took(int64(x.at), octets(x.at, x.n), now)
		if upTo != x.upTo || !errors.Is(err, x.err) {
			t.Errorf("%d octets for %d: up to %d, %v; want %d, %v", x.n, x.at, upTo, err, x.upTo, x.err)
		}
	}
	got := make([]byte, 100)
	n, err := c.Read(got)
	if err != nil || !bytes.Equal(got[:n], octets(0, 25)) {
		t.Errorf("read % x, %v", got[:n], err)
	}
}

// TestConfirmed: what is not confirmed is sent again, what is confirmed is not.
func TestConfirmed(t *testing.T) {
	c := newTestConn()
	_, _ = c.Write(octets(0, 100))
	for _, x := range []struct {
		confirmed int64
		at, n     int
		err       error
	}{
		{0, 0, 100, nil},
		{30, 30, 70, nil},
		{30, 30, 70, nil},
		{10, 30, 70, nil}, // an old one
		{101, 30, 70, errGap},
		{99, 99, 1, nil},
		{100, 100, 0, nil},
	} {
		if err := c.confirmed(x.confirmed); !errors.Is(err, x.err) {
			t.Errorf("%d: %v", x.confirmed, err)
		}
		if p := c.next(t.Context(), time.Now(), 1000); p.at != int64(x.at) || !bytes.Equal(flat(p), octets(x.at, x.n)) || p.end {
			t.Errorf("after %d there are %d octets at %d, end %t", x.confirmed, p.size, p.at, p.end)
		}
	}
}

// TestPartStays: a part that was handed out stays as it is, while others write and
// confirm.
func TestPartStays(t *testing.T) {
	c := newTestConn()
	_, _ = c.Write(octets(0, 300))
	p := c.next(t.Context(), time.Now(), 200)
	_ = c.confirmed(250)
	_, _ = c.Write(octets(300, 5000))
	if !bytes.Equal(flat(p), octets(0, 200)) {
		t.Error("the octets are others now")
	}
}

// TestWindows: neither side takes more than the window, and both go on when there is
// room again.
func TestWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestConn()
		all := octets(0, tunnelWindow+100)
		_ = c.SetWriteDeadline(time.Now().Add(time.Minute))
		if n, err := c.Write(all); n != tunnelWindow || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d, %v", n, err)
		}
		_ = c.SetWriteDeadline(time.Time{})
		go func() {
			time.Sleep(time.Second)
			_ = c.confirmed(60)
			time.Sleep(time.Second)
			_ = c.confirmed(1000)
		}()
		began := time.Now()
		if n, err := c.Write(all[tunnelWindow:]); n != 100 || err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("wrote %d after %v, %v", n, time.Since(began), err)
		}

		upTo, err := c.took(0, all, time.Now().Add(5*time.Second))
		if upTo != tunnelWindow || err != nil {
			t.Errorf("took up to %d, %v", upTo, err)
		}
		go func() {
			time.Sleep(time.Second)
			_, _ = c.Read(make([]byte, 99))
			time.Sleep(time.Second)
			_, _ = c.Read(make([]byte, 99))
		}()
		began = time.Now()
		if upTo, err = c.took(0, all, time.Now().Add(5*time.Second)); upTo != tunnelWindow+100 || err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("took up to %d after %v, %v", upTo, time.Since(began), err)
		}
	})
}

// TestDeadlines: they end what waits, also those set meanwhile, and are lifted.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestConn()
		b := make([]byte, 10)
		began := time.Now()
		check := func(n int, err error, after time.Duration) {
			t.Helper()
			if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != after {
				t.Errorf("%d, %v after %v, want %v", n, err, time.Since(began), after)
			}
		}
		_ = c.SetDeadline(began.Add(time.Second))
		n, err := c.Read(b)
		check(n, err, time.Second)
		_ = c.SetReadDeadline(time.Time{})
		time.AfterFunc(time.Second, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
		n, err = c.Read(b)
		check(n, err, 2*time.Second)
		n, err = c.Write(b)
		check(n, err, 2*time.Second)
		_, _ = c.took(0, b, time.Now())
		n, err = c.Read(b)
		check(n, err, 2*time.Second) // as net.Conn has it, even if there is something
		_ = c.SetDeadline(time.Time{})
		if n, err = c.Read(b); n != len(b) || err != nil {
			t.Errorf("read %d, %v", n, err)
		}
	})
}

// TestNextWaits: for octets, as long as it may.
func TestNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestConn()
		began := time.Now()
		if p := c.next(t.Context(), began.Add(time.Second), 10); p.size != 0 || p.end || time.Since(began) != time.Second {
			t.Errorf("%d octets after %v", p.size, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if p := c.next(ctx, time.Time{}, 10); p.size != 0 || time.Since(began) != 2*time.Second {
			t.Errorf("%d octets after %v", p.size, time.Since(began))
		}
		time.AfterFunc(time.Second, func() { _, _ = c.Write(octets(0, 15)) })
		if p := c.next(t.Context(), time.Time{}, 10); !bytes.Equal(flat(p), octets(0, 10)) || time.Since(began) != 3*time.Second {
			t.Errorf("%d octets after %v", p.size, time.Since(began))
		}
		_ = c.confirmed(15)
		time.AfterFunc(time.Second, func() { _ = c.Close() })
		if p := c.next(t.Context(), time.Time{}, 10); p.size != 0 || !p.end {
			t.Errorf("%d octets, end %t", p.size, p.end)
		}
	})
}

// TestEnds: how a tunnel ends, seen from who reads and writes.
func TestEnds(t *testing.T) {
	b := make([]byte, 10)
	t.Run("closed here", func(t *testing.T) {
		c := newTestConn()
		_, _ = c.took(0, b, time.Now())
		_, _ = c.Write(b)
		closed := 0
		c.onClose = func() { closed++ }
		_, _ = c.Close(), c.Close()
		_, read := c.Read(b)
		_, write := c.Write(b)
		if closed != 1 || !errors.Is(read, net.ErrClosed) || !errors.Is(write, net.ErrClosed) {
			t.Errorf("closed %d times; %v, %v", closed, read, write)
		}
		if p := c.next(t.Context(), time.Now(), 4); p.size != 4 || p.end {
			t.Error("what was written is not sent")
		}
		if p := c.next(t.Context(), time.Now(), 10); p.size != 10 || !p.end {
			t.Error("the end is not sent")
		}
		if upTo, err := c.took(10, make([]byte, 2*tunnelWindow), time.Now()); upTo != 10+2*tunnelWindow || err != nil {
			t.Errorf("what nobody reads is not taken: %d, %v", upTo, err)
		}
	})
	t.Run("closed there", func(t *testing.T) {
		c := newTestConn()
		_, _ = c.took(0, b, time.Now())
		c.ends(9) // which is not all
		c.ends(10)
		if n, err := c.Read(b); n != 10 || err != nil {
			t.Errorf("read %d, %v", n, err)
		}
		if n, err := c.Read(b); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("read %d, %v", n, err)
		}
		if _, err := c.Write(b); !errors.Is(err, errEnded) {
			t.Errorf("write: %v", err)
		}
	})
	t.Run("end before all is here", func(t *testing.T) {
		c := newTestConn()
		c.ends(10)
		_ = c.SetReadDeadline(time.Unix(1, 0))
		if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
	})
	t.Run("dead", func(t *testing.T) {
		c := newTestConn()
		_, _ = c.took(0, b, time.Now())
		c.fail(errSilent)
		c.fail(errGap)
		if n, err := c.Read(b); n != 10 || err != nil {
			t.Errorf("read %d, %v", n, err)
		}
		_, read := c.Read(b)
		_, write := c.Write(b)
		if !errors.Is(read, errSilent) || !errors.Is(write, errSilent) || !errors.Is(c.dead(), errSilent) {
			t.Errorf("%v, %v, %v", read, write, c.dead())
		}
	})
}

// TestBuffer: writes, reads, drops and peeks of any sizes, against a plain slice.
func TestBuffer(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var f buffer
	var want []byte
	at := 0
	for range 3000 {
		n := rng.IntN(1 << rng.IntN(18))
		switch rng.IntN(4) {
		case 0:
			b := octets(at, n)
			at += n
			f.write(b)
			want = append(want, b...)
		case 1:
			b := make([]byte, n)
			got := f.read(b)
			if got != min(n, len(want)) || !bytes.Equal(b[:got], want[:got]) {
				t.Fatalf("read %d of %d", got, len(want))
			}
			want = want[got:]
		case 2:
			f.drop(n)
			want = want[min(n, len(want)):]
		case 3:
			if b := flat(part{body: f.peek(n)}); !bytes.Equal(b, want[:min(n, len(want))]) {
				t.Fatalf("peeked at %d of %d", len(b), len(want))
			}
		}
		if f.size != len(want) {
			t.Fatalf("size %d, want %d", f.size, len(want))
		}
	}
}

// FuzzTunnel carries octets between two ends over requests of which the input says
// which are lost, late, repeated or cut.
func FuzzTunnel(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	f.Add([]byte{200, 17, 66, 255, 128, 3, 9, 27, 81, 243, 5, 15, 45, 135})
	f.Add(bytes.Repeat([]byte{3, 6, 0xF1}, 50))
	f.Fuzz(func(t *testing.T, script []byte) {
		from, to := newTestConn(), newTestConn()
		now := time.Now()
		written, read := 0, 0
		var late []part
		take := func() {
			b := make([]byte, 700)
			_ = to.SetReadDeadline(time.Time{})
			if to.in.size == 0 {
				return
			}
			n, err := to.Read(b)
			if err != nil || !bytes.Equal(b[:n], octets(read, n)) {
				t.Fatalf("read %d at %d: %v", n, read, err)
			}
			read += n
		}
		bring := func(p part, cut int) int64 {
			b := flat(p)
			upTo, err := to.took(p.at, b[:min(cut, len(b))], now)
			if err != nil {
				t.Fatalf("octets for %d: %v", p.at, err)
			}
			return upTo
		}
		for _, op := range script {
			k := int(op >> 3)
			switch op & 7 {
			case 0, 1: // written
				n, err := from.Write(octets(written, min(1+k*97, tunnelWindow-from.out.size)))
				if err != nil {
					t.Fatal(err)
				}
				written += n
			case 2: // all went well
				if err := from.confirmed(bring(from.next(t.Context(), now, 1+k*50), tunnelChunk)); err != nil {
					t.Fatal(err)
				}
			case 3: // the answer got lost
				bring(from.next(t.Context(), now, 1+k*50), tunnelChunk)
			case 4: // the request broke off
				bring(from.next(t.Context(), now, 1+k*50), k)
			case 5: // the request is late
				late = append(late, from.next(t.Context(), now, 1+k*50))
			case 6: // and comes
				if len(late) > 0 {
					p := late[k%len(late)]
					if err := from.confirmed(bring(p, tunnelChunk)); err != nil {
						t.Fatal(err)
					}
				}
			case 7:
				take()
			}
		}
		for read < written || from.out.size > 0 {
			if err := from.confirmed(bring(from.next(t.Context(), now, tunnelChunk), tunnelChunk)); err != nil {
				t.Fatal(err)
			}
			take()
		}
		if from.out.size != 0 || read != written {
			t.Errorf("%d octets left, %d of %d read", from.out.size, read, written)
		}
	})
}
