package commands_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/shell/commands"
	"github.com/juxta-p2p/juxta/shell/interp"
)

const (
	// lineTime is the virtual time that a line gets before Ctrl-C.
	lineTime = 20 * time.Second

	// lineOver is how long a line may go on after Ctrl-C, in virtual time.
	lineOver = 10 * time.Second

	// fewVariables is how many variables some hundred lines may leave.
	fewVariables = 2000

	// fewGoroutines is how many more goroutines there may be afterwards: groups that
	// were joined and pipes that are open have some.
	fewGoroutines = 500
)

// sandbox is a session with the real commands and one other peer, in a folder
// that is all it may write to.
type sandbox struct {
	*player
	t *testing.T
}

func newSandbox(t *testing.T) *sandbox {
	s := &sandbox{&player{t: t, shells: map[string]*shell{}, ids: map[string]string{}, kinds: map[id.Kind]int{}}, t}
	s.start([]string{"ann/rendezvous+key", "me/+key"})
	return s
}

// confined reports whether a line can only touch the working folder. Programs, and
// paths that lead elsewhere, are not for a test.
func confined(line string) bool {
	return !strings.ContainsAny(line, "/!~") && !strings.Contains(line, "..") && !strings.Contains(line, "yard") && !strings.Contains(line, "console") && !strings.Contains(line, "metrics -a")
}

// line runs a line, and fails the test if it does not end well.
func (s *sandbox) line(line string) int {
	sh := s.shells["me"]
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	done := make(chan int, 1)
	go func() { done <- sh.session.Run(ctx, line) }()
	interrupt, limit := time.NewTimer(lineTime), time.NewTimer(lineTime+lineOver)
	defer interrupt.Stop()
	defer limit.Stop()
	for {
		select {
		case <-interrupt.C:
			sh.session.Interrupt()
		case <-limit.C:
			buf := make([]byte, 1<<20)
			s.t.Fatalf("%q does not end, neither by Ctrl-C:\n%s", line, buf[:runtime.Stack(buf, true)])
		case status := <-done:
			out := sh.take()
			switch {
			case status < 0 || status > 255:
				s.t.Errorf("%q: status %d", line, status)
			case strings.Contains(out, "internal error"):
				s.t.Errorf("%q panics:\n%s", line, out)
			case sh.session.Status() != status:
				s.t.Errorf("%q: status %d, but $? is %d", line, status, sh.session.Status())
			}
			return status
		}
	}
}

// FuzzLine types lines. The session belongs to the user, so that much may happen to
// it; but it must not panic, hang, or end without a status.
func FuzzLine(f *testing.F) {
	for _, c := range commands.New(nil).Commands() {
		f.Add(c.Examples[0].Line) // TestExamples types them all
	}
	for _, line := range []string{"a | b", "x = 'a'; echo $x", "echo \"", "a |", "=", "x =", "| wc", "; ;", "echo \x00\xff", "$?", "echo $nix", "peers --json=1"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if !confined(line) || len(line) > 1<<16 {
			return
		}
		t.Chdir(t.TempDir())
		synctest.Test(t, func(t *testing.T) { newSandbox(t).line(line) })
	})
}

// TestHostileLines types 500 lines from a seeded generator into one session, each
// made of parts that commands, the language or terminals mind.
func TestHostileLines(t *testing.T) {
	const lines, seed = 500, 7
	t.Chdir(t.TempDir())
	before := files(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSandbox(t)
		goroutines := runtime.NumGoroutine()
		g := newGenerator(seed, commands.New(nil).Commands())
		statuses := map[int]int{}
		for range lines {
			line := g.line()
			if !confined(line) {
				continue
			}
			statuses[s.line(line)]++
		}
		t.Log("statuses:", statuses)
		if len(statuses) < 4 {
			t.Errorf("the lines are all alike: %v", statuses)
		}
		if n := len(s.shells["me"].session.Vars.All()); n > fewVariables {
			t.Errorf("%d variables are left", n)
		}
		if n := runtime.NumGoroutine() - goroutines; n > fewGoroutines {
			t.Errorf("%d goroutines are left", n)
		}
	})
	if after := files(t); !slices.Equal(before, after) {
		t.Errorf("files beside the working folder: %q, before %q", after, before)
	}
}

// files lists what lies beside the working folder.
func files(t *testing.T) (names []string) {
	t.Helper()
	all, err := filepath.Glob("../*")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// generator makes lines.
type generator struct {
	*rand.Rand
	all []*interp.Command
}

func newGenerator(seed uint64, all []*interp.Command) *generator {
	all = slices.DeleteFunc(slices.Clone(all), func(c *interp.Command) bool { return c.Name == "yard" || c.Name == "console" || c.Name == "exit" })
	return &generator{rand.New(rand.NewPCG(seed, seed)), all}
}

func pick[T any](g *generator, all ...T) T { return all[g.IntN(len(all))] }

// line is one to four commands between things that join them.
func (g *generator) line() string {
	if g.IntN(25) == 0 { // a deep pipeline
		return "help" + strings.Repeat(" | "+pick(g, "grep e", "cat", "wc", "more"), 20+g.IntN(60))
	}
	var b strings.Builder
	for i := range 1 + g.IntN(4) {
		if i > 0 {
			b.WriteString(pick(g, "; ", " | ", " | ", " || ", " && ", "\n", " > f ", " >> f; ", " < f ", " & ", ";;", "|"))
		}
		if g.IntN(4) == 0 {
			b.WriteString(pick(g, "x = ", "y=", "stdgroup = ", "a b = ", "= ", "x = = ", "$x = "))
		}
		b.WriteString(g.command())
	}
	return b.String()
}

func (g *generator) command() string {
	c := pick(g, g.all...)
	if len(c.Examples) > 0 && g.IntN(4) == 0 {
		return pick(g, c.Examples...).Line
	}
	words := []string{c.Name}
	for range g.IntN(5) {
		if len(c.Options) > 0 && g.IntN(2) == 0 {
			o := pick(g, c.Options...)
			flag := "--" + o.Name
			if o.Letter != "" && g.IntN(2) == 0 {
				flag = "-" + o.Letter
			}
			words = append(words, flag+pick(g, "", "", "=", "="+g.word(), g.word()))
			continue
		}
		words = append(words, g.word())
	}
	return strings.Join(words, " ")
}

// word is one argument, or what looks like one.
func (g *generator) word() string {
	return pick(g,
		"ann", "me", "x", "y", "adv0", "peer0", "group0", "stdgroup", "env0", "NetPeerGroup", "msg", "f", "$x", "$?", "${x", "$stdgroup", "$", "-",
		"--", "-1", "0", "1e308", "99999999999999999999", "-w", "1s", "-5s", "1000000h", "NaN", "Inf", "*", "'*'", "a*b", "''", `""`, `"`, "'", `\`, `\n`,
		"'a b'", `"a $x b"`, "'unfinished", `"unfinished $`, "\x00", "\x1b[2J", "\x7f", "\u202e", "\xff\xfe", "é", "日本語", "\U0001F600", "<x>", "#", "a#b",
		"urn:jxta:uuid-", "urn:jxta:jxta-NetGroup", "urn:jxta:uuid-"+strings.Repeat("F", 66), "mem:", "tcp::", strings.Repeat("w", 1+g.IntN(70000)),
		strings.Repeat("(", 200), "--nix", "-\xff", "--=", "---", "-'", fmt.Sprint(g.Int64()), "start", "stop", "add", "delete", "rdv", "rpv", "edge", "auto",
	)
}
