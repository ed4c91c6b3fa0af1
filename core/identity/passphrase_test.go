package identity_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/core/identity"
)

var secret = []byte("correct horse battery")

// says answers every question for a passphrase with the next of these, and counts.
func says(asked *int, words ...string) identity.Config {
	return identity.Config{Passphrase: func(prompt string) ([]byte, error) {
		if *asked++; *asked > len(words) {
			return nil, errors.New("asked too often: " + prompt)
		}
		return []byte(words[*asked-1]), nil
	}}
}

func export(t testing.TB, i *identity.Identity) []byte {
	t.Helper()
	text, err := i.Export(secret)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestEncryptedHome(t *testing.T) {
	dir := t.TempDir()
	asked := 0
	cfg := says(&asked, string(secret), string(secret), "wrong wrong", string(secret), "wrong wrong", "wrong again", "and again")
	cfg.Encrypt = true
	first, created, err := identity.LoadOrCreate(dir, cfg)
	if err != nil || !created || asked != 1 {
		t.Fatal(created, asked, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, identity.File))
	if err != nil || !identity.IsEncrypted(text) || bytes.Contains(text, []byte("BEGIN PRIVATE")) {
		t.Fatalf("kept as %.60s (%v)", text, err)
	}
	again, created, err := identity.LoadOrCreate(dir, cfg)
	if err != nil || created || asked != 2 || again.Peer() != first.Peer() {
		t.Fatal(created, asked, err)
	}
	if again, err = identity.Open(dir, cfg); err != nil || asked != 4 || again.Peer() != first.Peer() {
		t.Fatal("at the second go:", asked, err)
	}
	if _, err = identity.Open(dir, cfg); !errors.Is(err, identity.ErrPassphrase) || asked != 7 {
		t.Fatal("wrong three times:", asked, err)
	}
	if _, err = identity.Open(dir, cfg); !errors.Is(err, identity.ErrPassphrase) || asked != 8 {
		t.Fatal("given up:", asked, err)
	}
	if _, err = identity.Load(dir); !errors.Is(err, identity.ErrEncrypted) || !strings.Contains(err.Error(), dir) {
		t.Fatal("nobody to ask:", err)
	}
	if _, created, err = identity.LoadOrCreate(dir, identity.Config{}); !errors.Is(err, identity.ErrEncrypted) || created {
		t.Fatal("nobody to ask:", created, err)
	}
	if now, err := os.ReadFile(filepath.Join(dir, identity.File)); err != nil || !bytes.Equal(now, text) {
		t.Error("the file was altered", err)
	}
}

func TestEncryptWithoutPassphrase(t *testing.T) {
	asked := 0
	short := says(&asked, "short", "")
	short.Encrypt = true
	for name, c := range map[string]struct {
		cfg  identity.Config
		want error
	}{
		"nobody to ask": {identity.Config{Encrypt: true}, identity.ErrEncrypted},
		"too short":     {short, identity.ErrPassphrase},
		"none":          {short, identity.ErrPassphrase},
	} {
		dir := t.TempDir()
		if _, created, err := identity.LoadOrCreate(dir, c.cfg); !errors.Is(err, c.want) || created {
			t.Errorf("%s: %t, %v", name, created, err)
		}
		if all, err := os.ReadDir(dir); err != nil || len(all) > 0 {
			t.Errorf("%s: left behind %v, %v", name, all, err)
		}
	}
}

func TestChangePassphrase(t *testing.T) {
	dir := t.TempDir()
	i := newIdentity(t)
	if err := i.Save(dir); err != nil {
		t.Fatal(err)
	}
	asked := 0
	cfg := says(&asked, "passphrase one", "passphrase one", "passphrase one", "passphrase two", "passphrase two")
	step := func(name string, err, want error, encrypted bool) {
		t.Helper()
		text, e := os.ReadFile(filepath.Join(dir, identity.File))
		if e != nil || !errors.Is(err, want) || want == nil && err != nil || identity.IsEncrypted(text) != encrypted {
			t.Fatalf("%s: %v, encrypted %t (%v)", name, err, identity.IsEncrypted(text), e)
		}
	}
	step("too short", identity.ChangePassphrase(dir, cfg, []byte("one")), identity.ErrPassphrase, false)
	step("the first", identity.ChangePassphrase(dir, cfg, []byte("passphrase one")), nil, true)
	step("the second", identity.ChangePassphrase(dir, cfg, []byte("passphrase two")), nil, true)
	step("with the old one", identity.ChangePassphrase(dir, identity.Config{}, nil), identity.ErrEncrypted, true)
	step("none any more", identity.ChangePassphrase(dir, cfg, nil), nil, false)
	if got, err := identity.Load(dir); err != nil || got.Peer() != i.Peer() || asked != 4 {
		t.Error(got, err, asked)
	}
	all, err := os.ReadDir(dir)
	if err != nil || len(all) != 1 {
		t.Error("left behind:", all, err)
	}
	step("nothing there", identity.ChangePassphrase(t.TempDir(), cfg, nil), fs.ErrNotExist, false)
}

func TestExportImport(t *testing.T) {
	each(t, func(t *testing.T, i *identity.Identity) {
		text := export(t, i)
		asked := 0
		cfg := says(&asked, string(secret), string(secret), "wrong wrong")
		dir := filepath.Join(t.TempDir(), "new")
		got, err := identity.Import(dir, text, cfg)
		if err != nil || got.Peer() != i.Peer() {
			t.Fatal(got, err)
		}
		if kept, err := os.ReadFile(filepath.Join(dir, identity.File)); err != nil || !bytes.Equal(kept, text) {
			t.Error("not kept as it came", err)
		}
		if got, err = identity.Open(dir, cfg); err != nil || got.Peer() != i.Peer() || !got.Certificate().Leaf.Equal(i.Certificate().Leaf) {
			t.Error(got, err)
		}
		if _, err = identity.Import(dir, export(t, newIdentity(t)), cfg); !errors.Is(err, fs.ErrExist) || asked != 2 {
			t.Errorf("over another: %v, asked %d times", err, asked)
		}
		none := t.TempDir()
		if _, err = identity.Import(none, text, cfg); !errors.Is(err, identity.ErrPassphrase) {
			t.Error(err)
		}
		if _, err = identity.Import(none, text[1:], cfg); !errors.Is(err, identity.ErrFormat) {
			t.Error(err)
		}
		if all, err := os.ReadDir(none); err != nil || len(all) != 0 {
			t.Error("left behind:", all, err)
		}
	})
	if _, err := newIdentity(t).Export([]byte("short")); !errors.Is(err, identity.ErrPassphrase) {
		t.Error(err)
	}
}

// Damage is told before anybody is asked, or is what a wrong passphrase is.
func TestDamagedExport(t *testing.T) {
	text := export(t, newIdentity(t))
	asked := 0
	ask := func() ([]byte, error) { asked++; return secret, nil }
	for n := range len(text) - 1 {
		if _, err := identity.ParseEncrypted(text[:n], ask); !errors.Is(err, identity.ErrFormat) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	if asked > 0 {
		t.Errorf("asked %d times", asked)
	}
	outer, rest := pem.Decode(text)
	for n := range outer.Bytes {
		cut := append(pem.EncodeToMemory(&pem.Block{Type: outer.Type, Bytes: outer.Bytes[:n]}), rest...)
		if _, err := identity.ParseEncrypted(cut, nil); !errors.Is(err, identity.ErrFormat) {
			t.Fatalf("key cut at %d: %v", n, err)
		}
	}
	for _, n := range []int{len(outer.Bytes) - 1, len(outer.Bytes) - 40} {
		bad := bytes.Clone(outer.Bytes)
		bad[n] ^= 1
		altered := append(pem.EncodeToMemory(&pem.Block{Type: outer.Type, Bytes: bad}), rest...)
		if i, err := identity.ParseEncrypted(altered, ask); !errors.Is(err, identity.ErrPassphrase) && !errors.Is(err, identity.ErrFormat) {
			t.Fatalf("octet %d altered: %v, %v", n, i, err)
		}
	}
	foreign := append(pem.EncodeToMemory(outer), certificateOf(t, newIdentity(t))...)
	if _, err := identity.ParseEncrypted(foreign, ask); !errors.Is(err, identity.ErrFormat) {
		t.Error("with the certificate of another:", err)
	}
}

func certificateOf(t *testing.T, i *identity.Identity) []byte {
	t.Helper()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Certificate().Leaf.Raw})
}

// openssl reads what we write, and we read what it writes.
func TestOpenSSL(t *testing.T) {
	tool, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("NOT TESTED: whether openssl reads our keys; it is not installed")
	}
	run := func(in []byte, args ...string) []byte {
		t.Helper()
		cmd := exec.Command(tool, args...)
		cmd.Stdin = bytes.NewReader(in)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("openssl %s: %v: %s", strings.Join(args, " "), err, stderr.String())
		}
		return out
	}
	pass := "pass:" + string(secret)
	identity.FullWork() // openssl has limits of its own on the memory of scrypt
	strong := export(t, newIdentity(t))
	identity.LessWork()
	run(strong, "pkey", "-passin", pass)
	each(t, func(t *testing.T, i *identity.Identity) {
		plain := run(export(t, i), "pkey", "-passin", pass)
		b, _ := pem.Decode(plain)
		if b == nil {
			t.Fatalf("openssl wrote %q", plain)
		}
		want, err := x509.MarshalPKCS8PrivateKey(i.Certificate().PrivateKey)
		if err != nil || !bytes.Equal(b.Bytes, want) {
			t.Error("openssl reads another key", err)
		}
		for _, how := range [][]string{{"-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256"}, {"-scrypt"}} {
			args := append([]string{"pkcs8", "-topk8", "-passout", pass}, how...)
			text := append(run(plain, args...), certificateOf(t, i)...)
			got, err := identity.ParseEncrypted(text, func() ([]byte, error) { return secret, nil })
			if err != nil || got.Peer() != i.Peer() {
				t.Errorf("%v: %v, %v", how, got, err)
			}
		}
		weak := append(run(plain, "pkcs8", "-topk8", "-passout", pass, "-v2", "aes-128-cbc"), certificateOf(t, i)...)
		if _, err := identity.ParseEncrypted(weak, nil); !errors.Is(err, identity.ErrFormat) {
			t.Error("AES-128:", err)
		}
	})
}

func FuzzParseEncrypted(f *testing.F) {
	i := newIdentity(f)
	text := export(f, i)
	f.Add(text)
	f.Add(text[:len(text)/2])
	outer, rest := pem.Decode(text)
	f.Add(append(pem.EncodeToMemory(&pem.Block{Type: outer.Type, Bytes: outer.Bytes[:len(outer.Bytes)-16]}), rest...))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := identity.ParseEncrypted(text, nil)
		if err == nil && identity.IsEncrypted(text) || err != nil && got != nil {
			t.Fatal(got, err)
		}
		if err != nil && !errors.Is(err, identity.ErrFormat) && !errors.Is(err, identity.ErrEncrypted) {
			t.Fatal(err)
		}
	})
}

func BenchmarkOpenEncrypted(b *testing.B) {
	identity.FullWork()
	defer identity.LessWork()
	text := export(b, newIdentity(b))
	for b.Loop() {
		if _, err := identity.ParseEncrypted(text, func() ([]byte, error) { return secret, nil }); err != nil {
			b.Fatal(err)
		}
	}
}
