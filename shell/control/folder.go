package control

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// socketFile is the name of a socket in the folder of its peer.
const socketFile = "sock"

// errFolder: others could put a socket of theirs in the place of ours.
var errFolder = errors.New("folder for sockets does not belong to this user alone")

// Folder returns the folder that holds the sockets of the user's peers, each in a
// folder of its own: juxta-control in $XDG_RUNTIME_DIR or /run/user/UID, otherwise
// juxta-control-UID in the folder for temporary files. It is made with mode 0700
// if need be; the error says that somebody else could write or look there.
func Folder() (string, error) {
	dir := defaultFolder()
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("control: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("control: %w", err)
	}
	if !info.IsDir() || !ownedByUser(info) || checksModes && info.Mode().Perm() != 0o700 {
		return "", fmt.Errorf("control: %w: %s", errFolder, dir)
	}
	return dir, nil
}

// defaultFolder is the same for all processes of a user, also for those that were
// not started from a login session and lack its environment.
func defaultFolder() string {
	uid := os.Geteuid()
	if uid < 0 { // Windows: the folder for temporary files is the user's own
		return filepath.Join(os.TempDir(), "juxta-control")
	}
	for _, run := range []string{os.Getenv("XDG_RUNTIME_DIR"), filepath.Join("/run/user", strconv.Itoa(uid))} {
		if info, err := os.Stat(run); filepath.IsAbs(run) && err == nil && info.IsDir() && ownedByUser(info) {
			return filepath.Join(run, "juxta-control")
		}
	}
	return filepath.Join(os.TempDir(), "juxta-control-"+strconv.Itoa(uid))
}

// Path returns the socket of the peer called name, whether it is there or not.
// Names that no file can have, or that are long, are written in another way that
// is always the same.
func Path(name string) (string, error) {
	dir, err := Folder()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, fileName(name), socketFile), nil
}

// fileName writes the name of a peer as that of a file: octets that may have a
// meaning as %XX, and the end of long ones as a hash.
func fileName(name string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; strings.IndexByte(plain, c) >= 0 && (c != '.' || i > 0) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	file := b.String()
	if file == "" {
		return "%"
	}
	if len(file) > maxSocketName {
		const digits = 16
		sum := fmt.Sprintf("%x", sha256.Sum256([]byte(name)))[:digits]
		file = file[:maxSocketName-digits-1] + "%" + sum
	}
	return file
}
