package commands

import (
	"context"
	"fmt"
	"strings"

	"github.com/juxta-p2p/juxta/shell/interp"
)

func grepCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "grep", Family: familyLanguage, Summary: "passes on what holds a text",
		Args: "TEXT [VARIABLE]", MinArgs: 1, MaxArgs: 2,
		Options: []interp.Option{{Letter: "i", Help: "upper and lower case are the same"}, {Letter: "v", Help: "what does not hold it"},
			{Letter: "n", Help: "with line numbers"}, {Letter: "c", Help: "only how many"}},
		Details:  "Results of listings stay results, so that a table remains a table. Status 3: nothing\nholds the text.",
		Examples: []interp.Example{{Line: "peers -r | grep -i ann", Text: "peers called ann"}, {Line: "grep Name peer0", Text: "lines of an advertisement"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			want := c.Args[0].Text
			if c.Flag("i") {
				want = strings.ToLower(want)
			}
			n, found := 0, 0
			try := func(r interp.Record) {
				n++
				text := r.AsText()
				if c.Flag("i") {
					text = strings.ToLower(text)
				}
				if strings.Contains(text, want) == c.Flag("v") {
					return
				}
				found++
				switch {
				case c.Flag("c"):
				case c.Flag("n"):
					c.Line(fmt.Sprintf("%d: %s", n, r.AsText()), append([]interp.Field{{Name: "number", Value: n}}, r.Fields...)...)
				default:
					c.Emit(r)
				}
			}
			if err := eachRecord(ctx, c, 1, try); err != nil {
				return err
			}
			if c.Flag("c") {
				c.Line(fmt.Sprint(found), interp.Field{Name: "count", Value: found})
			}
			if found == 0 {
				return interp.NotFoundf("nothing holds %q", c.Args[0].Text)
			}
			return nil
		},
	}
}

// eachRecord goes over the input, or over the lines of the variable that the n-th
// argument names.
func eachRecord(ctx context.Context, c *interp.Call, n int, f func(interp.Record)) error {
	if len(c.Args) <= n {
		if !c.HasInput() {
			return interp.Usagef("%s wants a variable, or the output of another command", c.Command.Name).Try("usage: %s", c.Command.Usage())
		}
		for r := range c.Records(ctx) {
			for _, line := range r.Split() {
				f(line)
			}
		}
		return ctx.Err()
	}
	v, ok := c.Variable(c.Args[n])
	if !ok {
		return interp.NotFoundf("no variable is called %q", c.Args[n].Text).Try("env lists them")
	}
	text := strings.TrimSuffix(c.Session.TextOf(v.Object), "\n")
	for line := range strings.SplitSeq(text, "\n") {
		f(interp.Record{Layout: interp.Line, Line: line, Fields: []interp.Field{{Name: "text", Value: line}}})
	}
	return nil
}
