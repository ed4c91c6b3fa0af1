package socket_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/socket"
	"github.com/juxta-p2p/juxta/protocols/socket/reliable"
)

// javaEnd plays a Java peer on bare pipes: Java's mode of the reliability layer,
// and none of Juxta's elements.
type javaEnd struct {
	in  *pipe.Input
	out *pipe.Output
	rel *reliable.Conn
}

func (j *javaEnd) send(t *testing.T, m *message.Message) {
	t.Helper()
	b, err := m.MarshalBinary()
	if err == nil {
		err = j.rel.WriteBlock(bidiContext(t), b)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (j *javaEnd) receive(t *testing.T) *message.Message {
	t.Helper()
	b, err := j.rel.ReadBlock(bidiContext(t))
	if err != nil {
		t.Fatal(err)
	}
	m, err := message.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (j *javaEnd) bind(t *testing.T, n *bidiNode, doc, peer string, m pipe.Message) {
	t.Helper()
	e, ok := m.Get("JXTABIP", doc)
	var adv advertisements.Pipe
	if err := xmldoc.Unmarshal(e.Body, &adv); err != nil || !ok {
		t.Fatalf("%s: %v", doc, err)
	}
	var other advertisements.Peer
	e, _ = m.Get("JXTABIP", peer)
	if err := xmldoc.Unmarshal(e.Body, &other); err != nil {
		t.Fatal(err)
	}
	var err error
	if j.out, err = n.pipes.Bind(&adv, other.ID); err != nil {
		t.Fatal(err)
	}
	j.rel = reliable.New(reliable.Config{Mode: reliable.Java, Send: j.out.Send, Window: 50})
	t.Cleanup(func() { j.rel.Abort(net.ErrClosed); j.out.Close(); j.in.Close() })
}

func xmlText(t *testing.T, adv advertisements.Advertisement) []byte {
	t.Helper()
	b, err := advertisements.Marshal(adv)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// javaInput is the pipe on which a Java peer receives: first the handshake, then
// blocks.
func (j *javaEnd) listen(t *testing.T, n *bidiNode, adv *advertisements.Pipe, first chan<- pipe.Message) {
	t.Helper()
	var once sync.Once
	var err error
	j.in, err = n.pipes.ListenWith(t.Context(), adv, pipe.ListenConfig{Quiet: true, Handle: func(m pipe.Message) {
		taken := false
		once.Do(func() { taken = true; first <- m })
		if !taken {
			j.rel.Take(m.Message)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// TestBidiJavaDials: the request of a Java peer, its blocks, and its goodbye.
func TestBidiJavaDials(t *testing.T) {
	a, b := bidiPair(t)
	ctx := bidiContext(t)
	adv := bidiAdv(t, advertisements.Unicast)
	l, err := a.sockets.ListenBidi(ctx, adv)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	var j javaEnd
	first := make(chan pipe.Message, 1)
	mine := advertisements.NewPipe(id.NetGroup, adv.Name, adv.Type)
	j.listen(t, b, mine, first)
	server, err := b.pipes.Dial(ctx, adv)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	err = server.Send(ctx, message.New(
		message.XML("JXTABIP", "reqPipe", xmlText(t, mine)), message.Text("JXTABIP", "reliable", "true"),
		message.Text("JXTABIP", "direct", "true"), message.XML("JXTABIP", "remPeer", xmlText(t, b.adv))))
	if err != nil {
		t.Fatal(err)
	}
	answer := <-first
	if answer.Text("JXTABIP", "direct") != "false" || answer.Text("JXTABIP", "juxta") != "" {
		t.Errorf("the answer has direct %q, juxta %q", answer.Text("JXTABIP", "direct"), answer.Text("JXTABIP", "juxta"))
	}
	j.bind(t, b, "remPipe", "remPeer", answer)
	p, err := l.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	talkJava(t, &j, p)
	if err := p.CloseWrite(ctx); !errors.Is(err, reliable.ErrNoHalf) {
		t.Errorf("CloseWrite towards Java: %v", err)
	}

	// A block that is no message, and the goodbye.
	if err := j.rel.WriteBlock(ctx, []byte("no message")); err != nil {
		t.Fatal(err)
	}
	j.send(t, message.New(message.Text("JXTABIP", "close", "close")))
	if _, err := p.Receive(ctx); err != io.EOF {
		t.Errorf("after Java's goodbye: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := j.rel.Flush(ctx); err != nil {
		t.Errorf("Java waits for the acknowledgement of its goodbye: %v", err)
	}
	if st := p.Stats(); st.DroppedMalformed != 1 {
		t.Errorf("stats %+v", st)
	}
}

func talkJava(t *testing.T, j *javaEnd, p *socket.BidiPipe) {
	t.Helper()
	ctx := bidiContext(t)
	for n := range 200 {
		if err := p.Send(ctx, note(fmt.Sprint("to java ", n))); err != nil {
			t.Fatal(err)
		}
		if got := j.receive(t).Text("app", "text"); got != fmt.Sprint("to java ", n) {
			t.Fatalf("message %d to Java is %q", n, got)
		}
		j.send(t, note(fmt.Sprint("from java ", n)))
		if m, err := p.Receive(ctx); err != nil || m.Text("app", "text") != fmt.Sprint("from java ", n) {
			t.Fatalf("message %d of Java: %v, %v", n, m, err)
		}
	}
}

// TestBidiJavaListens: the same, dialled by Juxta. Closing sends the goodbye as a
// block.
func TestBidiJavaListens(t *testing.T) {
	a, b := bidiPair(t)
	ctx := bidiContext(t)
	adv := bidiAdv(t, advertisements.Unicast)
	server, err := b.pipes.Listen(ctx, adv)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	var j javaEnd
	var wg sync.WaitGroup
	wg.Go(func() {
		m, err := server.Receive(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		if m.Text("JXTABIP", "direct") != "false" || m.Text("JXTABIP", "reliable") != "true" {
			t.Errorf("the request has direct %q, reliable %q", m.Text("JXTABIP", "direct"), m.Text("JXTABIP", "reliable"))
		}
		mine := advertisements.NewPipe(id.NetGroup, adv.Name, adv.Type)
		j.in, err = b.pipes.ListenWith(ctx, mine, pipe.ListenConfig{Quiet: true, Handle: func(m pipe.Message) { j.rel.Take(m.Message) }})
		if err != nil {
			t.Error(err)
			return
		}
		j.bind(t, b, "reqPipe", "remPeer", m)
		err = j.out.Send(ctx, message.New(message.Text("JXTABIP", "direct", "true"),
			message.XML("JXTABIP", "remPipe", xmlText(t, mine)), message.XML("JXTABIP", "remPeer", xmlText(t, b.adv))))
		if err != nil {
			t.Error(err)
		}
	})
	p, err := a.sockets.DialBidi(ctx, adv)
	if err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	talkJava(t, &j, p)
	done := make(chan error, 1)
	go func() { done <- p.Close() }()
	if got := j.receive(t).Text("JXTABIP", "close"); got != "close" {
		t.Errorf("the goodbye is %q", got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
