package store_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
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

// TestTornWrite mixes pages from before and after a transaction, as a power
// failure leaves them. As long as the meta pages are the old ones, which bbolt
// writes last, nothing that was synced before may be missing. A disk that breaks
// even that order may cost the file, but neither a crash nor a false record.
func TestTornWrite(t *testing.T) {
	path := newPath(t)
	s := open(t, path, store.Config{Window: time.Hour})
	sc := s.Scope(id.NetGroup)
	records := pipeRecords(400)
	snapshot := func() []byte {
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	for _, r := range records[:200] {
		mustPut(t, sc, r)
	}
	snapshot()
	for i, r := range records[:300] {
		if i%3 == 0 {
			sc.Remove(r.Kind, r.Key)
			continue
		}
		r.Lifetime = r.Lifetime.Add(time.Hour)
		mustPut(t, sc, r)
	}
	before, had := snapshot(), sc.Count()
	for i, r := range records {
		if i%5 == 0 {
			sc.Remove(r.Kind, r.Key)
			continue
		}
		r.Lifetime = r.Lifetime.Add(2 * time.Hour)
		mustPut(t, sc, r)
	}
	after := snapshot()
	before = append(before, make([]byte, max(0, len(after)-len(before)))...)

	want := make(map[string]bool)
	for _, r := range records {
		want[string(r.Document)] = true
	}
	page, mixes := os.Getpagesize(), 25
	if testing.Short() {
		mixes = 10
	}
	chance := rand.New(rand.NewPCG(1, 2))
	lost := 0
	for range mixes {
		torn := make([]byte, 0, len(after))
		for at := 0; at < len(after); at += page {
			from := before
			if at >= 2*page && chance.IntN(2) == 0 {
				from = after
			}
			torn = append(torn, from[at:min(at+page, len(after))]...)
		}
		if n, moved := openDamaged(t, torn, want); n != had || moved {
			t.Fatalf("%d records of %d, moved %v", n, had, moved)
		}
		copy(torn, after[:2*page])
		if _, moved := openDamaged(t, torn, want); moved {
			lost++
		}
	}
	if lost == 0 {
		t.Error("no mix was damaged: the second half tests nothing")
	}
}
