package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const (
	fileMode   = 0o600
	folderMode = 0o700

	damagedSuffix = ".damaged"

	aboutBucket = "juxta advertisement store" // what the file is
	versionKey  = "version"
	version     = "1"
	scopePrefix = "scope " // followed by the group's URN
	fillPercent = 0.95     // keys only grow, so pages need little room for later ones

	maxSeq = math.MaxInt64 // largest key; what is beyond was never written by us
)

// errDamaged marks a file that bbolt or we cannot make sense of.
var errDamaged = errors.New("damaged file")

// errNotRegular is about a path that is a folder or a device.
var errNotRegular = errors.New("not a regular file")

// errPanic marks that bbolt panicked and may hold its own locks for ever.
var errPanic = errors.New("gave up")

// disk is the bbolt file. One goroutine at a time uses it.
type disk struct {
	db     *bbolt.DB
	file   *os.File // the same file as db's, to let go of it if bbolt gives up
	broken error    // bbolt panicked: nothing is written any more
}

// openOrReplace opens the file as s.disk and loads its records; if the file is
// damaged, it moves it aside and makes a new one.
func openOrReplace(path string, s *Store) (moved string, err error) {
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return "", err
	}
	err = openDisk(path, s)
	if !errors.Is(err, errDamaged) {
		return "", err
	}
	s.cfg.Logger.Debug("advertisement store cannot be read", "file", path, "error", err)
	clear(s.scopes)
	moved = path + damagedSuffix
	if err := os.Rename(path, moved); err != nil {
		return "", fmt.Errorf("%w; move it away: %w", errDamaged, err)
	}
	return moved, openDisk(path, s)
}

// openDisk opens or makes the file as s.disk and loads its records. An error
// that wraps errDamaged is about what is in the file.
//
// The file is opened twice: first for reading only, to check its pages before
// bbolt believes them. A process that gets in between leaves it sound.
func openDisk(path string, s *Store) error {
	info, err := os.Stat(path)
	created := errors.Is(err, fs.ErrNotExist)
	if err == nil && !info.Mode().IsRegular() {
		return &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	if err == nil && info.Size() > 0 {
		var reader disk
		if err = reader.open(path, true); err == nil {
			err = errors.Join(reader.check(), reader.db.Close())
		}
		if err != nil {
			return fault(err)
		}
	}
	d := new(disk)
	if err := d.open(path, false); err != nil {
		return fault(err)
	}
	s.disk = d
	err = guard(func() error { return d.load(s) })
	if err == nil {
		err = d.file.Chmod(fileMode)
	}
	if err == nil {
		if created {
			syncFolder(filepath.Dir(path))
		}
		return nil
	}
	s.disk = nil
	if errors.Is(err, errPanic) {
		d.abandon()
	} else {
		err = errors.Join(err, d.db.Close())
	}
	return fault(err)
}

// open opens the file with bbolt.
func (d *disk) open(path string, readOnly bool) error {
	options := &bbolt.Options{
		ReadOnly:     readOnly,
		Timeout:      lockWait,
		FreelistType: bbolt.FreelistMapType,
		NoStatistics: true,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode)
			d.file = f
			return f, err
		},
	}
	err := guard(func() (err error) {
		d.db, err = bbolt.Open(path, fileMode, options)
		return err
	})
	if err != nil {
		d.abandon()
	}
	return err
}

// check checks the pages of the file.
func (d *disk) check() error {
	info, err := d.file.Stat()
	if err != nil {
		return err
	}
	return checkPages(d.file, info.Size(), d.db.Info().PageSize)
}

// fault sorts the errors of opening: what the system says stays as it is; all
// else that bbolt says is damage.
func fault(err error) error {
	var errno syscall.Errno
	var path *fs.PathError
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return ErrLocked
	case errors.Is(err, ErrForeign), errors.Is(err, errDamaged), errors.As(err, &errno), errors.As(err, &path):
		return err
	}
	return fmt.Errorf("%w: %w", errDamaged, err)
}

// guard runs f, which reads or writes a file that may be damaged. bbolt panics
// on some damage, and a file that is shorter than it says faults when read.
func guard(f func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(before)
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %w: %v", errDamaged, errPanic, r)
		}
	}()
	return f()
}

// load reads all records of a sound file, or makes a new one ours.
func (d *disk) load(s *Store) error {
	fresh := false
	err := d.db.View(func(tx *bbolt.Tx) error {
		about := tx.Bucket([]byte(aboutBucket))
		if about == nil {
			name, value := tx.Cursor().First()
			switch fresh = name == nil; {
			case value != nil: // bbolt puts only buckets here
				return fmt.Errorf("%w: %q is no bucket", errDamaged, clip(string(name)))
			case !fresh:
				return fmt.Errorf("%w (it holds %q)", ErrForeign, clip(string(name)))
			}
			return nil
		}
		if v := about.Get([]byte(versionKey)); string(v) != version {
			return fmt.Errorf("%w (it has version %q)", ErrForeign, clip(string(v)))
		}
		now := time.Now()
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			if b == nil {
				return fmt.Errorf("%w: %q is no bucket", errDamaged, clip(string(name)))
			}
			group, ok := strings.CutPrefix(string(name), scopePrefix)
			if !ok {
				return nil
			}
			return s.scope(group).load(b, now)
		})
	})
	if err != nil || !fresh {
		return err
	}
	return d.db.Update(func(tx *bbolt.Tx) error {
		about, err := tx.CreateBucket([]byte(aboutBucket))
		if err != nil {
			return err
		}
		return about.Put([]byte(versionKey), []byte(version))
	})
}

// load reads the scope's records. Nobody else knows the scope yet, so that it
// needs no lock.
func (sc *Scope) load(b *bbolt.Bucket, now time.Time) error {
	s := sc.store
	remote := millis(now.Add(s.cfg.RemoteLifetime))
	return b.ForEach(func(key, value []byte) error {
		if len(key) != keySize {
			return fmt.Errorf("%w: key of %d octets", errDamaged, len(key))
		}
		seq := binary.BigEndian.Uint64(key)
		r, end, err := readRecord(key, value)
		if err != nil || seq == 0 || seq > maxSeq {
			s.count.damaged.Add(1)
			sc.removed = append(sc.removed, seq)
			return nil
		}
		sc.seq = seq
		if !r.Origin.IsZero() {
			end = min(end, remote) // in case the clock was set back
		}
		if end <= now.UnixMilli() {
			s.count.expired.Add(1)
			sc.bury(r.Kind, r.Key, r.Fields, end)
			sc.removed = append(sc.removed, seq)
			return nil
		}
		if old := sc.shelves[r.Kind].keys[r.Key]; old != nil {
			sc.remove(old)
		}
		if _, err := sc.makeRoom(&r, nil); err != nil {
			sc.removed = append(sc.removed, seq)
			return nil
		}
		e := newEntry(&r, &sc.shelves[r.Kind], seq)
		e.stored = true
		sc.insert(e, end)
		return nil
	})
}

// write writes a batch in one transaction: all of it or, if there is an error,
// nothing.
func (d *disk) write(ops []op) error {
	if d.broken != nil {
		return d.broken
	}
	err := guard(func() error {
		return d.db.Update(func(tx *bbolt.Tx) error {
			var b *bbolt.Bucket
			for i := range ops {
				o := &ops[i]
				if b == nil || o.scope != ops[i-1].scope {
					var err error
					if b, err = tx.CreateBucketIfNotExists([]byte(scopePrefix + o.scope)); err != nil {
						return err
					}
					b.FillPercent = fillPercent
				}
				if err := d.apply(b, o); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if errors.Is(err, errPanic) {
		d.broken = err
	}
	if err != nil {
		return fmt.Errorf("store: %s: %w", d.file.Name(), err)
	}
	return nil
}

func (d *disk) apply(b *bbolt.Bucket, o *op) error {
	if o.replaces != 0 {
		if err := b.Delete(diskKey(o.replaces)); err != nil {
			return err
		}
	}
	if o.e == nil {
		return b.Delete(diskKey(o.seq))
	}
	return b.Put(diskKey(o.seq), appendRecord(make([]byte, 0, o.e.size), o))
}

// close closes the file.
func (d *disk) close() error {
	if d.broken != nil {
		d.abandon()
		return nil // told by write
	}
	if err := d.db.Close(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// abandon lets go of the file, and with it of the lock, when bbolt may hold
// locks of its own for ever.
func (d *disk) abandon() {
	if d.file != nil {
		unlock(d.file)
		_ = d.file.Close() // at worst it is closed already
	}
}

// syncFolder makes the name of a new file durable, where the system can.
func syncFolder(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	_ = f.Sync() // some systems cannot; the file itself is safe
	_ = f.Close()
}
