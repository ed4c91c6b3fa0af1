package commands

import (
	"context"
	"os"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func putCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "put", Family: familyPipes, Summary: "adds an element to a message",
		Args: "MESSAGE ELEMENT [VARIABLE or TEXT]", MinArgs: 2, MaxArgs: 3, Complete: completeMessages,
		Options: []interp.Option{{Letter: "f", Name: "file", Value: "FILE", Help: "the content of a file"}},
		Details: "The name of an element may have a namespace before a colon. Advertisements and XML\ndocuments become elements of type text/xml, " +
			"texts of text/plain, other documents octets.",
		Examples: []interp.Example{{Line: "put msg greeting 'hello'", Text: "a text"}, {Line: "put msg doc mydoc", Text: "a document"},
			{Line: "put -f photo.jpg msg photo", Text: "a file"}},
		Run: func(_ context.Context, c *interp.Call) error {
			m, err := messageArg(c, c.Args[0])
			if err != nil {
				return err
			}
			if c.Flag("f") == (len(c.Args) == 3) {
				return interp.Usagef("put wants a content: a variable, a text or -f FILE").Try("usage: %s", c.Command.Usage())
			}
			space, name := splitElement(c.Args[1].Text)
			if name == "" {
				return interp.Usagef("an element needs a name")
			}
			if file := c.Value("f", ""); file != "" {
				info, err := os.Stat(file)
				if err == nil && info.Size() > maxFile {
					return interp.Failf("%s is larger than %d MiB", file, maxFile>>20)
				}
				b, err := os.ReadFile(file)
				if err != nil {
					return interp.Because(err, "cannot read it")
				}
				m.Add(elementOf(space, name, b))
				return nil
			}
			v, ok := c.Variable(c.Args[2])
			if !ok {
				m.Add(message.Text(space, name, c.Args[2].Text))
				return nil
			}
			switch x := v.Object.(type) {
			case Document:
				m.Add(elementOf(space, name, x))
			case advertisements.Advertisement:
				b, err := advertisements.Marshal(x)
				if err != nil {
					return interp.Because(err, "cannot print %s", v.Name)
				}
				m.Add(message.XML(space, name, b))
			default:
				m.Add(message.Text(space, name, c.Session.TextOf(v.Object)))
			}
			return nil
		},
	}
}

// splitElement splits "namespace:name".
func splitElement(s string) (space, name string) {
	if before, after, ok := strings.Cut(s, ":"); ok {
		return before, after
	}
	return "", s
}

// elementOf makes an element of XML or of octets.
func elementOf(space, name string, b []byte) message.Element {
	if _, err := xmldoc.ParseNode(b); err == nil {
		return message.XML(space, name, b)
	}
	return message.Bytes(space, name, b)
}
