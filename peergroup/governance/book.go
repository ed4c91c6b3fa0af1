package governance

import (
	"cmp"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"
)

// book is the set of motions that a member keeps. Two books that have been
// offered the same motions keep the same, in whatever order they came: what is
// kept of an author is the first in the order of the fold, and whose motions are
// kept follows from the motions themselves. It is not safe for concurrent use.
type book struct {
	charter *Charter
	motions map[ID]*Motion
	keys    map[Hash]crypto.PublicKey // whose motions and signatures are kept
	authors map[Hash]int              // how many motions of each

	sorted  []*Motion // in order of the fold; nil if to be made again
	digests *digests  // nil if to be made again
}

// digests tell two books apart: each is a hash of IDs and signers.
type digests struct {
	root    Hash
	buckets [buckets][8]byte
}

func newBook(c *Charter) *book {
	b := &book{charter: c, motions: map[ID]*Motion{}, authors: map[Hash]int{}}
	b.admit()
	return b
}

// admit finds out whose motions are kept: the moderators of the charter's, and
// those of every key that enough of them, or of those found so far, ask to
// appoint, whether or not that takes effect. This can only grow but for the
// bound, so that what one member keeps every other one keeps.
func (b *book) admit() {
	keys := make(map[Hash]crypto.PublicKey, len(b.charter.Moderators))
	for _, m := range b.charter.Moderators {
		keys[m.Hash()] = publicKey(m.Key)
	}
	var appointments []*Motion
	for _, m := range b.motions {
		if m.act.Kind == Appoint {
			appointments = append(appointments, m)
		}
	}
	slices.SortFunc(appointments, inOrder)
	for found := true; found; {
		found = false
		for _, m := range appointments {
			k := HashOf(m.act.Key)
			if _, ok := keys[k]; ok || len(keys) >= MaxSigners {
				continue
			}
			n := 0
			for _, s := range m.sigs {
				if keys[s.Key] != nil {
					n++
				}
			}
			if keys[m.act.Author] != nil && n >= b.charter.least() {
				keys[k] = publicKey(m.act.Key)
				found = true
			}
		}
	}
	b.keys = keys
}

// add takes a motion, or the signatures of a known one, that are in order. It
// reports whether the book has changed, and what was refused.
func (b *book) add(m *Motion, now time.Time) (changed bool, err error) {
	switch {
	case m.act.Group != b.charter.Group:
		return false, fmt.Errorf("act %s: %w", m.id.Short(), ErrGroup)
	case m.act.Time.After(now.Add(Tolerance)):
		return false, fmt.Errorf("act %s: %w", m.id.Short(), ErrFuture)
	case m.act.forgotten(now):
		return false, fmt.Errorf("act %s: %w", m.id.Short(), ErrExpired)
	case b.keys[m.act.Author] == nil:
		return false, fmt.Errorf("act %s: the author is %w", m.id.Short(), ErrNotModerator)
	}
	known := b.motions[m.id]
	if known == nil && !m.hasSigner(m.act.Author) {
		return false, fmt.Errorf("act %s: not signed by its author: %w", m.id.Short(), ErrSignature)
	}
	var fresh []Signature
	for _, s := range m.sigs {
		key := b.keys[s.Key]
		switch {
		case key == nil:
			err = cmp.Or(err, fmt.Errorf("act %s: a signer is %w", m.id.Short(), ErrNotModerator))
			continue
		case known != nil && known.hasSigner(s.Key):
			continue
		}
		if bad := m.verify(s, key); bad != nil {
			return false, fmt.Errorf("act %s: %w", m.id.Short(), bad)
		}
		fresh = append(fresh, s)
	}
	if len(fresh) == 0 {
		return false, err
	}
	if known == nil {
		if b.authors[m.act.Author] >= MaxActs {
			if err := b.makeRoom(m); err != nil {
				return false, err
			}
		}
		b.authors[m.act.Author]++
		known = &Motion{id: m.id, act: m.act, doc: m.doc}
	}
	b.motions[m.id] = known.with(fresh...)
	b.sorted, b.digests = nil, nil
	if m.act.Kind == Appoint {
		b.admit()
		b.prune(func(o *Motion) bool { return b.keys[o.act.Author] != nil })
	}
	return true, err
}

// makeRoom drops the last motion of an author who has too many, unless m is later still.
func (b *book) makeRoom(m *Motion) error {
	var last *Motion
	for _, o := range b.motions {
		if o.act.Author == m.act.Author && (last == nil || inOrder(o, last) > 0) {
			last = o
		}
	}
	if last == nil || inOrder(m, last) > 0 {
		return fmt.Errorf("act %s: %w", m.id.Short(), ErrFull)
	}
	b.drop(last)
	return nil
}

func (b *book) drop(m *Motion) {
	delete(b.motions, m.id)
	if b.authors[m.act.Author]--; b.authors[m.act.Author] <= 0 {
		delete(b.authors, m.act.Author)
	}
	b.sorted, b.digests = nil, nil
}

// prune drops the motions that are not to be kept and reports whether there were any.
func (b *book) prune(keep func(*Motion) bool) bool {
	n := len(b.motions)
	for _, m := range b.motions {
		if !keep(m) {
			b.drop(m)
		}
	}
	return len(b.motions) != n
}

// expire drops what ended long ago.
func (b *book) expire(now time.Time) bool {
	return b.prune(func(m *Motion) bool { return !m.act.forgotten(now) })
}

// list returns the motions in the order of the fold; it must not be changed.
func (b *book) list() []*Motion {
	if b.sorted == nil {
		b.sorted = make([]*Motion, 0, len(b.motions))
		for _, m := range b.motions {
			b.sorted = append(b.sorted, m)
		}
		slices.SortFunc(b.sorted, inOrder)
	}
	return b.sorted
}

// digest returns the digests of the book.
func (b *book) digest() *digests {
	if b.digests != nil {
		return b.digests
	}
	d := new(digests)
	root := sha256.New()
	for n, list := range b.byBucket() {
		if len(list) == 0 {
			continue
		}
		h := sha256.New()
		for _, m := range list {
			h.Write(m.id[:])
			s := m.stamp()
			h.Write(s[:])
		}
		sum := h.Sum(nil)
		copy(d.buckets[n][:], sum)
		root.Write([]byte{byte(n)})
		root.Write(sum)
	}
	d.root = Hash(root.Sum(nil))
	b.digests = d
	return d
}

// byBucket returns the motions by the first octet of their ID, each list in order of ID.
func (b *book) byBucket() (all [buckets][]*Motion) {
	for _, m := range b.motions {
		all[m.id[0]] = append(all[m.id[0]], m)
	}
	for _, list := range all {
		slices.SortFunc(list, func(x, y *Motion) int { return slices.Compare(x.id[:], y.id[:]) })
	}
	return all
}

// refusal sorts an error of add for the counters.
func (c *counters) refused(err error) {
	switch {
	case errors.Is(err, ErrSignature):
		c.badSignature.Add(1)
	case errors.Is(err, ErrNotModerator):
		c.unknownModerator.Add(1)
	case errors.Is(err, ErrGroup):
		c.otherGroup.Add(1)
	case errors.Is(err, ErrFuture):
		c.future.Add(1)
	case errors.Is(err, ErrExpired):
		c.expired.Add(1)
	case errors.Is(err, ErrFull):
		c.full.Add(1)
	case errors.Is(err, ErrTooLarge):
		c.tooLarge.Add(1)
	default:
		c.malformed.Add(1)
	}
}
