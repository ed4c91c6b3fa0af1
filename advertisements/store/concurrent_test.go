package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/id"
)

// TestConcurrentUse has many goroutines save, find, remove, follow the changes
// and sync at once, closes the store under them, and opens it again: every
// record whose Put went through, and that nobody removed, is there.
func TestConcurrentUse(t *testing.T) {
	path := newPath(t)
	s := open(t, path, store.Config{Window: time.Millisecond})
	const writers, each = 4, 300
	var (
		wg   sync.WaitGroup
		half sync.WaitGroup
		mu   sync.Mutex
		kept = make(map[string]bool) // false: removed
	)
	half.Add(writers)
	for w := range writers {
		wg.Go(func() {
			sc := s.Scope(id.NetGroup)
			for i := range each {
				if i == each/2 {
					half.Done()
				}
				key := fmt.Sprint(w, "-", i)
				_, err := sc.Put(named(key, fmt.Sprint("n", i%7)))
				if errors.Is(err, store.ErrClosed) {
					continue
				}
				if err != nil {
					t.Error(err)
				}
				removed := i%10 == 0 && sc.Remove(advertisements.Advs, key)
				mu.Lock()
				kept[key] = !removed
				mu.Unlock()
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			sc := s.Scope(id.NetGroup)
			_, cursor := sc.Entries()
			for i := range each {
				for _, r := range sc.Find(store.Query{Kind: advertisements.Advs, Attr: "Name", Value: "n*", Limit: i}) {
					if len(r.Document) == 0 {
						t.Error("record without document")
					}
				}
				sc.Get(advertisements.Advs, fmt.Sprint(1, "-", i))
				_, cursor, _ = sc.Changes(cursor)
				sc.Count()
				s.Stats()
				s.Sweep()
			}
		})
	}
	wg.Go(func() {
		for {
			if err := s.Sync(); errors.Is(err, store.ErrClosed) {
				return
			} else if err != nil {
				t.Error(err)
			}
		}
	})
	half.Wait()
	for range 2 {
		wg.Go(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()

	found := open(t, path, store.Config{}).Scope(id.NetGroup).Find(store.Query{Kind: advertisements.Advs})
	for _, r := range found {
		if !kept[r.Key] {
			t.Errorf("%s is back, or came from nowhere", r.Key)
		}
		delete(kept, r.Key)
	}
	for key, there := range kept {
		if there {
			t.Errorf("%s is lost", key)
		}
	}
}

func TestIndexConcurrentUse(t *testing.T) {
	x := store.NewIndex(store.IndexConfig{HolderEntries: 50, Entries: 150})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			p := string(rune('a' + w))
			for i := range 500 {
				err := x.Add("Adv", "Name", fmt.Sprint("n", i%60), peer(p), time.Now().Add(time.Hour))
				if err != nil && !errors.Is(err, store.ErrFull) {
					t.Error(err)
				}
				x.Find("Adv", "Name", "n1*", 3)
				switch i % 100 {
				case 98:
					x.Renew(peer(p))
				case 99:
					x.RemoveHolder(peer(p))
				}
				x.Count()
				x.Stats()
			}
		})
	}
	wg.Wait()
	if n := x.Count(); n != 0 {
		t.Errorf("%d entries left", n)
	}
}
