package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func mkpipeCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "mkpipe", Family: familyPipes, Summary: "opens an end of a pipe",
		Args: "PIPE", MinArgs: 1, MaxArgs: 1,
		Options: []interp.Option{
			{Letter: "i", Name: "input", Help: "the end at which messages arrive"},
			{Letter: "o", Name: "output", Help: "the end into which messages go"},
			interp.WaitOption("how long to look for the pipe, and for a peer that listens (default 10s)"),
			{Letter: "t", Value: "DURATION", Help: "the same"},
		},
		Complete: func(s *interp.Session, n int) []interp.Suggestion { return s.Variables(classPipeAdv) },
		Details: "A pipe is a variable with its advertisement, its name or its ID. unset closes the end\nagain.\n" +
			"JSON: variable, name, pipe_id, type, peer_id (of the peer that listens). Status 3: nobody listens.",
		Examples: []interp.Example{{Line: "in = mkpipe -i chat", Text: "listens", Before: "unset in"}, {Line: "out = mkpipe -o chat", Text: "opens it to send"},
			{Line: "out = mkpipe -o -w 30s adv0", Text: "waits longer for a peer that listens", Before: "search -r -a Name -v chat"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			if c.Flag("i") == c.Flag("o") {
				return interp.Usagef("mkpipe wants either -i or -o").Try("usage: %s", c.Command.Usage())
			}
			wait, err := waitOption(c, dialWait)
			if err != nil {
				return err
			}
			adv, err := h.findPipe(ctx, c, c.Args[0], wait)
			if err != nil {
				return err
			}
			fields := []interp.Field{{Name: "name", Value: adv.Name}, {Name: "pipe_id", Value: adv.ID.String()}, {Name: "type", Value: string(adv.Type)}}
			if c.Flag("i") {
				in, err := h.group().Pipes().Listen(ctx, adv)
				if err != nil {
					return pipeError(err, "cannot listen")
				}
				return c.Made(in, fmt.Sprintf("input end of the pipe %q", adv.Name), fields...)
			}
			out, err := h.dial(ctx, adv, wait)
			if err != nil {
				return err
			}
			listening := ""
			if p := out.Peer(); !p.IsZero() {
				listening = p.String()
			}
			return c.Made(out, fmt.Sprintf("output end of the pipe %q", adv.Name), append(fields, interp.Field{Name: "peer_id", Value: listening})...)
		},
	}
}

// waitOption returns the time given by -w, or by -t as in the original shell.
func waitOption(c *interp.Call, otherwise time.Duration) (time.Duration, error) {
	if c.Flag("w") {
		return c.Duration("w", otherwise)
	}
	return c.Duration("t", otherwise)
}

// findPipe returns the advertisement of a pipe: that of a variable, or the one
// with that name or ID.
func (h *Host) findPipe(ctx context.Context, c *interp.Call, a interp.Arg, wait time.Duration) (*advertisements.Pipe, error) {
	if v, ok := c.Variable(a); ok {
		switch x := v.Object.(type) {
		case *advertisements.Pipe:
			return x, nil
		case *pipe.Input:
			return x.Pipe(), nil
		case *pipe.Output:
			return x.Pipe(), nil
		}
		return nil, interp.Failf("%s holds no pipe, but: %s", v.Name, v.Class)
	}
	q := discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: a.Text}
	if p, err := id.ParsePipe(a.Text); err == nil {
		q.Attr, q.Value = "Id", p.String()
	}
	g := h.group()
	found, err := lookUp[*advertisements.Pipe](ctx, g, q, wait)
	if err != nil {
		return nil, err
	}
	switch len(found) {
	case 0:
		return nil, interp.NotFoundf("no pipe %q was found in %s", a.Text, g.Name()).Try("search -r lists what others have published")
	case 1:
		return found[0], nil
	}
	return nil, duplicates("pipes", a.Text, len(found))
}

// dial opens the sending end of a pipe.
func (h *Host) dial(ctx context.Context, adv *advertisements.Pipe, wait time.Duration) (*pipe.Output, error) {
	short, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	out, err := h.group().Pipes().Dial(short, adv)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, pipeError(err, fmt.Sprintf("cannot open the pipe %q", adv.Name))
	}
	return out, nil
}

// pipeError tells in the words of the shell what a pipe could not do.
func pipeError(err error, what string) error {
	switch {
	case errors.Is(err, pipe.ErrNobody):
		return interp.NotFoundf("%s: there is nobody to ask: no rendezvous, no peer near by", what)
	case errors.Is(err, pipe.ErrNoListener):
		return interp.NotFoundf("%s: no peer was found that listens", what).Try("a peer listens with mkpipe -i")
	case errors.Is(err, pipe.ErrTaken):
		return interp.Failf("%s: this peer listens on it already", what)
	case errors.Is(err, pipe.ErrSecure):
		return interp.Failf("%s: this peer has no key, which secure pipes need", what).Try("peers with a home have one: start juxta with --home DIR")
	}
	return interp.Because(err, "%s", what)
}
