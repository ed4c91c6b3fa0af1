package content

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
)

// theManifest is the number under which a swarm wants the manifest.
const theManifest = -1

// swarm gets the chunks of one content from many holders at once. Each holder is
// asked for the next chunk that nobody was asked for, a few at a time, so each
// gives as much as it can. When nothing is left to ask for, a holder with nothing to
// do is asked for a chunk that another one is slow with.
type swarm struct {
	s      *Service
	id     ID
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	man     *manifest
	item    *Item // as the first one who was found describes it
	jobs    map[int]*job
	queue   []int                 // jobs that nobody is asked for, next first; some may be done
	holders map[id.Peer]*sourceOf // all that were ever tried
	active  int                   // holders that are not given up
	changed chan struct{}         // closed and made anew when there is something to do
	news    time.Time             // when something came the last time
}

// sourceOf is what a swarm knows of a holder.
type sourceOf struct {
	given int // chunks
	lied  bool
}

// job is a chunk that is wanted.
type job struct {
	asked map[id.Peer]time.Time
	done  chan struct{} // closed when it is there
	body  []byte        // verified
	tell  chan<- *job   // is given the job when it is done; has room for it; may be nil
	n     int           // its number
}

// newSwarm begins to look for holders. It must be closed.
func (s *Service) newSwarm(ctx context.Context, c ID, hints []Holder) *swarm {
	w := &swarm{
		s: s, id: c, jobs: map[int]*job{}, holders: map[id.Peer]*sourceOf{}, changed: make(chan struct{}), news: time.Now(),
	}
	ctx, release := s.bound(ctx)
	ctx, cancel := context.WithCancel(ctx)
	w.ctx, w.cancel = ctx, func() { cancel(); release() }
	for _, h := range hints {
		w.add(h)
	}
	w.wg.Go(w.look)
	return w
}

// close ends what is under way and waits for it.
func (w *swarm) close() {
	w.cancel()
	w.wg.Wait()
}

// look looks for holders as long as the swarm lives.
func (w *swarm) look() {
	for {
		ctx, cancel := context.WithTimeout(w.ctx, lookFor)
		for h, err := range w.s.search(ctx, &Query{ID: w.id}) {
			if err != nil {
				w.s.log.Debug("holders cannot be looked for", "id", w.id, "error", err)
				break
			}
			w.describe(h.Item)
			w.add(h.Holder)
		}
		cancel()
		w.mu.Lock()
		pause := lookIdle
		if w.active > 0 {
			pause = lookBusy
		}
		w.mu.Unlock()
		select {
		case <-w.ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (w *swarm) describe(it Item) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.item == nil {
		w.item = &it
		w.wake()
	}
}

// described is what somebody said of the content, if anybody did; changed is
// closed when that may be otherwise.
func (w *swarm) described() (it Item, changed <-chan struct{}, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.item == nil {
		return Item{}, w.changed, false
	}
	return *w.item, w.changed, true
}

// add begins to fetch from a holder. One that was given up is tried again when it
// is found again, unless it has lied.
func (w *swarm) add(h Holder) {
	if h.Peer.IsZero() || h.Pipe == nil || h.Peer == w.s.self {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.holders[h.Peer] != nil || w.active >= maxSources || len(w.holders) >= maxTried || w.ctx.Err() != nil {
		return
	}
	w.holders[h.Peer] = &sourceOf{}
	w.active++
	w.wg.Go(func() {
		lied := w.fetchFrom(h)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.active--
		if lied {
			w.holders[h.Peer].lied = true
			return
		}
		delete(w.holders, h.Peer)
	})
}

// wake tells waiting holders that something has changed. It wants mu.
func (w *swarm) wake() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// want asks for chunks and returns a job for each. Unless tell is nil, which must
// have room for all, it is given those that are done and are new.
func (w *swarm) want(tell chan<- *job, numbers ...int) []*job {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.jobs) == 0 {
		w.news = time.Now() // patience begins now
	}
	all := make([]*job, len(numbers))
	for i, n := range numbers {
		j := w.jobs[n]
		if j == nil {
			j = &job{asked: map[id.Peer]time.Time{}, done: make(chan struct{}), tell: tell, n: n}
			w.jobs[n] = j
			w.queue = append(w.queue, n)
		}
		all[i] = j
	}
	w.wake()
	return all
}

// await receives from ch, until ctx, the swarm or the patience ends: nothing came
// for so long.
func await[T any](ctx context.Context, w *swarm, ch <-chan T, patience time.Duration) (v T, err error) {
	for {
		w.mu.Lock()
		left := patience - time.Since(w.news)
		w.mu.Unlock()
		timer := time.NewTimer(max(left, 0))
		select {
		case v = <-ch:
			timer.Stop()
			return v, nil
		case <-ctx.Done():
			timer.Stop()
			return v, context.Cause(ctx)
		case <-w.ctx.Done():
			timer.Stop()
			return v, context.Cause(w.ctx)
		case <-timer.C:
			if left <= 0 {
				return v, fmt.Errorf("%v: %w", w.id, ErrNoHolder)
			}
		}
	}
}

// next returns a chunk to ask the holder for. idle says that it has nothing to do,
// at a pace of so long for a chunk. If there is nothing, next says after what time
// to ask again if nothing changes.
func (w *swarm) next(h id.Peer, idle bool, pace time.Duration) (n int, again time.Duration, changed <-chan struct{}, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for len(w.queue) > 0 {
		n := w.queue[0]
		w.queue = w.queue[1:]
		if j := w.jobs[n]; j != nil && len(j.asked) == 0 {
			j.asked[h] = now
			return n, 0, nil, true
		}
	}
	again = lingers
	if !idle {
		return 0, again, w.changed, false
	}
	slow := min(max(slowest, slowTimes*pace), slowMost)
	best, oldest := 0, time.Duration(-1)
	for n, j := range w.jobs {
		if _, mine := j.asked[h]; mine || len(j.asked) != 1 {
			continue
		}
		for _, at := range j.asked {
			age := now.Sub(at)
			if age < slow {
				again = min(again, slow-age)
			} else if age > oldest {
				best, oldest = n, age
			}
		}
	}
	if oldest < 0 {
		return 0, again, w.changed, false
	}
	w.jobs[best].asked[h] = now
	w.s.stats.slow.Add(1)
	return best, 0, nil, true
}

// release gives back what a holder was asked for and did not give.
func (w *swarm) release(h id.Peer, numbers ...int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range numbers {
		j := w.jobs[n]
		if j == nil {
			continue
		}
		if delete(j.asked, h); len(j.asked) == 0 {
			w.queue = append(w.queue, n)
		}
	}
	w.wake()
}

// fits reports whether the octets are what was asked for under the number.
func (w *swarm) fits(n int, body []byte) bool {
	if n == theManifest {
		m, err := readManifest(body)
		return err == nil && m.id() == w.id
	}
	w.mu.Lock()
	m := w.man
	w.mu.Unlock()
	return m != nil && n < m.chunks() && m.fits(n, body)
}

// deliver takes what has been verified.
func (w *swarm) deliver(h id.Peer, n int, body []byte) {
	if j := w.done(h, n, body); j != nil && j.tell != nil {
		j.tell <- j
	}
}

func (w *swarm) done(h id.Peer, n int, body []byte) *job {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.news = time.Now()
	if x := w.holders[h]; x != nil {
		x.given++
	}
	j := w.jobs[n]
	if j == nil {
		w.s.stats.duplicates.Add(1)
		return nil
	}
	delete(w.jobs, n)
	j.body = body
	close(j.done)
	if n == theManifest {
		w.s.stats.manifests.Add(1)
		return j
	}
	w.s.stats.fetched.Add(1)
	w.s.stats.fetchedOctets.Add(uint64(len(body)))
	return j
}

// manifest gets the manifest.
func (w *swarm) manifest(ctx context.Context, patience time.Duration) (*manifest, error) {
	j := w.want(nil, theManifest)[0]
	if _, err := await(ctx, w, j.done, patience); err != nil {
		return nil, err
	}
	m, err := readManifest(j.body)
	if err != nil {
		return nil, err
	}
	w.know(m)
	return m, nil
}

// know sets the manifest, which was verified.
func (w *swarm) know(m *manifest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.man = m
}
