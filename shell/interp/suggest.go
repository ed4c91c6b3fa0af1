package interp

import (
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/shell/lang"
)

// Nearest returns the command whose name is most like the text, or "" if none is.
func (s *Session) Nearest(name string) string {
	const farthest = 2 // typing errors
	best, found := farthest+1, ""
	for _, c := range s.All() {
		for _, n := range append([]string{c.Name}, c.Aliases...) {
			d := distance(strings.ToLower(name), n)
			if strings.HasPrefix(n, name) && len(name) >= 2 {
				d = 1
			}
			if d < best && d < len(n) {
				best, found = d, c.Name
			}
		}
	}
	return found
}

// nearestOption returns the option that is most like what was typed, or "".
func nearestOption(known []Option, typed string) string {
	const farthest, shortest = 2, 3
	name, _, _ := strings.Cut(strings.ToLower(strings.TrimLeft(typed, "-")), "=")
	if len(name) < shortest {
		return "" // any letter is like any other
	}
	best, found := farthest+1, ""
	for _, o := range known {
		d := distance(name, o.Name)
		if strings.HasPrefix(o.Name, name) {
			d = 1
		}
		if d < best && d < len(o.Name) {
			best, found = d, "--"+o.Name
		}
	}
	return found
}

// distance counts the letters to insert, delete, change or swap with their
// neighbour to get from a to b. Long words are just far from each other.
func distance(a, b string) int {
	const longest = 32
	if len(a) > longest || len(b) > longest {
		return longest
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// Complete returns what may stand in place of the last word of the text before
// the cursor. On an empty line it answers only if the user asked (pressed Tab).
// It looks at nothing but memory, and at what Config.Externs lists.
func (s *Session) Complete(before string, asked bool) []Suggestion {
	words, partial := lang.Tail(before)
	if files, ok := s.redirected(partial); ok && asked {
		return s.menu(files, partial)
	}
	if strings.ContainsAny(partial, " \t") || partial == "" && !asked {
		return nil // the menu replaces text up to a blank; and it should not pop up unasked
	}
	var all []Suggestion
	switch {
	case strings.HasPrefix(partial, "$"):
		for _, v := range s.variables() {
			all = append(all, Suggestion{"$" + v.Text, v.Description})
		}
	case len(words) == 0:
		for _, c := range s.All() {
			all = append(all, Suggestion{c.Name, c.Summary})
		}
	default:
		all = s.completeArgument(words, partial, asked)
	}
	return s.menu(all, partial)
}

// menu sorts what fits, and takes no more than the menu is given.
func (s *Session) menu(all []Suggestion, partial string) []Suggestion {
	partial = partial[strings.LastIndexAny(partial, " \t")+1:]
	all = slices.DeleteFunc(all, func(x Suggestion) bool { return !strings.HasPrefix(x.Text, partial) })
	if len(all) == 1 && all[0].Text == partial {
		return nil
	}
	slices.SortStableFunc(all, func(a, b Suggestion) int { return compareNames(a.Text, b.Text) })
	for i := range all {
		all[i].Description = printable(all[i].Description)
	}
	return all[:min(len(all), maxSuggestions)]
}

// completeArgument lists the options or arguments of the command words[0].
func (s *Session) completeArgument(words []string, partial string, asked bool) []Suggestion {
	c := s.Command(words[0])
	if c == nil {
		return nil
	}
	var all []Suggestion
	if strings.HasPrefix(partial, "-") {
		for _, o := range c.AllOptions() {
			switch {
			case strings.HasPrefix(partial, "--") || o.Letter == "":
				if o.Name != "" {
					all = append(all, Suggestion{"--" + o.Name, o.Help})
				}
			default:
				all = append(all, Suggestion{"-" + o.Letter, o.Help})
			}
		}
		return all
	}
	n := 0 // arguments so far
	for i := 1; i < len(words); i++ {
		w := words[i]
		if len(w) > 1 && w[0] == '-' {
			o := find(c.Options, func(o Option) bool {
				return o.Value != "" && (w == "-"+o.Letter || w == "--"+o.Name || w == "-"+o.Name)
			})
			if o != nil {
				i++
				if i < len(words) {
					continue
				}
				if asked && (o.Value == "FILE" || o.Value == "FOLDER") {
					return s.files(partial)
				}
				return nil // a value of an option stands here
			}
			continue
		}
		n++
	}
	if c.MaxArgs >= 0 && n >= c.MaxArgs {
		return nil
	}
	var found []Suggestion
	if c.Complete != nil {
		found = c.Complete(s, n)
	} else {
		found = s.variables()
	}
	for _, x := range found {
		if lang.Quote(x.Text) == x.Text { // the menu cannot replace a word with blanks
			all = append(all, x)
		}
	}
	if asked && c.File != nil && c.File(n) {
		all = append(all, s.files(partial)...)
	}
	return all
}

// Variables lists the variables whose class is one of those given, or all.
func (s *Session) Variables(classes ...string) []Suggestion {
	var all []Suggestion
	for _, v := range s.Vars.All() {
		if len(classes) == 0 || slices.Contains(classes, v.Class) {
			all = append(all, Suggestion{v.Name, v.Class + " " + v.Description})
		}
	}
	return all
}

func (s *Session) variables() []Suggestion { return s.Variables() }
