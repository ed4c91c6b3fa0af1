//go:build linux

package roadtest

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// outage is a scene in which a road is interrupted while bulk is under way.
type outage struct {
	conditions
	order
	after time.Duration // the bulk began
	out   time.Duration
}

// ordinary is 2 Mbit/s with a round trip of 60 ms.
var ordinary = conditions{Rate: 2_000_000 / 8, Delay: 30 * time.Millisecond, Seed: 3}

// seen is what became of it.
type seen struct {
	sent, came flow
	resumed    time.Duration // until something came again, since the outage ended
	gap        time.Duration // the longest in which nothing came
}

func (o outage) run(t *testing.T) seen {
	l := newLab(t, o.conditions)
	ann, bob := l.peers(order{})
	over := make(chan int64, 1)
	go func() {
		time.Sleep(o.after)
		l.road.outage(true)
		time.Sleep(o.out)
		l.road.outage(false)
		over <- now()
	}()
	o.Do, o.Peer = "flow", ann.id
	var s seen
	s.sent = bob.must(o.order).Flow
	end := <-over
	// What is still under way has some time, as long as anything comes.
	for last, since := -1, time.Now(); ; time.Sleep(look) {
		s.came = ann.must(order{Do: "report"}).Flow
		all := s.came.Messages >= s.sent.Messages && s.came.Octets >= s.sent.Octets
		if came := s.came.Messages + s.came.Octets; came != last {
			last, since = came, time.Now()
		}
		if silent := time.Since(since); silent > settle || all && silent > doubles {
			break
		}
	}
	s.resumed = -1
	for i, at := range s.came.Arrived {
		if i > 0 {
			s.gap = max(s.gap, time.Duration(at-s.came.Arrived[i-1]))
		}
		if at > end && s.resumed < 0 {
			s.resumed = time.Duration(at - end)
		}
	}
	return s
}

const (
	// settle is how long nothing may come until it is taken that nothing more will:
	// TCP may wait as long again as the road was interrupted, and a moment more.
	settle = 12 * time.Second

	// doubles is how long it is when all has come, in which something may come twice.
	doubles = 2 * time.Second

	// look is how often one looks.
	look = 200 * time.Millisecond
)

// mostLost bounds what a pipe may lose with its link: what waits for the link, and
// what the system has taken and the other side has not got.
const mostLost = 256<<10 + 96<<10

// slowOnly skips what takes a minute, unless asked for.
func slowOnly(t *testing.T) {
	t.Helper()
	if os.Getenv("JUXTA_SLOW") == "" {
		t.Skip("NOT TESTED: it takes a minute; set JUXTA_SLOW=1")
	}
	t.Parallel()
}

// checkStream: everything came once and in order.
func checkStream(t *testing.T, name string, s seen) {
	t.Helper()
	addRow(t, name, fmt.Sprintf("%d of %d octets", s.came.Octets, s.sent.Octets), fmt.Sprintf("goes on %v after the outage", s.resumed.Round(time.Millisecond)),
		fmt.Sprintf("silent for %v", s.gap.Round(time.Millisecond)))
	if s.sent.Hash == "" || s.sent.Hash != s.came.Hash || s.sent.Octets != s.came.Octets {
		t.Errorf("sent %d octets, %s; came %d octets, %s", s.sent.Octets, s.sent.Hash, s.came.Octets, s.came.Hash)
	}
	if s.resumed < 0 {
		t.Error("nothing came after the outage")
	}
}

// checkPipe: nothing came twice, in disorder or damaged. That something is lost is
// what a pipe does when its link breaks, but no more than a link holds.
func checkPipe(t *testing.T, name string, s seen) {
	t.Helper()
	total := s.sent.Messages + s.sent.Refused
	addRow(t, name, fmt.Sprintf("%d messages, %d delivered, %d lost, %d doubled, %d refused", total, s.came.Messages-s.came.Doubled,
		s.sent.Messages-(s.came.Messages-s.came.Doubled), s.came.Doubled, s.sent.Refused),
		fmt.Sprintf("goes on %v after the outage", s.resumed.Round(time.Millisecond)), fmt.Sprintf("silent for %v", s.gap.Round(time.Millisecond)))
	if s.came.Doubled+s.came.Disordered+s.came.Bad > 0 {
		t.Errorf("%d came twice, %d in disorder, %d damaged", s.came.Doubled, s.came.Disordered, s.came.Bad)
	}
	if s.resumed < 0 {
		t.Error("nothing came after the outage")
	}
	if lost := s.sent.Messages - s.came.Messages; lost*s.sent.Octets/max(s.sent.Messages, 1) > mostLost {
		t.Errorf("%d of %d messages came", s.came.Messages, total)
	}
}

// TestShortOutage: TCP itself bears some seconds.
func TestShortOutage(t *testing.T) {
	t.Parallel()
	t.Run("stream", func(t *testing.T) {
		t.Parallel()
		checkStream(t, "stream, 3 s", outage{
			conditions: ordinary, order: order{Bulk: "stream", Block: bulkBlock, Size: 1 << 20},
			after: 2 * time.Second, out: 3 * time.Second,
		}.run(t))
	})
	t.Run("pipe", func(t *testing.T) {
		t.Parallel()
		s := outage{
			conditions: ordinary, order: order{Bulk: "pipe", Block: 1 << 10, Every: 20 * time.Millisecond, For: 8 * time.Second},
			after: 2 * time.Second, out: 3 * time.Second,
		}.run(t)
		checkPipe(t, "pipe, 3 s", s)
		if s.came.Messages != s.sent.Messages {
			t.Errorf("%d of %d messages came", s.came.Messages, s.sent.Messages)
		}
	})
}

// TestOutageOfTenSeconds, and as a pipe goes on.
func TestOutageOfTenSeconds(t *testing.T) {
	slowOnly(t)
	checkPipe(t, "pipe, 10 s", outage{
		conditions: ordinary, order: order{Bulk: "pipe", Block: 1 << 10, Every: 20 * time.Millisecond, For: 40 * time.Second},
		after: 5 * time.Second, out: 10 * time.Second,
	}.run(t))
}

// TestOutageOfHalfAMinute: the link breaks, and the stream goes on over another one.
func TestOutageOfHalfAMinute(t *testing.T) {
	slowOnly(t)
	t.Run("stream", func(t *testing.T) {
		t.Parallel()
		checkStream(t, "stream, 30 s", outage{
			conditions: ordinary, order: order{Bulk: "stream", Block: bulkBlock, Size: 4 << 20, For: 75 * time.Second},
			after: 5 * time.Second, out: 30 * time.Second,
		}.run(t))
	})
	t.Run("pipe", func(t *testing.T) {
		t.Parallel()
		s := outage{
			conditions: ordinary, order: order{Bulk: "pipe", Block: 1 << 10, Every: 20 * time.Millisecond, For: 55 * time.Second},
			after: 5 * time.Second, out: 30 * time.Second,
		}.run(t)
		checkPipe(t, "pipe, 30 s", s)
	})
}
