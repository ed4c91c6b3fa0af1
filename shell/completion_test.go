package shell_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// completed are command lines and what completes their last word. The rest of the
// suggestions does not matter.
var completed = []struct {
	words []string
	want  []string
	not   []string
}{
	{[]string{"pe"}, []string{"peers", "peerinfo"}, []string{"up"}},
	{[]string{"u"}, []string{"up", "unset"}, []string{"down"}},
	{[]string{"--mu"}, []string{"--multicast"}, nil},
	{[]string{"--lan", ""}, []string{"on", "off"}, []string{"peers"}},
	{[]string{"--lan", "off", "--rol"}, []string{"--role"}, nil},
	{[]string{"--lan", "off", "whoa"}, []string{"whoami"}, nil},
	{[]string{"peers", "--"}, []string{"--remote", "--json", "--help"}, []string{"--lan"}},
	{[]string{"--lan", "off", "recv", "--f"}, []string{"--follow"}, nil},
	{[]string{"up", "--mu"}, []string{"--multicast"}, nil},
	{[]string{"up", "--quic", ""}, []string{"on", "off"}, nil},
	{[]string{"completion", ""}, []string{"bash", "zsh", "fish"}, []string{"peers"}},
	{[]string{"help", "rdvs"}, []string{"rdvstatus"}, nil},
	{[]string{"completion-tes"}, []string{"completion-test"}, nil}, // a program on the path
	{[]string{"down", ""}, []string{"ann"}, []string{"peers"}},
	{[]string{"--attach", "a"}, []string{"ann"}, nil},
}

// completionFolder is where a completion script and programs for it lie.
func completionFolder(t *testing.T, shell string) string {
	t.Helper()
	if _, err := exec.LookPath(shell); err != nil {
		t.Skipf("NOT TESTED: completion in %s, which is not installed", shell)
	}
	dir := t.TempDir()
	status, script, errs := run(t, "", "completion", shell)
	if status != 0 || errs != "" {
		t.Fatalf("%d, %s", status, errs)
	}
	for name, text := range map[string]string{
		"script": script, "juxta-completion-test": "#!/bin/sh\n",
		"juxta": "#!/bin/sh\n[ \"$1\" = running ] && printf 'ann\\t1\\n'\n", // as if one peer ran
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// shellRun runs a script of a system's shell in a folder that is on its path.
func shellRun(t *testing.T, dir, shell string, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), shell, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", shell, args, err, out)
	}
	return strings.Fields(string(out))
}

func checkCompleted(t *testing.T, complete func(words []string) []string) {
	t.Helper()
	for _, tt := range completed {
		got := complete(tt.words)
		for _, w := range tt.want {
			if !slices.Contains(got, w) {
				t.Errorf("%q: %q is missing in %q", tt.words, w, got)
			}
		}
		for _, w := range tt.not {
			if slices.Contains(got, w) {
				t.Errorf("%q: %q is in %q", tt.words, w, got)
			}
		}
	}
}

func TestCompletionInBash(t *testing.T) {
	dir := completionFolder(t, "bash")
	checkCompleted(t, func(words []string) []string {
		const text = `source ./script; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); $(complete -p juxta | sed 's/.*-F \([^ ]*\) .*/\1/') juxta; printf '%s\n' "${COMPREPLY[@]}"`
		return shellRun(t, dir, "bash", append([]string{"--norc", "-c", text, "bash", "juxta"}, words...)...)
	})
}

func TestCompletionInFish(t *testing.T) {
	dir := completionFolder(t, "fish")
	checkCompleted(t, func(words []string) []string {
		out := shellRun(t, dir, "fish", "--no-config", "-c", `source ./script; complete -C "$argv" | cut -f1`, "juxta "+strings.Join(words, " "))
		return out
	})
}
