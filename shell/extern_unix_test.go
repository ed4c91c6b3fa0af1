//go:build unix

package shell_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// scripts puts programs into a folder that the search path begins with.
func scripts(t *testing.T, all map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range all {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return dir
}

func TestProgramsOnThePath(t *testing.T) {
	dir := scripts(t, map[string]string{
		"juxta-args":   `for a in "$@"; do echo "[$a]"; done`,
		"juxta-upper":  `tr a-z A-Z`,
		"juxta-seven":  `echo out; echo err >&2; exit 7`,
		"juxta-none":   `exit 3`,
		"juxta-start":  `read x; echo "$x"`, // and leaves the rest
		"juxta-many":   `i=0; while [ $i -lt 100000 ]; do echo $i; i=$((i+1)); done`,
		"juxta-object": `[ "$JUXTA_JSON" = 1 ] && echo '{"b":1.50,"a":{"x":[true,null]}}'; echo '{broken'; printf 'no end'`,
		"juxta-killed": `kill -9 $$`,
		"juxta-echo":   `echo mine`, // a command of the shell has the name
		"juxta-socket": `test -S "$JUXTA_SOCKET" && echo there`,
		"juxta-big":    `printf '\303'; sleep 0.1; printf '\244\377x'`,
	})
	if err := os.WriteFile(filepath.Join(dir, "juxta-no"), []byte("not a program"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		out    string
		inErr  string
	}{
		{"arguments", []string{"-c", `args -n --json "two words" it\'s $?`}, 0, "[-n]\n[--json]\n[two words]\n[it's]\n[0]\n", ""},
		{"arguments as they are", []string{"args", "--help", "-x", "a;b", "$x", ""}, 0, "[--help]\n[-x]\n[a;b]\n[$x]\n[]\n", ""},
		{"in a pipeline", []string{"-c", "echo 'one\ntwo' | upper | grep T"}, 0, "TWO\n", ""},
		{"status", []string{"-c", "seven; echo never"}, 7, "out\n", "# seven - err\n# seven - seven ended with status 7\n"},
		{"status in the shell", []string{"-k", "-c", "none; echo $?"}, 3, "3\n", "none ended with status 3"},
		{"does not read all", []string{"-c", "many | start"}, 0, "0\n", ""},
		{"nobody reads all", []string{"-c", "many | grep -n 5 | wc -l"}, 0, "40951\n", ""},
		{"programs of the system", []string{"-c", "echo 'b\na' | !sort && !sh -c 'exit 9'"}, 9, "a\nb\n", "# sh - sh ended with status 9\n"},
		{"no such program", []string{"-c", "!no-such-program"}, 3, "", "there is no program"},
		{"records", []string{"--json", "-c", "object"}, 0, `{"b":1.50,"a":{"x":[true,null]}}` + "\n" + `{"text":"{broken"}` + "\n" + `{"text":"no end"}` + "\n", ""},
		{"records go in", []string{"--json", "-c", "version | upper"}, 0, `{"VERSION":"`, ""},
		{"errors are objects", []string{"--json", "-c", "none"}, 3, "", `{"error":{"code":"not_found","message":"none ended with status 3"`},
		{"killed", []string{"-c", "killed"}, 1, "", "signal: killed"},
		{"the shell's own come first", []string{"-c", "echo theirs"}, 0, "theirs\n", ""},
		{"reaches the peer", []string{"-c", "socket"}, 0, "there\n", ""},
		{"characters are whole", []string{"-c", "big"}, 0, "ä\xffx", ""},
		{"no right to run", []string{"-c", "no"}, 2, "", `there is no command "no"`},
		{"no way out of the path", []string{"-c", "../x; /bin/ls"}, 2, "", `there is no command "../x"`},
		{"listed", []string{"-c", "help | grep seven; man | grep upper"}, 0, "    seven        the program juxta-seven\nupper\tthe program juxta-upper\n", ""},
		{"did you mean", []string{"-c", "seveen"}, 2, "", "did you mean seven?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, out, errs := run(t, "", quiet(append([]string{"--home", t.TempDir(), "--quic", "off"}, tt.args...)...)...)
			if exact := strings.HasSuffix(tt.out, "\n") || tt.out == ""; status != tt.status || exact && out != tt.out || !strings.Contains(out, tt.out) {
				t.Errorf("status %d, %q; want %d, %q; errors %q", status, out, tt.status, tt.out, errs)
			}
			if !strings.Contains(errs, tt.inErr) || tt.inErr == "" && errs != "" {
				t.Errorf("errors %q, want %q", errs, tt.inErr)
			}
		})
	}
}

// TestPrefixOfPrograms: the prefix is the name of the program.
func TestPrefixOfPrograms(t *testing.T) {
	scripts(t, map[string]string{"juxta-one": "echo one", "mine-two": "echo two"})
	status, out, errs := runAs(t, "mine", quiet("--home", t.TempDir(), "--quic", "off", "-k", "-c", "two; one")...)
	if status != 2 || out != "two\n" || !strings.Contains(errs, `there is no command "one"`) {
		t.Errorf("%d %q %q", status, out, errs)
	}
}
