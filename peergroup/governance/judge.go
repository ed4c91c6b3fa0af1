package governance

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"crypto/sha1" // JXTA makes IDs so

	"github.com/juxta-p2p/juxta/core/id"
)

// Subject is whom or what a message comes from, as far as it is known.
type Subject struct {
	Peer id.Peer    // zero if unknown
	Key  []byte     // public key (SubjectPublicKeyInfo) or its SHA-256, 32 octets; nil if unknown
	Addr netip.Addr // zero if unknown
}

// ExcludedError says that a subject is excluded.
type ExcludedError struct {
	ID     ID
	Reason string
	Until  time.Time // zero: for ever
}

// Error implements error.
func (e *ExcludedError) Error() string {
	s := "governance: excluded"
	if !e.Until.IsZero() {
		s += " until " + e.Until.UTC().Format(time.RFC3339)
	}
	if e.Reason != "" {
		s += fmt.Sprintf(" (%s)", e.Reason)
	}
	return s
}

// mark is the part of a peer ID that is made of a key, and the same in the IDs
// of every group: the first octets of the SHA-1 of the key.
type mark [16]byte

// markOf returns the mark of a peer ID, if it is made of a key. What follows the
// mark in the ID does not count, as in proving it.
func markOf(p id.Peer) (m mark, ok bool) {
	if !p.Provable() {
		return m, false
	}
	const from = len("cbid-") + 2*len(mark{})
	u := p.Unique()
	if len(u) < from+2 {
		return m, true // the rest are zeros, which are not printed
	}
	text := u[from : len(u)-2]
	if len(text) > 2*len(m) {
		text = text[:2*len(m)]
	}
	var b [2 * len(mark{})]byte
	copy(b[:], text)
	_, err := hex.Decode(m[:], b[:len(text)])
	return m, err == nil
}

func markOfKey(spki []byte) (m mark) {
	sum := sha1.Sum(spki) // see above
	copy(m[:], sum[:])
	return m
}

// verdicts answer whether somebody is excluded, from tables that never change.
type verdicts struct {
	peers     map[id.Peer][]*Exclusion
	marks     map[mark][]*Exclusion
	keys      map[Hash][]*Exclusion
	ranges    map[netip.Prefix][]*Exclusion
	lengths4  []int // of the ranges, each once
	lengths6  []int
	withdrawn map[Hash]bool
}

func newVerdicts(s *State) *verdicts {
	v := &verdicts{
		peers: map[id.Peer][]*Exclusion{}, marks: map[mark][]*Exclusion{}, keys: map[Hash][]*Exclusion{},
		ranges: map[netip.Prefix][]*Exclusion{}, withdrawn: map[Hash]bool{},
	}
	for i := range s.Exclusions {
		e := &s.Exclusions[i]
		if p := e.Act.Peer; !p.IsZero() {
			if m, ok := markOf(p); ok {
				v.marks[m] = append(v.marks[m], e)
			} else {
				v.peers[p] = append(v.peers[p], e)
			}
		}
		if k := e.Act.Key; k != nil {
			m, h := markOfKey(k), HashOf(k)
			v.marks[m] = append(v.marks[m], e)
			v.keys[h] = append(v.keys[h], e)
		}
		if r := e.Act.Range; r.IsValid() {
			v.ranges[r] = append(v.ranges[r], e)
			if r.Addr().Is4() {
				v.lengths4 = append(v.lengths4, r.Bits())
			} else {
				v.lengths6 = append(v.lengths6, r.Bits())
			}
		}
	}
	for _, l := range []*[]int{&v.lengths4, &v.lengths6} {
		slices.Sort(*l)
		*l = slices.Compact(*l)
	}
	for _, w := range s.Withdrawals {
		v.withdrawn[w.Content] = true
	}
	return v
}

// of returns the exclusion in force of a subject, or nil.
func (v *verdicts) of(s Subject) *Exclusion {
	if len(v.peers) > 0 && !s.Peer.IsZero() {
		if e := inForce(v.peers[s.Peer]); e != nil {
			return e
		}
	}
	if len(v.marks) > 0 {
		if m, ok := markOf(s.Peer); ok {
			if e := inForce(v.marks[m]); e != nil {
				return e
			}
		}
		if e := v.ofKey(s.Key); e != nil {
			return e
		}
	}
	if len(v.ranges) > 0 && s.Addr.IsValid() {
		return v.ofAddr(s.Addr.Unmap().WithZone(""))
	}
	return nil
}

func (v *verdicts) ofKey(key []byte) *Exclusion {
	switch len(key) {
	case 0:
		return nil
	case len(Hash{}):
		return inForce(v.keys[Hash(key)])
	}
	return inForce(v.marks[markOfKey(key)])
}

func (v *verdicts) ofAddr(a netip.Addr) *Exclusion {
	lengths := v.lengths4
	if a.Is6() {
		lengths = v.lengths6
	}
	for _, bits := range lengths {
		p, err := a.Prefix(bits)
		if err != nil {
			continue
		}
		if e := inForce(v.ranges[p]); e != nil {
			return e
		}
	}
	return nil
}

// inForce returns the exclusion of a list that is in force now, that which ends
// last, or nil. The clock is read only if there is one.
func inForce(list []*Exclusion) (longest *Exclusion) {
	if len(list) == 0 {
		return nil
	}
	now := time.Now()
	for _, e := range list {
		switch {
		case !e.At(now):
		case e.Until.IsZero():
			return e
		case longest == nil || e.Until.After(longest.Until):
			longest = e
		}
	}
	return longest
}

// Judge returns an [*ExcludedError] if the subject is excluded now, by peer ID,
// key or address; what is zero in it is not looked at. It takes no lock and is
// meant to be called for each message.
func (s *Service) Judge(who Subject) error {
	s.stats.judged.Add(1)
	e := s.now.Load().verdicts.of(who)
	if e == nil {
		return nil
	}
	s.stats.shut.Add(1)
	return &ExcludedError{ID: e.ID, Reason: e.Act.Reason, Until: e.Until}
}

// JudgesAddresses reports whether there is an exclusion of addresses, so that who
// asks [Service.Judge] should find out about them.
func (s *Service) JudgesAddresses() bool { return len(s.now.Load().verdicts.ranges) > 0 }

// Withdrawn reports whether the content of this hash is withdrawn.
func (s *Service) Withdrawn(content Hash) bool { return s.now.Load().verdicts.withdrawn[content] }
