package commands

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/juxta-p2p/juxta/peergroup/peergrouptest"
	"github.com/juxta-p2p/juxta/shell/interp"
	"github.com/juxta-p2p/juxta/shell/terminal"
)

const (
	barWidth = 24

	// barEvery and linesEvery are how often progress is shown, on a terminal and
	// elsewhere.
	barEvery   = 200 * time.Millisecond
	linesEvery = 5 * time.Second
)

// bar shows how far a simulation is: as a bar where the user sits, now and then
// as a notice elsewhere.
type bar struct {
	c        *interp.Call
	terminal bool
	width    func() int
	shown    time.Time
	phase    string
	began    time.Time // of the phase
	from     time.Duration
	drawn    bool
}

func newBar(c *interp.Call) *bar {
	b := &bar{c: c, width: c.Session.Width, terminal: c.Session.Terminal && !c.Session.JSON}
	if f, ok := c.Session.Err.(*os.File); ok && !c.Session.JSON && terminal.Interactive(f, f) {
		b.terminal = true
		b.width = func() int {
			columns, _, err := term.GetSize(int(f.Fd()))
			if err != nil {
				return 0
			}
			return columns
		}
	}
	return b
}

// show takes one report of progress.
func (b *bar) show(p peergrouptest.Progress) {
	now := time.Now()
	if p.Phase != b.phase {
		b.phase, b.began, b.from = p.Phase, now, p.Virtual.Duration()
		if b.shown.IsZero() {
			b.shown = now
		}
	}
	every := linesEvery
	if b.terminal {
		every = barEvery
	}
	if now.Sub(b.shown) < every {
		return
	}
	b.shown = now
	text := fmt.Sprintf("%s %3.0f %%", b.phase, 100*p.Done)
	if b.terminal {
		full := int(p.Done * barWidth)
		text = fmt.Sprintf("%-6s [%s%s] %3.0f %%", b.phase, strings.Repeat("#", full), strings.Repeat("-", barWidth-full), 100*p.Done)
	}
	switch b.phase {
	case "start":
		text += fmt.Sprintf(", %d peers", p.Peers)
	case "settle":
		text += fmt.Sprintf(", %v, %d leases", p.Virtual.Duration().Round(time.Second), p.Leased)
	default:
		text += fmt.Sprintf(", %d of %d found", p.Hits, p.Lookups)
		if spent := now.Sub(b.began).Seconds(); spent > 1 && p.Done > 0 {
			text += fmt.Sprintf(", %.0f times as fast as life", (p.Virtual.Duration()-b.from).Seconds()/spent)
			text += fmt.Sprintf(", %v left", time.Duration(spent*(1-p.Done)/p.Done*float64(time.Second)).Round(time.Second))
		}
	}
	if !b.terminal {
		b.c.Notice("%s", text)
		return
	}
	b.draw(text)
}

// transfer shows how much of so many octets has come or gone, with speed and time left.
func (b *bar) transfer(octets, size int64, begun time.Time) {
	now := time.Now()
	if now.Sub(b.shown) < barEvery || size <= 0 {
		return
	}
	b.shown = now
	done := min(float64(octets)/float64(size), 1)
	text := fmt.Sprintf("[%-*s] %3.0f %%", barWidth, strings.Repeat("#", int(done*barWidth)), 100*done)
	if spent := now.Sub(begun).Seconds(); octets > 0 && spent > 0 {
		rate := float64(octets) / spent
		text += fmt.Sprintf(", %.1f MB/s, %v left", rate/1e6, time.Duration(float64(size-octets)/rate*float64(time.Second)).Round(time.Second))
	}
	b.draw(text)
}

// draw shows a line in place of the one before it.
func (b *bar) draw(text string) {
	if w := b.width(); w > 0 && len(text) >= w {
		text = text[:w-1]
	}
	b.drawn = true
	_, _ = fmt.Fprintf(b.c.Session.Err, "\r%s\x1b[K", text)
}

// clear takes the bar away.
func (b *bar) clear() {
	if b.drawn {
		b.drawn = false
		_, _ = fmt.Fprint(b.c.Session.Err, "\r\x1b[K")
	}
}
