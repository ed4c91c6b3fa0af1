package interp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/shell/interp"
)

// reader is a pager: somebody reads so many lines and leaves.
type reader struct {
	bytes.Buffer
	most   int // lines; 0: all
	closed bool
}

func (r *reader) Write(b []byte) (int, error) {
	if r.most > 0 && bytes.Count(r.Bytes(), []byte("\n")) >= r.most {
		return 0, io.ErrClosedPipe
	}
	return r.Buffer.Write(b)
}

func (r *reader) Close() error {
	r.closed = true
	return nil
}

// TestPaged: what fills the screen goes to the pager, from its first line; what does not is
// printed; and a command whose reader has left ends without an error.
func TestPaged(t *testing.T) {
	const height = 10
	written := 0
	numbers := &interp.Command{Name: "numbers", Args: "N", MinArgs: 1, MaxArgs: 1, Paged: true, Run: func(ctx context.Context, c *interp.Call) error {
		var n int
		_, _ = fmt.Sscan(c.Args[0].Text, &n)
		for written = 0; written < n && ctx.Err() == nil; written++ {
			c.Line(fmt.Sprint("line ", written))
		}
		return ctx.Err()
	}}
	live := &interp.Command{Name: "live", MaxArgs: 0, Run: func(_ context.Context, c *interp.Call) error {
		for range 100 {
			c.Line("again")
		}
		return nil
	}}
	noticed := &interp.Command{Name: "noticed", MaxArgs: 0, Paged: true, Run: func(_ context.Context, c *interp.Call) error {
		c.Line("before")
		c.Notice("between")
		for range 100 {
			c.Line("after")
		}
		return nil
	}}
	for _, tt := range []struct {
		name, line    string
		most          int
		none          error
		paged, direct string // how the two outputs begin
		lines         int    // in the pager
	}{
		{name: "short", line: "numbers 5", direct: "line 0\nline 1\n"},
		{name: "long", line: "numbers 100", paged: "line 0\nline 1\n", lines: 100},
		{name: "left", line: "numbers 100000", most: 20, paged: "line 0\n", lines: 20},
		{name: "no pager", line: "numbers 100", none: errors.New("there is none"), direct: "line 0\n"},
		{name: "live", line: "live", direct: "again\n"},
		{name: "live in a pipeline", line: "live | numbers 50", direct: "line 0\n"},
		{name: "JSON", line: "numbers 30 --json", paged: "{", lines: 30},
		{name: "a notice", line: "noticed", direct: "before\n# noticed - between\nafter\n"},
		{name: "manual", line: "live --help", direct: "NAME\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			var pager *reader
			s := interp.New(interp.Config{
				Commands: []*interp.Command{numbers, live, noticed}, Out: &out, Err: &out, Terminal: true,
				Width: func() int { return 80 }, Height: func() int { return height },
				Page: func(context.Context) (io.WriteCloser, error) {
					if tt.none != nil {
						return nil, tt.none
					}
					pager = &reader{most: tt.most}
					return pager, nil
				},
			})
			defer s.Close()
			if status := s.Run(t.Context(), tt.line); status != interp.StatusOK {
				t.Errorf("status %d", status)
			}
			if !strings.HasPrefix(out.String(), tt.direct) || tt.direct == "" && out.Len() > 0 {
				t.Errorf("printed %q, want %q", out.String(), tt.direct)
			}
			switch {
			case tt.lines == 0 && pager != nil && tt.name != "manual":
				t.Errorf("paged %q", pager.String())
			case tt.lines == 0:
			case pager == nil:
				t.Error("not paged")
			case !pager.closed || !strings.HasPrefix(pager.String(), tt.paged) || strings.Count(pager.String(), "\n") < tt.lines:
				t.Errorf("closed %v, %d lines, paged %q", pager.closed, strings.Count(pager.String(), "\n"), pager.String())
			}
			if tt.most > 0 && written > 200 {
				t.Errorf("%d lines were written for nobody", written)
			}
		})
	}
}
