package remote

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// HostConfig is what a host needs. Everything must be set.
type HostConfig struct {
	// Welcome is told to those who come: what this is and what can be done.
	Welcome string

	// Session makes the session of a peer; the result is closed when it leaves. cfg has the
	// outputs and [interp.Config.Restricted] set; commands that are not for others must not
	// be in it.
	Session func(cfg interp.Config) (s *interp.Session, prompt func() string, err error)

	// Event is told of everything that happens, in order of each session. It must not wait.
	Event func(Event)
}

// EventKind is what has happened.
type EventKind string

// What happens at a host.
const (
	Came    EventKind = "came"    // a session begins
	Refused EventKind = "refused" // Text says why
	Typed   EventKind = "typed"   // a line is run: Text
	Left    EventKind = "left"    // a session has ended; Text says why
)

// Event is one thing that happened at a host. Text may hold anything that a stranger wrote.
type Event struct {
	Kind EventKind
	Peer id.Peer
	Text string
}

// Visitor is one who comes.
type Visitor struct {
	Peer id.Peer // proven by the connection

	// May tells whether the peer may be here, and is asked at the beginning and before
	// each line. The error tells why not, in words for the peer.
	May func() error
}

// Stats counts what a host did.
type Stats struct {
	Sessions int    // now
	Served   uint64 // in all
	Refused  uint64 // may not, or too many
	Unheard  uint64 // hung up on, as too many were being refused
	Lines    uint64
	Ended    uint64 // sessions that met a limit
}

// Host runs the lines of others. Its methods are safe for concurrent use.
type Host struct {
	cfg  HostConfig
	life context.Context // ends with Close
	end  context.CancelFunc

	mu       sync.Mutex
	closed   bool
	serving  sync.WaitGroup
	sessions map[*visit]struct{}
	refusals int
	stats    Stats
}

// NewHost makes a host. Close it.
func NewHost(cfg HostConfig) *Host {
	h := &Host{cfg: cfg, sessions: map[*visit]struct{}{}}
	h.life, h.end = context.WithCancel(context.Background())
	return h
}

// Close ends all sessions and returns when they have ended. It is idempotent.
func (h *Host) Close() error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.end()
	h.serving.Wait()
	return nil
}

// Stats returns the counters.
func (h *Host) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.stats
	s.Sessions = len(h.sessions)
	return s
}

// Info is one session.
type Info struct {
	Peer  id.Peer
	Since time.Time
	Lines int
	Last  string // the line typed last; whatever the peer wrote
}

// Sessions lists the sessions there are.
func (h *Host) Sessions() []Info {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []Info
	for x := range h.sessions {
		all = append(all, Info{Peer: x.who.Peer, Since: x.began, Lines: x.lines, Last: x.last})
	}
	return all
}

// Serve serves a visitor and returns when it has left. It closes the connection.
func (h *Host) Serve(conn net.Conn, who Visitor) {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		_ = conn.Close()
		return
	}
	h.serving.Add(1)
	h.mu.Unlock()
	defer h.serving.Done()
	defer func() { _ = conn.Close() }()

	x := &visit{host: h, who: who, wire: newWire(conn), began: time.Now()}
	if why := who.May(); why != nil {
		h.refuse(x, why.Error())
		return
	}
	if why := h.enter(x); why != "" {
		h.refuse(x, why)
		return
	}
	h.tell(Came, x, "")
	why := x.serve(h.life)
	h.mu.Lock()
	delete(h.sessions, x)
	h.mu.Unlock()
	h.tell(Left, x, why)
}

func (h *Host) tell(k EventKind, x *visit, text string) {
	h.cfg.Event(Event{Kind: k, Peer: x.who.Peer, Text: text})
}

// enter counts a session in, or says why not.
func (h *Host) enter(x *visit) (why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	own := 0
	for y := range h.sessions {
		if y.who.Peer == x.who.Peer {
			own++
		}
	}
	switch {
	case own >= MaxPeerSessions:
		return fmt.Sprintf("your peer has %d sessions here already", own)
	case len(h.sessions) >= MaxSessions:
		return fmt.Sprintf("there are %d sessions already; try again later", len(h.sessions))
	}
	h.sessions[x] = struct{}{}
	h.stats.Served++
	return ""
}

// refuse tells a visitor why it cannot come in.
func (h *Host) refuse(x *visit, why string) {
	h.mu.Lock()
	h.stats.Refused++
	if h.refusals >= maxRefusals {
		h.stats.Unheard++
		h.mu.Unlock()
		return
	}
	h.refusals++
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		h.refusals--
		h.mu.Unlock()
	}()
	h.tell(Refused, x, why)
	x.wire.last(kindRefused, clip(why))
}

// visit is one session.
type visit struct {
	host  *Host
	who   Visitor
	wire  *wire
	began time.Time

	shell  *interp.Session
	prompt func() string
	out    quota

	lines int    // guarded by host.mu
	last  string // guarded by host.mu
}

// hung is what is said of a session that a limit has ended.
func (x *visit) hung(why string) string {
	x.host.mu.Lock()
	x.host.stats.Ended++
	x.host.mu.Unlock()
	x.wire.last(kindRefused, clip(why))
	return why
}

// serve runs the lines of the visitor and says why that has ended.
func (x *visit) serve(ctx context.Context) (why string) {
	ctx, cancel := context.WithTimeoutCause(ctx, MaxSession, errSession)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = x.wire.conn.Close() })
	hello, err := x.wire.read(greetWithin)
	stop()
	switch {
	case err != nil:
		return gone(err)
	case hello.kind != kindHello || len(hello.body) != helloSize || hello.body[0] != version:
		return x.hung("this host knows another version of the protocol")
	}
	view := interp.View{Terminal: hello.body[1]&flagTerminal != 0, Width: min(int(binary.BigEndian.Uint16(hello.body[2:])), maxWidth)}
	x.out.to = x.wire
	var fail error
	x.shell, x.prompt, fail = x.host.cfg.Session(interp.Config{Out: x.out.as(kindOut), Err: x.out.as(kindErr), Restricted: true})
	if fail != nil {
		return x.hung("this host cannot make a session")
	}
	x.shell.Begin(view, false)
	var side sync.WaitGroup
	defer x.shell.Close()
	defer side.Wait()
	done := make(chan struct{})
	defer close(done)
	side.Go(func() { x.wire.ping(done) })
	if err := errors.Join(x.wire.send(kindWelcome, clip(x.host.cfg.Welcome)), x.status(0)); err != nil {
		return gone(err)
	}
	frames := make(chan frame)
	var broken error // set before frames is closed
	side.Go(func() {
		defer close(frames)
		for {
			f, err := x.wire.read(silent)
			if err != nil {
				broken = err
				return
			}
			select {
			case frames <- f:
			case <-done:
				return
			}
		}
	})
	return x.loop(ctx, frames, &broken)
}

// loop is the life of a session, one line at a time.
func (x *visit) loop(ctx context.Context, frames <-chan frame, broken *error) (why string) {
	var running chan int
	run, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		_ = x.wire.conn.Close() // what was written still arrives; the reader, and a command that writes, end
		if running != nil {
			<-running
		}
	}()
	idle := time.NewTimer(MaxIdle)
	defer idle.Stop()
	for {
		select {
		case f, ok := <-frames:
			switch {
			case !ok && errors.Is(*broken, errTooLong):
				return x.hung(fmt.Sprintf("a line has %d octets at most", MaxLine))
			case !ok:
				if ctx.Err() != nil {
					return x.hung(ended(ctx))
				}
				return gone(*broken)
			case f.kind == kindPing:
			case f.kind == kindInterrupt:
				if running != nil {
					x.shell.Interrupt()
				}
			case f.kind != kindLine || running != nil:
				return x.hung("that is not how the protocol goes")
			default:
				if err := x.who.May(); err != nil {
					return x.hung(err.Error())
				}
				running = make(chan int, 1)
				idle.Stop()
				go func() { running <- x.run(run, string(f.body)) }() // waited for above
			}
		case status := <-running:
			running = nil
			if x.out.all() {
				return x.hung(fmt.Sprintf("a session may write %d MiB at most", MaxTotal>>20))
			}
			if err := x.status(status); err != nil {
				return gone(err)
			}
			if x.shell.Exited() {
				return "exit"
			}
			idle.Reset(MaxIdle)
		case <-idle.C:
			return x.hung(fmt.Sprintf("nothing was typed for %v", MaxIdle))
		case <-ctx.Done():
			return x.hung(ended(ctx))
		}
	}
}

var (
	errSession = fmt.Errorf("a session lasts %v at most", MaxSession)
	errRun     = fmt.Errorf("a line may run for %v at most", MaxRun)
	errOutput  = fmt.Errorf("a line may write %d KiB at most", MaxOutput>>10)
)

// ended says why a session was ended from here.
func ended(ctx context.Context) string {
	if err := context.Cause(ctx); errors.Is(err, errSession) {
		return err.Error()
	}
	return "the host has ended its remote shell"
}

// gone says how a visitor has left.
func gone(err error) string {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Sprintf("nothing was heard for %v", silent)
	}
	return "hung up"
}

// run runs a line.
func (x *visit) run(ctx context.Context, line string) (status int) {
	x.host.mu.Lock()
	x.host.stats.Lines++
	x.lines++
	x.last = line
	x.host.mu.Unlock()
	x.host.tell(Typed, x, line)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ctx, stop := context.WithTimeoutCause(ctx, MaxRun, errRun)
	defer stop()
	x.out.begin(func() { cancel(errOutput) })
	status = x.shell.Run(ctx, strings.ToValidUTF8(line, "\uFFFD"))
	if err := context.Cause(ctx); errors.Is(err, errRun) || errors.Is(err, errOutput) {
		x.host.mu.Lock()
		x.host.stats.Ended++
		x.host.mu.Unlock()
		_ = x.wire.send(kindErr, []byte("# shell - "+err.Error()+"\n")) // sending the status tells
		status = interp.StatusInterrupted
	}
	return status
}

// status sends the status of a line, and what to ask with next.
func (x *visit) status(status int) error {
	b := binary.BigEndian.AppendUint32(nil, uint32(status))
	over := byte(0)
	if x.shell.Exited() {
		over = 1
	}
	return x.wire.send(kindStatus, append(append(b, over), clip(x.prompt())...))
}
