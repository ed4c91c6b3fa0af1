package lang

import (
	"slices"
	"strings"
)

// Words that mean something where a command may begin.
const (
	wordIf   = "if"
	wordThen = "then"
	wordElif = "elif"
	wordElse = "else"
	wordFi   = "fi"
	wordFor  = "for"
	wordIn   = "in"
	wordDo   = "do"
	wordDone = "done"
)

// script reads steps up to one of the words that end it, which it returns; without any,
// up to the end of the text. opens is the word that asks for them.
func (p *parser) script(opens string, ends ...string) (Script, string, error) {
	var s Script
	when := Always
	for {
		p.skip(true)
		word := p.keyword()
		switch {
		case p.end() && when != Always:
			return nil, "", &SyntaxError{Offset: p.pos, Message: "a command is missing at the end", more: true}
		case p.end() && len(ends) > 0:
			return nil, "", &SyntaxError{Offset: p.pos, Message: opens + " wants " + strings.Join(ends, " or "), more: true}
		case p.end():
			return s, "", nil
		case p.src[p.pos] == ';' && when == Always:
			p.pos++
			continue
		case slices.Contains(ends, word) && when == Always:
			p.pos += len(word)
			if len(s) == 0 {
				return nil, "", &SyntaxError{Offset: p.pos - len(word), Message: "a command is missing before " + word}
			}
			return s, word, nil
		case word != "" && word != wordIf && word != wordFor:
			return nil, "", &SyntaxError{Offset: p.pos, Message: word + " has no business here"}
		}
		step, err := p.step(word)
		if err != nil {
			return nil, "", err
		}
		step.When = when
		s = append(s, step)
		p.skip(false)
		switch {
		case p.at("&&"):
			when = IfOK
			p.pos += 2
		case p.at("||"):
			when = IfFailed
			p.pos += 2
		case !p.end() && p.src[p.pos] != ';' && p.src[p.pos] != '\n':
			return nil, "", &SyntaxError{Offset: p.pos, Message: `";" is missing`}
		default:
			when = Always
		}
	}
}

func (p *parser) step(word string) (Step, error) {
	if word == "" {
		pl, err := p.pipeline()
		return Step{Pipeline: pl}, err
	}
	if p.depth++; p.depth > maxNesting {
		return Step{}, &SyntaxError{Offset: p.pos, Message: "if and for stand too deep in each other"}
	}
	defer func() { p.depth-- }()
	p.pos += len(word)
	if word == wordIf {
		x, err := p.branches()
		return Step{If: x}, err
	}
	x, err := p.loop()
	return Step{For: x}, err
}

// branches reads what stands behind "if".
func (p *parser) branches() (*If, error) {
	x := new(If)
	for word := wordElif; word == wordElif; {
		var b Branch
		var err error
		if b.Test, _, err = p.script(wordIf, wordThen); err == nil {
			b.Body, word, err = p.script(wordThen, wordElif, wordElse, wordFi)
		}
		if err != nil {
			return nil, err
		}
		x.Branches = append(x.Branches, b)
		if word == wordElse {
			if x.Else, _, err = p.script(wordElse, wordFi); err != nil {
				return nil, err
			}
		}
	}
	return x, nil
}

// loop reads what stands behind "for".
func (p *parser) loop() (*For, error) {
	x := new(For)
	p.skip(false)
	n := nameLength(p.src[p.pos:], true)
	if n == 0 {
		return nil, &SyntaxError{Offset: p.pos, Message: "for wants the name of a variable", more: p.end()}
	}
	x.Name = p.src[p.pos : p.pos+n]
	p.pos += n
	p.skip(false)
	if p.keyword() != wordIn {
		return nil, &SyntaxError{Offset: p.pos, Message: "for " + x.Name + " wants in", more: p.end()}
	}
	p.pos += len(wordIn)
	for {
		p.skip(false)
		if p.end() || strings.IndexByte(";|\n", p.src[p.pos]) >= 0 {
			break
		}
		w, err := p.word()
		if err != nil {
			return nil, err
		}
		x.Words = append(x.Words, w)
	}
	for p.skip(true); p.at(";"); p.skip(true) {
		p.pos++
	}
	if p.keyword() != wordDo {
		return nil, &SyntaxError{Offset: p.pos, Message: "for wants do", more: p.end()}
	}
	p.pos += len(wordDo)
	var err error
	x.Body, _, err = p.script(wordDo, wordDone)
	return x, err
}

// keyword returns the word with a meaning that comes next, or "".
func (p *parser) keyword() string {
	rest := p.src[p.pos:]
	n := 0
	for n < len(rest) && rest[n] >= 'a' && rest[n] <= 'z' {
		n++
	}
	if n < len(rest) && strings.IndexByte(" \t\r\n;", rest[n]) < 0 {
		return ""
	}
	if word := rest[:n]; slices.Contains([]string{wordIf, wordThen, wordElif, wordElse, wordFi, wordFor, wordIn, wordDo, wordDone}, word) {
		if _, _, assigns := p.assignment(); !assigns {
			return word
		}
	}
	return ""
}
