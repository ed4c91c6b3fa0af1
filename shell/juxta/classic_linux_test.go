package main_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juxta-p2p/juxta/shell/terminal/terminaltest"
)

var update = flag.Bool("update", false, "write what the terminals show into testdata")

// masks are what differs from run to run.
var masks = []struct {
	pattern *regexp.Regexp
	by      string
}{
	{regexp.MustCompile(`urn:jxta:[a-zA-Z0-9-]+`), "<id>"},
	{regexp.MustCompile(`\b[0-9A-F]{8}\b`), "<short>"},
	{regexp.MustCompile(`\b(\d+m)?\d+(\.\d+)?s\b|\b\d+m\b`), "<time>"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "<address>"},
	{regexp.MustCompile(` +`), " "}, // columns are as wide as IDs are
}

func masked(row string) string {
	for _, m := range masks {
		row = m.pattern.ReplaceAllString(row, m.by)
	}
	return strings.TrimSpace(row)
}

// TestTmuxClassics types the sessions by which JXTA has been taught, at a rendezvous R and two edges A
// and B, and compares what the terminals show with testdata/classic.txt. There, "A> " leads
// what is typed at A, "A| " what is typed into a conversation, "A: " what A shows later on.
func TestTmuxClassics(t *testing.T) {
	t.Parallel()
	const file = "testdata/classic.txt"
	script, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	at := map[string]*terminaltest.Tmux{}
	for _, name := range []string{"R", "A", "B"} {
		args := []string{"--name", name, "--seed", "tcp://127.0.0.1:" + port}
		if name == "R" {
			args = []string{"--name", name, "--role", "rendezvous", "--listen", "tcp://127.0.0.1:" + port}
		}
		home := t.TempDir()
		at[name] = sitDown(t, home, nil, args...)
		for text, content := range map[string]string{"hello.txt": "hello from another peer\n", "doc.xml": "<doc><a>b</a></doc>\n"} {
			if err := os.WriteFile(filepath.Join(home, text), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	// All have a lease before the first line.
	at["R"].Enter("for i in 1 2 3 4 5 6 7 8 9 10; do rdvstatus | grep -c client | grep 2 || sleep 500; done; echo all here")
	at["R"].Line("all here")

	var out strings.Builder
	typed := regexp.MustCompile(`^([RAB])([>|:]) (.*)$`)
	n := 0
	for line := range strings.Lines(string(script)) {
		m := typed.FindStringSubmatch(strings.TrimRight(line, "\n"))
		switch {
		case m == nil && (line == "\n" || strings.HasPrefix(line, "//")):
			out.WriteString(line)
		case m == nil: // what was shown
		case m[2] == ":":
			at[m[1]].Wait(m[3], func(all string) bool {
				return slices.ContainsFunc(strings.Split(all, "\n"), func(row string) bool { return masked(row) == m[3] })
			})
			out.WriteString(line)
		case m[2] == "|":
			at[m[1]].Enter(m[3])
			out.WriteString(line)
			if m[3] == "." {
				n++
				at[m[1]].Enter(fmt.Sprintf("echo end-%d", n))
				at[m[1]].Line(fmt.Sprintf("end-%d", n))
			}
		case strings.HasSuffix(m[3], "…"): // a conversation
			at[m[1]].Enter(strings.TrimSuffix(m[3], "…"))
			at[m[1]].Until("a single dot ends")
			out.WriteString(line)
		default:
			n++
			out.WriteString(line)
			out.WriteString(answer(at[m[1]], m[3], n))
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(strings.Split(string(script), "\n"), strings.Split(out.String(), "\n")); d != "" {
		t.Errorf("- wanted, + seen; go test -run Classics -update accepts\n%s", d)
	}
}

// answer types a line and returns what the terminal shows up to the next prompt, but not what others say
// meanwhile.
func answer(m *terminaltest.Tmux, line string, n int) string {
	end := fmt.Sprintf("end-%d", n)
	m.Enter(line + "; echo " + end) // on a line of its own the terminal might echo it into the answer
	rows := strings.Split(m.Line(end), "\n")
	stop := slices.IndexFunc(rows, func(row string) bool { return strings.TrimSpace(row) == end })
	start := stop
	for start > 0 && !(strings.Contains(rows[start], "> "+line+"; echo "+end)) {
		start--
	}
	var b strings.Builder
	for _, row := range rows[start+1 : stop] {
		row = masked(row)
		if row == "" || strings.HasPrefix(row, "# talk - ") {
			continue
		}
		b.WriteString(row + "\n")
	}
	return b.String()
}

// TestTmuxCompletion: Tab completes commands and options, and tells what they are.
func TestTmuxCompletion(t *testing.T) {
	t.Parallel()
	m := sitDown(t, t.TempDir(), nil)
	m.Type("rdvst")
	m.Until("tells the role in the current group")
	m.Keys("Tab", "Enter")
	m.Until("NetPeerGroup")
	m.Type("transports -")
	m.Keys("Tab")
	m.Until("the links instead")
	m.Keys("C-u")
	m.Enter("talkers = 'nobody'")
	m.Type("cat talk")
	m.Keys("Tab")
	m.Until("talkers")
	m.Keys("C-u")
	m.Enter("echo still whole")
	m.Line("still whole")
}

// TestTmuxPeerKilled: a peer that is killed in the middle of a conversation is told to the other
// one within its time limit, and the shell goes on.
func TestTmuxPeerKilled(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	ann := sitDown(t, t.TempDir(), nil, "--name", "ann", "--role", "rendezvous", "--listen", "tcp://127.0.0.1:"+port)
	home := t.TempDir()
	bob := sitDown(t, home, nil, "--name", "bob", "--seed", "tcp://127.0.0.1:"+port)
	bob.Enter("peers -r")
	bob.Until("VARIABLE")
	ann.Enter("talk -w 3s bob")
	ann.Until("a single dot ends")
	ann.Enter("are you there?")
	bob.Until("# talk - ann to bob> are you there?")
	b, err := os.ReadFile(filepath.Join(home, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	bob.Until("status=137")
	begun := time.Now()
	ann.Enter("and now?")
	ann.Until("# talk - cannot reach bob")
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("told after %v", took)
	}
	ann.Enter("echo goes on")
	ann.Line("goes on")
}
