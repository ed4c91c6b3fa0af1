package store_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/id"
)

// peer returns the peer of a letter.
func peer(name string) id.Peer {
	if name == "" {
		return id.Peer{}
	}
	return id.PeerFromSeed(id.NetGroup, fmt.Appendf(nil, "%-16s", name))
}

// named is a record with one searchable name that lives an hour.
func named(key, name string) store.Record {
	return store.Record{
		Kind:       advertisements.Advs,
		Key:        key,
		Document:   []byte("<" + name + "/>"),
		Fields:     []advertisements.Field{{Name: "Name", Value: name}},
		Lifetime:   time.Now().Add(time.Hour),
		Expiration: time.Hour,
	}
}

func from(origin string, r store.Record) store.Record {
	r.Origin = peer(origin)
	return r
}

func mustPut(t testing.TB, sc *store.Scope, r store.Record) {
	t.Helper()
	if changed, err := sc.Put(r); err != nil || !changed {
		t.Fatalf("Put(%s) = %v, %v", r.Key, changed, err)
	}
}

func keys(records []store.Record) string {
	var k []string
	for _, r := range records {
		k = append(k, r.Key)
	}
	return strings.Join(k, " ")
}

func all(sc *store.Scope) string {
	return keys(sc.Find(store.Query{Kind: advertisements.Advs}))
}

func memory(cfg store.Config) (*store.Store, *store.Scope) {
	s := store.Memory(cfg)
	return s, s.Scope(id.NetGroup)
}

func TestFind(t *testing.T) {
	_, sc := memory(store.Config{})
	for _, r := range []store.Record{
		named("1", "chat"), named("2", "chatter"), named("3", "Chat"), named("4", "a*c"),
		named("5", "abc"), named("6", "chat"), named("7", ""),
	} {
		mustPut(t, sc, r)
	}
	twice := named("8", "x")
	twice.Fields = []advertisements.Field{{Name: "Name", Value: "first"}, {Name: "Id", Value: "8"}, {Name: "Name", Value: "last"}}
	mustPut(t, sc, twice)
	group := named("1", "chat")
	group.Kind = advertisements.Groups
	mustPut(t, sc, group)

	const advs = advertisements.Advs
	for _, c := range []struct {
		name string
		q    store.Query
		want string
	}{
		{"all of the kind", store.Query{Kind: advs}, "1 2 3 4 5 6 7 8"},
		{"all, limited", store.Query{Kind: advs, Limit: 3}, "1 2 3"},
		{"other kind", store.Query{Kind: advertisements.Groups}, "1"},
		{"empty kind", store.Query{Kind: advertisements.Peers}, ""},
		{"no such kind", store.Query{Kind: 3}, ""},
		{"has the field", store.Query{Kind: advs, Attr: "Name"}, "1 2 3 4 5 6 8"},
		{"star", store.Query{Kind: advs, Attr: "Name", Value: "*", Limit: 2}, "1 2"},
		{"equal", store.Query{Kind: advs, Attr: "Name", Value: "chat"}, "1 6"},
		{"equal, limited", store.Query{Kind: advs, Attr: "Name", Value: "chat", Limit: 1}, "1"},
		{"case matters", store.Query{Kind: advs, Attr: "Name", Value: "Chat"}, "3"},
		{"field's case matters", store.Query{Kind: advs, Attr: "name", Value: "chat"}, ""},
		{"not indexed", store.Query{Kind: advs, Attr: "Type", Value: "*"}, ""},
		{"value without field", store.Query{Kind: advs, Value: "chat", Limit: 1}, "1"},
		{"prefix", store.Query{Kind: advs, Attr: "Name", Value: "chat*"}, "1 2 6"},
		{"prefix, limited", store.Query{Kind: advs, Attr: "Name", Value: "chat*", Limit: 2}, "1 2"},
		{"suffix", store.Query{Kind: advs, Attr: "Name", Value: "*c"}, "4 5"},
		{"contains", store.Query{Kind: advs, Attr: "Name", Value: "*hat*"}, "1 2 3 6"},
		{"star inside is a wildcard", store.Query{Kind: advs, Attr: "Name", Value: "a*c"}, "4 5"},
		{"no question mark", store.Query{Kind: advs, Attr: "Name", Value: "cha?"}, ""},
		{"last of repeated fields", store.Query{Kind: advs, Attr: "Name", Value: "last"}, "8"},
		{"not the first of them", store.Query{Kind: advs, Attr: "Name", Value: "first"}, ""},
		{"nothing", store.Query{Kind: advs, Attr: "Name", Value: "nobody"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := keys(sc.Find(c.q)); got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

func TestScopesAreApart(t *testing.T) {
	s, sc := memory(store.Config{})
	mustPut(t, sc, named("k", "n"))
	other := s.Scope(id.WorldGroup)
	if other.Count() != 0 || s.Scope(id.NetGroup) != sc {
		t.Fatalf("world has %d records; same scope again: %v", other.Count(), s.Scope(id.NetGroup) == sc)
	}
}

// TestSavingAgain puts a record over another, half an hour later, and looks at
// what is left. Both live an hour from 0:00 and from 0:30 if nothing else is said.
func TestSavingAgain(t *testing.T) {
	const minute = time.Minute
	for _, c := range []struct {
		name          string
		first, second func(*store.Record)
		life          time.Duration // from the second Put
		exp           time.Duration
		document      string
		origin        string
		unchanged     bool
		err           error
	}{
		{name: "longer", life: 60 * minute, exp: 60 * minute, document: "<n/>"},
		{name: "shorter does not shorten", second: func(r *store.Record) { r.Lifetime = r.Lifetime.Add(-50 * minute) },
			life: 30 * minute, exp: 10 * minute, document: "<n/>"},
		{name: "for ever stays", first: func(r *store.Record) { r.Lifetime = store.Forever() },
			life: math.MaxInt64, exp: 60 * minute, document: "<n/>", unchanged: true},
		{name: "for ever comes", second: func(r *store.Record) { r.Lifetime = store.Forever() },
			life: math.MaxInt64, exp: 60 * minute, document: "<n/>"},
		{name: "expiration is replaced", second: func(r *store.Record) { r.Expiration = minute },
			life: 60 * minute, exp: minute, document: "<n/>"},
		{name: "expiration is clipped to the lifetime given", second: func(r *store.Record) { r.Expiration = 90 * minute },
			life: 60 * minute, exp: 60 * minute, document: "<n/>"},
		{name: "new document, shorter", second: func(r *store.Record) {
			r.Document, r.Lifetime = []byte("new"), r.Lifetime.Add(-50*minute)
		}, life: 30 * minute, exp: 10 * minute, document: "new"},
		{name: "others do not alter ours", second: func(r *store.Record) { r.Document, r.Origin = []byte("new"), peer("a") },
			life: 30 * minute, exp: 60 * minute, document: "<n/>", unchanged: true, err: store.ErrOwn},
		{name: "others do not prolong ours", second: func(r *store.Record) { r.Origin = peer("a") },
			life: 30 * minute, exp: 60 * minute, document: "<n/>", unchanged: true},
		{name: "ours replaces theirs", first: func(r *store.Record) { r.Origin = peer("a") },
			life: 60 * minute, exp: 60 * minute, document: "<n/>"},
		{name: "another peer says the same", first: func(r *store.Record) { r.Origin = peer("a") },
			second: func(r *store.Record) { r.Origin = peer("b") },
			life:   60 * minute, exp: 60 * minute, document: "<n/>", origin: "a"},
		{name: "another peer says otherwise", first: func(r *store.Record) { r.Origin = peer("a") },
			second: func(r *store.Record) { r.Origin, r.Document = peer("b"), []byte("new") },
			life:   60 * minute, exp: 60 * minute, document: "new", origin: "b"},
		{name: "remote life is clipped", first: func(r *store.Record) { r.Origin = peer("a") },
			second: func(r *store.Record) { r.Origin, r.Lifetime = peer("a"), store.Forever() },
			life:   24 * 60 * minute, exp: 60 * minute, document: "<n/>", origin: "a"},
		{name: "lifetime over", second: func(r *store.Record) { r.Lifetime = time.Now() },
			life: 30 * minute, exp: 60 * minute, document: "<n/>", unchanged: true, err: store.ErrExpired},
		{name: "no lifetime", second: func(r *store.Record) { r.Lifetime = time.Time{} },
			life: 30 * minute, exp: 60 * minute, document: "<n/>", unchanged: true, err: store.ErrExpired},
		{name: "negative expiration", second: func(r *store.Record) { r.Expiration = -1 },
			life: 30 * minute, exp: 60 * minute, document: "<n/>", unchanged: true, err: store.ErrExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, sc := memory(store.Config{})
				first := named("k", "n")
				if c.first != nil {
					c.first(&first)
				}
				mustPut(t, sc, first)
				time.Sleep(30 * minute)
				second := named("k", "n")
				if c.second != nil {
					c.second(&second)
				}
				changed, err := sc.Put(second)
				if !errors.Is(err, c.err) || changed == c.unchanged {
					t.Fatalf("Put = %v, %v; want %v, %v", changed, err, !c.unchanged, c.err)
				}
				got, ok := sc.Get(advertisements.Advs, "k")
				want := store.Record{
					Kind: advertisements.Advs, Key: "k", Fields: first.Fields, Document: []byte(c.document),
					Origin: peer(c.origin), Lifetime: time.Now().Add(c.life), Expiration: c.exp,
				}
				if c.life == math.MaxInt64 {
					want.Lifetime = store.Forever()
				}
				if diff := cmp.Diff(want, got, compareRecords); !ok || diff != "" {
					t.Errorf("there: %v, (-want +got)\n%s", ok, diff)
				}
			})
		})
	}
}

var compareRecords = cmp.Options{
	cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }),
	cmp.Comparer(func(a, b id.Peer) bool { return a == b }),
}

func TestExpiredIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := memory(store.Config{})
		for i := range 5 {
			r := named(fmt.Sprint(i), "n")
			r.Lifetime = time.Now().Add(time.Duration(i+1) * time.Minute)
			mustPut(t, sc, r)
		}
		time.Sleep(2*time.Minute - time.Millisecond)
		if got := all(sc); got != "1 2 3 4" {
			t.Errorf("a moment before: %q", got)
		}
		time.Sleep(time.Millisecond)
		if _, ok := sc.Get(advertisements.Advs, "1"); ok {
			t.Error("got a record in the millisecond of its end")
		}
		if got := keys(sc.Find(store.Query{Kind: advertisements.Advs, Attr: "Name", Value: "n"})); got != "2 3 4" {
			t.Errorf("found %q", got)
		}
		if sc.Remove(advertisements.Advs, "1") {
			t.Error("removed what was gone")
		}
		mustPut(t, sc, named("1", "n")) // gone, so that nothing of the old is left
		if got := all(sc); got != "2 3 4 1" {
			t.Errorf("with the new one %q", got)
		}
		time.Sleep(3 * time.Minute)
		if n := s.Sweep(); n != 3 {
			t.Errorf("swept %d, want 3", n)
		}
		if st := s.Stats(); st.Records != 1 || st.Expired != 5 {
			t.Errorf("%d records, %d expired", st.Records, st.Expired)
		}
	})
}

// TestMuchExpiresAtOnce has more records end than one call sweeps.
func TestMuchExpiresAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sc := memory(store.Config{})
		const n = 3_000
		for i := range n {
			mustPut(t, sc, named(fmt.Sprint(i), "n"))
		}
		time.Sleep(time.Hour)
		mustPut(t, sc, from("a", named("1", "n")))
		if st := s.Stats(); st.Records < n/2 {
			t.Fatalf("%d records: all swept in one call", st.Records)
		}
		if got := keys(sc.Find(store.Query{Kind: advertisements.Advs, Attr: "Name", Value: "*"})); got != "1" {
			t.Errorf("found %q", got)
		}
		if got := sc.Count(); got != 1 {
			t.Errorf("%d records", got)
		}
		if st := s.Stats(); st.Expired != n || st.RefusedOwn != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestLimits(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct {
		name   string
		change func(*store.Record)
		want   error
	}{
		{"largest", func(r *store.Record) {
			r.Key, r.Document = long(store.MaxKey), []byte(long(store.MaxDocument))
			r.Fields = slices.Repeat([]advertisements.Field{{Name: long(store.MaxName), Value: long(store.MaxValue)}}, store.MaxFields)
		}, nil},
		{"kind", func(r *store.Record) { r.Kind = 3 }, store.ErrInvalid},
		{"no key", func(r *store.Record) { r.Key = "" }, store.ErrInvalid},
		{"key", func(r *store.Record) { r.Key = long(store.MaxKey + 1) }, store.ErrTooLarge},
		{"document", func(r *store.Record) { r.Document = []byte(long(store.MaxDocument + 1)) }, store.ErrTooLarge},
		{"fields", func(r *store.Record) { r.Fields = make([]advertisements.Field, store.MaxFields+1) }, store.ErrTooLarge},
		{"name", func(r *store.Record) { r.Fields[0].Name = long(store.MaxName + 1) }, store.ErrTooLarge},
		{"value", func(r *store.Record) { r.Fields[0].Value = long(store.MaxValue + 1) }, store.ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, sc := memory(store.Config{MaxDocument: store.MaxDocument * 2})
			r := named("k", "n")
			c.change(&r)
			changed, err := sc.Put(r)
			if !errors.Is(err, c.want) || changed != (c.want == nil) {
				t.Errorf("Put = %v, %v; want %v", changed, err, c.want)
			}
			if got := s.Stats().RefusedSize; (got == 1) != (c.want != nil) {
				t.Errorf("%d refusals counted", got)
			}
		})
	}
}

func TestEviction(t *testing.T) {
	_, probe := memory(store.Config{})
	mustPut(t, probe, from("a", named("0", "n")))

	type puts = []store.Record
	for _, c := range []struct {
		name           string
		cfg            store.Config
		puts           puts
		want           string
		origin, full   uint64
		refused        int
		wantOwnRefused uint64
	}{
		{name: "an origin pushes out its own oldest", cfg: store.Config{OriginRecords: 2},
			puts: puts{from("a", named("1", "n")), named("2", "n"), from("b", named("3", "n")), from("a", named("4", "n")), from("a", named("5", "n"))},
			want: "2 3 4 5", origin: 1},
		{name: "own records have no share", cfg: store.Config{OriginRecords: 1},
			puts: puts{named("1", "n"), named("2", "n"), named("3", "n")}, want: "1 2 3"},
		{name: "an origin's bytes", cfg: store.Config{OriginBytes: 1700},
			puts: puts{from("a", named("1", "n")), from("a", named("2", "n")), from("a", named("3", "n"))},
			want: "2 3", origin: 1},
		{name: "full: the origin's own go first", cfg: store.Config{MaxRecords: 3},
			puts: puts{from("a", named("1", "n")), from("b", named("2", "n")), named("3", "n"), from("b", named("4", "n"))},
			want: "1 3 4", full: 1},
		{name: "full: then the oldest of others", cfg: store.Config{MaxRecords: 3},
			puts: puts{from("a", named("1", "n")), from("b", named("2", "n")), named("3", "n"), from("c", named("4", "n"))},
			want: "2 3 4", full: 1},
		{name: "full: own pushes out the oldest of others", cfg: store.Config{MaxRecords: 2},
			puts: puts{named("1", "n"), from("a", named("2", "n")), named("3", "n")},
			want: "1 3", full: 1},
		{name: "full of own: nothing gets in", cfg: store.Config{MaxRecords: 2},
			puts: puts{named("1", "n"), named("2", "n"), from("a", named("3", "n")), named("4", "n")},
			want: "1 2", refused: 2},
		{name: "full of own: saving again works", cfg: store.Config{MaxRecords: 2},
			puts: puts{named("1", "n"), named("2", "n"), named("1", "m")},
			want: "2 1"},
		{name: "full bytes", cfg: store.Config{MaxBytes: 1700},
			puts: puts{from("a", named("1", "n")), from("b", named("2", "n")), named("3", "n")},
			want: "2 3", full: 1},
		{name: "larger than everything", cfg: store.Config{MaxBytes: 100},
			puts: puts{named("1", "n")}, want: "", refused: 1},
		{name: "an origin replaces within its share", cfg: store.Config{OriginRecords: 2, MaxRecords: 2},
			puts: puts{from("a", named("1", "n")), from("a", named("2", "n")), from("a", named("1", "m"))},
			want: "2 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, sc := memory(c.cfg)
			refused := 0
			for _, r := range c.puts {
				if _, err := sc.Put(r); errors.Is(err, store.ErrFull) {
					refused++
				} else if err != nil {
					t.Fatal(err)
				}
			}
			st := s.Stats()
			if got := all(sc); got != c.want || refused != c.refused {
				t.Errorf("left %q, refused %d; want %q, %d", got, refused, c.want, c.refused)
			}
			if st.EvictedOrigin != c.origin || st.EvictedFull != c.full || int(st.RefusedFull) != c.refused {
				t.Errorf("counted %+v", st)
			}
		})
	}
}

func TestStoreCopiesWhatItGets(t *testing.T) {
	_, sc := memory(store.Config{})
	r := named("k", "n")
	mustPut(t, sc, r)
	r.Document[0] = 'X'
	r.Fields[0].Value = "other"
	got, _ := sc.Get(advertisements.Advs, "k")
	if string(got.Document) != "<n/>" || got.Fields[0].Value != "n" {
		t.Errorf("record changed from outside: %q %v", got.Document, got.Fields)
	}
}

func TestFlush(t *testing.T) {
	_, sc := memory(store.Config{})
	fill := func() {
		for kind := range advertisements.Kind(3) {
			for i := range 2 {
				r := named(fmt.Sprint(i), "n")
				r.Kind = kind
				mustPut(t, sc, r)
			}
		}
	}
	fill()
	if n := sc.Flush(advertisements.Peers, advertisements.Advs); n != 4 || sc.Count() != 2 || sc.Count(advertisements.Groups) != 2 {
		t.Fatalf("flushed %d, left %d", n, sc.Count())
	}
	if n := sc.Flush(); n != 2 || sc.Count() != 0 {
		t.Fatalf("flushed %d, left %d", n, sc.Count())
	}
	fill()
	if n := sc.Count(advertisements.Peers, advertisements.Groups); n != 4 {
		t.Fatalf("filled again: %d", n)
	}
	if !sc.Remove(advertisements.Peers, "0") || sc.Remove(advertisements.Peers, "0") || sc.Remove(7, "0") {
		t.Error("Remove does not tell whether the record was there")
	}
}
