// Package control is the door to a running peer: the commands of the shell over
// HTTP on a Unix socket, for other programs of the same user in any language.
// docs/control.md describes the requests.
//
// A [Server] runs commands in sessions of their own on the peer and streams what
// they write; a [Client] asks one.
package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/home"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// Version is the version of the interface, the first part of every path. Fields
// may be added within a version, so readers pass over those they do not know.
const Version = 1

// Config is what a [Server] needs.
type Config struct {
	// Name is the name of the peer, by which others find the socket. Names are one
	// user's own; see [Folder].
	Name string

	// Private makes a socket that no name leads to, in a new folder of its own.
	Private bool

	// Temporary removes the folder of the socket at the end. It is for names that are
	// not used again, such as those with the number of a process in them.
	Temporary bool

	// Session makes a session on the peer. It must use cfg as it is and may add what
	// is not set. prompt tells what to ask an interactive user with.
	Session func(cfg interp.Config) (s *interp.Session, prompt func() string, err error)

	// About adds to what GET /v1/ tells about the peer. Nil: nothing.
	About func() []interp.Field

	// Watch calls emit for what happens at the peer until stop is called; it is
	// called once for each reader of events. emit does not wait. Nil: only notices
	// are events.
	Watch func(emit func(Event)) (stop func())

	// Stop is called when a client asks the peer to end; it must not wait for that.
	// Nil: such requests are refused.
	Stop func()

	// Log may be nil.
	Log *slog.Logger
}

// Server serves one peer. Its methods are safe for concurrent use. Close it.
type Server struct {
	cfg     Config
	log     *slog.Logger
	path    string
	began   time.Time
	ctx     context.Context // ends with the server
	cancel  context.CancelFunc
	work    context.Context // of commands; ends with Drain
	halt    context.CancelFunc
	lock    *home.Lock
	remove  string // folder to remove at the end; may be empty
	http    *http.Server
	serving sync.WaitGroup
	close   func() error

	mu       sync.Mutex
	closed   bool
	running  int // requests
	working  int // those of them that run commands
	idle     sync.Cond
	sessions map[string]*session
	readers  []*reader // of events; replaced, never changed
}

// TakenError tells that another peer is served under the name.
type TakenError struct {
	Name string
	PID  int // its process, 0 if that is not known
}

// Error implements error.
func (e *TakenError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("control: another peer called %q runs already", e.Name)
	}
	return fmt.Sprintf("control: another peer called %q runs already, process %d", e.Name, e.PID)
}

// Listen begins to serve. The socket has mode 0600, its folder 0700. One that a
// dead peer has left is replaced; the error is a [*TakenError] if a living peer
// has the name.
func Listen(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, log: cfg.Log, sessions: map[string]*session{}, began: time.Now()}
	s.idle.L = &s.mu
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.takeFolder(); err != nil {
		return nil, err
	}
	l, err := listen(s.path)
	if err != nil {
		return nil, errors.Join(err, s.leaveFolder())
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.work, s.halt = context.WithCancel(s.ctx)
	s.http = &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: headWithin, IdleTimeout: idleFor, MaxHeaderBytes: maxHead,
		BaseContext: func(net.Listener) context.Context { return s.ctx },
		ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.serving.Go(func() { // ends with Close
		g := &guarded{Listener: l, log: s.log}
		_ = s.http.Serve(g)
		g.refusals.Wait()
	})
	s.close = sync.OnceValue(s.shut)
	return s, nil
}

// takeFolder finds the folder of the socket and locks it.
func (s *Server) takeFolder() error {
	if s.cfg.Private {
		dir, err := os.MkdirTemp("", "juxta-") // mode 0700
		if err != nil {
			return fmt.Errorf("control: %w", err)
		}
		s.path, s.remove = filepath.Join(dir, socketFile), dir
		return nil
	}
	path, err := Path(s.cfg.Name)
	if err != nil {
		return err
	}
	lock, err := home.Acquire(filepath.Dir(path))
	var locked *home.LockedError
	if errors.As(err, &locked) {
		return &TakenError{Name: s.cfg.Name, PID: locked.PID}
	}
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	s.path, s.lock = path, lock
	if s.cfg.Temporary {
		s.remove = lock.Dir()
	}
	return nil
}

func (s *Server) leaveFolder() error {
	var errs []error
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	if s.remove != "" {
		errs = append(errs, os.RemoveAll(s.remove))
	}
	return errors.Join(errs...)
}

// listen opens the socket. The folder is locked, so one that is there is dead.
func listen(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("control: the path of the socket has more than %d octets: %s", maxSocketPath, path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("control: the socket that a dead peer left cannot be replaced: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("control: %w", err), l.Close())
	}
	return l, nil
}

// Socket returns the path of the socket.
func (s *Server) Socket() string { return s.path }

// Drain interrupts the commands that run, waits for them and ends all sessions; no
// request is taken any longer. Events are told until Close. It comes before the
// end of the peer, Close behind it.
func (s *Server) Drain() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.halt()
	cut := time.AfterFunc(closeWithin, func() { _ = s.http.Close() }) // for those that do not read
	defer cut.Stop()
	s.mu.Lock()
	for s.working > 0 {
		s.idle.Wait()
	}
	all := s.sessions
	s.sessions = nil
	s.mu.Unlock()
	for _, x := range all {
		x.close()
	}
}

// Close ends the requests under way, which get a moment to say so, removes the
// socket and returns when nothing of the server is left. It is idempotent.
func (s *Server) Close() error { return s.close() }

func (s *Server) shut() error {
	s.Drain()
	s.cancel()
	short, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	err := s.http.Shutdown(short) // lets answers end as they should
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close() // of those that do not read
	}
	s.mu.Lock()
	for s.running > 0 {
		s.idle.Wait()
	}
	s.mu.Unlock()
	s.serving.Wait()
	if err != nil {
		err = fmt.Errorf("control: %w", err)
	}
	return errors.Join(err, s.leaveFolder())
}

// begin makes room for a request; events do not keep Drain waiting. The error is
// for the client.
func (s *Server) begin(events bool) (done func(), fail *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, &fault{http.StatusServiceUnavailable, codeBusy, "the peer is about to end", ""}
	case s.running >= maxRequests:
		return nil, &fault{http.StatusServiceUnavailable, codeBusy, fmt.Sprintf("%d requests run already", maxRequests), ""}
	}
	working := 1
	if events {
		working = 0
	}
	s.running++
	s.working += working
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running--
		s.working -= working
		s.idle.Broadcast()
	}, nil
}

// readAll reads the body of a request, which must come soon.
func readAll(w http.ResponseWriter, r *http.Request) ([]byte, *fault) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Now().Add(bodyWithin)) // the body is bounded in any case
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	_ = c.SetReadDeadline(time.Time{})
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, &fault{http.StatusRequestEntityTooLarge, interp.CodeUsage, fmt.Sprintf("a request has %d octets at most", maxBody), ""}
	case err != nil:
		return nil, &fault{http.StatusBadRequest, interp.CodeUsage, "the request did not arrive whole", ""}
	}
	return b, nil
}
