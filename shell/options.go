package shell

import (
	"context"
	"io"
	"os"

	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/shell/commands"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// Options are what a program gives the shell of its own. The zero value is
// juxta.
type Options struct {
	// Program is what the program is called in texts. Empty means juxta. Programs on
	// the search path whose name begins with it and a dash are commands.
	Program string

	// Args is the command line behind the name of the program. Nil means that of the
	// process.
	Args []string

	// Stdin, Stdout and Stderr are used in place of those of the process, if they are
	// not nil.
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	// Peer is what the options of the command line begin with, for example Modules
	// that commands need.
	Peer peergroup.Config

	// Commands makes the commands that the program adds; one with the name of a
	// command of the shell takes its place. It is called for every session, and once
	// without a peer, for help and completion: it must leave h alone until one of
	// the commands runs. The error of a command is best an [interp.Error].
	Commands func(h *commands.Host) []*interp.Command
}

// Run is [Main] for programs that add to the shell. It returns the exit status.
func Run(ctx context.Context, o Options) int {
	if o.Program == "" {
		o.Program = "juxta"
	}
	if o.Args == nil && len(os.Args) > 0 {
		o.Args = os.Args[1:]
	}
	if o.Stdin == nil {
		o.Stdin = os.Stdin
	}
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	return start(ctx, o)
}

// commandsFor returns the commands of a session: those of the shell and those of
// the program.
func (o *Options) commandsFor(h *commands.Host) []*interp.Command {
	all := h.Commands()
	if o.Commands == nil {
		return all
	}
	own := o.Commands(h)
	for _, c := range own {
		if c.Family == "" {
			c.Family = "Commands of " + o.Program
		}
	}
	return append(without(all, own), own...)
}

// without returns the commands that no other one takes the place of.
func without(all, others []*interp.Command) []*interp.Command {
	taken := map[string]bool{}
	for _, c := range others {
		taken[c.Name] = true
	}
	var rest []*interp.Command
	for _, c := range all {
		if !taken[c.Name] {
			rest = append(rest, c)
		}
	}
	return rest
}
