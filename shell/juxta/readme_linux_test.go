package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/shell/terminal/terminaltest"
)

// console is a block of a page: what is typed and shown in a terminal.
type console struct {
	at   string // whose terminal; empty: a new one if a program is started, otherwise the first
	text string
}

// consoles returns the console blocks of a page.
func consoles(page string) (blocks []console) {
	for _, part := range strings.Split(page, "\n```console")[1:] {
		at, rest, _ := strings.Cut(part, "\n")
		text, _, _ := strings.Cut(rest, "```")
		blocks = append(blocks, console{strings.TrimSpace(at), text})
	}
	return blocks
}

// shapes are what differs from run to run, and what stands for it when screens
// are compared.
var shapes = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`urn:jxta:(cbid|uuid)-[0-9A-F]+`), "urn:jxta:$1-…"},
	{regexp.MustCompile(`\b[0-9A-F]{8}\b`), "########"},
	{regexp.MustCompile(`tcp://[0-9.]+:97[0-9]{2}\b`), "tcp://…"},
	{regexp.MustCompile(`\S+/\.config/juxta`), "….config/juxta"},
}

// shape returns a session without what differs from run to run.
func shape(session string) string {
	for _, s := range shapes {
		session = s.pattern.ReplaceAllString(session, s.instead)
	}
	return session
}

// desk is a terminal at which somebody follows the README.
type desk struct {
	*terminaltest.Session
	shown []string // what the README shows of it so far
}

// prompt is what a screen ends with when nothing runs.
var prompt = regexp.MustCompile(`JXTA[^>\n]*>$`)

// settled waits until the screen is what the page shows, and a prompt.
func (d *desk) settled() {
	want := shape(strings.Join(append(d.shown, ""), "\n"))
	d.Until(want+"and a prompt", func(v *terminaltest.Screen) bool {
		got := shape(v.Text())
		return prompt.MatchString(got) && prompt.ReplaceAllString(got, "") == want
	})
}

// typed finds what is typed in a line of a session.
var typed = regexp.MustCompile(`^JXTA[^>]*> (.+)$`)

// started finds the program and its options in a line that starts one.
var started = regexp.MustCompile(`^\$ (?:go run ./shell/)?(\w+)(.*)$`)

// rows are those of the terminals: enough for a page, so that nothing scrolls away.
const rows = 100

// follow plays console blocks in pseudo-terminals, one for each line that starts
// a program. Screens must be to the letter what the blocks show, but for shapes.
func follow(t *testing.T, blocks []console, start func(program string, args ...string) *exec.Cmd) {
	t.Helper()
	desks := map[string]*desk{}
	for _, block := range blocks {
		if block.at == plain {
			commandLines(t, block.text, start)
			continue
		}
		now := desks[block.at]
		for line := range strings.Lines(block.text) {
			line = strings.TrimRight(line, "\n")
			if m := started.FindStringSubmatch(line); m != nil {
				now = &desk{Session: terminaltest.Start(t, rows, 120, start(m[1], strings.Fields(m[2])...))}
				if desks[block.at] == nil {
					desks[block.at] = now
				}
				continue
			}
			if now == nil {
				t.Fatalf("no program runs before %q", line)
			}
			if m := typed.FindStringSubmatch(line); m != nil {
				now.settled()
				now.Type(m[1] + "\r")
			}
			now.shown = append(now.shown, line)
		}
		now.settled()
	}
}

// plain is where a block is typed that is for the shell of the system.
const plain = "sh"

// commandLines runs the lines of a block that begin with a dollar sign by the shell of
// the system, and compares what they print.
func commandLines(t *testing.T, block string, start func(program string, args ...string) *exec.Cmd) {
	t.Helper()
	for _, part := range strings.Split("\n"+block, "\n$ ")[1:] {
		line, want, _ := strings.Cut(part, "\n")
		out, _ := start("sh", "-c", line).CombinedOutput() // what it prints tells of failures
		if got := strings.TrimSpace(string(out)); shape(got) != shape(strings.TrimSpace(want)) {
			t.Errorf("$ %s\n%s\nwant\n%s", line, got, want)
		}
	}
}

// TestREADME plays the session on the first screen of the README.
func TestREADME(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := consoles(string(b))
	if len(blocks) != 3 {
		t.Fatalf("%d console blocks, want 3", len(blocks))
	}
	if first, _, _ := strings.Cut(string(b), "## A program"); strings.Count(first, "\n") > 60 {
		t.Errorf("the session is not on the first screen")
	}
	m := newMachine(t)
	home := t.TempDir()
	follow(t, blocks, func(_ string, args ...string) *exec.Cmd { return m.command(home, append([]string{binary}, args...)...) })
}

func TestTheREADMETestBites(t *testing.T) {
	for line, screens := range map[string][2]string{
		"ann, edge, peer 26336E0D":          {"ann, edge, peer 01234567", "ann, rendezvous, peer 01234567"},
		"listening on tcp://192.0.2.7:9701": {"listening on tcp://127.0.0.1:9703", "listening on http://127.0.0.1:9703"},
		"# talk - bob to ann> hello":        {"# talk - bob to ann> hello", "# talk - bob to ann> hello there"},
		"peer0     ann   26336E0D  no":      {"peer0     ann   ABCDEF01  no", "peer0     eve   ABCDEF01  no"},
		"is bob in ~/.config/juxta-2":       {"is bob in /home/bob/.config/juxta-2", "is bob in /home/bob/juxta-2"},
	} {
		if want := shape(line); shape(screens[0]) != want || shape(screens[1]) == want {
			t.Errorf("%q: %q, %q", want, shape(screens[0]), shape(screens[1]))
		}
	}
}

// TestTheProgramOfTheREADME runs the example that the README shows, and checks
// that it shows that.
func TestTheProgramOfTheREADME(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("../../docs/examples/wall/main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(readme), "```go\n")
	code, _, _ = strings.Cut(code, "```")
	if !strings.HasSuffix(string(source), code) || code == "" {
		t.Fatal("the README shows another program than docs/examples/wall")
	}
	wall := filepath.Join(t.TempDir(), "wall")
	if out, err := exec.Command("go", "build", "-o", wall, "../../docs/examples/wall").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m := newMachine(t)
	run := func(user string) *terminaltest.Session {
		cmd := m.command(t.TempDir(), wall)
		cmd.Env = append(cmd.Env, "USER="+user)
		return terminaltest.Start(t, 20, 80, cmd)
	}
	ann, bob := run("ann"), run("bob")
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	deadline := time.Now().Add(patience)
	for n := 0; !strings.Contains(ann.Text(), "bob: hello "); n++ {
		if time.Now().After(deadline) {
			t.Fatalf("ann never read a line of bob, but:\n%s\nand bob:\n%s", ann.Text(), bob.Text())
		}
		bob.Type(fmt.Sprintf("hello %d\n", n)) // until they know each other nobody hears it
		<-again.C
	}
}
