package home_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/juxta-p2p/juxta/core/home"
)

func TestWriteFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "groups", "new")
	for _, text := range []string{"one", "two"} {
		if err := home.WriteFile(dir, "f", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || string(b) != text {
			t.Errorf("%q, %v; want %q", b, err, text)
		}
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 1 {
		t.Errorf("%d files, %v; want only the one", len(list), err)
	}
	if i, err := os.Stat(filepath.Join(dir, "f")); err != nil || runtime.GOOS != "windows" && i.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", i.Mode(), err)
	}
	if err := home.WriteFile(filepath.Join(dir, "f"), "g", nil); err == nil {
		t.Error("a file was taken for a folder")
	}
}
