package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/id"
)

func open(t testing.TB, path string, cfg store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(path, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "home", "advertisements.db") }

func everything(sc *store.Scope) []store.Record {
	var records []store.Record
	for kind := range advertisements.Kind(3) {
		records = append(records, sc.Find(store.Query{Kind: kind})...)
	}
	return records
}

func TestReopen(t *testing.T) {
	path := newPath(t)
	s := open(t, path, store.Config{})
	sc, world := s.Scope(id.NetGroup), s.Scope(id.WorldGroup)
	for i := range 5 {
		r := named(fmt.Sprint(i), fmt.Sprint("n", i))
		r.Kind = advertisements.Kind(i % 3)
		mustPut(t, sc, r)
	}
	own := named("own", "peer")
	own.Lifetime, own.Quiet = store.Forever(), true
	own.Fields = append(own.Fields, advertisements.Field{Name: "Empty"}, advertisements.Field{Name: "PID", Value: "ü\x00\xff"})
	mustPut(t, sc, own)
	mustPut(t, sc, from("a", named("remote", "n")))
	mustPut(t, world, named("w", "n"))
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	// What was on disk is replaced, prolonged and removed.
	mustPut(t, sc, named("2", "changed"))
	mustPut(t, sc, named("2", "changed again"))
	sc.Remove(advertisements.Peers, "0")
	mustPut(t, sc, from("a", named("x", "short-lived in the queue")))
	sc.Remove(advertisements.Advs, "x")
	want, wantWorld := everything(sc), everything(world)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	again := open(t, path, store.Config{})
	if diff := cmp.Diff(want, everything(again.Scope(id.NetGroup)), compareRecords); diff != "" {
		t.Errorf("after opening again (-before +after)\n%s", diff)
	}
	if diff := cmp.Diff(wantWorld, everything(again.Scope(id.WorldGroup)), compareRecords); diff != "" {
		t.Errorf("other scope (-before +after)\n%s", diff)
	}
	if got := keys(again.Scope(id.NetGroup).Find(store.Query{Kind: advertisements.Advs, Attr: "Name", Value: "changed again"})); got != "2" {
		t.Errorf("index found %q", got)
	}
	if st := again.Stats(); st.Damaged != 0 || again.Moved() != "" {
		t.Errorf("damage where there is none: %+v", st)
	}
	// The order goes on where it was.
	mustPut(t, again.Scope(id.NetGroup), named("last", "n"))
	if got := all(again.Scope(id.NetGroup)); !strings.HasSuffix(got, " last") {
		t.Errorf("order %q", got)
	}
}

func TestFileIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such permissions here")
	}
	path := newPath(t)
	if err := open(t, path, store.Config{}).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, path, store.Config{})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestExpiryOverRestart(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		s := open(t, path, store.Config{})
		sc := s.Scope(id.NetGroup)
		mustPut(t, sc, named("hour", "n"))
		long := from("a", named("day", "n"))
		long.Lifetime = store.Forever()
		mustPut(t, sc, long)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		s = open(t, path, store.Config{Sweep: time.Minute})
		if got := all(s.Scope(id.NetGroup)); got != "day" {
			t.Errorf("after two hours %q", got)
		}
		time.Sleep(22*time.Hour + time.Minute + time.Second)
		if st := s.Stats(); st.Records != 0 || st.Expired != 2 || st.Written != 2 {
			t.Errorf("not swept by itself, or not on disk: %+v", st)
		}
	})
}

// TestWindow counts transactions: many records saved within the window are one,
// and they are written without anybody asking.
func TestWindow(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		s := open(t, path, store.Config{Window: time.Second})
		sc := s.Scope(id.NetGroup)
		time.Sleep(2 * time.Second)
		for i := range 100 {
			mustPut(t, sc, named(fmt.Sprint(i), "n"))
		}
		time.Sleep(time.Second - time.Millisecond)
		if st := s.Stats(); st.Written != 0 {
			t.Errorf("%d written before the window's end", st.Written)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if st := s.Stats(); st.Written != 100 || st.Batches != 1 {
			t.Errorf("%d written in %d batches", st.Written, st.Batches)
		}
		mustPut(t, sc, named("x", "n"))
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
		if st := s.Stats(); st.Written != 101 || st.Batches != 2 {
			t.Errorf("after Sync %d written in %d batches", st.Written, st.Batches)
		}
	})
}

func TestManyBatches(t *testing.T) {
	path := newPath(t)
	s := open(t, path, store.Config{Window: time.Hour})
	const n = 10_000
	for _, r := range pipeRecords(n) {
		mustPut(t, s.Scope(id.NetGroup), r)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Batches < 2 {
		t.Fatalf("%d batches", st.Batches)
	}
	s = open(t, path, store.Config{Window: time.Hour})
	if got := s.Scope(id.NetGroup).Count(); got != n {
		t.Fatalf("%d records, want %d", got, n)
	}
	s.Scope(id.NetGroup).Flush()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := open(t, path, store.Config{}).Scope(id.NetGroup).Count(); got != 0 {
		t.Fatalf("%d records after flushing", got)
	}
}

func TestLoweredLimits(t *testing.T) {
	path := newPath(t)
	s := open(t, path, store.Config{})
	sc := s.Scope(id.NetGroup)
	for _, r := range []store.Record{from("a", named("1", "n")), from("a", named("2", "n")), named("3", "n"), named("4", "n")} {
		mustPut(t, sc, r)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path, store.Config{MaxRecords: 1})
	if got := all(s.Scope(id.NetGroup)); got != "3" {
		t.Errorf("left %q", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := all(open(t, path, store.Config{}).Scope(id.NetGroup)); got != "3" {
		t.Errorf("left on disk %q", got)
	}
}

func TestClose(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T) *store.Store
	}{
		{"disk", func(t *testing.T) *store.Store { return open(t, newPath(t), store.Config{}) }},
		{"memory", func(*testing.T) *store.Store { return store.Memory(store.Config{}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.make(t)
			sc := s.Scope(id.NetGroup)
			mustPut(t, sc, named("k", "n"))
			if err := errors.Join(s.Close(), s.Close()); err != nil {
				t.Fatal(err)
			}
			for _, sc := range []*store.Scope{sc, s.Scope(id.WorldGroup)} {
				if _, err := sc.Put(named("l", "n")); !errors.Is(err, store.ErrClosed) {
					t.Errorf("Put after Close: %v", err)
				}
			}
			if sc.Remove(advertisements.Advs, "k") || sc.Flush() != 0 {
				t.Error("removed something after Close")
			}
			if got := all(sc); got != "k" {
				t.Errorf("reading after Close: %q", got)
			}
			if err := s.Sync(); c.name == "disk" != errors.Is(err, store.ErrClosed) {
				t.Errorf("Sync after Close: %v", err)
			}
		})
	}
}

func TestLocked(t *testing.T) {
	path := newPath(t)
	s := open(t, path, store.Config{})
	start := time.Now()
	_, err := store.Open(path, store.Config{})
	if !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Fatalf("second Open: %v", err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
	mustPut(t, s.Scope(id.NetGroup), named("k", "n"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := all(open(t, path, store.Config{}).Scope(id.NetGroup)); got != "k" {
		t.Errorf("left %q", got)
	}
}

func TestForeign(t *testing.T) {
	for _, c := range []struct {
		name, bucket, key, value string
	}{
		{"other program", "users", "k", "v"},
		{"other version", "juxta advertisement store", "version", "2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			db, err := bbolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = db.Update(func(tx *bbolt.Tx) error {
				b, err := tx.CreateBucket([]byte(c.bucket))
				if err != nil {
					return err
				}
				return b.Put([]byte(c.key), []byte(c.value))
			})
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := store.Open(path, store.Config{}); !errors.Is(err, store.ErrForeign) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open: %v", err)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file was touched (%v)", err)
			}
		})
	}
}

func TestSystemErrorsAreNotDamage(t *testing.T) {
	dir := t.TempDir()
	if s, err := store.Open(dir, store.Config{}); err == nil {
		_ = s.Close()
		t.Fatal("opened a folder")
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := store.Open(filepath.Join(file, "store"), store.Config{}); err == nil {
		_ = s.Close()
		t.Fatal("opened below a file")
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 {
		t.Errorf("something was moved: %v, %v", names, err)
	}
}

// soundFile returns a file of several pages with some scopes, and what is in it.
func soundFile(t testing.TB) (content []byte, want map[string]bool) {
	t.Helper()
	path := newPath(t)
	s := open(t, path, store.Config{})
	want = make(map[string]bool)
	for i, r := range pipeRecords(60) {
		if i%3 == 0 {
			mustPut(t, s.Scope(id.WorldGroup), r)
		} else {
			mustPut(t, s.Scope(id.NetGroup), r)
		}
		want[string(r.Document)] = true
		if i%20 == 19 {
			if err := s.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content, want
}

// openDamaged opens a store with the content. Whatever the content, that must
// work, and no record may come out that never went in. It returns the number of
// records and where the file was moved.
func openDamaged(t *testing.T, content []byte, want map[string]bool) (records int, moved bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(path, store.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, sc := range []*store.Scope{s.Scope(id.NetGroup), s.Scope(id.WorldGroup)} {
		for _, r := range everything(sc) {
			records++
			if !want[string(r.Document)] {
				t.Fatalf("a record out of nowhere: %q", r.Document)
			}
		}
	}
	mustPut(t, s.Scope(id.NetGroup), named("new", "n"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s.Moved() != "" {
		kept, err := os.ReadFile(s.Moved())
		if err != nil || !bytes.Equal(kept, content) || records != 0 {
			t.Fatalf("moved to %q: %v; %d records", s.Moved(), err, records)
		}
	}
	return records, s.Moved() != ""
}

func TestDamagedFile(t *testing.T) {
	content, want := soundFile(t)
	if n, moved := openDamaged(t, content, want); n != len(want) || moved {
		t.Fatalf("the sound file: %d records, moved %v", n, moved)
	}
	page := os.Getpagesize()
	at := bytes.Index(content, []byte("pipe-7<"))
	for _, c := range []struct {
		name    string
		content []byte
		n       int
		moved   bool
	}{
		{"empty", nil, 0, false},
		{"text", []byte("hello"), 0, true},
		{"long text", bytes.Repeat([]byte("hello"), 10_000), 0, true},
		{"zeros", make([]byte, len(content)), 0, true},
		{"no meta pages", append(make([]byte, 2*page), content[2*page:]...), 0, true},
		{"half", content[:len(content)/2/page*page], 0, true},
		{"only meta pages", content[:2*page], 0, true},
		{"no data pages", append(bytes.Clone(content[:2*page]), make([]byte, len(content)-2*page)...), 0, true},
		{"one damaged record", append(append(bytes.Clone(content[:at]), 'P'), content[at+1:]...), len(want) - 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if n, moved := openDamaged(t, c.content, want); n != c.n || moved != c.moved {
				t.Errorf("%d records, moved %v; want %d, %v", n, moved, c.n, c.moved)
			}
		})
	}
}

func TestDamageIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	for _, text := range []string{"first damage", "second damage"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		s := open(t, path, store.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if s.Moved() != path+".damaged" || !strings.Contains(log.String(), s.Moved()) {
			t.Errorf("moved to %q, log %q", s.Moved(), log.String())
		}
		if got, err := os.ReadFile(s.Moved()); string(got) != text {
			t.Errorf("kept %q (%v), want %q", got, err, text)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDamageAnywhere cuts a file at every 512 octets and turns over octets all
// over it.
func TestDamageAnywhere(t *testing.T) {
	content, want := soundFile(t)
	const step = 512
	flips := 50
	if testing.Short() {
		flips = 20
	}
	for n := 0; n < len(content); n += step * max(1, len(content)/step/32) {
		openDamaged(t, content[:n], want)
	}
	for i := range flips {
		damaged := bytes.Clone(content)
		damaged[(i*len(content)/flips+i)%len(content)] ^= 0xff
		openDamaged(t, damaged, want)
	}
}
