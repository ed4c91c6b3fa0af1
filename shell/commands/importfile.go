package commands

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/juxta-p2p/juxta/shell/interp"
)

// Document is a text or some octets in a variable.
type Document []byte

// maxFile is the largest file that importfile reads: more does not fit into a
// message.
const maxFile = 16 << 20

func importfileCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "importfile", Family: familyLanguage, Summary: "reads a file into a document",
		Args: "[FILE] [VARIABLE]", MaxArgs: 2, File: func(n int) bool { return n == 0 },
		Options:  []interp.Option{{Letter: "f", Name: "file", Value: "FILE", Help: "the file, as in the original shell"}},
		Details:  "Files of any content up to 16 MiB. The variable may also stand left of \"=\".\nJSON: variable, file, octets.",
		Examples: []interp.Example{{Line: "doc = importfile notes.txt", Text: "reads the file"}, {Line: "importfile -f a.xml adv", Text: "the same in the old way"}},
		Run: func(_ context.Context, c *interp.Call) error {
			args := c.Args
			file := c.Value("f", "")
			if file == "" && len(args) > 0 {
				file, args = args[0].Text, args[1:]
			}
			if file == "" || len(args) > 1 {
				return interp.Usagef("importfile wants a file").Try("usage: %s", c.Command.Usage())
			}
			f, err := os.Open(file)
			if err != nil {
				return interp.Because(err, "cannot read it")
			}
			defer f.Close()
			var b bytes.Buffer
			if _, err := io.Copy(&b, io.LimitReader(f, maxFile+1)); err != nil {
				return interp.Because(err, "cannot read it")
			}
			if b.Len() > maxFile {
				return interp.Failf("%s is larger than %d MiB", file, maxFile>>20)
			}
			doc := Document(b.Bytes())
			if len(args) == 1 {
				return c.Session.Store(args[0].Text, doc)
			}
			return c.Made(doc, fmt.Sprintf("document of %d octets", len(doc)),
				interp.Field{Name: "file", Value: file}, interp.Field{Name: "octets", Value: len(doc)})
		},
	}
}
