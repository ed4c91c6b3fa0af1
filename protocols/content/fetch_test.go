package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/protocols/socket"
)

// Six holders with an upload limit together give nearly what they have, and none
// of them a large part.
func TestManyHoldersShareTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each, holders = 10_000_000, 6
		y := newYard(t)
		song := octets(2, 30_000_000)
		var it Item
		var all []*member
		for i := range holders {
			m := y.add(fmt.Sprint("h", i), Config{Upload: each})
			it = m.share(y, "song", song, Description{})
			all = append(all, m)
		}
		eve := y.add("eve", Config{})
		time.Sleep(5 * time.Second)
		began := time.Now()
		f, err := eve.s.Fetch(t.Context(), it.ID, FetchConfig{Folder: y.dir + "/got"})
		took := time.Since(began)
		if err != nil {
			t.Fatal(err)
		}
		y.same(f.Path, song)
		if rate := float64(len(song)) / took.Seconds(); rate < 50e6 {
			t.Errorf("%d octets took %v: %.1f MB/s, want 50", len(song), took, rate/1e6)
		}
		for _, m := range all {
			if n := m.s.Stats().ServedOctets; n > uint64(len(song))/4 {
				t.Errorf("%s has given %d of %d octets, more than a quarter", m.name, n, len(song))
			}
		}
		t.Logf("%v, %+v", took, eve.s.Stats())
	})
}

// tamper changes a shared file of a member so that its size and time stay.
func (m *member) tamper(y *yard, name string, at int64) {
	y.t.Helper()
	path := filepath.Join(y.dir, "files of "+m.name, name)
	info, err := os.Stat(path)
	if err != nil {
		y.t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		y.t.Fatal(err)
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	b[0]++
	_, err2 := f.WriteAt(b, at)
	if err := errors.Join(err, err2, f.Close(), os.Chtimes(path, info.ModTime(), info.ModTime())); err != nil {
		y.t.Fatal(err)
	}
}

// One holder dies, one lies, one is slow, and the fetcher itself is started again
// half way: what comes is what was shared.
func TestFetchSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 30_000_000
		y := newYard(t)
		song := octets(3, size)
		var it Item
		var all []*member
		for i := range 4 {
			m := y.add(fmt.Sprint("h", i), Config{Upload: 2_000_000})
			it = m.share(y, "song", song, Description{})
			all = append(all, m)
		}
		for at := int64(0); at < size; at += ChunkSize {
			all[1].tamper(y, "song", at)
		}
		y.serve(all[2], Config{Upload: 50_000})
		dir := filepath.Join(y.dir, "eve")
		eve := y.add("eve", Config{Dir: dir})
		time.Sleep(5 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		cfg := FetchConfig{Folder: y.dir + "/got"}
		_, err := eve.s.Fetch(ctx, it.ID, cfg)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("the first fetch: %v", err)
		}
		first := eve.s.Stats()
		if first.Fetched < 20 || first.Lies != 1 {
			t.Fatalf("before the end: %+v", first)
		}
		y.kill(all[0])
		y.serve(eve, Config{Dir: dir})
		f, err := eve.s.Fetch(t.Context(), it.ID, cfg)
		if err != nil {
			t.Fatal(err)
		}
		y.same(f.Path, song)
		second := eve.s.Stats()
		if n := first.Fetched + second.Fetched; n > chunksTotal(size)+8 {
			t.Errorf("%d chunks were fetched, of %d", n, chunksTotal(size))
		}
		if second.Lies != 1 {
			t.Errorf("%d lies were counted, want 1", second.Lies)
		}
		left, err := filepath.Glob(y.dir + "/got/.juxta-*")
		if err != nil || len(left) > 0 {
			t.Errorf("%v is left, %v", left, err)
		}
	})
}

func chunksTotal(size int64) uint64 { return uint64(chunksOf(size)) }

// A holder that dies in the midst of it costs little time.
func TestHolderDiesMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		song := octets(4, 10_000_000)
		a, b := y.add("a", Config{Upload: 1_000_000}), y.add("b", Config{Upload: 1_000_000})
		it := a.share(y, "song", song, Description{})
		b.share(y, "song", song, Description{})
		eve := y.add("eve", Config{})
		time.Sleep(time.Second)
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(3 * time.Second)
			y.kill(a)
		})
		began := time.Now()
		f, err := eve.s.Fetch(t.Context(), it.ID, FetchConfig{Folder: y.dir + "/got"})
		wg.Wait()
		if err != nil {
			t.Fatal(err)
		}
		y.same(f.Path, song)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestNobodyHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		y.add("ann", Config{})
		eve := y.add("eve", Config{})
		began := time.Now()
		for _, cfg := range []FetchConfig{{}, {Folder: y.dir, Name: "x"}, {Folder: y.dir, Patience: 5 * time.Second}} {
			_, err := eve.s.Fetch(t.Context(), ID{1}, cfg)
			if !errors.Is(err, ErrNoHolder) {
				t.Errorf("%+v: %v", cfg, err)
			}
		}
		if took := time.Since(began); took > 2*patience+10*time.Second {
			t.Errorf("it took %v", took)
		}
		if _, err := eve.s.Open(t.Context(), ID{1}); !errors.Is(err, ErrNoHolder) {
			t.Errorf("open: %v", err)
		}
	})
}

// A reader gets the chunks that are read, once, and no others.
func TestRangedReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		song := octets(5, 20*ChunkSize+100)
		ann, bob := y.add("ann", Config{}), y.add("bob", Config{})
		it := ann.share(y, "song", song, Description{})
		bob.share(y, "song", song, Description{})
		eve := y.add("eve", Config{})
		time.Sleep(time.Second)
		r, err := eve.s.Open(t.Context(), it.ID)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		want(t, "size", r.Size(), int64(len(song)))
		for _, c := range []struct {
			off    int64
			n      int
			chunks uint64 // fetched after it
		}{
			{0, 10, 1}, {5, 20, 1}, {ChunkSize - 5, 10, 2}, {10 * ChunkSize, 3 * ChunkSize, 5}, {10*ChunkSize + 1, 2 * ChunkSize, 5},
			{20 * ChunkSize, 100, 6},
		} {
			p := make([]byte, c.n)
			n, err := r.ReadAt(p, c.off)
			if err != nil || n != c.n || string(p) != string(song[c.off:c.off+int64(c.n)]) {
				t.Fatalf("at %d: %d octets, %v", c.off, n, err)
			}
			synctest.Wait()
			want(t, fmt.Sprintf("chunks after reading %d at %d", c.n, c.off), eve.s.Stats().Fetched, c.chunks)
		}
		if n, err := r.ReadAt(make([]byte, 200), 20*ChunkSize); n != 100 || err != io.EOF {
			t.Errorf("past the end: %d, %v", n, err)
		}
		if _, err := r.ReadAt(make([]byte, 1), int64(len(song))); err != io.EOF {
			t.Errorf("behind the end: %v", err)
		}
		if _, err := r.ReadAt(make([]byte, 1), -1); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("before the beginning: %v", err)
		}
		time.Sleep(10 * time.Minute) // the connections are closed meanwhile
		p := make([]byte, 10)
		if _, err := r.ReadAt(p, 15*ChunkSize); err != nil || string(p) != string(song[15*ChunkSize:15*ChunkSize+10]) {
			t.Errorf("after a while: %v", err)
		}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				p := make([]byte, 2*ChunkSize)
				off := int64(i*2) * ChunkSize
				if _, err := r.ReadAt(p, off); err != nil || string(p) != string(song[off:off+int64(len(p))]) {
					t.Errorf("at once at %d: %v", off, err)
				}
			})
		}
		wg.Wait()
		want(t, "lies", eve.s.Stats().Lies, 0)
		_ = r.Close()
		if _, err := r.ReadAt(p, 0); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// A checker sees the file under a temporary name, and nothing is left of what it
// does not let pass.
func TestChecker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		ann := y.add("ann", Config{})
		good := ann.share(y, "good.txt", []byte("good"), Description{})
		evil := ann.share(y, "evil.txt", []byte("evil"), Description{})
		reason := errors.New("it is evil")
		var seen atomic.Int64
		eve := y.add("eve", Config{Check: func(_ context.Context, f File) error {
			seen.Add(1)
			b, err := os.ReadFile(f.Path)
			if err != nil {
				return err
			}
			if _, err := os.Lstat(filepath.Join(y.dir, "got", f.Item.Name)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the file is in its place already: %v", err)
			}
			if string(b) == "evil" {
				return reason
			}
			return nil
		}})
		cfg := FetchConfig{Folder: y.dir + "/got"}
		f, err := eve.s.Fetch(t.Context(), good.ID, cfg)
		if err != nil {
			t.Fatal(err)
		}
		y.same(f.Path, []byte("good"))
		_, err = eve.s.Fetch(t.Context(), evil.ID, cfg)
		if !errors.Is(err, ErrChecked) || !errors.Is(err, reason) {
			t.Errorf("what does not pass: %v", err)
		}
		if _, err = eve.s.Fetch(t.Context(), evil.ID, FetchConfig{}); !errors.Is(err, ErrChecked) {
			t.Errorf("what does not pass: %v", err)
		}
		left, err := os.ReadDir(y.dir + "/got")
		if err != nil || len(left) != 1 {
			t.Errorf("%v is there, %v", left, err)
		}
		want(t, "checks", seen.Load(), 3)
		want(t, "refused", eve.s.Stats().RefusedChecks, 2)
		want(t, "octets kept", eve.s.Stats().Used, 0)
	})
}

// What was withdrawn is neither found, given nor fetched, and what is kept of it
// is removed.
func TestWithdrawal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		var list sync.Map
		cfg := Config{Refused: func(c ID) bool { _, ok := list.Load(c); return ok }}
		ann, eve, bob := y.add("ann", cfg), y.add("eve", cfg), y.add("bob", Config{})
		it := ann.share(y, "x", []byte("abc"), Description{})
		time.Sleep(time.Second)
		f, err := eve.s.Fetch(t.Context(), it.ID, FetchConfig{})
		if err != nil {
			t.Fatal(err)
		}
		want(t, "found", len(y.find(bob, Query{Name: "x"})), 2)
		list.Store(it.ID, true)
		if _, err := bob.s.Fetch(t.Context(), it.ID, FetchConfig{Patience: 10 * time.Second}); !errors.Is(err, ErrNoHolder) {
			t.Errorf("given what was withdrawn: %v", err)
		}
		if _, err := ann.s.Share(t.Context(), ann.write(y, "y", []byte("abc")), Description{}); !errors.Is(err, ErrRefused) {
			t.Errorf("shared what was withdrawn: %v", err)
		}
		if _, err := eve.s.Fetch(t.Context(), it.ID, FetchConfig{}); !errors.Is(err, ErrRefused) {
			t.Errorf("fetched what was withdrawn: %v", err)
		}
		if _, err := eve.s.Open(t.Context(), it.ID); !errors.Is(err, ErrRefused) {
			t.Errorf("read what was withdrawn: %v", err)
		}
		time.Sleep(sweepEvery + time.Second)
		if _, err := os.Lstat(f.Path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("what is kept: %v", err)
		}
		want(t, "shared by eve", len(eve.s.Shared()), 0)
		want(t, "shared by ann", len(ann.s.Shared()), 0)
		if _, err := os.Lstat(filepath.Join(y.dir, "files of ann", "x")); err != nil {
			t.Errorf("the file of ann: %v", err)
		}
		if n := bob.s.Stats(); n.Refused != 0 {
			t.Errorf("bob refuses: %+v", n)
		}
	})
}

func TestQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		ann := y.add("ann", Config{})
		one := ann.share(y, "one", octets(1, 600_000), Description{})
		two := ann.share(y, "two", octets(2, 600_000), Description{})
		eve := y.add("eve", Config{Quota: 1_000_000})
		if _, err := eve.s.Fetch(t.Context(), one.ID, FetchConfig{}); err != nil {
			t.Fatal(err)
		}
		if _, err := eve.s.Fetch(t.Context(), two.ID, FetchConfig{}); !errors.Is(err, ErrQuota) {
			t.Errorf("over the quota: %v", err)
		}
		if _, err := eve.s.Fetch(t.Context(), two.ID, FetchConfig{Folder: y.dir + "/got"}); err != nil {
			t.Errorf("beside the quota: %v", err)
		}
		want(t, "used", eve.s.Stats().Used, 600_000)
		y.serve(eve, Config{Quota: 1_000_000})
		want(t, "used after a restart", eve.s.Stats().Used, 600_000)
		if err := eve.s.Unshare(t.Context(), one.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := eve.s.Fetch(t.Context(), two.ID, FetchConfig{}); err != nil {
			t.Errorf("with room again: %v", err)
		}
		want(t, "used", eve.s.Stats().Used, 600_000)
		none := y.add("none", Config{Quota: -1})
		if _, err := none.s.Fetch(t.Context(), two.ID, FetchConfig{}); !errors.Is(err, ErrQuota) {
			t.Errorf("without room: %v", err)
		}
	})
}

// Another file in the place is not overwritten, the same one is not fetched.
func TestWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		ann, eve := y.add("ann", Config{}), y.add("eve", Config{})
		song := octets(7, 300_000)
		it := ann.share(y, "song", song, Description{})
		empty := ann.share(y, "empty", nil, Description{})
		cfg := FetchConfig{Folder: y.dir + "/got"}
		for range 2 {
			f, err := eve.s.Fetch(t.Context(), it.ID, cfg)
			if err != nil {
				t.Fatal(err)
			}
			y.same(f.Path, song)
		}
		want(t, "files fetched", eve.s.Stats().FetchedFiles, 1)
		f, err := eve.s.Fetch(t.Context(), empty.ID, cfg)
		if err != nil {
			t.Fatal(err)
		}
		y.same(f.Path, nil)
		cfg.Name = "song"
		if _, err := eve.s.Fetch(t.Context(), empty.ID, cfg); !errors.Is(err, fs.ErrExist) {
			t.Errorf("over another file: %v", err)
		}
		y.same(filepath.Join(cfg.Folder, "song"), song)
		for _, name := range []string{"../x", "/etc/x", "a/../../x", "CON", "x:y", ""} {
			cfg.Name = name
			_, err := eve.s.Fetch(t.Context(), it.ID, cfg)
			if name != "" && !errors.Is(err, ErrName) {
				t.Errorf("%q: %v", name, err)
			}
		}
	})
}

// A holder whose connection takes requests and gives nothing is given up.
func TestSilentHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		song := octets(8, 5*ChunkSize)
		ann, bob, eve := y.add("ann", Config{}), y.add("bob", Config{}), y.add("eve", Config{})
		it := ann.share(y, "song", song, Description{})
		mute := *pipeOf(bob.peer.Net().ID(), ann.peer.ID())
		mute.ID = pipeOf(bob.peer.Net().ID(), eve.peer.ID()).ID
		l, err := bob.peer.Net().Sockets().ListenWith(t.Context(), &mute, socket.ListenConfig{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		began := time.Now()
		f, err := eve.s.Fetch(t.Context(), it.ID, FetchConfig{Folder: y.dir + "/got", Name: "x", From: []Holder{{bob.peer.ID(), &mute}}})
		if err != nil {
			t.Fatal(err)
		}
		y.same(f.Path, song)
		if took := time.Since(began); took > 40*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// A folder comes over whole; one with a name that leaves it does not come at all.
func TestFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		ann, eve := y.add("ann", Config{}), y.add("eve", Config{})
		files := map[string]string{"a.txt": "a", "b/c.txt": "c", "b/d/e.txt": "e", "b/d/a again.txt": "a"}
		for name, text := range files {
			ann.write(y, "trip/"+name, []byte(text))
		}
		ann.write(y, "secret.txt", []byte("secret"))
		trip := filepath.Join(y.dir, "files of ann", "trip")
		if err := errors.Join(os.Symlink("../secret.txt", filepath.Join(trip, "link.txt")), os.Symlink("..", filepath.Join(trip, "up"))); err != nil {
			t.Skip("no links here:", err)
		}
		ann.write(y, "trip/con.txt", []byte("x"))
		items, err := ann.s.Share(t.Context(), trip, Description{Words: []string{"alps"}})
		if err != nil {
			t.Fatal(err)
		}
		want(t, "items", len(items), 1+len(files))
		want(t, "a folder", items[0].Folder(), true)
		want(t, "skipped", ann.s.Stats().Skipped, 3)
		want(t, "found", len(y.find(eve, Query{Words: []string{"alps"}})), 4) // two are the same content
		got, err := eve.s.FetchFolder(t.Context(), items[0].ID, FetchConfig{Folder: y.dir + "/got"})
		if err != nil {
			t.Fatal(err)
		}
		want(t, "files", len(got), len(files))
		for name, text := range files {
			y.same(filepath.Join(y.dir, "got", "trip", filepath.FromSlash(name)), []byte(text))
		}
		for _, bad := range []string{
			`{"name":"../x","id":"` + items[1].ID.String() + `","size":1}`,
			`{"name":"ok.txt","id":"` + items[1].ID.String() + `","size":1}` + "\n" + `{"name":"OK.txt","id":"` + items[1].ID.String() + `","size":1}`,
		} {
			it := ann.share(y, "list", []byte(bad), Description{MIME: FolderType})
			if _, err := eve.s.FetchFolder(t.Context(), it.ID, FetchConfig{Folder: y.dir + "/bad"}); !errors.Is(err, ErrName) {
				t.Errorf("%s: %v", bad, err)
			}
		}
		if _, err := os.Stat(y.dir + "/bad"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("something was fetched: %v", err)
		}
		it := ann.share(y, "list", []byte("no list"), Description{MIME: FolderType})
		if _, err := eve.s.FetchFolder(t.Context(), it.ID, FetchConfig{Folder: y.dir + "/bad"}); !errors.Is(err, ErrMalformed) {
			t.Errorf("no list: %v", err)
		}
		if _, err := ann.s.Share(t.Context(), y.dir, Description{}); err == nil || !strings.Contains(err.Error(), "own folder") {
			t.Errorf("sharing the service's own folder: %v", err)
		}
	})
}
