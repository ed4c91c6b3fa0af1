package resolver

import (
	"context"
	"sync"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// body returns the octets of the one element that matters, unpacked for an
// index message.
func (s *Service) body(in endpoint.Incoming, suffix string) ([]byte, bool) {
	e, ok := in.Message.Get(message.Platform, s.param+suffix)
	if !ok {
		s.stats.malformed.Add(1)
		return nil, false
	}
	if suffix == "Srdi" && message.BaseType(e.Type) == message.TypeGzip {
		b, err := unpack(e.Body)
		if err != nil {
			s.stats.malformed.Add(1)
			s.log.Debug("index message dropped", "from", in.From.Short(), "error", err)
			return nil, false
		}
		return b, true
	}
	most := maxBody
	if suffix == "Srdi" {
		most = MaxIndex
	}
	if len(e.Body) > most {
		s.stats.malformed.Add(1)
		s.log.Debug("resolver message dropped", "from", in.From.Short(), "octets", len(e.Body))
		return nil, false
	}
	return e.Body, true
}

func (s *Service) malformed(in endpoint.Incoming, err error) {
	s.stats.malformed.Add(1)
	s.log.Debug("resolver message dropped", "from", in.From.Short(), "error", err)
}

func (s *Service) receiveQuery(_ context.Context, in endpoint.Incoming) {
	s.stats.queries.Add(1)
	s.work(&s.pool, in, func(ctx context.Context) {
		b, ok := s.body(in, "ORes")
		if !ok {
			return
		}
		q := &RawQuery{}
		if err := xmldoc.Unmarshal(b, q); err != nil {
			s.malformed(in, err)
			return
		}
		q.From = in.From
		q.ToGroup = s.cfg.Rendezvous.Propagated(in.Message)
		q.Broadcast = in.Link == nil
		if q.Route != nil && q.Route.Dest != q.Source {
			q.Route = nil
		}
		switch {
		case q.Source == s.self:
			return
		case q.HC < 0 || q.HC > maxHC:
			s.stats.overHops.Add(1)
			return
		case !s.admit(Shown{Question, q.Handler, q.Credential, q.asker()}):
			return
		}
		if q.From == q.Source && !q.Broadcast {
			s.cfg.Learn(q.Route)
		} else {
			s.cfg.Hear(q.Route)
		}
		if s.cfg.Hears != nil {
			if err := s.cfg.Hears(q.Source, q.Route); err != nil {
				s.stats.denied.Add(1)
				s.log.Debug("a question is not answered", "of", q.Source.Short(), "error", err)
				return
			}
		}
		s.remember(q)
		s.mu.Lock()
		h, ok := s.handlers[q.Handler]
		s.mu.Unlock()
		outcome := PassItOn
		if ok && h.Query != nil {
			outcome = h.Query(ctx, q)
		} else {
			s.stats.noHandler.Add(1)
		}
		if outcome != Done {
			s.passOn(ctx, in, q, outcome == PassItOn)
		}
	})
}

// passOn spreads a query of which this rendezvous does not have the last word.
// The elements of propagation stay in the message, so that hops count on, and so
// does a walk, at most q.Range hops from here.
func (s *Service) passOn(ctx context.Context, in endpoint.Incoming, q *RawQuery, clients bool) {
	rdv := s.cfg.Rendezvous
	if rdv.Role() != rendezvous.Rendezvous {
		return
	}
	doc, err := xmldoc.Marshal(q)
	if err != nil {
		return
	}
	msg := in.Message.Clone()
	msg.Replace(message.XML(message.Platform, s.param+"ORes", doc))
	s.spread(ctx, msg, "ORes", q.Range, true, clients)
}

func (s *Service) receiveResponse(_ context.Context, in endpoint.Incoming) {
	s.stats.responses.Add(1)
	s.work(&s.pool, in, func(ctx context.Context) {
		b, ok := s.body(in, "IRes")
		if !ok {
			return
		}
		r := &RawResponse{}
		if err := xmldoc.Unmarshal(b, r); err != nil {
			s.malformed(in, err)
			return
		}
		r.From = in.From
		s.mu.Lock()
		a := s.asking[askKey{r.Handler, r.ID}]
		h, ok := s.handlers[r.Handler]
		s.mu.Unlock()
		shown := Shown{Answer, r.Handler, r.Credential, r.From}
		if a == nil {
			shown.Kind = Notice
		}
		if in.Link == nil || s.cfg.Rendezvous.Propagated(in.Message) {
			shown.Peer = id.Peer{}
		}
		switch {
		case !s.admit(shown):
		case a != nil && !a.asked.IsZero() && r.From != a.asked:
			s.stats.unasked.Add(1)
		case a != nil:
			if !a.put(r) {
				s.stats.unread.Add(1)
			}
		case ok && h.Response != nil:
			h.Response(ctx, r)
		case ok:
			s.stats.unasked.Add(1)
		default:
			s.stats.noHandler.Add(1)
		}
	})
}

func (s *Service) receiveIndex(_ context.Context, in endpoint.Incoming) {
	s.stats.indexes.Add(1)
	s.work(&s.pushes, in, func(ctx context.Context) {
		b, ok := s.body(in, "Srdi")
		if !ok {
			return
		}
		x := &Index{}
		if err := indexBounds.Unmarshal(b, x); err != nil {
			s.malformed(in, err)
			return
		}
		x.From = in.From
		if !s.admit(Shown{Push, x.Handler, x.Credential, x.From}) {
			return
		}
		s.mu.Lock()
		h, ok := s.handlers[x.Handler]
		s.mu.Unlock()
		if !ok || h.Index == nil {
			s.stats.noHandler.Add(1)
			return
		}
		h.Index(ctx, x)
	})
}

// work runs f soon, unless too much is waiting.
func (s *Service) work(p *pool, in endpoint.Incoming, f func(ctx context.Context)) {
	size := 0
	for e := range in.Message.All() {
		size += len(e.Body)
	}
	if !p.run(s.ctx, size, f) {
		s.stats.busy.Add(1)
	}
}

// pool runs functions on a bounded number of goroutines that exist only while
// there is something to do.
type pool struct {
	workers int

	mu      sync.Mutex
	queue   []job
	bytes   int // of the messages in the queue
	running int
	closed  bool
	wg      sync.WaitGroup
}

// job is something to do about a message of that size.
type job struct {
	do   func(context.Context)
	size int
}

func (p *pool) run(ctx context.Context, size int, f func(context.Context)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) >= maxWaiting || p.bytes+size > maxWaitingBytes || p.closed {
		return false
	}
	p.queue = append(p.queue, job{f, size})
	p.bytes += size
	if p.running < p.workers {
		p.running++
		p.wg.Go(func() { p.drain(ctx) })
	}
	return true
}

func (p *pool) drain(ctx context.Context) {
	for {
		p.mu.Lock()
		if len(p.queue) == 0 || ctx.Err() != nil {
			p.running--
			p.mu.Unlock()
			return
		}
		j := p.queue[0]
		p.queue[0] = job{} // not to be kept alive by the array
		p.queue = p.queue[1:]
		p.bytes -= j.size
		p.mu.Unlock()
		j.do(ctx)
	}
}

// close takes nothing more and waits for what runs; the context of that has ended.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.wg.Wait()
}

// answers collects what comes in for one question.
type answers struct {
	asked id.Peer // zero for the group
	mu    sync.Mutex
	queue []*RawResponse
	wake  chan struct{}
}

func (a *answers) put(r *RawResponse) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) >= maxUnread {
		return false
	}
	a.queue = append(a.queue, r)
	select {
	case a.wake <- struct{}{}:
	default:
	}
	return true
}

func (a *answers) take() []*RawResponse {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.queue
	a.queue = nil
	return q
}
