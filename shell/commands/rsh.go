package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/socket"
	"github.com/juxta-p2p/juxta/shell/interp"
	"github.com/juxta-p2p/juxta/shell/remote"
)

// rshEnds ends a remote session, as in the original shell.
const rshEnds = "~."

// maxRemoteLine bounds a line of what another peer writes, in octets; longer ones are shown in
// pieces.
const maxRemoteLine = 64 << 10

func rshCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "rsh", Family: familyPeers, Summary: "uses the shell of another peer that lets this one",
		Args: "PEER [COMMAND [ARGUMENTS...]]", MaxArgs: -1, OptionsFirst: true,
		Complete: func(s *interp.Session, n int) []interp.Suggestion {
			if n > 0 {
				return nil
			}
			return s.Variables(classPeerAdv)
		},
		Options: []interp.Option{
			{Letter: "p", Name: "peer", Value: "PEER", Help: "the peer, as in the original shell"},
			{Letter: "f", Name: "file", Value: "FILE", Help: "runs the lines of a file there, until one fails"},
			interp.WaitOption("how long to look for the peer and to connect (default 10s)"),
		},
		Details: "The other peer must run rshd in the same group, and let this one in. Several commands and what has | in it go in\nquotes. " +
			"Without a command it asks for lines, until exit, " + rshEnds + " or Ctrl-D; or takes those that another command writes.\n" +
			"Ctrl-C ends what runs there, and rsh. What the other peer writes is its own words. If it dies, rsh says so within ten\nseconds.\n" +
			"JSON: text (a line). The status is that of the command there. Status 3: no remote shell was found. Status 4: it\nis not for this peer.",
		Examples: []interp.Example{{Line: "rsh ann whoami", Text: "tells who ann is, as ann sees it", Before: letsMe},
			{Line: "rsh ann 'peers | count'", Text: "a pipeline that runs there", Before: letsMe},
			{Line: "echo whoami | rsh -w 20s ann", Text: "lines that another command writes", Before: letsMe},
			{Line: "echo whoami > look.jsh; rsh -p ann -f look.jsh", Text: "those of a file", Before: letsMe},
			{Line: "rsh bob", Text: "bob lets nobody in", Status: interp.StatusNotFound}},
		Run: func(ctx context.Context, c *interp.Call) error {
			wait, err := c.Duration("w", dialWait)
			if err != nil {
				return err
			}
			if c.Flag("p") {
				c.Args = append([]interp.Arg{{Text: c.Value("p", "")}}, c.Args...)
			}
			if len(c.Args) == 0 {
				return interp.Usagef("rsh wants a peer").Try("usage: %s", c.Command.Usage())
			}
			if c.Flag("f") && len(c.Args) > 1 {
				return interp.Usagef("rsh takes either a file or a command")
			}
			script := ""
			if c.Flag("f") {
				if script, err = readScript(c.Value("f", "")); err != nil {
					return err
				}
			}
			r, err := h.openShell(ctx, c, wait)
			if err != nil {
				return err
			}
			defer func() { _ = r.client.Close() }()
			switch {
			case len(c.Args) > 1:
				_, err := r.run(ctx, commandText(c, 1))
				return err
			case c.Flag("f"):
				return r.lines(ctx, strings.Split(strings.TrimRight(script, "\n"), "\n"))
			case c.HasInput():
				for line := range c.Lines(ctx) {
					if over, err := r.run(ctx, line); err != nil || over {
						return err
					}
				}
				return ctx.Err()
			}
			return r.talk(ctx)
		},
	}
}

// letsMe has ann let this peer in.
const letsMe = "ann> peers -r -w 1s\nann> rshd peer2"

// remoteShell is a session on another peer.
type remoteShell struct {
	call   *interp.Call
	client *remote.Client
	name   string
}

// openShell connects to the remote shell of the peer that the first argument names.
func (h *Host) openShell(ctx context.Context, c *interp.Call, wait time.Duration) (*remoteShell, error) {
	g := h.group()
	if _, err := h.ownKey(); err != nil {
		return nil, err
	}
	p, err := h.findPeer(ctx, c, c.Args[0], wait)
	if err != nil {
		return nil, err
	}
	short, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	conn, err := g.Sockets().DialWith(short, shellPipe(g, p), socket.DialConfig{Peer: p, Credential: g.Membership().Shown(), Timeout: wait})
	if err != nil {
		return nil, h.notThere(ctx, p, err)
	}
	r := &remoteShell{call: c, name: words(h.peerName(p))}
	v := remote.View{Terminal: c.Session.Terminal && !c.JSON(), Width: c.Session.Width()}
	if r.client, err = remote.Open(short, conn, v); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, r.failure(err)
	}
	return r, nil
}

// notThere is the error of dialling.
func (h *Host) notThere(ctx context.Context, p id.Peer, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, pipe.ErrSecure):
		return interp.Deniedf("%s cannot prove who it is", h.peerName(p)).Try("only peers whose ID is made of a key have a remote shell")
	}
	return interp.NotFoundf("no remote shell of %s was found in %s", h.peerName(p), h.group().Name()).Try("it must run rshd there; why %s tells whether it can be reached", p.Short())
}

// failure turns an error of the session into words.
func (r *remoteShell) failure(err error) error {
	var said *remote.RefusedError
	switch {
	case errors.As(err, &said):
		return interp.Deniedf("%s says: %s", r.name, words(said.Text))
	case errors.Is(err, remote.ErrLine):
		return interp.Usagef("a line for another peer has %d octets at most", remote.MaxLine)
	case errors.Is(err, remote.ErrGone):
		return interp.Failf("%s is gone", r.name).Try("ping tells whether it can be reached")
	}
	return err
}

// words makes one line of what another peer says.
func words(s string) string { return strings.Join(strings.Fields(interp.Text(s)), " ") }

// run runs a line there, and reports whether the session has ended.
func (r *remoteShell) run(ctx context.Context, line string) (over bool, err error) {
	out := &byLine{each: func(line string) { r.call.Line(line, interp.Field{Name: "text", Value: line}) }}
	errs := &byLine{each: func(line string) {
		r.call.Session.Notice(r.name, words(strings.TrimPrefix(line, "# ")))
	}}
	status, over, err := r.client.Run(ctx, line, out, errs)
	out.rest()
	errs.rest()
	r.call.Flush()
	switch {
	case ctx.Err() != nil:
		return true, context.Cause(ctx)
	case err != nil:
		return !errors.Is(err, remote.ErrLine), r.failure(err)
	case status != interp.StatusOK:
		return over, &interp.Error{Status: status, Code: interp.CodeFailed, Message: fmt.Sprintf("status %d there", status)}
	}
	return over, nil
}

// lines runs lines until one fails.
func (r *remoteShell) lines(ctx context.Context, all []string) error {
	for _, line := range all {
		if over, err := r.run(ctx, line); err != nil || over {
			return err
		}
	}
	return nil
}

// talk runs the lines that the user types.
func (r *remoteShell) talk(ctx context.Context) error {
	if r.call.Session.ReadLine == nil {
		return interp.Usagef("rsh wants a command here").Try("rsh %s COMMAND", r.call.Args[0].Text)
	}
	r.call.Notice("%s", words(r.client.Welcome()))
	for {
		line, err := r.ask(ctx)
		switch {
		case r.client.Err() != nil:
			return r.failure(r.client.Err())
		case errors.Is(err, io.EOF), strings.TrimSpace(line) == rshEnds && err == nil:
			return nil
		case err != nil:
			return err
		case strings.TrimSpace(line) == "":
			continue
		}
		over, err := r.run(ctx, line)
		var failed *interp.Error
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case over, r.client.Err() != nil:
			return err
		case errors.As(err, &failed) && failed.Status == interp.StatusUsage && failed.Code == interp.CodeUsage:
			r.call.Session.Report(r.call.Command.Name, failed) // too long; what failed there was told
		}
	}
}

// ask reads a line, while the other peer is there.
func (r *remoteShell) ask(ctx context.Context) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with ctx
		select {
		case <-r.client.Gone():
			cancel()
		case <-ctx.Done():
		}
	}()
	return r.call.Session.ReadLine(ctx, oneLine(r.name)+" "+oneLine(words(r.client.Prompt()))+" ")
}

// byLine hands out what is written as lines.
type byLine struct {
	each func(line string)
	part []byte // without its end so far
}

// Write implements io.Writer.
func (w *byLine) Write(p []byte) (int, error) {
	for _, b := range p {
		if b == '\n' || len(w.part) >= maxRemoteLine {
			w.each(strings.ToValidUTF8(string(w.part), "\uFFFD"))
			w.part = w.part[:0]
		}
		if b != '\n' {
			w.part = append(w.part, b)
		}
	}
	return len(p), nil
}

// rest hands out what has no end.
func (w *byLine) rest() {
	if len(w.part) > 0 {
		w.each(strings.ToValidUTF8(string(w.part), "\uFFFD"))
		w.part = nil
	}
}
