package commands

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func recvCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "recv", Family: familyPipes, Summary: "waits for a message on the input end of a pipe",
		Args: "PIPE", MinArgs: 1, MaxArgs: 1,
		Options: []interp.Option{
			interp.WaitOption("how long to wait at most (default: until Ctrl-C)"),
			{Letter: "t", Value: "MS", Help: "the same in milliseconds, as in the original shell; 0: no limit"},
			{Letter: "f", Name: "follow", Help: "show messages as they come, until the time is over or Ctrl-C"},
		},
		Complete: func(s *interp.Session, n int) []interp.Suggestion { return s.Variables(classInput, classPipeAdv) },
		Details: "The message is kept in a variable, with -f it is not. PIPE may also be what mkpipe -i\ntakes; then the pipe is open while recv waits.\n" +
			"JSON: variable, from, proven, elements: [{namespace, name, type, octets, text}].\nStatus 124: no message came in time.",
		Examples: []interp.Example{{Line: "msg = recv -w 10s in; cat -x msg", Text: "waits for a message and shows it"}, {Line: "recv -f in", Text: "shows all messages until Ctrl-C", Status: interp.StatusInterrupted}},
		Run: func(ctx context.Context, c *interp.Call) error {
			wait, err := recvWait(c)
			if err != nil {
				return err
			}
			in, closeIn, err := h.inputArg(ctx, c)
			if err != nil {
				return err
			}
			defer closeIn()
			short, cancel := ctx, context.CancelFunc(func() {})
			if wait > 0 {
				short, cancel = context.WithTimeout(ctx, wait)
			}
			defer cancel()
			if !c.Flag("f") {
				m, err := in.Receive(short)
				switch {
				case ctx.Err() != nil:
					return ctx.Err()
				case errors.Is(err, context.DeadlineExceeded):
					return interp.TimedOutf("no message came within %v", wait)
				case err != nil:
					return interp.Because(err, "cannot receive")
				}
				return c.Made(m.Message, h.messageLine(m), messageFields(m)...)
			}
			for m, err := range in.Messages(short) {
				if err != nil {
					return interp.Because(err, "cannot receive")
				}
				c.Line(h.messageLine(m), messageFields(m)...)
				c.Flush()
			}
			return waited(ctx)
		},
	}
}

// recvWait returns how long to wait; 0 means no limit.
func recvWait(c *interp.Call) (time.Duration, error) {
	if text := c.Value("t", ""); text != "" {
		ms, err := strconv.Atoi(text)
		if err != nil || ms < 0 {
			return 0, interp.Usagef("-t wants milliseconds, not %q", text)
		}
		return time.Duration(ms) * time.Millisecond, nil
	}
	return c.Duration("w", 0)
}

// inputArg returns the input end that the argument names, opening it if need be.
func (h *Host) inputArg(ctx context.Context, c *interp.Call) (*pipe.Input, func(), error) {
	if v, ok := c.Variable(c.Args[0]); ok {
		if in, ok := v.Object.(*pipe.Input); ok {
			return in, func() {}, nil
		}
	}
	adv, err := h.findPipe(ctx, c, c.Args[0], defaultWait)
	if err != nil {
		return nil, nil, err
	}
	in, err := h.group().Pipes().Listen(ctx, adv)
	if err != nil {
		return nil, nil, pipeError(err, "cannot listen")
	}
	return in, in.Close, nil
}

// messageLine shows a message to people: where it comes from, and its contents.
func (h *Host) messageLine(m pipe.Message) string {
	from := "an unknown peer"
	if !m.From.IsZero() {
		from = h.peerName(m.From)
		if !m.Proven {
			from += " (not proven)"
		}
	}
	return "message from " + from + "\n" + strings.TrimRight(messageText(m.Message, true), "\n")
}

// peerName returns the name of a peer as far as it is known, with what tells it
// from others of that name.
func (h *Host) peerName(p id.Peer) string {
	if p == h.peer.ID() {
		return h.peer.Name()
	}
	q := discovery.Query{Kind: advertisements.Peers, Attr: "PID", Value: p.String(), Limit: 1}
	for _, r := range h.group().Discovery().Local(q) {
		if adv, ok := r.Adv.(*advertisements.Peer); ok && adv.Name != "" {
			return oneLine(adv.Name) + ", " + p.Short()
		}
	}
	return p.Short()
}

// groupName is what a group is called, of those that the peer is in; of others it is the short ID.
func (h *Host) groupName(g id.Group) string {
	var find func(in *peergroup.Group) string
	find = func(in *peergroup.Group) string {
		if in.ID() == g {
			return oneLine(in.Name())
		}
		for _, child := range in.Groups() {
			if name := find(child); name != "" {
				return name
			}
		}
		return ""
	}
	return cmp.Or(find(h.peer.Net()), g.Short())
}

func messageFields(m pipe.Message) []interp.Field {
	return []interp.Field{{Name: "from", Value: m.From.String()}, {Name: "proven", Value: m.Proven}, {Name: "elements", Value: elementRecords(m.Message)}}
}

// elementRecords lists the elements of a message.
func elementRecords(m *message.Message) []interp.Record {
	elements := []interp.Record{}
	for e := range m.All() {
		fields := []interp.Field{{Name: "namespace", Value: e.Namespace}, {Name: "name", Value: e.Name},
			{Name: "type", Value: e.Type}, {Name: "octets", Value: len(e.Body)}, {Name: "text", Value: documentText(e.Body)}}
		elements = append(elements, interp.Record{Fields: fields})
	}
	return elements
}
