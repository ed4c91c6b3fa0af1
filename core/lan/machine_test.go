package lan

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// folder makes a folder that passes for a meeting folder whatever the umask.
func folder(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "meeting")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// startAt starts a service that uses the folder alone.
func startAt(t testing.TB, dir, name string, listen ...string) *Service {
	t.Helper()
	s, err := Start(Config{
		Peer: peerOf(name), Name: name, Dir: dir, DisableMDNS: true,
		Addresses: func() []endpoint.Address { return addrs(listen...) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func names(hints []Hint) (out []string) {
	for _, h := range hints {
		out = append(out, h.Name)
	}
	return out
}

func files(t testing.TB, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestPeersOfOneMachineMeet(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		a := startAt(t, dir, "ann", "tcp://0.0.0.0:9701")
		time.Sleep(time.Minute) // ann has been here for a while
		b := startAt(t, dir, "bob", "tcp://127.0.0.1:9702")
		synctest.Wait()
		h := b.Hints()
		if len(h) != 1 || h[0].Peer != peerOf("ann") || h[0].Name != "ann" || h[0].Source != Machine || h[0].Group != id.NetGroup {
			t.Fatalf("who comes finds at once: %+v", h)
		}
		if d := cmp.Diff(addrs("tcp://127.0.0.1:9701"), h[0].Addresses); d != "" {
			t.Error(d)
		}
		time.Sleep(3 * time.Second)
		if got := names(a.Hints()); !slices.Equal(got, []string{"bob"}) {
			t.Fatalf("who was there finds %v within 3 s", got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if h := a.Hints(); len(h) != 1 || h[0].Age > staleAfter || h[0].Age < 0 {
			t.Fatalf("after an hour: %+v", h)
		}
		_ = b.Close()
		time.Sleep(2*lookInterval + time.Second)
		if h := a.Hints(); len(h) != 0 {
			t.Fatalf("bob left: %+v", h)
		}
		_ = a.Close()
		_ = a.Close()
		if f := files(t, dir); len(f) != 0 {
			t.Fatalf("left behind: %v", f)
		}
	})
}

func TestMachineEvents(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var log []string
		a := startAt(t, dir, "ann", "tcp://127.0.0.1:1")
		startAt(t, dir, "old", "tcp://127.0.0.1:9")
		time.Sleep(3 * time.Second)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for e := range a.Events(t.Context()) {
				mu.Lock()
				log = append(log, say([]Event{e})...)
				mu.Unlock()
			}
		}()
		synctest.Wait()
		listen := addrs("tcp://127.0.0.1:2")
		b, err := Start(Config{Peer: peerOf("bob"), Name: "bob", Dir: dir, DisableMDNS: true, Addresses: func() []endpoint.Address {
			mu.Lock()
			defer mu.Unlock()
			return listen
		}, Roles: func() string { return "rdv" }})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		mu.Lock()
		listen = addrs("tcp://127.0.0.1:2", "tcp://127.0.0.1:3")
		mu.Unlock()
		b.Refresh()
		a.Refresh()
		time.Sleep(5 * time.Second)
		if h := a.Hints(); len(h) != 2 || h[0].Roles != "rdv" {
			t.Errorf("%+v", h)
		}
		mu.Lock()
		listen = nil
		mu.Unlock()
		time.Sleep(10 * time.Second) // it no longer listens, so it is gone
		if got := names(b.Hints()); !slices.Equal(got, []string{"ann", "old"}) {
			t.Errorf("but it still sees %v", got)
		}
		_ = b.Close()
		_ = a.Close()
		<-done
		want := []string{"found old machine 1", "found bob machine 1", "changed bob machine 2", "lost bob machine 2"}
		if d := cmp.Diff(want, log); d != "" {
			t.Error(d)
		}
	})
}

func TestOtherGroupsAreListedOnly(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		a := startAt(t, dir, "ann", "tcp://127.0.0.1:1")
		b, err := Start(Config{
			Peer: peerOf("bob"), Group: elsewhere, Name: "bob", Dir: dir, DisableMDNS: true,
			Addresses: func() []endpoint.Address { return addrs("tcp://127.0.0.1:2") },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		time.Sleep(3 * time.Second)
		if h, p := a.Hints(), a.Peers(); len(h) != 0 || len(p) != 1 || p[0].Group != elsewhere {
			t.Errorf("%+v, %+v", h, p)
		}
	})
}

// lines makes a file as a peer of another machine's making would write it.
func lines(name string, more ...string) []byte {
	r := record{peer: peerOf(name), group: id.NetGroup, name: name, addresses: addrs("tcp://127.0.0.1:7")}
	return []byte(strings.Join(append(r.encode(), more...), "\n") + "\n")
}

func put(t testing.TB, dir, name string, b []byte, age time.Duration) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-age)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
	return path
}

func fileOf(name string) string { return peerOf(name).Unique() + suffix }

func TestHostileFolder(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		put(t, dir, fileOf("good"), lines("good"), 0)
		put(t, dir, fileOf("elsewhere"), lines("elsewhere", "pid=1073741824", "host=another"), 0)
		put(t, dir, fileOf("future"), lines("future"), -time.Hour)
		put(t, dir, fileOf("wrong name"), lines("another"), 0)
		put(t, dir, fileOf("bad pid"), lines("bad pid", "pid=x"), 0)
		put(t, dir, fileOf("long"), append(lines("long"), make([]byte, maxFile)...), 0)
		put(t, dir, fileOf("empty"), nil, 0)
		put(t, dir, fileOf("binary"), bytes.Repeat([]byte{0xff, 0}, 1000), 0)
		put(t, dir, "note.txt", lines("note"), 0)
		put(t, dir, fileOf("stale"), lines("stale"), staleAfter+time.Second)
		old := put(t, dir, fileOf("old"), lines("old"), removeAfter+time.Second)
		half := put(t, dir, tempPrefix+"1", lines("half"), removeAfter+time.Second)
		keep := put(t, dir, "old note.txt", nil, removeAfter+time.Second)
		if err := os.Mkdir(filepath.Join(dir, fileOf("folder")), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(put(t, t.TempDir(), "target", lines("link"), 0), filepath.Join(dir, fileOf("link"))); err != nil {
			t.Log("no link: ", err)
		}
		if os.Geteuid() == 0 {
			if err := os.Chown(put(t, dir, fileOf("foreign"), lines("foreign"), 0), 65534, 65534); err != nil {
				t.Fatal(err)
			}
		} else {
			t.Log("NOT TESTED: files of another user, which takes root")
		}
		a := startAt(t, dir, "ann", "tcp://127.0.0.1:1")
		synctest.Wait()
		if d := cmp.Diff([]string{"elsewhere", "good"}, names(a.Peers())); d != "" {
			t.Error(d)
		}
		if s := a.Stats(); s.DroppedMalformed != 4 || s.FailedLooks+s.FailedAnnounces+s.DroppedFiles != 0 || s.Peers != 2 || s.Looks == 0 || s.Events != 2 {
			t.Errorf("%+v", s)
		}
		for _, path := range []string{old, half} {
			if _, err := os.Stat(path); !os.IsNotExist(err) {
				t.Errorf("%s is still there", filepath.Base(path))
			}
		}
		if _, err := os.Stat(keep); err != nil {
			t.Error(err)
		}
	})
}

func TestTheDeadAreForgotten(t *testing.T) {
	if !checksModes {
		t.Skip("NOT TESTED: this system is not asked for processes")
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^$")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		path := put(t, dir, fileOf("dead"), lines("dead", fmt.Sprint("pid=", cmd.Process.Pid), "host="+hostName()), 0)
		put(t, dir, fileOf("living"), lines("living", fmt.Sprint("pid=", os.Getppid()), "host="+hostName()), 0)
		a := startAt(t, dir, "ann", "tcp://127.0.0.1:1")
		synctest.Wait()
		if d := cmp.Diff([]string{"living"}, names(a.Peers())); d != "" {
			t.Error(d)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Error("what it left is still there")
		}
		// Whoever does not touch its file is gone too, though its process lives.
		time.Sleep(staleAfter + 2*lookInterval + time.Second)
		if h := a.Peers(); len(h) != 0 {
			t.Errorf("%+v", h)
		}
	})
}

func TestFolderLimit(t *testing.T) {
	dir := folder(t)
	for i := range maxPeers + 50 {
		name := fmt.Sprintf("peer%03d", i)
		put(t, dir, fileOf(name), lines(name), 0)
	}
	s := startAt(t, dir, "ann", "tcp://127.0.0.1:1")
	for end := time.Now().Add(10 * time.Second); len(s.Peers()) == 0 && time.Now().Before(end); {
		runtime.Gosched()
	}
	if n := len(s.Peers()); n != maxPeers {
		t.Errorf("%d peers", n)
	}
	if n := s.Stats().DroppedFiles; n < 50 {
		t.Errorf("%d files are counted as left out", n)
	}
}

// TestALostFolderIsCounted: where nothing can be read or written any more.
func TestALostFolderIsCounted(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		s := startAt(t, dir, "ann", "tcp://127.0.0.1:1")
		synctest.Wait()
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if s := s.Stats(); s.FailedLooks < 10 || s.FailedAnnounces < 10 {
			t.Errorf("%+v", s)
		}
	})
}

func TestOwnFileComesBack(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		startAt(t, dir, "ann", "tcp://127.0.0.1:1")
		own := filepath.Join(dir, fileOf("ann"))
		info, err := os.Stat(own)
		if err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
			t.Fatalf("%v, %v", info, err)
		}
		if err := os.Remove(own); err != nil {
			t.Fatal(err)
		}
		time.Sleep(touchInterval + 2*lookInterval)
		if _, err := os.Stat(own); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseLeavesTheFileOfASuccessor(t *testing.T) {
	dir := folder(t)
	a := startAt(t, dir, "ann", "tcp://127.0.0.1:1")
	b := startAt(t, dir, "ann", "tcp://127.0.0.1:2") // the same peer once more
	_ = a.Close()
	if f := files(t, dir); len(f) != 1 {
		t.Errorf("%v", f)
	}
	_ = b.Close()
	if f := files(t, dir); len(f) != 0 {
		t.Errorf("%v", f)
	}
}

func TestUnsafeFolders(t *testing.T) {
	if !checksModes {
		t.Skip("NOT TESTED: modes mean nothing here")
	}
	start := func(dir string) error {
		s, err := Start(Config{Peer: peerOf("ann"), Dir: dir, DisableMDNS: true, Addresses: func() []endpoint.Address { return nil }})
		if err == nil {
			_ = s.Close()
		}
		return err
	}
	open := folder(t)
	for mode, ok := range map[fs.FileMode]bool{0o700: true, 0o755: true, 0o770: false, 0o777: false} {
		if err := os.Chmod(open, mode); err != nil {
			t.Fatal(err)
		}
		if err := start(open); (err == nil) != ok {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(folder(t), link); err != nil {
		t.Fatal(err)
	}
	file := put(t, t.TempDir(), "file", nil, 0)
	for _, dir := range []string{link, file} {
		if err := start(dir); err == nil {
			t.Errorf("%s is taken", dir)
		}
	}
	if os.Geteuid() == 0 {
		foreign := folder(t)
		if err := os.Chown(foreign, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if err := start(foreign); err == nil {
			t.Error("a folder of another user is taken")
		}
	}
	if err := start(filepath.Join(t.TempDir(), "made", "as", "needed")); err != nil {
		t.Error(err)
	}
}

func TestDefaultFolder(t *testing.T) {
	run := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", run)
	t.Setenv("TMPDIR", t.TempDir())
	if !checksModes {
		t.Skip("NOT TESTED: no runtime folder here")
	}
	if got := defaultFolder(); got != filepath.Join(run, "juxta") {
		t.Error(got)
	}
	t.Setenv("XDG_RUNTIME_DIR", "relative")
	got := defaultFolder()
	if uid := fmt.Sprint(os.Geteuid()); got != filepath.Join("/run/user", uid, "juxta") && got != filepath.Join(os.TempDir(), "juxta-"+uid) {
		t.Error(got)
	}

	// A bad default is said once and done without.
	t.Setenv("XDG_RUNTIME_DIR", run)
	put(t, run, "juxta", nil, 0)
	var log bytes.Buffer
	s, err := Start(Config{
		Peer: peerOf("ann"), DisableMDNS: true, Addresses: func() []endpoint.Address { return nil },
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings: %s", n, &log)
	}
}

func TestStartNeeds(t *testing.T) {
	none := func() []endpoint.Address { return nil }
	for _, cfg := range []Config{{Addresses: none}, {Peer: peerOf("a")}} {
		if s, err := Start(cfg); err == nil {
			t.Errorf("%+v", cfg)
			_ = s.Close()
		}
	}
}

func TestEventsEnd(t *testing.T) {
	dir := folder(t)
	a := startAt(t, dir, "ann", "tcp://127.0.0.1:1")
	b := startAt(t, dir, "bob", "tcp://127.0.0.1:1")
	for range b.Events(t.Context()) {
		break // breaking off is one end
	}
	_ = b.Close()
	for range b.Events(t.Context()) { // closing is another, and this returns
		continue
	}
	_ = a.Close()
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestTwoProcessesMeet starts two processes that know nothing of each other but
// the user they run as.
func TestTwoProcessesMeet(t *testing.T) {
	const env = "JUXTA_TEST_MEET"
	if name := os.Getenv(env); name != "" {
		other := map[string]string{"ann": "bob", "bob": "ann"}[name]
		s, err := Start(Config{
			Peer: peerOf(name), Name: name, DisableMDNS: true,
			Addresses: func() []endpoint.Address { return addrs("tcp://0.0.0.0:9701") },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		end := time.AfterFunc(3*time.Second, func() { _ = s.Close() })
		defer end.Stop()
		for e := range s.Events(t.Context()) {
			if e.Kind == Found && e.Hint.Peer == peerOf(other) {
				fmt.Println("met", other)
				// Stay until the other has seen this one.
				time.Sleep(eagerInterval + eagerInterval/2)
				return
			}
		}
		t.Fatal("nobody came within 3 s")
	}
	t.Parallel()
	run := t.TempDir()
	var wg sync.WaitGroup
	for _, name := range []string{"ann", "bob"} {
		wg.Go(func() {
			cmd := exec.Command(os.Args[0], "-test.run", "^TestTwoProcessesMeet$", "-test.v")
			cmd.Env = append(os.Environ(), env+"="+name, "XDG_RUNTIME_DIR="+run, "TMPDIR="+run, "TMP="+run)
			if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("\nmet ")) {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
		})
	}
	wg.Wait()
	if f := files(t, filepath.Join(run, "juxta")); len(f) != 0 {
		t.Errorf("left behind: %v", f)
	}
}

func FuzzMeetingFile(f *testing.F) {
	f.Add(lines("ann", "pid=1", "host=h"))
	f.Add([]byte("pid=-1\nhost=\n\n="))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, pid, err := parseFile(b, "h")
		if err == nil && (r.peer.IsZero() || len(r.addresses) == 0 || pid < 0) {
			t.Fatalf("%+v, %d", r, pid)
		}
	})
}

func TestMeetingFileCutAtEveryOctet(t *testing.T) {
	whole := lines("ann", "pid=1", "host=h")
	for n := range whole {
		if r, _, err := parseFile(whole[:n], "h"); err == nil && len(r.addresses) == 0 {
			t.Fatalf("cut at %d: %+v", n, r)
		}
	}
}

func BenchmarkLook(b *testing.B) {
	for _, n := range []int{2, maxPeers} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := folder(b)
			for i := range n {
				name := fmt.Sprintf("peer%03d", i)
				put(b, dir, fileOf(name), lines(name), -staleAfter/2)
			}
			s, err := Start(Config{Peer: peerOf("me"), DisableMachine: true, DisableMDNS: true, Dir: dir, Addresses: func() []endpoint.Address { return nil }})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			m, err := s.meet()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				f, err := m.scan(time.Now())
				if err != nil || len(f) != n {
					b.Fatal(len(f), err)
				}
			}
		})
	}
}
