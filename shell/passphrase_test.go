package shell_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/core/identity"
)

// A peer whose key is encrypted starts with the passphrase of a file, and tells what is
// missing where nobody can be asked.
func TestPassphraseFile(t *testing.T) {
	home := t.TempDir()
	made, _, err := identity.LoadOrCreate(home, identity.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := identity.ChangePassphrase(home, identity.Config{}, []byte("a long sentence")); err != nil {
		t.Fatal(err)
	}
	args := quiet("--home", home, "-c", "whoami")
	if status, out, errs := run(t, "", args...); status == 0 || !strings.Contains(errs, "passphrase") || !strings.Contains(errs, "JUXTA_PASSPHRASE_FILE") {
		t.Errorf("nobody to ask: %d, %q, %q", status, out, errs)
	}
	file := filepath.Join(t.TempDir(), "secret")
	t.Setenv("JUXTA_PASSPHRASE_FILE", file)
	for text, want := range map[string]int{"a long sentence\r\n": 0, "another sentence\n": 5} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		status, out, errs := run(t, "", args...)
		if status != want || (status == 0) != strings.Contains(out, made.Peer().String()) {
			t.Errorf("%q: %d, %q, %q", text, status, out, errs)
		}
	}
}
