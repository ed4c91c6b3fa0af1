package shell

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// passphraseFile is the variable that names a file with the passphrase of the key, for
// peers that nobody sits at.
const passphraseFile = "JUXTA_PASSPHRASE_FILE"

// passphrase returns what asks for the passphrase of an encrypted key: the first line
// of the file of that variable, or whoever sits at the terminal.
func (p *program) passphrase(ctx context.Context) func(prompt string) ([]byte, error) {
	return func(prompt string) ([]byte, error) {
		if name := os.Getenv(passphraseFile); name != "" {
			b, err := os.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", passphraseFile, err)
			}
			line, _, _ := strings.Cut(string(b), "\n")
			return []byte(strings.TrimSuffix(line, "\r")), nil
		}
		text, err := p.term.ReadSecret(ctx, prompt+": ")
		if err != nil {
			return nil, fmt.Errorf("%s names no file, and %w", passphraseFile, err)
		}
		return []byte(text), nil
	}
}
