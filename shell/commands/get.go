package commands

import (
	"bytes"
	"context"
	"fmt"

	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func getCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "get", Family: familyPipes, Summary: "copies an element of a message into a document",
		Args: "MESSAGE ELEMENT", MinArgs: 2, MaxArgs: 2,
		Complete: func(s *interp.Session, n int) []interp.Suggestion {
			if n == 0 {
				return s.Variables(classMessage)
			}
			return nil
		},
		Details:  "The message keeps the element. JSON: variable, octets, type.",
		Examples: []interp.Example{{Line: "text = get msg greeting; cat text", Text: "shows an element"}, {Line: "adv = get msg doc; publish adv", Text: "publishes one"}},
		Run: func(_ context.Context, c *interp.Call) error {
			m, err := messageArg(c, c.Args[0])
			if err != nil {
				return err
			}
			space, name := splitElement(c.Args[1].Text)
			e, ok := m.Get(space, name)
			if !ok {
				return interp.NotFoundf("%s has no element %q", c.Args[0].Text, c.Args[1].Text).Try("cat %s lists them", c.Args[0].Text)
			}
			kind := e.Type
			if kind == "" {
				kind = message.TypeOctets
			}
			doc := Document(bytes.Clone(e.Body))
			return c.Made(doc, fmt.Sprintf("document of %d octets", len(doc)),
				interp.Field{Name: "octets", Value: len(doc)}, interp.Field{Name: "type", Value: kind})
		},
	}
}
