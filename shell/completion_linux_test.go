package shell_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/shell/terminal/terminaltest"
)

// TestCompletionInZsh types at a zsh in a pseudo-terminal: zsh completes nowhere
// else.
func TestCompletionInZsh(t *testing.T) {
	dir := completionFolder(t, "zsh")
	cmd := exec.Command("zsh", "-f", "-i")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir, "TERM=xterm", "PS1=ready> ")
	s := terminaltest.Start(t, 60, 120, cmd)
	has(s, "ready>")
	// What is found goes to a file, whatever the screen shows.
	s.Type("autoload -Uz compinit; compinit -D -u; source ./script\r")
	s.Type("compadd() { builtin compadd -O found \"$@\"; print -rl -- $found >> found; builtin compadd \"$@\" }\r")
	n := 0
	checkCompleted(t, func(words []string) []string {
		n++
		begin, end := fmt.Sprintf("set%d>", n), fmt.Sprintf("done%d>", n)
		s.Type("rm -f found; PS1='" + begin + " '\r")
		has(s, "\n"+begin)
		s.Type("juxta " + strings.Join(words, " ") + "\t\x15")
		s.Type("touch found; PS1='" + end + " '\r")
		s.Until(end, func(v *terminaltest.Screen) bool { return strings.HasSuffix(v.Text(), "\n"+end) })
		b, err := os.ReadFile(dir + "/found")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(b))
	})
	s.Type("exit\r")
	s.Wait()
}
