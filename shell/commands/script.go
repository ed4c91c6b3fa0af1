package commands

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/shell/interp"
	"github.com/juxta-p2p/juxta/shell/lang"
)

// Commands that run other commands.

func shellCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "Shell", Aliases: []string{"shell"}, Family: familyLanguage, Summary: "runs commands with variables of their own",
		Options: []interp.Option{{Letter: "f", Name: "file", Value: "FILE", Help: "the commands of a file"},
			{Letter: "e", Name: "execute", Value: "COMMANDS", Help: "these commands"}},
		Details: "The commands begin with a copy of the variables; what they change or make is gone\n" +
			"afterwards, the current group, too. source runs a file with the variables of the session.",
		Examples: []interp.Example{{Line: `Shell -e "x = 'hello'; echo \$x"`, Text: "x is not known afterwards"},
			{Line: "echo version > greet.jsh; Shell -f greet.jsh | more", Text: "what a script writes, page by page"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			src := c.Value("e", "")
			switch {
			case c.Flag("e") == c.Flag("f"):
				return interp.Usagef("Shell wants a file or commands").Try("usage: %s", c.Command.Usage())
			case c.Flag("f"):
				var err error
				if src, err = readScript(c.Value("f", "")); err != nil {
					return err
				}
			}
			defer c.Session.Vars.Keep()()
			return c.Script(ctx, src)
		},
	}
}

func sourceCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "source", Family: familyLanguage, Summary: "runs the commands of a file",
		Args: "FILE", MinArgs: 1, MaxArgs: 1, File: func(int) bool { return true },
		Details: "As if they were typed here: variables stay. A first line that begins with #! is a comment.",
		Examples: []interp.Example{{Line: "echo version > greet.jsh; source greet.jsh", Text: "makes a script and runs it"},
			{Line: "echo version > greet.jsh; source greet.jsh > log.txt", Text: "and keeps what it writes"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			src, err := readScript(c.Args[0].Text)
			if err != nil {
				return err
			}
			return c.Script(ctx, src)
		},
	}
}

func readScript(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", interp.Because(err, "cannot read the script")
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, lang.MaxSource+1)) // a longer one is refused by the parser
	if err != nil {
		return "", interp.Because(err, "cannot read the script")
	}
	return string(b), nil
}

func aliasCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "alias", Family: familyLanguage, Summary: "gives a name to commands, or lists such names",
		Args: "[NAME [COMMANDS]]", MaxArgs: -1, OptionsFirst: true,
		Options: []interp.Option{{Letter: "d", Name: "delete", Help: "takes the name away"}},
		Details: "What stands behind the name in a call is added to the end. Names are kept as long as the\nshell runs; " +
			"those in .jshrc come back each time.\nJSON: name, commands.",
		Examples: []interp.Example{{Line: "alias who-is-here 'peers -r | sort name'", Text: "a new command"},
			{Line: "alias", Text: "lists them"}},
		Run: func(_ context.Context, c *interp.Call) error {
			switch {
			case c.Flag("d") && len(c.Args) != 1:
				return interp.Usagef("alias -d wants a name")
			case c.Flag("d"):
				if err := c.Session.SetAlias(c.Args[0].Text, ""); err != nil {
					return interp.NotFoundf("there is no alias %q", c.Args[0].Text).Try("alias lists them")
				}
				return nil
			case len(c.Args) > 1:
				text := c.Text(1)
				if len(c.Args) > 2 {
					text = c.Typed(1)
				}
				if err := c.Session.SetAlias(c.Args[0].Text, text); err != nil {
					return interp.Because(err, "that does not work")
				}
				return nil
			}
			found := false
			for name, text := range c.Session.Aliases() {
				if len(c.Args) == 0 || c.Args[0].Text == name {
					found = true
					c.Row(interp.Field{Name: "name", Value: name}, interp.Field{Name: "commands", Value: text})
				}
			}
			if len(c.Args) > 0 && !found {
				return interp.NotFoundf("there is no alias %q", c.Args[0].Text).Try("alias lists them")
			}
			return nil
		},
	}
}

func timeCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "time", Family: familyLanguage, Summary: "tells how long a command takes",
		Args: "COMMAND [ARGUMENTS...]", MinArgs: 1, MaxArgs: -1, OptionsFirst: true, Complete: completeCommands,
		Details:  "The time is a notice, so that results stay as they are. Several commands go in quotes.",
		Examples: []interp.Example{{Line: "time peers -r -w 1s", Text: "how long a search takes"}, {Line: "time 'peers | count'", Text: "of a whole pipeline"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			begun := time.Now()
			err := c.Script(ctx, commandText(c, 0))
			c.Notice("it took %v", time.Since(begun).Round(time.Millisecond/10))
			return err
		},
	}
}

// commandText returns arguments from the n-th on as a text of the language. A single one is that text.
func commandText(c *interp.Call, n int) string {
	if len(c.Args) == n+1 {
		return c.Args[n].Text
	}
	var words []string
	for _, a := range c.Args[n:] {
		words = append(words, lang.Quote(a.Text))
	}
	return strings.Join(words, " ")
}

func watchCommand(*Host) *interp.Command {
	const often = 2 * time.Second
	return &interp.Command{
		Name: "watch", Family: familyLanguage, Summary: "runs a command again and again",
		Args: "COMMAND [ARGUMENTS...]", MinArgs: 1, MaxArgs: -1, OptionsFirst: true, Complete: completeCommands,
		Options: []interp.Option{{Letter: "n", Name: "interval", Value: "DURATION", Help: "the pause; 2s"},
			{Letter: "c", Name: "count", Value: "N", Help: "end after so many times"}},
		Details:  "On a terminal each time takes the place of the one before it. Ctrl-C ends it. Several commands go in quotes.",
		Examples: []interp.Example{{Line: "watch -n 1s -c 3 peers", Text: "the list of peers, three times"}, {Line: "watch -c 2 'metrics | where value>0'", Text: "what is being counted"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			pause, err := c.Duration("n", often)
			if err != nil {
				return err
			}
			most, err := c.Int("c", 1, 0)
			if err != nil {
				return err
			}
			const least = 100 * time.Millisecond
			tick := time.NewTicker(max(pause, least))
			defer tick.Stop()
			for n := 1; ; n++ {
				if c.Session.Terminal {
					c.Flush()
					fmt.Fprintf(c.Session.Out, "\x1b[2J\x1b[Hevery %v, %s; Ctrl-C ends\n", pause, time.Now().Format(time.TimeOnly))
				}
				if err := c.Script(ctx, commandText(c, 0)); err != nil || n == most {
					return err
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
		},
	}
}
