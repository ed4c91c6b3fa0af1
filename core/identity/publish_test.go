package identity

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// On file systems without hard links nothing is overwritten either.
func TestPublishWithoutLinks(t *testing.T) {
	noLinks := func(string, string) error { return errors.ErrUnsupported }
	dir := t.TempDir()
	path := filepath.Join(dir, File)
	for _, content := range []string{"first", "second"} {
		temp, err := writeTemp(dir, []byte(content))
		if err != nil {
			t.Fatal(err)
		}
		err = publish(noLinks, temp, path)
		if first := content == "first"; first && err != nil || !first && !errors.Is(err, fs.ErrExist) {
			t.Errorf("the %s: %v", content, err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "first" {
			t.Errorf("after the %s the file holds %q, %v", content, b, err)
		}
	}
	if err := publish(noLinks, filepath.Join(dir, "missing"), filepath.Join(dir, "new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing published: %v", err)
	}
}
