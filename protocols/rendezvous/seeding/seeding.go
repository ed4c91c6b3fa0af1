// Package seeding is where a peer learns of rendezvous from outside the network:
// documents at http, https or file URIs that list seeds, and access lists that
// say which peers may serve. It keeps what it has read fresh in the background,
// and what was good once stays until something better is read.
//
// The forms of the documents and the times are those of JXSE 2.5.
package seeding

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// Errors of this package. They are found in [Status] too.
var (
	ErrURI      = errors.New("not a URI that can be loaded")
	ErrSize     = errors.New("document too large")
	ErrType     = errors.New("not a type of document that is read")
	ErrEmpty    = errors.New("document without usable address")
	ErrRedirect = errors.New("redirect refused")
	ErrClosed   = errors.New("closed")
)

// Config configures a [List]. It is copied.
type Config struct {
	// URIs say where documents are: http, https, or file with an absolute path.
	// Equal ones count once. None means an empty list that costs nothing.
	URIs []string

	// Client loads documents. The limits on size, time and redirects hold with
	// any client; its own CheckRedirect is asked in addition. Nil means one that
	// follows the proxy settings of the environment, keeps no cookies and no
	// idle connections.
	Client *http.Client

	// Rand makes jitter and order repeatable; nil draws from the system. It is
	// the list's alone until Close returns.
	Rand *rand.Rand

	// Logger gets what users should know; nil is silent.
	Logger *slog.Logger

	// Changed is called after the addresses have changed, one call at a time. It
	// must not call Close. Nil means nobody asks.
	Changed func()
}

// Status says how things stand with one URI.
type Status struct {
	URI       string // without password
	Addresses int    // usable ones in the last good document
	Malformed int    // lines or routes in it without a usable address
	Blank     int    // blank lines in it
	Loaded    time.Time
	Next      time.Time // when it is loaded again; zero while that is under way
	Err       error     // of the last attempt
	Failures  int       // attempts in a row that failed
}

// List is the addresses that documents list. Its methods are safe for concurrent
// use. Close it when done.
//
// A document with no usable address at all is a failure, as in JXSE: a page of
// a captive portal does not empty the list.
type List struct {
	keeper *keeper

	mu    sync.Mutex
	parts []parsed           // by source
	all   []endpoint.Address // replaced, never changed
}

// New begins to load the documents and returns without waiting for them; see
// [List.Ready]. The error names the URI that cannot be used and wraps [ErrURI].
func New(cfg Config) (*List, error) {
	k, err := newKeeper(cfg.URIs, cfg.Client, cfg.Rand, cfg.Logger)
	if err != nil {
		return nil, err
	}
	l := &List{keeper: k, parts: make([]parsed, len(k.sources))}
	k.accept = l.accept
	k.failed = func(uri string, err error) {
		k.log.Warn("seeds not loaded, the last good ones stay", "uri", uri, "err", err)
	}
	k.changed = cfg.Changed
	k.start()
	return l, nil
}

// accept takes the document of a source, on the keeper's goroutine. It reports
// whether the addresses changed.
func (l *List) accept(i int, d document) (bool, error) {
	p, err := parse(d, l.keeper.rng)
	if err != nil {
		return false, err
	}
	if len(p.addresses) == 0 {
		return false, fmt.Errorf("%w (%d malformed)", ErrEmpty, p.malformed)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parts[i] = p
	all := join(l.parts)
	if slices.Equal(all, l.all) {
		return false, nil
	}
	l.all = all
	return true, nil
}

// join puts the lists one after the other, each address once, at most [MaxTotal].
func join(parts []parsed) []endpoint.Address {
	var all []endpoint.Address
	seen := map[endpoint.Address]bool{}
	for _, p := range parts {
		for _, a := range p.addresses {
			if len(all) == MaxTotal {
				return all
			}
			if !seen[a] {
				seen[a] = true
				all = append(all, a)
			}
		}
	}
	return all
}

// Seeds returns the addresses of all documents, at most [MaxTotal], each once.
// Documents come in an order drawn when the list was made, the addresses of one
// in the order it asks for. It does not wait.
func (l *List) Seeds() []endpoint.Address {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

// Ready waits until each document has been tried once, whatever came of it; see
// Status for that. The error is that of ctx, or wraps [ErrClosed].
func (l *List) Ready(ctx context.Context) error { return l.keeper.wait(ctx) }

// Status says how things stand with each URI, in the order of Seeds.
func (l *List) Status() []Status {
	out := l.keeper.status()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, p := range l.parts {
		out[i].Addresses, out[i].Malformed, out[i].Blank = len(p.addresses), p.malformed, p.blank
	}
	return out
}

// Refresh loads all documents now, for example after the network changed, and
// returns without waiting. What is being loaded is loaded once more afterwards.
func (l *List) Refresh() { l.keeper.refresh() }

// Close ends the loading and returns when no goroutine of the list is left.
// Seeds and Status stay as they are. It is idempotent and returns nil.
func (l *List) Close() error { return l.keeper.close() }
