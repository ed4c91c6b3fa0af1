package jxsetest_test

import (
	"context"
	"fmt"
	"strconv"
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
	count, doubled, unordered, wrong int
	seen                             [series + 1]bool
	last                             int
	begin, end                       time.Time
}

func (y *tally) take(m *message.Message) {
	if y.count == 0 {
		y.begin = time.Now()
	}
	y.count++
	y.end = time.Now()
	n, err := strconv.Atoi(m.Text("juxta", "n"))
	body, _ := m.Get("juxta", "body")
	want, _ := numbered(n).Get("juxta", "body")
	switch {
	case err != nil || n < 1 || n > series || string(body.Body) != string(want.Body):
		y.wrong++
		return
	case y.seen[n]:
		y.doubled++
	case n < y.last:
		y.unordered++
	}
	y.seen[n] = true
	y.last = n
}

func (y *tally) missing() int {
	n := 0
	for _, seen := range y.seen[1:] {
		if !seen {
			n++
		}
	}
	return n
}

func (y *tally) String() string {
	return fmt.Sprintf("%d messages came in %v: %d missing, %d doubled, %d out of order, %d wrong",
		y.count, y.end.Sub(y.begin).Round(time.Millisecond), y.missing(), y.doubled, y.unordered, y.wrong)
}

// receive reads messages until all numbers are there or none came for a while,
// and a moment longer, for those that come twice.
func receive(t *testing.T, in *pipe.Input) *tally {
	t.Helper()
	y := &tally{}
	distinct := 0
	next := func(d time.Duration) bool {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		m, err := in.Receive(ctx)
		if err != nil {
			return false
		}
		before := y.doubled + y.wrong
		if y.take(m.Message); y.doubled+y.wrong == before {
			distinct++
		}
		return true
	}
	for distinct < series && next(soon) {
	}
	for next(200 * time.Millisecond) {
	}
	return y
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

// javaToGo sends a series from a Java peer to a Juxta peer. rate bounds the
// messages a second; 0 means as fast as it can.
func javaToGo(t *testing.T, from *javaPeer, to *peergroup.Peer, typ advertisements.PipeType, rate int) {
	t.Helper()
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
	sent := make(chan string, 1)
	go func() {
		r, err := from.Call(context.Background(), "send", out, fmt.Sprintf("count=%d", series), fmt.Sprintf("size=%d", bodySize),
			fmt.Sprintf("rate=%d", rate))
		if err != nil {
			sent <- err.Error()
			return
		}
		sent <- fmt.Sprintf("sent %d in %d ms", r.Int("sent"), r.Int("ms"))
	}()
	y := receive(t, in)
	t.Logf("Java %s to Juxta %s: %s; %s", role(from), to.Roles(), <-sent, y)
	if y.count != series || y.missing() != 0 || y.doubled != 0 || y.wrong != 0 {
		t.Errorf("want %d messages, each once; the input: %+v", series, in.Stats())
	}
	from.Do("close", out)
}

// goToJava sends a series from a Juxta peer to a Java peer, which takes several
// messages of a connection at once and so sees them slightly out of order.
func goToJava(t *testing.T, from *peergroup.Peer, to *javaPeer, typ advertisements.PipeType, rate int) *pipe.Output {
	t.Helper()
	adv := advertisements.NewPipe(from.Net().ID(), "to "+to.id.Short(), typ)
	in := "pipe=" + to.Do("inpipe", "xml="+compact(t, adv)).Text("pipe")
	out, err := from.Net().Pipes().Dial(within(t, 3*soon), adv)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if typ == advertisements.Propagate {
		beHeard(t, out, to, in)
	}
	begin := time.Now()
	for n := 1; n <= series; n++ {
		if err := out.Send(within(t, soon), numbered(n)); err != nil {
			t.Fatalf("message %d: %v", n, err)
		}
		if rate > 0 {
			time.Sleep(time.Until(begin.Add(time.Duration(n) * time.Second / time.Duration(rate))))
		}
	}
	sent := time.Since(begin)
	r := to.Do("waitpipe", in, fmt.Sprintf("count=%d", series), "timeout=20000")
	t.Logf("Juxta %s to Java %s: sent %d in %v; %d messages came until %d ms after the first: %d missing, %d doubled, %d out of order, %d wrong",
		from.Roles(), role(to), series, sent.Round(time.Millisecond), r.Int("count"), r.Int("lastms")-r.Int("firstms"),
		series-r.Int("distinct"), r.Int("duplicates"), r.Int("outoforder"), r.Int("badbody")+r.Int("unnumbered"))
	if r.Int("count") != series || r.Int("distinct") != series || r.Int("max") != series || r.Int("duplicates") != 0 ||
		r.Int("badbody") != 0 || r.Int("unnumbered") != 0 {
		t.Errorf("want %d messages, each once; missing are %v", series, r.Texts("missing"))
	}
	to.Do("close", in)
	return out
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
	if p.Endpoint().LinkTo(other) == nil {
		t.Errorf("%s has no link to %s: messages take a detour", p.Name(), other.Short())
	}
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

	goToJava(t, ge, je, advertisements.Unicast, 0)
	direct(t, ge, je.id)
	javaToGo(t, je, ge, advertisements.Unicast, 0)
	goToJava(t, ge, jr, advertisements.Unicast, 0)
	javaToGo(t, jr, ge, advertisements.Unicast, 0)
}

// TestUnicastAtGoRendezvous: the same with a Juxta rendezvous.
func TestUnicastAtGoRendezvous(t *testing.T) {
	t.Parallel()
	gr := startGo(t, peergroup.Config{Name: "gr", Roles: peergroup.Roles{Rendezvous: true}})
	je := startJava(t, "je", "edge", "seeds="+address(gr))
	ge := startGo(t, peergroup.Config{Name: "ge"}, address(gr))
	connected(t, ge)
	je.Do("waitrdv")

	javaToGo(t, je, ge, advertisements.Unicast, 0)
	direct(t, ge, je.id)
	goToJava(t, ge, je, advertisements.Unicast, 0)
	javaToGo(t, je, gr, advertisements.Unicast, 0)
	goToJava(t, gr, je, advertisements.Unicast, 0)
}
