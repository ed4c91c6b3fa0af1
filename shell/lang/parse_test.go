package lang

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// show prints a script in a form that tells every decision of the parser:
// words in brackets, quoted ones with q, variables in angle brackets.
func show(s Script) string {
	var b strings.Builder
	for i, step := range s {
		switch {
		case step.When == IfOK:
			b.WriteString(" && ")
		case step.When == IfFailed:
			b.WriteString(" || ")
		case i > 0:
			b.WriteString(" ; ")
		}
		switch {
		case step.If != nil:
			for _, x := range step.If.Branches {
				fmt.Fprintf(&b, "if(%s){%s}", show(x.Test), show(x.Body))
			}
			if step.If.Else != nil {
				fmt.Fprintf(&b, "else{%s}", show(step.If.Else))
			}
		case step.For != nil:
			fmt.Fprintf(&b, "for %s in ", step.For.Name)
			for _, w := range step.For.Words {
				showWord(&b, &w)
			}
			fmt.Fprintf(&b, "{%s}", show(step.For.Body))
		default:
			for j, c := range step.Pipeline {
				if j > 0 {
					b.WriteString(" | ")
				}
				showCommand(&b, &c)
			}
		}
	}
	return b.String()
}

func showCommand(b *strings.Builder, c *Command) {
	if c.Assign != "" {
		fmt.Fprintf(b, "%s=", c.Assign)
	}
	if c.Program {
		b.WriteByte('!')
	}
	for _, w := range c.Words {
		showWord(b, &w)
	}
	if c.In != nil {
		b.WriteByte('<')
		showWord(b, c.In)
	}
	if c.Out != nil {
		b.WriteByte('>')
		if c.Append {
			b.WriteByte('>')
		}
		showWord(b, c.Out)
	}
}

func showWord(b *strings.Builder, w *Word) {
	if w.Quoted {
		b.WriteByte('q')
	}
	b.WriteByte('[')
	for _, p := range w.Parts {
		if p.Variable {
			fmt.Fprintf(b, "<%s>", p.Text)
		} else {
			b.WriteString(p.Text)
		}
	}
	b.WriteByte(']')
}

func TestParse(t *testing.T) {
	for _, tt := range []struct{ name, src, want string }{
		{"empty", "", ""},
		{"blank lines and comments", "\n  # a comment; with | signs\n\n", ""},
		{"words", "peers -r  -n 5", "[peers][-r][-n][5]"},
		{"sequence", "a; b ;; c\nd", "[a] ; [b] ; [c] ; [d]"},
		{"pipe", "whoami | grep Name|wc -l", "[whoami] | [grep][Name] | [wc][-l]"},
		{"pipe over lines", "whoami |\n  # who\n grep x", "[whoami] | [grep][x]"},
		{"assignment", "p = newpipe -n x", "p=[newpipe][-n][x]"},
		{"assignment without blanks", "p=newpipe", "p=[newpipe]"},
		{"dotted name", "talkd.ann@Net-1 = x", "talkd.ann@Net-1=[x]"},
		{"equals elsewhere", "set a = b; -n=c", "[set][a][=][b] ; [-n=c]"},
		{"text value", "t = 'a ; b | c'", "t=q[a ; b | c]"},
		{"and, or", "a && b || c; d", "[a] && [b] || [c] ; [d]"},
		{"and over lines", "a &&\n b", "[a] && [b]"},
		{"if", "if a; b; then c; else d; fi; e", "if([a] ; [b]){[c]}else{[d]} ; [e]"},
		{"if over lines", "if a\nthen b\nelif c | d\nthen e\nfi", "if([a]){[b]}if([c] | [d]){[e]}"},
		{"for", "for x in a 'b c' $y; do echo $x; done", "for x in [a]q[b c][<y>]{[echo][<x>]}"},
		{"for in if", "if a; then for x in 1 2\ndo b; done; fi && c", "if([a]){for x in [1][2]{[b]}} && [c]"},
		{"words of blocks elsewhere", "talk bob if then fi do", "[talk][bob][if][then][fi][do]"},
		{"words of blocks as names", "done = a; in=b", "done=[a] ; in=[b]"},
		{"to a file", "peers -r > out.txt", "[peers][-r]>[out.txt]"},
		{"behind a file", "a | b >>'my file'; c", "[a] | [b]>>q[my file] ; [c]"},
		{"from a file", "grep x < in.txt | wc > out", "[grep][x]<[in.txt] | [wc]>[out]"},
		{"signs in words", "talk bob a->b I <3 you a&b", "[talk][bob][a->b][I][<3][you][a&b]"},
		{"programs", "!ls -l | grep x | ! sort -r", "![ls][-l] | [grep][x] | ![sort][-r]"},
		{"quotes protect", `newpipe -n "a ; b | c # d"`, "[newpipe][-n]q[a ; b | c # d]"},
		{"empty quotes stay", "put m t ''", "[put][m][t]q[]"},
		{"glued option value", `newpipe -n"my pipe" -n'x y'`, "[newpipe]q[-nmy pipe]q[-nx y]"},
		{"apostrophe in a word", "talk bob it's fine, isn't it", "[talk][bob][it's][fine,][isn't][it]"},
		{"quotes side by side", `echo 'a'"b"c`, "[echo]q[abc]"},
		{"escapes", `a\ b \; \| \# \$x \\`, `[a b][;][|][#][$x][\]`},
		{"escape of a wide rune", `\é\世`, "[é世]"},
		{"escapes in quotes", `"a\"b\$c\\d\e" '\n'`, `q[a"b$c\d\e]q[\n]`},
		{"variables", `send $out "to ${my.name}: $x-$?" '$y'`, "[send][<out>]q[to <my.name>: <x>-<?>]q[$y]"},
		{"lone dollar", "a $ $5 b$", "[a][$][$5][b$]"},
		{"continued line", "peers \\\n -r a\\\nb", "[peers][-r][ab]"},
		{"windows line ends", "a\r\nb c\r\n", "[a] ; [b][c]"},
		{"comment behind a word", "whoami # me", "[whoami]"},
		{"no comment inside a word", "a#b", "[a#b]"},
		{"newline in quotes", "t = 'a\nb'", "t=q[a\nb]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Parse(tt.src)
			if err != nil {
				t.Fatalf("Parse(%q): %v", tt.src, err)
			}
			if got := show(s); got != tt.want {
				t.Errorf("Parse(%q)\n got %s\nwant %s", tt.src, got, tt.want)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct {
		src, want string
		more      bool
	}{
		{"a 'b", "not closed", true},
		{`a "b`, "not closed", true},
		{"a \\", "backslash", true},
		{"a |", "behind", true},
		{"a ${b", "not closed", true},
		{"a ${b c}", "name of a variable", false},
		{"a ${}", "name of a variable", false},
		{"| a", `before "|"`, false},
		{"a | | b", `before "|"`, false},
		{"a | ; b", `behind "|"`, false},
		{"x =", `behind "="`, false},
		{"x = ; b", `behind "="`, false},
		{"a &&", "at the end", true},
		{"&& a", `before "&&"`, false},
		{"a || ; b", `behind "|"`, false},
		{"a > ", "name of a file", false},
		{"a > b > c", "one file", false},
		{"> b", "beside the file", false},
		{"a > b | c", "another command", false},
		{"a | b < c", "only the first", false},
		{"a | !", "behind \"!\"", false},
		{"if a", "wants then", true},
		{"if a; then", "wants elif or else or fi", true},
		{"if ; then b; fi", "before then", false},
		{"fi", "no business", false},
		{"for", "name of a variable", true},
		{"for x", "wants in", true},
		{"for x of a", "wants in", false},
		{"for x in a b", "wants do", true},
		{"for x in a; echo", "wants do", false},
		{"for x in a; do echo", "wants done", true},
		{strings.Repeat("if ", 40) + "a", "too deep", false},
		{strings.Repeat("a", MaxSource+1), "too long", false},
	} {
		_, err := Parse(tt.src)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Parse(%.20q): error %v, want a syntax error about %q", tt.src, err, tt.want)
			continue
		}
		if errors.Is(err, ErrIncomplete) != tt.more {
			t.Errorf("Parse(%.20q): incomplete = %v, want %v", tt.src, !tt.more, tt.more)
		}
	}
}

func TestExpand(t *testing.T) {
	vars := map[string]string{"x": "1 2", "?": "0"}
	lookup := func(n string) (string, bool) { v, ok := vars[n]; return v, ok }
	s, err := Parse(`a$x"-$?" $none`)
	if err != nil {
		t.Fatal(err)
	}
	words := s[0].Pipeline[0].Words
	if got, err := words[0].Expand(lookup); err != nil || got != `a1 2"-0"` {
		t.Errorf("Expand = %q, %v", got, err)
	}
	if _, err := words[1].Expand(lookup); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("Expand of an unknown variable: %v", err)
	}
	if _, ok := words[0].Literal(); ok {
		t.Error("Literal of a word with variables")
	}
}

func TestIsValue(t *testing.T) {
	for src, want := range map[string]bool{
		"a = 'b'": true, "a = $b": true, `a = "$b c"`: true, "a = b": false, "a = 'b' c": false, "'b'": false,
	} {
		s, err := Parse(src)
		if err != nil {
			t.Fatal(err)
		}
		if got := s[0].Pipeline[0].IsValue(); got != want {
			t.Errorf("IsValue(%s) = %v", src, got)
		}
	}
}

// TestParseCut parses every beginning of a text with all of the language: each
// is complete, wants more, or is wrong, but never breaks the parser.
func TestParseCut(t *testing.T) {
	const src = `x = put "a $b" 'c' ${d.e} \; $? | grep -n"q" > f # end` + "\nnext \\\n line && if a; then for b in c d; do e; done; elif f; then g; else h; fi"
	for i := range src {
		if _, err := Parse(src[:i]); err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset > i {
				t.Errorf("Parse(%q): %v", src[:i], err)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"peers -r; p = newpipe -n 'a b' | cat", `"$x ${y} \$"`, "a |\n# c\nb", "it's", "\\\r\n", "x=", "${", "\xff='\xff'",
		"if a && b; then c > d; else !e; fi", "for x in 1 2; do a < b | c >> d; done || e",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		s, err := Parse(src)
		if err != nil {
			return
		}
		whole(t, s)
	})
}

// whole checks that nothing is empty that must not be.
func whole(t *testing.T, s Script) {
	for _, step := range s {
		switch {
		case step.If != nil:
			for _, x := range step.If.Branches {
				whole(t, x.Test)
				whole(t, x.Body)
			}
			whole(t, step.If.Else)
			continue
		case step.For != nil:
			whole(t, step.For.Body)
			continue
		case len(step.Pipeline) == 0:
			t.Fatal("empty pipeline")
		}
		for _, c := range step.Pipeline {
			if len(c.Words) == 0 {
				t.Fatal("command without words")
			}
			for _, w := range c.Words {
				if len(w.Parts) == 0 && !w.Quoted {
					t.Fatal("word of nothing")
				}
			}
		}
	}
}

// FuzzQuote: whatever the text, its quoted form is read back as that one word.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "if", ">", "<a", "!x", "&&", "done", "a", "a b", "it's", `"'\$x`, "#", "x=y", "\n", "a\\", "\xff "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > MaxSource/4 {
			return
		}
		s, err := Parse("cmd " + Quote(text))
		if err != nil {
			t.Fatalf("Parse(Quote(%q) = %s): %v", text, Quote(text), err)
		}
		if len(s) != 1 || len(s[0].Pipeline) != 1 || len(s[0].Pipeline[0].Words) != 2 {
			t.Fatalf("Quote(%q) = %s: not one word", text, Quote(text))
		}
		if got, ok := s[0].Pipeline[0].Words[1].Literal(); !ok || got != text {
			t.Fatalf("Quote(%q) is read back as %q", text, got)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	const src = `p = newpipe -n "my pipe"; publish $p | grep -i name; send out 'hello world' # bye`
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		if _, err := Parse(src); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleParse() {
	s, _ := Parse(`chat = newpipe -n "my chat"; peers -r | grep ann`)
	for _, step := range s {
		for _, c := range step.Pipeline {
			name, _ := c.Words[0].Literal()
			fmt.Printf("%s, %d arguments, result in %q\n", name, len(c.Words)-1, c.Assign)
		}
	}
	// Output:
	// newpipe, 2 arguments, result in "chat"
	// peers, 1 arguments, result in ""
	// grep, 1 arguments, result in ""
}
