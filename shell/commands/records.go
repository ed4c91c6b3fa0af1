package commands

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/shell/interp"
)

// Commands that work on the results of others: by fields where results have them, and
// otherwise by lines, which have one field, text.

func whereCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "where", Family: familyLanguage, Summary: "passes on results whose fields are as asked for",
		Args: "FIELD(= | != | ~ | > | <)VALUE...", MinArgs: 1, MaxArgs: -1, Complete: nothing,
		Details: "=, != compare texts, ~ is a regular expression, > and < compare numbers and durations.\n" +
			"All conditions must hold. Quote what has > or < in it. Status 3: no result is so.",
		Examples: []interp.Example{{Line: "env | where class=group", Text: "variables that hold groups"},
			{Line: "metrics | where 'value>0'", Text: "what has been counted at all"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			var tests []condition
			for _, a := range c.Args {
				t, err := parseCondition(a.Text)
				if err != nil {
					return err
				}
				tests = append(tests, t)
			}
			found := 0
			err := eachResult(ctx, c, func(r interp.Record) error {
				for _, t := range tests {
					v, ok := field(&r, t.field)
					if !ok {
						return noField(&r, t.field)
					}
					if !t.holds(v) {
						return nil
					}
				}
				found++
				c.Emit(r)
				return nil
			})
			if err == nil && found == 0 {
				err = interp.NotFoundf("no result is so")
			}
			return err
		},
	}
}

// condition is one argument of where.
type condition struct {
	field, op, value string
	pattern          *regexp.Regexp
}

func parseCondition(text string) (condition, error) {
	i := strings.IndexAny(text, "=!~<>")
	if i > 0 {
		for _, op := range []string{"!=", "=", "~", ">", "<"} {
			value, ok := strings.CutPrefix(text[i:], op)
			if !ok {
				continue
			}
			x := condition{field: strings.TrimSpace(text[:i]), op: op, value: strings.TrimSpace(value)}
			if op != "~" {
				return x, nil
			}
			var err error
			if x.pattern, err = regexp.Compile(x.value); err != nil {
				return x, interp.Usagef("%q is no regular expression", x.value)
			}
			return x, nil
		}
	}
	return condition{}, interp.Usagef("where wants FIELD=VALUE, not %q", text)
}

func (x *condition) holds(v any) bool {
	texts, ok := v.([]string)
	if !ok {
		texts = []string{interp.Text(v)}
	}
	switch x.op {
	case "=":
		return slices.Contains(texts, x.value)
	case "!=":
		return !slices.Contains(texts, x.value)
	case "~":
		return slices.ContainsFunc(texts, x.pattern.MatchString)
	}
	have, ok1 := number(v)
	want, ok2 := number(x.value)
	if !ok1 || !ok2 {
		return false
	}
	if x.op == ">" {
		return have > want
	}
	return have < want
}

// number reads numbers and durations, the latter as seconds.
func number(v any) (float64, bool) {
	switch x := v.(type) {
	case time.Duration:
		return x.Seconds(), true
	case time.Time:
		return float64(x.UnixNano()) / float64(time.Second), !x.IsZero()
	case bool:
		return 0, false
	}
	text := interp.Text(v)
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return n, true
	}
	d, err := time.ParseDuration(text)
	return d.Seconds(), err == nil
}

func selectCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "select", Family: familyLanguage, Summary: "passes on some fields of results",
		Args: "FIELD...", MinArgs: 1, MaxArgs: -1, Complete: nothing,
		Details:  "Fields may also be separated by commas. They come in the order given, in full.",
		Examples: []interp.Example{{Line: "peers | select peer_id,name", Text: "IDs and names"}, {Line: "env | select name", Text: "the names of all variables"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			var names []string
			for _, a := range c.Args {
				names = append(names, strings.FieldsFunc(a.Text, func(r rune) bool { return r == ',' })...)
			}
			return eachResult(ctx, c, func(r interp.Record) error {
				out := interp.Record{Wide: true}
				for _, name := range names {
					v, ok := field(&r, name)
					if !ok {
						return noField(&r, name)
					}
					out.Fields = append(out.Fields, interp.Field{Name: name, Value: v})
				}
				c.Emit(out)
				return nil
			})
		},
	}
}

func sortCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "sort", Family: familyLanguage, Summary: "sorts results by a field, or lines",
		Args: "[FIELD]", MaxArgs: 1, Complete: nothing,
		Options:  []interp.Option{{Letter: "r", Help: "the greatest first"}},
		Details:  "Numbers and durations by their size, everything else as text. Without a field by the first one.",
		Examples: []interp.Example{{Line: "metrics | sort -r value | first 5", Text: "the five largest counts"}, {Line: "env | sort class", Text: "variables by what they hold"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			var all []interp.Record
			name := c.Text(0)
			err := eachResult(ctx, c, func(r interp.Record) error {
				if name != "" {
					if _, ok := field(&r, name); !ok {
						return noField(&r, name)
					}
				}
				if len(all) >= maxSorted {
					return interp.Failf("there are more than %d results to sort", maxSorted)
				}
				all = append(all, r)
				return nil
			})
			if err != nil {
				return err
			}
			value := func(r *interp.Record) any {
				if name == "" {
					return r.Fields[0].Value
				}
				v, _ := field(r, name)
				return v
			}
			slices.SortStableFunc(all, func(a, b interp.Record) int {
				x, y := value(&a), value(&b)
				order := strings.Compare(interp.Text(x), interp.Text(y))
				if m, ok := number(x); ok {
					if n, ok := number(y); ok {
						order = cmp.Compare(m, n)
					}
				}
				if c.Flag("r") {
					return -order
				}
				return order
			})
			for _, r := range all {
				c.Emit(r)
			}
			return nil
		},
	}
}

func countCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "count", Family: familyLanguage, Summary: "counts results",
		Args: "[FIELD]", MaxArgs: 1, Complete: nothing,
		Details:  "With a field: how many results have each of its values.\nJSON: count; with a field: the field, count.",
		Examples: []interp.Example{{Line: "peers | count", Text: "how many"}, {Line: "env | count class", Text: "how many of each class"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			name, n := c.Text(0), 0
			by := map[string]int{}
			err := eachResult(ctx, c, func(r interp.Record) error {
				n++
				if name == "" {
					return nil
				}
				v, ok := field(&r, name)
				if !ok {
					return noField(&r, name)
				}
				if by[interp.Text(v)]++; len(by) > maxSorted {
					return interp.Failf("there are more than %d values", maxSorted)
				}
				return nil
			})
			if err != nil {
				return err
			}
			if name == "" {
				c.Line(fmt.Sprint(n), interp.Field{Name: "count", Value: n})
				return nil
			}
			var values []string
			for v := range by {
				values = append(values, v)
			}
			slices.SortFunc(values, func(a, b string) int { return cmp.Or(by[b]-by[a], strings.Compare(a, b)) })
			for _, v := range values {
				c.Row(interp.Field{Name: name, Value: v}, interp.Field{Name: "count", Value: by[v]})
			}
			return nil
		},
	}
}

func firstCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "first", Family: familyLanguage, Summary: "passes on the first results",
		Args: "[N]", MaxArgs: 1, Complete: nothing,
		Details:  "One, unless told otherwise.",
		Examples: []interp.Example{{Line: "peers | first", Text: "one peer"}, {Line: "search | first 10", Text: "ten advertisements"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			n, err := amount(c)
			if err != nil || n == 0 {
				return err
			}
			ctx, enough := context.WithCancel(ctx)
			defer enough()
			return eachResult(ctx, c, func(r interp.Record) error {
				c.Emit(r)
				if n--; n == 0 {
					return errEnough
				}
				return nil
			})
		},
	}
}

func lastCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "last", Family: familyLanguage, Summary: "passes on the last results",
		Args: "[N]", MaxArgs: 1, Complete: nothing,
		Details:  "One, unless told otherwise.",
		Examples: []interp.Example{{Line: "history | last 5", Text: "the last lines typed"}, {Line: "metrics | sort value | last", Text: "the largest count"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			n, err := amount(c)
			if err != nil {
				return err
			}
			var latest []interp.Record
			err = eachResult(ctx, c, func(r interp.Record) error {
				if latest = append(latest, r); len(latest) > n {
					latest = latest[1:]
				}
				return nil
			})
			for _, r := range latest {
				c.Emit(r)
			}
			return err
		},
	}
}

// errEnough ends eachResult early, and well.
var errEnough = fmt.Errorf("commands: there are enough results")

// maxSorted is how many results are held in memory at most.
const maxSorted = 100_000

// amount reads the argument of first and last.
func amount(c *interp.Call) (int, error) {
	if len(c.Args) == 0 {
		return 1, nil
	}
	n, err := strconv.Atoi(c.Args[0].Text)
	if err != nil || n < 0 || n > maxSorted {
		return 0, interp.Usagef("%s wants a number up to %d, not %q", c.Command.Name, maxSorted, c.Args[0].Text)
	}
	return n, nil
}

// eachResult goes over what the command before this one writes.
func eachResult(ctx context.Context, c *interp.Call, f func(interp.Record) error) error {
	if !c.HasInput() {
		return interp.Usagef("%s wants the output of another command", c.Command.Name).Try("for example: %s", c.Command.Examples[0].Line)
	}
	for r := range c.Records(ctx) {
		if len(r.Fields) == 0 {
			continue
		}
		switch err := f(r); err {
		case nil:
		case errEnough:
			return nil
		default:
			return err
		}
	}
	return ctx.Err()
}

// field returns the value of a field; in the names "-" and "_" are the same.
func field(r *interp.Record, name string) (any, bool) {
	name = strings.ReplaceAll(name, "-", "_")
	for _, f := range r.Fields {
		if f.Name == name {
			return f.Value, true
		}
	}
	return nil, false
}

func noField(r *interp.Record, name string) error {
	var names []string
	for _, f := range r.Fields {
		names = append(names, f.Name)
	}
	return interp.Usagef("the results have no field %q", name).Try("they have %s", strings.Join(names, ", "))
}
