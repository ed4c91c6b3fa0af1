package jxsetest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/protocols/pipe"
)

// publishPatterns has each edge publish a pipe that all others look for by a
// pattern.
func (f *four) publishPatterns(t *testing.T) {
	t.Helper()
	for i, e := range f.edges {
		e.publish(t, fmt.Sprintf("walked-%d-for", i))
	}
}

// testWalks: a question with a pattern reaches those behind every rendezvous,
// the far end of the row included.
func (f *four) testWalks(t *testing.T) {
	begin := time.Now()
	for i, holder := range f.edges {
		for _, asker := range f.edges {
			if asker == holder {
				continue
			}
			tries := 1
			for ; !asker.finds(t, fmt.Sprintf("*alked-%d-f*", i), askFor); tries++ {
				if tries >= firstContact && time.Since(begin) > push+soon {
					t.Errorf("%s (at %d) does not find by a pattern what %s (at %d) has", asker.name, asker.at, holder.name, holder.at)
					break
				}
			}
			if tries > 1 {
				t.Logf("%s (at %d) asks by a pattern for what %s (at %d) has: tried %d times", asker.name, asker.at, holder.name, holder.at, tries)
			}
		}
	}
	t.Logf("walks: g1 %+v, g3 %+v", f.g1.Net().Rendezvous().Stats(), f.g3.Net().Rendezvous().Stats())
}

// listener takes what comes to a propagate pipe at an edge.
type listener struct {
	edge  *edge
	juxt  *pipe.Input
	count map[string]int // at a Juxta edge, by text
	java  string         // the handle at a Java edge
}

// listen opens an input at each edge.
func (f *four) listen(t *testing.T, adv *advertisements.Pipe) []*listener {
	t.Helper()
	var all []*listener
	for _, e := range f.edges {
		l := &listener{edge: e, count: map[string]int{}}
		if e.java != nil {
			l.java = "pipe=" + e.java.Do("inpipe", "keep=1000", "xml="+compact(t, adv)).Text("pipe")
		} else {
			var err error
			if l.juxt, err = e.juxt.Net().Pipes().Listen(t.Context(), adv); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.juxt.Close() })
		}
		all = append(all, l)
	}
	return all
}

// heard returns how often a text has come.
func (l *listener) heard(t *testing.T, text string) int {
	t.Helper()
	if l.java == "" {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		for {
			m, err := l.juxt.Receive(ctx)
			if err != nil {
				return l.count[text]
			}
			l.count[m.Text("app", "text")]++
		}
	}
	n := 0
	for _, got := range l.edge.java.Do("got", l.java, "last=1000").Texts("messages") {
		n += strings.Count(got, text)
	}
	return n
}

// testPropagation: a message on a propagate pipe reaches the listeners behind all
// rendezvous, each once, whichever edge sends it.
func (f *four) testPropagation(t *testing.T) {
	adv := advertisements.NewPipe(id.NetGroup, "all", advertisements.Propagate)
	listeners := f.listen(t, adv)
	for _, e := range f.edges {
		var send func(text string)
		if e.java != nil {
			out := "pipe=" + openOutput(t, e.java, adv)
			send = func(text string) { e.java.Do("sendtext", out, "app:text="+text) }
		} else {
			out, err := e.juxt.Net().Pipes().Dial(within(t, 2*soon), adv)
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			send = func(text string) {
				if err := out.Send(t.Context(), message.New(message.Text("app", "text", text))); err != nil {
					t.Error(err)
				}
			}
		}
		probes := 0
		eventually(t, 2*soon, e.name+" is heard by all", func() bool {
			probes++
			text := fmt.Sprintf("probe %d of %s.", probes, e.name)
			send(text)
			time.Sleep(quiet)
			for _, l := range listeners {
				if l.heard(t, text) == 0 {
					return false
				}
			}
			return true
		})
		const many = 20
		for n := range many {
			send(fmt.Sprintf("message %d of %s.", n, e.name))
		}
		time.Sleep(2 * quiet)
		for _, l := range listeners {
			lost, doubled := 0, 0
			for n := range many {
				switch l.heard(t, fmt.Sprintf("message %d of %s.", n, e.name)) {
				case 0:
					lost++
				case 1:
				default:
					doubled++
				}
			}
			if lost+doubled != 0 {
				t.Errorf("%s (at %d) to %s (at %d): %d of %d lost, %d doubled", e.name, e.at, l.edge.name, l.edge.at, lost, many, doubled)
			}
		}
		t.Logf("%s (at %d) is heard by all after %d probes", e.name, e.at, probes)
	}
	t.Logf("g1 %+v, g3 %+v", f.g1.Net().Pipes().Stats(), f.g3.Net().Pipes().Stats())
}
