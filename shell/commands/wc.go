package commands

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/juxta-p2p/juxta/shell/interp"
)

func wcCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "wc", Family: familyLanguage, Summary: "counts lines, words and characters",
		Args: "[VARIABLE]", MaxArgs: 1,
		Options:  []interp.Option{{Letter: "l", Help: "only lines"}, {Letter: "w", Help: "only words"}, {Letter: "c", Help: "only characters"}},
		Details:  "JSON: lines, words, characters.",
		Examples: []interp.Example{{Line: "peers -r | wc -l", Text: "how many peers"}, {Line: "wc mydoc", Text: "how long a document is"}, {Line: "man talk | wc -w", Text: "how many words a manual page has"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			lines, words, chars := 0, 0, 0
			err := eachRecord(ctx, c, 0, func(r interp.Record) {
				text := r.AsText()
				lines += 1 + strings.Count(text, "\n")
				words += len(strings.Fields(text))
				chars += utf8.RuneCountInString(text) + 1
			})
			if err != nil {
				return err
			}
			all := []interp.Field{{Name: "lines", Value: lines}, {Name: "words", Value: words}, {Name: "characters", Value: chars}}
			var shown []interp.Field
			for i, letter := range []string{"l", "w", "c"} {
				if c.Flag(letter) {
					shown = append(shown, all[i])
				}
			}
			if len(shown) == 0 {
				shown = all
			}
			var cells []string
			for _, f := range shown {
				cells = append(cells, fmt.Sprint(f.Value))
			}
			c.Line(strings.Join(cells, "\t"), shown...)
			return nil
		},
	}
}
