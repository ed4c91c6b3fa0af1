package main_test

import (
	"fmt"
	"testing"
	"time"
)

// near is the most that peers near by may take to know each other, from the
// start of the later process.
const near = 3 * time.Second

// firstQuestions is the time in which a peer asks its network again and again;
// later it does so every 15 s.
const firstQuestions = 5 * time.Second

// meet waits until both list each other, and has them talk.
func meet(t *testing.T, ann, bob *shell, list string) {
	t.Helper()
	deadline := bob.began.Add(near)
	ann.until(deadline, list, named("bob"))
	bob.until(deadline, list, named("ann"))
	t.Logf("both know each other %v after the start of the second process", time.Since(bob.began).Round(time.Millisecond))
	for _, s := range []*shell{ann, bob} {
		s.must(fmt.Sprintf("talk -register %s -w 0; talk -login %[1]s", s.name))
	}
	ann.must("talk bob hello, are you there?")
	bob.hearsTalk("ann", "hello, are you there?")
	bob.must("talk ann 'here  I am'")
	ann.hearsTalk("bob", "here  I am")
}

// TestOneMachineWithoutNetwork: two shells on a machine that has nothing but a
// loopback interface, without any option.
func TestOneMachineWithoutNetwork(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	meet(t, open(t, "ann", m.juxta()), open(t, "bob", m.juxta()), "peers")
}

// TestTwoMachinesByMDNS: two machines on one cable, which find each other by mDNS
// alone.
func TestTwoMachinesByMDNS(t *testing.T) {
	t.Parallel()
	a, b := newCable(t)
	ann := open(t, "ann", a.juxta("--multicast", "off"))
	bob := open(t, "bob", b.juxta("--multicast", "off"))
	meet(t, ann, bob, "peers")
	// Whoever comes later does not wait until the others ask again.
	ann.must(fmt.Sprintf("sleep %v", firstQuestions-time.Since(ann.began)))
	carl := open(t, "carl", b.juxta("--multicast", "off"))
	deadline := carl.began.Add(near)
	ann.until(deadline, "peers", named("carl"))

	carl.until(deadline, "peers", named("ann"))
	t.Logf("the third %v after its start", time.Since(carl.began).Round(time.Millisecond))
	ann.must("talk -w 0 -register wall")
	carl.until(time.Now().Add(patience), "search -r -w 100ms", named("JxtaTalkUserName.wall"))
	carl.must("talk -w 0 -register moon")
	ann.until(time.Now().Add(patience), "search -r -w 100ms", named("JxtaTalkUserName.moon"))
}

// TestTwoMachinesByMulticast: the same by JXTA multicast alone. Nobody announces
// anything there, so one has to ask.
func TestTwoMachinesByMulticast(t *testing.T) {
	t.Parallel()
	a, b := newCable(t)
	meet(t, open(t, "ann", a.juxta("--lan", "off")), open(t, "bob", b.juxta("--lan", "off")), "peers -r -w 100ms")
}

// TestTwoMachinesByDefault: the same with everything there is.
func TestTwoMachinesByDefault(t *testing.T) {
	t.Parallel()
	a, b := newCable(t)
	meet(t, open(t, "ann", a.juxta()), open(t, "bob", b.juxta()), "peers")
}
