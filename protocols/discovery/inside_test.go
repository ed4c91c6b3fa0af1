package discovery

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// Whatever a pattern fits, the one that is sent for it fits too, and others
// understand it.
func TestPropertyWiden(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.RuneFrom([]rune("ab*")), 1, 8, -1).Draw(t, "pattern")
		value := rapid.StringOfN(rapid.RuneFrom([]rune("ab")), 0, 8, -1).Draw(t, "value")
		q := Query{Kind: advertisements.Advs, Attr: "Name", Value: pattern}
		sent := q.document()
		if !advertisements.SendablePattern(sent.Value) {
			t.Fatalf("%q is sent as %q", pattern, sent.Value)
		}
		if advertisements.Match(pattern, value) && !advertisements.Match(sent.Value, value) {
			t.Fatalf("%q fits %q, but what is sent, %q, does not", pattern, value, sent.Value)
		}
	})
}

func TestWiden(t *testing.T) {
	for pattern, want := range map[string]string{
		"a*b": "a*", "*a*b": "*b", "a*b*": "a*", "*a*bc*": "*bc*", "***": "*", "*a**": "*a*",
	} {
		if got := widen(pattern); got != want {
			t.Errorf("%q becomes %q, want %q", pattern, got, want)
		}
	}
	q := Query{Attr: "Name", Value: "a*b", Limit: 3}
	if d := q.document(); d.Threshold != maxResults {
		t.Errorf("a wider pattern asks for %d", d.Threshold)
	}
}

func TestVersions(t *testing.T) {
	var excess atomic.Uint64
	v := versions{excess: &excess}
	a := &advertisements.Pipe{ID: id.NewPipe(id.NetGroup), Type: advertisements.Unicast, Name: "a"}
	b := *a
	b.Name = "b"
	add := func(adv advertisements.Advertisement) bool { return v.add(Result{Adv: adv}) }
	if !add(a) || add(a) || !add(&b) || add(&b) || add(a) {
		t.Error("each version is new once")
	}
	if add(&advertisements.Pipe{}) {
		t.Error("an advertisement that cannot be printed is new")
	}
	for i := range maxRemember {
		b.Name = fmt.Sprint(i)
		add(&b)
	}
	if len(v.seen) != maxRemember || excess.Load() != 2 {
		t.Errorf("%d versions remembered, %d not", len(v.seen), excess.Load())
	}
}

func TestLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Service{}
		s.ctx, s.cancel = context.WithCancel(t.Context())
		ran := make(chan int, 2*maxDelayed)
		for i := range 2 * maxDelayed {
			s.later(time.Duration(i+1)*time.Second, func(context.Context) { ran <- i })
		}
		if n := s.stats.overBudget.Load(); n != maxDelayed {
			t.Errorf("%d were refused", n)
		}
		time.Sleep(10500 * time.Millisecond)
		if s.quit(); len(ran) != 10 {
			t.Errorf("%d ran before closing", len(ran))
		}
		s.later(0, func(context.Context) { t.Error("ran after closing") })
	})
}

// A datagram may say that it comes from anybody.
func TestBroadcastIsNotTrusted(t *testing.T) {
	p := id.NewPeer(id.NetGroup)
	s := &Service{}
	if !s.trusted(&resolver.RawQuery{From: p, Source: p}) {
		t.Error("who asks for himself over a link is not trusted")
	}
	if s.trusted(&resolver.RawQuery{From: p, Source: p, Broadcast: true}) {
		t.Error("a datagram is trusted")
	}
}

func TestLifetimeDefaults(t *testing.T) {
	for _, c := range []struct {
		in            Lifetime
		local, remote time.Duration
	}{
		{Lifetime{}, defaultLocal, defaultRemote},
		{Lifetime{Local: time.Hour}, time.Hour, time.Hour},
		{Lifetime{Remote: -1}, defaultLocal, 0},
		{Lifetime{Local: Forever, Remote: Forever}, Forever, Forever},
		{Lifetime{Local: time.Hour, Remote: time.Minute}, time.Hour, time.Minute},
	} {
		local, remote, err := c.in.resolve()
		if local != c.local || remote != c.remote || err != nil {
			t.Errorf("%+v is %v and %v, %v", c.in, local, remote, err)
		}
	}
	if _, _, err := (Lifetime{Local: -time.Second}).resolve(); !errors.Is(err, ErrLifetime) {
		t.Error(err)
	}
}

func TestNewChecksConfig(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("a service without resolver")
	}
}

// The first of a series goes at once, the others after pauses that double, and
// after a second of quiet all begins again.
func TestPace(t *testing.T) {
	p := pace{first: 2 * time.Millisecond}
	start := time.Now()
	var went []time.Duration
	due := time.Time{}
	for ms := range 10_000 { // something is wanted every millisecond
		now := start.Add(time.Duration(ms) * time.Millisecond)
		at := p.due(now)
		if due.IsZero() {
			due = at
		}
		if !now.Before(due) {
			p.went(now)
			went = append(went, now.Sub(start))
			due = time.Time{}
		}
	}
	if len(went) < 12 || len(went) > 15 || went[0] != 0 || went[1] != 2*time.Millisecond || went[4] != 30*time.Millisecond {
		t.Errorf("messages at %v", went)
	}
	for i := range went[1:] {
		if d := went[i+1] - went[i]; d > pushMost+time.Millisecond || i > 0 && d < went[i]-went[i-1] && d < pushMost {
			t.Errorf("a pause of %v after %v", d, went[i])
		}
	}
	later := start.Add(12 * time.Second)
	if at := p.due(later); !at.Equal(later) {
		t.Errorf("after quiet one waits %v", at.Sub(later))
	}
}
