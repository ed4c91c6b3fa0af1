package identity

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

var (
	// ErrLoop is the cause if a hand-over leads back to a peer that went before.
	ErrLoop = errors.New("hand-overs in a circle")

	// ErrFork is the cause if a peer has named two successors; see [ForkError].
	ErrFork = errors.New("two successors")

	// ErrFull is the cause if there is no room for another hand-over.
	ErrFull = errors.New("too many hand-overs")
)

// ForkError tells that a peer has named two successors. Only somebody else who has
// its key gains by that, so the key counts as compromised: neither is followed, and
// the time that either states proves nothing. Whoever knows which is the right one,
// having compared a [Phrase] with its owner for instance, says so with
// [Succession.Settle]. It wraps [ErrFork].
type ForkError struct {
	Old        id.Peer
	Successors []id.Peer // two or more, those heard of first before the others
}

// Error implements error.
func (e *ForkError) Error() string {
	texts := make([]string, len(e.Successors))
	for i, p := range e.Successors {
		texts[i] = p.String()
	}
	return fmt.Sprintf("identity: %v of %s, whose key others must have: %s", ErrFork, e.Old, strings.Join(texts, " and "))
}

// Unwrap returns [ErrFork].
func (e *ForkError) Unwrap() error { return ErrFork }

// Succession knows which peers have become which, by the hand-overs it was given. The
// zero value knows none and is ready for use. Its methods are safe for concurrent use.
//
// It believes nobody: every hand-over is verified. It keeps at most [MaxHandovers],
// and for each peer at most [MaxSuccessors]; it is for its owner to give it those of
// the peers he cares about, and not every stranger's.
type Succession struct {
	mu      sync.Mutex
	count   int
	next    map[id.Peer][]*Handover
	settled map[id.Peer]id.Peer
}

// Add takes a hand-over and reports whether it was new. One that names a second
// successor is taken too, since it shows that the key is compromised, and the error
// is a [*ForkError]. Other errors wrap [ErrHandover], [ErrLoop] or [ErrFull]; the
// hand-over is then not taken.
func (s *Succession) Add(h *Handover) (bool, error) {
	if err := VerifyHandover(h); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.next[h.Old]
	if slices.ContainsFunc(all, func(k *Handover) bool { return k.New == h.New }) {
		return false, s.fork(h.Old)
	}
	if s.leads(h.New, h.Old) {
		return false, fmt.Errorf("identity: %w: from %s to %s", ErrLoop, h.Old, h.New)
	}
	if s.count >= MaxHandovers || len(all) >= MaxSuccessors {
		return false, fmt.Errorf("identity: %w", ErrFull)
	}
	if s.next == nil {
		s.next = map[id.Peer][]*Handover{}
	}
	s.next[h.Old] = append(all, h)
	s.count++
	return true, s.fork(h.Old)
}

// leads reports whether hand-overs lead from one peer to another, by any way.
func (s *Succession) leads(from, to id.Peer) bool {
	seen, todo := map[id.Peer]bool{}, []id.Peer{from}
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if p == to {
			return true
		}
		if seen[p] {
			continue
		}
		seen[p] = true
		for _, h := range s.next[p] {
			todo = append(todo, h.New)
		}
	}
	return false
}

// fork returns a ForkError if the peer has several successors, settled or not.
func (s *Succession) fork(old id.Peer) error {
	all := s.next[old]
	if len(all) < 2 {
		return nil
	}
	e := &ForkError{Old: old}
	for _, h := range all {
		e.Successors = append(e.Successors, h.New)
	}
	return e
}

// Settle says which of several successors is the right one. The error wraps
// [ErrHandover] if it is none.
func (s *Succession) Settle(old, successor id.Peer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(s.next[old], func(h *Handover) bool { return h.New == successor }) {
		return fmt.Errorf("identity: %w: %s has not named %s", ErrHandover, old, successor)
	}
	if s.settled == nil {
		s.settled = map[id.Peer]id.Peer{}
	}
	s.settled[old] = successor
	return nil
}

// Present follows the hand-overs from a peer to the one that it is today; that is the
// peer itself if it has not been replaced. Where it comes to a fork that nobody has
// settled, it stops there and the error is a [*ForkError].
func (s *Succession) Present(p id.Peer) (id.Peer, error) {
	way, err := s.Way(p)
	if len(way) > 0 {
		p = way[len(way)-1].New
	}
	return p, err
}

// Way returns the hand-overs that Present follows, the first first.
func (s *Succession) Way(p id.Peer) ([]*Handover, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var way []*Handover
	for range s.count { // there are no loops
		all := s.next[p]
		at := 0
		if len(all) > 1 {
			right, ok := s.settled[p]
			if !ok {
				return way, s.fork(p)
			}
			at = slices.IndexFunc(all, func(h *Handover) bool { return h.New == right })
		}
		if len(all) == 0 || at < 0 {
			break
		}
		way = append(way, all[at])
		p = all[at].New
	}
	return way, nil
}

// Compromised reports whether nothing that the peer signs should count any more:
// it said so itself, or it named several successors.
func (s *Succession) Compromised(p id.Peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.next[p]
	return len(all) > 1 || slices.ContainsFunc(all, func(h *Handover) bool { return h.Reason == Compromised })
}

// Handovers returns all, those of one peer together in the order in which they came.
func (s *Succession) Handovers() []*Handover {
	s.mu.Lock()
	defer s.mu.Unlock()
	olds := slices.SortedFunc(maps.Keys(s.next), func(a, b id.Peer) int { return strings.Compare(a.String(), b.String()) })
	all := make([]*Handover, 0, s.count)
	for _, old := range olds {
		all = append(all, s.next[old]...)
	}
	return all
}

// register is a Succession on disk.
type register struct {
	all     []*Handover
	settled [][2]id.Peer
}

// Map implements [xmldoc.Document].
func (r *register) Map(m *xmldoc.Mapper) {
	m.Root("juxta:Succession")
	var list []Handover
	for _, h := range r.all {
		list = append(list, *h)
	}
	xmldoc.EachEmbed(m, MaxHandovers, &list)
	xmldoc.Each(m, "Settled", MaxHandovers, &r.settled, func(m *xmldoc.Mapper, s *[2]id.Peer) {
		m.Value("Old", &s[0])
		m.Value("New", &s[1])
	})
	if m.Reading() {
		r.all = nil
		for i := range list {
			r.all = append(r.all, &list[i])
		}
	}
}

// registerBounds fit a full Succession: each hand-over has up to 8 KiB and 11 elements.
var registerBounds = xmldoc.Bounds{Octets: MaxHandovers * 8 << 10, Markup: MaxHandovers * 30}

// Save keeps the succession in a file of mode 0600, which is replaced in one step.
func (s *Succession) Save(path string) error {
	r := &register{all: s.Handovers()}
	s.mu.Lock()
	for old, right := range s.settled {
		r.settled = append(r.settled, [2]id.Peer{old, right})
	}
	s.mu.Unlock()
	slices.SortFunc(r.settled, func(a, b [2]id.Peer) int { return strings.Compare(a[0].String(), b[0].String()) })
	doc, err := registerBounds.Marshal(r)
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	return replace(path, doc)
}

// LoadSuccession reads what [Succession.Save] wrote. Every hand-over is verified
// again; those that cannot be used are left out. The error wraps [fs.ErrNotExist] if
// there is no such file, and [ErrFormat].
func LoadSuccession(path string) (*Succession, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > int64(registerBounds.Octets) {
		return nil, fmt.Errorf("identity: %w: %s has %d octets", ErrFormat, path, info.Size())
	}
	doc, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return parseSuccession(doc)
}

func parseSuccession(doc []byte) (*Succession, error) {
	r := &register{}
	if err := registerBounds.Unmarshal(doc, r); err != nil {
		return nil, fmt.Errorf("identity: %w: %w", ErrFormat, err)
	}
	s := &Succession{}
	for _, h := range r.all {
		_, _ = s.Add(h) // forks are kept, the rest is of no use
	}
	for _, x := range r.settled {
		_ = s.Settle(x[0], x[1]) // of what was left out
	}
	return s, nil
}
