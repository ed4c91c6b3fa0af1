// Package jxsetest runs original JXTA 2.5 Java peers beside the peers of a
// test, to judge our wire by theirs.
//
// The environment variable JUXTA_JXSE_CP names a Java class path with JXTA 2.5;
// without it the tests are skipped. The driver program that turns lines of text
// into calls of the public JXTA API is in driver/Driver.java; its head and that
// of driver/Streams.java, driver/Trips.java and driver/ShellFiles.java tell the verbs.
package jxsetest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Variable names the class path of the Java peers.
const Variable = "JUXTA_JXSE_CP"

// callTimeout bounds one command whose own time limit is not larger.
const callTimeout = 90 * time.Second

// Java is one Java process, which can be one peer at a time. It ends with the
// test that started it.
type Java struct {
	t     testing.TB
	cmd   *exec.Cmd
	in    io.WriteCloser
	next  atomic.Int64
	ended chan struct{}

	mu     sync.Mutex
	calls  map[string]chan Record
	events []Record
	wake   chan struct{} // closed and replaced when an event comes
}

// Record is one line of the driver: an answer or an event.
type Record map[string]any

// Text returns a value as text, "" if it is absent.
func (r Record) Text(key string) string {
	switch v := r[key].(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprint(v)
	}
}

// Int returns a value as a number, 0 if it is absent.
func (r Record) Int(key string) int {
	v, _ := r[key].(float64)
	return int(v)
}

// Texts returns a list of texts.
func (r Record) Texts(key string) []string {
	var out []string
	list, _ := r[key].([]any)
	for _, v := range list {
		out = append(out, fmt.Sprint(v))
	}
	return out
}

// Records returns a list of objects.
func (r Record) Records(key string) []Record {
	var out []Record
	list, _ := r[key].([]any)
	for _, v := range list {
		if m, ok := v.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

var compiled struct {
	once sync.Once
	dir  string
	err  error
}

// Require skips the test, loudly, where no Java peers are to be had.
func Require(t testing.TB) {
	t.Helper()
	if os.Getenv(Variable) == "" {
		t.Skipf("SKIPPED: no live Java peers: set %s to a class path with JXTA 2.5", Variable)
	}
}

// Main runs the tests of a package and removes what compiling the driver left.
func Main(m *testing.M) {
	code := m.Run()
	if compiled.dir != "" {
		_ = os.RemoveAll(compiled.dir)
	}
	os.Exit(code)
}

func compile() (string, error) {
	compiled.once.Do(func() {
		_, file, _, _ := runtime.Caller(0)
		sources, err := filepath.Glob(filepath.Join(filepath.Dir(file), "driver", "*.java"))
		if err != nil {
			compiled.err = err
			return
		}
		if compiled.dir, compiled.err = os.MkdirTemp("", "jxsetest"); compiled.err != nil {
			return
		}
		args := append([]string{"-nowarn", "-cp", os.Getenv(Variable), "-d", compiled.dir}, sources...)
		out, err := exec.Command("javac", args...).CombinedOutput()
		if err != nil {
			compiled.err = fmt.Errorf("compiling the driver: %w\n%s", err, out)
		}
	})
	return compiled.dir, compiled.err
}

// Start starts a Java process that is there soon.
func Start(t testing.TB) *Java {
	t.Helper()
	return StartWith(t, "-XX:TieredStopAtLevel=1", "-Xmx256m")
}

// StartWith starts a Java process with options of the Java machine.
func StartWith(t testing.TB, options ...string) *Java {
	t.Helper()
	Require(t)
	dir, err := compile()
	if err != nil {
		t.Fatal(err)
	}
	cp := os.Getenv(Variable) + string(os.PathListSeparator) + dir
	level := os.Getenv("JUXTA_JXSE_LOG")
	if level == "" {
		level = "OFF"
	}
	j := &Java{
		t: t, calls: map[string]chan Record{}, wake: make(chan struct{}), ended: make(chan struct{}),
		cmd: exec.Command("java", append(options, "-Xshare:auto", "-Dfile.encoding=UTF-8", "-cp", cp, "Driver", "loglevel="+level)...),
	}
	j.cmd.Stderr = os.Stderr
	if level == "OFF" {
		j.cmd.Stderr = nil
	}
	if j.in, err = j.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := j.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := j.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go j.read(out)
	t.Cleanup(j.Kill)
	j.Await("ready", 30*time.Second, func(Record) bool { return true })
	return j
}

func (j *Java) read(out io.Reader) {
	defer close(j.ended)
	sc := bufio.NewScanner(out)
	sc.Buffer(nil, 64<<20)
	for sc.Scan() {
		var r Record
		if json.Unmarshal(sc.Bytes(), &r) != nil {
			continue
		}
		j.mu.Lock()
		if id := r.Text("id"); id != "" {
			if c := j.calls[id]; c != nil {
				c <- r
				delete(j.calls, id)
			}
		} else {
			j.events = append(j.events, r)
			close(j.wake)
			j.wake = make(chan struct{})
		}
		j.mu.Unlock()
	}
	_ = j.cmd.Wait()
}

// Kill ends the process at once, without a goodbye.
func (j *Java) Kill() {
	_ = j.cmd.Process.Kill()
	_ = j.in.Close()
	<-j.ended
}

// Call gives a command, key=value pairs in args, and returns the answer.
func (j *Java) Call(ctx context.Context, verb string, args ...string) (Record, error) {
	id := fmt.Sprintf("c%d", j.next.Add(1))
	line := id + " " + verb
	for _, a := range args {
		k, v, ok := strings.Cut(a, "=")
		if !ok {
			return nil, fmt.Errorf("jxsetest: argument %q is not key=value", a)
		}
		line += " " + escape(k) + "=" + escape(v)
	}
	answer := make(chan Record, 1)
	j.mu.Lock()
	j.calls[id] = answer
	j.mu.Unlock()
	if _, err := io.WriteString(j.in, line+"\n"); err != nil {
		return nil, err
	}
	select {
	case r := <-answer:
		if msg := r.Text("error"); msg != "" {
			return r, errors.New(verb + ": " + msg)
		}
		return r, nil
	case <-j.ended:
		return nil, errors.New(verb + ": the Java process has ended")
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: no answer of the driver: %w", verb, context.Cause(ctx))
	}
}

func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// Do is Call for tests: it fails the test on an error.
func (j *Java) Do(verb string, args ...string) Record {
	j.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	r, err := j.Call(ctx, verb, args...)
	if err != nil {
		j.t.Fatalf("java: %v", err)
	}
	return r
}

// Await waits for an event of that kind, past or to come, for which ok holds.
func (j *Java) Await(event string, limit time.Duration, ok func(Record) bool) Record {
	j.t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	from := 0
	for {
		j.mu.Lock()
		list, wake := j.events[from:], j.wake
		from = len(j.events)
		j.mu.Unlock()
		for _, r := range list {
			if r.Text("event") == event && ok(r) {
				return r
			}
		}
		select {
		case <-wake:
		case <-j.ended:
			j.t.Fatalf("java: the process ended while waiting for %q", event)
		case <-timer.C:
			j.t.Fatalf("java: no event %q within %v", event, limit)
		}
	}
}

// Events returns the events of that kind which came so far, in order.
func (j *Java) Events(event string) []Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []Record
	for _, r := range j.events {
		if r.Text("event") == event {
			found = append(found, r)
		}
	}
	return found
}

// FreePort returns a TCP port of the loopback interface that was free a moment
// ago.
func FreePort(t testing.TB) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().(*net.TCPAddr).Port
}
