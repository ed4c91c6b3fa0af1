package home_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/juxta-p2p/juxta/core/home"
)

// childEnv makes the test program take the home it names, say so, and hold it
// until its input ends.
const childEnv = "JUXTA_TEST_HOLD_HOME"

func TestMain(m *testing.M) {
	dir := os.Getenv(childEnv)
	if dir == "" {
		os.Exit(m.Run())
	}
	l, err := home.Acquire(dir)
	fmt.Println(err)
	_, _ = io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(l)
}

// hold starts another process that takes the home.
func hold(t *testing.T, dir string) (child *exec.Cmd, release io.Closer) {
	t.Helper()
	child = exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+dir)
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = child.Process.Kill() // an error if the test has ended it already
		_ = child.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "<nil>\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	return child, in
}

func acquire(t *testing.T, dir string) *home.Lock {
	t.Helper()
	l, err := home.Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func wantLocked(t *testing.T, dir string, pid int) {
	t.Helper()
	l, err := home.Acquire(dir)
	var locked *home.LockedError
	if !errors.As(err, &locked) || l != nil {
		t.Fatalf("got %v, %v, want LockedError", l, err)
	}
	if abs, _ := filepath.Abs(dir); locked.Dir != abs || locked.PID != pid {
		t.Errorf("held by %d in %s, want %d in %s", locked.PID, locked.Dir, pid, abs)
	}
	if errors.Is(err, fs.ErrPermission) {
		t.Error("a held home passes for one that cannot be written")
	}
}

func TestTwoPeersInOneProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "home")
	first := acquire(t, dir)
	wantLocked(t, dir, os.Getpid())
	wantLocked(t, dir, os.Getpid()) // being refused harms nobody

	if first.Dir() != dir {
		t.Errorf("the folder is %s, want %s", first.Dir(), dir)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "lock")); err != nil || len(b) > 0 {
		t.Errorf("released, the folder still names its holder: %q, %v", b, err)
	}
	second := acquire(t, dir)
	if err := first.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
	wantLocked(t, dir, os.Getpid()) // the second Close of the first released nothing
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if runtime.GOOS != "windows" {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("the folder has mode %v, want 0700 (%v)", info.Mode(), err)
		}
	}
}

func TestOneFolderByTwoNames(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	acquire(t, dir)
	wantLocked(t, link, os.Getpid())
}

func TestRelativeFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	l := acquire(t, "here")
	if !filepath.IsAbs(l.Dir()) {
		t.Errorf("%s is not absolute", l.Dir())
	}
	wantLocked(t, "here", os.Getpid())
}

func TestAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	child, release := hold(t, dir)
	wantLocked(t, dir, child.Process.Pid)
	if err := release.Close(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	acquire(t, dir) // left without Close, the child released it all the same
}

func TestKilledProcess(t *testing.T) {
	dir := t.TempDir()
	child, _ := hold(t, dir)
	wantLocked(t, dir, child.Process.Pid)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // says that it was killed
	l := acquire(t, dir)
	wantLocked(t, dir, os.Getpid()) // and not the dead process
	_ = l.Close()
}

func TestOnlyOneOfManyGetsIt(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	locks := make(chan *home.Lock, 50)
	for range cap(locks) {
		wg.Go(func() {
			l, err := home.Acquire(dir)
			var locked *home.LockedError
			if err == nil {
				locks <- l
			} else if !errors.As(err, &locked) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	close(locks)
	n := 0
	for l := range locks {
		n++
		_ = l.Close()
	}
	if n != 1 {
		t.Errorf("%d peers in one home", n)
	}
}

func TestCloseFromMany(t *testing.T) {
	l := acquire(t, t.TempDir())
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// What stands in the lock file is a hint for people and never trusted.
func TestLockFileContent(t *testing.T) {
	for _, content := range []string{"", "1", "x\n", "-5\n", "99999999999999999999\n", strings.Repeat("1", 100)} {
		dir := t.TempDir()
		acquire(t, dir)
		if err := os.WriteFile(filepath.Join(dir, "lock"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		wantLocked(t, dir, 0)
	}
}

func TestErrorTexts(t *testing.T) {
	for want, e := range map[string]*home.LockedError{
		"home: /h is in use by another peer":                 {Dir: "/h"},
		"home: /h is in use by another peer, process 1":      {Dir: "/h", PID: 1},
		"home: /h is in use by another peer of this process": {Dir: "/h", PID: os.Getpid()},
	} {
		if e.Error() != want {
			t.Errorf("got %q, want %q", e, want)
		}
	}
}

func TestUnusableFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", file, filepath.Join(file, "below"), "nul\x00octet"} {
		l, err := home.Acquire(dir)
		var locked *home.LockedError
		if err == nil || errors.As(err, &locked) || !strings.HasPrefix(err.Error(), "home: ") {
			t.Errorf("%q: got %v, %v", dir, l, err)
		}
	}
}

func BenchmarkAcquire(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		l, err := home.Acquire(dir)
		if err != nil {
			b.Fatal(err)
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// The second peer is told who has the home.
func ExampleAcquire() {
	dir, err := os.MkdirTemp("", "home")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()

	first, err := home.Acquire(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = home.Acquire(dir)
	var locked *home.LockedError
	fmt.Println(errors.As(err, &locked), locked.PID == os.Getpid())

	_ = first.Close()
	second, err := home.Acquire(dir)
	fmt.Println(err)
	_ = second.Close()
	// Output:
	// true true
	// <nil>
}
