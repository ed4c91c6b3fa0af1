package shell_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/shell"
	"github.com/juxta-p2p/juxta/shell/commands"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// runAs runs a program of its own in this process.
func runAs(t *testing.T, name string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = shell.Run(t.Context(), shell.Options{
		Program: name, Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Commands: func(h *commands.Host) []*interp.Command {
			return []*interp.Command{
				{Name: "where", Summary: "tells the group", Run: func(_ context.Context, c *interp.Call) error {
					c.Line(h.Peer().Name()+" in "+h.Group().Name(), interp.Field{Name: "group", Value: h.Group().Name()})
					return nil
				}},
				{Name: "echo", Summary: "says it twice", Args: "TEXT", MinArgs: 1, MaxArgs: 1, Family: "Loud", Run: func(_ context.Context, c *interp.Call) error {
					c.Print(c.Text(0) + c.Text(0) + "\n")
					return nil
				}},
			}
		},
	})
	return status, out.String(), errs.String()
}

func TestCommandsOfAProgram(t *testing.T) {
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		out    string
		inErr  string
	}{
		{"a command", quiet("-c", "where; newpgrp -j crew; where"), 0, "ann in NetPeerGroup\nann in crew\n", ""},
		{"as a word", quiet("where"), 0, "ann in NetPeerGroup\n", ""},
		{"as JSON", quiet("--json", "-c", "where"), 0, `{"group":"NetPeerGroup"}` + "\n", ""},
		{"in place of another", quiet("-c", "echo ho"), 0, "hoho\n", ""},
		{"usage", quiet("-c", "echo"), 2, "", "echo wants TEXT"},
		{"manual", []string{"help", "where"}, 0, "where - tells the group", ""},
		{"manual of a word", []string{"where", "--help"}, 0, "where - tells the group", ""},
		{"listed", []string{"help"}, 0, "Commands of mine\n    where        tells the group\nLoud\n    echo  ", ""},
		{"usage of the program", []string{"--help"}, 0, "usage: mine [OPTIONS] [SCRIPT]", ""},
		{"wrong option", []string{"--nix"}, 2, "", "mine: there is no option --nix; mine --help tells the options\n"},
		{"version", []string{"--version", "--json"}, 0, `{"version":"`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := tt.args
			if args[0] == "--lan" {
				args = append([]string{"--home", t.TempDir(), "--quic", "off"}, args...)
			}
			status, out, errs := runAs(t, "mine", args...)
			if exact := strings.HasSuffix(tt.out, "\n") || tt.out == ""; status != tt.status || exact && out != tt.out || !strings.Contains(out, tt.out) {
				t.Errorf("status %d, %q; want %d, %q; errors %q", status, out, tt.status, tt.out, errs)
			}
			if !strings.Contains(errs, tt.inErr) || tt.inErr == "" && errs != "" {
				t.Errorf("errors %q, want %q", errs, tt.inErr)
			}
		})
	}
}

func TestWords(t *testing.T) {
	for _, tt := range []struct {
		args  []string
		inErr string
	}{
		{[]string{"completion"}, "completion wants one of bash, zsh, fish"},
		{[]string{"completion", "csh"}, "completion wants one of bash, zsh, fish"},
		{[]string{"running", "ann"}, "does not know what to do"},
		{[]string{"up", "ann", "bob"}, `up does not know what to do with "bob"`},
		{[]string{"up", "ann", "--name", "bob"}, "either ann or bob"},
		{[]string{"up", "--nix"}, "no option"},
		{[]string{"--attach", "ann", "up"}, "exclude each other"},
		{[]string{"--attach", "ann", "--listen", "tcp://:1", "-c", "peers"}, "--listen is for a peer that is started"},
		{[]string{"--attach", ""}, "must not be empty"},
		{[]string{"--session", "x", "-c", "peers"}, "--session is for --attach"},
		{[]string{"--control", "maybe"}, "want on or off"},
	} {
		status, out, errs := run(t, "", tt.args...)
		if status != interp.StatusUsage || out != "" || !strings.Contains(errs, tt.inErr) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: %d, %q, %q; want %q", tt.args, status, out, errs, tt.inErr)
		}
	}
	status, _, errs := run(t, "", "--json", "--nix")
	if status != interp.StatusUsage || errs == "" {
		t.Errorf("%d, %q", status, errs)
	}
}

// TestUsage: no line is too long for a terminal, and what can be said is said.
func TestUsage(t *testing.T) {
	_, out, _ := run(t, "", "--help")
	for line := range strings.Lines(out) {
		if len(line) > 81 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
	for _, want := range []string{"--attach PEER", "juxta up [NAME]", "Exit status: 0 done", "Examples:", "rdvstatus", "--seed-list URI     a document"} {
		if !strings.Contains(out, want) {
			t.Errorf("usage does not tell of %q:\n%s", want, out)
		}
	}
}

// ExampleRun adds a command to the shell of a program.
func ExampleRun() {
	home, err := os.MkdirTemp("", "hello")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(home)
	status := shell.Run(context.Background(), shell.Options{
		Program: "hello",
		Args:    []string{"--home", home, "--name", "ann", "--lan", "off", "--multicast", "off", "--client-only", "-c", "hello world; hello --json world"},
		Commands: func(h *commands.Host) []*interp.Command {
			return []*interp.Command{{
				Name: "hello", Summary: "greets", Args: "WHOM", MinArgs: 1, MaxArgs: 1,
				Run: func(_ context.Context, c *interp.Call) error {
					c.Row(interp.Field{Name: "from", Value: h.Peer().Name()}, interp.Field{Name: "to", Value: c.Text(0)})
					return nil
				},
			}}
		},
	})
	fmt.Println("status", status)
	// Output:
	// ann	world
	// {"from":"ann","to":"world"}
	// status 0
}

// TestEveryCommandHasExamples: and a summary, and --help.
func TestEveryCommandHasExamples(t *testing.T) {
	for _, c := range commands.New(nil).Commands() {
		status, out, errs := run(t, "", c.Name, "--help")
		if status != 0 || errs != "" || !strings.Contains(out, "\nEXAMPLES\n    ") || c.Summary == "" {
			t.Errorf("%s --help: %d, %q, %q", c.Name, status, out, errs)
		}
	}
}
