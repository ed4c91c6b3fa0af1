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

// consoles returns the console blocks of the README.
func consoles(readme string) (blocks []string) {
	for _, part := range strings.Split(readme, "```console\n")[1:] {
		text, _, _ := strings.Cut(part, "```")
		blocks = append(blocks, text)
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

// settled waits until the screen is what the README shows, and a prompt.
func (d *desk) settled() {
	want := shape(strings.Join(append(d.shown, "JXTA>"), "\n"))
	d.Until(want, func(v *terminaltest.Screen) bool { return shape(v.Text()) == want })
}

// typed finds what is typed in a line of a session.
var typed = regexp.MustCompile(`^JXTA[^>]*> (.+)$`)

// follow plays console blocks in pseudo-terminals, one for each line that starts
// a program. A block without such a line goes on in the first terminal. Screens
// must be to the letter what the blocks show, but for shapes.
func follow(t *testing.T, blocks []string, start func(args ...string) *exec.Cmd) {
	t.Helper()
	var first *desk
	for _, block := range blocks {
		now := first
		for line := range strings.Lines(block) {
			line = strings.TrimRight(line, "\n")
			if args, ok := strings.CutPrefix(line, "$ go run ./shell/juxta"); ok {
				now = &desk{Session: terminaltest.Start(t, 40, 120, start(strings.Fields(args)...))}
				if first == nil {
					first = now
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
	follow(t, blocks, func(args ...string) *exec.Cmd { return m.command(home, append([]string{binary}, args...)...) })
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
