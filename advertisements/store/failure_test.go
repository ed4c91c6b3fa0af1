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
