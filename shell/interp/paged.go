package interp

import (
	"bytes"
	"context"
	"io"
	"sync"
	"sync/atomic"
)

// pages holds the output of a pipeline back until it has ended, or more of it has come than
// the screen has rows for; then a pager gets it.
type pages struct {
	ctx  context.Context
	cfg  *Config
	mu   sync.Mutex
	held bytes.Buffer
	rows int

	pager  io.WriteCloser // nil: none so far
	direct bool           // there is none: what comes is printed
	gone   atomic.Bool    // the user has seen enough
	opened atomic.Bool    // a pager was opened, and may hold mu for as long as the user reads
}

// paged returns what the output of a pipeline goes to if it is to be paged, or nil: all its
// commands must end by themselves.
func (s *Session) paged(ctx context.Context, calls []*Call) *pages {
	if s.Page == nil || s.Height == nil || !s.Terminal || s.JSON || s.Height() <= 0 {
		return nil
	}
	for _, c := range calls {
		if !c.Command.Paged && !c.Flag(helpOption) {
			return nil
		}
	}
	return &pages{ctx: ctx, cfg: &s.Config}
}

// Write implements io.Writer. It never fails.
func (p *pages) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.gone.Load():
	case p.direct:
		_, _ = p.cfg.Out.Write(b) // nobody is left to tell
	case p.pager != nil:
		_, err := p.pager.Write(b)
		p.gone.Store(err != nil)
	default:
		p.held.Write(b)
		if p.rows += rows(b, p.cfg.Width()); p.rows >= max(p.cfg.Height(), 2) {
			p.open()
		}
	}
	return len(b), nil
}

// rows is how many rows of a terminal a text takes, or a few more.
func rows(b []byte, width int) int {
	n := bytes.Count(b, []byte("\n"))
	if width > 0 {
		for line := range bytes.SplitSeq(b, []byte("\n")) {
			n += len(line) / (width + 1)
		}
	}
	return n
}

// open starts the pager with what is held, or prints that if there is none.
func (p *pages) open() {
	pager, err := p.cfg.Page(p.ctx)
	if err != nil || pager == nil {
		p.direct = true
		p.print()
		return
	}
	p.pager = pager
	p.opened.Store(true)
	_, err = p.pager.Write(p.held.Bytes())
	p.gone.Store(err != nil)
	p.held = bytes.Buffer{}
}

func (p *pages) print() {
	_, _ = p.cfg.Out.Write(p.held.Bytes())
	p.held = bytes.Buffer{}
}

// enough reports whether the user has left the pager.
func (p *pages) enough() bool { return p.gone.Load() }

// before is called before something else is printed: it must come behind what the command has
// written so far.
func (p *pages) before() {
	if p.opened.Load() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held.Len() > 0 {
		p.direct = true
		p.print()
	}
}

// end prints what fits on a screen, or waits until the user leaves the pager.
func (p *pages) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pager != nil {
		_ = p.pager.Close() // how a pager ends is the user's affair
		return
	}
	if p.held.Len() > 0 {
		p.print()
	}
}
