package advertisements_test

import (
	"regexp"
	"strings"
	"testing"

	adv "github.com/juxta-p2p/juxta/advertisements"
	"pgregory.net/rapid"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		want           bool
	}{
		{"", "abc", true}, {"*", "abc", true}, {"**", "abc", true}, {"*", "", true}, {"", "", true},
		{"abc", "abc", true}, {"abc", "Abc", false}, {"abc", "abcd", false}, {"abc", "", false},
		{"ab*", "abc", true}, {"ab*", "ab", true}, {"ab*", "cab", false},
		{"*bc", "abc", true}, {"*bc", "bc", true}, {"*bc", "bcd", false},
		{"*b*", "abc", true}, {"*b*", "b", true}, {"*b*", "acd", false},
		{"a*c", "abc", true}, {"a*c", "ac", true}, {"a*c", "a", false}, {"a*a", "a", false}, {"a*a", "aa", true},
		{"a*b*c", "a1b2c", true}, {"a*b*c", "acb", false}, {"*a*b", "xaxbb", true}, {"*ab*ab", "ab", false},
		{"?bc", "abc", false}, {"北*", "北京", true}, {"*京", "北京", true}, {"*\xac*", "京", true}, {"[a]", "a", false},
	} {
		if got := adv.Match(c.pattern, c.value); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.pattern, c.value, got)
		}
	}
}

func TestPropertyMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*]{0,8}`).Draw(t, "pattern")
		value := rapid.StringMatching(`[ab]{0,12}`).Draw(t, "value")
		if pattern == "" {
			return
		}
		re := regexp.MustCompile("^" + strings.ReplaceAll(pattern, "*", ".*") + "$")
		if got, want := adv.Match(pattern, value), re.MatchString(value); got != want {
			t.Fatalf("Match(%q, %q) = %v, want %v", pattern, value, got, want)
		}
	})
}

func TestSendablePattern(t *testing.T) {
	for p, want := range map[string]bool{
		"": true, "*": true, "**": true, "abc": true, "a*": true, "*a": true, "*abc*": true,
		"a*c": false, "***": false, "*a*c": false, "a*c*": false,
	} {
		if got := adv.SendablePattern(p); got != want {
			t.Errorf("SendablePattern(%q) = %v", p, got)
		}
	}
}

// What JXSE 2.5 makes of patterns, recorded from running peers. Patterns that may
// be sent mean the same to us.
func TestPatternsMeanWhatTheyMeanToJXSE(t *testing.T) {
	values := []string{"GoldenPipe", "Gold", "Pipe", "enPi", "xGoldenPipe", "GoldenPipes", "G*e", "Ge", "", "golden*pipe"}
	for pattern, java := range map[string]func(v string) bool{
		"":           func(string) bool { return true },
		"*":          func(string) bool { return true },
		"**":         func(string) bool { return true },
		"GoldenPipe": func(v string) bool { return v == "GoldenPipe" },
		"Gold*":      func(v string) bool { return strings.HasPrefix(v, "Gold") },
		"*Pipe":      func(v string) bool { return strings.HasSuffix(v, "Pipe") },
		"*enPi*":     func(v string) bool { return strings.Contains(v, "enPi") },
		"G*e":        func(v string) bool { return strings.Contains(v, "*") },
	} {
		same := true
		for _, v := range values {
			same = same && adv.Match(pattern, v) == java(v)
		}
		if same != adv.SendablePattern(pattern) {
			t.Errorf("%q: the same as to JXSE: %v, sendable: %v", pattern, same, !same)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	value := strings.Repeat("ab", 500)
	pattern := strings.Repeat("*ab", 50) + "*c"
	b.ReportAllocs()
	for b.Loop() {
		if adv.Match(pattern, value) {
			b.Fatal("matches")
		}
	}
}
