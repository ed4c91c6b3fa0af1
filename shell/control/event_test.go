package control_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/shell/control"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// event is a line of the stream.
type event struct {
	Event, Time, Command, Text, Session string
	Number, Count                       int
}

func decode(t *testing.T, line []byte) event {
	t.Helper()
	var e event
	if err := json.Unmarshal(line, &e); err != nil || e.Event == "" || e.Time == "" {
		t.Fatalf("%.200s: %v", line, err)
	}
	return e
}

func TestEvents(t *testing.T) {
	p, s, c := serve(t)
	s.Publish(control.Event{Kind: "early"})
	step := 0
	for line, err := range c.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		e := decode(t, line)
		switch step {
		case 0:
			if e.Event != "ready" {
				t.Errorf("%+v", e)
			}
			s.Publish(control.Event{Kind: "mine", Fields: []interp.Field{{Name: "number", Value: 1}}})
		case 1:
			if e.Event != "mine" || e.Number != 1 {
				t.Errorf("%+v", e)
			}
			(<-p.emit)(control.Event{Kind: "watched"})
		case 2:
			if e.Event != "watched" {
				t.Errorf("%+v", e)
			}
			s.Notice("talk", "bob to ann> hello", []interp.Field{{Name: "number", Value: 2}})
		case 3:
			if e.Event != "notice" || e.Command != "talk" || e.Text != "bob to ann> hello" || e.Number != 2 {
				t.Errorf("%+v", e)
			}
			// What is told in a session between requests would be lost otherwise.
			lines(t, c, control.Request{Commands: "warn; later", Session: "s"})
			if err := c.EndSession(t.Context(), "s"); err != nil {
				t.Error(err)
			}
		case 4:
			if e.Event != "notice" || e.Command != "later" || e.Text != "good bye" || e.Session != "s" {
				t.Errorf("%+v", e)
			}
		}
		if step++; step == 5 {
			break
		}
	}
	if step != 5 {
		t.Errorf("%d events", step)
	}
}

// TestEventsDropped: who reads slowly loses the oldest, and is told how many at
// the place where they were.
func TestEventsDropped(t *testing.T) {
	const all = 5000
	p, _, c := serve(t)
	text := strings.Repeat("x", 1000)
	next, got, dropped := 0, 0, 0
	for line, err := range c.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		switch e := decode(t, line); e.Event {
		case "ready":
			emit := <-p.emit
			for i := range all { // while nobody reads
				emit(control.Event{Kind: "n", Fields: []interp.Field{{Name: "number", Value: i}, {Name: "text", Value: text}}})
			}
		case "dropped":
			dropped += e.Count
			next += e.Count
		case "n":
			if e.Number != next {
				t.Fatalf("event %d in place of %d", e.Number, next)
			}
			got, next = got+1, next+1
		}
		if next == all {
			break
		}
	}
	if dropped == 0 || got < 256 || got+dropped != all {
		t.Errorf("%d events came, %d were dropped", got, dropped)
	}
}

// BenchmarkPublish is what an event costs while nobody reads.
func BenchmarkPublish(b *testing.B) {
	_, s, _ := serve(b)
	e := control.Event{Kind: "notice", Fields: []interp.Field{{Name: "text", Value: "hello"}}}
	b.ReportAllocs()
	for b.Loop() {
		s.Publish(e)
	}
}

// BenchmarkRun is a whole request.
func BenchmarkRun(b *testing.B) {
	_, _, c := serve(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Run(b.Context(), control.Request{Commands: "say hello"}, func(control.Line) {}); err != nil {
			b.Fatal(err)
		}
	}
}
