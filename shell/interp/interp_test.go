package interp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// output is a writer for several goroutines.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// take returns what was written since the last call.
func (o *output) take() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.b.Reset()
	return o.b.String()
}

// toys are commands that need no peer.
func toys() []*Command {
	return []*Command{
		{Name: "echo", MaxArgs: -1, OptionsFirst: true, Options: []Option{{Letter: "n", Name: "no-newline"}}, Args: "TEXT",
			Run: func(_ context.Context, c *Call) error {
				text := c.Text(0)
				if !c.Flag("n") {
					text += "\n"
				}
				c.Print(text)
				return nil
			}},
		{Name: "fruit", Aliases: []string{"obst"}, Options: []Option{{Letter: "l", Name: "long"}, {Letter: "c", Name: "count", Value: "N"}},
			Run: func(_ context.Context, c *Call) error {
				n, err := c.Int("c", 0, 2)
				if err != nil {
					return err
				}
				for i := range min(n, 1000) {
					c.Emit(Record{Wide: c.Flag("l"), Fields: []Field{
						{Name: "name", Value: []string{"apple", "fig"}[i%2]},
						{Name: "weight", Value: 100 - 95*(i%2)},
						{Name: "plant_id", Value: "urn:plant:0123456789", Short: "…6789", Long: i < 0},
						{Name: "age", Value: 90 * time.Minute, Long: true},
					}})
				}
				return nil
			}},
		{Name: "upper", Run: func(ctx context.Context, c *Call) error {
			for line := range c.Lines(ctx) {
				c.Print(strings.ToUpper(line) + "\n")
			}
			return nil
		}},
		{Name: "first", Run: func(ctx context.Context, c *Call) error {
			for r := range c.Records(ctx) {
				c.Emit(r)
				return nil
			}
			return NotFoundf("no input")
		}},
		{Name: "forever", Run: func(ctx context.Context, c *Call) error {
			for ctx.Err() == nil {
				c.Print("again\n")
			}
			return ctx.Err()
		}},
		{Name: "wait", Options: []Option{WaitOption("")}, Run: func(ctx context.Context, c *Call) error {
			d, err := c.Duration("w", time.Hour)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, d)
			defer cancel()
			<-ctx.Done()
			return ctx.Err()
		}},
		{Name: "fail", MaxArgs: 1, Run: func(_ context.Context, c *Call) error {
			switch c.Text(0) {
			case "denied":
				return Deniedf("keep out").Try("knock")
			case "panic":
				panic("ouch")
			case "wrapped":
				return Because(NotFoundf("no such thing"), "cannot do it")
			}
			return errors.New("broken")
		}},
		{Name: "make", MaxArgs: 1, Run: func(_ context.Context, c *Call) error {
			return c.Made(c.Text(0), "a text", Field{Name: "length", Value: len(c.Text(0))})
		}},
		{Name: "show", MaxArgs: 1, MinArgs: 1, Args: "VARIABLE", Run: func(_ context.Context, c *Call) error {
			v, ok := c.Variable(c.Args[0])
			c.Print(fmt.Sprintf("%v %v quoted=%v\n", v.Object, ok, c.Args[0].Quoted))
			return nil
		}},
		{Name: "about", Run: func(_ context.Context, c *Call) error {
			c.Detail(Field{Name: "peer_name", Value: "ann"}, Field{Name: "addresses", Value: []string{"a", "b"}}, Field{Name: "up", Value: true})
			return nil
		}},
		{Name: "leave", Run: func(_ context.Context, c *Call) error { c.Session.Exit(-1); return nil }},
	}
}

func newTest() (*Session, *output, *output) {
	out, errs := &output{}, &output{}
	return New(Config{Commands: toys(), Out: out, Err: errs}), out, errs
}

func TestRun(t *testing.T) {
	for _, tt := range []struct {
		src, out, err string
		status        int
	}{
		{src: "", status: 0},
		{src: "echo a b; echo 'c;d'", out: "a b\nc;d\n"},
		{src: "x = 'hello world'; echo $x; echo '$x' \"$x!\"", out: "hello world\n$x hello world!\n"},
		{src: "fail; echo $?", out: "1\n", err: "# fail - broken\n"},
		{src: "fail", err: "# fail - broken\n", status: 1},
		{src: "fail denied", err: "# fail - keep out; knock\n", status: 4},
		{src: "fail wrapped", err: "# fail - cannot do it: no such thing\n", status: 3},
		{src: "echo $nix", err: "# echo - no variable is called \"nix\"; env lists the variables; a dollar sign in 'single quotes' is just that\n", status: 1},
		{src: "frut", err: "# frut - there is no command \"frut\"; did you mean fruit?\n", status: 2},
		{src: "xyzzy", err: "# xyzzy - there is no command \"xyzzy\"; help lists the commands\n", status: 2},
		{src: "fruit --cuont 2", err: "# fruit - fruit has no option --cuont (did you mean --count?); usage: fruit [-l] [-c N]\n", status: 2},
		{src: "fruit --lon", err: "# fruit - fruit has no option --lon (did you mean --long?); usage: fruit [-l] [-c N]\n", status: 2},
		{src: "fruit -h | echo", out: "\n"},
		{src: "fruit -x", err: "# fruit - fruit has no option -x; usage: fruit [-l] [-c N]\n", status: 2},
		{src: "fruit 5", err: "# fruit - fruit does not know what to do with \"5\"; usage: fruit [-l] [-c N]\n", status: 2},
		{src: "fruit -c", err: "# fruit - the option -c wants N; usage: fruit [-l] [-c N]\n", status: 2},
		{src: "fruit -c -1", err: "# fruit - -c wants a number from 0, not \"-1\"\n", status: 2},
		{src: "show", err: "# show - show wants VARIABLE; usage: show VARIABLE\n", status: 2},
		{src: "echo 'a", err: "# shell - the quote ' is not closed (column 6)\n", status: 2},
		{src: "fruit", out: "apple\t100\turn:plant:0123456789\nfig\t5\turn:plant:0123456789\n"},
		{src: "obst -lc1", err: "# obst - fruit has no option -lc1; usage: fruit [-l] [-c N]\n", status: 2},
		{src: "obst -l -c1", out: "apple\t100\turn:plant:0123456789\t1h30m\n"},
		{src: "fruit --count=1", out: "apple\t100\turn:plant:0123456789\n"},
		{src: "fruit -count 1 --json", out: `{"name":"apple","weight":100,"plant_id":"urn:plant:0123456789","age":5400}` + "\n"},
		{src: "about", out: "peer_name: ann\naddresses: a\naddresses: b\nup: yes\n"},
		{src: "about --json", out: `{"peer_name":"ann","addresses":["a","b"],"up":true}` + "\n"},
		{src: "make hello; show env0", out: "env0: a text\nhello true quoted=false\n"},
		{src: "v = make hello; show v; show 'v'; show $v", out: "hello true quoted=false\n<nil> false quoted=true\n<nil> false quoted=true\n"},
		{src: "echo -n a; echo -- -n; echo x -n; echo '-n'", out: "a-n\nx -n\n-n\n"},
		{src: "echo 'a\nb' | upper", out: "A\nB\n"},
		{src: "fruit | upper", out: "APPLE\t100\tURN:PLANT:0123456789\nFIG\t5\tURN:PLANT:0123456789\n"},
		{src: "fruit | first --json", out: `{"name":"apple","weight":100,"plant_id":"urn:plant:0123456789","age":5400}` + "\n"},
		{src: "forever | upper | first", out: "AGAIN\n"},
		{src: "echo -n '' | first; echo on", out: "on\n", err: "# first - no input\n"},
		{src: "fail | upper", err: "# fail - broken\n", status: 1},
		{src: "leave; echo never", status: 0},
	} {
		t.Run(tt.src, func(t *testing.T) {
			s, out, errs := newTest()
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

func TestStopOnErrorAndExitStatus(t *testing.T) {
	s, out, _ := newTest()
	s.Run(t.Context(), "fail; echo on; leave")
	if got := out.take(); got != "on\n" || s.ExitStatus() != StatusFailed {
		t.Errorf("without StopOnError: %q, exit status %d", got, s.ExitStatus())
	}
	s, out, _ = newTest()
	s.StopOnError = true
	if status := s.Run(t.Context(), "fail denied; echo on"); status != StatusDenied || out.take() != "" {
		t.Errorf("with StopOnError: status %d", status)
	}
}

func TestPanicIsAnError(t *testing.T) {
	s, _, errs := newTest()
	if status := s.Run(t.Context(), "fail panic"); status != StatusFailed {
		t.Errorf("status %d", status)
	}
	if e := errs.take(); !strings.Contains(e, "internal error: ouch") {
		t.Errorf("errors %q", e)
	}
}

func TestJSONErrorsAndNotices(t *testing.T) {
	s, _, errs := newTest()
	s.JSON = true
	s.Run(t.Context(), "fail denied")
	s.Notice("talk", "<hi> & bye", Field{Name: "from", Value: "bob"})
	var lines []map[string]map[string]any
	d := json.NewDecoder(strings.NewReader(errs.take()))
	for d.More() {
		var v map[string]map[string]any
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, v)
	}
	if len(lines) != 2 {
		t.Fatalf("%d objects", len(lines))
	}
	if e := lines[0]["error"]; e["code"] != CodeDenied || e["message"] != "keep out" || e["hint"] != "knock" || e["status"] != 4.0 {
		t.Errorf("error %v", e)
	}
	if n := lines[1]["notice"]; n["text"] != "<hi> & bye" || n["from"] != "bob" || n["command"] != "talk" {
		t.Errorf("notice %v", n)
	}
}

func TestTimeoutAndInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, errs := newTest()
		start := time.Now()
		if status := s.Run(t.Context(), "wait -w 90"); status != StatusTimedOut || time.Since(start) != 90*time.Second {
			t.Errorf("status %d after %v", status, time.Since(start))
		}
		if e := errs.take(); e != "# wait - the time is over\n" {
			t.Errorf("errors %q", e)
		}
		if s.Interrupt() {
			t.Error("Interrupt found something to end")
		}
		if status := s.Run(t.Context(), "wait"); status != StatusInterrupted {
			t.Errorf("interrupted just before: status %d", status)
		}
		errs.take()
		s.Interrupt()
		s.Reading()
		if status := s.Run(t.Context(), "echo on"); status != StatusOK {
			t.Errorf("interrupted before the line was read: status %d", status)
		}
		s.Interrupt()
		time.Sleep(interruptHolds)
		go func() {
			time.Sleep(time.Minute)
			if !s.Interrupt() {
				t.Error("Interrupt found nothing to end")
			}
		}()
		if status := s.Run(t.Context(), "wait | wait; echo never"); status != StatusInterrupted || time.Since(start) != 150*time.Second+interruptHolds {
			t.Errorf("status %d after %v", status, time.Since(start))
		}
		if e := errs.take(); e != "# wait - interrupted\n" {
			t.Errorf("errors %q", e)
		}
	})
}

func TestTableOnATerminal(t *testing.T) {
	s, out, _ := newTest()
	s.Terminal = true
	s.Run(t.Context(), "fruit")
	if got, want := out.take(), "NAME   WEIGHT  PLANT ID\napple  100     …6789\nfig    5       …6789\n"; got != want {
		t.Errorf("table\n%swant\n%s", got, want)
	}
	s.Width = func() int { return 16 }
	s.Run(t.Context(), "fruit -c 1")
	if got, want := out.take(), "NAME   WEIGHT  …\napple  100     …\n"; got != want {
		t.Errorf("narrow table\n%swant\n%s", got, want)
	}
	s.Run(t.Context(), "about")
	if got, want := out.take(), "peer name: ann\naddresses: a\n           b\nup:        yes\n"; got != want {
		t.Errorf("detail\n%swant\n%s", got, want)
	}
	s.Run(t.Context(), "echo '\x1b]2;evil\x07\tok \u202etxt'")
	if got, want := out.take(), "\ufffd]2;evil\ufffd\tok \ufffdtxt\n"; got != want {
		t.Errorf("control characters: %q, want %q", got, want)
	}
	const evil = "a\nb\r\u2028\u2029\u0085\u202e\u2066\u200e\u061c\ufeff\u009bc \u200d"
	if got, want := Text(evil), "a b   "+strings.Repeat("\ufffd", 7)+"c \u200d"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := harmless("a\u061c"); got != "a\ufffd" {
		t.Errorf("%q", got)
	}
}

func TestVariables(t *testing.T) {
	var v Variables
	for _, n := range []string{"peer10", "peer2", "peer", "a", "peerless"} {
		if err := v.Set(Variable{Name: n}); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Set(Variable{Name: "group", Fixed: true}); err != nil {
		t.Fatal(err)
	}
	names := func() (all []string) {
		for _, x := range v.All() {
			all = append(all, x.Name)
		}
		return all
	}
	if got, want := names(), []string{"a", "group", "peer", "peer2", "peer10", "peerless"}; !slices.Equal(got, want) {
		t.Errorf("All: %v, want %v", got, want)
	}
	v.Number("peer")
	if got, want := names(), []string{"a", "group", "peer", "peerless"}; !slices.Equal(got, want) {
		t.Errorf("after Number: %v, want %v", got, want)
	}
	if err := v.Set(Variable{Name: "group"}); err == nil {
		t.Error("a fixed variable was replaced")
	}
	if _, err := v.Remove("group"); err == nil {
		t.Error("a fixed variable was removed")
	}
	if err := v.Set(Variable{Name: "a b"}); err == nil {
		t.Error("a name with a blank was taken")
	}
}

type closer struct{ n int }

func (c *closer) Close() error { c.n++; return nil }

func TestSessionCloseClosesObjectsOnce(t *testing.T) {
	s, _, _ := newTest()
	c, kept := &closer{}, &closer{}
	for _, err := range []error{s.Store("a", c), s.Store("b", c), s.StoreFixed("c", kept)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	if c.n != 1 || kept.n != 0 {
		t.Errorf("closed %d times; the shell's own %d times", c.n, kept.n)
	}
}

func TestHistory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history")
	var h History
	if err := h.Open(file); err != nil {
		t.Fatal(err)
	}
	for _, l := range []string{"one", "one", " secret", "", "two\nlines \"q\"", strings.Repeat("x", maxHistoryLine+1)} {
		if err := h.Add(l); err != nil {
			t.Fatal(err)
		}
	}
	var again History
	if err := again.Open(file); err != nil {
		t.Fatal(err)
	}
	if got, want := again.Lines(), []string{"one", "two\nlines \"q\""}; !slices.Equal(got, want) {
		t.Errorf("lines %q, want %q", got, want)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("history file: %v, %v", info.Mode(), err)
	}
	for i := range HistoryLines + 5 {
		if err := again.Add(fmt.Sprint("line ", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Open(file); err != nil {
		t.Fatal(err)
	}
	if l := h.Lines(); len(l) != HistoryLines || l[len(l)-1] != fmt.Sprint("line ", HistoryLines+4) {
		t.Errorf("%d lines after shortening", len(l))
	}
	if b, _ := os.ReadFile(file); bytes.Count(b, []byte{'\n'}) != HistoryLines {
		t.Errorf("the file has %d lines", bytes.Count(b, []byte{'\n'}))
	}
	if text, ok, err := h.Recall("!0"); text != "line 5" || !ok || err != nil {
		t.Errorf("Recall(!0) = %q, %v, %v", text, ok, err)
	}
	if text, ok, err := h.Recall("!!"); text != "line 1004" || !ok || err != nil {
		t.Errorf("Recall(!!) = %q, %v, %v", text, ok, err)
	}
	if _, _, err := h.Recall("!5000"); err == nil {
		t.Error("Recall of a line that is not there")
	}
	if text, ok, err := h.Recall("!wow"); ok || err != nil || text != "!wow" {
		t.Errorf("Recall(!wow) = %q, %v, %v", text, ok, err)
	}
}

func TestComplete(t *testing.T) {
	s, _, _ := newTest()
	for _, n := range []string{"apple1", "pear"} {
		if err := s.Store(n, "x"); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		before string
		asked  bool
		want   string
	}{
		{"", false, ""},
		{"fr", false, "fruit"},
		{"f", false, "fail first forever fruit"},
		{"fruit", false, ""}, // complete already
		{"echo a; fr", false, "fruit"},
		{"x = fr", false, "fruit"},
		{"fruit | up", false, "upper"},
		{"fruit -", false, "--help --json -c -l"},
		{"fruit --c", false, "--count"},
		{"show ", true, "apple1 pear"},
		{"show a", false, "apple1"},
		{"show pear ", true, ""},
		{"echo $", false, "$apple1 $pear"},
		{"echo 'it is ", true, ""},
		{"fruit -c ", true, ""},
		{"nix ", true, ""},
	} {
		var got []string
		for _, x := range s.Complete(tt.before, tt.asked) {
			got = append(got, x.Text)
		}
		if g := strings.Join(got, " "); g != tt.want {
			t.Errorf("Complete(%q, %v) = %q, want %q", tt.before, tt.asked, g, tt.want)
		}
	}
	if n := len(s.Complete("", true)); n != len(toys()) {
		t.Errorf("Tab on an empty line shows %d commands", n)
	}
}

func TestManual(t *testing.T) {
	c := &Command{Name: "x", Aliases: []string{"y"}, Summary: "does x", Args: "FILE", Details: "One.\n\n  Two.",
		Options:  []Option{{Letter: "n", Name: "name", Value: "NAME", Help: "the name"}},
		Examples: []Example{{Line: "x f", Text: "does it"}}}
	want := `NAME
    x - does x

USAGE
    x [-n NAME] FILE
    also called: y

DESCRIPTION
    One.

      Two.

OPTIONS
    -n, --name NAME  the name
    --json           one JSON object a line

EXAMPLES
    x f
        does it
`
	if got := c.Manual(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1234567: "1.23ms", 2500 * time.Millisecond: "2.5s", 20 * time.Minute: "20m", 90 * time.Second: "1m30s",
		2 * time.Hour: "2h", 26 * time.Hour: "1d2h", 365 * 24 * time.Hour: "365d", -time.Minute: "-1m",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", int64(d), got, want)
		}
	}
}

// FuzzRun runs any line with the toy commands: nothing may break.
func FuzzRun(f *testing.F) {
	for _, s := range []string{"fruit -c 3 | upper | first", "x = 'a'; echo $x $?", "make | show", "fruit -lc --count= -- a", "about --json=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		if strings.Contains(src, "wait") || strings.Contains(src, "forever") || strings.Contains(src, "panic") {
			t.Skip("does not end, or is meant to panic")
		}
		s, _, _ := newTest()
		defer s.Close()
		s.Run(t.Context(), src)
		s.Complete(src, true)
	})
}

func BenchmarkRun(b *testing.B) {
	s, _, _ := newTest()
	for b.Loop() {
		s.Run(b.Context(), "fruit -c 10 | upper")
	}
}
