package stream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/framing"
)

// reader makes a link that only reads, from r.
func reader(r io.Reader, maxMessage int) *link {
	l := &link{s: New(Config{MaxMessage: maxMessage}), in: &patient{}, closed: make(chan struct{})}
	l.box.start(bufio.NewReader(bytes.NewReader(nil)), r)
	return l
}

// TestSilentStranger: who says nothing is sent away after 10 s; JXSE would hold a
// thread for ever.
func TestSilentStranger(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		start := time.Now()
		pipe(t, h).endsAfter(start, 10*time.Second)
		if s := h.s.Stats(); s.BadWelcome != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

// TestSlowWelcome: octets that trickle in do not win more time.
func TestSlowWelcome(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		start := time.Now()
		r := pipe(t, h)
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, c := range []byte(strings.Repeat("JXTAHELLO", 50)) {
				time.Sleep(time.Second)
				if _, err := r.Write([]byte{c}); err != nil {
					return
				}
			}
		})
		r.endsAfter(start, 10*time.Second)
		wg.Wait()
	})
}

// TestHalfPackages: inside a package the other side must not be silent for 10 s.
func TestHalfPackages(t *testing.T) {
	long := "\x05other\x04\x00" + strings.Repeat("x", 1024)
	for name, part := range map[string][]byte{
		"one octet":            pack(1, 10)[:1],
		"header block":         pack(1, 10)[:30],
		"long header block":    append([]byte(long), long...),
		"header block alone":   pack(1, 10)[:framing.HeaderSize],
		"body":                 pack(1, 100)[:100],
		"body after a package": append(pack(1, 10), pack(2, 100)[:100]...),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *host) {
				r := greet(t, h)
				start := time.Now()
				r.write(part)
				r.endsAfter(start, 10*time.Second)
				next(t, h.closed)
				if h.s.Stats().BadFrame != 1 {
					t.Errorf("stats %+v", h.s.Stats())
				}
			})
		})
	}
}

// TestTricklingPackage: octets that trickle in win time as if 16 KiB came each
// second, and no more.
func TestTricklingPackage(t *testing.T) {
	for name, c := range map[string]struct {
		first, rest []byte
		every, want time.Duration
	}{
		"header": {nil, pack(1, 10), 200 * time.Millisecond, 10 * time.Second},
		"body": { // 5 s more for its size
			framing.AppendHeader(nil, 5*minRate), make([]byte, 5*minRate), 9 * time.Second, 15 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *host) {
				r := greet(t, h)
				start := time.Now()
				var wg sync.WaitGroup
				wg.Go(func() {
					_, _ = r.Write(c.first)
					for _, octet := range c.rest {
						if _, err := r.Write([]byte{octet}); err != nil {
							return
						}
						time.Sleep(c.every)
					}
				})
				r.endsAfter(start, c.want)
				wg.Wait()
			})
		})
	}
}

// TestPatienceBetweenPackages: a link may be silent for hours, also after a
// package that came in pieces.
func TestPatienceBetweenPackages(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host) {
		r := greet(t, h)
		for range 3 {
			p := pack(1, 50000)
			r.write(p[:20])
			time.Sleep(9 * time.Second)
			r.write(p[20:40000])
			r.write(p[40000:])
			next(t, h.bodies)
			time.Sleep(5 * time.Hour)
		}
		if len(h.closed) != 0 {
			t.Error("the link was closed")
		}
	})
}

// TestAnnouncedLength: a length within the limit takes memory only as the octets
// come.
func TestAnnouncedLength(t *testing.T) {
	const came = 100 << 10
	stream := append(framing.AppendHeader(nil, message.MaxSize), make([]byte, came)...)
	l := reader(bytes.NewReader(stream), message.MaxSize)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := l.readFrame()
	runtime.ReadMemStats(&after)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the error is %v", err)
	}
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(came+3*maxAhead); got > most {
		t.Errorf("%d octets were allocated for %d that came, want at most %d", got, came, most)
	}
}

// TestReaderInPieces reads packages from a stream that gives one octet at a time.
func TestReaderInPieces(t *testing.T) {
	var stream []byte
	for i := range 5 {
		stream = append(stream, pack(i, 300*i)...)
	}
	for _, wrap := range []func(*bytes.Reader) *link{
		func(r *bytes.Reader) *link { return reader(iotest.OneByteReader(r), message.MaxSize) },
		func(r *bytes.Reader) *link { return reader(iotest.HalfReader(r), message.MaxSize) },
		func(r *bytes.Reader) *link { return reader(iotest.DataErrReader(r), message.MaxSize) },
	} {
		l := wrap(bytes.NewReader(stream))
		for i := range 5 {
			if got, _, err := l.readFrame(); err != nil || !bytes.Equal(got, body(i, 300*i)) {
				t.Fatalf("package %d: %q, %v", i, got, err)
			}
		}
	}
}

// FuzzRead feeds a link with whatever a stranger may send after the welcome.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"tcp-package-rdv-connect.bin", "tcp-package-routed-hop1.bin", "syn-dead-trailing.bin",
		"syn-dead-header-block.bin", "syn-ok-header-order.bin"} {
		f.Add(testdata(f, name))
	}
	f.Add(pack(1, 10))
	f.Fuzz(func(t *testing.T, b []byte) {
		const most = 1 << 20
		l := reader(bytes.NewReader(b), most)
		for left := len(b); ; {
			body, _, err := l.readFrame()
			if err != nil {
				return
			}
			if left -= len(body) + 2; left < 0 {
				t.Fatal("more octets came out than went in")
			}
			_, _ = message.Decode(body)
		}
	})
}
