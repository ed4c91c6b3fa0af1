// Package home guards the folder in which a peer keeps what must outlive it: its
// key, its configuration and its store.
//
// A home belongs to one running peer at a time, since two peers with one key are
// one peer that contradicts itself. [Acquire] takes the folder and refuses the
// second peer, in the same process or another. The lock is one of the operating
// system, so it ends with the process however that ends; nothing must be cleaned
// up after a crash.
package home

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

const (
	// lockFile is the file in the home that is locked and holds the process ID of
	// the holder as text. It is never removed: a peer could then lock the removed
	// file while another locks its successor.
	lockFile = "lock"

	folderMode = 0o700
	fileMode   = 0o600

	// maxPID is how many octets of the lock file are read to learn the holder.
	maxPID = 32
)

// Lock is the right to use a home folder. Keep it for as long as the folder is in
// use: a Lock that nobody refers to may be released any time. It is safe for
// concurrent use.
type Lock struct {
	dir   string
	close func() error
}

// LockedError tells that another peer uses the folder.
type LockedError struct {
	Dir string // absolute path
	PID int    // process of the other peer, 0 if it is not known
}

// Error implements error.
func (e *LockedError) Error() string {
	switch e.PID {
	case 0:
		return fmt.Sprintf("home: %s is in use by another peer", e.Dir)
	case os.Getpid():
		return fmt.Sprintf("home: %s is in use by another peer of this process", e.Dir)
	}
	return fmt.Sprintf("home: %s is in use by another peer, process %d", e.Dir, e.PID)
}

// Acquire takes the folder, which is made with mode 0700 if it is not there. It
// does not wait for another peer to leave.
//
// The error is a [*LockedError] if another peer uses the folder; it wraps
// [fs.ErrPermission] if this process may not write there; and it wraps
// [errors.ErrUnsupported] where the system or the file system has no locks.
func Acquire(dir string) (*Lock, error) {
	if dir == "" {
		return nil, errors.New("home: no folder given")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("home: %w", err)
	}
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return nil, writeError(dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, writeError(dir, err)
	}
	if err := tryLock(f); err != nil {
		pid := readPID(f)
		_ = f.Close() // nothing was written
		if errors.Is(err, errHeld) {
			return nil, &LockedError{Dir: dir, PID: pid}
		}
		return nil, fmt.Errorf("home: locking %s: %w", dir, err)
	}
	// The process ID only makes the other peer's error more helpful, so a full
	// disk is no reason to fail here.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return &Lock{dir: dir, close: sync.OnceValue(func() error {
		_ = f.Truncate(0) // so that nobody takes us for the holder between two peers
		if err := f.Close(); err != nil {
			return fmt.Errorf("home: releasing %s: %w", dir, err)
		}
		return nil
	})}, nil
}

// Dir returns the absolute path of the folder.
func (l *Lock) Dir() string { return l.dir }

// Close releases the folder. Calls after the first do nothing and return what the
// first returned.
func (l *Lock) Close() error { return l.close() }

// errHeld is what tryLock returns if somebody else has the lock.
var errHeld = errors.New("held by another peer")

func writeError(dir string, err error) error {
	if isReadOnly(err) {
		return fmt.Errorf("home: no right to write in %s: %w: %w", dir, fs.ErrPermission, err)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("home: no right to write in %s: %w", dir, err)
	}
	return fmt.Errorf("home: %w", err)
}

// readPID returns the process ID in the lock file, or 0 if it holds none.
func readPID(f *os.File) int {
	b := make([]byte, maxPID)
	n, _ := f.ReadAt(b, 0) // less than asked for is the rule
	text, _, whole := strings.Cut(string(b[:n]), "\n")
	pid, err := strconv.Atoi(text)
	if !whole || err != nil || pid < 0 {
		return 0
	}
	return pid
}
