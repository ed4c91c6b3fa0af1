package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// object is a line of JSON.
type object map[string]any

// text returns a field that is a text.
func (o object) text(name string) string {
	s, _ := o[name].(string)
	return s
}

// within returns the object in a field, nil if there is none.
func (o object) within(name string) object {
	m, _ := o[name].(map[string]any)
	return m
}

// shell is a running juxta that reads commands from a pipe and writes JSON.
type shell struct {
	t       *testing.T
	name    string
	cmd     *exec.Cmd
	in      io.WriteCloser
	readers sync.WaitGroup
	gone    bool      // the process has ended, or will in a moment
	began   time.Time // when the process was started
	asked   int       // commands that were given by do

	mu           sync.Mutex
	changed      *sync.Cond
	rows, alerts []object // standard output; standard error
	seen         int      // rows that were looked at by next
	end          bool     // standard output was closed
}

// open starts a shell. The end of the test ends it, and it is an error if that
// cannot be done politely.
func open(t *testing.T, name string, cmd *exec.Cmd) *shell {
	t.Helper()
	s := &shell{t: t, name: name, cmd: cmd}
	s.changed = sync.NewCond(&s.mu)
	cmd.Args = append(cmd.Args, "--json", "-k", "--name", name)
	var err error
	if s.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.began = time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.readers.Go(func() { s.read(out, &s.rows); s.ended() })
	s.readers.Go(func() { s.read(errs, &s.alerts) })
	t.Cleanup(s.close)
	return s
}

// read collects the objects of a stream.
func (s *shell) read(r io.Reader, to *[]object) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var o object
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			s.t.Errorf("%s wrote what is no JSON: %q", s.name, lines.Text())
		}
		s.mu.Lock()
		*to = append(*to, o)
		s.changed.Broadcast()
		s.mu.Unlock()
	}
}

func (s *shell) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end = true
	s.changed.Broadcast()
}

// close ends the shell and waits for it.
func (s *shell) close() {
	if s.gone {
		return
	}
	s.gone = true
	_ = s.in.Close()
	kill := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	defer kill.Stop()
	s.readers.Wait()
	_ = s.cmd.Wait()
	if code := s.cmd.ProcessState.ExitCode(); code < 0 || code == 1 {
		s.t.Errorf("%s did not end well: %v, %v", s.name, s.cmd.ProcessState, s.lately())
	}
}

// interrupt ends the shell while a command runs, and returns what it had written
// that nobody has looked at.
func (s *shell) interrupt() []object {
	s.t.Helper()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		s.t.Fatal(err)
	}
	s.close()
	if code := s.cmd.ProcessState.ExitCode(); code != 130 {
		s.t.Errorf("%s ended with status %d after SIGINT", s.name, code)
	}
	return s.rows[s.seen:]
}

// kill ends the process without any chance to say goodbye.
func (s *shell) kill() {
	s.t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	s.gone = true
	_ = s.in.Close()
	s.readers.Wait()
	_ = s.cmd.Wait()
}

// say types lines without waiting for what they do.
func (s *shell) say(lines ...string) {
	s.t.Helper()
	if _, err := io.WriteString(s.in, strings.Join(lines, "\n")+"\n"); err != nil {
		s.t.Fatalf("%s: %v; %v", s.name, err, s.lately())
	}
}

// next returns the next object on standard output.
func (s *shell) next(deadline time.Time) (object, error) {
	late := time.AfterFunc(time.Until(deadline), s.changed.Broadcast)
	defer late.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.seen == len(s.rows) {
		if s.end || !time.Now().Before(deadline) {
			return nil, fmt.Errorf("%s writes no more; errors: %v", s.name, s.alerts)
		}
		s.changed.Wait()
	}
	s.seen++
	return s.rows[s.seen-1], nil
}

// do runs a command line and returns what it wrote, and its exit status.
func (s *shell) do(line string) (rows []object, status string) {
	s.t.Helper()
	s.asked++
	mark := fmt.Sprintf("end of command %d, status ", s.asked)
	s.say(line, `echo "`+mark+`$?"`)
	deadline := time.Now().Add(patience)
	for {
		o, err := s.next(deadline)
		if err != nil {
			s.t.Fatalf("%q: %v", line, err)
		}
		if status, ok := strings.CutPrefix(o.text("text"), mark); ok {
			return rows, status
		}
		rows = append(rows, o)
	}
}

// must is do for commands that may not fail.
func (s *shell) must(line string) []object {
	s.t.Helper()
	rows, status := s.do(line)
	if status != "0" {
		s.t.Fatalf("%s: %q has status %s; errors: %v", s.name, line, status, s.lately())
	}
	return rows
}

// heard returns what came on standard error.
func (s *shell) heard() []object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]object(nil), s.alerts...)
}

// hears waits until something comes on standard error that is wanted.
func (s *shell) hears(what string, wanted func(object) bool) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	late := time.AfterFunc(patience, s.changed.Broadcast)
	defer late.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for seen := 0; ; {
		for ; seen < len(s.alerts); seen++ {
			if wanted(s.alerts[seen]) {
				return
			}
		}
		if s.end || !time.Now().Before(deadline) {
			s.t.Fatalf("%s never heard %s, but: %v", s.name, what, s.alerts)
		}
		s.changed.Wait()
	}
}

// hearsTalk waits for words of talk.
func (s *shell) hearsTalk(from, words string) {
	s.t.Helper()
	s.hears(words, func(o object) bool {
		n := o.within("notice")
		return n.text("from") == from && n.text("to") == s.name && n.text("message") == words
	})
}

// lately returns the last things that came on standard error.
func (s *shell) lately() []object {
	const enough = 5
	all := s.heard()
	return all[max(0, len(all)-enough):]
}

// until repeats a command until one of its rows is wanted, and returns that.
func (s *shell) until(deadline time.Time, line string, wanted func(object) bool) object {
	s.t.Helper()
	for {
		rows, _ := s.do(line + "; sleep 20ms")
		for _, o := range rows {
			if wanted(o) {
				return o
			}
		}
		if !time.Now().Before(deadline) {
			s.t.Fatalf("%s: %q never gave what was wanted, at last %v; errors: %v", s.name, line, rows, s.lately())
		}
	}
}

// named tells whether an object has that name.
func named(name string) func(object) bool {
	return func(o object) bool { return o.text("name") == name }
}
