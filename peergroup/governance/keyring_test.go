package governance

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/xmldoc"
)

func ring(t testing.TB) *Keyring {
	t.Helper()
	k, err := NewKeyring(KeyringConfig{Group: crew})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func epoch(t testing.TB, number uint64, by int) *Epoch {
	t.Helper()
	e, err := NewEpoch(crew, number, people[by], xmldoc.Node{}, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func install(t testing.TB, k *Keyring, e *Epoch, want bool) {
	t.Helper()
	got, err := k.Install(e, time.Now())
	if err != nil || got != want {
		t.Fatalf("%v: %v, %v", e, got, err)
	}
}

func TestOldSecretsAreAcceptedForTheOverlapOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, gone := ring(t), ring(t), ring(t)
		if _, err := a.Seal(nil, nil); !errors.Is(err, ErrNoKey) {
			t.Fatal(err)
		}
		first, second := epoch(t, 1, 0), epoch(t, 2, 0)
		for _, k := range []*Keyring{a, b, gone} {
			install(t, k, first, true)
		}
		install(t, a, second, true)
		install(t, a, second, false)
		install(t, a, first, false)
		// For 3 s the first one still seals, so that others get the second.
		sealed, _ := a.Seal([]byte("hello"), []byte("aad"))
		if got, err := b.Open(sealed, []byte("aad")); err != nil || string(got) != "hello" {
			t.Fatalf("%q, %v", got, err)
		}
		if addr, _ := a.Address(); addr != first.Address() || len(a.Addresses()) != 2 {
			t.Fatal("the address changed before the secret")
		}
		time.Sleep(3 * time.Second)
		sealed, _ = a.Seal([]byte("hello"), []byte("aad"))
		var unknown *EpochError
		if _, err := b.Open(sealed, []byte("aad")); !errors.As(err, &unknown) || unknown.Number != 2 {
			t.Fatal(err)
		}
		if addr, _ := a.Address(); addr != second.Address() {
			t.Fatal("the address did not change with the secret")
		}
		install(t, b, second, true)
		if got, err := b.Open(sealed, []byte("aad")); err != nil || string(got) != "hello" {
			t.Fatalf("%q, %v", got, err)
		}
		old, _ := gone.Seal([]byte("still here"), nil)
		time.Sleep(26 * time.Second) // 29 s since a has the second one
		if _, err := a.Open(old, nil); err != nil {
			t.Fatalf("within the overlap: %v", err)
		}
		time.Sleep(time.Second)
		if _, err := a.Open(old, nil); !errors.Is(err, ErrStale) {
			t.Fatalf("after the overlap: %v", err)
		}
		if len(a.Addresses()) != 1 {
			t.Fatal("an old address is still listened to")
		}
	})
}

func TestTwoSecretsOfOneNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := epoch(t, 5, 0), epoch(t, 5, 1)
		if x.Before(y) == y.Before(x) {
			t.Fatal("neither gives way, or both")
		}
		lose, win := x, y
		if y.Before(x) {
			lose, win = y, x
		}
		a, b := ring(t), ring(t)
		install(t, a, lose, true)
		install(t, b, win, true)
		fromLoser, _ := a.Seal([]byte("1"), nil)
		install(t, a, win, true)
		install(t, b, lose, false)
		time.Sleep(4 * time.Second)
		fromB, _ := b.Seal([]byte("2"), nil)
		fromA, _ := a.Seal([]byte("3"), nil)
		for _, sealed := range [][]byte{fromLoser, fromB, fromA} {
			for _, k := range []*Keyring{a, b} {
				if _, err := k.Open(sealed, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, k := range []*Keyring{a, b} {
			if e, _ := k.Epoch(); e.Hash() != win.Hash() {
				t.Fatal("the lower hash did not win")
			}
		}
	})
}

func TestNothingOfTheGroupShows(t *testing.T) {
	k := ring(t)
	e := epoch(t, 1, 0)
	install(t, k, e, true)
	text := []byte(crew.String() + " ann: meet me at noon " + people[0].Peer().String())
	a, _ := k.Seal(text, nil)
	b, _ := k.Seal(text, nil)
	if bytes.Equal(a[8:], b[8:]) || len(a) != len(text)+Sealed {
		t.Fatal("sealed alike")
	}
	for _, part := range []string{crew.String(), crew.Unique(), "noon", people[0].Peer().Unique()} {
		if bytes.Contains(a, []byte(part)) {
			t.Errorf("%q shows", part)
		}
	}
	if e.Address() == crew || epoch(t, 2, 0).Address() == e.Address() {
		t.Fatal("the address tells the group")
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if s := fmt.Sprintf(verb, e); s != "epoch 1" {
			t.Errorf("%s prints %q", verb, s)
		}
	}
}

func TestWhatWasAlteredDoesNotOpen(t *testing.T) {
	k := ring(t)
	install(t, k, epoch(t, 1, 0), true)
	sealed, _ := k.Seal([]byte("hello"), []byte("aad"))
	for i := range sealed {
		if _, err := k.Open(sealed[:i], []byte("aad")); err == nil {
			t.Fatalf("cut at %d: opened", i)
		}
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := k.Open(bad, []byte("aad")); err == nil {
			t.Fatalf("octet %d altered: opened", i)
		}
	}
	if _, err := k.Open(sealed, []byte("other")); !errors.Is(err, ErrSealed) {
		t.Fatalf("other aad: %v", err)
	}
}

func TestEpochsAreSigned(t *testing.T) {
	e := epoch(t, 1, 0)
	doc, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	read, err := ReadEpoch(doc, crew)
	if err != nil || read.Hash() != e.Hash() || read.key != e.key || read.Number() != 1 || !bytes.Equal(read.Maker(), people[0].SPKI()) {
		t.Fatalf("%v, %v", read, err)
	}
	if _, err := ReadEpoch(doc, other); !errors.Is(err, ErrGroup) {
		t.Fatalf("of another group: %v", err)
	}
	sig, _ := octets(e.sig).MarshalText()
	wrong, _ := octets(bytes.Repeat([]byte{1}, 64)).MarshalText()
	if _, err := ReadEpoch([]byte(strings.Replace(string(doc), string(sig), string(wrong), 1)), crew); !errors.Is(err, ErrSignature) {
		t.Fatalf("wrong signature: %v", err)
	}
	k, err := NewKeyring(KeyringConfig{Group: crew, Maker: func(e *Epoch) error { return errors.New("a stranger") }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Install(e, time.Now()); !errors.Is(err, ErrMaker) {
		t.Fatalf("made by a stranger: %v", err)
	}
}

func BenchmarkSeal(b *testing.B) {
	k := ring(b)
	install(b, k, epoch(b, 1, 0), true)
	body := make([]byte, 4096)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Seal(body, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	k := ring(b)
	install(b, k, epoch(b, 1, 0), true)
	sealed, _ := k.Seal(make([]byte, 4096), nil)
	b.SetBytes(4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Open(sealed, nil); err != nil {
			b.Fatal(err)
		}
	}
}
