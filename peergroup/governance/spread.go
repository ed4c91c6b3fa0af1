package governance

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// Meet says that there is a link to a member, or that it is a new neighbour:
// motions are compared with it soon. Rendezvous and their clients meet by
// themselves. It does not wait.
func (s *Service) Meet(p id.Peer) {
	if p.IsZero() || p == s.cfg.Resolver.Peer() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.met) >= maxMet {
		return // the regular comparisons will do
	}
	for _, o := range s.met {
		if o == p {
			return
		}
	}
	s.met = append(s.met, p)
	s.rouse()
}

// follow meets the neighbours that the rendezvous service finds. Clients come by
// themselves.
func (s *Service) follow(ev rendezvous.Event) {
	switch ev.Kind {
	case rendezvous.Leased, rendezvous.ViewJoined, rendezvous.NeighbourUp:
		s.Meet(ev.Peer)
	}
}

// run publishes events, saves, and compares motions with others, until the
// service is closed.
func (s *Service) run() {
	next := time.NewTimer(s.pause() / 2)
	defer next.Stop()
	mayHave := time.NewTimer(0)
	defer mayHave.Stop()
	saved := time.Now()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.wake:
		case <-mayHave.C:
		case <-next.C:
			s.expire()
			if p := s.other(); !p.IsZero() {
				s.begin(p)
			}
			next.Reset(s.pause())
		}
		for _, ev := range s.takeNews() {
			s.log.Debug("the group's policy has changed", "what", ev.Kind.String(), "act", ev.ID.Short())
			s.hub.Publish(ev)
		}
		for _, p := range s.takeMet() {
			s.begin(p)
		}
		s.mu.Lock()
		unsaved := s.unsaved
		s.mu.Unlock()
		if since := time.Since(saved); unsaved && since >= saveEvery {
			s.save()
			saved = time.Now()
		} else if unsaved {
			mayHave.Reset(saveEvery - since)
		}
	}
}

// pause is the time to the next comparison.
func (s *Service) pause() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(float64(s.cfg.Every) * (2 + 2*s.chance.Float64()) / 3)
}

func (s *Service) takeNews() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.news
	s.news = nil
	return list
}

func (s *Service) takeMet() []id.Peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(s.met), max(maxComparing-s.comparing, 0))
	list := s.met[:n:n]
	if s.met = s.met[n:]; len(s.met) == 0 {
		s.met = nil
	}
	return list
}

// expire drops what ended long ago, and tells what has ended of late.
func (s *Service) expire() {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.book.expire(now) {
		s.update()
	}
	for _, e := range s.state().Exclusions {
		if !e.Until.IsZero() && !e.Until.After(now) && e.Until.After(s.ended) {
			s.news = append(s.news, Event{Ended, e.ID, &e.Act})
		}
	}
	s.ended = now
}

// other returns another member by chance: one of those that Config.Members names
// or a neighbour, each half of the time; of the neighbours of a rendezvous,
// another rendezvous or a client.
func (s *Service) other() id.Peer {
	var lists [][]id.Peer
	if s.cfg.Members != nil {
		if l := s.cfg.Members(); len(l) > 0 {
			lists = append(lists, l)
		}
	}
	if near := s.neighbours(); len(near) > 0 && (len(lists) == 0 || s.draw(2) == 0) {
		lists = near
	}
	if len(lists) == 0 {
		return id.Peer{}
	}
	list := lists[s.draw(len(lists))]
	p := list[s.draw(len(list))]
	if p == s.cfg.Resolver.Peer() || s.now.Load().verdicts.of(Subject{Peer: p}) != nil {
		return id.Peer{}
	}
	return p
}

// neighbours returns the rendezvous leased from or the others of the view, and
// the clients; no list is empty.
func (s *Service) neighbours() (lists [][]id.Peer) {
	if lease, ok := s.cfg.Rendezvous.Lease(); ok {
		lists = append(lists, []id.Peer{lease.Peer})
	}
	if view := s.cfg.Rendezvous.View(); len(view) > 0 {
		lists = append(lists, view)
	}
	var clients []id.Peer
	for _, c := range s.cfg.Rendezvous.Clients() {
		clients = append(clients, c.Peer)
	}
	if len(clients) > 0 {
		lists = append(lists, clients)
	}
	return lists
}

// passOn compares motions soon with a few other rendezvous, if this is one: it
// has learned something otherwise than by the spreading to the whole group,
// which they may have missed, too.
func (s *Service) passOn() {
	view := s.cfg.Rendezvous.View()
	for range min(passOnTo, len(view)) {
		s.Meet(view[s.draw(len(view))])
	}
}

// draw returns a number from 0 to n-1.
func (s *Service) draw(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.chance.IntN(n)
}

// begin compares motions with a member on a goroutine of its own, unless too
// many comparisons are under way.
func (s *Service) begin(p id.Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.comparing >= maxComparing {
		return
	}
	s.comparing++
	s.goLocked(func() {
		s.compare(p)
		s.mu.Lock()
		s.comparing--
		if len(s.met) > 0 {
			s.rouse()
		}
		s.mu.Unlock()
	})
}

// compare finds out what one of the two lacks and exchanges it.
func (s *Service) compare(p id.Peer) {
	s.stats.compared.Add(1)
	for range maxRounds {
		s.mu.Lock()
		q := &question{Charter: s.cfg.Charter.Hash(), Root: s.book.digest().root}
		s.mu.Unlock()
		a := s.ask(p, q)
		if a == nil || a.Root == q.Root {
			return
		}
		s.mu.Lock()
		q = s.book.compare(a.Digests)
		s.mu.Unlock()
		if q == nil {
			return
		}
		if a = s.ask(p, q); a == nil {
			return
		}
		learned := s.take(a.Motions)
		if learned > 0 {
			s.passOn()
		}
		s.mu.Lock()
		give := fit(s.book.named(a.Wanted))
		s.mu.Unlock()
		if len(give) > 0 {
			s.stats.told.Add(uint64(len(give)))
			if s.ask(p, &question{Charter: q.Charter, Motions: give}) == nil {
				return
			}
		}
		if learned == 0 && len(give) == 0 {
			return // what differs one of the two does not take
		}
	}
}

// ask puts a question to one member, again if there is no answer; nil if there is
// none at last.
func (s *Service) ask(p id.Peer, q *question) *answer {
	for range askTimes {
		if a := s.askOnce(p, q); a != nil || s.ctx.Err() != nil {
			return a
		}
	}
	s.stats.unanswered.Add(1)
	return nil
}

func (s *Service) askOnce(p id.Peer, q *question) *answer {
	ctx, cancel := context.WithTimeout(endpoint.KnownWays(s.ctx), askTimeout)
	defer cancel()
	for r, err := range protocol.AskPeer(ctx, s.cfg.Resolver, p, q) {
		if err != nil {
			s.log.Debug("a member could not be asked for acts", "peer", p.Short(), "error", err)
			break
		}
		if r.Body.Charter != q.Charter {
			s.stats.otherGroup.Add(1)
			return nil
		}
		return r.Body
	}
	return nil
}

// answer answers the questions of other members.
func (s *Service) answer(_ context.Context, q resolver.Query[*question]) (*answer, error) {
	if s.cfg.lose != nil && s.cfg.lose() {
		return nil, resolver.ErrNoAnswer
	}
	if q.ToGroup && !s.limits.pushes.Allow() || !q.ToGroup && !s.limits.allow(q.From) {
		s.stats.rate.Add(1)
		return nil, resolver.ErrNoAnswer
	}
	if q.Body.Charter != s.cfg.Charter.Hash() {
		s.stats.otherGroup.Add(1)
		return nil, resolver.ErrNoAnswer
	}
	learned := s.take(q.Body.Motions)
	if q.ToGroup {
		return nil, resolver.ErrNoAnswer
	}
	if learned > 0 {
		s.passOn()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.book.reply(q.Body)
	s.stats.told.Add(uint64(len(a.Motions)))
	return a, nil
}

// take adds what another member gave and returns how many were news. After a
// wrong signature the rest is left: whoever passes that on is not to be served.
func (s *Service) take(list []carried) (learned int) {
	if len(list) == 0 {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for i := range list {
		changed, err := false, list[i].bad
		if err == nil {
			changed, err = s.book.add(&list[i].Motion, now)
		}
		if changed {
			learned++
		}
		if err != nil {
			s.stats.refused(err)
			s.log.Debug("an act was refused", "error", err)
			if errors.Is(err, ErrSignature) {
				break
			}
		}
	}
	if learned > 0 {
		s.stats.learned.Add(uint64(learned))
		s.update()
		for i := range list {
			if m := s.book.motions[list[i].id]; m != nil && !s.state().effective[m.id] {
				s.stats.tooFew.Add(1)
			}
		}
	}
	return learned
}

// push tells the whole group of a motion. It is no error if nobody hears of it:
// they will when they compare.
func (s *Service) push(ctx context.Context, m *Motion) {
	doc, err := xmldoc.Marshal(&question{Charter: s.cfg.Charter.Hash(), Motions: []carried{{Motion: *m}}})
	if err != nil {
		s.log.Error("an act cannot be printed", "act", m.id.Short(), "error", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	s.stats.told.Add(1)
	if _, err := s.cfg.Resolver.SpreadQuery(ctx, &resolver.RawQuery{Handler: protocol.Name(), Body: string(doc)}); err != nil {
		s.log.Debug("nobody could be told of an act", "act", m.id.Short(), "error", err)
	}
}

// limiters bound the questions answered, in all and of each peer, and what is
// taken of what is spread to the whole group.
type limiters struct {
	all    *rate.Limiter
	pushes *rate.Limiter

	mu     sync.Mutex
	askers map[id.Peer]*rate.Limiter
}

func newLimiters() limiters {
	return limiters{all: rate.NewLimiter(answerRate, answerBurst), pushes: rate.NewLimiter(pushRate, pushBurst)}
}

// allow reports whether one more question of the peer is to be answered. When
// too many peers are remembered, those that have not asked of late are forgotten,
// or all.
func (l *limiters) allow(p id.Peer) bool {
	l.mu.Lock()
	one := l.askers[p]
	if one == nil {
		if len(l.askers) >= maxAskers {
			for k, v := range l.askers {
				if v.Tokens() >= peerBurst {
					delete(l.askers, k)
				}
			}
		}
		if l.askers == nil || len(l.askers) >= maxAskers {
			l.askers = map[id.Peer]*rate.Limiter{}
		}
		one = rate.NewLimiter(peerRate, peerBurst)
		l.askers[p] = one
	}
	l.mu.Unlock()
	return one.Allow() && l.all.Allow()
}
