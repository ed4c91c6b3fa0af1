package governance

import (
	"fmt"

	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// protocol is how members compare their motions and give each other those that
// one of them lacks. To the whole group it is no question but tells of a new
// motion.
var protocol = resolver.Define[*question, *answer]("juxta.governance")

// entry is one motion as it stands in a comparison.
type entry struct {
	id    Brief
	stamp [8]byte // of its signers
}

const entrySize = len(entry{}.id) + len(entry{}.stamp)

// question asks for what differs. With Buckets it holds what the asker has in
// these; with Motions it gives something.
type question struct {
	Charter Hash
	Root    Hash
	Buckets []byte // by number
	Entries []entry
	Motions []carried
}

// Map implements [xmldoc.Document].
func (q *question) Map(m *xmldoc.Mapper) {
	m.Root("juxta:GovernanceQuery")
	m.Value("Charter", &q.Charter)
	m.OptionalValue("Root", &q.Root)
	list, entries := octets(q.Buckets), octets(joinEntries(q.Entries))
	m.OptionalValue("Buckets", &list)
	m.OptionalValue("Entries", &entries)
	xmldoc.EachEmbed(m, maxMotions, &q.Motions)
	if !m.Reading() || m.Err() != nil {
		return
	}
	var err error
	if q.Buckets = list; len(list) > buckets {
		m.Fail(fmt.Errorf("buckets: %w", ErrTooLarge))
	}
	if q.Entries, err = cutEntries(entries); err != nil {
		m.Fail(err)
	}
}

// answer tells what the one who was asked has. Digests are those of all buckets,
// if no buckets were asked for and the roots differ.
type answer struct {
	Charter Hash
	Root    Hash
	Digests []byte
	Motions []carried // that the asker lacks
	Wanted  []Brief   // that the answerer lacks
}

// Map implements [xmldoc.Document].
func (a *answer) Map(m *xmldoc.Mapper) {
	m.Root("juxta:GovernanceAnswer")
	m.Value("Charter", &a.Charter)
	m.Value("Root", &a.Root)
	digests, wanted := octets(a.Digests), octets(joinBriefs(a.Wanted))
	m.OptionalValue("Digests", &digests)
	m.OptionalValue("Wanted", &wanted)
	xmldoc.EachEmbed(m, maxMotions, &a.Motions)
	if !m.Reading() || m.Err() != nil {
		return
	}
	var err error
	if a.Digests = digests; len(digests) != 0 && len(digests) != buckets*8 {
		m.Fail(fmt.Errorf("%w digests", ErrMalformed))
	}
	if a.Wanted, err = cutBriefs(wanted); err != nil {
		m.Fail(err)
	} else if len(a.Wanted) > maxEntries {
		m.Fail(fmt.Errorf("wanted acts: %w", ErrTooLarge))
	}
}

func joinEntries(list []entry) []byte {
	b := make([]byte, 0, len(list)*entrySize)
	for _, e := range list {
		b = append(append(b, e.id[:]...), e.stamp[:]...)
	}
	return b
}

func cutEntries(b []byte) ([]entry, error) {
	if len(b)%entrySize != 0 {
		return nil, fmt.Errorf("%w entries", ErrMalformed)
	}
	if len(b) > maxEntries*entrySize {
		return nil, fmt.Errorf("entries: %w", ErrTooLarge)
	}
	var list []entry
	for ; len(b) > 0; b = b[entrySize:] {
		list = append(list, entry{Brief(b[:16]), [8]byte(b[16:entrySize])})
	}
	return list, nil
}

// reply is what a book has to say to a question, without what the question gives.
func (b *book) reply(q *question) *answer {
	d := b.digest()
	a := &answer{Charter: b.charter.Hash(), Root: d.root}
	if len(q.Buckets) == 0 {
		if q.Root != d.root && !q.Root.IsZero() {
			a.Digests = make([]byte, 0, buckets*8)
			for _, s := range d.buckets {
				a.Digests = append(a.Digests, s[:]...)
			}
		}
		return a
	}
	theirs := make(map[Brief][8]byte, len(q.Entries))
	for _, e := range q.Entries {
		theirs[e.id] = e.stamp
	}
	var give []*Motion
	all := b.byBucket()
	var asked [buckets]bool
	for _, n := range q.Buckets {
		if asked[n] {
			continue
		}
		asked[n] = true
		for _, m := range all[n] {
			stamp, ok := theirs[m.id.Brief()]
			delete(theirs, m.id.Brief())
			if ok && stamp == m.stamp() {
				continue
			}
			give = append(give, m)
			if ok {
				a.Wanted = append(a.Wanted, m.id.Brief())
			}
		}
	}
	for k := range theirs {
		a.Wanted = append(a.Wanted, k)
	}
	if len(a.Wanted) > maxEntries {
		a.Wanted = a.Wanted[:maxEntries]
	}
	a.Motions = fit(give)
	return a
}

// compare is what a book asks for when another's digests are these: the entries
// of the first buckets that differ, as many as fit. It is nil if none differs.
func (b *book) compare(digests []byte) *question {
	if len(digests) != buckets*8 {
		return nil
	}
	d, all := b.digest(), b.byBucket()
	q := &question{Charter: b.charter.Hash(), Root: d.root}
	for n := range buckets {
		if [8]byte(digests[n*8:n*8+8]) == d.buckets[n] {
			continue
		}
		if len(q.Buckets) > 0 && len(q.Entries)+len(all[n]) > maxEntries/2 {
			break
		}
		q.Buckets = append(q.Buckets, byte(n))
		for _, m := range all[n] {
			if len(q.Entries) < maxEntries {
				q.Entries = append(q.Entries, entry{m.id.Brief(), m.stamp()})
			}
		}
	}
	if len(q.Buckets) == 0 {
		return nil
	}
	return q
}

// named returns the motions of a list of names.
func (b *book) named(list []Brief) (found []*Motion) {
	want := make(map[Brief]bool, len(list))
	for _, k := range list {
		want[k] = true
	}
	for _, m := range b.list() {
		if want[m.id.Brief()] {
			found = append(found, m)
		}
	}
	return found
}

// fit returns as many of the motions as one message takes: appointments first,
// since they tell whose others are to be kept, else in order.
func fit(list []*Motion) (some []carried) {
	size := 0
	for _, first := range []bool{true, false} {
		for _, m := range list {
			if (m.act.Kind == Appoint) != first {
				continue
			}
			size += m.size()
			if len(some) == maxMotions || len(some) > 0 && size > maxMotionOctets {
				return some
			}
			some = append(some, carried{Motion: *m})
		}
	}
	return some
}
