package interp

import (
	"context"
	"strings"

	"github.com/juxta-p2p/juxta/shell/lang"
)

// nested is the key of a context under which the [Call] stands that runs a script.
type nested struct{}

// within returns the call that runs a script, nil for what the user typed.
func within(ctx context.Context) *Call {
	c, _ := ctx.Value(nested{}).(*Call)
	return c
}

// Script runs a text as part of this command: it reads what this command would read, its results go
// where those of this command go, and its variables are those of the session. It returns
// the error of the command that ended it, or of the last one; what failed was reported to
// the user already unless the error says otherwise.
func (c *Call) Script(ctx context.Context, src string) error {
	if c.depth >= maxDepth {
		return Failf("%s runs itself over and over", c.Name).Try("that goes %d deep at most", maxDepth)
	}
	script, err := lang.Parse(src)
	if err != nil {
		return &Error{Status: StatusUsage, Code: CodeSyntax, Message: strings.TrimPrefix(err.Error(), "lang: ")}
	}
	ctx = context.WithValue(ctx, nested{}, c)
	c.Session.script(ctx, script, false)
	if status := c.Session.Status(); status != StatusOK && !c.Session.Exited() {
		return &Error{Status: status, Code: CodeFailed, told: true}
	}
	return context.Cause(ctx)
}

// Typed returns the arguments as words of the language, from the n-th on: what was typed, with
// variables replaced.
func (c *Call) Typed(n int) string {
	var words []string
	for _, w := range c.typed[min(n, len(c.typed)):] {
		words = append(words, lang.Quote(w))
	}
	return strings.Join(words, " ")
}

// nestedSink gives results on to the command that runs a script.
type nestedSink struct {
	to   *Call
	json bool
}

func (n nestedSink) put(it item) bool {
	if n.json && it.rec != nil && !n.to.JSON() {
		b, err := marshal(it.rec)
		if err != nil {
			return true // unreachable: fields hold plain values
		}
		it = item{text: string(b) + "\n"}
	}
	return n.to.out.put(it)
}

func (n nestedSink) flush() { n.to.out.flush() }
