package store_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
)

// told writes changes as "Name=value" with the minutes left, or "gone".
func told(changes []store.Change) string {
	var s []string
	for _, c := range changes {
		left := "gone"
		if !c.Lifetime.IsZero() {
			left = fmt.Sprint(store.Remaining(time.Now(), c.Lifetime) / 60_000)
		}
		s = append(s, fmt.Sprintf("%s/%s=%s:%s", c.Kind, c.Name, c.Value, left))
	}
	return strings.Join(s, " ")
}

func TestChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, sc := memory(store.Config{})
		mustPut(t, sc, named("1", "a"))
		if _, _, ok := sc.Changes(0); ok {
			t.Fatal("changes without a start")
		}
		entries, at := sc.Entries()
		if got := told(entries); got != "Adv/Name=a:60" {
			t.Fatalf("entries %q", got)
		}
		step := func(what, want string) {
			t.Helper()
			changes, next, ok := sc.Changes(at)
			if got := told(changes); !ok || got != want {
				t.Fatalf("%s: %v %q, want %q", what, ok, got, want)
			}
			at = next
		}
		step("nothing happened", "")

		mustPut(t, sc, named("2", "b"))
		step("saved", "Adv/Name=b:60")

		longer := named("3", "a")
		longer.Lifetime = longer.Lifetime.Add(time.Hour)
		mustPut(t, sc, longer)
		step("the longest life counts", "Adv/Name=a:120")

		sc.Remove(advertisements.Advs, "3")
		step("another record has the value still", "Adv/Name=a:60")
		sc.Remove(advertisements.Advs, "1")
		step("withdrawn", "Adv/Name=a:gone")

		mustPut(t, sc, named("2", "c"))
		step("value changed", "Adv/Name=b:gone Adv/Name=c:60")

		if changed, err := sc.Put(named("2", "c")); changed || err != nil {
			t.Fatal(changed, err)
		}
		step("saved again at the same moment", "")
		time.Sleep(time.Minute)
		mustPut(t, sc, named("2", "c"))
		step("prolonged", "Adv/Name=c:60")

		local := named("4", "local")
		local.Expiration = 0
		mustPut(t, sc, local)
		quiet := from("p", named("5", "quiet"))
		quiet.Quiet = true
		mustPut(t, sc, quiet)
		step("local and quiet records are not told", "")
		local.Expiration = time.Hour
		mustPut(t, sc, local)
		quiet.Quiet = false
		mustPut(t, sc, quiet)
		step("until they are neither", "Adv/Name=local:60 Adv/Name=quiet:60")
		quiet.Quiet = true
		if changed, _ := sc.Put(quiet); changed {
			t.Error("an unasked repetition hushed a record")
		}
		local.Expiration = 0
		mustPut(t, sc, local)
		step("made local", "Adv/Name=local:gone")

		mustPut(t, sc, named("6", "d"))
		mustPut(t, sc, named("7", "e"))
		mustPut(t, sc, named("6", "dd"))
		step("each once, by the first change", "Adv/Name=d:gone Adv/Name=e:60 Adv/Name=dd:60")

		entries, _ = sc.Entries()
		if got, want := told(entries), "Adv/Name=c:60 Adv/Name=quiet:60 Adv/Name=e:60 Adv/Name=dd:60"; got != want {
			t.Errorf("entries %q, want %q", got, want)
		}
		if n := sc.Flush(); n != 5 {
			t.Errorf("flushed %d", n)
		}
		step("flushed", "Adv/Name=c:gone Adv/Name=quiet:gone Adv/Name=e:gone Adv/Name=dd:gone")
		if _, _, ok := sc.Changes(at + 1); ok {
			t.Error("changes of the future")
		}
	})
}

// TestChangesForget falls behind far enough that everything must be pushed.
func TestChangesForget(t *testing.T) {
	for _, c := range []struct {
		name   string
		value  string
		n      int
		behind bool
	}{
		{"few", "v", 16_000, false},
		{"many", "v", 33_000, true},
		{"few but long", strings.Repeat("v", 8<<10), 1_100, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, sc := memory(store.Config{})
			_, at := sc.Entries()
			for i := range c.n {
				mustPut(t, sc, named("k", fmt.Sprint(c.value, i)))
			}
			changes, next, ok := sc.Changes(at)
			if ok == c.behind {
				t.Fatalf("%d changes, ok %v", len(changes), ok)
			}
			if !ok {
				_, next = sc.Entries()
			}
			mustPut(t, sc, named("k", "end"))
			if changes, _, ok := sc.Changes(next); !ok || len(changes) != 2 {
				t.Errorf("afterwards %d changes, ok %v; want the old name and the new", len(changes), ok)
			}
		})
	}
}
