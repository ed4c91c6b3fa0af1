package governance

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// people are identities, made once.
var people = func() (list []*identity.Identity) {
	for range 8 {
		i, err := identity.New(identity.Ed25519)
		if err != nil {
			panic(err)
		}
		list = append(list, i)
	}
	return list
}()

var (
	crew  = id.GroupFromSeed(id.Group{}, []byte("crew of the ship"))
	other = id.GroupFromSeed(id.Group{}, []byte("crew of another ship"))
	noon  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// charter makes a charter with the first n people as moderators.
func charter(t testing.TB, n, quorum int) *Charter {
	t.Helper()
	c := Charter{Group: crew, Number: 1, Quorum: quorum}
	for _, p := range people[:n] {
		c.Moderators = append(c.Moderators, ModeratorOf(p))
	}
	signed, err := c.Sign(people[0])
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// counter makes motions repeatable.
var counter uint64

// motion makes a motion of the crew, so many seconds after noon.
func motion(t interface {
	Helper()
	Fatal(...any)
}, at float64, act Act, by ...*identity.Identity) *Motion {
	t.Helper()
	counter++
	var random [16]byte
	binary.BigEndian.PutUint64(random[:], counter)
	act.Time = noon.Add(time.Duration(at * float64(time.Second)))
	m, err := NewMotion(crew, by[0], act, random, act.Time)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range by[1:] {
		if m, err = m.Sign(p); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// enter adds motions to a book, which must take them.
func enter(t testing.TB, b *book, list ...*Motion) {
	t.Helper()
	for _, m := range list {
		if _, err := b.add(m, noon.Add(time.Hour)); err != nil {
			t.Fatalf("%v: %v", m.act.String(), err)
		}
	}
}

// folded is the state after these motions.
func folded(t testing.TB, c *Charter, list ...*Motion) *State {
	t.Helper()
	b := newBook(c)
	enter(t, b, list...)
	return Fold(c, b.list())
}

func peer(n int) id.Peer { return people[n].Peer() }

// replaced replaces what must be there.
func replaced(t testing.TB, s, old, by string) string {
	t.Helper()
	if !strings.Contains(s, old) {
		t.Fatalf("%q is not in %s", old, s)
	}
	return strings.ReplaceAll(s, old, by)
}
