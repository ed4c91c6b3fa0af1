package home

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// WriteFile puts a file into a home such that it is there whole or not at all, in
// its old form or in the new one, whatever happens meanwhile. The folder is made if
// it is not there; only the owner may read both.
func WriteFile(dir, name string, b []byte) error {
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return fmt.Errorf("home: %w", err)
	}
	f, err := os.CreateTemp(dir, "."+name+".*")
	if err != nil {
		return fmt.Errorf("home: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Chmod(fileMode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("home: %w", err)
	}
	return syncFolder(dir)
}

// syncFolder makes a rename last, where the system can.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("home: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("home: %w", err)
	}
	return nil
}
