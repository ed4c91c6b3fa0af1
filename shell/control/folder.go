package control

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	dir := candidates()[0]
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("control: %w", err)
	}
	if err := safe(dir); err != nil {
		return "", err
	}
	return dir, nil
}

// safe reports whether a folder is the user's alone.
func safe(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	if !info.IsDir() || !ownedByUser(info) || checksModes && info.Mode().Perm() != 0o700 {
		return fmt.Errorf("control: %w: %s", errFolder, dir)
	}
	return nil
}

// candidates are the folders where sockets may be, the first of which is used by
// those who serve. A process that was not started from a login session may lack
// its environment, or the folder of the session, so who looks for a socket looks
// into all of them.
func candidates() (all []string) {
	uid := os.Geteuid()
	if uid < 0 { // Windows: the folder for temporary files is the user's own
		return []string{filepath.Join(os.TempDir(), "juxta-control")}
	}
	for _, run := range []string{os.Getenv("XDG_RUNTIME_DIR"), filepath.Join("/run/user", strconv.Itoa(uid))} {
		if info, err := os.Stat(run); filepath.IsAbs(run) && err == nil && info.IsDir() && ownedByUser(info) {
			all = append(all, filepath.Join(run, "juxta-control"))
		}
	}
	return append(all, filepath.Join(os.TempDir(), "juxta-control-"+strconv.Itoa(uid)))
}

// look returns the folders that are there and the user's alone.
func look() (all []string) {
	for _, dir := range candidates() {
		if safe(dir) == nil && !slices.Contains(all, dir) {
			all = append(all, dir)
		}
	}
	return all
}

// find returns the socket of the peer called name, in whatever folder it is, or
// where it would be if it were there.
func find(name string) (string, error) {
	for _, dir := range look() {
		path := filepath.Join(dir, fileName(name), socketFile)
		if _, err := os.Lstat(path); err == nil {
			return path, nil
		}
	}
	return Path(name)
}

// Path returns the socket that a peer called name serves, whether it is there or
// not. [Open] finds also those of peers that were started elsewhere.
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
