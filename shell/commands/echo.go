package commands

import (
	"context"

	"github.com/juxta-p2p/juxta/shell/interp"
)

func echoCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "echo", Family: familyLanguage, Summary: "writes its arguments",
		Args: "[TEXT]...", MaxArgs: -1, OptionsFirst: true,
		Options:  []interp.Option{{Letter: "n", Help: "without a line end"}},
		Examples: []interp.Example{{Line: `echo "I am $me"`, Text: "with the text of a variable"}, {Line: "echo $?", Text: "status of the last command"}},
		Run: func(_ context.Context, c *interp.Call) error {
			text := c.Text(0)
			if !c.Flag("n") {
				text += "\n"
			}
			c.Print(text)
			return nil
		},
	}
}
