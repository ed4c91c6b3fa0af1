package interp

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
)

// Arg is one argument of a call.
type Arg struct {
	Text    string
	Quoted  bool // it stood in quotes, so it is a text, not the name of something
	literal bool // it begins with a quote or a variable, so it is no option
}

// Call is one run of a command. Its methods are for that run only.
type Call struct {
	Session *Session
	Command *Command
	Name    string // as it was called: the name of the command or one of its aliases
	Args    []Arg  // without options

	typed  []string // the arguments as they were typed, variables replaced
	values map[string]string
	assign string
	in     *stream
	out    sink
	cancel context.CancelCauseFunc
	depth  int // how many commands that run scripts stand around it
}

// Flag reports whether the option (its letter, or its name if it has none) was given.
func (c *Call) Flag(option string) bool {
	_, ok := c.values[option]
	return ok
}

// Value returns the value of an option, or otherwise if it was not given.
func (c *Call) Value(option, otherwise string) string {
	if v, ok := c.values[option]; ok {
		return v
	}
	return otherwise
}

// Int returns the value of an option as a number from least up, or otherwise.
func (c *Call) Int(option string, least, otherwise int) (int, error) {
	v, ok := c.values[option]
	if !ok {
		return otherwise, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least {
		return 0, Usagef("-%s wants a number from %d, not %q", option, least, v)
	}
	return n, nil
}

// Duration returns the value of an option as a duration ("3s", "1m30s", or plain
// seconds), or otherwise.
func (c *Call) Duration(option string, otherwise time.Duration) (time.Duration, error) {
	v, ok := c.values[option]
	if !ok {
		return otherwise, nil
	}
	d, err := ParseDuration(v)
	if err != nil {
		return 0, Usagef("-%s wants a duration such as 3s or 500ms, not %q", option, v)
	}
	return d, nil
}

// ParseDuration reads "500ms", "1m30s" or a plain number of seconds. Durations
// are not negative.
func ParseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		seconds, numErr := strconv.ParseFloat(s, 64)
		if numErr != nil || seconds > time.Duration(1<<63-1).Seconds()/2 {
			return 0, fmt.Errorf("interp: %q is not a duration", s)
		}
		d = time.Duration(seconds * float64(time.Second))
	}
	if d < 0 {
		return 0, fmt.Errorf("interp: %q is negative", s)
	}
	return d, nil
}

// JSON reports whether the results of this call are printed as JSON.
func (c *Call) JSON() bool { return c.Session.JSON || c.Flag("json") }

// Text joins the arguments from the n-th on by blanks.
func (c *Call) Text(n int) string {
	var words []string
	for _, a := range c.Args[min(n, len(c.Args)):] {
		words = append(words, a.Text)
	}
	return strings.Join(words, " ")
}

// Emit writes a record.
func (c *Call) Emit(r Record) { c.put(item{rec: &r}) }

// Row writes a record of layout Table.
func (c *Call) Row(fields ...Field) { c.Emit(Record{Fields: fields}) }

// Detail writes a record of layout Detail.
func (c *Call) Detail(fields ...Field) { c.Emit(Record{Layout: Detail, Fields: fields}) }

// Line writes a record of layout Line.
func (c *Call) Line(line string, fields ...Field) {
	c.Emit(Record{Layout: Line, Line: line, Fields: fields})
}

// Print writes text as it is.
func (c *Call) Print(text string) { c.put(item{text: text}) }

func (c *Call) put(it item) {
	if !c.out.put(it) {
		c.cancel(errReaderGone)
	}
}

// Flush prints rows of a table that wait for the others.
func (c *Call) Flush() { c.out.flush() }

// Notice tells the user something that is not a result.
func (c *Call) Notice(format string, args ...any) {
	c.Session.Notice(c.Command.Name, fmt.Sprintf(format, args...))
}

// HasInput reports whether another command of the pipeline writes to this one.
func (c *Call) HasInput() bool { return c.in != nil }

// Records yields what the command before this one writes, one record at a time;
// text comes as records of layout Line, one a line. It ends with ctx.
func (c *Call) Records(ctx context.Context) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		if c.in == nil {
			return
		}
		defer c.in.closeRead()
		rest := "" // text behind the last line end
		line := func(l string) bool {
			return yield(Record{Layout: Line, Line: l, Fields: []Field{{Name: "text", Value: l}}})
		}
		for {
			select {
			case <-ctx.Done():
				return
			case it, ok := <-c.in.items:
				if rest != "" && (!ok || it.rec != nil) {
					l := rest
					rest = ""
					if !line(strings.TrimSuffix(l, "\r")) {
						return
					}
				}
				if !ok {
					return
				}
				if it.rec != nil {
					if !yield(*it.rec) {
						return
					}
					continue
				}
				rest += it.text
				for {
					l, after, found := strings.Cut(rest, "\n")
					if !found {
						break
					}
					rest = after
					if !line(strings.TrimSuffix(l, "\r")) {
						return
					}
				}
			}
		}
	}
}

// Lines yields what the command before this one writes as lines of text.
func (c *Call) Lines(ctx context.Context) iter.Seq[string] {
	return func(yield func(string) bool) {
		for r := range c.Records(ctx) {
			for line := range strings.SplitSeq(r.text(), "\n") {
				if !yield(line) {
					return
				}
			}
		}
	}
}

// AsText returns the record as text, lines without the last line end.
func (r *Record) AsText() string { return r.text() }

// Split returns the record as records of one line each: one for each field of
// layout Detail, otherwise the record itself.
func (r *Record) Split() []Record {
	if r.Layout != Detail {
		return []Record{*r}
	}
	var all []Record
	for _, f := range r.Fields {
		all = append(all, Record{Layout: Detail, Fields: []Field{f}})
	}
	return all
}

// Variable returns the variable that the argument names. Quoted arguments name
// nothing.
func (c *Call) Variable(a Arg) (Variable, bool) {
	if a.Quoted {
		return Variable{}, false
	}
	return c.Session.Vars.Get(a.Text)
}

// Store keeps an object as the result of the command: under the name left of
// "=", or under a fresh name env<N>, which is returned.
func (c *Call) Store(object any) (name string, err error) {
	name = c.assign
	if name == "" {
		name = c.Session.Vars.fresh()
	}
	return name, c.Session.Store(name, object)
}

// Named reports whether the user named a variable for the result.
func (c *Call) Named() bool { return c.assign != "" }

// Made stores the object and tells about it: always as JSON, and to people if
// they have to learn the name of the variable.
func (c *Call) Made(object any, line string, fields ...Field) error {
	name, err := c.Store(object)
	if err != nil {
		return err
	}
	if c.JSON() || !c.Named() {
		c.Line(name+": "+line, append([]Field{{Name: "variable", Value: name}}, fields...)...)
	}
	return nil
}
