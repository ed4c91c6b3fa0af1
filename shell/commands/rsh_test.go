package commands_test

import (
	"context"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/shell/commands"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// street is some peers with a shell each.
type street struct {
	t       *testing.T
	network *memory.Network
	shells  map[string]*shell
}

// newStreet starts peers, each with an ID made of a key; the first is the rendezvous.
func newStreet(t *testing.T, names ...string) *street {
	s := &street{t: t, network: memory.New(memory.Config{Latency: time.Millisecond}), shells: map[string]*shell{}}
	for i, name := range names {
		cfg := peergroup.Config{Name: name, NoLAN: true, Roles: peergroup.Roles{Rendezvous: i == 0},
			Transports: []endpoint.Transport{s.network.Transport(memory.TransportConfig{Name: name})}}
		if i > 0 {
			cfg.Seeds = []string{"mem://" + names[0]}
		}
		peer, err := peergroup.Start(context.Background(), cfg) // closed below; were it to end with the test, two would close it
		if err != nil {
			t.Fatal(err)
		}
		sh, host := &shell{peer: peer}, commands.New(peer)
		sh.session = interp.New(interp.Config{Commands: host.Commands(), Out: sh, Err: sh, Describe: host.Describe,
			ReadLine: func(ctx context.Context, _ string) (string, error) {
				if len(sh.answers) > 0 {
					line := sh.answers[0]
					sh.answers = sh.answers[1:]
					return line, nil
				}
				<-ctx.Done() // somebody who thinks
				return "", io.EOF
			}})
		if err := host.Attach(sh.session); err != nil {
			t.Fatal(err)
		}
		s.shells[name] = sh
		t.Cleanup(func() {
			sh.session.Close()
			if err := peer.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(5 * time.Second)
	return s
}

// run types a line at a peer and returns its status and what was printed since the last time.
func (s *street) run(name, line string) (int, string) {
	status := s.shells[name].session.Run(s.t.Context(), line)
	time.Sleep(time.Second)
	synctest.Wait()
	return status, s.shells[name].take()
}

func (s *street) must(name, line string, status int, words ...string) {
	s.t.Helper()
	got, out := s.run(name, line)
	if got != status {
		s.t.Errorf("%s> %s: status %d, want %d\n%s", name, line, got, status, out)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			s.t.Errorf("%s> %s: no %q in\n%s", name, line, w, out)
		}
	}
}

func (s *street) id(name string) string { return s.shells[name].peer.ID().String() }

// TestKilledHost: who uses a shell on a peer that dies hears of it within ten seconds, at the
// prompt as while something runs.
func TestKilledHost(t *testing.T) {
	for _, line := range []string{"rsh ann sleep 60s", "rsh ann"} {
		synctest.Test(t, func(t *testing.T) {
			s := newStreet(t, "rdv", "ann", "bob")
			s.must("ann", "rshd "+s.id("bob"), 0)
			const lives = 5 * time.Second
			begun := time.Now()
			time.AfterFunc(lives, func() { s.network.Crash("ann") })
			status := s.shells["bob"].session.Run(t.Context(), line)
			if took := time.Since(begun); took > lives+10*time.Second || took < lives {
				t.Errorf("after %v", took)
			}
			if out := s.shells["bob"].take(); status != interp.StatusFailed || !strings.Contains(out, "is gone") {
				t.Errorf("%s: status %d\n%s", line, status, out)
			}
		})
	}
}

// TestInterruptedThere: Ctrl-C ends what runs on the other peer, and a client that dies
// leaves nothing behind.
func TestInterruptedThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreet(t, "rdv", "ann", "bob")
		s.must("ann", "rshd "+s.id("bob"), 0)
		time.AfterFunc(3*time.Second, func() { s.shells["bob"].session.Interrupt() })
		begun := time.Now()
		status := s.shells["bob"].session.Run(t.Context(), "rsh ann sleep 60s")
		if took := time.Since(begun); status != interp.StatusInterrupted || took > 4*time.Second {
			t.Errorf("status %d after %v", status, took)
		}
		time.Sleep(time.Second)
		s.must("ann", "rshd -l", interp.StatusNotFound, "has come", `runs "sleep 60s"`, "has left")
		var typing sync.WaitGroup
		typing.Go(func() { s.shells["bob"].session.Run(t.Context(), "rsh ann") })
		time.Sleep(2 * time.Second)
		s.must("ann", "rshd -l", 0, s.id("bob"))
		s.network.Crash("bob")
		time.Sleep(10 * time.Second)
		s.must("ann", "rshd -l", interp.StatusNotFound, "has left: ")
		typing.Wait()
	})
}

// TestVisitorsAtOnce: a peer has two sessions, and is told so when it wants a third. Leaving
// the group ends all.
func TestVisitorsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreet(t, "rdv", "ann", "bob")
		s.must("ann", "newpgrp -j crew", 0)
		s.must("bob", "groups -r; join crew", 0)
		time.Sleep(10 * time.Second)
		s.must("ann", "rshd "+s.id("bob"), 0)
		s.must("bob", "rsh ann chpgrp", interp.StatusUsage, "no command")
		s.must("bob", "rsh ann 'cat rootgroup; groups'", interp.StatusNotFound)
		host := commands.New(s.shells["bob"].peer)
		var typing sync.WaitGroup
		var more []*shell
		for range 2 {
			sh := &shell{peer: s.shells["bob"].peer}
			more = append(more, sh)
			own := host.Another()
			sh.session = interp.New(interp.Config{Commands: own.Commands(), Out: sh, Err: sh, Describe: own.Describe})
			if err := own.Attach(sh.session); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(sh.session.Close)
			typing.Go(func() { sh.session.Run(t.Context(), "set stdgroup crew; rsh ann sleep 60s") })
		}
		time.Sleep(3 * time.Second)
		s.must("bob", "rsh ann whoami", interp.StatusDenied, "2 sessions here already")
		s.must("bob", "chpgrp rootgroup; rsh ann whoami", interp.StatusNotFound) // it is in crew only
		s.must("ann", "leave crew; env", 0, "has left: the host has ended")
		typing.Wait()
		for _, sh := range more {
			if out := sh.take(); !strings.Contains(out, "ann") {
				t.Errorf("%s", out)
			}
		}
		if _, out := s.run("ann", "env"); strings.Contains(out, "rshd") {
			t.Errorf("%s", out)
		}
	})
}

// TestRemoteShellForMembers: those with a certificate, or with a right, may come, until their
// certificate is revoked.
func TestRemoteShellForMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Chdir(t.TempDir())
		if err := os.WriteFile("rights", []byte("shell: bob\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s := newStreet(t, "ann", "bob", "carol", "eve")
		s.must("ann", "newpgrp -j --certificates --rights rights crew", 0)
		for _, name := range []string{"bob", "carol", "eve"} {
			s.must(name, "request > "+name+".request; groups -r; join crew", 0)
		}
		for _, name := range []string{"bob", "carol"} {
			s.must("ann", "invite "+name+" "+name+".request > "+name+".pem", 0)
			s.must(name, "accept "+name+".pem", 0)
		}
		time.Sleep(10 * time.Second)
		s.must("ann", "rshd -r shell", 0, `members with the right "shell"`)
		s.must("bob", "rsh ann 'whoami | grep name'", 0, "name: ann")
		s.must("carol", "rsh ann whoami", interp.StatusDenied, `does not have the right "shell"`)
		if status, out := s.run("eve", "rsh "+s.id("ann")+" whoami"); status == 0 || strings.Contains(out, "name: ann") {
			t.Errorf("status %d\n%s", status, out)
		}
		s.must("ann", "rshd -k; rshd --members", 0, "all members with a certificate")
		s.must("carol", "rsh ann 'whoami | grep name'", 0, "name: ann")
		if status, out := s.run("eve", "rsh "+s.id("ann")+" whoami"); status == 0 || strings.Contains(out, "name: ann") {
			t.Errorf("status %d\n%s", status, out)
		}
		s.must("ann", "revoke carol", 0)
		if status, out := s.run("carol", "rsh "+s.id("ann")+" whoami"); status == 0 || strings.Contains(out, "name: ann") {
			t.Errorf("status %d\n%s", status, out)
		}
	})
}

// TestLineForAnother: what is too long is told before it is sent, and the session goes on.
func TestLineForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreet(t, "rdv", "ann", "bob")
		s.must("ann", "rshd "+s.id("bob"), 0)
		s.must("bob", "rsh ann echo "+strings.Repeat("x", 5000), interp.StatusUsage, "4096 octets at most")
		s.shells["bob"].answers = []string{"echo " + strings.Repeat("x", 5000), "echo here", `echo "` + strings.Repeat("$stdgroup", 400) + `" | wc -l`, "~."}
		s.must("bob", "rsh ann", 0, "4096 octets at most", "here")
		s.must("bob", "env | rsh ann", interp.StatusUsage)
	})
}
