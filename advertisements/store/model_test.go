package store_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/id"
)

// step is one step of the model test.
type step struct {
	what       string
	kind       advertisements.Kind
	key        string
	name, desc string
	origin     string
	life       time.Duration // 0: for ever
	expiration time.Duration
	quiet      bool
	attr       string
	value      string
	limit      int
}

func steps(whats ...string) *rapid.Generator[[]step] {
	one := rapid.Custom(func(t *rapid.T) step {
		pick := func(name string, from ...string) string { return rapid.SampledFrom(from).Draw(t, name) }
		return step{
			what:       rapid.SampledFrom(whats).Draw(t, "what"),
			kind:       advertisements.Kind(rapid.IntRange(0, 2).Draw(t, "kind")),
			key:        pick("key", "1", "2", "3", "4", "5"),
			name:       pick("name", "", "a", "ab", "ba", "a*b"),
			desc:       pick("desc", "", "x"),
			origin:     pick("origin", "", "", "a", "b"),
			life:       time.Duration(rapid.IntRange(0, 40).Draw(t, "life")) * time.Hour,
			expiration: time.Duration(rapid.IntRange(0, 3).Draw(t, "expiration")) * time.Hour,
			quiet:      rapid.Bool().Draw(t, "quiet"),
			attr:       pick("attr", "", "Name", "Desc", "Other"),
			value:      pick("value", "", "*", "a", "a*", "*a", "*b*", "a*b", "x"),
			limit:      rapid.IntRange(0, 3).Draw(t, "limit"),
		}
	})
	return rapid.SliceOfN(one, 1, 80)
}

// model is the naive store: a list of records in store order.
type model struct{ records []store.Record }

func (m *model) expire(now time.Time) {
	m.records = slices.DeleteFunc(m.records, func(r store.Record) bool { return !r.Lifetime.After(now) })
}

func (m *model) put(r store.Record, now time.Time) (changed bool, err error) {
	if !r.Origin.IsZero() && r.Lifetime.After(now.Add(24*time.Hour)) {
		r.Lifetime = now.Add(24 * time.Hour)
	}
	r.Expiration = min(r.Expiration, r.Lifetime.Sub(now))
	i := slices.IndexFunc(m.records, func(o store.Record) bool { return o.Kind == r.Kind && o.Key == r.Key })
	if i < 0 {
		m.records = append(m.records, r)
		return true, nil
	}
	old := &m.records[i]
	same := string(old.Document) == string(r.Document) && slices.Equal(old.Fields, r.Fields)
	if old.Origin.IsZero() && !r.Origin.IsZero() {
		if same {
			return false, nil
		}
		return false, store.ErrOwn
	}
	if old.Lifetime.After(r.Lifetime) {
		r.Lifetime = old.Lifetime
	}
	if same && old.Origin.IsZero() == r.Origin.IsZero() {
		if !old.Origin.IsZero() {
			r.Origin = old.Origin
			r.Quiet = r.Quiet && old.Quiet
		}
		changed = !r.Lifetime.Equal(old.Lifetime) || r.Expiration != old.Expiration || r.Quiet != old.Quiet
		*old = r
		return changed, nil
	}
	m.records = append(slices.Delete(m.records, i, i+1), r)
	return true, nil
}

func (m *model) find(q store.Query) []store.Record {
	var found []store.Record
	for _, r := range m.records {
		if r.Kind != q.Kind || q.Limit > 0 && len(found) == q.Limit {
			continue
		}
		fits := q.Attr == ""
		for _, f := range r.Fields {
			fits = fits || f.Name == q.Attr && f.Value != "" && advertisements.Match(q.Value, f.Value)
		}
		if fits {
			found = append(found, r)
		}
	}
	return found
}

// entries is the index that others should have.
func (m *model) entries() map[store.Change]time.Time {
	e := make(map[store.Change]time.Time)
	for _, r := range m.records {
		for _, f := range r.Fields {
			k := store.Change{Kind: r.Kind, Name: f.Name, Value: f.Value}
			if f.Value != "" && r.Expiration > 0 && !r.Quiet && r.Lifetime.After(e[k]) {
				e[k] = r.Lifetime
			}
		}
	}
	return e
}

// TestModel compares stores, in memory and on disk, with a list of records: what
// is found and in which order, what changed, and what an index that follows the
// changes knows, over days of virtual time and restarts.
func TestModel(t *testing.T) {
	whats := []string{"put", "put", "put", "put", "put", "remove", "flush", "sleep", "find", "find", "changes"}
	t.Run("memory", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			all := steps(whats...).Draw(rt, "steps")
			var err error
			synctest.Test(t, func(*testing.T) { err = runModel(all, "") })
			if err != nil {
				rt.Fatal(err)
			}
		})
	})
	t.Run("disk", func(t *testing.T) {
		dir, n := t.TempDir(), 0
		rapid.Check(t, func(rt *rapid.T) {
			all := steps(append(whats, "reopen", "sync")...).Draw(rt, "steps")
			n++
			var err error
			synctest.Test(t, func(*testing.T) { err = runModel(all, filepath.Join(dir, fmt.Sprint(n))) })
			if err != nil {
				rt.Fatal(err)
			}
		})
	})
}

func runModel(steps []step, path string) (err error) {
	s := store.Memory(store.Config{})
	if path != "" {
		if s, err = store.Open(path, store.Config{}); err != nil {
			return err
		}
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	sc := s.Scope(id.NetGroup)
	var m model
	mirror := make(map[store.Change]time.Time)
	var cursor uint64

	for i, st := range steps {
		now := time.Now()
		m.expire(now)
		switch st.what {
		case "put":
			r := store.Record{
				Kind: st.kind, Key: st.key, Document: []byte(st.name + "/" + st.desc), Origin: peer(st.origin),
				Fields:   []advertisements.Field{{Name: "Name", Value: st.name}, {Name: "Desc", Value: st.desc}},
				Lifetime: now.Add(st.life), Expiration: st.expiration, Quiet: st.quiet,
			}
			if st.life == 0 {
				r.Lifetime = store.Forever()
			}
			want, wantErr := m.put(r, now)
			if got, err := sc.Put(r); got != want || !errors.Is(err, wantErr) {
				return fmt.Errorf("step %d: Put = %v, %w; want %v, %w", i, got, err, want, wantErr)
			}
		case "remove":
			n := len(m.records)
			m.records = slices.DeleteFunc(m.records, func(r store.Record) bool { return r.Kind == st.kind && r.Key == st.key })
			if got := sc.Remove(st.kind, st.key); got != (n > len(m.records)) {
				return fmt.Errorf("step %d: Remove = %v", i, got)
			}
		case "flush":
			n := len(m.records)
			m.records = slices.DeleteFunc(m.records, func(r store.Record) bool { return r.Kind == st.kind })
			n -= len(m.records)
			if got := sc.Count(st.kind); got != n {
				return fmt.Errorf("step %d: Count = %d, want %d", i, got, n)
			}
			if got := sc.Flush(st.kind); got != n {
				return fmt.Errorf("step %d: Flush = %d, want %d", i, got, n)
			}
		case "sleep":
			time.Sleep(st.life)
		case "sync":
			if err := s.Sync(); err != nil {
				return err
			}
		case "reopen":
			if err := s.Close(); err != nil {
				return err
			}
			if s, err = store.Open(path, store.Config{}); err != nil {
				return err
			}
			sc = s.Scope(id.NetGroup)
			if s.Moved() != "" || s.Stats().Damaged != 0 {
				return fmt.Errorf("step %d: damaged", i)
			}
			cursor = 0
		case "find":
			q := store.Query{Kind: st.kind, Attr: st.attr, Value: st.value, Limit: st.limit}
			if diff := cmp.Diff(m.find(q), sc.Find(q), compareRecords); diff != "" {
				return fmt.Errorf("step %d: Find(%+v) (-want +got)\n%s", i, q, diff)
			}
			want := slices.IndexFunc(m.records, func(r store.Record) bool { return r.Kind == st.kind && r.Key == st.key })
			got, ok := sc.Get(st.kind, st.key)
			if ok != (want >= 0) || ok && cmp.Diff(m.records[want], got, compareRecords) != "" {
				return fmt.Errorf("step %d: Get = %v, %v", i, got, ok)
			}
			if got := sc.Count(); got != len(m.records) {
				return fmt.Errorf("step %d: Count = %d, want %d", i, got, len(m.records))
			}
		case "changes":
			changes, next, ok := sc.Changes(cursor)
			if !ok {
				clear(mirror)
				changes, next = sc.Entries()
			}
			cursor = next
			for _, c := range changes {
				k := store.Change{Kind: c.Kind, Name: c.Name, Value: c.Value}
				if c.Lifetime.IsZero() {
					delete(mirror, k)
				} else {
					mirror[k] = c.Lifetime
				}
			}
			for k, end := range mirror {
				if !end.After(now) {
					delete(mirror, k)
				}
			}
			if diff := cmp.Diff(m.entries(), mirror, compareRecords); diff != "" {
				return fmt.Errorf("step %d: the index that follows (-want +got)\n%s", i, diff)
			}
		}
	}
	return nil
}

// TestLimitsHold throws anything at a small store and looks whether it stays
// small, whether an origin stays within its share, and whether our own records
// stay.
func TestLimitsHold(t *testing.T) {
	cfg := store.Config{MaxRecords: 6, OriginRecords: 2, MaxBytes: 6_000, OriginBytes: 1_800}
	rapid.Check(t, func(rt *rapid.T) {
		all := steps("put").Draw(rt, "steps")
		s := store.Memory(cfg)
		sc := s.Scope(id.NetGroup)
		own := make(map[string]bool)
		for _, st := range all {
			key := fmt.Sprint(st.kind, st.key)
			_, err := sc.Put(store.Record{
				Kind: st.kind, Key: key, Document: make([]byte, rapid.IntRange(0, 1_000).Draw(rt, "size")), Origin: peer(st.origin),
				Fields: []advertisements.Field{{Name: "Name", Value: st.name}}, Lifetime: store.Forever(),
			})
			if err == nil && st.origin == "" {
				own[key] = true
			}
			share := make(map[id.Peer]int)
			records := everything(sc)
			for _, r := range records {
				share[r.Origin]++
				if r.Origin.IsZero() {
					delete(own, r.Key)
				}
			}
			if len(own) != 0 {
				rt.Fatalf("own records lost: %v", own)
			}
			for _, r := range records {
				if r.Origin.IsZero() {
					own[r.Key] = true
				} else if share[r.Origin] > cfg.OriginRecords {
					rt.Fatalf("%d records of one origin", share[r.Origin])
				}
			}
			if st := s.Stats(); st.Records > cfg.MaxRecords || st.Bytes > cfg.MaxBytes || st.Records != len(records) {
				rt.Fatalf("%d records, %d bytes", st.Records, st.Bytes)
			}
		}
		sc.Flush()
		if st := s.Stats(); st.Records != 0 || st.Bytes != 0 {
			rt.Fatalf("left over: %+v", st)
		}
	})
}
