package commands

import (
	"context"
	"crypto/x509"
	"fmt"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func catCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "cat", Family: familyLanguage, Summary: "shows what a variable holds",
		Args: "[VARIABLE]...", MaxArgs: -1,
		Options: []interp.Option{{Letter: "p", Name: "pretty", Help: "XML as \"Tag : value\""},
			{Letter: "x", Name: "contents", Help: "of a message also the contents of its elements"}},
		Details: "Advertisements show as XML, messages as a list of their elements, documents as they are,\n" +
			"credentials as XML, certificates as PEM, or with -p in words.\n" +
			"Without a variable it passes on what another command writes; with a name left of = it keeps that as a\ndocument, up to 16 MiB.\n" +
			"JSON: variable, class, text; of what is kept variable, octets.",
		Examples: []interp.Example{{Line: "cat peer0", Text: "an advertisement as XML"}, {Line: "cat -p peer0", Text: "the same, easier to read"},
			{Line: "cat -x msg", Text: "a message with contents"}, {Line: "peers | list = cat", Text: "keeps the lines that another command writes"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			if len(c.Args) == 0 && c.HasInput() {
				if c.Named() {
					return keepLines(ctx, c)
				}
				for r := range c.Records(ctx) {
					c.Emit(r)
				}
				return ctx.Err()
			}
			if len(c.Args) == 0 {
				return interp.Usagef("cat wants a variable").Try("env lists them")
			}
			for _, a := range c.Args {
				v, ok := c.Variable(a)
				if !ok {
					return interp.NotFoundf("no variable is called %q", a.Text).Try("env lists them")
				}
				text := c.Session.TextOf(v.Object)
				switch x := v.Object.(type) {
				case *message.Message:
					text = messageText(x, c.Flag("x"))
				case advertisements.Advertisement:
					if c.Flag("p") {
						if n, err := xmldoc.NodeOf(x); err == nil {
							text = pretty(n, 0)
						}
					}
				case *credential.Credential:
					if n, err := x.Node(); err == nil && c.Flag("p") {
						text = pretty(n, 0)
					}
				case *x509.Certificate:
					if c.Flag("p") {
						text = certificateText(x)
					}
				case Document:
					if n, err := xmldoc.ParseNode(x); err == nil && c.Flag("p") {
						text = pretty(n, 0)
					}
				}
				if c.JSON() {
					c.Row(interp.Field{Name: "variable", Value: v.Name}, interp.Field{Name: "class", Value: v.Class},
						interp.Field{Name: "text", Value: text})
					continue
				}
				c.Print(strings.TrimSuffix(text, "\n") + "\n")
			}
			return nil
		},
	}
}

// keepLines puts what another command writes into a variable.
func keepLines(ctx context.Context, c *interp.Call) error {
	var doc Document
	for line := range c.Lines(ctx) {
		if len(doc)+len(line) >= maxFile {
			return interp.Failf("that is more than %d MiB", maxFile>>20).Try("exportfile writes it to a file")
		}
		doc = append(append(doc, line...), '\n')
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.Made(doc, "", interp.Field{Name: "octets", Value: len(doc)})
}

// pretty writes XML as indented lines "Tag : value".
func pretty(n xmldoc.Node, depth int) string {
	var b strings.Builder
	for child := range n.Children() {
		fmt.Fprintf(&b, "%s%s : %s", strings.Repeat("  ", depth), child.Name(), xmldoc.Trim(child.Text()))
		text := strings.TrimRight(b.String(), " ")
		b.Reset()
		b.WriteString(text + "\n" + pretty(child, depth+1))
	}
	return b.String()
}
