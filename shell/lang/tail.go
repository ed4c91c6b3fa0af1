package lang

import "strings"

// Tail looks at the text before a cursor and returns the words of the command
// that stands there, without a "name =" before it, and the beginning of the word
// at the cursor as it was typed, which is empty behind a blank. It reads wrong
// and unfinished text as far as it can.
func Tail(before string) (words []string, partial string) {
	if len(before) > MaxSource {
		return nil, ""
	}
	p := parser{src: before}
	atStart := true
	for {
		p.skip(false)
		if p.end() {
			return words, ""
		}
		if p.at("&&") {
			p.pos++
		}
		if strings.IndexByte(";|\n&", p.src[p.pos]) >= 0 {
			p.pos++
			words, atStart = nil, true
			continue
		}
		if atStart {
			if word := p.keyword(); word != "" && p.pos+len(word) < len(p.src) {
				p.pos += len(word)
				atStart = word != wordFor && word != wordIn
				continue
			}
			atStart = false
			if _, after, ok := p.assignment(); ok {
				p.pos = after
				continue
			}
		}
		start := p.pos
		w, err := p.word()
		if err != nil || p.end() {
			return words, p.src[start:]
		}
		text, _ := w.Literal()
		words = append(words, text)
	}
}
