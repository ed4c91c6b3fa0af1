package content

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{"a", "a/b", "Nocturne in E♭.ogg", "…", ".hidden", "a..b", "console", "com10", "x/nullify", strings.Repeat("a", maxPart)} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{
		"", ".", "..", "../a", "a/..", "a/../b", "/a", "a/", "a//b", `a\b`, `..\a`, `C:\a`, "c:a", "a:stream", "CON", "con.txt",
		"nul", "a/NUL.tar.gz", "com1", "LPT9.x", "COM¹", "AUX ", "conin$", "a.", "a ", " a", "a\x00b", "a\nb", "a\x7f", "a\u202etxt.exe",
		"\xff", "a?", "a*", "<a>", `"a"`, "a|b", strings.Repeat("a", maxPart+1), strings.Repeat("a/", maxParts) + "a",
		strings.Repeat("abcdefg/", 40)[:maxName/4] + strings.Repeat("x", maxName), ".juxta-x.part", "a/.JUXTA-x",
	} {
		err := CheckName(name)
		var typed *NameError
		if !errors.Is(err, ErrName) || !errors.As(err, &typed) || typed.Name != name {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"a/b.txt", "../x", "CON", `a\b`, "a\u202eb", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if CheckName(name) != nil {
			return
		}
		if !filepath.IsLocal(filepath.FromSlash(name)) || filepath.ToSlash(filepath.Clean(filepath.FromSlash(name))) != name {
			t.Errorf("%q passes", name)
		}
	})
}
