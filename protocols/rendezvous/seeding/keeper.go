package seeding

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// keeper loads documents and keeps them fresh. One goroutine owns the schedule;
// loads have one each while they last. Without sources there is none at all.
type keeper struct {
	client  *http.Client
	rng     *rand.Rand // of the goroutine that runs
	log     *slog.Logger
	sources []*source
	accept  func(i int, d document) (changed bool, err error) // called by run alone
	failed  func(uri string, err error)                       // called by run alone
	changed func()                                            // called by run alone; may be nil

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	kick   chan struct{} // load everything; holds one
	done   chan result   // holds one a source
	ready  chan struct{} // closed after the first round

	mu     sync.Mutex
	states []Status // by source
}

// source is one URI; run alone touches it.
type source struct {
	uri        *url.URL
	next       time.Time
	loading    bool
	again      bool // load once more when this load is over
	tried      bool
	validators validators
	digest     digest // of the last good document
	failures   int
}

// digest tells a document from others.
type digest struct {
	set  bool
	sum  [sha256.Size]byte
	kind string // what tells its form
}

func (d document) digest() digest {
	return digest{set: true, sum: sha256.Sum256(d.body), kind: d.mediaType + " " + d.name}
}

// result is what came of a load of source i.
type result struct {
	i int
	loaded
	err error
}

// newKeeper checks the URIs and draws their order.
func newKeeper(uris []string, c *http.Client, rng *rand.Rand, log *slog.Logger) (*keeper, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if rng == nil {
		rng = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	k := &keeper{client: guarded(c), rng: rng, log: log, kick: make(chan struct{}, 1), ready: make(chan struct{})}
	for _, s := range uris {
		u, err := parseURI(s)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(k.sources, func(o *source) bool { return *o.uri == *u }) {
			continue
		}
		if len(k.sources) == MaxURIs {
			return nil, fmt.Errorf("seeding: %w: %q: more than %d URIs", ErrURI, s, MaxURIs)
		}
		k.sources = append(k.sources, &source{uri: u})
	}
	rng.Shuffle(len(k.sources), func(i, j int) { k.sources[i], k.sources[j] = k.sources[j], k.sources[i] })
	k.states = make([]Status, len(k.sources))
	for i, s := range k.sources {
		k.states[i].URI = s.uri.Redacted()
	}
	k.done = make(chan result, len(k.sources))
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k, nil
}

// start begins the first round.
func (k *keeper) start() {
	if len(k.sources) == 0 {
		close(k.ready)
		return
	}
	k.wg.Go(k.run)
}

// run is the schedule, until close.
func (k *keeper) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	first := true
	for {
		select {
		case <-k.ctx.Done():
			return
		case <-timer.C:
		case <-k.kick:
			for _, s := range k.sources {
				s.next, s.again = time.Time{}, s.loading
			}
		case r := <-k.done:
			if k.ctx.Err() != nil {
				return // it may have failed because of that
			}
			k.settle(r)
			if first && !slices.ContainsFunc(k.sources, func(s *source) bool { return !s.tried }) {
				first = false
				close(k.ready)
			}
		}
		if at, ok := k.begin(); ok {
			timer.Reset(time.Until(at))
		} else {
			timer.Stop()
		}
	}
}

// begin starts the loads that are due and returns when the next one is.
func (k *keeper) begin() (at time.Time, ok bool) {
	now := time.Now()
	for i, s := range k.sources {
		switch {
		case s.loading:
		case s.next.After(now):
			if !ok || s.next.Before(at) {
				at, ok = s.next, true
			}
		default:
			s.loading = true
			k.update(i, func(st *Status) { st.Next = time.Time{} })
			v := s.validators
			k.wg.Go(func() {
				l, err := load(k.ctx, k.client, s.uri, v)
				k.done <- result{i, l, err} // never waits: a source loads once at a time
			})
		}
	}
	return at, ok
}

// settle takes what a load brought and sets the time of the next.
func (k *keeper) settle(r result) {
	s := k.sources[r.i]
	s.loading, s.tried = false, true
	changed, err := false, r.err
	if err == nil && !r.unchanged {
		if d := r.document.digest(); d != s.digest {
			if changed, err = k.accept(r.i, r.document); err == nil {
				s.digest = d
			}
		}
	}
	switch {
	case err == nil:
		s.validators, s.failures = r.validators, 0
	case errors.Is(err, errElsewhere):
		s.validators = validators{} // ask for the whole document next time
		s.failures++
	default:
		s.failures++
	}
	pause := refreshEvery
	if err != nil {
		err = fmt.Errorf("seeding: %s: %w", s.uri.Redacted(), err)
		pause = min(retryStep*time.Duration(s.failures), refreshEvery)
	}
	now := time.Now()
	s.next = now.Add(k.jitter(pause))
	if s.again {
		s.next, s.again = time.Time{}, false
	}
	k.update(r.i, func(st *Status) {
		st.Next, st.Err, st.Failures = s.next, err, s.failures
		if err == nil {
			st.Loaded = now
		}
	})
	if err != nil {
		k.failed(s.uri.Redacted(), err)
	} else {
		k.log.Debug("document loaded", "uri", s.uri.Redacted(), "changed", changed)
	}
	if changed && k.changed != nil {
		k.changed()
	}
}

// jitter varies a pause by [jitterPercent] either way.
func (k *keeper) jitter(d time.Duration) time.Duration {
	most := d * jitterPercent / 100
	return d - most + time.Duration(k.rng.Int64N(int64(2*most)+1))
}

func (k *keeper) update(i int, fn func(*Status)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	fn(&k.states[i])
}

func (k *keeper) status() []Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.states)
}

func (k *keeper) wait(ctx context.Context) error {
	select {
	case <-k.ready:
		return nil
	default:
	}
	select {
	case <-k.ready:
		return nil
	case <-k.ctx.Done():
		return fmt.Errorf("seeding: %w", ErrClosed)
	case <-ctx.Done():
		return fmt.Errorf("seeding: %w", context.Cause(ctx))
	}
}

func (k *keeper) refresh() {
	select {
	case k.kick <- struct{}{}:
	default:
	}
}

func (k *keeper) close() error {
	k.cancel()
	k.wg.Wait()
	return nil
}
