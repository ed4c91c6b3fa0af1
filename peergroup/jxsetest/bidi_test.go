package jxsetest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/jxsetest"
	"github.com/juxta-p2p/juxta/protocols/socket"
)

// bidiOctets is about how much goes through a bidirectional pipe in each
// direction.
const bidiOctets = 50_000_000

// bidiSizes are the sizes of messages for which Java itself holds.
var bidiSizes = []int{200, 2 << 10, 16 << 10}

// bidiEnds opens a bidirectional pipe in each direction between a Juxta and a Java
// peer. giveUp is how long they bear silence, 0 as long as JXSE does.
func bidiEnds(t *testing.T, g *peergroup.Peer, j *javaPeer, unreliable bool, giveUp time.Duration) (dialled, accepted *socket.BidiPipe, served, dialling *javaStream) {
	t.Helper()
	ctx := within(t, soon)
	adv := streamAdv(t)
	server := serveJava(t, j, "biserve", adv, "echo=false")
	dialled, err := g.Net().Sockets().DialBidiWith(ctx, adv, socket.BidiConfig{Unreliable: unreliable, GiveUp: giveUp})
	if err != nil {
		t.Fatal(err)
	}
	served = server.accept()

	adv = advertisements.NewPipe(id.NetGroup, t.Name()+" back", advertisements.Unicast)
	l, err := g.Net().Sockets().ListenBidiWith(ctx, adv, socket.BidiListenConfig{GiveUp: giveUp})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	dialling = dialJava(t, j, "bidial", adv, fmt.Sprintf("reliable=%v", !unreliable))
	if accepted, err = l.Accept(ctx); err != nil {
		t.Fatal(err)
	}
	if accepted.Peer() != j.id || dialled.Peer() != j.id || accepted.Reliable() == unreliable {
		t.Errorf("the other ends are %v and %v, reliable %v", accepted.Peer(), dialled.Peer(), accepted.Reliable())
	}
	return dialled, accepted, served, dialling
}

// bidiToJava sends numbered messages to a Java peer. Its threads hand them to the
// listener slightly out of order, though each once.
func bidiToJava(t *testing.T, p *socket.BidiPipe, j *javaStream, count, size int) {
	t.Helper()
	j.do("pipereset")
	ctx := within(t, streamWait)
	begin := time.Now()
	for n := 1; n <= count; n++ {
		if err := p.Send(ctx, withBody(n, size)); err != nil {
			t.Fatalf("message %d of %d octets to Java: %v", n, size, err)
		}
	}
	j.do("waitpipe", fmt.Sprintf("count=%d", count), "timeout=20000")
	d := time.Since(begin)
	r := j.do("pipestat")
	t.Logf("to Java %d messages of %d octets in %v, %s, %.0f a second; %d handed over out of order",
		count, size, d.Round(time.Millisecond), speed(int64(count*size), d), float64(count)/d.Seconds(), r.Int("outoforder"))
	if r.Int("count") != count || r.Int("distinct") != count || r.Int("badbody") != 0 {
		t.Errorf("Java got %v", r)
	}
}

// bidiFromJava has a Java peer send numbered messages: each must come once, and in
// order.
func bidiFromJava(t *testing.T, p *socket.BidiPipe, j *javaStream, count, size int, args ...string) {
	t.Helper()
	ctx := within(t, streamWait)
	begin := time.Now()
	sent := j.start("send", append([]string{fmt.Sprintf("count=%d", count), fmt.Sprintf("size=%d", size)}, args...)...)
	for n := 1; n <= count; n++ {
		m, err := p.Receive(ctx)
		if err != nil {
			t.Fatalf("message %d of %d octets from Java: %v", n, size, err)
		}
		want := withBody(n, size)
		body, _ := m.Get("juxta", "body")
		expected, _ := want.Get("juxta", "body")
		if m.Text("juxta", "n") != want.Text("juxta", "n") || string(body.Body) != string(expected.Body) {
			t.Fatalf("message %d of %d octets from Java is number %q with %d octets", n, size, m.Text("juxta", "n"), len(body.Body))
		}
	}
	d := time.Since(begin)
	if _, err := sent(); err != nil {
		t.Fatal(err)
	}
	t.Logf("from Java %d messages of %d octets in %v, %s, %.0f a second",
		count, size, d.Round(time.Millisecond), speed(int64(count*size), d), float64(count)/d.Seconds())
}

// TestSocketBidi: reliable bidirectional pipes between Juxta and Java, opened by
// either, carry messages of several sizes both ways, each once; Juxta sees them in
// order.
func TestSocketBidi(t *testing.T) {
	t.Parallel()
	j := startJava(t, "j", "rendezvous")
	g := startGo(t, peergroup.Config{Name: "g"}, j.addr)
	connected(t, g)
	dialled, accepted, served, dialling := bidiEnds(t, g, j, false, 0)
	for _, size := range bidiSizes {
		count := min(bidiOctets/size, 20_000)
		bidiToJava(t, dialled, served, count, size)
		bidiFromJava(t, dialled, served, count, size)
	}
	const few = 2000
	bidiToJava(t, accepted, dialling, few, bidiSizes[1])
	bidiFromJava(t, accepted, dialling, few, bidiSizes[1])

	// Juxta closes.
	ctx := within(t, soon)
	if err := dialled.Send(ctx, withBody(1, 10)); err != nil {
		t.Fatal(err)
	}
	served.do("pipereset")
	begin := time.Now()
	if err := dialled.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
	t.Logf("Juxta closed within %v", time.Since(begin).Round(time.Millisecond))
	j.Await("bidiclosed", soon, func(r jxsetest.Record) bool { return "pipe="+r.Text("pipe") == served.pipe })

	// Java closes.
	shut := dialling.start("close")
	if _, err := accepted.Receive(ctx); err != io.EOF {
		t.Errorf("behind Java's close: %v", err)
	}
	if _, err := shut(); err != nil {
		t.Errorf("Java's close: %v", err)
	}
	if err := accepted.Send(ctx, withBody(1, 10)); !errors.Is(err, socket.ErrHungUp) {
		t.Errorf("sending to a closed Java pipe: %v", err)
	}
	_ = accepted.Close()
}

// TestSocketBidiUnreliable: without the reliability layer Java loses nothing over
// a healthy link if it is not hurried.
func TestSocketBidiUnreliable(t *testing.T) {
	t.Parallel()
	j := startJava(t, "j", "rendezvous")
	g := startGo(t, peergroup.Config{Name: "g"}, j.addr)
	connected(t, g)
	dialled, accepted, served, dialling := bidiEnds(t, g, j, true, 0)
	const few = 2000
	bidiToJava(t, dialled, served, few, bidiSizes[0])
	bidiFromJava(t, dialled, served, few, bidiSizes[0], "rate=2000")
	bidiToJava(t, accepted, dialling, few, bidiSizes[0])
	bidiFromJava(t, accepted, dialling, few, bidiSizes[0], "rate=2000")
	if err := dialled.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
	j.Await("bidiclosed", soon, func(r jxsetest.Record) bool { return "pipe="+r.Text("pipe") == served.pipe })
	shut := dialling.start("close")
	if _, err := accepted.Receive(within(t, soon)); err != io.EOF {
		t.Errorf("behind Java's close: %v", err)
	}
	if _, err := shut(); err != nil {
		t.Errorf("Java's close: %v", err)
	}
	_ = accepted.Close()
}

// TestSocketBidiCredential: credentials cross in both directions and decide.
func TestSocketBidiCredential(t *testing.T) {
	t.Parallel()
	j := startJava(t, "j", "rendezvous")
	g := startGo(t, peergroup.Config{Name: "g"}, j.addr)
	connected(t, g)
	adv := streamAdv(t)
	ctx := within(t, soon)
	l, err := g.Net().Sockets().ListenBidiWith(ctx, adv, socket.BidiListenConfig{
		Credential: nobody(g), Check: func(_ context.Context, r socket.BidiRequest) error {
			if r.Credential.IsZero() {
				return errors.New("show something")
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if _, err := j.Call(ctx, "bidial", "xml="+compact(t, adv), "timeout=3000"); err == nil {
		t.Error("Java got a pipe without a credential")
	}
	badge, err := nobody(g).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	java := dialJava(t, j, "bidial", adv, "cred="+string(badge))
	p, err := l.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Credential().Equal(nobody(g)) {
		t.Errorf("Java showed %v", p.Credential())
	}
	bidiToJava(t, p, java, 10, 100)
	_ = p.Close()

	back := advertisements.NewPipe(id.NetGroup, t.Name()+" back", advertisements.Unicast)
	server := serveJava(t, j, "biserve", back, "echo=false")
	d, err := g.Net().Sockets().DialBidiWith(ctx, back, socket.BidiConfig{Credential: nobody(g), Peer: j.id})
	if err != nil {
		t.Fatal(err)
	}
	if s := server.accept(); s.info.Text("cred") == "" {
		t.Errorf("Java saw no credential: %v", s.info)
	}
	_ = d.Close()
}

// TestSocketBidiDies: a Java peer that is killed breaks bidirectional pipes within
// a bound, for who sends and for who only receives.
func TestSocketBidiDies(t *testing.T) {
	t.Parallel()
	const giveUp = 5 * time.Second
	j := startJava(t, "j", "rendezvous")
	g := startGo(t, peergroup.Config{Name: "g"}, j.addr)
	connected(t, g)
	sender, receiver, _, _ := bidiEnds(t, g, j, false, giveUp)
	j.Kill()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), giveUp+soon)
	defer cancel()
	got := make(chan error, 1)
	go func() {
		_, err := receiver.Receive(ctx)
		t.Logf("the receiver after %v: %v", time.Since(begin).Round(time.Millisecond), err)
		got <- err
	}()
	var err error
	for err == nil {
		err = sender.Send(ctx, withBody(1, 1000))
	}
	t.Logf("the sender after %v: %v", time.Since(begin).Round(time.Millisecond), err)
	for _, err := range []error{err, <-got} {
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil || err == io.EOF || err == nil {
			t.Errorf("not told: %v", err)
		}
	}
	_ = sender.Close()
	_ = receiver.Close()
}
