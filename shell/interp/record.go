package interp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Layout says how a record looks to people. Programs get the same JSON object
// whatever the layout.
type Layout uint8

// The layouts.
const (
	Table  Layout = iota // a row; rows with the same fields line up below each other
	Detail               // one line a field: name and value
	Line                 // the text Record.Line
)

// Field is one value of a record.
type Field struct {
	Name  string // stable name, in snake_case
	Value any    // string, bool, integer, float, time.Time, time.Duration, []string or Record
	Short string // what a terminal shows instead of Value in a table; may be empty
	Long  bool   // tables leave it out unless the command was asked for more (-l)
}

// Text returns a value of a field as tables show it: one line, in which control
// characters and marks that turn the text around are replaced.
func Text(v any) string { return cell(v) }

// Record is one result of a command.
type Record struct {
	Layout Layout
	Fields []Field
	Line   string // for layout Line
	Wide   bool   // show fields marked Long, and Value in place of Short
}

// MarshalJSON writes the fields in their order. Durations are seconds, times are
// RFC 3339, the zero time and nil are null.
func (r Record) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range r.Fields {
		if i > 0 {
			b.WriteByte(',')
		}
		v := f.Value
		switch x := v.(type) {
		case time.Duration:
			v = float64(x.Milliseconds()) / 1000 // Seconds would print as 14.850999999999999
		case time.Time:
			v = nil
			if !x.IsZero() {
				v = x.UTC().Format(time.RFC3339)
			}
		case []string:
			if x == nil {
				v = []string{}
			}
		}
		text, err := marshal(v)
		if err != nil {
			return nil, fmt.Errorf("interp: field %s: %w", f.Name, err)
		}
		name, err := marshal(f.Name)
		if err != nil {
			return nil, fmt.Errorf("interp: field name: %w", err)
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(text)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// marshal is json.Marshal without escaping <, > and &, which XML is full of.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// text returns the record as one line without its end, for commands that read
// lines: cells with a tab between them, or the line it has.
func (r *Record) text() string {
	if r.Layout == Line {
		return r.Line
	}
	if r.Layout == Detail {
		var lines []string
		for _, f := range r.Fields {
			lines = append(lines, f.Name+": "+cell(f.Value))
		}
		return strings.Join(lines, "\n")
	}
	return strings.Join(r.cells(false), "\t")
}

// cells returns what a table shows.
func (r *Record) cells(terminal bool) []string {
	var c []string
	for _, f := range r.Fields {
		switch {
		case f.Long && !r.Wide:
		case terminal && f.Short != "" && !r.Wide:
			c = append(c, printable(f.Short))
		default:
			c = append(c, cell(f.Value))
		}
	}
	return c
}

// header returns the titles over the cells.
func (r *Record) header() []string {
	var h []string
	for _, f := range r.Fields {
		if !f.Long || r.Wide {
			h = append(h, strings.ToUpper(strings.ReplaceAll(f.Name, "_", " ")))
		}
	}
	return h
}

// cell returns a value as text of one line.
func cell(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return printable(x)
	case bool:
		if x {
			return "yes"
		}
		return "no"
	case int:
		return strconv.Itoa(x)
	case time.Duration:
		return span(x)
	case time.Time:
		if x.IsZero() {
			return ""
		}
		return x.Local().Format(time.DateTime)
	case []string:
		return printable(strings.Join(x, ", "))
	}
	return printable(fmt.Sprint(v))
}

// Span writes a duration for people, as records do: two units at most.
func Span(d time.Duration) string { return span(d) }

// span writes a duration for people: two units at most.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "-" + span(-d)
	case d == 0:
		return "0s"
	case d < time.Second:
		return d.Round(time.Microsecond * 10).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < day:
		s := d.Round(time.Second).String()
		if strings.HasSuffix(s, "m0s") {
			s = s[:len(s)-2]
		}
		if strings.HasSuffix(s, "h0m") {
			s = s[:len(s)-2]
		}
		return s
	}
	s := strconv.Itoa(int(d/day)) + "d"
	if h := int(d % day / time.Hour); h > 0 {
		s += strconv.Itoa(h) + "h"
	}
	return s
}

// printable replaces control characters, which may come from strangers and could
// steer the terminal, by U+FFFD, and line ends by a blank.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r == '\u2028' || r == '\u2029':
			return ' ' // line ends too, where text is drawn
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\ufeff':
			return unicode.ReplacementChar // controls, and marks that reverse the text
		}
		return r
	}, s)
}

// harmless is like printable, but keeps line ends and tabs: for longer texts.
func harmless(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' || r == '\u061c' || r >= '\u200e' }) < 0 {
		return s
	}
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i, l := range lines {
		cells := strings.Split(l, "\t")
		for j, c := range cells {
			cells[j] = printable(c)
		}
		lines[i] = strings.Join(cells, "\t")
	}
	return strings.Join(lines, "\n")
}
