package remote

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// place is a host with what it told.
type place struct {
	*Host
	t *testing.T

	mu     sync.Mutex
	events []string
}

func (p *place) heard() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.events, "\n")
}

func newPlace(t *testing.T) *place {
	p := &place{t: t}
	word := func(name string, run func(ctx context.Context, c *interp.Call) error) *interp.Command {
		return &interp.Command{Name: name, MaxArgs: -1, Run: run}
	}
	all := []*interp.Command{
		word("echo", func(_ context.Context, c *interp.Call) error { c.Print(c.Text(0) + "\n"); return nil }),
		word("wait", func(ctx context.Context, _ *interp.Call) error { <-ctx.Done(); return context.Cause(ctx) }),
		word("fail", func(context.Context, *interp.Call) error { return interp.NotFoundf("nothing there") }),
		word("panic", func(context.Context, *interp.Call) error { panic("at the disco") }),
		word("exit", func(_ context.Context, c *interp.Call) error { c.Session.Exit(-1); return nil }),
		word("flood", func(ctx context.Context, c *interp.Call) error {
			for ctx.Err() == nil {
				c.Print(strings.Repeat("x", 1<<16) + "\n")
			}
			return context.Cause(ctx)
		}),
	}
	p.Host = NewHost(HostConfig{Welcome: "welcome",
		Session: func(cfg interp.Config) (*interp.Session, func() string, error) {
			cfg.Commands = all
			return interp.New(cfg), func() string { return "> " }, nil
		},
		Event: func(e Event) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.events = append(p.events, fmt.Sprintf("%s %s", e.Kind, e.Text))
		}})
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func peer(name string) id.Peer { return id.PeerFromSeed(id.NetGroup, []byte(strings.Repeat(name, 16))) }

// visitor is who may come.
func visitor(name string) Visitor { return Visitor{Peer: peer(name), May: func() error { return nil }} }

// dial connects a visitor; the host serves the other end.
func (p *place) dial(who Visitor) net.Conn {
	here, there := net.Pipe()
	go p.Serve(there, who) // Close of the host waits for it
	return here
}

func (p *place) open(who Visitor) *Client {
	p.t.Helper()
	c, err := Open(p.t.Context(), p.dial(who), View{})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	return c
}

// typed types a line that must get a status.
func typed(t *testing.T, c *Client, line string, status int) string {
	t.Helper()
	var out bytes.Buffer
	got, _, err := c.Run(t.Context(), line, &out, &out)
	if err != nil || got != status {
		t.Fatalf("%.40q: status %d, want %d, %v\n%.200s", line, got, status, err, out.String())
	}
	return out.String()
}

func refused(t *testing.T, err error, words string) {
	t.Helper()
	var r *RefusedError
	if !errors.As(err, &r) || !strings.Contains(r.Text, words) {
		t.Errorf("%v, want a refusal with %q", err, words)
	}
}

func TestSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		c := p.open(visitor("a"))
		if c.Welcome() != "welcome" || c.Prompt() != "> " || c.Err() != nil {
			t.Errorf("%q %q %v", c.Welcome(), c.Prompt(), c.Err())
		}
		if out := typed(t, c, "echo hello | echo you", 0); out != "you\n" {
			t.Errorf("%q", out)
		}
		if out := typed(t, c, "fail", interp.StatusNotFound); !strings.Contains(out, "nothing there") {
			t.Errorf("%q", out)
		}
		if out := typed(t, c, "panic", interp.StatusFailed); strings.Contains(out, "goroutine") {
			t.Errorf("the stack is shown to strangers:\n%s", out)
		}
		if out := typed(t, c, "echo a > b", interp.StatusDenied); !strings.Contains(out, "no files") {
			t.Errorf("%q", out)
		}
		if all := p.Sessions(); len(all) != 1 || all[0].Lines != 4 || all[0].Last != "echo a > b" {
			t.Errorf("%+v", all)
		}
		_, over, err := c.Run(t.Context(), "exit", io.Discard, io.Discard)
		if err != nil || !over {
			t.Errorf("%t, %v", over, err)
		}
		synctest.Wait()
		if h := p.heard(); !strings.HasPrefix(h, "came \ntyped echo hello") || !strings.HasSuffix(h, "left exit") {
			t.Error(h)
		}
		if s := p.Stats(); s.Sessions != 0 || s.Served != 1 || s.Lines != 5 {
			t.Errorf("%+v", s)
		}
	})
}

// TestRefusals: strangers, and too many, are told so.
func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		_, err := Open(t.Context(), p.dial(Visitor{Peer: peer("e"), May: func() error { return errors.New("not for you") }}), View{})
		refused(t, err, "not for you")
		for n := range MaxPeerSessions {
			typed(t, p.open(visitor("a")), fmt.Sprint("echo ", n), 0)
		}
		_, err = Open(t.Context(), p.dial(visitor("a")), View{})
		refused(t, err, "your peer has 2 sessions")
		for n := range MaxSessions - MaxPeerSessions {
			p.open(visitor(fmt.Sprint(n)))
		}
		_, err = Open(t.Context(), p.dial(visitor("z")), View{})
		refused(t, err, "there are 8 sessions")
		if s := p.Stats(); s.Refused != 3 || s.Sessions != MaxSessions {
			t.Errorf("%+v", s)
		}
	})
}

// TestNotAnyMore: who may not come any more is out with the next line.
func TestNotAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		may := error(nil)
		c := p.open(Visitor{Peer: peer("a"), May: func() error { return may }})
		typed(t, c, "echo a", 0)
		may = errors.New("revoked")
		_, _, err := c.Run(t.Context(), "echo b", io.Discard, io.Discard)
		refused(t, err, "revoked")
		if strings.Contains(p.heard(), "echo b") {
			t.Error("the line was run")
		}
	})
}

// TestUnheard: of many who are refused and do not listen, few are waited for.
func TestUnheard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		no := Visitor{Peer: peer("e"), May: func() error { return errors.New("no") }}
		var all []net.Conn
		for range 3 * maxRefusals {
			all = append(all, p.dial(no))
		}
		synctest.Wait()
		if s := p.Stats(); s.Unheard != 2*maxRefusals || s.Refused != 3*maxRefusals {
			t.Errorf("%+v", s)
		}
		time.Sleep(2 * lastWithin)
		for _, c := range all {
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Error("still there")
			}
		}
	})
}

// TestLines: a line that is too long, that comes before its time, or no line at all.
func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		c := p.open(visitor("a"))
		if _, _, err := c.Run(t.Context(), strings.Repeat("x", MaxLine+1), io.Discard, io.Discard); !errors.Is(err, ErrLine) {
			t.Errorf("%v", err)
		}
		typed(t, c, "echo "+strings.Repeat("x", MaxLine-5), 0)
		for what, send := range map[string]func(w *wire) error{
			"octets at most": func(w *wire) error {
				_, err := w.conn.Write([]byte{'L', 0, 0, 0x10, 1})
				return err
			},
			"how the protocol goes": func(w *wire) error {
				return errors.Join(w.send(kindLine, []byte("wait")), w.send(kindLine, []byte("echo b")))
			},
			"protocol goes": func(w *wire) error { return w.send(kindStatus, nil) },
		} {
			w := newWire(p.dial(visitor("b")))
			if err := w.send(kindHello, []byte{version, 0, 0, 0}); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := w.read(time.Second); err != nil {
					t.Fatal(err)
				}
			}
			if err := send(w); err != nil {
				t.Fatal(err)
			}
			f, err := w.read(time.Second)
			if err != nil || f.kind != kindRefused || !strings.Contains(string(f.body), what) {
				t.Errorf("%q: %c %s, %v", what, f.kind, f.body, err)
			}
			_ = w.conn.Close()
			synctest.Wait()
		}
		w := newWire(p.dial(visitor("c")))
		if err := w.send(kindHello, []byte{version + 1, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
		if f, err := w.read(time.Second); err != nil || f.kind != kindRefused {
			t.Errorf("%c, %v", f.kind, err)
		}
		_ = w.conn.Close()
	})
}

// TestTimes: nobody stays for ever, and nothing runs for ever.
func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		c := p.open(visitor("a"))
		begun := time.Now()
		if out := typed(t, c, "wait", interp.StatusInterrupted); !strings.Contains(out, "2m0s at most") || time.Since(begun) != MaxRun {
			t.Errorf("after %v: %s", time.Since(begun), out)
		}
		begun = time.Now()
		<-c.Gone()
		refused(t, c.Err(), "nothing was typed")
		if took := time.Since(begun); took != MaxIdle {
			t.Errorf("after %v", took)
		}
		c, begun = p.open(visitor("a")), time.Now()
		for c.Err() == nil {
			if _, _, err := c.Run(t.Context(), "echo a", io.Discard, io.Discard); err != nil {
				t.Fatal(err)
			}
			select {
			case <-c.Gone():
			case <-time.After(MaxIdle - time.Second):
			}
		}
		refused(t, c.Err(), "1h0m0s at most")
		if took := time.Since(begun); took != MaxSession {
			t.Errorf("after %v", took)
		}
		silentOne := p.dial(visitor("b"))
		time.Sleep(greetWithin + time.Second)
		if len(p.Sessions()) != 0 {
			t.Error("who says nothing stays")
		}
		_ = silentOne.Close()
	})
}

// TestOutput: a line writes so much, and a session so much.
func TestOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		c := p.open(visitor("a"))
		total := 0
		for c.Err() == nil {
			var out, errs bytes.Buffer
			status, _, err := c.Run(t.Context(), "flood", &out, &errs)
			total += out.Len() + errs.Len()
			if err != nil {
				refused(t, err, "32 MiB at most")
				break
			}
			if status != interp.StatusInterrupted || out.Len() > MaxOutput || !strings.Contains(errs.String(), "1024 KiB at most") {
				t.Fatalf("status %d, %d octets, %s", status, out.Len(), errs.String())
			}
		}
		if total < MaxTotal || total > MaxTotal+(1<<16) {
			t.Errorf("%d octets", total)
		}
	})
}

// TestInterrupt: Ctrl-C ends what runs, and the session goes on.
func TestInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		c := p.open(visitor("a"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begun := time.Now()
		if _, _, err := c.Run(ctx, "wait", io.Discard, io.Discard); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		typed(t, c, "echo a", 0)
	})
}

// stopper is a connection whose other side may die without a word.
type stopper struct {
	net.Conn
	dead chan struct{}
}

func (s *stopper) Write(p []byte) (int, error) {
	select {
	case <-s.dead:
		return len(p), nil
	default:
		return s.Conn.Write(p)
	}
}

// TestDeath: either side notices within ten seconds that the other is gone.
func TestDeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		for _, line := range []string{"wait", ""} {
			here, there := net.Pipe()
			host := &stopper{there, make(chan struct{})}
			go p.Serve(host, visitor("a"))
			c, err := Open(t.Context(), here, View{})
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(5*time.Second, func() { close(host.dead) })
			begun := time.Now()
			if line != "" {
				_, _, err = c.Run(t.Context(), line, io.Discard, io.Discard)
			} else {
				<-c.Gone()
				err = c.Err()
			}
			if took := time.Since(begun) - 5*time.Second; !errors.Is(err, ErrGone) || took > 10*time.Second {
				t.Errorf("%q: %v after %v", line, err, took)
			}
			_ = c.Close()
		}
		here, there := net.Pipe()
		client := &stopper{here, make(chan struct{})}
		go p.Serve(there, visitor("b"))
		c, err := Open(t.Context(), client, View{})
		if err != nil {
			t.Fatal(err)
		}
		close(client.dead)
		time.Sleep(10 * time.Second)
		if len(p.Sessions()) != 0 {
			t.Error("the host does not notice")
		}
		_ = c.Close()
	})
}

// TestClose: the host tells its visitors that it ends, also one that reads nothing.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		c := p.open(visitor("a"))
		deaf := newWire(p.dial(visitor("b")))
		if err := deaf.send(kindHello, []byte{version, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := deaf.read(time.Second); err != nil {
				t.Fatal(err)
			}
		}
		if err := deaf.send(kindLine, []byte("flood")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		begun := time.Now()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > lastWithin {
			t.Errorf("Close took %v", took)
		}
		<-c.Gone()
		refused(t, c.Err(), "ended its remote shell")
		_ = deaf.conn.Close()
		late := p.dial(visitor("c"))
		if _, err := late.Read(make([]byte, 1)); err == nil {
			t.Error("a closed host serves")
		}
	})
}

// TestHostileHost: a client is not led astray by what a host sends.
func TestHostileHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := binary.BigEndian.AppendUint32(nil, 0)
		for what, frames := range map[string][]byte{
			"nothing":  nil,
			"rubbish":  bytes.Repeat([]byte{0xff}, 64),
			"no hello": append([]byte{'O', 0, 0, 0, 1}, 'x'),
			"short":    append([]byte{'S', 0, 0, 0, 4}, status...),
			"long":     {'W', 0xff, 0xff, 0xff, 0xff},
		} {
			here, there := net.Pipe()
			go func() {
				_, _ = io.ReadFull(there, make([]byte, headSize+helloSize))
				_, _ = there.Write(frames)
				_, _ = io.Copy(io.Discard, there)
				_ = there.Close()
			}()
			if c, err := Open(t.Context(), here, View{}); err == nil || !errors.Is(err, ErrGone) {
				t.Errorf("%s: %v, %v", what, c, err)
			}
		}
	})
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte{'L', 0, 0, 0, 4, 'e', 'c', 'h', 'o'})
	f.Add([]byte{'H', 0, 0, 0, 4, 1, 1, 0, 80, 'I', 0, 0, 0, 0, 'P', 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		here, there := net.Pipe()
		go func() {
			_, _ = here.Write(b)
			_ = here.Close()
		}()
		w := newWire(there)
		for {
			fr, err := w.read(time.Second)
			if err != nil {
				break
			}
			if len(fr.body) > fr.kind.most() {
				t.Fatalf("%c with %d octets", fr.kind, len(fr.body))
			}
		}
		_ = there.Close()
	})
}
