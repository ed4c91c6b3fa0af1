package commands

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/diagnose"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// whyWait is how long why looks: several addresses that do not answer, and
// witnesses that do not either.
const whyWait = 15 * time.Second

func whyCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "why", Family: familyPeers, Summary: "tells why a peer cannot be reached, or by which way it is",
		Args: "PEER", MinArgs: 1, MaxArgs: 1,
		Options:  []interp.Option{interp.WaitOption("how long to look (default 15s)")},
		Complete: func(s *interp.Session, n int) []interp.Suggestion { return s.Variables(classPeerAdv) },
		Details: "It looks at what is known of the peer, tries every address, and asks the peer itself and\n" +
			"the rendezvous and relays in between what they see; then it names the cause and what to do.\n" +
			"A peer is a variable, a name or an ID.\n" +
			"JSON: one object for each thing looked at: step, subject, ok, detail, cause, error, witness,\n" +
			"took (seconds); then {\"cause\",\"why\",\"advice\"}. Status 3: it cannot be reached.",
		Examples: []interp.Example{{Line: "why ann", Text: "why ann does not answer"}, {Line: "why -w 5s peer0", Text: "the same of a peer in a variable, in five seconds"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			wait, err := c.Duration("w", whyWait)
			if err != nil {
				return err
			}
			short, cancel := context.WithTimeout(ctx, wait)
			defer cancel()
			name := c.Args[0].Text
			p, err := h.findPeer(short, c, c.Args[0], min(wait, defaultWait))
			if err != nil {
				var e *interp.Error
				if !errors.As(err, &e) || e.Status != interp.StatusNotFound {
					return err
				}
				p = id.Peer{}
			} else {
				name = h.peerName(p)
			}
			r := h.peer.Why(short, p, name)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			for _, check := range r.Checks {
				showCheck(c, check)
			}
			if r.Cause == diagnose.Reachable || c.JSON() {
				c.Line(r.Why, interp.Field{Name: "cause", Value: string(r.Cause)}, interp.Field{Name: "why", Value: r.Why},
					interp.Field{Name: "advice", Value: r.Advice})
			}
			if r.Cause != diagnose.Reachable {
				return interp.NotFoundf("%s", r.Why).Try("%s", r.Advice)
			}
			return nil
		},
	}
}

func showCheck(c *interp.Call, check diagnose.Check) {
	failure, witness := "", ""
	if check.Err != nil {
		failure = oneError(check.Err)
	}
	if !check.Witness.IsZero() {
		witness = check.Witness.String()
	}
	c.Line(checkLine(check), interp.Field{Name: "step", Value: string(check.Step)}, interp.Field{Name: "subject", Value: check.Subject},
		interp.Field{Name: "ok", Value: check.OK}, interp.Field{Name: "detail", Value: check.Detail},
		interp.Field{Name: "cause", Value: string(check.Cause)}, interp.Field{Name: "error", Value: failure},
		interp.Field{Name: "witness", Value: witness}, interp.Field{Name: "took", Value: check.Took})
}

// checkLine tells what was looked at, and how that was.
func checkLine(check diagnose.Check) string {
	mark := "-"
	switch {
	case check.OK:
		mark = "+"
	case check.Cause != "":
		mark = "!"
	}
	text := check.Detail
	if text == "" && check.Err != nil {
		text = oneError(check.Err)
	}
	line := mark + " " + string(check.Step) + ": " + check.Subject
	if text != "" {
		line += ": " + text
	}
	return line
}

// oneError writes an error, which may have many causes, on one line.
func oneError(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
