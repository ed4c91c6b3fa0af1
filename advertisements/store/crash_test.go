package store_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/id"
)

// crashFile names the environment variable that makes the test program write to
// the file until somebody kills it.
const crashFile = "JUXTA_TEST_CRASH_FILE"

const crashKeys = 500

// writeUntilKilled saves round after round of the same keys, and after each Sync
// says which round is on disk.
func writeUntilKilled(path string) {
	s, err := store.Open(path, store.Config{Window: time.Millisecond})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	sc := s.Scope(id.NetGroup)
	for round := 1; ; round++ {
		for i := range crashKeys {
			if _, err := sc.Put(named(fmt.Sprint(i), fmt.Sprint(round))); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
		}
		if err := s.Sync(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(round)
	}
}

// TestKilled kills a process that writes, in the middle of some round, and looks
// at what it left: each key once, in a version not older than the last synced.
func TestKilled(t *testing.T) {
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	path := newPath(t)
	for n := range rounds {
		synced := killWriter(t, path, 2+n)
		s := open(t, path, store.Config{})
		if s.Moved() != "" || s.Stats().Damaged != 0 {
			t.Fatalf("the file is damaged: %q, %+v", s.Moved(), s.Stats())
		}
		records := everything(s.Scope(id.NetGroup))
		if len(records) != crashKeys {
			t.Errorf("%d records, want %d", len(records), crashKeys)
		}
		for _, r := range records {
			if round, err := strconv.Atoi(r.Fields[0].Value); err != nil || round < synced {
				t.Errorf("key %s is of round %d (%v), %d was synced", r.Key, round, err, synced)
			}
		}
		s.Scope(id.NetGroup).Flush(advertisements.Advs) // the next process starts at round 1
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killWriter runs a writer and kills it when it has synced some rounds and is on
// its way to the next. It returns the last round known to be synced.
func killWriter(t *testing.T, path string, until int) (synced int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashFile+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	killed := false
	for lines.Scan() {
		round, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
		if err != nil {
			t.Errorf("the writer says %q", lines.Text())
			break
		}
		synced = round
		if synced >= until && !killed {
			killed = true
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if !killed {
		_ = cmd.Process.Kill()
		t.Error("the writer ended by itself")
	}
	_ = cmd.Wait() // says that it was killed
	return synced
}

// TestCopyOfBusyFile opens what somebody gets who copies the file while it is
// being written, as a backup does or a disk that loses power: pages of different
// times. It opens, and every record in it is one that was saved.
func TestCopyOfBusyFile(t *testing.T) {
	path := newPath(t)
	s := open(t, path, store.Config{Window: time.Millisecond})
	want := make(map[string]bool)
	records := pipeRecords(2_000)
	for _, r := range records {
		want[string(r.Document)] = true
	}
	now, copies := make(chan struct{}, 1), make(chan []byte, 100)
	go func() {
		defer close(copies)
		for range now {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Error(err)
				return
			}
			copies <- content
		}
	}()
	sc := s.Scope(id.NetGroup)
	for round := range 4 {
		for i, r := range records {
			r.Lifetime = r.Lifetime.Add(time.Duration(round) * time.Hour)
			mustPut(t, sc, r)
			if i%200 != 0 {
				continue
			}
			select {
			case now <- struct{}{}: // the copy is taken while we go on
			default:
			}
			if err := s.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(now)
	n := 0
	for content := range copies {
		openDamaged(t, content, want)
		n++
	}
	if n == 0 {
		t.Error("no copies")
	}
}
