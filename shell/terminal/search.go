package terminal

import (
	"strings"
	"unicode"
)

// What became of a search after a key.
type outcome uint8

const (
	searchGoesOn outcome = iota
	searchTaken          // edit the line
	searchRun            // run the line
	searchGivenUp
)

// search looks backwards through the history, as Ctrl-R does elsewhere.
type search struct {
	lines []string
	query string
	nth   int // how many matches were passed over
}

// found returns the line that matches.
func (s *search) found() (string, bool) {
	passed := 0
	before := ""
	for i := len(s.lines) - 1; i >= 0; i-- {
		l := s.lines[i]
		if s.query == "" || l == before || !strings.Contains(strings.ToLower(l), strings.ToLower(s.query)) {
			continue
		}
		if passed == s.nth {
			return l, true
		}
		passed++
		before = l
	}
	return "", false
}

// show is the line to display.
func (s *search) show() string {
	line, ok := s.found()
	label := "(search) "
	if !ok && s.query != "" {
		label = "(nothing found) "
	}
	text := label + "'" + s.query + "': " + line
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// key changes the search.
func (s *search) key(key []byte) outcome {
	switch c := key[0]; {
	case c == ctrlR:
		s.nth++
		if _, ok := s.found(); !ok {
			s.nth--
		}
	case c == '\r' || c == '\n':
		if _, ok := s.found(); !ok {
			return searchGivenUp
		}
		return searchRun
	case c == backspace || c == deleteKey:
		r := []rune(s.query)
		s.query, s.nth = string(r[:max(len(r)-1, 0)]), 0
	case c == ctrlG || c == ctrlC || c == ctrlD || c == escape && len(key) == 1:
		return searchGivenUp
	case c >= ' ':
		s.query, s.nth = s.query+string(key), 0
	default:
		return searchTaken
	}
	return searchGoesOn
}
