package interp

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// scripting are commands that run scripts.
func scripting() []*Command {
	return append(toys(),
		&Command{Name: "run", MaxArgs: -1, Raw: true, Run: func(ctx context.Context, c *Call) error { return c.Script(ctx, c.Args[0].Text) }},
		&Command{Name: "kept", MaxArgs: 1, Run: func(ctx context.Context, c *Call) error {
			defer c.Session.Vars.Keep()()
			return c.Script(ctx, c.Args[0].Text)
		}})
}

func TestScript(t *testing.T) {
	for _, tt := range []struct {
		src, out, err string
		status        int
	}{
		{src: "echo a && echo b || echo c", out: "a\nb\n"},
		{src: "fail && echo b || echo c", out: "c\n", err: "# fail - broken\n"},
		{src: "fail && echo b", err: "# fail - broken\n", status: 1},
		{src: "if echo a; then echo b; else echo c; fi; echo d", out: "a\nb\nd\n"},
		{src: "if fail; then echo b; elif echo c; then echo d; fi", out: "c\nd\n", err: "# fail - broken\n"},
		{src: "if fail; then echo b; fi; echo $?", out: "0\n", err: "# fail - broken\n"},
		{src: "for x in a 'b c' $?; do echo <$x>; done", out: "<a>\n<b c>\n<0>\n"},
		{src: "for x in; do echo $x; done; echo end", out: "end\n"},
		{src: "for x in 1 2; do for y in 3 4; do echo $x$y; done; done", out: "13\n14\n23\n24\n"},
		{src: "for x in 1 2; do if fail; then echo a; else leave; fi; done", err: "# fail - broken\n"},
		{src: "echo = 'on'; fruit -c 1 | upper && fail 'a b'", out: "APPLE\t100\tURN:PLANT:0123456789\n",
			err: "# shell - fruit -c 1 | upper\n# shell - fail 'a b'\n# fail - broken\n", status: 1},
		{src: "run 'echo a; echo b' | upper", out: "A\nB\n"},
		{src: "fruit -c 1 | run 'upper'", out: "APPLE\t100\tURN:PLANT:0123456789\n"},
		{src: "fruit -c 1 | run 'first --json'", out: `{"name":"apple","weight":100,"plant_id":"urn:plant:0123456789","age":5400}` + "\n"},
		{src: "run 'fail denied'", err: "# fail - keep out; knock\n", status: 4},
		{src: "run 'fail denied' || echo no", out: "no\n", err: "# fail - keep out; knock\n"},
		{src: "run \"echo 'a\"", err: "# run - the quote ' is not closed (column 6)\n", status: 2},
		{src: "x = 'a'; run \"x = 'b'\"; echo $x", out: "b\n"},
		{src: "x = 'a'; kept \"x = 'b'; echo \\$x\"; echo $x", out: "b\na\n"},
		{src: "!ls", err: "# ls - no programs of the system can be run here\n", status: 4},
	} {
		t.Run(tt.src, func(t *testing.T) {
			s, out, errs := newTest()
			s.Commands = scripting()
			defer s.Close()
			status := s.Run(t.Context(), tt.src)
			if o := out.take(); o != tt.out {
				t.Errorf("output %q, want %q", o, tt.out)
			}
			if e := errs.take(); e != tt.err {
				t.Errorf("errors %q, want %q", e, tt.err)
			}
			if status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
		})
	}
}

// TestTestsDoNotEndScripts: with StopOnError only failures nobody asked about end a script, and
// only those count for the program.
func TestTestsDoNotEndScripts(t *testing.T) {
	for src, want := range map[string]int{
		"if fail; then echo a; fi; fail || echo b; echo c": 0,
		"for x in 1 2; do fail; done; echo never":          1,
		"if echo a; then fail; echo never; fi":             1,
		"echo a && fail; echo never":                       1,
	} {
		s, out, _ := newTest()
		s.StopOnError = true
		s.Run(t.Context(), src)
		if got := out.take(); s.ExitStatus() != want || strings.Contains(got, "never") || want == 0 && !strings.HasSuffix(got, "c\n") {
			t.Errorf("%s: status %d, want %d: %q", src, s.ExitStatus(), want, got)
		}
	}
}

func TestAliases(t *testing.T) {
	s, out, errs := newTest()
	s.Commands = scripting()
	for name, text := range map[string]string{"hi": "echo hi", "loud": "upper", "loop": "loop", "two": "echo 1; echo 2"} {
		if err := s.SetAlias(name, text); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"echo", "obst", "a b", ""} {
		if s.SetAlias(name, "echo x") == nil {
			t.Errorf("%q names an alias", name)
		}
	}
	if s.SetAlias("x", "'") == nil || s.SetAlias("unknown", "") == nil {
		t.Error("nonsense is taken")
	}
	s.Run(t.Context(), "hi 'to you'; hi | loud; two 3; help")
	if got := out.take(); got != "hi to you\nHI\n1\n2 3\n" {
		t.Errorf("%q", got)
	}
	errs.take()
	if status := s.Run(t.Context(), "loop"); status != StatusFailed || !strings.Contains(errs.take(), "over and over") {
		t.Errorf("an endless alias: %d", status)
	}
	if err := s.SetAlias("hi", ""); err != nil || s.Run(t.Context(), "hi") != StatusUsage {
		t.Errorf("an alias that was taken away: %v", err)
	}
	for i := 0; ; i++ {
		if err := s.SetAlias("a"+strings.Repeat("b", i), "echo"); err != nil {
			if i < maxAliases-10 || i > maxAliases {
				t.Errorf("after %d: %v", i, err)
			}
			break
		}
	}
}

func TestFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	s, out, errs := newTest()
	s.Terminal = true
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			return "error"
		}
		return string(b)
	}
	for _, tt := range []struct {
		src, file, want string
		status          int
	}{
		{"fruit > a", "a", "apple\t100\turn:plant:0123456789\nfig\t5\turn:plant:0123456789\n", 0},
		{"fruit -c 1 --json >a", "a", `{"name":"apple","weight":100,"plant_id":"urn:plant:0123456789","age":5400}` + "\n", 0},
		{"echo b >> a; echo c >>a", "a", `{"name":"apple","weight":100,"plant_id":"urn:plant:0123456789","age":5400}` + "\nb\nc\n", 0},
		{"fail > a", "a", `{"name":"apple","weight":100,"plant_id":"urn:plant:0123456789","age":5400}` + "\nb\nc\n", 1},
		{"fail > none", "none", "error", 1},
		{"echo x > no/such/file", "no/such/file", "error", 1},
		{"echo 'one\ntwo' > b; upper < b > c", "c", "ONE\nTWO\n", 0},
		{"upper < none > c", "c", "ONE\nTWO\n", 1},
		{"name = 'd e'; echo $name > $name", "d e", "d e\n", 0},
		{"echo x > ''", "''", "error", 2},
		{"echo x > $unknown", "unknown", "error", 1},
		{"forever | first > e", "e", "again\n", 0},
		{"first < b > f", "f", "one\n", 0},
		{"echo x > /dev/null", "/dev/null", "", 0},
	} {
		if status := s.Run(t.Context(), tt.src); status != tt.status {
			t.Errorf("%s: status %d, want %d: %s", tt.src, status, tt.status, errs.take())
		}
		if got := read(tt.file); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.src, got, tt.want)
		}
		if got := out.take(); got != "" {
			t.Errorf("%s: %q printed", tt.src, got)
		}
	}
	if err := os.Symlink("a", "link"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod("b", 0o600); err != nil {
		t.Fatal(err)
	}
	s.Run(t.Context(), "echo y > link; echo z > b")
	if info, err := os.Lstat("link"); err != nil || info.Mode()&os.ModeSymlink == 0 || read("a") != "y\n" {
		t.Errorf("a link was replaced: %v", err)
	}
	if info, err := os.Stat("b"); err != nil || info.Mode().Perm() != 0o600 || read("b") != "z\n" {
		t.Errorf("the mode was not kept: %v", err)
	}
	if left, _ := filepath.Glob(".*"); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

// TestInterruptEndsScripts of any depth, and files that were begun are gone.
func TestInterruptEndsScripts(t *testing.T) {
	t.Chdir(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		for _, src := range []string{"for x in 1 2; do wait; done; echo on", "if wait; then echo on; else echo on; fi", "run 'wait; echo on'; echo on", "wait > f || echo on"} {
			s, out, _ := newTest()
			s.Commands = scripting()
			done := make(chan int)
			go func() { done <- s.Run(t.Context(), src) }()
			time.Sleep(time.Second)
			s.Interrupt()
			if status := <-done; status != StatusInterrupted || out.take() != "" {
				t.Errorf("%s: status %d", src, status)
			}
		}
	})
	if left, _ := filepath.Glob("*"); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
	if left, _ := filepath.Glob(".*"); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}
