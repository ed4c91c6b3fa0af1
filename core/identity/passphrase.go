package identity

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const encryptedBlock = "ENCRYPTED PRIVATE KEY"

var (
	// ErrEncrypted is the cause if a key is encrypted and nobody can be asked for
	// the passphrase.
	ErrEncrypted = errors.New("the key is encrypted, and there is no passphrase")

	// ErrPassphrase is the cause if the passphrase is wrong, missing or too short.
	// Of an altered file it may be the cause as well: the two cannot be told apart.
	ErrPassphrase = errors.New("wrong passphrase")
)

// Export returns the identity as one text that can be carried to another place: the
// key, encrypted with the passphrase, and its certificate, as Juxta keeps them in an
// encrypted [File]. The key is a PKCS #8 EncryptedPrivateKeyInfo of scrypt (16 MiB, a
// fraction of a second) and AES-256, which "openssl pkey" reads too. [Import] and
// [ParseEncrypted] read the text. The error wraps [ErrPassphrase] if the passphrase
// has fewer than [MinPassphrase] octets.
func (i *Identity) Export(passphrase []byte) ([]byte, error) {
	if len(passphrase) < MinPassphrase {
		return nil, fmt.Errorf("identity: %w: fewer than %d octets", ErrPassphrase, MinPassphrase)
	}
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	defer clear(der)
	sealed, err := encryptKey(der, passphrase)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: encryptedBlock, Bytes: sealed})
	return append(text, pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: i.cert.Leaf.Raw})...), nil
}

// IsEncrypted reports whether a text, such as the content of a [File], begins with
// an encrypted key.
func IsEncrypted(text []byte) bool {
	_, _, err := block(text[:min(len(text), maxFile)], encryptedBlock)
	return err == nil
}

// ParseEncrypted is [Parse] for a text whose key may be encrypted; the passphrase is
// asked for only if it is. The error wraps [ErrFormat], [ErrPassphrase],
// [ErrEncrypted] if ask is nil, or what ask returned.
func ParseEncrypted(text []byte, ask func() ([]byte, error)) (*Identity, error) {
	if len(text) > maxFile || !IsEncrypted(text) {
		return Parse(text)
	}
	outer, rest, err := block(text, encryptedBlock)
	if err != nil {
		return nil, err
	}
	cert, err := certificate(rest) // before anybody is asked for anything
	if err != nil {
		return nil, err
	}
	sealed, err := parseEnvelope(outer)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	if ask == nil {
		return nil, fmt.Errorf("identity: %w", ErrEncrypted)
	}
	passphrase, err := ask()
	if err != nil {
		return nil, fmt.Errorf("identity: %w: %w", ErrPassphrase, err)
	}
	der, err := sealed.decrypt(passphrase)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	defer clear(der)
	key, err := privateKey(der)
	if err != nil { // what a wrong passphrase gives, if by chance its end looks right
		return nil, fmt.Errorf("identity: %w", ErrPassphrase)
	}
	i, err := assemble(key, cert)
	if err != nil {
		return nil, fmt.Errorf("identity: %w: %w", ErrFormat, err)
	}
	return i, nil
}

// privateKey reads the DER of a PKCS #8 key.
func privateKey(der []byte) (crypto.Signer, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	switch k := parsed.(type) {
	case ed25519.PrivateKey:
		return k, nil
	case *rsa.PrivateKey:
		return k, nil
	}
	return nil, errors.New("the key is neither Ed25519 nor RSA")
}

// Open is [Load] for a key that may be encrypted: [Config.Passphrase] is asked for
// its passphrase, up to three times. Its errors are those of Load, [ErrEncrypted] if
// it is nil and [ErrPassphrase].
func Open(dir string, cfg Config) (*Identity, error) {
	path := filepath.Join(dir, File)
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return open(path, text, cfg)
}

func open(name string, text []byte, cfg Config) (i *Identity, err error) {
	for n := range attempts {
		var ask func() ([]byte, error)
		gaveUp := false
		if cfg.Passphrase != nil {
			prompt := "passphrase of " + name
			if n > 0 {
				prompt = "wrong; " + prompt
			}
			ask = func() ([]byte, error) {
				p, err := cfg.Passphrase(prompt)
				gaveUp = err != nil
				return p, err
			}
		}
		if i, err = ParseEncrypted(text, ask); gaveUp || !errors.Is(err, ErrPassphrase) {
			break
		}
	}
	switch {
	case errors.Is(err, ErrEncrypted), errors.Is(err, ErrPassphrase):
		return nil, fmt.Errorf("%w: %s", err, name)
	case err != nil:
		return nil, fmt.Errorf("%w; put back a copy of %s, or move it away to start as a new peer", err, name)
	}
	return i, nil
}

// create keeps a new identity in the folder, encrypted if the configuration says so.
func create(dir string, cfg Config) (*Identity, error) {
	i, err := New(cfg.Algorithm)
	if err != nil {
		return nil, err
	}
	if !cfg.Encrypt {
		return i, i.Save(dir)
	}
	if cfg.Passphrase == nil {
		return nil, fmt.Errorf("identity: %w", ErrEncrypted)
	}
	passphrase, err := cfg.Passphrase("new passphrase of " + filepath.Join(dir, File))
	if err != nil {
		return nil, fmt.Errorf("identity: %w: %w", ErrPassphrase, err)
	}
	text, err := i.Export(passphrase)
	if err != nil {
		return nil, err
	}
	return i, save(dir, text)
}

// ChangePassphrase has the key kept in the folder encrypted with another passphrase,
// or with one for the first time; an empty one keeps it unencrypted from now on. The
// old passphrase is asked for as [Open] does. The file is replaced in one step: a
// crash leaves the old or the new one. Copies of the old file, in backups for
// instance, open with the old passphrase as before: [Rotate] is for when that is out.
//
// A running peer need not be told.
func ChangePassphrase(dir string, cfg Config, passphrase []byte) error {
	i, err := Open(dir, cfg)
	if err != nil {
		return err
	}
	text, err := i.text(passphrase)
	if err != nil {
		return err
	}
	return replace(filepath.Join(dir, File), text)
}

// text is the form in which the identity is kept: encrypted unless the passphrase is
// empty.
func (i *Identity) text(passphrase []byte) ([]byte, error) {
	if len(passphrase) == 0 {
		return i.MarshalPEM()
	}
	return i.Export(passphrase)
}

// Import keeps an identity that was exported in a folder, which is made with mode
// 0700 if need be, and returns it. It stays encrypted with the passphrase it has. The
// error wraps [fs.ErrExist] if there is an identity already: it is never overwritten.
// Others are those of [ParseEncrypted] and [Identity.Save].
//
// Two peers with one identity are taken for one by everybody and disturb each other:
// import where the peer moves to, not where it is to run a second time.
func Import(dir string, text []byte, cfg Config) (*Identity, error) {
	path := filepath.Join(dir, File)
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("identity: %w", &os.PathError{Op: "import to", Path: path, Err: os.ErrExist})
	}
	i, err := open("the text", text, cfg)
	if err != nil {
		return nil, err
	}
	if err := save(dir, text); err != nil {
		return nil, err
	}
	return i, nil
}

// replace puts a text of mode 0600 in the place of a file, in one step.
func replace(path string, text []byte) error {
	dir := filepath.Dir(path)
	temp, err := writeTemp(dir, text)
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	defer func() { _ = os.Remove(temp) }() // gone already if it was renamed
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	if err := syncFolder(dir); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	return nil
}
