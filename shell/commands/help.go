package commands

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/shell/interp"
)

// The families under which help lists the commands.
const (
	familyPeers    = "Who and what is out there"
	familyGroups   = "Groups"
	familyPipes    = "Pipes, messages, talking"
	familyLanguage = "Variables, texts, the shell"
)

func families() []string { return []string{familyPeers, familyGroups, familyPipes, familyLanguage} }

// topics are texts of help that belong to no command.
func topics() map[string]string {
	return map[string]string{
		"exit-codes": `EXIT STATUSES
    0    all went well
    1    failed
    2    wrong options, arguments or syntax
    3    nothing was found, nobody answered
    4    not authorised
    5    the peer could not start
    124  the time given by -w was over
    130  interrupted (Ctrl-C)
    143  ended by SIGTERM

    $? is the status of the last command. A script ends at the first command that
    fails, unless the program was started with -k or the script says "set +e".
`,
		"language": `THE LANGUAGE
    a; b                 one after the other
    a | b                b reads what a writes
    a | !sort            a program of the system reads it
    a && b   a || b      b if a went well, if it failed
    a > file  >> file    results to a file, behind what it holds
    a < file             a reads a file
    if a; then b; elif c; then d; else e; fi
    for x in 1 2 3; do echo $x; done
    x = newpipe -n chat  keeps the result in the variable x
    x = 'some text'      keeps a text
    "to $x"  '$x'        in double quotes and bare words variables are replaced
    $?                   status of the last command
    # text               comment
    \                    takes the next character literally; at the end of a line
                         the line goes on

    Where a command wants an object, give the name of a variable, or the thing
    itself: the name of a peer, an ID, a text.
`,
		"keys": `KEYS
    Tab                 suggestions         Up, Down       earlier lines
    Ctrl-R              search them         Ctrl-A, Ctrl-E start, end of the line
    Alt-B, Alt-F        by words            Ctrl-W, Ctrl-U, Ctrl-K  delete
    Ctrl-L              clear the screen
    Ctrl-C              drops the line, or ends the running command
    Ctrl-D              leaves
`,
	}
}

func completeCommands(s *interp.Session, n int) []interp.Suggestion {
	if n > 0 {
		return nil
	}
	var all []interp.Suggestion
	for _, c := range s.All() {
		all = append(all, interp.Suggestion{Text: c.Name, Description: c.Summary})
	}
	for name := range topics() {
		all = append(all, interp.Suggestion{Text: name, Description: "topic"})
	}
	return all
}

func helpCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "help", Family: familyLanguage, Summary: "lists the commands, or tells about one of them",
		Args: "[COMMAND or TOPIC]", MaxArgs: 1, Complete: completeCommands,
		Details: "help topics lists what else there is to read.\nJSON: name, summary, family, usage.",
		Examples: []interp.Example{{Line: "help", Text: "all commands by families"},
			{Line: "help talk", Text: "the manual page of talk"}, {Line: "help language", Text: "quotes, variables, pipelines"}},
		Run: func(_ context.Context, c *interp.Call) error {
			if len(c.Args) == 1 {
				return manual(c, c.Args[0].Text)
			}
			all := c.Session.All()
			if c.JSON() {
				for _, cmd := range all {
					c.Row(interp.Field{Name: "name", Value: cmd.Name}, interp.Field{Name: "summary", Value: cmd.Summary},
						interp.Field{Name: "family", Value: cmd.Family}, interp.Field{Name: "usage", Value: cmd.Usage()})
				}
				return nil
			}
			var b strings.Builder
			headings := families()
			for _, cmd := range all { // those of others
				if !slices.Contains(headings, cmd.Family) {
					headings = append(headings, cmd.Family)
				}
			}
			for _, f := range headings {
				fmt.Fprintf(&b, "%s\n", f)
				for _, cmd := range all {
					if cmd.Family == f {
						fmt.Fprintf(&b, "    %-12s %s\n", cmd.Name, cmd.Summary)
					}
				}
			}
			b.WriteString("help COMMAND tells more; also: help " + strings.Join(slices.Sorted(maps.Keys(topics())), ", help ") + "\n")
			c.Print(b.String())
			return nil
		},
	}
}

func manCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "man", Family: familyLanguage, Summary: "shows the manual page of a command",
		Args: "[COMMAND]", MaxArgs: 1, Complete: completeCommands,
		Details:  "Without a command it lists all of them, one a line.",
		Examples: []interp.Example{{Line: "man peers", Text: "all about peers"}, {Line: "man | grep pipe", Text: "commands that have to do with pipes"}},
		Run: func(_ context.Context, c *interp.Call) error {
			if len(c.Args) == 1 {
				return manual(c, c.Args[0].Text)
			}
			for _, cmd := range slices.SortedFunc(slices.Values(c.Session.All()), func(a, b *interp.Command) int {
				return strings.Compare(a.Name, b.Name)
			}) {
				c.Row(interp.Field{Name: "name", Value: cmd.Name}, interp.Field{Name: "summary", Value: cmd.Summary})
			}
			return nil
		},
	}
}

func manual(c *interp.Call, name string) error {
	if name == "topics" {
		for _, t := range slices.Sorted(maps.Keys(topics())) {
			c.Line("help "+t, interp.Field{Name: "name", Value: t})
		}
		return nil
	}
	if text, ok := topics()[name]; ok {
		c.Print(text)
		return nil
	}
	cmd := c.Session.Command(name)
	if cmd == nil {
		return interp.NotFoundf("there is no manual page for %q", name).Try("help lists the commands")
	}
	c.Print(cmd.Manual())
	return nil
}
