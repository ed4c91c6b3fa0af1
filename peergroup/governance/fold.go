package governance

import (
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
)

// State is what a charter and a set of motions come to. It must not be changed.
type State struct {
	Moderators []Moderator // in order of appointment
	Quorum     int
	Mode       Mode
	Unsigned   Unsigned

	// Exclusions are those that no Readmit has ended, in order of the acts: in
	// force, still to come, or ended of late; see [Exclusion.At].
	Exclusions []Exclusion

	// Withdrawals are the contents withdrawn, in order of the acts.
	Withdrawals []Withdrawal

	// Proposals are the motions without effect for want of signatures, or because
	// what they ask for cannot be, the first 1024 in order.
	Proposals []*Motion

	effective map[ID]bool
	moderator map[Hash]bool
}

// Exclusion is an [Exclude] in effect.
type Exclusion struct {
	ID          ID
	Act         Act
	By          []Hash // the moderators whose signatures counted
	From, Until time.Time
}

// At reports whether the exclusion is in force at a time.
func (e *Exclusion) At(t time.Time) bool {
	return !t.Before(e.From) && (e.Until.IsZero() || t.Before(e.Until))
}

// Withdrawal is a [Withdraw] in effect.
type Withdrawal struct {
	ID      ID
	Content Hash
	Reason  string
	At      time.Time
	By      []Hash
}

// IsModerator reports whether the key of this hash is a moderator's.
func (s *State) IsModerator(key Hash) bool { return s.moderator[key] }

// InEffect reports whether an act took effect when its turn came.
func (s *State) InEffect(i ID) bool { return s.effective[i] }

// Fold returns what the motions come to under the charter, whatever their order.
// Their signatures must have been verified; whether the signers were moderators
// and were enough is what Fold decides.
func Fold(c *Charter, motions []*Motion) *State {
	list := slices.Clone(motions)
	slices.SortFunc(list, inOrder)
	list = slices.CompactFunc(list, func(a, b *Motion) bool { return a.id == b.id })
	f := folding{charter: c, list: list, void: map[consent]bool{}}
	handled := map[ID]bool{}
	for again := true; again; {
		f.pass()
		again = false
		for _, at := range f.dismissals {
			if !handled[list[at].id] {
				handled[list[at].id] = true
				if again = f.forget(at); again {
					break // what follows may have become another
				}
			}
		}
	}
	return f.finish()
}

// consent is one signature of one act.
type consent struct {
	act ID
	key Hash
}

// folding is the work of Fold.
type folding struct {
	charter *Charter
	list    []*Motion
	void    map[consent]bool

	// of the present pass
	s          *State
	withdrawn  map[Hash]int // index in s.Withdrawals, -1 for reinstated
	excluded   map[ID]int   // index in s.Exclusions
	gone       map[ID]bool  // exclusions ended
	dismissals []int        // indexes of those in effect
}

// forget makes void what a dismissed moderator signed before the dismissal, and
// which it does not keep. It reports whether that changed anything.
func (f *folding) forget(at int) (changed bool) {
	d := &f.list[at].act
	key := HashOf(d.Key)
	kept := make(map[Brief]bool, len(d.Kept))
	for _, k := range d.Kept {
		kept[k] = true
	}
	for _, m := range f.list[:at] {
		if m.hasSigner(key) && !kept[m.id.Brief()] {
			changed = changed || !f.void[consent{m.id, key}]
			f.void[consent{m.id, key}] = true
		}
	}
	return changed
}

// pass folds the list, given what is void.
func (f *folding) pass() {
	c := f.charter
	f.s = &State{
		Moderators: slices.Clone(c.Moderators), Quorum: c.Quorum, Mode: c.Mode, Unsigned: c.Unsigned,
		effective: map[ID]bool{}, moderator: map[Hash]bool{},
	}
	for _, m := range c.Moderators {
		f.s.moderator[m.Hash()] = true
	}
	f.withdrawn, f.excluded, f.gone, f.dismissals = map[Hash]int{}, map[ID]int{}, map[ID]bool{}, nil
	for i, m := range f.list {
		by := f.counted(m)
		if len(by) >= min(f.s.Quorum, len(f.s.Moderators)) && f.apply(i, m, by) {
			f.s.effective[m.id] = true
		}
	}
}

// counted returns the signers who are moderators when the motion's turn comes.
func (f *folding) counted(m *Motion) []Hash {
	var by []Hash
	for _, sig := range m.sigs {
		if f.s.moderator[sig.Key] && !f.void[consent{m.id, sig.Key}] {
			by = append(by, sig.Key)
		}
	}
	return by
}

// apply lets an act take effect, unless what it asks for cannot be.
func (f *folding) apply(i int, m *Motion, by []Hash) bool {
	s, a := f.s, &m.act
	switch a.Kind {
	case Exclude:
		f.excluded[m.id] = len(s.Exclusions)
		s.Exclusions = append(s.Exclusions, Exclusion{ID: m.id, Act: *a, By: by, From: a.begin(), Until: a.Until()})
	case Readmit:
		if _, ok := f.excluded[a.Target]; !ok {
			return false
		}
		f.gone[a.Target] = true
	case Withdraw:
		if at, ok := f.withdrawn[a.Content]; ok && at >= 0 {
			return true // it is withdrawn already
		}
		f.withdrawn[a.Content] = len(s.Withdrawals)
		s.Withdrawals = append(s.Withdrawals, Withdrawal{m.id, a.Content, a.Reason, a.Time, by})
	case Reinstate:
		at, ok := f.withdrawn[a.Content]
		if !ok || at < 0 {
			return false
		}
		s.Withdrawals[at].Content = Hash{}
		f.withdrawn[a.Content] = -1
	case Appoint:
		mod := Moderator{Key: a.Key, Peer: id.PeerFromKey(a.Key)}
		if s.moderator[mod.Hash()] || len(s.Moderators) >= MaxSigners {
			return false
		}
		s.moderator[mod.Hash()] = true
		s.Moderators = append(s.Moderators, mod)
	case Dismiss:
		key := HashOf(a.Key)
		if !s.moderator[key] || len(s.Moderators) <= f.charter.least() {
			return false
		}
		delete(s.moderator, key)
		s.Moderators = slices.DeleteFunc(s.Moderators, func(m Moderator) bool { return m.Hash() == key })
		s.Quorum = min(s.Quorum, len(s.Moderators))
		f.dismissals = append(f.dismissals, i)
	case SetQuorum:
		if a.Quorum < f.charter.least() || a.Quorum > len(s.Moderators) {
			return false
		}
		s.Quorum = a.Quorum
	}
	return true
}

// finish drops what ended and lists what had no effect.
func (f *folding) finish() *State {
	s := f.s
	s.Exclusions = slices.DeleteFunc(s.Exclusions, func(e Exclusion) bool { return f.gone[e.ID] })
	s.Withdrawals = slices.DeleteFunc(s.Withdrawals, func(w Withdrawal) bool { return w.Content.IsZero() })
	for _, m := range f.list {
		if !s.effective[m.id] && len(s.Proposals) < maxProposals {
			s.Proposals = append(s.Proposals, m)
		}
	}
	return s
}
