package governance

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/juxta-p2p/juxta/core/identity"
)

func TestAnActNeedsTheQuorum(t *testing.T) {
	c := charter(t, 3, 2)
	m := motion(t, 1, Act{Kind: Exclude, Peer: peer(5), Reason: "spam"}, people[0])
	s := folded(t, c, m)
	if len(s.Exclusions) != 0 || len(s.Proposals) != 1 || s.InEffect(m.ID()) {
		t.Fatalf("one signature of two needed: %+v", s)
	}
	// A second signature of the same moderator is none.
	again, err := m.Sign(people[0])
	if err != nil {
		t.Fatal(err)
	}
	if s = folded(t, c, m, again); len(s.Exclusions) != 0 {
		t.Fatal("one moderator signed twice and was counted twice")
	}
	both, err := m.Sign(people[2])
	if err != nil {
		t.Fatal(err)
	}
	s = folded(t, c, m, both)
	if len(s.Exclusions) != 1 || !s.InEffect(m.ID()) || len(s.Proposals) != 0 || len(s.Exclusions[0].By) != 2 {
		t.Fatalf("two signatures of two needed: %+v", s)
	}
}

func TestSignaturesOfOthersDoNotCount(t *testing.T) {
	c := charter(t, 2, 2)
	b := newBook(c)
	m := motion(t, 1, Act{Kind: Exclude, Peer: peer(5)}, people[0], people[4], people[5])
	if changed, err := b.add(m, noon.Add(time.Hour)); !changed || !errors.Is(err, ErrNotModerator) {
		t.Fatalf("changed %v, error %v", changed, err)
	}
	if got := b.motions[m.id].Signers(); len(got) != 1 || got[0] != HashOf(people[0].SPKI()) {
		t.Fatalf("kept the signatures of %v", got)
	}
	if s := Fold(c, b.list()); len(s.Exclusions) != 0 {
		t.Fatal("strangers made up the quorum")
	}
	if _, err := b.add(motion(t, 2, Act{Kind: Exclude, Peer: peer(0)}, people[5]), noon.Add(time.Hour)); !errors.Is(err, ErrNotModerator) {
		t.Fatalf("an act of a stranger: %v", err)
	}
	// Nobody makes himself a moderator, and nobody can be made one by one alone.
	if _, err := b.add(motion(t, 3, Act{Kind: Appoint, Key: people[5].SPKI()}, people[5], people[5]), noon.Add(time.Hour)); !errors.Is(err, ErrNotModerator) {
		t.Fatalf("appointing himself: %v", err)
	}
	enter(t, b, motion(t, 4, Act{Kind: Appoint, Key: people[5].SPKI()}, people[0]))
	if _, err := b.add(motion(t, 5, Act{Kind: Exclude, Peer: peer(1)}, people[5]), noon.Add(time.Hour)); !errors.Is(err, ErrNotModerator) {
		t.Fatalf("an act of one who was only proposed: %v", err)
	}
}

func TestForgeriesAreRefused(t *testing.T) {
	c := charter(t, 2, 1)
	good := motion(t, 1, Act{Kind: Exclude, Peer: peer(5)}, people[0])
	altered, err := readAct([]byte(replaced(t, string(good.doc), string(peer(5).String()), peer(6).String())))
	if err != nil {
		t.Fatal(err)
	}
	altered.sigs = good.sigs
	signedByOther := *good
	signedByOther.sigs = []Signature{{HashOf(people[1].SPKI()), good.sigs[0].Value}}
	bothButOneWrong := good.with(Signature{HashOf(people[1].SPKI()), good.sigs[0].Value})
	act := good.act
	act.Random = [16]byte{1}
	elsewhere, err := NewMotion(other, people[0], act, act.Random, noon)
	if err != nil {
		t.Fatal(err)
	}
	unsigned := *good
	unsigned.sigs = nil
	// The signature of one purpose must not serve another.
	plain, err := people[0].Sign(good.doc)
	if err != nil {
		t.Fatal(err)
	}
	bare := *good
	bare.sigs = []Signature{{HashOf(people[0].SPKI()), plain}}
	for name, x := range map[string]struct {
		m    *Motion
		want error
	}{
		"altered": {altered, ErrSignature}, "signature of another key": {&signedByOther, ErrSignature},
		"one of two is wrong": {bothButOneWrong, ErrSignature}, "unsigned": {&unsigned, ErrSignature},
		"without context": {&bare, ErrSignature}, "another group": {elsewhere, ErrGroup},
		"future":  {motion(t, 3600+121, Act{Kind: Exclude, Peer: peer(5)}, people[0]), ErrFuture},
		"expired": {motion(t, -25*3600, Act{Kind: Exclude, Peer: peer(5), Term: time.Minute}, people[0]), ErrExpired},
	} {
		b := newBook(c)
		if changed, err := b.add(x.m, noon.Add(time.Hour)); changed || !errors.Is(err, x.want) || len(b.motions) != 0 {
			t.Errorf("%s: changed %v, error %v, want %v", name, changed, err, x.want)
		}
	}
	b := newBook(c)
	if _, err := b.add(motion(t, 3600+119, Act{Kind: Exclude, Peer: peer(5)}, people[0]), noon.Add(time.Hour)); err != nil {
		t.Errorf("an act within the tolerance: %v", err)
	}
}

func TestModeratorsChange(t *testing.T) {
	c := charter(t, 2, 1)
	appoint := motion(t, 10, Act{Kind: Appoint, Key: people[3].SPKI()}, people[0])
	before := motion(t, 5, Act{Kind: Exclude, Peer: peer(5)}, people[3])
	after := motion(t, 11, Act{Kind: Exclude, Peer: peer(6)}, people[3])
	s := folded(t, c, appoint, before, after)
	if s.InEffect(before.id) || !s.InEffect(after.id) || !s.IsModerator(HashOf(people[3].SPKI())) || len(s.Moderators) != 3 {
		t.Fatalf("acts before %v, after the appointment %v", s.InEffect(before.id), s.InEffect(after.id))
	}
	dismiss := motion(t, 20, Act{Kind: Dismiss, Key: people[3].SPKI(), Kept: []Brief{after.id.Brief()}}, people[1])
	late := motion(t, 21, Act{Kind: Exclude, Peer: peer(7)}, people[3])
	backdated := motion(t, 12, Act{Kind: Exclude, Peer: peer(1)}, people[3])
	s = folded(t, c, appoint, after, dismiss, late, backdated)
	if !s.InEffect(after.id) || s.InEffect(late.id) || s.InEffect(backdated.id) {
		t.Fatalf("of the dismissed: kept %v, later %v, backdated %v", s.InEffect(after.id), s.InEffect(late.id), s.InEffect(backdated.id))
	}
	// What others have signed too stays.
	cosigned, err := backdated.Sign(people[0])
	if err != nil {
		t.Fatal(err)
	}
	if s = folded(t, c, appoint, dismiss, cosigned); !s.InEffect(backdated.id) {
		t.Fatal("an act is void though a moderator in office has signed it")
	}
	// An appointee of the dismissed falls with the appointment.
	friend := motion(t, 13, Act{Kind: Appoint, Key: people[4].SPKI()}, people[3])
	byFriend := motion(t, 14, Act{Kind: Dismiss, Key: people[0].SPKI()}, people[4])
	s = folded(t, c, appoint, dismiss, friend, byFriend)
	if s.IsModerator(HashOf(people[4].SPKI())) || !s.IsModerator(HashOf(people[0].SPKI())) {
		t.Fatal("a dismissed moderator appointed somebody in the past")
	}
}

func TestTheLastModeratorsStay(t *testing.T) {
	c := charter(t, 3, 2)
	first := motion(t, 1, Act{Kind: Dismiss, Key: people[2].SPKI()}, people[0], people[1])
	second := motion(t, 2, Act{Kind: Dismiss, Key: people[1].SPKI()}, people[0], people[1])
	alone := motion(t, 3, Act{Kind: SetQuorum, Quorum: 1}, people[0], people[1])
	tooMany := motion(t, 4, Act{Kind: SetQuorum, Quorum: 3}, people[0], people[1])
	s := folded(t, c, first, second, alone, tooMany)
	if len(s.Moderators) != 2 || s.Quorum != 2 {
		t.Fatalf("%d moderators, quorum %d", len(s.Moderators), s.Quorum)
	}
}

func TestExclusionsAndWithdrawalsEnd(t *testing.T) {
	c := charter(t, 1, 1)
	x := motion(t, 1, Act{Kind: Exclude, Peer: peer(5), Term: time.Hour}, people[0])
	y := motion(t, 2, Act{Kind: Exclude, Peer: peer(5)}, people[0])
	readmit := motion(t, 3, Act{Kind: Readmit, Target: x.id}, people[0])
	song := HashOf([]byte("song"))
	w := motion(t, 4, Act{Kind: Withdraw, Content: song, Reason: "rights"}, people[0])
	back := motion(t, 5, Act{Kind: Reinstate, Content: song}, people[0])
	again := motion(t, 6, Act{Kind: Withdraw, Content: song}, people[0])
	later := motion(t, 8, Act{Kind: "decorate"}, people[0])
	s := folded(t, c, x, y, readmit, w)
	if len(s.Exclusions) != 1 || s.Exclusions[0].ID != y.id || len(s.Withdrawals) != 1 {
		t.Fatalf("%+v", s)
	}
	if s = folded(t, c, w, back); len(s.Withdrawals) != 0 {
		t.Fatal("reinstated content is withdrawn")
	}
	if s = folded(t, c, back, w, again, later); len(s.Withdrawals) != 1 || s.Withdrawals[0].ID != again.id {
		t.Fatalf("%+v", s)
	}
	if at := s.Exclusions; len(at) != 0 {
		t.Fatal(at)
	}
	e := folded(t, c, x).Exclusions[0]
	for d, want := range map[time.Duration]bool{0: false, time.Second: true, time.Hour: true, time.Hour + time.Second: false} {
		if e.At(noon.Add(d)) != want {
			t.Errorf("in force %v after noon: %v", d, !want)
		}
	}
}

func TestAnAuthorCannotCrowdOut(t *testing.T) {
	c := charter(t, 2, 1)
	b := newBook(c)
	mine := motion(t, 0, Act{Kind: Exclude, Peer: peer(5)}, people[0])
	enter(t, b, mine)
	for i := range MaxActs {
		enter(t, b, motion(t, float64(i+1), Act{Kind: Exclude, Peer: peer(6)}, people[1]))
	}
	late := motion(t, MaxActs+5, Act{Kind: Exclude, Peer: peer(6)}, people[1])
	if changed, err := b.add(late, noon.Add(time.Hour)); changed || !errors.Is(err, ErrFull) {
		t.Fatalf("changed %v, error %v", changed, err)
	}
	early := motion(t, 0.5, Act{Kind: Exclude, Peer: peer(7)}, people[1])
	enter(t, b, early)
	if len(b.motions) != MaxActs+1 || b.motions[mine.id] == nil || b.motions[early.id] == nil {
		t.Fatalf("%d motions", len(b.motions))
	}
}

// history draws motions in which moderators come and go, some of them with
// quorum and some without, of everybody and at any time.
func history(t *rapid.T) (*Charter, []*Motion) {
	n := rapid.IntRange(1, 4).Draw(t, "moderators")
	c := Charter{Group: crew, Quorum: rapid.IntRange(1, n).Draw(t, "quorum")}
	for _, p := range people[:n] {
		c.Moderators = append(c.Moderators, ModeratorOf(p))
	}
	signed, err := c.Sign(people[0])
	if err != nil {
		t.Fatal(err)
	}
	var list []*Motion
	someone := rapid.SampledFrom(people[:6])
	for range rapid.IntRange(1, 14).Draw(t, "motions") {
		act := Act{Kind: rapid.SampledFrom([]Kind{Exclude, Readmit, Withdraw, Reinstate, Appoint, Dismiss, Dismiss, Appoint, SetQuorum}).Draw(t, "kind")}
		switch act.Kind {
		case Exclude:
			act.Peer = someone.Draw(t, "whom").Peer()
		case Readmit:
			act.Target = ID{1}
			if len(list) > 0 {
				act.Target = rapid.SampledFrom(list).Draw(t, "target").id
			}
		case Withdraw, Reinstate:
			act.Content = HashOf([]byte{byte(rapid.IntRange(0, 1).Draw(t, "content"))})
		case Appoint, Dismiss:
			act.Key = someone.Draw(t, "whom").SPKI()
			for _, m := range list {
				if act.Kind == Dismiss && rapid.Bool().Draw(t, "kept") {
					act.Kept = append(act.Kept, m.id.Brief())
				}
			}
		case SetQuorum:
			act.Quorum = rapid.IntRange(1, 4).Draw(t, "quorum")
		}
		by := rapid.SliceOfNDistinct(someone, 1, 4, func(i *identity.Identity) string { return i.String() }).Draw(t, "signers")
		list = append(list, motion(t, float64(rapid.IntRange(0, 8).Draw(t, "time")), act, by...))
	}
	return signed, list
}

// describe is everything a state says.
func describe(s *State) string {
	out := fmt.Sprint(s.Quorum, s.Mode)
	for _, m := range s.Moderators {
		out += " " + m.Hash().Short()
	}
	for _, e := range s.Exclusions {
		out += fmt.Sprint(" excluded ", e.ID, e.By, e.From)
	}
	for _, w := range s.Withdrawals {
		out += fmt.Sprint(" withdrawn ", w.ID, w.Content, w.By)
	}
	for _, p := range s.Proposals {
		out += fmt.Sprint(" proposed ", p.ID(), p.Signers())
	}
	return out
}

// exchange lets two books compare until neither learns, as two members do.
func exchange(t interface {
	Helper()
	Fatal(...any)
}, a, b *book, now time.Time) {
	t.Helper()
	give := func(to *book, list []carried) (learned int) {
		for i := range list {
			if changed, _ := to.add(&list[i].Motion, now); changed {
				learned++
			}
		}
		return learned
	}
	for range 100 {
		r := b.reply(&question{Root: a.digest().root})
		if r.Root == a.digest().root {
			return
		}
		q := a.compare(r.Digests)
		if q == nil {
			t.Fatal("roots differ, buckets do not")
		}
		r = b.reply(q)
		if give(a, r.Motions)+give(b, fit(a.named(r.Wanted))) == 0 {
			t.Fatal("the books differ and neither takes anything from the other")
		}
	}
	t.Fatal("no end")
}

func TestTheStateDoesNotDependOnTheOrderOfArrival(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, list := history(t)
		now := noon.Add(time.Hour)
		chance := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 1))
		whole := newBook(c)
		// Signatures come one by one, everything several times.
		for range 4 {
			for _, m := range list {
				_, _ = whole.add(m, now)
			}
		}
		want := describe(Fold(c, whole.list()))
		halves := []*book{newBook(c), newBook(c)}
		for _, m := range list {
			for _, s := range m.sigs {
				part := *m
				part.sigs = nil
				own, _ := slices.BinarySearchFunc(m.sigs, Signature{Key: m.act.Author}, bySigner)
				one := part.with(m.sigs[own], s)
				side := chance.IntN(3)
				if side != 0 {
					_, _ = halves[0].add(one, now)
				}
				if side != 1 {
					_, _ = halves[1].add(one, now)
				}
			}
		}
		chance.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		for range 3 { // what was refused since an appointment was missing is offered again
			exchange(t, halves[0], halves[1], now)
			for _, m := range list {
				_, _ = halves[0].add(m, now)
			}
		}
		exchange(t, halves[0], halves[1], now)
		for i, h := range halves {
			if got := describe(Fold(c, h.list())); got != want {
				t.Fatalf("half %d:\n got %s\nwant %s", i, got, want)
			}
		}
		shuffled := slices.Clone(whole.list())
		chance.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if got := describe(Fold(c, shuffled)); got != want {
			t.Fatalf("shuffled:\n got %s\nwant %s", got, want)
		}
	})
}

func BenchmarkFold(b *testing.B) {
	c := charter(b, 2, 1)
	var list []*Motion
	for i := range 1000 {
		list = append(list, motion(b, float64(i), Act{Kind: Exclude, Peer: peer(5)}, people[i%2]))
	}
	b.ReportAllocs()
	for b.Loop() {
		Fold(c, list)
	}
}
