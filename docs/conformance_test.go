package docs_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// testName finds the tests named in docs/conformance.md: `folder/path: TestName`.
var testName = regexp.MustCompile("`([a-z0-9/]+): ((?:Test|Fuzz|Example|Benchmark)[A-Za-z0-9_]*)`")

// unknownTests lists the tests that the text names and that do not exist.
func unknownTests(text string, all []source) (missing []string) {
	for _, m := range testName.FindAllStringSubmatch(text, -1) {
		if !slices.ContainsFunc(all, func(s source) bool { return s.dir == m[1] && s.test && slices.Contains(s.funcs, m[2]) }) {
			missing = append(missing, m[1]+": "+m[2])
		}
	}
	return missing
}

func TestConformanceNamesTestsThatExist(t *testing.T) {
	b, err := os.ReadFile("conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, m := range unknownTests(text, sources(t)) {
		t.Errorf("conformance.md names %s, which does not exist", m)
	}
	rows := 0
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| Rule") || strings.HasPrefix(line, "|--") {
			continue
		}
		rows++
		if !testName.MatchString(line) {
			t.Errorf("this rule names no test: %s", line)
		}
	}
	if rows < 50 {
		t.Errorf("only %d rules are listed", rows)
	}
}

func TestTheConformanceTestBites(t *testing.T) {
	all := []source{{dir: "core/id", test: true, funcs: []string{"TestReal"}}}
	got := unknownTests("| x | `core/id: TestReal`, `core/id: TestGone` |\n| y | `core/other: TestReal` |", all)
	if len(got) != 2 {
		t.Fatalf("reported %v", got)
	}
}
