package commands

import (
	"context"
	"os"

	"github.com/juxta-p2p/juxta/shell/interp"
)

func exportfileCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "exportfile", Family: familyLanguage, Summary: "writes a variable, or the output of another command, to a file",
		Args: "[FILE] [VARIABLE]", MaxArgs: 2, File: func(n int) bool { return n == 0 },
		Options:  []interp.Option{{Letter: "f", Name: "file", Value: "FILE", Help: "the file, as in the original shell"}},
		Details:  "Documents are written as they are, everything else as its text. The file is replaced\nonly when all is there to be written.",
		Examples: []interp.Example{{Line: "exportfile adv.xml adv0", Text: "keeps an advertisement"}, {Line: "peers -r | exportfile peers.txt", Text: "keeps a list"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			args := c.Args
			file := c.Value("f", "")
			if file == "" && len(args) > 0 {
				file, args = args[0].Text, args[1:]
			}
			if file == "" || len(args) > 1 || len(args) == 0 && !c.HasInput() {
				return interp.Usagef("exportfile wants a file and a variable").Try("usage: %s", c.Command.Usage())
			}
			var b []byte
			if len(args) == 0 {
				for line := range c.Lines(ctx) {
					b = append(append(b, line...), '\n')
				}
				if err := ctx.Err(); err != nil {
					return err
				}
			} else {
				v, ok := c.Variable(args[0])
				if !ok {
					return interp.NotFoundf("no variable is called %q", args[0].Text).Try("env lists them")
				}
				if doc, ok := v.Object.(Document); ok {
					b = doc
				} else {
					b = []byte(c.Session.TextOf(v.Object))
				}
			}
			const mode = 0o644
			if err := os.WriteFile(file, b, mode); err != nil {
				return interp.Because(err, "cannot write it")
			}
			return nil
		},
	}
}
