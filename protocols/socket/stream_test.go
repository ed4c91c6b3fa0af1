package socket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

// A stream brings everything in order, whatever the sizes of writes and reads.
func TestStream(t *testing.T) {
	const size = 5 << 20
	for _, over := range []string{"memory", "tcp"} {
		t.Run(over, func(t *testing.T) {
			a, b := pair(t, over)
			x, y := conns(t, a, b, "s", DialConfig{})
			defer x.Close()
			defer y.Close()
			want(t, "juxta", x.Juxta() && y.Juxta(), true)
			want(t, "reliable", x.Reliable() && y.Reliable(), true)
			want(t, "addresses", x.LocalAddr() == y.RemoteAddr() && y.LocalAddr() == x.RemoteAddr(), true)
			want(t, "peers", x.Peer() == a.id && y.Peer() == b.id, true)
			for name, write := range map[string]func() error{
				"copied": func() error { _, err := io.Copy(x, &pattern{end: size}); return err },
				"by parts": func() error {
					_, err := io.Copy(struct{ io.Writer }{x}, iotest.HalfReader(&pattern{end: size}))
					return err
				},
			} {
				var wg sync.WaitGroup
				wg.Go(func() {
					if err := write(); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				})
				got, wanted := sha256.New(), sha256.New()
				if _, err := io.CopyN(got, y, size); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				wg.Wait()
				_, _ = io.Copy(wanted, &pattern{end: size})
				want(t, name, got.Sum(nil), wanted.Sum(nil))
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				n, err := io.Copy(y, &pattern{end: size})
				if err == nil {
					err = y.CloseWrite()
				}
				want(t, "written", n, size)
				want(t, "error", err, nil)
			})
			sum := sha256.New()
			n, err := x.WriteTo(sum)
			want(t, "read", n, size)
			want(t, "error", err, nil)
			wanted := sha256.New()
			_, _ = io.Copy(wanted, &pattern{end: size})
			want(t, "hash", sum.Sum(nil), wanted.Sum(nil))
			wg.Wait()
		})
	}
}

// What is written is not read from the memory of the writer after Write.
func TestWriteKeepsNothing(t *testing.T) {
	a, b := pair(t, "memory")
	x, y := conns(t, a, b, "s", DialConfig{})
	defer x.Close()
	defer y.Close()
	buf := make([]byte, 3*maxBlock/2)
	for i := range 50 {
		for j := range buf {
			buf[j] = byte(i)
		}
		if _, err := x.Write(buf[:len(buf)-i*1000]); err != nil {
			t.Fatal(err)
		}
		clear(buf)
		got := []byte(read(t, y, len(buf)-i*1000))
		if n := bytes.Count(got, []byte{byte(i)}); n != len(got) {
			t.Fatalf("%d of %d octets", n, len(got))
		}
	}
}

// One side may end writing while the other goes on.
func TestHalfClose(t *testing.T) {
	a, b := pair(t, "memory")
	x, y := conns(t, a, b, "s", DialConfig{})
	defer y.Close()
	write(t, x, "question")
	if err := x.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(y)
	want(t, "read", string(all), "question")
	want(t, "error", err, nil)
	_, err = x.Write([]byte("more"))
	want(t, "writing after the end", errors.Is(err, net.ErrClosed), true)
	write(t, y, "answer")
	want(t, "read", read(t, x, 6), "answer")
	if err := y.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = x.Read(make([]byte, 1))
	want(t, "at the end", err, io.EOF)
	want(t, "close", x.Close(), nil)
	want(t, "close again", x.Close(), nil)
}

// What was written before Close is read, then the end; and who writes to a closed
// connection learns that nobody reads.
func TestCloseAfterWrite(t *testing.T) {
	for _, mode := range []string{"juxta", "java"} {
		t.Run(mode, func(t *testing.T) {
			a, b := pair(t, "memory")
			var x, y *Conn
			if mode == "java" {
				x, y = java(t, a, b, true)
			} else {
				x, y = conns(t, a, b, "s", DialConfig{})
			}
			const size = 100_000
			if _, err := io.Copy(x, &pattern{end: size}); err != nil {
				t.Fatal(err)
			}
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			_, err := x.Read(make([]byte, 1))
			want(t, "reading a closed one", errors.Is(err, net.ErrClosed), true)
			_, err = x.Write(make([]byte, 1))
			want(t, "writing to a closed one", errors.Is(err, net.ErrClosed), true)
			want(t, "deadline of a closed one", errors.Is(x.SetDeadline(time.Now()), net.ErrClosed), true)
			all, err := io.ReadAll(y)
			want(t, "error", err, nil)
			expected, _ := io.ReadAll(&pattern{end: size})
			want(t, "equal", bytes.Equal(all, expected), true)
			for err = error(nil); err == nil; {
				_, err = y.Write(make([]byte, 1000))
			}
			want(t, "writing to nobody", errors.Is(err, ErrHungUp), true)
			var op *net.OpError
			want(t, "an error of package net", errors.As(err, &op) && op.Op == "write" && op.Net == "jxta", true)
			_ = y.Close()
			eventually(t, "forgotten", func() bool { return a.s.Stats().Open+b.s.Stats().Open == 0 })
		})
	}
}

// eventually waits until something is true, as long as a test may take.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 6000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("%s: in vain", what)
}

// A writer that waits for room is woken when the other side closes.
func TestCloseWakesWriter(t *testing.T) {
	a, b := pair(t, "memory")
	x, y := conns(t, a, b, "s", DialConfig{})
	defer x.Close()
	done := make(chan error)
	go func() {
		_, err := io.Copy(x, &pattern{end: 1 << 40})
		done <- err
	}()
	read(t, y, 100)
	if err := y.Close(); err != nil {
		t.Fatal(err)
	}
	want(t, "error", errors.Is(<-done, ErrHungUp), true)
}

// Java peers have no half-close, and are sent nothing behind the end: one of JXSE
// 2.5 would keep its link waiting for it.
func TestJavaEnd(t *testing.T) {
	var closed atomic.Bool
	var late atomic.Int32
	net := memory.New(memory.Config{Tap: func(from, _ string, body []byte) {
		m, err := message.Decode(body)
		if err != nil || from != "a" {
			return
		}
		switch {
		case m.Text(namespace, elemClose) == closeRequest:
			closed.Store(true)
		case closed.Load() && (len(spaceOf(m, reliableNamespace)) > 0 || len(spaceOf(m, namespace)) > 0):
			late.Add(1)
		}
	}})
	a := newNode(t, "a", nodeConfig{net: net})
	b := newNode(t, "b", nodeConfig{net: net, near: []*node{a}})
	x, y := java(t, a, b, true)
	write(t, y, "not read")
	write(t, x, "last words")
	want(t, "half-close", errors.Is(x.CloseWrite(), errors.ErrUnsupported), true)
	_, err := x.Write([]byte("more"))
	want(t, "write after it", err != nil, true)
	_ = x.Close()
	all, err := io.ReadAll(y)
	want(t, "read", string(all), "last words")
	want(t, "error", err, nil)
	_ = y.Close()
	eventually(t, "forgotten", func() bool { return a.s.Stats().Open+b.s.Stats().Open == 0 })
	want(t, "messages behind the end", late.Load(), 0)
}

func TestCloseRead(t *testing.T) {
	a, b := pair(t, "memory")
	x, y := conns(t, a, b, "s", DialConfig{})
	defer x.Close()
	defer y.Close()
	if err := y.CloseRead(); err != nil {
		t.Fatal(err)
	}
	_, err := y.Read(make([]byte, 1))
	want(t, "read", err, io.EOF)
	// More than any window: it is taken and thrown away.
	if _, err := io.Copy(x, &pattern{end: 16 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := x.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, y, "still")
	want(t, "read", read(t, x, 5), "still")
}

// Flush tells whether the other side has got everything.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: 20 * time.Millisecond})
		a := newNode(t, "a", nodeConfig{net: net})
		b := newNode(t, "b", nodeConfig{net: net, near: []*node{a}})
		x, y := conns(t, a, b, "s", DialConfig{})
		defer x.Close()
		defer y.Close()
		write(t, x, "some")
		start := time.Now()
		if err := x.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 40*time.Millisecond || took > 100*time.Millisecond {
			t.Errorf("took %v, a round trip takes 40 ms", took)
		}
		write(t, x, "more")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		want(t, "too early", errors.Is(x.Flush(ctx), context.DeadlineExceeded), true)
	})
}

// Deadlines pass when they should, for both directions by themselves.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{})
		a := newNode(t, "a", nodeConfig{net: network})
		b := newNode(t, "b", nodeConfig{net: network, near: []*node{a}})
		x, y := conns(t, a, b, "s", DialConfig{})
		defer x.Close()
		defer y.Close()
		start := time.Now()
		_ = x.SetReadDeadline(start.Add(3 * time.Second))
		_, err := x.Read(make([]byte, 1))
		want(t, "error", errors.Is(err, os.ErrDeadlineExceeded), true)
		var ne net.Error
		want(t, "timeout", errors.As(err, &ne) && ne.Timeout(), true)
		want(t, "took", time.Since(start), 3*time.Second)
		write(t, x, "writing goes on")
		_ = x.SetReadDeadline(time.Time{})
		write(t, y, "reading too")
		want(t, "read", read(t, x, 11), "reading too")
		// A deadline that is moved while somebody waits.
		done := make(chan time.Duration)
		start = time.Now()
		_ = x.SetReadDeadline(start.Add(time.Second))
		go func() {
			_, _ = x.Read(make([]byte, 1))
			done <- time.Since(start)
		}()
		synctest.Wait()
		_ = x.SetReadDeadline(start.Add(5 * time.Second))
		want(t, "moved", <-done, 5*time.Second)
		_ = x.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := io.Copy(x, &pattern{end: 1 << 30})
		want(t, "write error", errors.Is(err, os.ErrDeadlineExceeded), true)
		want(t, "something was written", n > 0, true)
		_ = x.SetWriteDeadline(time.Time{})
		got, err := io.CopyN(io.Discard, y, n)
		want(t, "all of it is read", got == n && err == nil, true)
	})
}
