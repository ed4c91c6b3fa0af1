package pipe

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// What became of a message that was to be reported, besides having arrived.
var (
	// ErrDropped: the other side got the message and dropped it: its pipe refused
	// it, had no room or was closed before the message was read.
	ErrDropped = errors.New("the other side dropped the message")
	// ErrLost: the message did not reach the other side.
	ErrLost = errors.New("the message was lost on the way")
	// ErrUnconfirmed: the other side cannot be asked any more; the message may have
	// arrived.
	ErrUnconfirmed = errors.New("the other side does not say whether the message arrived")
	// ErrNoReports: the other side, an original JXTA peer, does not report.
	ErrNoReports = errors.New("the other side does not report what became of messages")

	errMoved = errors.New("the pipe has moved")
	errGone  = fmt.Errorf("%w: the peer says that it does not", ErrNoListener)
)

// windowKey names a window: all outputs here to one peer on one pipe share it.
type windowKey struct {
	pipe id.Pipe
	peer id.Peer
}

// window is the sending side of flow control on a unicast pipe between Juxta peers:
// how much was sent, and how much the other side is ready to take.
type window struct {
	s     *Service
	key   windowKey
	epoch uint32
	users int // bonds; Service.mu guards it

	// order is held while a message is counted and sent, and for writing where it
	// carries a question, so that a question is where it says it is.
	order sync.RWMutex

	mu           sync.Mutex
	sent, bytes  uint64
	limit, most  uint64        // for sent and bytes
	done         uint64        // of sent, those that the other side is done with: a single message may be larger than the window
	asked        bool          // since limit grew last
	room         chan struct{} // receives a token when limit grew; nil if nobody waits
	silent       int           // probes since the other side was heard
	heard        uint64        // notices
	given        bool          // the other side does not tell limits: send as if there were none
	reports      []*report     // by number; those at the front that are settled are gone
	number       uint64        // of the last one
	gone         bool          // the pipe is not open at the other side any more
	watching     bool          // somebody asks what became of reports
	closed       bool
	path         *endpoint.Path
	reportedRoom chan struct{} // receives a token when reports got fewer
}

// report is a message of which the sender wants to know what became.
type report struct {
	number uint64
	f      func(error)
	since  time.Time
	unseen int       // how often the other side said that it had not come
	asked  time.Time // when it said so last
}

// window returns the window to a peer, for one more user.
func (s *Service) window(pipe id.Pipe, path *endpoint.Path) *window {
	key := windowKey{pipe, path.Peer()}
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.windows[key]
	if w == nil {
		w = &window{
			s: s, key: key, epoch: rand.Uint32(), limit: firstMessages, most: firstBytes, path: path,
			room: make(chan struct{}, 1), reportedRoom: make(chan struct{}, 1),
		}
		if s.windows == nil {
			s.windows = map[windowKey]*window{}
		}
		s.windows[key] = w
	}
	w.users++
	return w
}

// leave is called by a user that is done.
func (w *window) leave() {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	w.users--
	s.drop(w)
}

// drop forgets a window that nobody uses and that waits for no report. s.mu is held.
func (s *Service) drop(w *window) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.users == 0 && len(w.reports) == 0 && s.windows[w.key] == w {
		delete(s.windows, w.key)
	}
}

// end gives up what is not reported.
func (w *window) end() {
	w.mu.Lock()
	w.closed = true
	rest := w.reports
	w.reports = nil
	w.mu.Unlock()
	for _, r := range rest {
		r.f(ErrUnconfirmed)
	}
}

// enter waits until a message of that weight may be sent, and counts it. It returns
// the elements that the message must have besides its own, and its number if f wants a
// report of it. Waiting ends when the output is closed or bound otherwise. The caller
// unlocks alone when the message has been handed over, or could not be.
func (w *window) enter(
	ctx context.Context, n uint64, f func(error), o *Output, b *bond,
) (extra []message.Element, number uint64, alone bool, err error) {
	var timer *time.Timer
	var heard uint64 // notices, when the question was asked
	mayGo := false
	for {
		w.lock(alone)
		w.mu.Lock()
		if w.gone {
			w.mu.Unlock()
			w.unlock(alone)
			token(w.room) // for others who wait
			return nil, 0, false, errGone
		}
		full := f != nil && len(w.reports) >= maxReported
		if !full && (w.given || mayGo || w.sent < w.limit && w.bytes+n <= w.most || w.sent == w.done) {
			if w.sent == 0 || !w.asked && (w.limit-w.sent <= askAt || w.most-w.bytes <= askAtBytes) {
				if !alone {
					w.mu.Unlock()
					w.unlock(false)
					alone = true
					continue
				}
				w.asked = true
				extra = append(extra, w.question().element())
			}
			w.sent, w.bytes = w.sent+1, w.bytes+n
			if f != nil {
				w.track(f)
				number = w.number
				extra = append(extra, trackElement(number))
			}
			more := w.sent < w.limit
			w.mu.Unlock()
			if timer != nil {
				timer.Stop()
				if more {
					token(w.room) // for others who wait
				}
			}
			return extra, number, alone, nil
		}
		now := w.heard
		w.mu.Unlock()
		w.unlock(alone)
		alone = false
		if timer == nil {
			// Asked at once, since whoever sends where messages are handled keeps this
			// peer from reading what it waits for: without an answer the message goes
			// after a moment. With one, it is the reader who has to be waited for.
			heard = now
			w.probe(ctx)
			timer = time.NewTimer(answerWithin)
			defer timer.Stop()
		}
		select {
		case <-w.room:
		case <-w.reportedRoom:
		case <-timer.C:
			if o.bound.Load() != b {
				return nil, 0, false, errMoved
			}
			w.mu.Lock()
			mayGo = w.heard == heard
			heard = w.heard
			w.mu.Unlock()
			if !mayGo {
				w.probe(ctx)
			}
			timer.Reset(probeEvery)
		case <-o.ctx.Done():
			return nil, 0, false, ErrClosed
		case <-ctx.Done():
			return nil, 0, false, context.Cause(ctx)
		}
	}
}

func (w *window) lock(alone bool) {
	if alone {
		w.order.Lock()
	} else {
		w.order.RLock()
	}
}

func (w *window) unlock(alone bool) {
	if alone {
		w.order.Unlock()
	} else {
		w.order.RUnlock()
	}
}

// question is what to ask the other side. w.mu is held.
func (w *window) question() ask {
	q := ask{epoch: w.epoch, sent: w.sent, bytes: w.bytes, until: w.number}
	if len(w.reports) > 0 {
		q.since = w.reports[0].number
	}
	return q
}

// track numbers a message. w.mu is held.
func (w *window) track(f func(error)) {
	w.number++
	w.reports = append(w.reports, &report{number: w.number, f: f, since: time.Now()})
	if !w.watching && w.s.goTask(w.watch) {
		w.watching = true
	}
}

// undo takes back a message that could not be sent. It reports false if what became
// of it has been reported nevertheless.
func (w *window) undo(n, number uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent, w.bytes = w.sent-1, w.bytes-n
	for i, r := range w.reports {
		if r.number == number {
			w.reports = slices.Delete(w.reports, i, i+1)
			return true
		}
	}
	return number == 0
}

// probe asks the other side for a notice. If it never answers it does not know them,
// and windows make no sense.
func (w *window) probe(ctx context.Context) {
	w.order.Lock()
	defer w.order.Unlock()
	w.mu.Lock()
	if w.silent++; w.silent > maxSilent && len(w.reports) == 0 {
		w.given = true
	}
	q := w.question()
	w.mu.Unlock()
	short, cancel := context.WithTimeout(ctx, probeEvery)
	defer cancel()
	if err := w.path.Send(short, message.New(q.element())); err != nil {
		w.s.log.Debug("asking how much may be sent", "peer", w.key.peer.Short(), "error", err)
	}
}

// watch asks what became of messages as long as there are any of which nothing is
// known.
func (w *window) watch() {
	timer := time.NewTimer(probeEvery)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			timer.Reset(probeEvery)
		case <-w.s.ctx.Done():
			w.end()
			return
		}
		w.mu.Lock()
		if len(w.reports) == 0 {
			w.watching = false
			w.mu.Unlock()
			w.s.mu.Lock()
			w.s.drop(w)
			w.s.mu.Unlock()
			return
		}
		late := time.Since(w.reports[0].since) >= probeEvery
		var lost []*report
		if w.silent >= giveUpAfter {
			lost, w.reports = w.reports, nil
		}
		w.mu.Unlock()
		for _, r := range lost {
			r.f(ErrUnconfirmed)
		}
		if late && lost == nil {
			w.probe(w.s.ctx)
		}
	}
}

// take takes a notice from the peer.
func (w *window) take(n notice) {
	w.mu.Lock()
	if n.epoch != w.epoch || w.closed {
		w.mu.Unlock()
		return
	}
	w.silent, w.given = 0, false
	w.heard++
	if n.limit == 0 {
		w.gone = true
		n.became = []outcomes{{1, maxReported, unknown}}
		if len(w.reports) > 0 {
			n.became[0].first = w.reports[0].number
		}
	}
	w.done = max(w.done, min(n.done, w.sent))
	if n.limit > w.limit || n.bytes > w.most {
		w.limit, w.most = max(w.limit, n.limit), max(w.most, n.bytes)
		w.asked = false
	}
	type end struct {
		*report
		err error
	}
	var done []end
	now := time.Now()
	for _, o := range n.became {
		for i := range w.reports {
			r := w.reports[i]
			if r == nil || r.number < o.first || r.number-o.first >= uint64(o.count) {
				continue
			}
			switch o.what {
			case delivered:
				done = append(done, end{r, nil})
			case dropped:
				done = append(done, end{r, ErrDropped})
			case waiting:
				r.unseen = 0
				continue
			case unknown:
				done = append(done, end{r, ErrUnconfirmed})
			case unseen:
				// The question may have overtaken it, so more than one must say so.
				if now.Sub(r.asked) >= probeEvery/2 {
					r.unseen, r.asked = r.unseen+1, now
				}
				if r.unseen < unseenLimit {
					continue
				}
				done = append(done, end{r, ErrLost})
			}
			w.reports[i] = nil
		}
	}
	if len(done) > 0 {
		w.reports = slices.DeleteFunc(w.reports, func(r *report) bool { return r == nil })
	}
	w.mu.Unlock()
	token(w.room)
	if len(done) > 0 {
		token(w.reportedRoom)
	}
	for _, d := range done {
		d.f(d.err)
	}
}

// receiveClosed takes messages for pipes that are not open here, and says so to
// senders that ask how much they may send.
func (s *Service) receiveClosed(_ context.Context, x endpoint.Incoming) {
	s.stats.noInput.Add(1)
	e, ok := x.Message.Get(message.Platform, elemAsk)
	a, sound := readAsk(e.Body)
	pipe, err := id.ParsePipe(x.Dest.Param)
	if !ok || !sound || err != nil || x.From == s.self {
		return
	}
	to := s.scope.Path(x.From, noticeService, "", false)
	s.notices[maphash.Comparable(s.seed, x.From)%lanes].put(s, func() {
		ctx, cancel := context.WithTimeout(endpoint.KnownWays(s.ctx), noticeWait)
		defer cancel()
		if err := to.Send(ctx, notice{epoch: a.epoch, pipe: pipe}.message()); err != nil {
			s.stats.unsentNotices.Add(1)
		}
	})
}

// receiveNotice takes a notice from the endpoint.
func (s *Service) receiveNotice(_ context.Context, x endpoint.Incoming) {
	e, _ := x.Message.Get(message.Platform, elemNotice)
	n, err := readNotice(e.Body)
	if err != nil {
		s.stats.malformed.Add(1)
		return
	}
	s.mu.Lock()
	w := s.windows[windowKey{n.pipe, x.From}]
	s.mu.Unlock()
	if w != nil {
		w.take(n)
	}
}
