// Package store keeps advertisements for a while: a cache whose records expire,
// are found by the values of their fields, and survive a crash.
//
// A [Store] is divided into one [Scope] per peer group. It works on [Record]s, a
// text together with what it can be found by, and does not read XML. All records
// live in memory, with hash indexes over their fields; a store on disk ([Open])
// writes them behind, in batches, to one bbolt file, from which they are read
// when it is opened. A store in memory ([Memory]) has no file and no goroutine.
//
// What strangers send is bounded: by size, by time, by a share per origin and by
// the size of the scope; see [Config] and limits.go. Every refusal and eviction
// is counted, see [Stats].
//
// The rules of life times, searching and index entries are those of JXSE 2.5's
// cache, except that a * inside a pattern is an ordinary wildcard.
//
// [Index] is the other table that discovery needs: which peers have said that
// they hold what (SRDI). It lives in memory only.
package store

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
)

// Errors that the package's functions wrap.
var (
	ErrInvalid  = errors.New("not a record")
	ErrTooLarge = errors.New("too large")
	ErrExpired  = errors.New("life time is over or negative")
	ErrFull     = errors.New("no room")
	ErrOwn      = errors.New("our own record is not altered by others")
	ErrClosed   = errors.New("closed")

	// ErrLocked is Open's when another process, or another Store of this one,
	// has the file open.
	ErrLocked = errors.New("file is in use by another peer; end that one or use another home folder")

	// ErrForeign is Open's when the file is a database of another program or of
	// a newer version of this one. The file is left alone.
	ErrForeign = errors.New("file is not an advertisement store of this version; name another path")
)

// Config sets the limits of a store. The zero value means the defaults; each
// field that is zero or negative means its own. All limits but the first three are per scope.
type Config struct {
	// MaxDocument bounds the document of one record in octets; default and
	// upper bound is [MaxDocument].
	MaxDocument int

	// Window is how long a saved record may wait before it is written to disk:
	// what a crash can lose. Default 50 ms.
	Window time.Duration

	// Sweep is the pause between two removals of expired records in a store on
	// disk. Default 10 min. Whatever it is, expired records are never returned;
	// and using a scope removes them too, which is all that a store in memory does.
	Sweep time.Duration

	MaxRecords     int           // default [DefaultMaxRecords]
	MaxBytes       int64         // memory of the records, roughly; default [DefaultMaxBytes]
	OriginRecords  int           // records from one peer; default [DefaultOriginRecords]
	OriginBytes    int64         // memory of the records from one peer; default [DefaultOriginBytes]
	RemoteLifetime time.Duration // most that a record from another peer lives; default 24 h

	// Logger is told of damage and of failing writes; nil means silence.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.MaxDocument = min(orDefault(c.MaxDocument, MaxDocument), MaxDocument)
	c.Window = orDefault(c.Window, DefaultWindow)
	c.Sweep = orDefault(c.Sweep, DefaultSweep)
	c.MaxRecords = orDefault(c.MaxRecords, DefaultMaxRecords)
	c.MaxBytes = orDefault(c.MaxBytes, DefaultMaxBytes)
	c.OriginRecords = orDefault(c.OriginRecords, DefaultOriginRecords)
	c.OriginBytes = orDefault(c.OriginBytes, DefaultOriginBytes)
	c.RemoteLifetime = orDefault(c.RemoteLifetime, DefaultRemoteLifetime)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func orDefault[N int | int64 | time.Duration](n, otherwise N) N {
	if n <= 0 {
		return otherwise
	}
	return n
}

// Store holds the advertisements of one peer. It is made by [Open] or [Memory]
// and safe for concurrent use. Whoever makes it closes it.
type Store struct {
	cfg   Config
	count counters

	mu     sync.Mutex // guards the following
	scopes map[string]*Scope
	closed bool

	// On disk only. The goroutine of run owns the first two.
	disk   *disk
	unsent []op // taken from the scopes, not yet on disk
	moved  string

	kick  chan struct{}   // something waits for the writer
	syncs chan chan error // wants everything written now
	quit  chan struct{}   // closed by Close
	done  chan struct{}   // closed when run has ended
	err   error           // of closing; to be read after done
}

// Memory makes a store that lives in memory only: for tests and for peers that
// keep nothing. It needs no closing.
func Memory(cfg Config) *Store {
	return &Store{cfg: cfg.withDefaults(), scopes: make(map[string]*Scope)}
}

// Open opens the store in the file, or makes one, with its folder if need be; the
// file is for its owner only (0600). The caller must Close the store.
//
// If another process has the file open, the error wraps [ErrLocked] and comes
// within a second. If the file is a database of another kind, it wraps
// [ErrForeign]. If the file is damaged, it is renamed to end in ".damaged", an
// earlier one of that name is replaced, and the store starts empty: a cache must
// not keep a peer from starting. The logger is told, and [Store.Moved] tells the
// new name. A single damaged record in a sound file is dropped and counted.
func Open(path string, cfg Config) (*Store, error) {
	s := Memory(cfg)
	moved, err := openOrReplace(path, s)
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	if moved != "" {
		s.cfg.Logger.Error("advertisement store was damaged; starting with an empty one", "file", path, "moved", moved)
	}
	s.moved = moved
	s.kick = make(chan struct{}, 1)
	s.syncs = make(chan chan error)
	s.quit = make(chan struct{})
	s.done = make(chan struct{})
	s.wake() // loading may have dropped something
	go s.run()
	return s, nil
}

// Moved returns the name to which [Open] moved a damaged file, or "".
func (s *Store) Moved() string { return s.moved }

// Scope returns the part of the store that belongs to the group. All calls with
// the same group return the same scope.
func (s *Store) Scope(group id.Group) *Scope {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scope(group.String())
}

// scope is Scope under the lock.
func (s *Store) scope(name string) *Scope {
	sc := s.scopes[name]
	if sc == nil {
		sc = &Scope{store: s, name: name, closed: s.closed}
		s.scopes[name] = sc
	}
	return sc
}

// all returns the scopes of this moment.
func (s *Store) all() []*Scope {
	s.mu.Lock()
	defer s.mu.Unlock()
	scopes := make([]*Scope, 0, len(s.scopes))
	for _, sc := range s.scopes {
		scopes = append(scopes, sc)
	}
	return scopes
}

// Sweep removes the records whose time is over and returns how many there were.
// Nobody needs to call it, but a store in memory that is not used keeps them
// until somebody does.
func (s *Store) Sweep() int {
	now, n := time.Now().UnixMilli(), 0
	for _, sc := range s.all() {
		n += sc.sweep(now, 0)
	}
	return n
}

// Sync returns when everything saved or removed before the call is on disk, or
// with the error that keeps it from getting there; then the store goes on
// trying. In a store in memory it does nothing. After Close the error wraps
// [ErrClosed].
func (s *Store) Sync() error {
	if s.disk == nil {
		return nil
	}
	reply := make(chan error, 1)
	select {
	case s.syncs <- reply:
		return <-reply
	case <-s.done:
		return fmt.Errorf("store: %w", ErrClosed)
	}
}

// Close writes what waits to be written, closes the file and ends the store's
// goroutine. Later changes are refused with [ErrClosed]; reading goes on from
// memory. Calling it again does nothing and returns the same.
func (s *Store) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if first {
		for _, sc := range s.all() {
			sc.mu.Lock()
			sc.closed = true
			sc.mu.Unlock()
		}
		if s.disk != nil {
			close(s.quit)
		}
	}
	if s.disk == nil {
		return nil
	}
	<-s.done
	return s.err
}

// wake tells the writer that something waits.
func (s *Store) wake() {
	select {
	case s.kick <- struct{}{}:
	default: // told already, or no writer
	}
}
