package identity

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

const (
	// File is the name of the identity file in a peer's home folder: the key
	// (PKCS #8, encrypted or not), then the certificate, both PEM.
	File = "identity.pem"

	tempPattern = "identity-*.tmp"
	folderMode  = 0o700
	openToAll   = 0o077 // the permissions that nobody but the owner may have

	keyBlock  = "PRIVATE KEY"
	certBlock = "CERTIFICATE"
)

var (
	// ErrFormat is the cause if a text is not an identity file.
	ErrFormat = errors.New("malformed identity")

	// ErrExposed is the cause if others than its owner may read or alter the file.
	ErrExposed = errors.New("key open to other users")
)

// Config says how [LoadOrCreate] makes an identity where there is none. The zero
// value is fit for use.
type Config struct {
	Algorithm Algorithm // of a new key; default Ed25519. An existing key stays what it is.

	// Passphrase is asked for the passphrase of an encrypted key; the prompt tells
	// people which, without a colon. An error ends the asking. Nil means that
	// encrypted keys cannot be used.
	Passphrase func(prompt string) ([]byte, error)

	// Encrypt has a new key kept encrypted, with a new passphrase that Passphrase
	// is asked for, once. An existing key stays what it is; see [ChangePassphrase].
	Encrypt bool
}

// LoadOrCreate returns the identity kept in the folder; if there is none, it makes
// one, keeps it there and reports created. The folder is made if need be, with
// mode 0700. An identity file that cannot be used is an error and is never
// overwritten: with the key, the peer would lose its ID. Several callers at once
// get the same identity.
//
// Errors are those of [Open] and [Identity.Save] but [fs.ErrNotExist].
func LoadOrCreate(dir string, cfg Config) (i *Identity, created bool, err error) {
	if i, err = Open(dir, cfg); !errors.Is(err, fs.ErrNotExist) {
		return i, false, err
	}
	if i, err = create(dir, cfg); errors.Is(err, fs.ErrExist) {
		i, err = Open(dir, cfg) // somebody else was faster
		return i, false, err
	}
	if err != nil {
		return nil, false, err
	}
	return i, true, nil
}

// Load reads the identity kept in the folder. The error names the file and wraps
// [fs.ErrNotExist] if there is none, [fs.ErrPermission] if it may not be read,
// [ErrExposed] if others than the owner may read or alter it (not checked on
// Windows), [ErrEncrypted] if the key is encrypted (see [Open]), and [ErrFormat] if
// it is damaged. A symbolic link is followed; the file
// it leads to is held to the same.
func Load(dir string) (*Identity, error) { return Open(dir, Config{}) }

func readFile(path string) ([]byte, error) {
	// Looked at before it is opened, since opening a named pipe would wait for a
	// writer; and afterwards, since what counts is what was opened.
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("identity: %w: %s is not a regular file", ErrFormat, path)
	}
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	if info, err = f.Stat(); err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	if mode := info.Mode().Perm(); mode&openToAll != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("identity: %w: %s has mode %04o; make it yours alone with: chmod 600 '%s'",
			ErrExposed, path, mode, path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return b, nil
}

// Parse reads the text form of an identity, which [Identity.MarshalPEM] writes:
// nothing but a PKCS #8 key (Ed25519, or RSA of 2048 to 8192 bits) and its
// self-signed certificate. The error wraps [ErrFormat], and [ErrEncrypted] if the key
// is encrypted, see [ParseEncrypted].
func Parse(text []byte) (*Identity, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("identity: %w: longer than %d octets", ErrFormat, maxFile)
	}
	if IsEncrypted(text) {
		return nil, fmt.Errorf("identity: %w: %w", ErrFormat, ErrEncrypted)
	}
	keyDER, rest, err := block(text, keyBlock)
	if err != nil {
		return nil, err
	}
	defer clear(keyDER)
	cert, err := certificate(rest)
	if err != nil {
		return nil, err
	}
	key, err := privateKey(keyDER)
	if err != nil {
		return nil, fmt.Errorf("identity: %w: %w", ErrFormat, err)
	}
	i, err := assemble(key, cert)
	if err != nil {
		return nil, fmt.Errorf("identity: %w: %w", ErrFormat, err)
	}
	return i, nil
}

// certificate reads the certificate behind a key, the last thing there is.
func certificate(text []byte) (der []byte, err error) {
	der, rest, err := block(text, certBlock)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("identity: %w: something follows the certificate", ErrFormat)
	}
	return der, nil
}

// block reads one PEM block of the type, with nothing before it.
func block(text []byte, want string) (der, rest []byte, err error) {
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN "+want+"-----")) {
		return nil, nil, fmt.Errorf("identity: %w: no %q where it should begin", ErrFormat, want)
	}
	b, rest := pem.Decode(text)
	if b == nil || b.Type != want || len(b.Headers) > 0 {
		return nil, nil, fmt.Errorf("identity: %w: damaged %q", ErrFormat, want)
	}
	return b.Bytes, rest, nil
}

// MarshalPEM returns the text form, which holds the private key: whoever reads it
// is this peer. [Parse] reads it.
func (i *Identity) MarshalPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der})
	return append(text, pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: i.cert.Leaf.Raw})...), nil
}

// Save keeps the identity in the folder, which is made with mode 0700 if need be,
// as a file of mode 0600. It never overwrites: the error wraps [fs.ErrExist] if
// there is an identity file. The file is there whole or not at all, also after a
// crash or power cut, which may leave a file "identity-….tmp" behind that can be
// deleted.
func (i *Identity) Save(dir string) error {
	text, err := i.MarshalPEM()
	if err != nil {
		return err
	}
	return save(dir, text)
}

// save publishes the text as the identity file of a folder that has none.
func save(dir string, text []byte) error {
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	temp, err := writeTemp(dir, text)
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	defer func() { _ = os.Remove(temp) }() // gone already if it was renamed
	if err := publish(os.Link, temp, filepath.Join(dir, File)); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	if err := syncFolder(dir); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	return nil
}

// writeTemp writes the text to a new file of mode 0600, down to the disk.
func writeTemp(dir string, text []byte) (path string, err error) {
	f, err := os.CreateTemp(dir, tempPattern)
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the first error tells more
		return "", err
	}
	return f.Name(), nil
}

// publish gives the file its name unless something has it. A hard link does both
// in one step; file systems without them leave a moment between the two.
func publish(link func(from, to string) error, temp, path string) error {
	err := link(temp, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(temp, path)
}

// syncFolder brings the name of a new file down to the disk.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // the file system's journal sees to it, and folders cannot be synced
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }() // nothing was written
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err // EINVAL: a file system that does not know of it
	}
	return nil
}
