package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/shell/terminal/terminaltest"
)

// consoles returns the lines of each console block of the README.
func consoles(readme string) (blocks [][]string) {
	for _, part := range strings.Split(readme, "```console\n")[1:] {
		text, _, _ := strings.Cut(part, "\n```")
		blocks = append(blocks, strings.Split(text, "\n"))
	}
	return blocks
}

// likely turns a line of the README into what must appear: IDs and addresses
// are other ones here.
func likely(line string) *regexp.Regexp {
	q := regexp.QuoteMeta(line)
	for _, mask := range []struct{ is, becomes string }{
		{`\b[0-9A-F]{8}\b`, `[0-9A-F]{8}`},
		{`tcp://[0-9\\.]+:97\d\d`, `tcp://[0-9.]+:97\d\d`},
	} {
		q = regexp.MustCompile(mask.is).ReplaceAllLiteralString(q, mask.becomes)
	}
	return regexp.MustCompile(`(?m)^` + q + `\s*$`)
}

// terminals plays console blocks in pseudo-terminals, one for each line that
// starts a program, in the order of the README. A block without such a line goes
// on in the first terminal.
func terminals(t *testing.T, blocks [][]string, start func(args ...string) *exec.Cmd) {
	const prompt = "JXTA> "
	var first, now *terminaltest.Session
	for _, block := range blocks {
		now = first
		for _, line := range block {
			if args, ok := strings.CutPrefix(line, "$ go run ./shell/juxta"); ok {
				now = terminaltest.Start(t, 40, 120, start(strings.Fields(args)...))
				if first == nil {
					first = now
				}
				continue
			}
			if now == nil {
				t.Fatalf("no program runs before %q", line)
			}
			want := likely(line)
			if command, ok := strings.CutPrefix(line, prompt); ok {
				now.Until("a prompt before "+line, func(v *terminaltest.Screen) bool {
					return strings.HasSuffix(strings.TrimRight(v.Text(), " \n"), strings.TrimSpace(prompt))
				})
				now.Type(command + "\r")
			}
			now.Until(line, func(v *terminaltest.Screen) bool { return want.MatchString(v.Text()) })
		}
	}
}

// TestREADME plays the session on the first screen of the README.
func TestREADME(t *testing.T) {
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
	terminals(t, blocks, func(args ...string) *exec.Cmd { return m.command(home, append([]string{binary}, args...)...) })
}

func TestTheREADMETestBites(t *testing.T) {
	for line, screens := range map[string][2]string{
		"ann, edge, peer 26336E0D":          {"ann, edge, peer 01234567", "ann, rendezvous, peer 01234567"},
		"listening on tcp://192.0.2.7:9701": {"listening on tcp://127.0.0.1:9703", "listening on http://127.0.0.1:9703"},
		"# talk - bob to ann> hello":        {"JXTA> \n# talk - bob to ann> hello\n", "# talk - bob to ann> hello there"},
		"peer0     ann   26336E0D  no":      {"peer0     ann   ABCDEF01  no ", "peer0     eve   ABCDEF01  no"},
	} {
		if r := likely(line); !r.MatchString(screens[0]) || r.MatchString(screens[1]) {
			t.Errorf("%q: %v", line, r)
		}
	}
}

// TestTheProgramOfTheREADME runs the example that the README shows, and checks
// that it shows that.
func TestTheProgramOfTheREADME(t *testing.T) {
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
	n := 0
	ann.Until("a line of bob", func(v *terminaltest.Screen) bool {
		bob.Type(fmt.Sprintf("hello %d\n", n)) // until they know each other nobody hears it
		n++
		return strings.Contains(v.Text(), "bob: hello ")
	})
}
