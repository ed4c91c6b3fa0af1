//go:build linux

package reachtest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestShell has the program itself, behind two routers: one user registers, the
// other talks to them by name, and is answered.
func TestShell(t *testing.T) {
	t.Parallel()
	l := newLab(t) // which skips the test where there can be none
	program := filepath.Join(t.TempDir(), "juxta")
	build, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(build, "go", "build", "-o", program, "../../shell/juxta").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	relay := l.host("relay", 1)
	l.router("ra", 1, symmetric)
	l.router("rb", 2, portRestricted)
	l.behind("ra", "ann", 1, 2)
	l.behind("rb", "bob", 2, 2)
	r := l.shell(program, "relay", "--role", "rendezvous,relay", "--listen", fmt.Sprint("tcp://0.0.0.0:", tcpPort))
	r.say(`whoami`)
	r.wait(20*time.Second, r.out, func(m map[string]any) bool { return m["role"] != nil })
	bob := l.shell(program, "bob", "--seed", fmt.Sprintf("tcp://%s:%d", relay, tcpPort))
	bob.say(`talk -register bob; talk -login bob; echo ready`)
	bob.wait(20*time.Second, bob.out, func(m map[string]any) bool { return m["text"] == "ready" })
	began := time.Now()
	ann := l.shell(program, "ann", "--seed", fmt.Sprintf("tcp://%s:%d", relay, tcpPort))
	ann.say(`talk -register ann; talk -login ann; talk -w 30s bob hello`)
	bob.wait(30*time.Second, bob.err, said("ann", "hello"))
	took := time.Since(began)
	bob.say(`talk -w 30s ann hello yourself`)
	ann.wait(30*time.Second, ann.err, said("bob", "hello yourself"))
	t.Logf("the first word came %s after the program was started", round(took))
	for _, s := range []*shell{ann, bob, r} {
		if err := s.stop(); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	}
}

// said looks for the notice of what somebody says.
func said(from, text string) func(map[string]any) bool {
	return func(m map[string]any) bool {
		n, _ := m["notice"].(map[string]any)
		return n["from"] == from && n["message"] == text
	}
}

// shell is the program in a namespace, driven through pipes.
type shell struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  chan map[string]any
	err  chan map[string]any
	done sync.WaitGroup
	once sync.Once
	end  error
}

// shellLines is how many lines of a shell may wait to be looked at.
const shellLines = 1000

func (l *lab) shell(program, space string, args ...string) *shell {
	l.t.Helper()
	args = append([]string{"netns", "exec", l.prefix + space, program, "--name", space, "--home", l.t.TempDir(),
		"--lan", "off", "--multicast", "off", "--json", "-k"}, args...)
	s := &shell{t: l.t, name: space, cmd: exec.Command("ip", args...), out: make(chan map[string]any, shellLines), err: make(chan map[string]any, shellLines)}
	s.cmd.Env = append(os.Environ(), "TERM=dumb")
	var err1, err2, err3 error
	var out, faults io.Reader
	s.in, err1 = s.cmd.StdinPipe()
	out, err2 = s.cmd.StdoutPipe()
	faults, err3 = s.cmd.StderrPipe()
	if err1 != nil || err2 != nil || err3 != nil {
		l.t.Fatal(err1, err2, err3)
	}
	if err := s.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	s.done.Go(func() { pass(out, s.out) })
	s.done.Go(func() { pass(faults, s.err) })
	l.t.Cleanup(func() { _ = s.stop() })
	return s
}

// pass hands on the lines that are JSON objects, as long as somebody may want them.
func pass(from io.Reader, to chan<- map[string]any) {
	defer close(to)
	for lines := bufio.NewScanner(from); lines.Scan(); {
		var m map[string]any
		if json.Unmarshal(lines.Bytes(), &m) != nil {
			continue
		}
		select {
		case to <- m:
		default:
		}
	}
}

func (s *shell) say(commands string) {
	s.t.Helper()
	if _, err := io.WriteString(s.in, commands+"\n"); err != nil {
		s.t.Fatalf("%s: %v", s.name, err)
	}
}

// wait waits for a line.
func (s *shell) wait(limit time.Duration, from <-chan map[string]any, ok func(map[string]any) bool) {
	s.t.Helper()
	over := time.NewTimer(limit)
	defer over.Stop()
	var seen []map[string]any
	for {
		select {
		case m, open := <-from:
			if !open {
				s.t.Fatalf("%s has ended; it said %v", s.name, seen)
			}
			if ok(m) {
				return
			}
			seen = append(seen, m)
		case <-over.C:
			s.t.Fatalf("%s does not say it; it said %v", s.name, seen)
		}
	}
}

// stop ends the program.
func (s *shell) stop() error {
	s.once.Do(func() {
		_ = s.in.Close()
		kill := time.AfterFunc(10*time.Second, func() { _ = s.cmd.Process.Kill() })
		defer kill.Stop()
		s.done.Wait()
		s.end = s.cmd.Wait()
	})
	return s.end
}
