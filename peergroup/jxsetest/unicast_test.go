package jxsetest_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/pipe"
)

// series is how many numbered messages go through a pipe in a row.
const series = 10_000

// bodySize is the size of the body that each of them has besides its number.
const bodySize = 200

// numbered makes message n of a series as the driver makes it: its body depends
// on the number.
func numbered(n int) *message.Message {
	body := make([]byte, bodySize)
	for i := range body {
		body[i] = byte(n + i)
	}
	return message.New(message.Text("juxta", "n", strconv.Itoa(n)), message.Bytes("juxta", "body", body))
}

// tally counts the messages of a series as they come.
type tally struct {
	count, distinct, doubled, unordered, wrong int
	seen                                       [series + 1]bool
	last                                       int
}

func (y *tally) take(m *message.Message) {
	y.count++
	n, err := strconv.Atoi(m.Text("juxta", "n"))
	body, _ := m.Get("juxta", "body")
	want, _ := numbered(n).Get("juxta", "body")
	switch {
	case err != nil || n < 1 || n > series || string(body.Body) != string(want.Body):
		y.wrong++
		return
	case y.seen[n]:
		y.doubled++
		return
	case n < y.last:
		y.unordered++
	}
	y.distinct++
	y.seen[n] = true
	y.last = n
}

func (y *tally) String() string {
	return fmt.Sprintf("%d came, %d missing, %d doubled, %d out of order, %d wrong",
		y.count, series-y.distinct, y.doubled, y.unordered, y.wrong)
}

// receive reads messages until so many different numbers are there, or none came
// for a while.
func (y *tally) receive(t *testing.T, in *pipe.Input, distinct int) {
	t.Helper()
	for y.distinct < distinct {
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		m, err := in.Receive(ctx)
		cancel()
		if err != nil {
			return
		}
		y.take(m.Message)
	}
}

// late reads what comes after all numbers are there: messages that came twice.
func (y *tally) late(t *testing.T, in *pipe.Input) {
	t.Helper()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), quiet)
		m, err := in.Receive(ctx)
		cancel()
		if err != nil {
			return
		}
		y.take(m.Message)
	}
}

// openOutput opens an output pipe at a Java peer. JXSE asks but once who listens,
// and a rendezvous of it that has not yet taken in the announcement knows nobody.
func openOutput(t *testing.T, j *javaPeer, adv *advertisements.Pipe) (handle string) {
	t.Helper()
	var failed error
	for range 5 {
		r, err := j.Call(t.Context(), "outpipe", "timeout=3000", "xml="+compact(t, adv))
		if err == nil {
			return r.Text("pipe")
		}
		failed = err
	}
	t.Fatal(failed)
	return ""
}

// course is how a series travels.
type course struct {
	typ      advertisements.PipeType
	window   int  // messages under way at most; 0 means as many as it takes
	shuffled bool // a Java peer passes them on, which mixes them up
}

// window is how many messages of a Java peer are under way at most. JXSE queues
// 20 for a connection. On a propagate pipe it drops what is beyond, as sender
// and as rendezvous; on a unicast pipe it waits for room, and now and then for
// ever: its sender looks at the queue and goes to sleep, and what would wake it
// can come in between.
const window = 16

// courses of unicast pipes.
var (
	fromJava = course{typ: advertisements.Unicast, window: window}
	fromGo   = course{typ: advertisements.Unicast}
)

// javaToGo sends a series from a Java peer to a Juxta peer.
func javaToGo(t *testing.T, from *javaPeer, to *peergroup.Peer, c course) {
	t.Helper()
	typ, window := c.typ, c.window
	adv := advertisements.NewPipe(to.Net().ID(), "to "+to.Name(), typ)
	in, err := to.Net().Pipes().Listen(t.Context(), adv)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out := "pipe=" + openOutput(t, from, adv)
	if typ == advertisements.Propagate {
		hear(t, from, out, in)
	}
	if window == 0 {
		window = series
	}
	y := &tally{}
	begin := time.Now()
	for first := 1; first <= series && y.distinct == first-1; first += window {
		var send sync.WaitGroup
		send.Go(func() {
			_, err = from.Call(context.Background(), "send", out, fmt.Sprintf("first=%d", first),
				fmt.Sprintf("count=%d", min(window, series-first+1)), fmt.Sprintf("size=%d", bodySize))
		})
		y.receive(t, in, min(first-1+window, series))
		if send.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	d := time.Since(begin)
	y.late(t, in)
	t.Logf("Java %s to Juxta %s, %s: %s in %v", role(from), to.Roles(), pace(window), y, d.Round(time.Millisecond))
	if y.count != series || y.distinct != series || (y.unordered != 0 && !c.shuffled) {
		t.Errorf("want %d messages, each once, in order unless shuffled; the input: %+v", series, in.Stats())
	}
	from.Do("close", out)
}

// goToJava sends a series from a Juxta peer to a Java peer, which takes several
// messages of a connection at once and so sees them slightly out of order.
func goToJava(t *testing.T, from *peergroup.Peer, to *javaPeer, c course) {
	t.Helper()
	typ, window := c.typ, c.window
	adv := advertisements.NewPipe(from.Net().ID(), "to "+to.id.Short(), typ)
	in := "pipe=" + to.Do("inpipe", "xml="+compact(t, adv)).Text("pipe")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := from.Net().Pipes().Dial(ctx, adv)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if typ == advertisements.Propagate {
		beHeard(t, out, to, in)
	}
	if window == 0 {
		window = series
	}
	begin := time.Now()
	reached := true
	for n := 1; n <= series && reached; n++ {
		if err := out.Send(ctx, numbered(n)); err != nil {
			t.Fatalf("message %d: %v", n, err)
		}
		if n%window == 0 || n == series {
			reached = to.Do("waitpipe", in, fmt.Sprintf("count=%d", n), "timeout=20000")["reached"] == true
		}
	}
	d := time.Since(begin)
	time.Sleep(quiet)
	r := to.Do("pipestat", in)
	t.Logf("Juxta %s to Java %s, %s: %d came, %d missing, %d doubled, %d out of order, %d wrong in %v",
		from.Roles(), role(to), pace(window), r.Int("count"), series-r.Int("distinct"), r.Int("duplicates"),
		r.Int("outoforder"), r.Int("badbody")+r.Int("unnumbered"), d.Round(time.Millisecond))
	if r.Int("count") != series || r.Int("distinct") != series || r.Int("max") != series || r.Int("badbody") != 0 {
		t.Errorf("want %d messages, each once; missing are %v", series, r.Texts("missing"))
	}
	to.Do("close", in)
}

func pace(window int) string {
	if window == series {
		return "as fast as it goes"
	}
	return fmt.Sprintf("%d under way", window)
}

func role(j *javaPeer) string {
	for _, a := range j.start {
		if a == "role=rendezvous" {
			return "rendezvous"
		}
	}
	return "edge"
}

// direct checks that a Juxta peer talks to another without anybody in between.
func direct(t *testing.T, p *peergroup.Peer, other id.Peer) {
	t.Helper()
	eventually(t, soon, "messages take no detour", func() bool { return p.Endpoint().LinkTo(other) != nil })
}

// TestUnicastAtJavaRendezvous: ten thousand messages each way between Juxta and
// Java edges that find each other through a Java rendezvous, and with that
// rendezvous itself.
func TestUnicastAtJavaRendezvous(t *testing.T) {
	t.Parallel()
	jr := startJava(t, "jr", "rendezvous")
	je := startJava(t, "je", "edge", "seeds="+jr.addr)
	ge := startGo(t, peergroup.Config{Name: "ge"}, jr.addr)
	connected(t, ge)
	je.Do("waitrdv")

	goToJava(t, ge, je, fromGo)
	direct(t, ge, je.id)
	javaToGo(t, je, ge, fromJava)
	goToJava(t, ge, jr, fromGo)
	javaToGo(t, jr, ge, fromJava)
}

// TestUnicastAtGoRendezvous: the same with a Juxta rendezvous.
func TestUnicastAtGoRendezvous(t *testing.T) {
	t.Parallel()
	gr := startGo(t, peergroup.Config{Name: "gr", Roles: peergroup.Roles{Rendezvous: true}})
	je := startJava(t, "je", "edge", "seeds="+address(gr))
	ge := startGo(t, peergroup.Config{Name: "ge"}, address(gr))
	connected(t, ge)
	je.Do("waitrdv")

	javaToGo(t, je, ge, fromJava)
	direct(t, ge, je.id)
	goToJava(t, ge, je, fromGo)
	javaToGo(t, je, gr, fromJava)
	goToJava(t, gr, je, fromGo)
}
