package interp

import (
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/mattn/go-runewidth"
)

// item is one thing that a command writes: a record, or text as it is.
type item struct {
	rec  *Record
	text string
}

// sink takes what a command writes. put reports whether anybody still reads.
type sink interface {
	put(it item) bool
	flush()
}

// printer is the sink at the end of a pipeline. It is safe for concurrent use.
type printer struct {
	w        io.Writer
	json     bool
	terminal bool        // aligned tables with headers; no control characters
	bold     bool        // headers in bold
	width    func() int  // columns of the terminal; 0: not known
	enough   func() bool // nobody reads any more; nil: somebody always does

	mu   sync.Mutex
	rows []*Record // a table not printed yet
}

func (p *printer) put(it item) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.json:
		p.putJSON(it)
	case it.rec == nil:
		p.flushRows()
		if p.terminal {
			it.text = harmless(it.text)
		}
		p.write(it.text)
	case it.rec.Layout == Table:
		if len(p.rows) > 0 && (len(p.rows) >= maxTableRows || !slices.Equal(p.rows[0].header(), it.rec.header())) {
			p.flushRows()
		}
		p.rows = append(p.rows, it.rec)
	case it.rec.Layout == Detail:
		p.flushRows()
		p.write(p.detail(it.rec))
	default:
		p.flushRows()
		p.write(harmless(it.rec.Line) + "\n")
	}
	return p.enough == nil || !p.enough()
}

func (p *printer) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flushRows()
}

func (p *printer) putJSON(it item) {
	rec := it.rec
	if rec == nil {
		rec = &Record{Fields: []Field{{Name: "text", Value: strings.TrimSuffix(it.text, "\n")}}}
	}
	b, err := marshal(rec)
	if err != nil {
		return // unreachable: fields hold plain values
	}
	p.write(string(b) + "\n")
}

func (p *printer) write(s string) {
	_, _ = io.WriteString(p.w, s) // nobody is left to tell when the output is gone
}

// detail prints one field a line; on a terminal the values line up, Short stands for
// Value, and fields marked Long are left out unless the record is wide.
func (p *printer) detail(r *Record) string {
	var b strings.Builder
	fields, width := r.Fields, 0
	if p.terminal && !r.Wide {
		fields = slices.Clone(fields)
		fields = slices.DeleteFunc(fields, func(f Field) bool { return f.Long })
		for i, f := range fields {
			if f.Short != "" {
				fields[i].Value = f.Short
			}
		}
	}
	for _, f := range fields {
		width = max(width, runewidth.StringWidth(f.Name))
	}
	for _, f := range fields {
		values, ok := f.Value.([]string)
		if !ok || len(values) == 0 {
			values = []string{cell(f.Value)}
		}
		for i, v := range values {
			name := strings.ReplaceAll(f.Name, "_", " ") + ":"
			if p.terminal {
				if i > 0 {
					name = ""
				}
				name = runewidth.FillRight(name, width+2)
			} else {
				name = f.Name + ": "
			}
			b.WriteString(strings.TrimRight(name+printable(v), " ") + "\n")
		}
	}
	return b.String()
}

// flushRows prints the table.
func (p *printer) flushRows() {
	rows := p.rows
	p.rows = nil
	if len(rows) == 0 {
		return
	}
	var b strings.Builder
	if !p.terminal {
		for _, r := range rows {
			b.WriteString(strings.Join(r.cells(false), "\t"))
			b.WriteByte('\n')
		}
		p.write(b.String())
		return
	}
	cells := [][]string{rows[0].header()}
	for _, r := range rows {
		cells = append(cells, r.cells(true))
	}
	var widths []int
	for _, row := range cells {
		for len(widths) < len(row) {
			widths = append(widths, 0)
		}
		for i, c := range row {
			widths[i] = max(widths[i], runewidth.StringWidth(c))
		}
	}
	for i, row := range cells {
		line := p.line(row, widths, rows[0].Wide)
		if i == 0 && p.bold {
			line = "\x1b[1m" + line + "\x1b[0m"
		}
		b.WriteString(line + "\n")
	}
	p.write(b.String())
}

// line aligns a row and, unless all of it was asked for, cuts what would not fit
// the terminal.
func (p *printer) line(row []string, widths []int, whole bool) string {
	const gap = "  "
	var b strings.Builder
	for i, c := range row {
		if i > 0 {
			b.WriteString(gap)
		}
		if i < len(row)-1 {
			c = runewidth.FillRight(c, widths[i])
		}
		b.WriteString(c)
	}
	line := strings.TrimRight(b.String(), " ")
	if w := p.width(); w > 0 && !whole && runewidth.StringWidth(line) > w {
		line = runewidth.Truncate(line, w, "…")
	}
	return line
}

// stream carries items from one command of a pipeline to the next.
type stream struct {
	items chan item
	gone  chan struct{} // closed when the reader has read enough
	once  sync.Once
}

func newStream() *stream {
	return &stream{items: make(chan item, streamItems), gone: make(chan struct{})}
}

func (s *stream) put(it item) bool {
	select {
	case <-s.gone:
		return false
	default:
	}
	select {
	case s.items <- it:
		return true
	case <-s.gone:
		return false
	}
}

func (s *stream) flush()     {}
func (s *stream) closeRead() { s.once.Do(func() { close(s.gone) }) }
