package lan

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// errFolder: the meeting folder is not the user's alone.
var errFolder = errors.New("meeting folder does not belong to the user alone")

// othersMayWrite are the mode bits that a meeting folder must not have.
const othersMayWrite = 0o022

// openFolder makes the meeting folder if need be, and checks that nobody else
// may write there. dir empty means the default.
func openFolder(dir string) (string, error) {
	var err error
	if dir != "" {
		err = os.MkdirAll(dir, 0o700)
	} else {
		dir = defaultFolder()
		if err = os.Mkdir(dir, 0o700); errors.Is(err, os.ErrExist) {
			err = nil
		}
	}
	if err != nil {
		return "", fmt.Errorf("lan: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("lan: %w", err)
	}
	if !info.IsDir() || !ownedByUser(info) || checksModes && info.Mode().Perm()&othersMayWrite != 0 {
		return "", fmt.Errorf("lan: %w: %s", errFolder, dir)
	}
	return dir, nil
}

// defaultFolder is the same for all processes of a user, also for those that
// were not started from a login session and lack its environment.
func defaultFolder() string {
	uid := os.Geteuid()
	if uid < 0 { // Windows: the folder for temporary files is the user's own
		return filepath.Join(os.TempDir(), "juxta")
	}
	for _, run := range []string{os.Getenv("XDG_RUNTIME_DIR"), filepath.Join("/run/user", strconv.Itoa(uid))} {
		if info, err := os.Stat(run); filepath.IsAbs(run) && err == nil && info.IsDir() && ownedByUser(info) {
			return filepath.Join(run, "juxta")
		}
	}
	return filepath.Join(os.TempDir(), "juxta-"+strconv.Itoa(uid))
}
