package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/id"
)

func mustAdd(t testing.TB, x *store.Index, primary, secondary, value, holder string, life time.Duration) {
	t.Helper()
	if err := x.Add(primary, secondary, value, peer(holder), time.Now().Add(life)); err != nil {
		t.Fatal(err)
	}
}

// letters names the peers that the tests call by letters.
func letters(peers []id.Peer) string {
	var b strings.Builder
	for _, p := range peers {
		name := "?"
		for _, l := range "abcdefgh" {
			if p == peer(string(l)) {
				name = string(l)
			}
		}
		b.WriteString(name)
	}
	return b.String()
}

func TestIndexFind(t *testing.T) {
	x := store.NewIndex(store.IndexConfig{})
	mustAdd(t, x, "Adv", "Name", "chat", "b", time.Hour)
	mustAdd(t, x, "Adv", "Name", "chat", "a", time.Hour)
	mustAdd(t, x, "Adv", "Name", "chatter", "a", time.Hour)
	mustAdd(t, x, "Adv", "Name", "a*c", "c", time.Hour)
	mustAdd(t, x, "Adv", "Id", "urn:1", "d", time.Hour)
	mustAdd(t, x, "Peers", "Name", "chat", "e", time.Hour)
	mustAdd(t, x, "Adv", "Name", "chat", "b", time.Hour) // again: keeps its place
	for _, c := range []struct {
		name, primary, secondary, value string
		limit                           int
		want                            string
	}{
		{"equal", "Adv", "Name", "chat", 0, "ba"},
		{"equal, limited", "Adv", "Name", "chat", 1, "b"},
		{"each once", "Adv", "Name", "chat*", 0, "ba"},
		{"pattern, limited", "Adv", "Name", "*a*", 2, "ba"},
		{"all of the field", "Adv", "Name", "*", 0, "bac"},
		{"no value", "Adv", "Name", "", 0, "bac"},
		{"no field", "Adv", "", "", 0, "bacd"},
		{"no field, limited", "Adv", "", "", 3, "bac"},
		{"star in a value", "Adv", "Name", "a*c", 0, "c"},
		{"other primary key", "Peers", "Name", "chat", 0, "e"},
		{"unknown primary key", "Groups", "Name", "chat", 0, ""},
		{"unknown field", "Adv", "name", "*", 0, ""},
		{"unknown value", "Adv", "Name", "Chat", 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := letters(x.Find(c.primary, c.secondary, c.value, c.limit)); got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
	if n := x.RemoveHolder(peer("a")); n != 2 || x.Count() != 4 || x.Held(peer("a")) != 0 {
		t.Errorf("removed %d, left %d", n, x.Count())
	}
	if got := letters(x.Find("Adv", "Name", "chat*", 0)); got != "b" {
		t.Errorf("afterwards %q", got)
	}
	// An end that has passed withdraws, and only what is the holder's.
	mustAdd(t, x, "Adv", "Name", "chat", "c", 0)
	mustAdd(t, x, "Adv", "Name", "chat", "b", 0)
	if got := letters(x.Find("Adv", "Name", "*", 0)); got != "c" {
		t.Errorf("after withdrawal %q", got)
	}
}

func TestIndexTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := store.NewIndex(store.IndexConfig{})
		mustAdd(t, x, "Adv", "Name", "n", "a", time.Hour)
		mustAdd(t, x, "Adv", "Name", "n", "b", 30*time.Hour)
		if err := x.Add("JxtaUnicast", "Id", "n", peer("c"), store.Forever()); err != nil {
			t.Fatal(err)
		}
		step := func(d time.Duration, adv, pipe string) {
			t.Helper()
			time.Sleep(d)
			if got, gotPipe := letters(x.Find("Adv", "Name", "n", 0)), letters(x.Find("JxtaUnicast", "Id", "*", 0)); got != adv || gotPipe != pipe {
				t.Errorf("found %q and %q, want %q and %q", got, gotPipe, adv, pipe)
			}
		}
		step(time.Hour-time.Millisecond, "ab", "c")
		step(time.Millisecond, "b", "c")
		step(23*time.Hour-time.Millisecond, "b", "c")
		if n := x.Renew(peer("b")) + x.Renew(peer("c")) + x.Renew(peer("a")); n != 2 {
			t.Errorf("renewed %d", n)
		}
		step(time.Millisecond, "b", "c")
		step(6*time.Hour, "", "c") // what was told for 30 hours does not live longer
		step(18*time.Hour, "", "")
		if n := x.Sweep(); n != 2 {
			t.Errorf("swept %d", n)
		}
		if st := x.Stats(); st.Entries != 0 || st.Holders != 0 || st.Expired != 3 || st.Clipped != 2 {
			t.Errorf("%+v", st)
		}
	})
}

func TestIndexLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := store.NewIndex(store.IndexConfig{HolderEntries: 2, Entries: 3})
		add := func(value, holder string) error {
			return x.Add("Adv", "Name", value, peer(holder), time.Now().Add(time.Hour))
		}
		for _, c := range []struct {
			value, holder string
			want          error
		}{
			{"1", "a", nil},
			{"2", "a", nil},
			{"3", "a", store.ErrFull},
			{"2", "a", nil}, // again
			{"3", "b", nil},
			{"4", "b", store.ErrFull},
		} {
			if err := add(c.value, c.holder); !errors.Is(err, c.want) {
				t.Errorf("%s of %s: %v, want %v", c.value, c.holder, err, c.want)
			}
		}
		for _, c := range []struct {
			primary, secondary, value, holder string
			want                              error
		}{
			{"", "Name", "v", "a", store.ErrInvalid},
			{"Adv", "", "v", "a", store.ErrInvalid},
			{"Adv", "Name", "", "a", store.ErrInvalid},
			{"Adv", "Name", "v", "", store.ErrInvalid},
			{strings.Repeat("x", store.MaxIndexKey+1), "Name", "v", "a", store.ErrTooLarge},
			{"Adv", strings.Repeat("x", store.MaxIndexKey+1), "v", "a", store.ErrTooLarge},
			{"Adv", "Name", strings.Repeat("x", store.MaxIndexValue+1), "a", store.ErrTooLarge},
		} {
			if err := x.Add(c.primary, c.secondary, c.value, peer(c.holder), store.Forever()); !errors.Is(err, c.want) {
				t.Errorf("%.5s %.5s %.5s: %v, want %v", c.primary, c.secondary, c.value, err, c.want)
			}
		}
		if st := x.Stats(); st.Added != 3 || st.RefusedHolder != 1 || st.RefusedFull != 1 || st.RefusedSize != 7 {
			t.Errorf("%+v", st)
		}
		time.Sleep(time.Hour)
		if err := add("4", "b"); err != nil {
			t.Errorf("what has expired still takes room: %v", err)
		}
	})
}

// The second half of an index goes in small shares, and its values are bounded
// in octets too.
func TestIndexShares(t *testing.T) {
	x := store.NewIndex(store.IndexConfig{HolderEntries: 60, ShareEntries: 5, Entries: 100, Text: 1000})
	fill := func(holder, value string, n int) (taken int) {
		for i := range n {
			if x.Add("Adv", "Name", fmt.Sprintf("%s %03d", value, i), peer(holder), store.Forever()) == nil {
				taken++
			}
		}
		return taken
	}
	if n := fill("greedy", "g", 80); n != 50 {
		t.Errorf("one holder has %d entries when half of the index is taken", n)
	}
	for i := range 10 {
		if n := fill(fmt.Sprint("modest ", i), "m", 5); n != 5 {
			t.Errorf("a holder got %d entries of its share", n)
		}
	}
	if n := fill("late", "l", 1); n != 0 {
		t.Error("a full index takes more")
	}
	if st := x.Stats(); st.RefusedShare != 30 || st.RefusedFull != 1 || st.RefusedHolder != 0 {
		t.Errorf("%+v", st)
	}
	if n := fill("greedy", "g", 10); n != 10 {
		t.Errorf("%d of 10 entries could be said again", n)
	}
	if n := x.Clear(); n != 100 || x.Count() != 0 {
		t.Errorf("%d cleared, %d left", n, x.Count())
	}
	long := strings.Repeat("x", 195)
	if n := fill("greedy", long, 10); n != 5 {
		t.Errorf("%d values of 199 octets", n)
	}
	if st := x.Stats(); st.RefusedFull != 6 {
		t.Errorf("%+v", st)
	}
}

// What a holder has can be listed, in order, and sifted.
func TestIndexLists(t *testing.T) {
	x := store.NewIndex(store.IndexConfig{Lifetime: time.Minute})
	if x.Holders() != nil && len(x.Holders()) > 0 || len(x.All(peer("a"))) > 0 || x.Keep(peer("a"), nil) != 0 {
		t.Error("an empty index holds something")
	}
	end := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	want := []store.IndexEntry{{"Adv", "Name", "z", end}, {"Peers", "PID", "y", end}, {"Adv", "Name", "x", end}}
	for _, e := range want {
		for _, h := range []string{"b", "a"} {
			if err := x.Add(e.Primary, e.Secondary, e.Value, peer(h), e.End); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := x.All(peer("a"))
	if !slices.EqualFunc(got, want, func(a, b store.IndexEntry) bool {
		return a.Primary == b.Primary && a.Secondary == b.Secondary && a.Value == b.Value && a.End.Equal(b.End)
	}) {
		t.Errorf("%v, want %v", got, want)
	}
	if h := x.Holders(); len(h) != 2 || h[0].String() >= h[1].String() {
		t.Errorf("holders %v", h)
	}
	n := x.Keep(peer("a"), func(primary, secondary, value string) bool {
		return primary == "Peers" && secondary == "PID" && value == "y"
	})
	if n != 2 || x.Held(peer("a")) != 1 || x.Held(peer("b")) != 3 {
		t.Errorf("%d removed; %d and %d left", n, x.Held(peer("a")), x.Held(peer("b")))
	}
}

// indexStep is one step of the index model.
type indexStep struct {
	what                      string
	primary, secondary, value string
	holder                    string
	life                      time.Duration
}

// TestIndexModel compares the index with a map.
func TestIndexModel(t *testing.T) {
	step := rapid.Custom(func(t *rapid.T) indexStep {
		return indexStep{
			what:      rapid.SampledFrom([]string{"add", "add", "add", "add", "remove", "renew", "sleep", "find"}).Draw(t, "what"),
			primary:   rapid.SampledFrom([]string{"Adv", "Peers"}).Draw(t, "primary"),
			secondary: rapid.SampledFrom([]string{"Name", "Id"}).Draw(t, "secondary"),
			value:     rapid.SampledFrom([]string{"a", "ab", "b", "a*"}).Draw(t, "value"),
			holder:    rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "holder"),
			life:      time.Duration(rapid.IntRange(0, 40).Draw(t, "hours")) * time.Hour,
		}
	})
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(step, 1, 60).Draw(rt, "steps")
		var err error
		synctest.Test(t, func(*testing.T) { err = runIndexModel(steps) })
		if err != nil {
			rt.Fatal(err)
		}
	})
}

type indexKey struct{ primary, secondary, value, holder string }

func runIndexModel(steps []indexStep) error {
	x := store.NewIndex(store.IndexConfig{HolderEntries: 5, Entries: 12})
	type ends struct{ claimed, end time.Time }
	model := make(map[indexKey]ends)
	for i, st := range steps {
		now := time.Now()
		for k, e := range model {
			if !e.end.After(now) {
				delete(model, k)
			}
		}
		day := now.Add(24 * time.Hour)
		earlier := func(a, b time.Time) time.Time {
			if a.Before(b) {
				return a
			}
			return b
		}
		switch st.what {
		case "add":
			k := indexKey{st.primary, st.secondary, st.value, st.holder}
			end, mine := now.Add(st.life), 0
			for o := range model {
				if o.holder == st.holder {
					mine++
				}
			}
			_, there := model[k]
			var want error
			switch {
			case st.life == 0:
				delete(model, k)
			case !there && (mine >= 5 || len(model) >= 12):
				want = store.ErrFull
			default:
				model[k] = ends{end, earlier(end, day)}
			}
			if err := x.Add(k.primary, k.secondary, k.value, peer(k.holder), end); !errors.Is(err, want) {
				return fmt.Errorf("step %d: Add = %w, want %w", i, err, want)
			}
		case "remove":
			n := 0
			for k := range model {
				if k.holder == st.holder {
					delete(model, k)
					n++
				}
			}
			if got := x.RemoveHolder(peer(st.holder)); got < n { // those not swept may be among them
				return fmt.Errorf("step %d: removed %d, want %d", i, got, n)
			}
		case "renew":
			for k, e := range model {
				if k.holder == st.holder {
					model[k] = ends{e.claimed, earlier(e.claimed, day)}
				}
			}
			x.Renew(peer(st.holder))
		case "sleep":
			time.Sleep(st.life)
		case "find":
			want := make(map[id.Peer]bool)
			for k := range model {
				if k.primary == st.primary && k.secondary == st.secondary && advertisements.Match(st.value, k.value) {
					want[peer(k.holder)] = true
				}
			}
			got := x.Find(st.primary, st.secondary, st.value, 0)
			for _, p := range got {
				if !want[p] {
					return fmt.Errorf("step %d: found %s twice or wrongly", i, p.Short())
				}
				delete(want, p)
			}
			if len(want) != 0 {
				return fmt.Errorf("step %d: %d not found", i, len(want))
			}
			if got := x.Count(); got != len(model) {
				return fmt.Errorf("step %d: %d entries, want %d", i, got, len(model))
			}
		}
	}
	for k := range model {
		x.RemoveHolder(peer(k.holder))
	}
	x.Sweep()
	if st := x.Stats(); st.Entries != 0 || st.Holders != 0 {
		return fmt.Errorf("left over: %+v", st)
	}
	return nil
}
