package pipe

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// ResolveError tells why no peer was found that listens on a pipe. It unwraps
// to [ErrNoListener], to the cause for giving up, and to [ErrNobody] if nobody
// could be asked.
type ResolveError struct {
	Pipe    *advertisements.Pipe
	Queries int       // how often others were asked
	Asked   int       // how many peers and networks the last of the queries went to
	Refused []id.Peer // who said that the pipe is not open there
	Err     error     // why the search ended
}

// Error implements error.
func (e *ResolveError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "pipe: %s: no listener found: ", label(e.Pipe))
	switch {
	case e.Asked == 0:
		b.WriteString("there is nobody to ask, no rendezvous and no neighbour")
	case len(e.Refused) > 0:
		b.WriteString("it is not open at")
		for i, p := range e.Refused {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(" peer " + p.Short())
		}
		b.WriteString(", and nobody else answered")
	default:
		b.WriteString("nobody answered")
	}
	if e.Asked > 0 {
		fmt.Fprintf(&b, " %s to %s", times(e.Queries, "query", "queries"), times(e.Asked, "peer or network", "peers and networks"))
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	return b.String()
}

func times(n int, one, many string) string {
	if n == 1 {
		return "one " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Unwrap returns [ErrNoListener] and the causes.
func (e *ResolveError) Unwrap() []error {
	if e.Asked == 0 {
		return []error{ErrNoListener, ErrNobody, e.Err}
	}
	return []error{ErrNoListener, e.Err}
}

// search looks for a peer that listens on a unicast pipe.
type search struct {
	s     *Service
	pipe  *advertisements.Pipe
	peers []id.Peer     // who may listen; anybody if empty
	good  chan id.Peer  // who said yes
	wake  chan struct{} // look again now

	mu        sync.Mutex
	said      []id.Peer // who said no
	ids       []int32   // of the latest questions; guarded by Service.mu, not by mu
	rounds    int       // of questions
	queries   int       // rounds that reached somebody
	asked     int       // peers and networks that the last of them reached
	spreading bool
}

// manner is how a search goes about.
type manner struct {
	every  time.Duration // pause between questions; zero begins shortly and grows
	giveUp bool          // when all peers that may listen say no
	prefer id.Peer       // the only one to ask at first, unless zero
}

func (x *search) acceptable(p id.Peer) bool { return len(x.peers) == 0 || slices.Contains(x.peers, p) }

// found notes that a peer listens.
func (x *search) found(p id.Peer) {
	select {
	case x.good <- p:
	default:
	}
}

// refused notes that a peer does not listen. If only known ones were asked, the
// others are now.
func (x *search) refused(p id.Peer) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if slices.Contains(x.said, p) || len(x.said) >= maxPeers || !x.acceptable(p) {
		return
	}
	x.said = append(x.said, p)
	if x.rounds == 1 || len(x.peers) > 0 {
		x.wakeUp()
	}
}

func (x *search) hasRefused(p id.Peer) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Contains(x.said, p)
}

func (x *search) wakeUp() { token(x.wake) }

// resolve finds a peer that listens on the pipe, one of those named if there
// are any. It asks until it finds one or ctx ends; the first question goes to
// the peers that are known to listen, if any, later ones to all.
func (s *Service) resolve(ctx context.Context, adv *advertisements.Pipe, peers []id.Peer, how manner) (id.Peer, error) {
	x := &search{
		s: s, pipe: adv, peers: peers,
		good: make(chan id.Peer, maxFound), wake: make(chan struct{}, 1),
	}
	defer x.end()
	s.stats.searches.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pause := cmp.Or(how.every, askFirst)
	var due time.Time
	for {
		if x.acceptable(s.self) && s.local(adv.ID, adv.Type) != nil {
			return s.self, nil
		}
		if how.giveUp && !slices.ContainsFunc(peers, func(p id.Peer) bool { return !x.hasRefused(p) }) {
			return id.Peer{}, x.failed(ErrNoListener)
		}
		if !x.begin() {
			return id.Peer{}, fmt.Errorf("pipe: %s: %w", label(adv), ErrClosed)
		}
		x.ask(ctx, how.prefer)
		if now := time.Now(); !now.Before(due) {
			due = now.Add(pause)
			if how.every == 0 {
				pause = min(2*pause, askMost)
			}
		}
		timer := time.NewTimer(time.Until(due))
		select {
		case p := <-x.good:
			timer.Stop()
			return p, nil
		case <-timer.C:
		case <-x.wake:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return id.Peer{}, x.failed(context.Cause(ctx))
		case <-s.ctx.Done():
			timer.Stop()
			return id.Peer{}, fmt.Errorf("pipe: %s: %w", label(adv), ErrClosed)
		}
	}
}

// begin takes a new ID for the next questions: others do not answer one twice. It
// reports false when the service is closed.
func (x *search) begin() bool {
	s := x.s
	n := s.res.NewID()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if len(x.ids) >= maxRounds {
		delete(s.searches, x.ids[0])
		x.ids = x.ids[1:]
	}
	if s.searches == nil {
		s.searches = map[int32]*search{}
	}
	s.searches[n] = x
	x.ids = append(x.ids, n)
	return true
}

// end takes no more answers.
func (x *search) end() {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	for _, n := range x.ids {
		delete(x.s.searches, n)
	}
}

// current is the ID of the questions of this round.
func (x *search) current() int32 {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	return x.ids[len(x.ids)-1]
}

func (x *search) failed(cause error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return &ResolveError{Pipe: x.pipe, Queries: x.queries, Asked: x.asked, Refused: x.said, Err: cause}
}

// ask begins one round of questions. Those whom it asks may have to be reached
// first, so that happens on other goroutines.
func (x *search) ask(ctx context.Context, prefer id.Peer) {
	s := x.s
	key, value := string(x.pipe.Type), x.pipe.ID.String()
	targets := s.index.Find(key, fieldID, value, maxPeers)
	targets = slices.DeleteFunc(targets, func(p id.Peer) bool { return !x.acceptable(p) || p == s.self || x.hasRefused(p) })
	if len(targets) == 0 {
		targets = slices.DeleteFunc(slices.Clone(x.peers), func(p id.Peer) bool { return p == s.self })
	}
	x.mu.Lock()
	x.rounds++
	first, near := x.rounds == 1, x.rounds <= nearRounds
	if first && !prefer.IsZero() {
		targets = []id.Peer{prefer}
	}
	spread := len(x.peers) == 0 && !x.spreading && (!first || len(targets) == 0)
	x.spreading = x.spreading || spread
	x.mu.Unlock()
	round := &round{x: x}
	for _, p := range targets {
		q := x.question(targets)
		s.goTask(func() { round.count(x.send(ctx, p, q)) })
	}
	if !spread {
		return
	}
	q := x.question(nil)
	s.goTask(func() {
		defer func() { x.mu.Lock(); x.spreading = false; x.mu.Unlock() }()
		// As a rendezvous: what others have is known at one place, and if that fails
		// beside it, and if that fails anywhere.
		at, ok := s.index.Place(key, fieldID, value)
		if ok && at != s.self && first && x.send(ctx, at, q) == 1 {
			round.count(1)
			return
		}
		if near {
			q.Range = s.index.Row().Reach()
		}
		n, err := s.res.WalkQuery(ctx, q)
		if err == nil {
			waits := *q
			s.index.Wait(&waits, key, fieldID, value)
		}
		if err != nil {
			s.log.Debug("pipe query could not be spread", "error", err)
		}
		round.count(n)
	})
}

// round counts whom one round of questions has reached.
type round struct {
	x *search
	n int // guarded by x.mu
}

func (r *round) count(n int) {
	if n == 0 {
		return
	}
	r.x.mu.Lock()
	defer r.x.mu.Unlock()
	if r.n == 0 {
		r.x.queries++
	}
	r.n += n
	r.x.asked = r.n
}

// send asks one peer and returns how many that are.
func (x *search) send(ctx context.Context, p id.Peer, q *resolver.RawQuery) int {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	if err := x.s.res.SendQuery(ctx, p, q); err != nil {
		x.s.log.Debug("pipe query could not be sent", "to", p.Short(), "error", err)
		return 0
	}
	return 1
}

func (x *search) question(peers []id.Peer) *resolver.RawQuery {
	doc, err := xmldoc.Marshal(&binding{MsgType: typeQuery, Pipe: x.pipe.ID, Type: x.pipe.Type, Peers: peers})
	if err != nil {
		x.s.log.Error("pipe query cannot be printed", "error", err) // and will find nobody
	}
	return &resolver.RawQuery{Handler: handlerName, ID: x.current(), Body: string(doc)}
}
