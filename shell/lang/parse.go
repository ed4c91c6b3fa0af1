package lang

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Parse reads a text of one or more lines. It never panics. The error is a
// [*SyntaxError]; it wraps [ErrIncomplete] if the text only wants its end.
func Parse(src string) (Script, error) {
	if len(src) > MaxSource {
		return nil, &SyntaxError{Offset: MaxSource, Message: "the text is too long"}
	}
	p := parser{src: src}
	s, _, err := p.script("")
	return s, err
}

type parser struct {
	src   string
	pos   int
	depth int // of if and for
}

func (p *parser) pipeline() (Pipeline, error) {
	var pl Pipeline
	for {
		c, err := p.command(len(pl) == 0)
		if err != nil {
			return nil, err
		}
		pl = append(pl, c)
		if p.end() || p.src[p.pos] != '|' || p.at("||") {
			return pl, nil
		}
		if c.Out != nil {
			return nil, &SyntaxError{Offset: p.pos, Message: `what goes to a file cannot go to another command, too`}
		}
		p.pos++
		p.skip(true) // a line may end behind "|"
		if p.end() {
			return nil, &SyntaxError{Offset: p.pos, Message: `a command is missing behind "|"`, more: true}
		}
	}
}

// at reports whether the text goes on so.
func (p *parser) at(text string) bool { return strings.HasPrefix(p.src[p.pos:], text) }

// command reads up to ";", "|", "&&", a newline or the end.
func (p *parser) command(first bool) (Command, error) {
	var c Command
	start := p.pos
	if name, after, ok := p.assignment(); ok {
		c.Assign, p.pos = name, after
		p.skip(false)
	}
	if p.at("!") {
		p.pos++
		c.Program = true
	}
	for {
		p.skip(false)
		if p.end() || strings.IndexByte(";|\n", p.src[p.pos]) >= 0 || p.at("&&") {
			break
		}
		file, err := p.redirection(&c, first)
		if err == nil && file == nil {
			var w Word
			if w, err = p.word(); err == nil {
				c.Words = append(c.Words, w)
			}
		}
		if err != nil {
			return Command{}, err
		}
	}
	switch {
	case len(c.Words) > 0:
		return c, nil
	case c.In != nil || c.Out != nil:
		return Command{}, &SyntaxError{Offset: start, Message: "a command is missing beside the file"}
	case c.Program:
		return Command{}, &SyntaxError{Offset: p.pos, Message: `a program is missing behind "!"`}
	case c.Assign != "":
		return Command{}, &SyntaxError{Offset: p.pos, Message: `a command or a text is missing behind "="`}
	case p.pos < len(p.src) && p.src[p.pos] == '|':
		return Command{}, &SyntaxError{Offset: p.pos, Message: `a command is missing before "|"`}
	case p.at("&&"):
		return Command{}, &SyntaxError{Offset: p.pos, Message: `a command is missing before "&&"`}
	}
	return Command{}, &SyntaxError{Offset: start, Message: `a command is missing behind "|"`}
}

// redirection reads the name of a file and what it is for, if that comes next.
func (p *parser) redirection(c *Command, first bool) (*Word, error) {
	at := p.pos
	var to **Word
	switch {
	case p.at("<") && p.pos+1 < len(p.src) && strings.IndexByte(" \t", p.src[p.pos+1]) >= 0:
		if !first {
			return nil, &SyntaxError{Offset: at, Message: `only the first command can read a file`}
		}
		p.pos++
		to = &c.In
	case p.at(">>"):
		p.pos += 2
		to, c.Append = &c.Out, true
	case p.at(">"):
		p.pos++
		to, c.Append = &c.Out, false
	default:
		return nil, nil
	}
	if *to != nil {
		return nil, &SyntaxError{Offset: at, Message: "one file is enough"}
	}
	p.skip(false)
	if p.end() || strings.IndexByte(";|\n<>", p.src[p.pos]) >= 0 || p.at("&&") {
		return nil, &SyntaxError{Offset: p.pos, Message: "the name of a file is missing"}
	}
	w, err := p.word()
	if err != nil {
		return nil, err
	}
	*to = &w
	return &w, nil
}

// assignment recognises name "=" at the start of a command.
func (p *parser) assignment() (name string, after int, ok bool) {
	n := nameLength(p.src[p.pos:], true)
	if n == 0 {
		return "", 0, false
	}
	i := p.pos + n
	for i < len(p.src) && (p.src[i] == ' ' || p.src[i] == '\t') {
		i++
	}
	if i == len(p.src) || p.src[i] != '=' {
		return "", 0, false
	}
	return p.src[p.pos : p.pos+n], i + 1, true
}

// word reads one word; the parser stands on its first character.
func (p *parser) word() (Word, error) {
	var w Word
	var lit strings.Builder
	start := p.pos
	flush := func() {
		if lit.Len() > 0 {
			w.Parts = append(w.Parts, Part{Text: lit.String()})
			lit.Reset()
		}
	}
	for !p.end() {
		switch ch := p.src[p.pos]; {
		case ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n' || ch == ';' || ch == '|':
			flush()
			return w, nil
		case (ch == '\'' || ch == '"') && opensQuote(p.src[start:p.pos]):
			flush()
			w.Opens = w.Opens || len(w.Parts) == 0 && !w.Quoted
			w.Quoted = true
			parts, err := p.quoted(ch)
			if err != nil {
				return Word{}, err
			}
			w.Parts = append(w.Parts, parts...)
			start = p.pos // another quotation may follow at once
		case ch == '\\':
			if p.pos+1 == len(p.src) {
				return Word{}, &SyntaxError{Offset: p.pos, Message: "nothing stands behind the backslash", more: true}
			}
			n := p.afterBackslash()
			if n == 0 { // the line goes on
				continue
			}
			lit.WriteString(p.src[p.pos : p.pos+n])
			p.pos += n
		case ch == '$':
			name, n, err := p.variable()
			if err != nil {
				return Word{}, err
			}
			if n == 0 {
				lit.WriteByte('$')
				p.pos++
				continue
			}
			flush()
			w.Parts = append(w.Parts, Part{Text: name, Variable: true})
			p.pos += n
		default:
			lit.WriteByte(ch)
			p.pos++
		}
	}
	flush()
	return w, nil
}

// opensQuote reports whether a quote behind the text that the word has so far
// opens a quotation.
func opensQuote(before string) bool {
	switch {
	case before == "" || strings.HasSuffix(before, "="):
		return true
	case len(before) == 2 && before[0] == '-': // -n"my pipe"
		return true
	}
	return false
}

// quoted reads a quotation with its quotes.
func (p *parser) quoted(quote byte) ([]Part, error) {
	var parts []Part
	var lit strings.Builder
	open := p.pos
	p.pos++
	for !p.end() {
		ch := p.src[p.pos]
		switch {
		case ch == quote:
			p.pos++
			if lit.Len() > 0 {
				parts = append(parts, Part{Text: lit.String()})
			}
			return parts, nil
		case quote == '"' && ch == '\\' && p.pos+1 < len(p.src) && strings.IndexByte("\"\\$\r\n", p.src[p.pos+1]) >= 0:
			n := p.afterBackslash()
			lit.WriteString(p.src[p.pos : p.pos+n])
			p.pos += n
		case quote == '"' && ch == '$':
			name, n, err := p.variable()
			if err != nil {
				return nil, err
			}
			if n == 0 {
				lit.WriteByte('$')
				p.pos++
				continue
			}
			if lit.Len() > 0 {
				parts = append(parts, Part{Text: lit.String()})
				lit.Reset()
			}
			parts = append(parts, Part{Text: name, Variable: true})
			p.pos += n
		default:
			lit.WriteByte(ch)
			p.pos++
		}
	}
	return nil, &SyntaxError{Offset: open, Message: "the quote " + string(quote) + " is not closed", more: true}
}

// afterBackslash steps over a backslash and, if a line end follows, over that;
// it returns the length of the character to take literally, 0 for a line end.
func (p *parser) afterBackslash() int {
	p.pos++
	rest := p.src[p.pos:]
	switch {
	case strings.HasPrefix(rest, "\r\n"):
		p.pos += 2
		return 0
	case strings.HasPrefix(rest, "\n"):
		p.pos++
		return 0
	}
	_, n := utf8.DecodeRuneInString(rest)
	return n
}

// variable reads $name, ${name} or $? and returns the name and the length of the
// whole; a length of 0 means that the dollar sign is just that.
func (p *parser) variable() (name string, n int, err error) {
	rest := p.src[p.pos+1:]
	switch {
	case strings.HasPrefix(rest, "?"):
		return "?", 2, nil
	case strings.HasPrefix(rest, "{"):
		inner, _, ok := strings.Cut(rest[1:], "}")
		if !ok {
			return "", 0, &SyntaxError{Offset: p.pos, Message: "the brace of ${ is not closed", more: true}
		}
		if inner != "?" && nameLength(inner, true) != len(inner) || inner == "" {
			return "", 0, &SyntaxError{Offset: p.pos, Message: "${ } wants the name of a variable"}
		}
		return inner, len(inner) + 3, nil
	}
	if l := nameLength(rest, false); l > 0 {
		return rest[:l], l + 1, nil
	}
	return "", 0, nil
}

// skip steps over blanks, comments and continued lines, and over line ends if
// lines is set.
func (p *parser) skip(lines bool) {
	for !p.end() {
		rest := p.src[p.pos:]
		switch {
		case rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\r':
			p.pos++
		case strings.HasPrefix(rest, "\\\n"):
			p.pos += 2
		case strings.HasPrefix(rest, "\\\r\n"):
			p.pos += 3
		case rest[0] == '\n' && lines:
			p.pos++
		case rest[0] == '#':
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				n = len(rest)
			}
			p.pos += n
		default:
			return
		}
	}
}

func (p *parser) end() bool { return p.pos >= len(p.src) }

// IsName reports whether s can name a variable: a letter or underscore, then
// letters, digits and any of _ . @ -.
func IsName(s string) bool { return s != "" && nameLength(s, true) == len(s) }

// nameLength returns the length of the variable name at the start of s. Without
// wide, only letters, digits and underscores belong to it.
func nameLength(s string, wide bool) int {
	for i, r := range s {
		switch {
		case unicode.IsLetter(r) || r == '_':
		case i > 0 && unicode.IsDigit(r):
		case i > 0 && wide && strings.ContainsRune(".@-", r):
		default:
			return i
		}
	}
	return len(s)
}

// Quote returns s as a word that [Parse] reads back as exactly s: bare if that
// is possible, otherwise in quotes.
func Quote(s string) string {
	bare := s != "" && !strings.ContainsRune("#<>!", rune(s[0])) && !strings.HasPrefix(s, "&&") && (&parser{src: s}).keyword() == ""
	for _, r := range s {
		if unicode.IsSpace(r) || strings.ContainsRune(`;|'"\$=`, r) {
			bare = false
		}
	}
	switch {
	case bare:
		return s
	case !strings.Contains(s, "'"):
		return "'" + s + "'"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(s) + `"`
}
