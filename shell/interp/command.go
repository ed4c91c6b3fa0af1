// Package interp runs the command language of the shell: it knows commands,
// options, variables, pipelines, results and exit statuses, and nothing of
// peers. Package commands fills it with what a peer can do.
//
// A command yields typed records; the session prints them as tables for people
// or, with --json, as one JSON object a line. Results go to Config.Out, notices
// and errors ("# command - text") to Config.Err.
package interp

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Command is one command of the shell. It is a description; Run does the work.
type Command struct {
	Name    string
	Aliases []string
	Family  string // heading under which help lists it
	Summary string // one line, no full stop
	Args    string // arguments behind the options, for the usage line
	MaxArgs int    // how many arguments it takes at most; -1: any number
	MinArgs int
	Options []Option
	// OptionsFirst ends the options at the first argument: for commands that take
	// free text.
	OptionsFirst bool
	// Raw passes all arguments on as they are, options too: for commands that read
	// their own.
	Raw bool
	// Paged tells that the command ends by itself: what it prints may wait, and be shown
	// page by page if it is long.
	Paged    bool
	Details  string // paragraphs of the manual page
	Examples []Example

	// Complete lists what may stand as the n-th argument (from 0). It must answer
	// at once and from memory. Nil: names of variables.
	Complete func(s *Session, n int) []Suggestion

	// File reports whether the n-th argument (from 0) may be a file or folder, which is then
	// completed, too. Nil: none is. Values of options are if they are called FILE or FOLDER.
	File func(n int) bool

	// Run does the work. ctx ends on Ctrl-C, and when nobody reads the output. It
	// returns nil or an error, best an *Error.
	Run func(ctx context.Context, c *Call) error
}

// Option is one option of a command.
type Option struct {
	Letter string // "n" for -n
	Name   string // "name" for -name and --name; may be empty
	Value  string // what the value is, for example "NAME"; empty: a flag
	Help   string
}

// Example is a line to type, with what it does. Tests run each.
type Example struct {
	Line, Text string

	Before string // lines typed first, which the manual does not show; "ann> line" is typed at the peer ann, "| text" is an answer
	Status int    // with which it ends; [StatusInterrupted]: not before Ctrl-C
}

// Suggestion is one entry of the completion menu.
type Suggestion struct{ Text, Description string }

// helpOption is the option that shows the manual page instead of running the
// command.
const helpOption = "help"

// common are the options that every command has.
func common() []Option {
	return []Option{{Name: "json", Help: "one JSON object a line"}, {Name: helpOption, Help: "this page"}}
}

// AllOptions returns the options of the command with those that every command has.
func (c *Command) AllOptions() []Option {
	if c.Raw {
		return nil
	}
	return slices.Concat(c.Options, common())
}

// WaitOption is the option -w of commands that wait for others.
func WaitOption(help string) Option {
	return Option{Letter: "w", Name: "wait", Value: "DURATION", Help: help}
}

// flag returns how the option is written.
func (o *Option) flag() string {
	var s string
	switch {
	case o.Letter != "" && o.Name != "":
		s = "-" + o.Letter + ", --" + o.Name
	case o.Letter != "":
		s = "-" + o.Letter
	default:
		s = "--" + o.Name
	}
	if o.Value != "" {
		s += " " + o.Value
	}
	return s
}

// key is the name under which a [Call] knows the option.
func (o *Option) key() string {
	if o.Letter != "" {
		return o.Letter
	}
	return o.Name
}

// Usage returns the line that tells how to call the command.
func (c *Command) Usage() string {
	s := c.Name
	for _, o := range c.Options {
		f := "--" + o.Name
		if o.Letter != "" {
			f = "-" + o.Letter
		}
		if o.Value != "" {
			f += " " + o.Value
		}
		s += " [" + f + "]"
	}
	if c.Args != "" {
		s += " " + c.Args
	}
	return s
}

// Manual returns the manual page.
func (c *Command) Manual() string {
	var b strings.Builder
	fmt.Fprintf(&b, "NAME\n    %s - %s\n\nUSAGE\n    %s\n", c.Name, c.Summary, c.Usage())
	if len(c.Aliases) > 0 {
		fmt.Fprintf(&b, "    also called: %s\n", strings.Join(c.Aliases, ", "))
	}
	if c.Details != "" {
		b.WriteString("\nDESCRIPTION\n")
		for line := range strings.SplitSeq(strings.TrimSpace(c.Details), "\n") {
			b.WriteString(strings.TrimRight("    "+strings.TrimLeft(line, "\t"), " ") + "\n")
		}
	}
	width := 0
	options := slices.DeleteFunc(c.AllOptions(), func(o Option) bool { return o.Name == helpOption }) // who reads this knows it
	if len(options) > 0 {
		b.WriteString("\nOPTIONS\n")
	}
	for _, o := range options {
		width = max(width, len(o.flag()))
	}
	for _, o := range options {
		fmt.Fprintf(&b, "    %-*s  %s\n", width, o.flag(), o.Help)
	}
	if len(c.Examples) > 0 {
		b.WriteString("\nEXAMPLES\n")
		for _, e := range c.Examples {
			fmt.Fprintf(&b, "    %s\n        %s\n", e.Line, e.Text)
		}
	}
	return b.String()
}

// options parses the arguments of a call, getopt style: -n value, -nvalue,
// --name value, --name=value, and -name for words; flags of one letter may stand
// together; "--" ends the options. Options may stand between arguments unless
// the command wants them first. Words that begin with a quote are never options.
func (c *Command) options(args []Arg) (values map[string]string, rest []Arg, err error) {
	if c.Raw {
		return nil, args, nil
	}
	known := c.AllOptions()
	values = map[string]string{}
	for i := 0; i < len(args); i++ {
		a := args[i].Text
		switch {
		case len(a) < 2, a[0] != '-', args[i].literal:
			if c.OptionsFirst {
				return values, append(rest, args[i:]...), nil
			}
			rest = append(rest, args[i])
			continue
		case a == "--":
			return values, append(rest, args[i+1:]...), nil
		}
		if a == "-h" && find(known, func(o Option) bool { return o.Letter == "h" }) == nil {
			values[helpOption] = "" // as most programs have it
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimLeft(a, "-"), "=")
		o := find(known, func(o Option) bool { return o.Name != "" && o.Name == name })
		if o == nil && !strings.HasPrefix(a, "--") {
			if flags, ok := letters(known, a[1:]); ok {
				for _, f := range flags {
					values[f] = ""
				}
				continue
			}
			o = find(known, func(o Option) bool { return o.Letter == a[1:2] })
			if o != nil && o.Value != "" && len(a) > 2 {
				values[o.key()] = a[2:]
				continue
			}
			hasValue = false
			if o != nil && len(a) > 2 {
				o = nil
			}
		}
		switch {
		case o == nil:
			if near := nearestOption(known, a); near != "" {
				return nil, nil, Usagef("%s has no option %s (did you mean %s?)", c.Name, a, near)
			}
			return nil, nil, Usagef("%s has no option %s", c.Name, a)
		case o.Value == "" && hasValue:
			return nil, nil, Usagef("the option %s takes no value", a)
		case o.Value == "":
			values[o.key()] = ""
		case hasValue:
			values[o.key()] = value
		case i+1 == len(args):
			return nil, nil, Usagef("the option %s wants %s", a, o.Value)
		default:
			i++
			values[o.key()] = args[i].Text
		}
	}
	return values, rest, nil
}

// letters splits grouped flags.
func letters(known []Option, s string) ([]string, bool) {
	var flags []string
	for _, r := range s {
		o := find(known, func(o Option) bool { return o.Letter == string(r) && o.Value == "" })
		if o == nil {
			return nil, false
		}
		flags = append(flags, o.key())
	}
	return flags, true
}

func find(known []Option, is func(Option) bool) *Option {
	if i := slices.IndexFunc(known, is); i >= 0 {
		return &known[i]
	}
	return nil
}
