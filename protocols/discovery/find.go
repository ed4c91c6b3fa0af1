package discovery

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// Query says which advertisements are wanted.
type Query struct {
	Kind advertisements.Kind

	// Attr is the name of a searchable field, exactly as written, such as
	// "Name"; empty asks for every advertisement of the kind. Value is what it
	// must be: "" or "*" for anything, a text for equality, or a pattern in which
	// * stands for any text; see [advertisements.Match]. Blanks at its ends do
	// not count. A value without attribute is refused.
	Attr, Value string

	// Limit is the most advertisements wanted from each peer that answers, this
	// one included. Zero means all from this peer and 50 from others, which is
	// also the most that others give.
	Limit int

	// Peer is the only one to be asked, if it is not zero; the own cache is
	// still looked at, unless RemoteOnly.
	Peer id.Peer

	LocalOnly  bool // ask nobody, look into the own cache only
	RemoteOnly bool // do not look into the own cache
}

// check refuses queries without sense and tidies the others.
func (q *Query) check() error {
	q.Value = xmldoc.Trim(q.Value)
	switch {
	case q.Kind > advertisements.Advs:
		return fmt.Errorf("discovery: %w: no such kind: %d", ErrQuery, q.Kind)
	case q.Attr == "" && q.Value != "":
		return fmt.Errorf("discovery: %w: value %q without attribute", ErrQuery, q.Value)
	case q.LocalOnly && q.RemoteOnly:
		return fmt.Errorf("discovery: %w: neither local nor remote", ErrQuery)
	}
	return nil
}

// document makes what is sent to others. A pattern that they would not
// understand becomes one that fits more; the answers are sifted in any case.
func (q *Query) document() query {
	d := query{Kind: q.Kind, Threshold: int64(q.Limit), Attr: q.Attr, Value: q.Value}
	if !advertisements.SendablePattern(d.Value) {
		d.Value, d.Threshold = widen(d.Value), 0
	}
	if d.Threshold <= 0 || d.Threshold > maxResults {
		d.Threshold = maxResults
	}
	return d
}

// widen returns a pattern with * only at its ends that fits whatever the pattern,
// which has one elsewhere, fits.
func widen(pattern string) string {
	first, last := strings.IndexByte(pattern, '*'), strings.LastIndexByte(pattern, '*')
	if first > 0 {
		return pattern[:first+1]
	}
	if last < len(pattern)-1 {
		return pattern[last:]
	}
	longest := ""
	for part := range strings.SplitSeq(pattern, "*") {
		if len(part) > len(longest) {
			longest = part
		}
	}
	if longest == "" {
		return "*"
	}
	return "*" + longest + "*"
}

// Result is an advertisement that was found.
type Result struct {
	Adv      advertisements.Advertisement // without its signature, if it is a signed one
	Document []byte                       // as it came or is stored; not to be changed

	// Verdict says who signed it, if anybody did.
	Verdict advertisements.Verdict

	// From is the peer that gave it, which need not be the one that published
	// it; zero for the own cache. As for any message, it is proven only as far
	// as the link is.
	From id.Peer

	// Expiration is how long a copy may live from now on; 0 if there should be
	// none.
	Expiration time.Duration

	// Until is when the own copy ends, for what comes from the own cache;
	// [store.Forever] for what stays. Zero for the answers of others.
	Until time.Time
}

// Local returns what is in the own cache, oldest first; advertisements that are
// kept from others too. It asks nobody.
func (s *Service) Local(q Query) []Result {
	if q.check() != nil {
		return nil
	}
	now := time.Now()
	var found []Result
	for _, r := range s.store.Find(store.Query{Kind: q.Kind, Attr: q.Attr, Value: q.Value, Limit: q.Limit}) {
		adv, err := s.cfg.Registry.Parse(r.Document)
		if err != nil {
			s.dropped("stored advertisement", r.Origin, err)
			continue
		}
		v := advertisements.Verdict{Adv: adv}
		if _, signed := adv.(*advertisements.Signed); signed || !r.Origin.IsZero() {
			var ok bool
			if v, ok = s.judge(adv, r.Origin); !ok {
				continue // the policy has changed, or the certificate has expired
			}
		}
		found = append(found, Result{Adv: v.Adv, Verdict: v, Document: r.Document, Expiration: r.Remote(now), Until: r.Lifetime})
	}
	return found
}

// Find yields the advertisements that fit: first those in the own cache, then
// those of others as they answer, each version of one once. It goes on until ctx
// ends, which is the normal end and no error, or the caller breaks off; either
// frees everything. An error is the last thing yielded: it wraps [ErrQuery],
// [ErrClosed], or [ErrNobody] if the question could not be put to anybody, which
// a peer that is looking for its rendezvous says after a few seconds. When a
// rendezvous is found or changed meanwhile, or a neighbour turns up, it is asked
// too.
//
// A question for one value, without *, goes to where the index of the group has
// it, whatever the number of rendezvous. If nothing has come after two seconds, it
// is put once more, with a * behind the value: in this form it passes all
// rendezvous, in case that their indexes have lost it. What comes of it that does
// not fit counts as DroppedMismatch.
//
// Answers go into the own cache, for as long as they say but not longer than a
// day. Answers to other questions, or that do not fit, are dropped. The sequence
// can be used again: every use asks anew.
func (s *Service) Find(ctx context.Context, q Query) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		if err := q.check(); err != nil {
			yield(Result{}, err)
			return
		}
		seen := versions{excess: &s.stats.excess}
		var found atomic.Bool
		if !q.RemoteOnly {
			for _, r := range s.Local(q) {
				if ctx.Err() != nil {
					return
				}
				found.Store(true)
				if seen.add(r) && !yield(r, nil) {
					return
				}
			}
		}
		if q.LocalOnly || q.Peer == s.self {
			return
		}
		if s.ctx.Err() != nil {
			yield(Result{}, fmt.Errorf("discovery: %w", ErrClosed))
			return
		}
		inner, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(s.ctx, cancel)()
		for raw, err := range s.ask(inner, q, &found) {
			if err != nil {
				if s.ctx.Err() == nil {
					yield(Result{}, err)
					return
				}
				break
			}
			for _, r := range s.take(raw, &q) {
				found.Store(true)
				if seen.add(r) && !yield(r, nil) {
					return
				}
			}
		}
		if s.ctx.Err() != nil && ctx.Err() == nil {
			yield(Result{}, fmt.Errorf("discovery: %w", ErrClosed))
		}
	}
}

// FindOne returns the first advertisement that fits, from the own cache or from
// the first peer to answer. The error wraps [ErrNotFound], when ctx ends or the
// error of Find tells why.
func (s *Service) FindOne(ctx context.Context, q Query) (Result, error) {
	if q.Limit == 0 {
		q.Limit = findOneLimit
	}
	for r, err := range s.Find(ctx, q) {
		if err != nil {
			return Result{}, fmt.Errorf("discovery: %w: %w", ErrNotFound, err)
		}
		return r, nil
	}
	return Result{}, fmt.Errorf("discovery: %w", ErrNotFound)
}

// ask puts the question and yields what comes back. ctx must be cancelled
// afterwards. found says whether anything was.
func (s *Service) ask(ctx context.Context, q Query, found *atomic.Bool) iter.Seq2[*resolver.RawResponse, error] {
	return func(yield func(*resolver.RawResponse, error) bool) {
		a := &asking{s: s, q: q, d: q.document(), found: found, reached: make(chan struct{}, 1)}
		doc, err := xmldoc.Marshal(&a.d)
		if err != nil {
			yield(nil, fmt.Errorf("discovery: %w: %w", ErrQuery, err))
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		a.raw = resolver.RawQuery{Handler: handler, ID: s.res.NewID(), Body: string(doc)}
		var again sync.WaitGroup
		defer again.Wait()
		defer cancel()
		if q.Peer.IsZero() {
			news := make(chan rendezvous.Event, maxNews)
			defer s.rdv.Watch(func(ev rendezvous.Event) {
				if ev.Kind != rendezvous.Leased && ev.Kind != rendezvous.NeighbourUp {
					return
				}
				select {
				case news <- ev:
				default:
					a.behind.Store(true)
				}
			})()
			again.Go(func() { a.goOn(ctx, news) })
		}
		mine := a.raw
		send := func(ctx context.Context) error { return a.put(ctx, &mine) }
		for r, err := range s.res.CollectBy(ctx, q.Peer, &mine, send) {
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// asking is one question under way.
type asking struct {
	s       *Service
	q       Query
	d       query
	raw     resolver.RawQuery // to be copied
	found   *atomic.Bool
	reached chan struct{} // somebody was asked after put had asked nobody
	asked   atomic.Bool   // somebody was
	behind  atomic.Bool   // more neighbours turned up than could be noted
}

// goOn asks those who turn up, and everybody once more if nothing comes.
func (a *asking) goOn(ctx context.Context, news <-chan rendezvous.Event) {
	s := a.s
	timer := time.NewTimer(askAgain)
	defer timer.Stop()
	if !a.d.exact() || s.rdv.Role() == rendezvous.AdHoc {
		timer.Stop()
	}
	for {
		raw, err := a.raw, error(nil)
		select {
		case <-ctx.Done():
			return
		case ev := <-news:
			if a.behind.Swap(false) || ev.Kind == rendezvous.Leased {
				_, err = s.res.SpreadQuery(ctx, &raw)
			} else {
				err = s.res.SendQuery(ctx, ev.Peer, &raw)
			}
			if err == nil {
				a.asked.Store(true)
				wake(a.reached)
			}
		case <-timer.C:
			switch {
			case a.found.Load():
			case !a.asked.Load(): // there was nobody
				timer.Reset(askAgain)
			default:
				a.widely(ctx, &raw)
			}
		}
	}
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// widely puts the question as one that walks through all rendezvous.
func (a *asking) widely(ctx context.Context, raw *resolver.RawQuery) {
	s := a.s
	d := a.d
	d.Value += "*"
	d.Threshold = maxResults
	doc, err := xmldoc.Marshal(&d)
	if err != nil {
		return // it could be printed before
	}
	raw.Body = string(doc)
	s.stats.again.Add(1)
	if s.rdv.Role() == rendezvous.Rendezvous {
		err = s.putFromRendezvous(ctx, &d, raw)
	} else {
		_, err = s.res.SpreadQuery(ctx, raw)
	}
	if err != nil {
		s.log.Debug("asking again failed", "error", err)
	}
}

// put sends the query: to the one peer, or as an edge to the neighbourhood and
// the rendezvous, or as a rendezvous to the neighbourhood, other rendezvous, and
// those that said they hold something.
func (a *asking) put(ctx context.Context, raw *resolver.RawQuery) error {
	s := a.s
	var err error
	switch {
	case !a.q.Peer.IsZero():
		return s.res.SendQuery(ctx, a.q.Peer, raw)
	case s.rdv.Role() == rendezvous.Rendezvous:
		err = s.putFromRendezvous(ctx, &a.d, raw)
	default:
		_, err = s.res.SpreadQuery(ctx, raw)
	}
	if err == nil {
		a.asked.Store(true)
	}
	if !errors.Is(err, ErrNobody) || s.rdv.Role() != rendezvous.Edge {
		return err
	}
	grace := time.NewTimer(connectGrace)
	defer grace.Stop()
	select {
	case <-a.reached:
		return nil
	case <-grace.C:
	case <-ctx.Done():
	}
	return err
}

// putFromRendezvous does with a query of this rendezvous what it does with those
// of others, see refer.
func (s *Service) putFromRendezvous(ctx context.Context, d *query, raw *resolver.RawQuery) error {
	limit, exact := int(d.Threshold), d.exact()
	to := s.holders(d, limit)
	at, ok := s.index.Place(d.Kind.String(), d.Attr, d.Value)
	elsewhere := exact && ok && at != s.self
	switch {
	case exact && (elsewhere || len(to) > 0):
		raw.Range = -1
	case exact:
		raw.Range = s.index.Row().Reach()
	case d.matchesAll():
		raw.Range = 1
	case len(to) >= limit:
		raw.Range = -1
	}
	n, err := s.res.WalkQuery(ctx, raw)
	if err != nil && !errors.Is(err, ErrNobody) {
		return err
	}
	sent := s.forward(ctx, raw, to)
	placed := elsewhere && len(to) < limit && s.forward(ctx, raw, []id.Peer{at}) > 0
	switch {
	case elsewhere && !placed && len(to) == 0: // the place cannot be reached
		raw.Range = s.index.Row().Reach()
		more, _ := s.res.WalkQuery(ctx, raw)
		n += more
	case len(to) == 0 && !elsewhere:
		sent += s.forward(ctx, raw, s.silent(maxForward))
	}
	if exact && len(to) == 0 && !placed {
		waits := *raw
		s.index.Wait(&waits, d.Kind.String(), d.Attr, d.Value)
		sent += s.forward(ctx, raw, s.holders(d, limit)) // of a moment ago
	}
	if n+sent == 0 && !placed && len(s.rdv.Clients()) == 0 {
		return err
	}
	return nil // what the clients hold is known, even if it is nothing
}

// versions remembers which versions of which advertisements were yielded. The
// zero value is ready for use.
type versions struct {
	seed   maphash.Seed
	seen   map[version]struct{}
	excess *atomic.Uint64 // counts what there was no room for; nil does not
}

type version struct {
	key     string
	signer  id.Peer // by its key; zero if there is none
	content uint64
}

// add reports whether this version of the advertisement is new.
func (v *versions) add(r Result) bool {
	key, err := advertisements.KeyOf(r.Adv)
	if err != nil {
		return false
	}
	// Printed anew, since peers print the same thing in different ways.
	doc, err := advertisements.Marshal(r.Adv)
	if err != nil {
		return false
	}
	if v.seen == nil {
		v.seed, v.seen = maphash.MakeSeed(), map[version]struct{}{}
	}
	k := version{key, r.Verdict.Signer.Key, maphash.Bytes(v.seed, doc)}
	if _, ok := v.seen[k]; ok {
		return false
	}
	if len(v.seen) >= maxRemember {
		if v.excess != nil {
			v.excess.Add(1)
		}
		return false
	}
	v.seen[k] = struct{}{}
	return true
}
