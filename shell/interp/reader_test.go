package interp

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestEndBetweenCommands: a script that was ended is interrupted, even if no
// command ran at that moment.
func TestEndBetweenCommands(t *testing.T) {
	for _, tt := range []struct {
		src    string
		want   string
		status int
	}{
		{"end; echo never", "# shell - interrupted\n", StatusInterrupted},
		{"echo all; end", "all\n", StatusOK},
	} {
		var out output
		ctx, cancel := context.WithCancel(t.Context())
		commands := append(toys(), &Command{Name: "end", Run: func(context.Context, *Call) error { cancel(); return nil }})
		s := New(Config{Commands: commands, Out: &out, Err: &out})
		status := s.Run(ctx, tt.src)
		if got := out.take(); status != tt.status || got != tt.want {
			t.Errorf("%q: %d, %q; want %d, %q", tt.src, status, got, tt.status, tt.want)
		}
		cancel()
		s.Close()
		cancel()
	}
}

// TestBegin: readers that take turns see things in their way, and know nothing of
// each other's failures.
func TestBegin(t *testing.T) {
	var out output
	s := New(Config{Commands: toys(), Out: &out, Err: &out})
	defer s.Close()
	for _, tt := range []struct {
		view   View
		stop   bool
		src    string
		want   string
		status int
	}{
		{View{JSON: true}, true, "nix; echo a", `"status":2`, 2},
		{View{}, true, "echo a", "a\n", 0},
		{View{Terminal: true}, true, "fruit", "NAME   WEIGHT", 0},
		{View{Terminal: true, Bold: true, Width: 5}, true, "fruit", "\x1b[1mNAME", 0},
		{View{}, false, "nix; echo a", "a\n", 2},
		{View{JSON: true}, true, "echo a", `{"text":"a"}`, 0},
	} {
		s.Begin(tt.view, tt.stop)
		s.Run(t.Context(), tt.src)
		if got := out.take(); !strings.Contains(got, tt.want) || s.ExitStatus() != tt.status {
			t.Errorf("%+v: %q gave %q, %d; want %q, %d", tt.view, tt.src, got, s.ExitStatus(), tt.want, tt.status)
		}
	}
}

func TestNoticed(t *testing.T) {
	var out output
	var heard []string
	s := New(Config{Out: &out, Err: &out, Noticed: func(command, text string, fields []Field) {
		heard = append(heard, fmt.Sprint(command, text, len(fields)))
	}})
	defer s.Close()
	s.Notice("talk", "hello", Field{Name: "from", Value: "bob"})
	if !slices.Equal(heard, []string{"talkhello1"}) || out.take() != "# talk - hello\n" {
		t.Errorf("%q", heard)
	}
}

// TestHelpOption: every command has it, whatever else it wants, unless it reads its
// own options.
func TestHelpOption(t *testing.T) {
	var out output
	raw := &Command{Name: "raw", Raw: true, MaxArgs: -1, Run: func(_ context.Context, c *Call) error {
		c.Print(c.Text(0) + "\n")
		return nil
	}}
	wants := &Command{Name: "wants", Summary: "wants two", Args: "A B", MinArgs: 2, MaxArgs: 2, Run: func(context.Context, *Call) error { return nil }}
	s := New(Config{Commands: []*Command{raw, wants}, Out: &out, Err: &out})
	defer s.Close()
	if status := s.Run(t.Context(), "wants --help"); status != 0 || !strings.HasPrefix(out.take(), "NAME\n    wants - wants two\n") {
		t.Errorf("status %d", status)
	}
	if status := s.Run(t.Context(), "raw --help -- -x --json"); status != 0 || out.take() != "--help -- -x --json\n" {
		t.Errorf("status %d", status)
	}
	if got := raw.Manual(); strings.Contains(got, "OPTIONS") {
		t.Error(got)
	}
}

// TestExterns: the commands of Commands come first, and the others are there for
// everything else.
func TestExterns(t *testing.T) {
	var out output
	extern := func(name string) *Command {
		return &Command{Name: name, Summary: "from outside", Run: func(_ context.Context, c *Call) error { c.Print("outside\n"); return nil }}
	}
	s := New(Config{Commands: toys(), Out: &out, Err: &out, Extern: func(name string) *Command {
		if name == "echo" || name == "fruity" {
			return extern(name)
		}
		return nil
	}, Externs: func() []*Command { return []*Command{extern("echo"), extern("fruity"), extern("obst")} }})
	defer s.Close()
	s.Run(t.Context(), "echo a; fruity; fruitx")
	if got := out.take(); got != "a\noutside\n# fruitx - there is no command \"fruitx\"; did you mean fruit?\n" {
		t.Errorf("%q", got)
	}
	var names []string
	for _, x := range s.Complete("fr", false) {
		names = append(names, x.Text)
	}
	if !slices.Equal(names, []string{"fruit", "fruity"}) {
		t.Errorf("%q", names)
	}
	if n := len(s.All()); n != len(toys())+1 {
		t.Errorf("%d commands", n)
	}
}
