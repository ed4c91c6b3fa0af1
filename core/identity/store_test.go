package identity_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
)

// saveEnv makes the test program save identities in new folders below the one it
// names, until somebody kills it.
const saveEnv = "JUXTA_TEST_SAVE_BELOW"

func TestMain(m *testing.M) {
	below := os.Getenv(saveEnv)
	if below == "" {
		identity.LessWork()
		os.Exit(m.Run())
	}
	i, err := identity.New(identity.Ed25519)
	for n := 0; err == nil; n++ {
		err = i.Save(filepath.Join(below, fmt.Sprint(n)))
		fmt.Println(n, err)
	}
	os.Exit(1)
}

func TestLoadOrCreate(t *testing.T) {
	for _, alg := range []identity.Algorithm{identity.Ed25519, identity.RSA2048} {
		dir := filepath.Join(t.TempDir(), "new", "home")
		first, created, err := identity.LoadOrCreate(dir, identity.Config{Algorithm: alg})
		if err != nil || !created {
			t.Fatalf("created %t, %v", created, err)
		}
		again, created, err := identity.LoadOrCreate(dir, identity.Config{})
		if err != nil || created || again.Peer() != first.Peer() {
			t.Fatalf("created %t, %v, peer %s, want %s", created, err, again, first)
		}
		if !again.Certificate().Leaf.Equal(first.Certificate().Leaf) || again.Fingerprint() != first.Fingerprint() {
			t.Error("the certificate changed on the way")
		}
		sig, err := again.Sign([]byte("text"))
		if err != nil {
			t.Fatal(err)
		}
		if err := identity.Verify(first.PublicKey(), []byte("text"), sig); err != nil {
			t.Error(err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 || entries[0].Name() != identity.File {
			t.Errorf("the folder holds %v, %v", entries, err)
		}
		if runtime.GOOS == "windows" {
			continue
		}
		for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, identity.File): 0o600} {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s has mode %v, want %v (%v)", path, info.Mode(), want, err)
			}
		}
	}
}

func TestLoadNothing(t *testing.T) {
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "missing")} {
		if i, err := identity.Load(dir); !errors.Is(err, fs.ErrNotExist) || i != nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("got %v, %v, want fs.ErrNotExist", i, err)
		}
	}
}

func TestSaveNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	first := newIdentity(t)
	if err := first.Save(dir); err != nil {
		t.Fatal(err)
	}
	if err := newIdentity(t).Save(dir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want fs.ErrExist", err)
	}
	if i, err := identity.Load(dir); err != nil || i.Peer() != first.Peer() {
		t.Errorf("got %v, %v, want %s", i, err, first)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	var mu sync.Mutex
	peers, made := map[id.Peer]int{}, 0
	for range 16 {
		wg.Go(func() {
			i, created, err := identity.LoadOrCreate(dir, identity.Config{})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			peers[i.Peer()]++
			if created {
				made++
			}
		})
	}
	wg.Wait()
	if len(peers) != 1 || made != 1 {
		t.Errorf("%d identities of which %d made, want one", len(peers), made)
	}
}

// A file cut anywhere, as by a full disk or a careless copy, is an error that
// names it, and stays as it is.
func TestDamagedFile(t *testing.T) {
	i := newIdentity(t)
	text, err := i.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, identity.File)
	check := func(name string, content []byte) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		i, created, err := identity.LoadOrCreate(dir, identity.Config{})
		if !errors.Is(err, identity.ErrFormat) || i != nil || created || !strings.Contains(err.Error(), path) {
			t.Fatalf("%s: got %v, %t, %v, want ErrFormat", name, i, created, err)
		}
		if kept, err := os.ReadFile(path); err != nil || !bytes.Equal(kept, content) {
			t.Fatalf("%s: the file was altered (%v)", name, err)
		}
	}
	for n := range len(text) - 1 { // the last octet is a line end
		check(fmt.Sprintf("cut at %d", n), text[:n])
	}
	end := bytes.Index(text, []byte("-----BEGIN CERTIFICATE"))
	key, cert := text[:end], text[end:]
	foreign, err := newIdentity(t).MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	for name, parts := range map[string][][]byte{
		"garbage":            {bytes.Repeat([]byte("garbage "), 1000)},
		"zeros":              {make([]byte, len(text))},
		"huge":               {bytes.Repeat([]byte("\n"), 1<<20)},
		"no certificate":     {key},
		"no key":             {cert},
		"certificate first":  {cert, key},
		"two keys":           {key, text},
		"two certificates":   {text, cert},
		"something before":   {[]byte("hello\n"), text},
		"something behind":   {text, []byte("hello\n")},
		"another's key":      {foreign[:bytes.Index(foreign, []byte("-----BEGIN CERTIFICATE"))], cert},
		"a curve's key":      {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), cert},
		"an encrypted key":   {bytes.ReplaceAll(key, []byte("PRIVATE"), []byte("ENCRYPTED PRIVATE")), cert},
		"a key with headers": {bytes.Replace(key, []byte("-----\n"), []byte("-----\na: b\n\n"), 1), cert},
	} {
		check(name, bytes.Join(parts, nil))
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := identity.Load(dir); err != nil || got.Peer() != i.Peer() {
		t.Errorf("with line ends of Windows: %v, %v", got, err)
	}
}

func TestNotAFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, identity.File)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if i, created, err := identity.LoadOrCreate(dir, identity.Config{}); !errors.Is(err, identity.ErrFormat) || created {
		t.Errorf("a folder in its place: %v, %t, %v", i, created, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "nowhere"), path); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	if i, created, err := identity.LoadOrCreate(dir, identity.Config{}); err == nil {
		t.Errorf("a link to nowhere in its place: %v, %t", i, created)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if i, _, err := identity.LoadOrCreate(file, identity.Config{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file in place of the folder: %v, %v", i, err)
	}
}

// Secrets mounted into containers are symbolic links.
func TestLinkedFile(t *testing.T) {
	store, dir := t.TempDir(), t.TempDir()
	i := newIdentity(t)
	if err := i.Save(store); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(store, identity.File), filepath.Join(dir, identity.File)); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	if got, err := identity.Load(dir); err != nil || got.Peer() != i.Peer() {
		t.Errorf("got %v, %v, want %s", got, err, i)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := os.Chmod(filepath.Join(store, identity.File), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := identity.Load(dir); !errors.Is(err, identity.ErrExposed) {
		t.Errorf("got %v, want ErrExposed", err)
	}
}

func TestExposedFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, identity.File)
	if err := newIdentity(t).Save(dir); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o644, 0o620, 0o602, 0o610, 0o777} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		i, created, err := identity.LoadOrCreate(dir, identity.Config{})
		if !errors.Is(err, identity.ErrExposed) || i != nil || created {
			t.Errorf("mode %v: got %v, %t, %v, want ErrExposed", mode, i, created, err)
		}
		if want := "chmod 600 '" + path + "'"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
	for _, mode := range []fs.FileMode{0o600, 0o400, 0o700} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := identity.Load(dir); err != nil {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
}

// Killed at any moment, a peer leaves a whole identity or none.
func TestKilledWhileSaving(t *testing.T) {
	below := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), saveEnv+"="+below)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; n < 20 && lines.Scan(); n++ {
		if want := fmt.Sprint(n, " <nil>"); lines.Text() != want {
			t.Errorf("it says %q, want %q", lines.Text(), want)
		}
	}
	if err := child.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = child.Wait() // says that it was killed
	dirs, err := os.ReadDir(below)
	if err != nil || len(dirs) < 20 {
		t.Fatalf("%d folders, %v", len(dirs), err)
	}
	for _, d := range dirs {
		dir := filepath.Join(below, d.Name())
		if _, err := identity.Load(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		if _, _, err := identity.LoadOrCreate(dir, identity.Config{}); err != nil {
			t.Errorf("what was left keeps the peer from starting: %v", err)
		}
	}
}

func FuzzParse(f *testing.F) {
	ed, err := identity.New(identity.Ed25519)
	if err != nil {
		f.Fatal(err)
	}
	rsa, err := rsaIdentity()
	if err != nil {
		f.Fatal(err)
	}
	for _, i := range []*identity.Identity{ed, rsa} {
		text, err := i.MarshalPEM()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add(text[:len(text)/2])
		f.Add(bytes.ReplaceAll(text, []byte("\n"), nil))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		i, err := identity.Parse(text)
		if err != nil {
			if !errors.Is(err, identity.ErrFormat) || i != nil {
				t.Fatalf("got %v, %v, want ErrFormat", i, err)
			}
			return
		}
		again, err := i.MarshalPEM()
		if err != nil {
			t.Fatal(err)
		}
		j, err := identity.Parse(again)
		if err != nil || i.Peer() != j.Peer() || !j.Certificate().Leaf.Equal(i.Certificate().Leaf) {
			t.Fatalf("written and read again it is %v, %v", j, err)
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	dir := b.TempDir()
	if err := newIdentity(b).Save(dir); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := identity.Load(dir); err != nil {
			b.Fatal(err)
		}
	}
}
