package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
)

func fill(t *testing.T, sc *Scope, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		r := Record{Kind: advertisements.Advs, Key: fmt.Sprint(i), Document: make([]byte, 1_000), Lifetime: Forever()}
		if _, err := sc.Put(r); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDiskFull has writes fail for a while. The store goes on in memory, and
// when there is room again everything gets to disk in its order.
func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	var log strings.Builder
	s, err := Open(path, Config{Window: time.Hour, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	sc := s.Scope(id.NetGroup)
	fill(t, sc, 0, 10)
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	s.disk.db.MaxSize = 1 // bbolt refuses to grow the file; the writer is idle
	fill(t, sc, 10, 1_000)
	for range 2 {
		if err := s.Sync(); !errors.Is(err, bolterrors.ErrMaxSizeReached) || !strings.Contains(err.Error(), path) {
			t.Fatalf("Sync on a full disk: %v", err)
		}
	}
	// What failed is changed again before it can be written.
	for i := range 500 {
		sc.Remove(advertisements.Advs, fmt.Sprint(i))
	}
	fill(t, sc, 0, 5)
	if sc.Count() != 505 {
		t.Errorf("%d records in memory", sc.Count())
	}
	if err := s.Sync(); err == nil {
		t.Fatal("no error")
	}
	s.disk.db.MaxSize = 0
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.WriteErrors != 3 {
		t.Errorf("%d errors counted, want 3", st.WriteErrors)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), "works again") {
		t.Errorf("log:\n%s", log.String())
	}
	if s, err = Open(path, Config{}); err != nil {
		t.Fatal(err)
	}
	if got := s.Scope(id.NetGroup).Count(); got != 505 || s.Moved() != "" {
		t.Errorf("%d records on disk", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestFileVanishes cuts the file to nothing under an open store, so that bbolt
// faults on what it has mapped. The store must neither crash nor hang.
func TestFileVanishes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be cut here")
	}
	path := filepath.Join(t.TempDir(), "store")
	s, err := Open(path, Config{Window: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	sc := s.Scope(id.NetGroup)
	fill(t, sc, 0, 100)
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	fill(t, sc, 100, 200)
	for range 2 {
		if err := s.Sync(); !errors.Is(err, errDamaged) {
			t.Errorf("Sync: %v", err)
		}
	}
	if sc.Count() != 200 {
		t.Errorf("%d records in memory", sc.Count())
	}
	if err := s.Close(); !errors.Is(err, errDamaged) {
		t.Errorf("Close: %v", err)
	}
	if s, err = Open(path, Config{}); err != nil {
		t.Fatalf("the lock was kept: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// keysOnDisk counts what a closed file has of the group.
func keysOnDisk(t *testing.T, path string) (n int) {
	t.Helper()
	db, err := bbolt.Open(path, fileMode, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(func(tx *bbolt.Tx) error {
		n = tx.Bucket([]byte(scopePrefix + id.NetGroup.String())).Stats().KeyN
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestNothingStaysOnDisk replaces and removes a record in all stages of its way
// to disk and looks whether an earlier version is left there.
func TestNothingStaysOnDisk(t *testing.T) {
	const sync, remove = "sync", "remove"
	for _, c := range []struct {
		steps []string // a name is saved
		want  int
	}{
		{[]string{"a"}, 1},
		{[]string{"a", "b"}, 1},
		{[]string{"a", remove}, 0},
		{[]string{"a", sync, "b"}, 1},
		{[]string{"a", sync, "b", "c"}, 1},
		{[]string{"a", sync, "b", sync, "c"}, 1},
		{[]string{"a", sync, "a"}, 1},
		{[]string{"a", sync, remove}, 0},
		{[]string{"a", sync, "b", remove}, 0},
		{[]string{"a", sync, "b", "c", remove}, 0},
		{[]string{"a", sync, "b", sync, remove}, 0},
		{[]string{"a", sync, "b", remove, "c"}, 1},
	} {
		path := filepath.Join(t.TempDir(), "store")
		s, err := Open(path, Config{Window: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		sc := s.Scope(id.NetGroup)
		for i, step := range c.steps {
			switch step {
			case sync:
				err = s.Sync()
			case remove:
				sc.Remove(advertisements.Advs, "k")
			default:
				_, err = sc.Put(Record{
					Kind: advertisements.Advs, Key: "k", Document: []byte(step),
					Lifetime: time.Now().Add(time.Duration(i+1) * time.Hour),
				})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		// One more, so that the group is on disk in any case.
		if _, err := sc.Put(Record{Key: "other", Lifetime: Forever()}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if n := keysOnDisk(t, path) - 1; n != c.want {
			t.Errorf("%v: %d on disk, want %d", c.steps, n, c.want)
		}
	}
}

// TestTwiceOnDisk opens a file that has two versions of a record, which this
// package never writes: the later one counts, and the earlier one goes.
func TestTwiceOnDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s, err := Open(path, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, fileMode, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte(scopePrefix + id.NetGroup.String()))
		if err != nil {
			return err
		}
		for seq, name := range []string{2: "old", 5: "new"} {
			if name != "" {
				key, value := encode(Record{Key: "k", Document: []byte(name), Lifetime: Forever()}, uint64(seq))
				err = errors.Join(err, b.Put(key, value))
			}
		}
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(path, Config{}); err != nil {
		t.Fatal(err)
	}
	sc := s.Scope(id.NetGroup)
	if found := sc.Find(Query{Kind: advertisements.Peers}); len(found) != 1 || string(found[0].Document) != "new" || sc.Count() != 1 {
		t.Errorf("found %v, counted %d", found, sc.Count())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := keysOnDisk(t, path); n != 1 {
		t.Errorf("%d left on disk", n)
	}
}
