package tcp

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// TestDiallerOnTheWire: octet by octet what a foreign acceptor sees: the welcome
// alone, then nothing for 100 ms from its own welcome, since JXSE 2.5 may read the
// first package together with the welcome and then wait for ever, then a package
// with header names in lower case.
func TestDiallerOnTheWire(t *testing.T) {
	h := listening(t)
	type seen struct {
		welcome, frame string
		pause          time.Duration
	}
	got := make(chan seen, 1)
	want := pack(1, 10)
	addr := acceptor(t, nil, func(r *raw) {
		b := make([]byte, 8192)
		n, err := r.Read(b) // it would bring along what is sent with the welcome
		if err != nil {
			return
		}
		s := seen{welcome: string(b[:n])}
		start := time.Now()
		r.write([]byte("JXTAHELLO tcp://127.0.0.1:1 tcp://127.0.0.1:2 " + them.String() + " 0 1.1\r\n"))
		n, _ = r.Read(b[:len(want)])
		s.frame, s.pause = string(b[:n]), time.Since(start)
		got <- s
	})
	l, err := h.t.Dial(short(t), addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Send(t.Context(), body(1, 10)); err != nil {
		t.Fatal(err)
	}
	s := next(t, got)
	if w := "JXTAHELLO " + addr.String() + "/juxta/1 " + h.addr().String() + " " + us.String() + " 0 1.1\r\n"; s.welcome != w {
		t.Errorf("the welcome is %q, want %q", s.welcome, w)
	}
	if s.pause < 100*time.Millisecond {
		t.Errorf("the first package comes %v after the acceptor's welcome, want 100 ms", s.pause)
	}
	head := "\x0ccontent-type\x00\x16application/x-jxta-msg\x0econtent-length\x00\x08"
	if s.frame != string(want) || !strings.HasPrefix(s.frame, head) {
		t.Errorf("the package is %q", s.frame)
	}
}

// TestPauseOnlyForForeignAcceptors: a Juxta acceptor marks its welcome.
func TestPauseOnlyForForeignAcceptors(t *testing.T) {
	eternal := func(cfg *Config) { cfg.times.Settle = time.Hour }
	h, other := listening(t, eternal), listening(t)
	h.t.times.connect = time.Hour
	l, err := h.t.Dial(short(t), other.addr())
	if err != nil {
		t.Fatalf("a Juxta acceptor was not known: %v", err)
	}
	_ = l.Close()
	l, err = h.t.Dial(short(t), acceptor(t, ours, (*raw).ended))
	if err != nil {
		t.Fatalf("the mark was not known: %v", err)
	}
	_ = l.Close()

	welcomed := make(chan struct{})
	addr := acceptor(t, plain, func(r *raw) {
		close(welcomed)
		r.ended()
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	go func() { <-welcomed; cancel(cause) }()
	if l, err := h.t.Dial(ctx, addr); l != nil || !errors.Is(err, cause) {
		t.Errorf("Dial of a foreign acceptor did not pause: %v, %v", l, err)
	}
}

// TestAcceptorOnTheWire: the welcome of an acceptor, which answers the dialler's.
func TestAcceptorOnTheWire(t *testing.T) {
	h := listening(t)
	r := connect(t, h)
	r.write(greeting(h))
	line, err := r.br.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	want := "JXTAHELLO tcp://" + r.LocalAddr().String() + "/juxta/1 " + h.addr().String() + " " + us.String() + " 0 1.1\r\n"
	if line != want {
		t.Errorf("the welcome is %q, want %q", line, want)
	}
	if !regexp.MustCompile(`^JXTAHELLO( \S+){5}\r\n$`).MatchString(line) {
		t.Error("it has not six tokens")
	}
	l := next(t, h.opened)
	if l.Peer() != them || l.Remote() != at("127.0.0.1:9702") || l.Outgoing() || l.Proven() || l.Origin() != "127.0.0.1" {
		t.Errorf("link %v %v %v %v %v", l.Peer(), l.Remote(), l.Outgoing(), l.Proven(), l.Origin())
	}
	if err := l.Send(t.Context(), body(1, 10)); err != nil {
		t.Fatal(err)
	}
	if got := r.frame(); !bytes.Equal(got, body(1, 10)) {
		t.Errorf("body %q", got)
	}
}

// TestRecordedWelcomes: the lines of JXSE make links. What a relay client asks
// for in its line can be seen.
func TestRecordedWelcomes(t *testing.T) {
	h := listening(t)
	for file, want := range map[string]struct{ remote, asked string }{
		"tcp-welcome-initiator.bin": {"tcp://127.0.0.1:9702", "tcp://127.0.0.1:9701"},
		"tcp-welcome-relay-client.bin": {"tcp://127.0.0.1:0", "tcp://127.0.0.1:9701/EndpointService:jxta-NetGroup/" +
			"uuid-DEADBEEFDEAFBABAFEEDBABE0000000F05/connect,3600000,keep,true"},
	} {
		r := connect(t, h)
		r.write(testdata(t, file))
		l := next(t, h.opened)
		if asked, ok := endpoint.Dialled(l); l.Remote().String() != want.remote || !ok || asked.String() != want.asked {
			t.Errorf("%s: remote %s, asked for %s", file, l.Remote(), asked)
		}
	}
	line := testdata(t, "tcp-welcome-acceptor.bin")
	l, err := h.t.Dial(short(t), acceptor(t, nil, func(r *raw) { r.write(line); r.ended() }))
	if err != nil {
		t.Fatal(err)
	}
	if want := "urn:jxta:uuid-59616261646162614E50472050325033A000000000004000800080000000000103"; l.Peer().String() != want {
		t.Errorf("peer %s", l.Peer())
	}
	if _, ok := endpoint.Dialled(l); ok {
		t.Error("a link that was not accepted has an address under which it was dialled")
	}
}

// TestClientOnly: port 0 says that nobody can dial this peer.
func TestClientOnly(t *testing.T) {
	h := newHost(t, New(Config{ClientOnly: true, Listen: []string{"127.0.0.1:0"}}))
	if all := h.t.Addresses(); len(all) != 0 || len(h.t.ListenPorts()) != 0 {
		t.Errorf("addresses %v, ports %v", all, h.t.ListenPorts())
	}
	line := make(chan string, 1)
	l, err := h.t.Dial(short(t), acceptor(t, ours, func(r *raw) {
		s, _ := r.br.ReadString('\n')
		line <- s
		r.ended()
	}))
	if err != nil {
		t.Fatal(err)
	}
	if s := next(t, line); strings.Split(s, " ")[2] != "tcp://127.0.0.1:0" || l.Local() != at("127.0.0.1:0") {
		t.Errorf("public address in %q, local %s", s, l.Local())
	}
}

// TestFirstPackageInTheSegmentOfTheWelcome is where JXSE 2.5 stalls.
func TestFirstPackageInTheSegmentOfTheWelcome(t *testing.T) {
	h := listening(t)
	r := connect(t, h)
	r.write(append(append(greeting(h), pack(1, 10)...), pack(2, 20)...))
	for _, want := range [][]byte{body(1, 10), body(2, 20)} {
		if got := next(t, h.bodies); !bytes.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	}
	// The same from an acceptor.
	l, err := h.t.Dial(short(t), acceptor(t, nil, func(r *raw) {
		r.write(append([]byte("JXTAHELLO tcp://h:1 tcp://h:2 "+them.String()+" 0 1.1\r\n"), pack(3, 30)...))
		r.ended()
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got := next(t, h.bodies); !bytes.Equal(got, body(3, 30)) {
		t.Errorf("got %q", got)
	}
	_ = l.Close()
}

// TestOctetByOctet: a stream has no segments.
func TestOctetByOctet(t *testing.T) {
	h := listening(t)
	r := connect(t, h)
	for _, c := range append(greeting(h), pack(1, 100)...) {
		r.write([]byte{c})
	}
	if got := next(t, h.bodies); !bytes.Equal(got, body(1, 100)) {
		t.Errorf("got %q", got)
	}
}

// TestRecordedPackages: what JXSE sends arrives unchanged, and packages after it too.
func TestRecordedPackages(t *testing.T) {
	h := listening(t)
	r := greet(t, h)
	files, err := filepath.Glob("testdata/tcp-package-*.bin")
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		b := testdata(t, filepath.Base(f))
		r.write(b)
		if got := next(t, h.bodies); !bytes.HasSuffix(b, got) || !bytes.HasPrefix(got, []byte("jxmg")) {
			t.Errorf("%s arrived as %q", f, got)
		}
	}
}

// TestForeignPackages: what JXSE 2.5 takes is taken. What makes it deaf closes
// the link here, or is taken, and never puts the stream out of step.
func TestForeignPackages(t *testing.T) {
	taken := map[string]bool{
		"syn-ok-minimal.bin": true, "syn-ok-flag-encoding.bin": true, "syn-ok-flag-unknown.bin": true,
		"syn-ok-header-order.bin": true, "syn-ok-type-params.bin": true,
		// The length is what keeps the stream in step, so a wrong one is an error.
		"syn-ok-short-length.bin": false,
		"syn-bad-header-case.bin": true, "syn-bad-type.bin": false, "syn-bad-version1.bin": false,
		"syn-bad-namespace.bin": false, "syn-bad-nested.bin": true,
		"syn-dead-empty.bin": true, "syn-dead-count0.bin": true, "syn-dead-trailing.bin": true,
		"syn-dead-header-name.bin": false, "syn-dead-header-block.bin": false,
	}
	files, err := filepath.Glob("testdata/syn-*.bin")
	if err != nil || len(files) != len(taken) {
		t.Fatal(files, err)
	}
	for _, f := range files {
		name := filepath.Base(f)
		t.Run(name, func(t *testing.T) {
			h := listening(t)
			r := greet(t, h)
			after := pack(7, 70)
			_, _ = r.Write(append(testdata(t, name), after...)) // it may be closed meanwhile
			if !taken[name] {
				r.ended()
				next(t, h.closed)
				if h.t.Stats().BadFrame != 1 {
					t.Errorf("stats %+v", h.t.Stats())
				}
				return
			}
			next(t, h.bodies)
			if got := next(t, h.bodies); !bytes.Equal(got, body(7, 70)) {
				t.Errorf("out of step: %q", got)
			}
		})
	}
}

// TestGroupOnTheWire: over TCP a service of the net group goes by the group's
// well-known name, one of the World group by its plain name, and each message
// carries both addresses.
func TestGroupOnTheWire(t *testing.T) {
	e, err := endpoint.New(endpoint.Config{Peer: us})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	tr := New(Config{Listen: []string{"127.0.0.1:0"}})
	if err := e.Add(tr); err != nil {
		t.Fatal(err)
	}
	bodies := make(chan []byte, 10)
	addr := acceptor(t, ours, func(r *raw) {
		r.welcome()
		for range 3 {
			bodies <- r.frame()
		}
		r.ended()
	})
	sub := id.GroupFromSeed(id.NetGroup, []byte("a group of its own"))
	for _, c := range []struct {
		group id.Group
		want  string
	}{
		{id.NetGroup, "/EndpointService:jxta-NetGroup/echo/a/b"},
		{sub, "/EndpointService:" + sub.Unique() + "/echo/a/b"},
		{id.WorldGroup, "/echo/a/b"},
	} {
		ctx := short(t)
		if err := e.Scope(c.group).SendTo(ctx, addr, "echo", "a/b", message.New(message.Text("", "x", "y"))); err != nil {
			t.Fatal(err)
		}
		m, err := message.Decode(next(t, bodies))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Text("jxta", "EndpointDestinationAddress"); got != addr.String()+c.want {
			t.Errorf("destination %q, want …%s", got, c.want)
		}
		if got := m.Text("jxta", "EndpointSourceAddress"); got != tr.Addresses()[0].String() {
			t.Errorf("source %q, want the public address", got)
		}
	}
	err = e.Scope(id.NetGroup).SendTo(short(t), addr, "echo", "", message.New())
	if !errors.Is(err, endpoint.ErrEmpty) {
		t.Errorf("sending a message without elements, which makes JXSE 2.5 deaf, returned %v", err)
	}
}
