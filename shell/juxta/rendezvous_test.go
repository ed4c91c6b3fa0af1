package main_test

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// soonLeased is the most that an edge may take to get a lease on one machine.
const soonLeased = 200 * time.Millisecond

// healed is the most that a network may take to work again after its rendezvous
// came back.
const healed = 10 * time.Second

// freePort returns a port that nobody has now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// openRendezvous starts a rendezvous on loopback and returns its URL.
func openRendezvous(t *testing.T, name string, args ...string) (s *shell, url string) {
	t.Helper()
	s = open(t, name, program(t, onLoopback(append(args, "--role", "rendezvous")...)...))
	whoami := s.must("whoami")
	all, _ := whoami[0]["addresses"].([]any)
	if len(all) != 2 || whoami[0]["role"] != "rendezvous" {
		t.Fatalf("%v", whoami)
	}
	url, _ = all[0].(string)
	return s, url
}

// openEdge starts an edge and returns when it has a lease, with the time from the
// start of the process to the lease.
func openEdge(t *testing.T, name, seed string) (s *shell, took time.Duration) {
	t.Helper()
	s = open(t, name, program(t, onLoopback("--seed", seed)...))
	l := s.leased(s.began.Add(patience))
	const granted = 20 * time.Minute
	left, _ := l["left"].(float64)
	return s, time.Since(s.began) - (granted - time.Duration(left*float64(time.Second)))
}

// leased waits for a lease and returns it.
func (s *shell) leased(deadline time.Time) object {
	s.t.Helper()
	return s.until(deadline, "rdvstatus", func(o object) bool { return o.text("kind") == "rendezvous" })
}

// TestEdgesLeaseAtOnce measures how long edges take from nothing to a lease.
func TestEdgesLeaseAtOnce(t *testing.T) {
	_, url := openRendezvous(t, "rdv")
	best := time.Hour
	for n := range 5 { // the machine may be busy with something else
		_, took := openEdge(t, fmt.Sprint("edge", n), url)
		t.Logf("a lease %v after the start of the process", took.Round(100*time.Microsecond))
		if best = min(best, took); best <= soonLeased {
			return
		}
	}
	t.Errorf("no edge had a lease within %v of the start of its process", soonLeased)
}

// TestEdgesThroughRendezvous: two edges that know nothing but a rendezvous find
// each other's things and exchange many messages.
func TestEdgesThroughRendezvous(t *testing.T) {
	t.Parallel()
	_, url := openRendezvous(t, "rdv")
	ann, _ := openEdge(t, "ann", url)
	bob, _ := openEdge(t, "bob", url)
	ann.must("wall = newpipe -b wall; in = mkpipe -i wall")
	found := bob.until(time.Now().Add(patience), "search -r -w 100ms -v wall", named("wall"))
	if found.text("type") != "JxtaUnicast" || found.text("variable") != "adv0" {
		t.Errorf("found %v", found)
	}
	bob.must("out = mkpipe -o adv0")
	before := len(bob.heard())
	began := time.Now()
	ann.say("recv -f in")
	const count, size = 10_000, 1024
	sent := make(chan error)
	go func() { // waited for below, or it ends with bob
		var b strings.Builder
		for n := range count {
			fmt.Fprintf(&b, "send out '%s'\n", numbered(n, size))
		}
		_, err := io.WriteString(bob.in, b.String())
		select {
		case sent <- err:
		case <-t.Context().Done():
		}
	}()
	for n := range count {
		o, err := ann.next(time.Now().Add(patience))
		if err != nil {
			t.Fatalf("after %d messages: %v", n, err)
		}
		if got := texts(o); len(got) != 1 || got[0] != numbered(n, size) {
			t.Fatalf("message %d is %v", n, o)
		}
	}
	t.Logf("%d messages of %d octets took %v", count, size, time.Since(began).Round(time.Millisecond))
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if alerts := bob.heard()[before:]; len(alerts) != 0 {
		t.Errorf("bob was told: %v", alerts)
	}
	ann.interrupt() // recv does not end otherwise
}

// numbered is a text of that many octets that begins with its number.
func numbered(n, size int) string {
	head := strconv.Itoa(n) + " "
	return head + strings.Repeat("x", size-len(head))
}

// texts returns the texts of the elements of a message that recv wrote.
func texts(o object) (all []string) {
	elements, _ := o["elements"].([]any)
	for _, e := range elements {
		m, _ := e.(map[string]any)
		if object(m).text("name") == "text" {
			all = append(all, object(m).text("text"))
		}
	}
	return all
}

// TestRendezvousReturns: a rendezvous dies and comes back; the edges, which are
// told nothing, lease from it again, and things are found again.
func TestRendezvousReturns(t *testing.T) {
	t.Parallel()
	home, listen := filepath.Join(t.TempDir(), "home"), "tcp://127.0.0.1:"+freePort(t)
	args := []string{"--home", home, "--lan", "off", "--multicast", "off", "--listen", listen, "--role", "rendezvous"}
	rdv := open(t, "rdv", program(t, args...))
	id := rdv.must("whoami")[0].text("peer_id")
	ann, _ := openEdge(t, "ann", listen)
	bob, _ := openEdge(t, "bob", listen)
	ann.must("newpipe -b wall")
	search := func(deadline time.Time) {
		t.Helper()
		bob.must("search -f")
		bob.until(deadline, "search -r -w 100ms -v wall", named("wall"))
	}
	search(time.Now().Add(patience))

	rdv.kill()
	for _, s := range []*shell{ann, bob} {
		s.until(time.Now().Add(patience), "rdvstatus", func(o object) bool { return o["connected"] == false })
	}
	rdv = open(t, "rdv", program(t, args...))
	deadline := rdv.began.Add(healed)
	if got := rdv.must("whoami")[0].text("peer_id"); got != id {
		t.Errorf("the rendezvous has become another peer: %s, was %s", got, id)
	}
	for _, s := range []*shell{ann, bob} {
		if l := s.leased(deadline); l.text("peer_id") != id {
			t.Errorf("%s leases from %v", s.name, l)
		}
	}
	search(deadline)
	t.Logf("all works %v after the restart", time.Since(rdv.began).Round(time.Millisecond))
}

// everybodyHears has one shell write to a propagate pipe on which the others
// listen; each must get each line once.
func everybodyHears(t *testing.T, speaker *shell, listeners ...*shell) {
	t.Helper()
	speaker.must("newpipe -p -b hall")
	for _, s := range listeners {
		s.must("in = mkpipe -i hall")
		s.say("recv -f in")
	}
	speaker.must("out = mkpipe -o hall")
	const lines = 50
	for n := range lines {
		speaker.must(fmt.Sprintf("send out 'line %d'", n))
	}
	// Copies that come late are seen as long as this goes on: the last line is
	// followed by an end for each, over the same ways.
	speaker.must("send out end")
	for _, s := range listeners {
		heard := map[string]int{}
		for heard["end"] == 0 || len(heard) < lines+1 {
			o, err := s.next(time.Now().Add(patience))
			if err != nil {
				t.Fatalf("%v; it has heard %v", err, heard)
			}
			for _, text := range texts(o) {
				heard[text]++
			}
		}
		for text, n := range heard {
			if n != 1 {
				t.Errorf("%s heard %q %d times", s.name, text, n)
			}
		}
		if late := s.interrupt(); len(late) != 0 { // recv does not end otherwise
			t.Errorf("%s heard more: %v", s.name, late)
		}
	}
}

func TestEverybodyNearHearsOnce(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	var all []*shell
	for _, name := range []string{"ann", "bob", "carl", "dora"} {
		all = append(all, open(t, name, m.juxta()))
	}
	for _, s := range all {
		for _, other := range all {
			if s != other {
				s.until(s.began.Add(patience), "peers", named(other.name))
			}
		}
	}
	everybodyHears(t, all[0], all[1:]...)
}

func TestEverybodyAtRendezvousHearsOnce(t *testing.T) {
	t.Parallel()
	rdv, url := openRendezvous(t, "rdv")
	ann, _ := openEdge(t, "ann", url)
	bob, _ := openEdge(t, "bob", url)
	carl, _ := openEdge(t, "carl", url)
	everybodyHears(t, ann, bob, carl, rdv)
}
