package docs_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// block is a piece of README.md between fences.
type block struct {
	info string // what stands behind the opening fence
	text string
}

// blocks returns the fenced blocks of a text.
func blocks(text string) (all []block) {
	var open *block
	for line := range strings.Lines(text) {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case !fence && open != nil:
			open.text += line
		case fence && open != nil:
			all, open = append(all, *open), nil
		case fence:
			open = &block{info: strings.TrimSpace(info)}
		}
	}
	return all
}

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestBlocks(t *testing.T) {
	got := blocks("a\n```\nb\n\nc\n```\n```console ann\nd\n```\n```go\nnever closed\n")
	if len(got) != 2 || got[0] != (block{"", "b\n\nc\n"}) || got[1] != (block{"console ann", "d\n"}) {
		t.Fatalf("%q", got)
	}
}

// TestReadmeBegins: the first two commands are all that a fresh machine needs.
func TestReadmeBegins(t *testing.T) {
	var commands []string
	for line := range strings.Lines(blocks(readme(t))[0].text) {
		command, _, _ := strings.Cut(line, "#")
		commands = append(commands, strings.TrimSpace(command))
	}
	if got := strings.Join(commands, "; "); got != "go run ./shell/juxta; go test ./..." {
		t.Errorf("README.md begins with %q", got)
	}
}

var link = regexp.MustCompile(`\]\(([^):]+)\)`)

func TestReadmeLinksLeadSomewhere(t *testing.T) {
	found := link.FindAllStringSubmatch(readme(t), -1)
	for _, m := range found {
		if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(m[1]))); err != nil {
			t.Error(err)
		}
	}
	if len(found) < 5 {
		t.Errorf("only %d links", len(found))
	}
}

// goBuild builds packages or files, as seen from the root, and returns the program.
func goBuild(t *testing.T, what string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "program.exe") // Windows wants the suffix, others do not mind
	cmd := exec.Command("go", "build", "-o", out, what)
	cmd.Dir = ".."
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", what, err, text)
	}
	return out
}

// isolated returns what makes commands for a machine without any network but
// loopback, where peers may look for others as they do by default. It skips the
// test where there can be none.
func isolated(t *testing.T) func(args ...string) *exec.Cmd {
	t.Helper()
	const reason = "NOT TESTED: what README.md shows is run in a network namespace only, since peers multicast; "
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip(reason + "that needs Linux and root")
	}
	for _, tool := range []string{"unshare", "nsenter", "ip", "cat"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(reason, err)
		}
	}
	holder := exec.Command("unshare", "-n", "sh", "-c", "ip link set lo up && echo ready && exec cat")
	in, err := holder.StdinPipe() // cat ends when this is closed, also by our death
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = holder.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Skip(reason+"there can be none:", err)
	}
	namespace := "--net=/proc/" + strconv.Itoa(holder.Process.Pid) + "/ns/net"
	home, meeting := t.TempDir(), t.TempDir()
	return func(args ...string) *exec.Cmd {
		cmd := exec.Command("nsenter", append([]string{namespace}, args...)...)
		cmd.Env = []string{"HOME=" + home, "XDG_RUNTIME_DIR=" + meeting, "PATH=" + os.Getenv("PATH"), "TERM=xterm-256color"}
		return cmd
	}
}

// TestReadmeProgram builds the program in README.md, and runs it.
func TestReadmeProgram(t *testing.T) {
	t.Parallel()
	text := readme(t)
	var source string
	for _, b := range blocks(text) {
		if b.info == "go" {
			source += b.text
		}
	}
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	program := goBuild(t, file)
	if out, err := exec.Command("gofmt", "-l", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("gofmt would change the program: %v", err)
	}
	got, err := isolated(t)(program).CombinedOutput()
	said := strings.TrimSpace(string(got))
	if err != nil || said == "" || !strings.Contains(text, "It prints `"+said+"`") {
		t.Errorf("it printed %q, %v", got, err)
	}
}
