package commands

import (
	"context"

	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func mkmsgCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "mkmsg", Family: familyPipes, Summary: "makes an empty message",
		Details:  "put fills it, send sends it. JSON: variable.",
		Examples: []interp.Example{{Line: "msg = mkmsg; put msg greeting 'hello'", Text: "a message with one element"}, {Line: "msg = mkmsg; cat msg", Text: "lists its elements: none"}},
		Run: func(_ context.Context, c *interp.Call) error {
			return c.Made(message.New(), "empty message")
		},
	}
}

// messageArg returns the message that an argument names.
func messageArg(c *interp.Call, a interp.Arg) (*message.Message, error) {
	v, ok := c.Variable(a)
	if !ok {
		return nil, interp.NotFoundf("no variable is called %q", a.Text).Try("mkmsg makes a message")
	}
	m, ok := v.Object.(*message.Message)
	if !ok {
		return nil, interp.Failf("%s holds no message, but: %s", v.Name, v.Class)
	}
	return m, nil
}

// completeMessages lists messages first, then anything.
func completeMessages(s *interp.Session, n int) []interp.Suggestion {
	switch n {
	case 0:
		return s.Variables(classMessage)
	case 1:
		return nil
	}
	return s.Variables()
}
