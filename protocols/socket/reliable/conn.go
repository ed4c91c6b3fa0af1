package reliable

import (
	"context"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
)

// Conn is one end of a connection. Its methods are safe for concurrent use. Whoever is
// done with it calls Close or Abort.
//
// A Conn that has nothing to send has no goroutine; one sends while there is
// something, and a timer runs while something is expected from the other side.
type Conn struct {
	cfg    Config
	begin  time.Time // the zero of all times within
	ctx    context.Context
	cancel context.CancelCauseFunc
	done   chan struct{}
	wg     sync.WaitGroup // the goroutine that sends

	arrived chan struct{} // there may be something to read
	room    chan struct{} // there may be room to write
	turn    chan struct{} // held by the writer that waits for room

	mu      sync.Mutex
	out     sender
	in      receiver
	err     error // why it broke
	over    bool  // the other side sends no more; see End
	readers int   // waiting
	writers int   // waiting
	need    int   // octets that the writer whose turn it is waits for
	flushes []flush
	slab    *message.Memory // shared by small blocks
	slabAt  int

	pumping  bool          // a goroutine sends
	sending  bool          // it is in Send
	holdTill time.Duration // nothing is sent before, after an error of Send
	holdFor  time.Duration
	timer    *time.Timer
	timerAt  time.Duration // never if it does not run

	malformed, sendErrors, moves uint64
	spans                        []span // memory for acknowledgements

	// Used by the goroutine that sends alone.
	batch  []departure
	elems  []message.Element
	ackBuf []byte
	winBuf [8]byte
	told   []span
}

// flush is a call of Flush that waits.
type flush struct {
	before uint64 // all blocks below this number
	done   chan struct{}
}

// New makes a Conn. It sends nothing by itself. A nil Send fails always.
func New(cfg Config) *Conn {
	cfg = cfg.withDefaults()
	c := &Conn{
		cfg: cfg, begin: time.Now(),
		done:    make(chan struct{}),
		arrived: make(chan struct{}, 1), room: make(chan struct{}, 1), turn: make(chan struct{}, 1),
		out: newSender(cfg), in: newReceiver(cfg), timerAt: never,
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	return c
}

// now is the time since the Conn was made.
func (c *Conn) now() time.Duration { return time.Since(c.begin) }

// wakes collects who must be told of something once the lock is given back.
type wakes struct {
	pump, reader, writer, gone bool
	flushed                    []flush
}

// settle is called at the end of each change of state, under the lock: it finds out who
// has to be woken and when the timer must run.
func (c *Conn) settle(now time.Duration) wakes {
	var w wakes
	if c.err != nil {
		return w
	}
	c.out.check(now)
	w.reader = c.readers > 0 && c.readable()
	w.writer = c.writers > 0 && c.out.hasRoom(c.need)
	if len(c.flushes) > 0 {
		w.flushed = c.takeFlushed()
	}
	if !c.pumping && c.holdTill <= now && (c.out.ready() || c.in.due(now)) {
		c.pumping = true
		c.wg.Add(1)
		w.pump = true
	}
	c.arm(now)
	return w
}

// act does what settle found. The lock must not be held.
func (c *Conn) act(w wakes) {
	if w.pump {
		go c.pump()
	}
	if w.reader {
		signal(c.arrived)
	}
	if w.writer {
		signal(c.room)
	}
	for _, f := range w.flushed {
		close(f.done)
	}
	if w.gone {
		close(c.done)
		c.cancel(c.err) // set once, before
	}
}

// signal wakes one who waits, or the next who will.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// takeFlushed removes the calls of Flush that are through.
func (c *Conn) takeFlushed() []flush {
	n := 0
	for n < len(c.flushes) && c.flushes[n].before <= c.out.base {
		n++
	}
	through := c.flushes[:n:n]
	c.flushes = c.flushes[n:]
	if len(c.flushes) == 0 {
		c.flushes = nil
	}
	return through
}

// arm has the timer run when something is due, if it does not run before.
func (c *Conn) arm(now time.Duration) {
	at := c.out.due(c.sending)
	switch {
	case c.pumping:
	case c.holdTill <= now:
		at = min(at, c.in.ackBy)
	case c.out.ready() || c.in.ackBy != never:
		at = min(at, c.holdTill)
	}
	if at >= c.timerAt {
		return
	}
	c.timerAt = at
	if c.timer == nil {
		c.timer = time.AfterFunc(at-now, c.tick)
		return
	}
	c.timer.Reset(at - now)
}

// tick is called by the timer.
func (c *Conn) tick() {
	c.mu.Lock()
	now := c.now()
	if c.err != nil || c.timerAt > now {
		c.mu.Unlock()
		return
	}
	c.timerAt = never
	var w wakes
	if c.out.tick(now, c.sending) {
		w = c.fail(ErrGaveUp, false)
	} else {
		w = c.settle(now)
	}
	c.mu.Unlock()
	if w.gone {
		c.cfg.Logger.Debug("gave up", "after", c.cfg.GiveUp)
	}
	c.act(w)
}

// fail breaks the Conn, under the lock.
func (c *Conn) fail(cause error, drop bool) wakes {
	if drop {
		c.in.drop()
	}
	if c.err != nil {
		return wakes{}
	}
	c.err = cause
	c.out.drop()
	c.flushes = nil
	c.dropSlab()
	c.in.ackBy = never
	if c.timer != nil {
		c.timer.Stop()
	}
	return wakes{gone: true}
}

// readable reports whether a reader need not wait.
func (c *Conn) readable() bool { return c.in.whole != c.in.taken || c.over }

// Moved says that the way to the other side has changed, so that what is under way may
// be lost: everything unacknowledged is sent again at once, and what has come is
// acknowledged again.
func (c *Conn) Moved() {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	now := c.now()
	c.moves++
	c.holdTill, c.holdFor = 0, 0
	c.out.moved(now)
	if c.in.received > 0 {
		c.in.dirty = true
		c.in.ackBy = now
	}
	w := c.settle(now)
	c.mu.Unlock()
	c.act(w)
}

// End says that the other side will send no more, as its close message came: ReadBlock
// gives io.EOF behind what has come in order, and further blocks are refused.
// Writing goes on.
func (c *Conn) End() {
	c.mu.Lock()
	c.over = true
	w := c.settle(c.now())
	c.mu.Unlock()
	c.act(w)
}

// Abort breaks the Conn now: all calls return cause, and what was received but not
// read is dropped. A nil cause means ErrClosed. It does not wait for Send to
// return, so that Send itself may call it. Later calls do nothing.
func (c *Conn) Abort(cause error) {
	if cause == nil {
		cause = ErrClosed
	}
	c.mu.Lock()
	w := c.fail(cause, true)
	c.mu.Unlock()
	c.act(w)
}

// Close aborts the Conn with ErrClosed, unless it is broken already, and waits until
// Send has returned for the last time. It must not be called from within Send. The
// error is nil.
func (c *Conn) Close() error {
	c.Abort(nil)
	c.wg.Wait()
	return nil
}

// Done is closed when the Conn has broken or was aborted.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err tells why the Conn has broken; it is nil as long as it has not.
func (c *Conn) Err() error { return c.broken() }

func (c *Conn) broken() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
