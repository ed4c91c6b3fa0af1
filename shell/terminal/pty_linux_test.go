package terminal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/juxta-p2p/juxta/shell/terminal/terminaltest"
)

// childEnv makes the test binary act as the program inside the pseudo-terminal.
const childEnv = "JUXTA_TERMINAL_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child()
		return
	}
	os.Exit(m.Run())
}

// child reads lines and says what it got. Lines from descriptor 3 are printed
// above the prompt.
func child() {
	var history []string
	for i := range 3 {
		history = append(history, fmt.Sprint("old line ", i))
	}
	t := Open(Config{In: os.Stdin, Out: os.Stdout, Color: os.Getenv("NO_COLOR") == "",
		History: func() []string { return append([]string(nil), history...) }})
	defer t.Close()
	t.SetPrompt("> ")
	t.SetCompleter(func(before string, asked bool) []Suggestion {
		word := before[strings.LastIndexByte(before, ' ')+1:]
		var all []Suggestion
		for _, s := range []Suggestion{{"apple", "a fruit"}, {"apricot", "another"}, {"beet", "no fruit"}} {
			if strings.HasPrefix(s.Text, word) && (word != "" || asked) {
				all = append(all, s)
			}
		}
		return all
	})
	go func() {
		if os.Getenv(childEnv) != "messages" {
			return
		}
		messages := Lines(os.NewFile(3, "messages"), io.Discard, false)
		for {
			m, err := messages.ReadLine(context.Background())
			if err != nil {
				return
			}
			t.PrintAbove(m)
		}
	}()
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-term; cancel() }()
	for {
		line, err := t.ReadLine(ctx)
		switch {
		case errors.Is(err, io.EOF):
			t.PrintAbove("end of input")
			return
		case err != nil:
			t.PrintAbove("error " + err.Error())
			return
		}
		fmt.Fprintf(t, "got %q\n", line)
		history = append(history, line)
		switch line {
		case "exit":
			return
		case "panic":
			func() {
				defer t.Close()
				panic("on purpose")
			}()
		case "run":
			intr := make(chan os.Signal, 1)
			signal.Notify(intr, os.Interrupt)
			t.PrintAbove("running")
			<-intr
			signal.Stop(intr)
			t.PrintAbove("interrupted")
		case "wait":
			usr := make(chan os.Signal, 1)
			signal.Notify(usr, syscall.SIGUSR1)
			t.PrintAbove("waiting")
			<-usr
			signal.Stop(usr)
		case "secret":
			s, err := t.ReadSecret(ctx, "Password: ")
			fmt.Fprintf(t, "secret %q %v\n", s, err)
		case "files":
			open, err := filepath.Glob("/proc/self/fd/*")
			fmt.Fprintf(t, "files %d %v\n", len(open), err)
		}
	}
}

// session is a child in a pseudo-terminal.
type session struct {
	*terminaltest.Session
	t        *testing.T
	messages *os.File
}

// launch runs a child.
func launch(t *testing.T, rows, cols int, env ...string) *session {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	t.Cleanup(func() { w.Close() })
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), append(env, childEnv+"=messages", "TERM=xterm")...)
	cmd.ExtraFiles = []*os.File{r}
	return &session{terminaltest.Start(t, rows, cols, cmd), t, w}
}

// start runs a child and waits for its prompt.
func start(t *testing.T, rows, cols int, env ...string) *session {
	t.Helper()
	s := launch(t, rows, cols, env...)
	s.Until("prompt", func(v *terminaltest.Screen) bool { return v.Text() == ">" && v.X == 2 })
	return s
}

// message has the child print something.
func (s *session) message(text string) {
	s.t.Helper()
	if _, err := s.messages.WriteString(text + "\n"); err != nil {
		s.t.Fatal(err)
	}
}

func TestTerminalIsRestored(t *testing.T) {
	for _, tt := range []struct {
		name   string
		end    func(s *session)
		status int
	}{
		{"exit", func(s *session) { s.Type("exit\r") }, 0},
		{"Ctrl-D", func(s *session) { s.Type("\x04") }, 0},
		{"panic", func(s *session) { s.Type("panic\r") }, 2},
		{"SIGTERM", func(s *session) { s.Signal(syscall.SIGTERM) }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := launch(t, 24, 80)
			before, raw := s.Mode(), s.Raw() // read before the child has changed it, or not: see below
			s.Until("prompt", func(v *terminaltest.Screen) bool { return v.Text() == ">" && v.X == 2 })
			if !s.Raw() {
				t.Error("not raw while a line is edited")
			}
			tt.end(s)
			if got := s.Wait(); got != tt.status {
				t.Errorf("exit status %d, want %d; screen:\n%s", got, tt.status, s.Output())
			}
			if s.Raw() {
				t.Error("the terminal stays raw")
			}
			if after := s.Mode(); !raw && after != before {
				t.Errorf("the terminal has changed\nfrom %s\nto   %s", before, after)
			}
			if out := s.Output(); strings.Count(out, "\x1b[?2004h") != strings.Count(out, "\x1b[?2004l") {
				t.Error("bracketed paste stays on")
			}
		})
	}
}

func TestSeveralLinesAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, 24, 80)
	s.Type("a\nb\nc")
	s.Shows("> a\ngot \"a\"\n> b\ngot \"b\"\n> c")

	// Typed before there was a prompt: the terminal itself has echoed it.
	s = launch(t, 24, 80)
	s.Type("a\nb\nc")
	s.Until("all lines", func(v *terminaltest.Screen) bool {
		return strings.HasSuffix(v.Text(), "> a\ngot \"a\"\n> b\ngot \"b\"\n> c")
	})
}

func TestPrintAbove(t *testing.T) {
	t.Parallel()
	s := start(t, 10, 20)
	s.Type("a line of two rows, that is\x1b[D\x1b[D")
	s.Until("typed", func(v *terminaltest.Screen) bool {
		return strings.HasSuffix(v.Text(), "that is") && v.Y == 1 && v.X == 7
	})
	s.message("hello there")
	s.Shows("hello there\n> a line of two rows\n, that is")
	s.message("a message that is longer than a row")
	s.Shows("hello there\na message that is lo\nnger than a row\n> a line of two rows\n, that is")
	s.Type("X\r")
	s.Until("line", func(v *terminaltest.Screen) bool {
		return strings.Contains(v.Text(), "got \"a line of two r\nows, that Xis\"")
	})
	s.Until("known control sequences", func(v *terminaltest.Screen) bool {
		if len(v.Unknown) > 0 {
			t.Errorf("unknown control sequences %q", v.Unknown)
		}
		return true
	})
}

func TestPrintAboveOpenMenu(t *testing.T) {
	t.Parallel()
	s := start(t, 8, 40)
	s.Type("ap")
	s.Shows("> ap\n     apple    a fruit\n     apricot  another")
	s.message("news")
	s.Shows("news\n> ap\n     apple    a fruit\n     apricot  another")
	s.Type("\t\t\t")
	s.message("more news")
	s.Until("two messages", func(v *terminaltest.Screen) bool { return strings.HasPrefix(v.Text(), "news\nmore news\n> ap") })
	s.Type("\t\t \r")
	s.Until("completed", func(v *terminaltest.Screen) bool { return strings.Contains(v.Text(), "got \"apricot \"") })
	// The menu of the last line does not come back.
	s.Until("empty prompt", func(v *terminaltest.Screen) bool { return strings.HasSuffix(v.Text(), "got \"apricot \"\n>") })
	s.Type("\t")
	s.Until("whole menu", func(v *terminaltest.Screen) bool { return strings.Contains(v.Text(), "beet") })
}

func TestMessagesBetweenKeysAtTheLowerEdge(t *testing.T) {
	t.Parallel()
	s := start(t, 4, 30)
	var want []string
	for i := range 12 {
		s.Type(string(rune('a' + i)))
		m := fmt.Sprint("message ", i)
		s.message(m)
		want = append(want, m)
		all := strings.Join(want, "\n")
		s.Until(all, func(v *terminaltest.Screen) bool { return strings.HasPrefix(v.Text(), all+"\n> ") })
	}
	s.Shows(strings.Join(want, "\n") + "\n> abcdefghijkl")
}

func TestCtrlC(t *testing.T) {
	t.Parallel()
	s := start(t, 24, 80)
	s.Type("half a line\x03")
	s.Shows("> half a line\n>")
	s.Type("\x03")
	s.Until("hint", func(v *terminaltest.Screen) bool {
		return strings.Contains(v.Text(), "# shell - Ctrl-D or exit leaves")
	})
	s.Type("run\r")
	s.Until("running", func(v *terminaltest.Screen) bool { return strings.Contains(v.Text(), "running") })
	s.Type("\x03")
	s.Until("interrupted", func(v *terminaltest.Screen) bool { return strings.Contains(v.Text(), "interrupted\n>") })
}

func TestCtrlDTypedAhead(t *testing.T) {
	t.Parallel()
	s := start(t, 24, 80)
	s.Type("wait\r")
	s.Until("waiting", func(v *terminaltest.Screen) bool { return strings.Contains(v.Text(), "waiting") })
	s.Type("next\r\x04")
	s.Until("echo", func(v *terminaltest.Screen) bool { return strings.Contains(v.Text(), "next") })
	s.Signal(syscall.SIGUSR1)
	if status := s.Wait(); status != 0 || !strings.Contains(s.Text(), "got \"next\"") || !strings.HasSuffix(s.Text(), "end of input") {
		t.Errorf("status %d\n%s", status, s.Text())
	}
}

func TestPasteOfSeveralLines(t *testing.T) {
	t.Parallel()
	s := start(t, 24, 80)
	s.Type("\x1b[200~one\r\ntwo\n\x1b[201~")
	s.Shows("> one ; two")
	s.Type("\r")
	s.Shows("> one ; two\ngot \"one ; two\"\n>")
}

func TestSearchOnScreen(t *testing.T) {
	t.Parallel()
	s := start(t, 24, 60)
	s.Type("first\r")
	s.Shows("> first\ngot \"first\"\n>")
	s.Type("typed\x12old")
	s.Shows("> first\ngot \"first\"\n(search) 'old': old line 2")
	s.message("meanwhile")
	s.Shows("> first\ngot \"first\"\nmeanwhile\n(search) 'old': old line 2")
	s.Type("\x12")
	s.Shows("> first\ngot \"first\"\nmeanwhile\n(search) 'old': old line 1")
	s.Type("\x07") // give up: the line is as it was
	s.Shows("> first\ngot \"first\"\nmeanwhile\n> typed")
	s.Type("\x12line 0\x1b[D") // take
	s.Until("taken", func(v *terminaltest.Screen) bool { return strings.HasSuffix(v.Text(), "> old line 0") })
	s.Type("!\x12fir\r") // run
	s.Until("run", func(v *terminaltest.Screen) bool { return strings.HasSuffix(v.Text(), "> first\ngot \"first\"\n>") })
}

func TestHistoryKeys(t *testing.T) {
	t.Parallel()
	s := start(t, 24, 60)
	s.Type("\x1b[A\x1b[A")
	s.Shows("> old line 1")
	s.Type("\x1b[B \r")
	s.Shows("> old line 2\ngot \"old line 2 \"\n>")
}

func TestLowWindow(t *testing.T) {
	t.Parallel()
	s := start(t, 6, 40)
	s.Type("a")
	s.Until("menu", func(v *terminaltest.Screen) bool { return strings.HasPrefix(v.Text(), "> a\n    apple") })
	s.Type("\x7fx\r")
	s.Shows("> x\ngot \"x\"\n>")
}

func TestResize(t *testing.T) {
	t.Parallel()
	s := start(t, 10, 40)
	s.Type("0123456789 0123456789 01234\x1b[D")
	s.Until("typed", func(v *terminaltest.Screen) bool { return v.Text() == "> 0123456789 0123456789 01234" && v.X == 28 })
	// The emulator does not wrap anew, so the old frame is one row before and after.
	s.Resize(10, 60)
	s.Until("drawn again", func(v *terminaltest.Screen) bool {
		return strings.Count(v.Written(), "\x1b[?2004h") >= 2 && v.X == 28
	})
	s.Type("X\r")
	s.Until("line with cursor kept", func(v *terminaltest.Screen) bool {
		return strings.Contains(v.Text(), "got \"0123456789 0123456789 0123X4\"")
	})
}

func TestNoColor(t *testing.T) {
	t.Parallel()
	colours := func(out string) bool {
		return strings.Contains(out, "\x1b[0;3") || strings.Contains(out, ";4") || strings.Contains(out, ";9")
	}
	for _, tt := range []struct {
		env  string
		want bool
	}{{"NO_COLOR=1", false}, {"NO_COLOR=", true}} {
		s := start(t, 24, 80, tt.env)
		s.Type("ap\t\r")
		s.Until("line", func(v *terminaltest.Screen) bool { return strings.Contains(v.Text(), "got \"apple\"") })
		if got := colours(s.Output()); got != tt.want {
			t.Errorf("%s: colours = %v", tt.env, got)
		}
	}
}

func TestNoTerminal(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.Stdin = strings.NewReader("a\nb\n")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no controlling terminal at all
	out, err := cmd.CombinedOutput()
	if want := "got \"a\"\ngot \"b\"\nend of input\n"; string(out) != want || err != nil {
		t.Errorf("output %q, %v; want %q", out, err, want)
	}
}

func TestDescriptorsStayConstant(t *testing.T) {
	t.Parallel()
	s := start(t, 24, 80)
	s.Type("files\r")
	count := func(n int) (found string) {
		s.Until(fmt.Sprint("count ", n), func(v *terminaltest.Screen) bool { return strings.Count(v.Text(), "\nfiles ") >= n })
		for l := range strings.SplitSeq(s.Text(), "\n") {
			if strings.HasPrefix(l, "files ") {
				found = l
			}
		}
		return found
	}
	first := count(1)
	s.Type(strings.Repeat("x\r", 40) + "files\r")
	if last := count(2); last != first {
		t.Errorf("first %q, after 40 lines %q", first, last)
	}
}

func TestHangUpEndsTheProgram(t *testing.T) {
	t.Parallel()
	s := start(t, 24, 80)
	s.HangUp()
	if got := s.Wait(); got == 128+int(syscall.SIGKILL) {
		t.Error("the program had to be killed")
	}
}

func TestKeysThatMeanNothingLeaveNothing(t *testing.T) {
	t.Parallel()
	s := start(t, 24, 80)
	s.Type("one two\x1bb\x1b[1;2C\x1b[5~\x1bqX\x1b[1;5D\x1b[1;5DY\r")
	s.Shows("> Yone Xtwo\ngot \"Yone Xtwo\"\n>")
}

func TestWideText(t *testing.T) {
	t.Parallel()
	s := start(t, 24, 20)
	s.Type("日本語日本語日本語日本\x1b[D\x1b[D")
	s.Until("typed", func(v *terminaltest.Screen) bool { return v.X == 0 && v.Y == 1 && strings.HasSuffix(v.Text(), "本") })
	s.message("消息")
	s.Until("message above", func(v *terminaltest.Screen) bool {
		return strings.HasPrefix(v.Text(), "消息\n> 日本語日本語日本語")
	})
	s.Type("X\r")
	s.Until("line", func(v *terminaltest.Screen) bool {
		return strings.Contains(strings.ReplaceAll(v.Text(), "\n", ""), "got \"日本語日本語日本語X日本\"")
	})
}

func TestSecret(t *testing.T) {
	t.Parallel()
	s := start(t, 24, 80)
	s.Type("secret\r")
	s.Until("question", func(v *terminaltest.Screen) bool { return strings.HasSuffix(v.Text(), "Password:") })
	s.Type("héx\x7flo\rnext")
	s.Until("answer", func(v *terminaltest.Screen) bool {
		return strings.HasSuffix(v.Text(), "Password:\nsecret \"hélo\" <nil>\n> next")
	})
}
