package governance

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
)

// judging is a service that only judges.
func judging(t testing.TB, list ...*Motion) *Service {
	t.Helper()
	c := charter(t, 1, 1)
	state := Fold(c, list)
	s := new(Service)
	s.now.Store(&view{state, newVerdicts(state)})
	return s
}

// inGroup is the ID made of a key in the group that the group ID of another cbid
// names: only the first half differs.
func inGroup(t testing.TB, p id.Peer, group string) id.Peer {
	t.Helper()
	u := p.Unique()
	q, err := id.ParsePeer("urn:jxta:cbid-" + group + u[len("cbid-")+32:])
	if err != nil {
		t.Fatal(err)
	}
	return q
}

const otherWorld = "11223344556677889900AABBCCDDEEFF"

func TestWhoIsExcluded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Since(noon).Seconds()
		made := id.NewPeer(id.NetGroup)
		rsa, err := identity.New(identity.RSA2048)
		if err != nil {
			t.Fatal(err)
		}
		s := judging(t,
			motion(t, now, Act{Kind: Exclude, Peer: peer(1), Reason: "spam"}, people[0]),
			motion(t, now, Act{Kind: Exclude, Key: people[2].SPKI()}, people[0]),
			motion(t, now, Act{Kind: Exclude, Key: rsa.SPKI()}, people[0]),
			motion(t, now, Act{Kind: Exclude, Peer: made}, people[0]),
			motion(t, now, Act{Kind: Exclude, Range: netip.MustParsePrefix("192.0.2.0/24")}, people[0]),
			motion(t, now, Act{Kind: Exclude, Range: netip.MustParsePrefix("2001:db8::/32")}, people[0]),
			motion(t, now, Act{Kind: Exclude, Range: netip.MustParsePrefix("198.51.100.7/32")}, people[0]),
			motion(t, now, Act{Kind: Withdraw, Content: HashOf([]byte("song"))}, people[0]),
		)
		hash := func(i *identity.Identity) []byte { h := HashOf(i.SPKI()); return h[:] }
		for name, x := range map[string]struct {
			who  Subject
			want bool
		}{
			"nobody":                          {Subject{}, false},
			"another peer":                    {Subject{Peer: peer(3), Key: people[3].SPKI(), Addr: netip.MustParseAddr("203.0.113.1")}, false},
			"by ID":                           {Subject{Peer: peer(1)}, true},
			"by ID, in another group":         {Subject{Peer: inGroup(t, peer(1), otherWorld)}, true},
			"by ID, with the key alone":       {Subject{Key: people[1].SPKI()}, true},
			"by ID, with the key elsewhere":   {Subject{Peer: id.NewPeer(id.NetGroup), Key: people[1].SPKI()}, true},
			"by key":                          {Subject{Key: people[2].SPKI()}, true},
			"by key, with its hash":           {Subject{Key: hash(people[2])}, true},
			"by key, with the ID":             {Subject{Peer: peer(2)}, true},
			"by key, with the ID elsewhere":   {Subject{Peer: inGroup(t, peer(2), otherWorld)}, true},
			"by RSA key, with the ID":         {Subject{Peer: rsa.Peer()}, true},
			"hash of another":                 {Subject{Key: hash(people[3])}, false},
			"made up ID":                      {Subject{Peer: made}, true},
			"another made up ID":              {Subject{Peer: id.NewPeer(id.NetGroup)}, false},
			"in the range":                    {Subject{Addr: netip.MustParseAddr("192.0.2.200")}, true},
			"in the range, as IPv6":           {Subject{Addr: netip.MustParseAddr("::ffff:192.0.2.200")}, true},
			"beside the range":                {Subject{Addr: netip.MustParseAddr("192.0.3.1")}, false},
			"in the range of IPv6, with zone": {Subject{Addr: netip.MustParseAddr("2001:db8::1%eth0")}, true},
			"beside the range of IPv6":        {Subject{Addr: netip.MustParseAddr("2001:db9::1")}, false},
			"one address":                     {Subject{Addr: netip.MustParseAddr("198.51.100.7")}, true},
			"the address beside":              {Subject{Addr: netip.MustParseAddr("198.51.100.6")}, false},
		} {
			err := s.Judge(x.who)
			var e *ExcludedError
			if errors.As(err, &e) != x.want {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := s.Judge(Subject{Peer: peer(1)}); err == nil || err.Error() != "governance: excluded (spam)" {
			t.Errorf("says %v", err)
		}
		if !s.Withdrawn(HashOf([]byte("song"))) || s.Withdrawn(HashOf([]byte("other"))) {
			t.Error("the wrong content is withdrawn")
		}
	})
}

// An ID may go on after the part that the key makes; it is proven all the same.
func TestAnIDWithMoreBehindItIsExcludedToo(t *testing.T) {
	u := peer(1).Unique()
	longer, err := id.ParsePeer("urn:jxta:" + u[:len(u)-2] + "ABCD03")
	if err != nil {
		t.Fatal(err)
	}
	if !longer.Proves(people[1].SPKI()) || longer == peer(1) {
		t.Fatal("this is no other ID of the key")
	}
	s := judging(t, motion(t, 0, Act{Kind: Exclude, Key: people[1].SPKI()}, people[0]))
	for _, v := range []*verdicts{s.now.Load().verdicts} {
		m, ok := markOf(longer)
		if !ok || len(v.marks[m]) == 0 {
			t.Fatal("not excluded")
		}
	}
	// Zeros at the end of an ID are not printed.
	short, err := id.ParsePeer("urn:jxta:cbid-" + otherWorld + "AABB03")
	if err != nil {
		t.Fatal(err)
	}
	if m, ok := markOf(short); !ok || m != (mark{0xaa, 0xbb}) {
		t.Fatalf("%x, %v", m, ok)
	}
}

func TestAnExclusionBeginsAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		at := now.Sub(noon).Seconds()
		s := judging(t,
			motion(t, at, Act{Kind: Exclude, Peer: peer(1), From: now.Add(time.Minute), Term: time.Hour, Reason: "later"}, people[0]),
			motion(t, at, Act{Kind: Exclude, Peer: peer(1), From: now.Add(30 * time.Minute), Term: 2 * time.Hour, Reason: "longer"}, people[0]))
		for _, x := range []struct {
			after time.Duration
			want  string
		}{{0, ""}, {time.Minute, "later"}, {30 * time.Minute, "longer"}, {61 * time.Minute, "longer"}, {150 * time.Minute, ""}} {
			time.Sleep(time.Until(now.Add(x.after)))
			err := s.Judge(Subject{Peer: peer(1)})
			var e *ExcludedError
			if got := errors.As(err, &e); got != (x.want != "") || got && e.Reason != x.want {
				t.Errorf("after %v: %v", x.after, err)
			}
		}
	})
}

func TestJudgingDoesNotAllocate(t *testing.T) {
	var list []*Motion
	for i := range 100 {
		list = append(list, motion(t, float64(i), Act{Kind: Exclude, Peer: id.NewPeer(id.NetGroup), Key: people[1].SPKI()}, people[0]))
	}
	s := judging(t, list...)
	who := Subject{Peer: peer(3), Key: slices.Clone(people[3].SPKI()), Addr: netip.MustParseAddr("192.0.2.1")}
	if n := testing.AllocsPerRun(100, func() { _ = s.Judge(who) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if bytes.Equal(who.Key, people[1].SPKI()) {
		t.Fatal()
	}
}

func BenchmarkJudge(b *testing.B) {
	var list []*Motion
	for i := range 512 {
		act := Act{Kind: Exclude, Peer: peer(i % 2)}
		if i%4 == 0 {
			act.Range = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 16)
		}
		list = append(list, motion(b, float64(i), act, people[0]))
	}
	s := judging(b, list...)
	for name, who := range map[string]Subject{
		"peer": {Peer: peer(3)}, "peer and address": {Peer: peer(3), Addr: netip.MustParseAddr("192.0.2.1")},
		"peer and key": {Peer: peer(3), Key: people[3].SPKI()}, "excluded": {Peer: peer(1)},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = s.Judge(who)
			}
		})
	}
}
