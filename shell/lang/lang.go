// Package lang reads the command language of the JXTA shell.
//
//	script   := step { (";" | newline | "&&" | "||") step }
//	step     := pipeline | if | for
//	if       := "if" script "then" script { "elif" script "then" script } [ "else" script ] "fi"
//	for      := "for" name "in" { word } (";" | newline) "do" script "done"
//	pipeline := command { "|" command } [ "<" file ] [ (">" | ">>") file ]
//	command  := [ name "=" ] [ "!" ] word { word }
//
// The words of "if" and "for" have a meaning where a command may begin, and nowhere
// else. "!" before a command runs a program of the system.
//
// One tokenizer looks at the text, from left to right, so quotes protect
// everything, also ";" and "|", which the original cut at before it looked at
// quotes. The result is a tree without meaning; package interp runs it.
//
// Words:
//
//   - 'single quotes' take everything literally; "double quotes" and bare words
//     replace $name, ${name} and $? by the text of a variable.
//   - A quote opens at the start of a word, after "=", or directly behind an
//     option letter (-n"my pipe"). Inside a word it is an ordinary character, so
//     that it's does not open a quotation.
//   - A backslash takes the next character literally; at the end of a line it
//     continues the line. Inside double quotes it does so only before ", \, $
//     and the end of the line.
//   - "#" at the start of a word begins a comment up to the end of the line.
//   - "=" assigns as the second token of a command, with or without blanks;
//     everywhere else it is an ordinary character.
//   - ">", ">>", "<" and "&&" count where a word begins, "<" with a blank behind it;
//     inside a word they are ordinary characters, as in a->b.
package lang

import (
	"errors"
	"fmt"
	"strings"
)

// Script is a parsed text: steps to be run one after the other.
type Script []Step

// Step is one step of a script: exactly one of Pipeline, If and For is set.
type Step struct {
	When     When // whether it runs at all
	Pipeline Pipeline
	If       *If
	For      *For
}

// When says on what a step depends.
type When uint8

// The conditions of steps.
const (
	Always   When = iota
	IfOK          // behind "&&": if the step before it went well
	IfFailed      // behind "||": if it did not
)

// If runs the body of the first branch whose test goes well, or Else.
type If struct {
	Branches []Branch // at least one
	Else     Script   // may be empty
}

// Branch is a test and what it decides about.
type Branch struct{ Test, Body Script }

// For runs its body once for each word, with the variable Name set to it.
type For struct {
	Name  string
	Words []Word
	Body  Script
}

// Pipeline is one or more commands, each reading what the one before it wrote.
type Pipeline []Command

// Command is one command of a pipeline.
type Command struct {
	Assign  string // variable that takes the result; empty: none was named
	Program bool   // a program of the system, "!"
	Words   []Word // the command and its arguments; at least one

	In     *Word // file to read, of the first command; nil: none
	Out    *Word // file to write, of the last command; nil: none
	Append bool  // write behind what the file holds
}

// IsValue reports whether the command is the assignment of a text
// (name = 'text', name = $other) instead of a call.
func (c *Command) IsValue() bool {
	return c.Assign != "" && len(c.Words) == 1 && !c.Program && c.In == nil && c.Out == nil && (c.Words[0].Quoted || c.Words[0].startsWithVariable())
}

// Word is one argument.
type Word struct {
	Parts  []Part
	Quoted bool // a part of it stood in quotes
	Opens  bool // it begins with a quote
}

// Part is a piece of a word: literal text, or the name of a variable whose text
// takes its place.
type Part struct {
	Text     string
	Variable bool
}

func (w *Word) startsWithVariable() bool { return len(w.Parts) > 0 && w.Parts[0].Variable }

// Literal returns the word if it holds no variables.
func (w *Word) Literal() (string, bool) {
	var b strings.Builder
	for _, p := range w.Parts {
		if p.Variable {
			return "", false
		}
		b.WriteString(p.Text)
	}
	return b.String(), true
}

// Expand returns the word with variables replaced by what lookup says about
// them. The error names the variable that lookup did not know.
func (w *Word) Expand(lookup func(name string) (text string, ok bool)) (string, error) {
	var b strings.Builder
	for _, p := range w.Parts {
		if !p.Variable {
			b.WriteString(p.Text)
			continue
		}
		text, ok := lookup(p.Text)
		if !ok {
			return "", fmt.Errorf("lang: no variable is called %q", p.Text)
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// ErrIncomplete is the cause of an error when more lines could make the text
// complete: an open quote, a backslash or a "|" at its end.
var ErrIncomplete = errors.New("incomplete")

// A SyntaxError tells where a text breaks the rules of the language.
type SyntaxError struct {
	Offset  int    // octets before the place
	Message string // what is wrong there
	more    bool
}

// Error returns the message, with the column counted from 1.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("lang: %s (column %d)", e.Message, e.Offset+1)
}

// Unwrap returns [ErrIncomplete] if more text could cure the error.
func (e *SyntaxError) Unwrap() error {
	if e.more {
		return ErrIncomplete
	}
	return nil
}
