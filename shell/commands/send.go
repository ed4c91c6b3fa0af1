package commands

import (
	"context"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// textElement is the element into which send puts a plain text.
const textElement = "text"

func sendCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "send", Family: familyPipes, Summary: "sends a message, or a text, into a pipe",
		Args: "PIPE [MESSAGE | TEXT...]", MinArgs: 1, MaxArgs: -1, OptionsFirst: true,
		Options: []interp.Option{interp.WaitOption("how long to look for a peer that listens (default 10s)")},
		Complete: func(s *interp.Session, n int) []interp.Suggestion {
			if n == 0 {
				return s.Variables(classOutput, classPipeAdv)
			}
			return s.Variables(classMessage)
		},
		Details: "A pipe is the variable of its output end, or whatever mkpipe -o takes; then the pipe is\nopened for this one message. " +
			"A text travels as a message with the element \"" + textElement + "\". Without either, each line that another\ncommand writes does; -w is then the time for each.",
		Examples: []interp.Example{{Line: "send out msg", Text: "sends a message"}, {Line: "send chat hello everybody", Text: "opens the pipe chat and sends a text"},
			{Line: "status | send out", Text: "sends the lines that another command writes"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			wait, err := c.Duration("w", dialWait)
			if err != nil {
				return err
			}
			if len(c.Args) == 1 && !c.HasInput() {
				return interp.Usagef("send wants a message or a text").Try("usage: %s", c.Command.Usage())
			}
			msg := whatToSend(c)
			if msg.Len() == 0 {
				return interp.Failf("the message is empty").Try("put adds elements")
			}
			var out *pipe.Output
			if v, ok := c.Variable(c.Args[0]); ok {
				out, _ = v.Object.(*pipe.Output)
			}
			if out == nil {
				adv, err := h.findPipe(ctx, c, c.Args[0], wait)
				if err != nil {
					return err
				}
				if out, err = h.dial(ctx, adv, wait); err != nil {
					return err
				}
				defer out.Close()
			}
			if len(c.Args) > 1 {
				return sendWithin(ctx, out, msg, wait)
			}
			for line := range c.Lines(ctx) {
				if err := sendWithin(ctx, out, message.New(message.Text("", textElement, line)), wait); err != nil {
					return err
				}
			}
			return ctx.Err()
		},
	}
}

// whatToSend is what is to be sent: the message of a variable, or a text.
func whatToSend(c *interp.Call) *message.Message {
	if len(c.Args) == 2 {
		if v, ok := c.Variable(c.Args[1]); ok {
			if m, ok := v.Object.(*message.Message); ok {
				return m
			}
		}
	}
	return message.New(message.Text("", textElement, c.Text(1)))
}

// sendWithin sends a message, for which the pipe has some time.
func sendWithin(ctx context.Context, out *pipe.Output, msg *message.Message, wait time.Duration) error {
	short, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := out.Send(short, msg); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return pipeError(err, "cannot send")
	}
	return nil
}
