package peergroup

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// callHandler is the resolver handler of the calls of all services of a group.
const callHandler = "juxta.call"

// callQuery is a call.
type callQuery struct {
	Spec  id.ModuleSpec
	Wait  int64 // for how long the caller waits, in milliseconds
	Query string
}

// Map implements [xmldoc.Document].
func (q *callQuery) Map(m *xmldoc.Mapper) {
	m.Root("juxta:Call")
	m.Value("MSID", &q.Spec)
	m.Int("Wait", &q.Wait)
	m.Text("Query", &q.Query)
	if len(q.Query) > MaxRequest {
		m.Fail(fmt.Errorf("a question of %d octets: %w", len(q.Query), xmldoc.ErrLimit))
	}
}

// callReply is its answer, or why there is none.
type callReply struct{ Code, Words, Reply string }

// Map implements [xmldoc.Document].
func (r *callReply) Map(m *xmldoc.Mapper) {
	m.Root("juxta:CallReply")
	m.Optional("Code", &r.Code)
	m.Optional("Words", &r.Words)
	m.Optional("Reply", &r.Reply)
	if len(r.Code) > maxCode || len(r.Words) > maxWords || len(r.Reply) > MaxReply {
		m.Fail(fmt.Errorf("an answer of %d octets: %w", len(r.Reply), xmldoc.ErrLimit))
	}
}

// serveFunc answers one call, printed.
type serveFunc func(ctx context.Context, from id.Peer, body []byte) ([]byte, error)

// desk is where calls of services come in and go out, one for each group.
type desk struct {
	g     *Group
	stop  func()
	work  sync.WaitGroup
	stats callCounters

	mu     sync.Mutex
	closed bool
	served map[id.ModuleSpec]*served
	ending []*served                 // whose lifetime is over while calls are worked on
	good   map[id.ModuleSpec]id.Peer // who answered last
}

// served is a service of this peer.
type served struct {
	ctx     context.Context // its lifetime
	serve   serveFunc
	running int
	callers map[id.Peer]int
	idle    chan struct{} // closed when the last call is over, once the service has ended
}

type callCounters struct {
	calls, retried, failed, served, busy, malformed, unknown, unsent atomic.Uint64
}

// CallStats counts the calls of services in a group.
type CallStats struct {
	Calls, Retried, Failed uint64 // made by this peer; further providers tried; calls that failed in the end
	Served                 uint64 // worked on here
	RefusedBusy            uint64 // beyond what is worked on at a time
	RefusedUnknown         uint64 // for what is not served here
	DroppedMalformed       uint64
	Unsent                 uint64 // answers that could not be sent
}

func (d *desk) statistics() CallStats {
	c := &d.stats
	return CallStats{
		Calls: c.calls.Load(), Retried: c.retried.Load(), Failed: c.failed.Load(), Served: c.served.Load(), RefusedBusy: c.busy.Load(),
		RefusedUnknown: c.unknown.Load(), DroppedMalformed: c.malformed.Load(), Unsent: c.unsent.Load(),
	}
}

func newDesk(g *Group) (*desk, error) {
	d := &desk{g: g, served: map[id.ModuleSpec]*served{}, good: map[id.ModuleSpec]id.Peer{}}
	var err error
	d.stop, err = g.res.Register(g.ctx, callHandler, resolver.Handler{Query: d.receive})
	return d, err
}

// close ends the answering and waits for what is worked on.
func (d *desk) close() {
	d.stop()
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.work.Wait()
}

// serve answers calls of a specification until ctx ends.
func (d *desk) serve(ctx context.Context, spec id.ModuleSpec, name string, f serveFunc) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s := &served{ctx: ctx, serve: f, callers: map[id.Peer]int{}}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return ErrLeft
	}
	if old := d.served[spec]; old != nil {
		if old.ctx.Err() == nil {
			return fmt.Errorf("%s: %w", name, ErrLoaded)
		}
		d.retire(old)
	}
	d.served[spec] = s
	context.AfterFunc(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.served[spec] == s {
			delete(d.served, spec)
			d.retire(s)
		}
	})
	return nil
}

// retire keeps a service that has ended in mind until its last call is over; d.mu is held.
func (d *desk) retire(s *served) {
	if s.running > 0 && !slices.Contains(d.ending, s) {
		s.idle = make(chan struct{})
		d.ending = append(d.ending, s)
	}
}

// settle waits for the calls of services that have ended.
func (d *desk) settle() {
	d.mu.Lock()
	for spec, s := range d.served {
		if s.ctx.Err() != nil {
			delete(d.served, spec)
			d.retire(s)
		}
	}
	over := slices.Clone(d.ending)
	d.mu.Unlock()
	for _, s := range over {
		<-s.idle
	}
}

// begin takes a place for a call, or says with which code it is refused.
func (d *desk) begin(spec id.ModuleSpec, from id.Peer) (*served, string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.served[spec]
	switch {
	case s == nil || d.closed || s.ctx.Err() != nil:
		d.stats.unknown.Add(1)
		return nil, codeUnknown
	case s.running >= maxServing || s.callers[from] >= maxServingFor:
		d.stats.busy.Add(1)
		return nil, codeBusy
	}
	s.running++
	s.callers[from]++
	d.stats.served.Add(1)
	d.work.Add(1)
	return s, ""
}

func (d *desk) end(s *served, from id.Peer) {
	d.mu.Lock()
	s.running--
	if s.callers[from]--; s.callers[from] == 0 {
		delete(s.callers, from)
	}
	if s.running == 0 && s.idle != nil {
		close(s.idle)
		d.ending = slices.DeleteFunc(d.ending, func(o *served) bool { return o == s })
	}
	d.mu.Unlock()
	d.work.Done()
}

// receive takes a call of another peer. Working on it is not the resolver's affair,
// which has others to answer.
func (d *desk) receive(_ context.Context, q *resolver.RawQuery) resolver.Outcome {
	var c callQuery
	if q.ToGroup {
		d.stats.malformed.Add(1)
		return resolver.Done
	}
	if err := xmldoc.Unmarshal([]byte(q.Body), &c); err != nil {
		d.stats.malformed.Add(1)
		d.g.log.Debug("a call was dropped", "from", q.Source.Short(), "error", err)
		return resolver.Done
	}
	s, refused := d.begin(c.Spec, q.Source)
	if s == nil {
		d.reply(q, &callReply{Code: refused})
		return resolver.Done
	}
	go func() {
		defer d.end(s, q.Source)
		d.reply(q, d.answer(d.g.ctx, s, q.Source, &c))
	}()
	return resolver.Done
}

// answer has the service work on a call, at most until ctx, the group or the service ends.
func (d *desk) answer(ctx context.Context, s *served, from id.Peer, c *callQuery) *callReply {
	wait := maxServe
	if c.Wait < maxServe.Milliseconds() {
		wait = time.Duration(max(c.Wait, 1)) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for _, life := range []context.Context{d.g.ctx, s.ctx} {
		defer context.AfterFunc(life, cancel)()
	}
	body, err := s.serve(ctx, from, []byte(c.Query))
	if err == nil && len(body) > MaxReply {
		err = fmt.Errorf("an answer of %d octets: %w", len(body), xmldoc.ErrLimit)
	}
	if err == nil {
		return &callReply{Reply: string(body)}
	}
	var f *Fault
	switch {
	case errors.As(err, &f):
	case s.ctx.Err() != nil:
		f = &Fault{Code: codeUnknown}
	case ctx.Err() != nil:
		f = &Fault{Code: codeLate}
	default:
		f = &Fault{Code: codeFailed, Words: err.Error()}
	}
	return &callReply{Code: cut(f.Code, maxCode), Words: cut(f.Words, maxWords)}
}

// cut makes a text fit.
func cut(s string, most int) string {
	s = strings.ToValidUTF8(s, "?")
	for len(s) > most {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

func (d *desk) reply(q *resolver.RawQuery, r *callReply) {
	doc, err := xmldoc.Marshal(r)
	if err != nil {
		d.stats.unsent.Add(1)
		return
	}
	ctx, cancel := context.WithTimeout(d.g.ctx, answerTimeout)
	defer cancel()
	if err := d.g.res.SendResponse(ctx, q.Source, &resolver.RawResponse{Handler: callHandler, ID: q.ID, Body: string(doc)}); err != nil {
		d.stats.unsent.Add(1)
		d.g.log.Debug("the answer to a call could not be sent", "to", q.Source.Short(), "error", err)
	}
}

// call puts a printed question to providers until one answers, and returns which one
// did, or was the last. read takes its answer; one that it cannot read counts as
// none.
func (d *desk) call(ctx context.Context, spec id.ModuleSpec, body []byte, how CallOptions, read func([]byte) error) (id.Peer, error) {
	d.stats.calls.Add(1)
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	}
	var last *CallError
	tried := 0
	for p := range d.candidates(ctx, spec, how) {
		if tried++; tried > 1 {
			d.stats.retried.Add(1)
		}
		failed, again := d.attempt(ctx, p, spec, body, how.Attempt, read)
		if failed == nil {
			d.remember(spec, p)
			return p, nil
		}
		failed.Tried = tried
		last = failed
		d.forget(spec, p)
		if !again || tried >= how.Attempts || ctx.Err() != nil {
			break
		}
	}
	d.stats.failed.Add(1)
	switch {
	case last != nil && last.Err != nil && ctx.Err() != nil:
		last.Err = fmt.Errorf("%w: %w", last.Err, context.Cause(ctx))
		return last.Provider, last
	case last != nil:
		return last.Provider, last
	case ctx.Err() != nil:
		return id.Peer{}, fmt.Errorf("%w: %w", ErrNoProvider, context.Cause(ctx))
	}
	return id.Peer{}, ErrNoProvider
}

// attempt asks one provider; again says that another one may do better.
func (d *desk) attempt(ctx context.Context, p id.Peer, spec id.ModuleSpec, body []byte, wait time.Duration, read func([]byte) error) (failed *CallError, again bool) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	c := &callQuery{Spec: spec, Query: string(body)}
	if t, ok := ctx.Deadline(); ok {
		c.Wait = max(time.Until(t).Milliseconds(), 1)
	}
	r, err := d.ask(ctx, p, c)
	if err != nil {
		return &CallError{Provider: p, Err: err}, true
	}
	switch r.Code {
	case "":
		if err := read([]byte(r.Reply)); err != nil {
			d.stats.malformed.Add(1)
			return &CallError{Provider: p, Err: fmt.Errorf("its answer cannot be read: %w", err)}, true
		}
		return nil, false
	case codeBusy:
		return &CallError{Provider: p, Code: r.Code, Words: "it has too much to do"}, true
	case codeUnknown:
		return &CallError{Provider: p, Code: r.Code, Words: "it does not offer that any more"}, true
	case codeLate:
		return &CallError{Provider: p, Err: ErrSilent}, true
	case codeFailed:
		return &CallError{Provider: p, Words: r.Words}, false
	}
	return &CallError{Provider: p, Code: r.Code, Words: r.Words}, false
}

// ask puts a call to one peer, which may be this one.
func (d *desk) ask(ctx context.Context, p id.Peer, c *callQuery) (*callReply, error) {
	if p == d.g.peer.id {
		s, refused := d.begin(c.Spec, p)
		if s == nil {
			return &callReply{Code: refused}, nil
		}
		answer := make(chan *callReply, 1)
		go func() { // which d.close waits for: the service may be slower than the caller
			defer d.end(s, p)
			answer <- d.answer(ctx, s, p, c)
		}()
		select {
		case r := <-answer:
			return r, nil
		case <-ctx.Done():
			return nil, ErrSilent
		}
	}
	doc, err := xmldoc.Marshal(c)
	if err != nil {
		return nil, err
	}
	for r, err := range d.g.res.Collect(ctx, p, &resolver.RawQuery{Handler: callHandler, Body: string(doc)}) {
		if err != nil {
			return nil, err
		}
		var reply callReply
		if err := xmldoc.Unmarshal([]byte(r.Body), &reply); err != nil {
			d.stats.malformed.Add(1)
			return nil, fmt.Errorf("its answer cannot be read: %w", err)
		}
		return &reply, nil
	}
	return nil, ErrSilent
}

func (d *desk) remember(spec id.ModuleSpec, p id.Peer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.good[spec]; !ok && len(d.good) >= maxGood {
		clear(d.good)
	}
	d.good[spec] = p
}

func (d *desk) forget(spec id.ModuleSpec, p id.Peer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.good[spec] == p {
		delete(d.good, spec)
	}
}

// candidates yields who might provide a service, each once: this peer, who did before,
// those known, and those that others know.
func (d *desk) candidates(ctx context.Context, spec id.ModuleSpec, how CallOptions) iter.Seq[id.Peer] {
	return func(yield func(id.Peer) bool) {
		if !how.Peer.IsZero() {
			yield(how.Peer)
			return
		}
		var seen []id.Peer
		put := func(p id.Peer) bool {
			if p.IsZero() || slices.Contains(seen, p) || len(seen) >= maxProviders {
				return true
			}
			seen = append(seen, p)
			return yield(p)
		}
		d.mu.Lock()
		s := d.served[spec]
		good, here := d.good[spec], s != nil && s.ctx.Err() == nil
		d.mu.Unlock()
		if here && !put(d.g.peer.id) || !put(good) {
			return
		}
		q := discovery.Query{Kind: advertisements.Advs, Attr: "MSID", Value: spec.String()}
		for _, r := range d.g.disc.Local(q) {
			if !put(d.provider(r.Adv, spec)) {
				return
			}
		}
		known := d.g.disc.Local(discovery.Query{Kind: advertisements.Peers})
		for _, r := range known[:min(len(known), maxPeersLooked)] {
			if p, ok := r.Adv.(*advertisements.Peer); ok && offers(p, spec) && !put(p.ID) {
				return
			}
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		quiet := time.AfterFunc(searchFor, cancel)
		defer quiet.Stop()
		q.RemoteOnly = true
		for round := askProvidersAgain; ctx.Err() == nil; round *= 2 {
			inner, stop := context.WithTimeout(ctx, round)
			for r, err := range d.g.disc.Find(inner, q) {
				if err != nil {
					break
				}
				p := d.provider(r.Adv, spec)
				if p.IsZero() || slices.Contains(seen, p) {
					continue
				}
				quiet.Stop() // not while one is asked
				if !put(p) {
					stop()
					return
				}
				quiet.Reset(searchFor)
			}
			<-inner.Done()
			stop()
		}
	}
}

// provider returns who makes an offer of the specification in this group.
func (d *desk) provider(adv advertisements.Advertisement, spec id.ModuleSpec) id.Peer {
	if u, ok := adv.(*advertisements.Unknown); ok { // a registry without the type
		o := new(Offer)
		doc, err := advertisements.Marshal(u)
		if err != nil || xmldoc.Unmarshal(doc, o) != nil {
			return id.Peer{}
		}
		adv = o
	}
	o, ok := adv.(*Offer)
	if !ok {
		return id.Peer{} // how it is implemented, or what it is
	}
	if o.Peer == d.g.peer.id {
		return id.Peer{} // withdrawn, and still known to others
	}
	if o.Spec != spec || o.Group != d.g.adv.ID {
		d.g.mods.stats.offersMalformed.Add(1)
		return id.Peer{}
	}
	return o.Peer
}

func offers(p *advertisements.Peer, spec id.ModuleSpec) bool {
	return slices.ContainsFunc(OffersOf(p), func(o Offer) bool { return o.Spec == spec })
}
