package commands

import (
	"context"

	"github.com/juxta-p2p/juxta/shell/interp"
)

// The commands of the original shell that make no sense here say what to do
// instead.

func instjarCommand(*Host) *interp.Command {
	return instead("instjar", "[ARCHIVE]...", "there are no archives of commands here",
		"a program called juxta-NAME on the search path is the command NAME; help lists those that are there")
}

func uninstjarCommand(*Host) *interp.Command {
	return instead("uninstjar", "[ARCHIVE]...", "there are no archives of commands here",
		"take the program juxta-NAME off the search path",
		interp.Option{Name: "all", Help: "all of them"}, interp.Option{Letter: "f", Help: "these"})
}

func peerconfigCommand(*Host) *interp.Command {
	return instead("peerconfig", "", "there is no form of settings to fill in",
		"start juxta with the options that you want (juxta --help), or change the role with rdvcontrol")
}

func sftpCommand(*Host) *interp.Command {
	return instead("sftp", "[USER] [FILE]", "nothing in its messages tells two files apart",
		"xfer register, xfer login and xfer send do the same in a way that Java shells know, too")
}

// instead is a command that only says what to do in its place.
func instead(name, args, why, what string, options ...interp.Option) *interp.Command {
	return &interp.Command{
		Name: name, Family: familyLanguage, Summary: "is not here: " + why, Args: args, MaxArgs: -1, Options: options, Complete: nothing,
		Details:  "What to do instead: " + what + ".",
		Examples: []interp.Example{{Line: name, Text: "says what to do instead", Status: interp.StatusFailed}, {Line: "help " + name, Text: "this page"}},
		Run:      func(context.Context, *interp.Call) error { return interp.Failf("%s", why).Try("%s", what) },
	}
}
