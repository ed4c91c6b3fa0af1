package content

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// Ten thousand files are shared, found, and after a restart found again without
// being hashed. Under the other policies there are as many with JUXTA_SLOW=1.
func TestTenThousandFiles(t *testing.T) {
	files := 10_000
	if testing.Short() || raced {
		files = 1_000
	}
	const parts = 5
	dir := t.TempDir()
	for i := range files {
		name := filepath.Join(dir, "music", fmt.Sprint("part ", i*parts/files), fmt.Sprintf("disc %02d", i/100), fmt.Sprintf("track%05d take%d.txt", i, i%7))
		if i%100 == 0 {
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(name, fmt.Append(nil, "number ", i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, policy := range []Policy{Rendezvous, Central, Flood} {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				y := newYard(t)
				hub := y.add("hub", Config{Index: Flood})
				cfg := Config{Index: policy, IndexPeer: hub.peer.ID()}
				y.serve(hub, cfg)
				eve := y.add("eve", cfg)
				ann := y.add("ann", cfg)
				folder, files := filepath.Join(dir, "music"), files
				if policy != Rendezvous && os.Getenv("JUXTA_SLOW") == "" {
					folder, files = filepath.Join(folder, "part 0"), files/parts
				}
				items, err := ann.s.Share(t.Context(), folder, Description{})
				if err != nil {
					t.Fatal(err)
				}
				want(t, "items", len(items), files+1)
				want(t, "hashed", ann.s.Stats().Hashed, uint64(files+1))
				look := func(when string) {
					t.Helper()
					for _, i := range []int{0, 1, files / 3, files - 1} {
						q := Query{Words: []string{fmt.Sprintf("track%05d", i)}}
						want(t, when, fmt.Sprint(y.find(eve, q)), fmt.Sprintf("[track%05d take%d.txt@ann]", i, i%7))
					}
					if n := len(y.find(eve, Query{Words: []string{"take3"}})); n < min(maxHits, files/7) {
						t.Errorf("%s: %d of many are found, want %d", when, n, min(maxHits, files/7))
					}
				}
				time.Sleep(time.Minute)
				look("shared")
				y.serve(ann, cfg)
				want(t, "shared after a restart", ann.s.Stats().Shared, files+1)
				time.Sleep(5 * time.Minute)
				look("after a restart")
				want(t, "hashed after a restart", ann.s.Stats().Hashed, 0)
				if policy == Central {
					want(t, "indexed", hub.s.Stats().Indexed, files+1)
				}
			})
		})
	}
}

// What has changed while the service did not run is hashed again, what is gone is
// not shared any more, and a damaged line costs one file.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		ann, eve := y.add("ann", Config{}), y.add("eve", Config{})
		for _, name := range []string{"same", "changed", "gone"} {
			ann.share(y, name, []byte(name), Description{Words: []string{"w"}})
		}
		files := filepath.Join(y.dir, "files of ann")
		ann.stop()
		ann.s.Wait()
		ann.stop = nil
		later := time.Now().Add(time.Hour)
		if err := errors.Join(os.WriteFile(files+"/changed", []byte("otherwise"), 0o600), os.Chtimes(files+"/changed", later, later), os.Remove(files+"/gone")); err != nil {
			t.Fatal(err)
		}
		state := filepath.Join(y.dir, "ann", stateFile)
		b, err := os.ReadFile(state)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(state, append([]byte("{\"root\": damaged\n"), b...), 0o600); err != nil {
			t.Fatal(err)
		}
		y.serve(ann, Config{})
		time.Sleep(time.Second)
		want(t, "hashed", ann.s.Stats().Hashed, 1)
		var names []string
		for _, it := range ann.s.Shared() {
			names = append(names, fmt.Sprint(it.Name, it.Size, it.Words))
		}
		want(t, "shared", len(names), 2)
		time.Sleep(copyLife)
		want(t, "found", len(y.find(eve, Query{Words: []string{"w"}})), 2)
		// A file that changes while it is shared is given no more.
		if err := os.WriteFile(files+"/same", []byte("no more"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, it := range ann.s.Shared() {
			_, err := eve.s.Fetch(t.Context(), it.ID, FetchConfig{Folder: y.dir + "/got", Patience: 10 * time.Second})
			if it.Name == "same" != errors.Is(err, ErrNoHolder) {
				t.Errorf("%s: %v", it.Name, err)
			}
		}
		want(t, "lies", eve.s.Stats().Lies, 0)
		want(t, "shared at the end", ann.s.Stats().Shared, 1)
	})
}

// The list of what is shared is the old or the new one at any moment.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"one", "two"} {
		if err := writeFile(dir, "f", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(dir + "/f")
	want(t, "text", string(b), "two")
	if err != nil {
		t.Error(err)
	}
	if err := writeFile(dir, "no/f", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
	if err := writeFile(dir, "../f", nil); err == nil {
		t.Error("outside of the folder")
	}
}

func TestShareErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		ann := y.add("ann", Config{})
		if _, err := ann.s.Share(t.Context(), y.dir+"/nothing", Description{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("what is not there: %v", err)
		}
		path := ann.write(y, "x", []byte("x"))
		for _, d := range []Description{{Name: "a/b"}, {Name: "con"}, {MIME: "a\nb"}, {Replicas: -1}, {Fields: map[string]string{"": "x"}}} {
			if _, err := ann.s.Share(t.Context(), path, d); err == nil {
				t.Errorf("%+v passes", d)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := ann.s.Share(ctx, ann.write(y, "large", octets(1, 5*ChunkSize)), Description{}); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if err := ann.s.Unshare(t.Context(), ID{1}); !errors.Is(err, ErrNotFound) {
			t.Errorf("unshare: %v", err)
		}
		if err := os.Mkdir(filepath.Join(y.dir, "files of ann", "empty"), 0o755); err != nil {
			t.Fatal(err)
		}
		items, err := ann.s.Share(t.Context(), filepath.Join(y.dir, "files of ann", "empty"), Description{})
		if err != nil || len(items) != 1 || items[0].Size != 0 {
			t.Errorf("an empty folder: %v, %v", items, err)
		}
		if err := New(Config{Dir: y.dir + "/twice"}).Start(t.Context(), ann.peer.Net()); err == nil {
			t.Error("two services run in one group of one peer")
		}
		if err := ann.s.Start(t.Context(), ann.peer.Net()); !errors.Is(err, ErrStopped) {
			t.Errorf("a second start: %v", err)
		}
	})
}
