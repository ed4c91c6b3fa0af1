package seeding

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// GuardConfig configures a [Guard]. It is copied.
type GuardConfig struct {
	// URI says where the [ACL] is: http, https, or file with an absolute path.
	// Empty means that there is none and that everybody is let in, as in JXSE.
	URI string

	// FailOpen lets everybody in for as long as no access list has ever been
	// read. JXSE does so, and for 15 minutes after each failure too.
	FailOpen bool

	// Client, Rand and Logger are as in [Config].
	Client *http.Client
	Rand   *rand.Rand
	Logger *slog.Logger

	// Changed is called after another access list has been read, one call at a
	// time. It must not call Close. Nil means nobody asks.
	Changed func()
}

// Guard tells who may serve, by an access list that it keeps fresh. When the list
// cannot be read the last good one counts, however old; see Status. Its methods
// are safe for concurrent use. Close it when done.
type Guard struct {
	keeper *keeper
	open   bool // without a list
	log    *slog.Logger
	rules  atomic.Pointer[rules]
}

// rules is an access list in use. It is not changed.
type rules struct {
	acl     ACL
	verdict map[id.Peer]bool
}

// NewGuard begins to load the access list and returns without waiting for it; see
// [Guard.Ready]. The error names the URI if it cannot be used and wraps [ErrURI].
func NewGuard(cfg GuardConfig) (*Guard, error) {
	var uris []string
	if cfg.URI != "" {
		uris = []string{cfg.URI}
	}
	k, err := newKeeper(uris, cfg.Client, cfg.Rand, cfg.Logger)
	if err != nil {
		return nil, err
	}
	g := &Guard{keeper: k, open: cfg.FailOpen || cfg.URI == "", log: k.log}
	k.accept = g.accept
	k.failed = g.failed
	k.changed = cfg.Changed
	k.start()
	return g, nil
}

// accept takes an access list, on the keeper's goroutine.
func (g *Guard) accept(_ int, d document) (bool, error) {
	r := &rules{}
	if err := xmldoc.Unmarshal(d.body, &r.acl); err != nil {
		return false, err
	}
	r.verdict = make(map[id.Peer]bool, len(r.acl.Peers))
	for _, e := range r.acl.Peers {
		r.verdict[e.Peer] = !e.Deny
	}
	old := g.rules.Swap(r)
	return old == nil || old.acl.GrantAll != r.acl.GrantAll || old.acl.Description != r.acl.Description ||
		!slices.Equal(old.acl.Peers, r.acl.Peers), nil
}

// failed says what a failed load means, on the keeper's goroutine.
func (g *Guard) failed(uri string, err error) {
	switch {
	case g.rules.Load() != nil:
		g.log.Warn("access list not loaded, the last good one counts", "uri", uri, "err", err)
	case g.open:
		g.log.Warn("access list not loaded, everybody is let in", "uri", uri, "err", err)
	default:
		g.log.Warn("access list not loaded, nobody is let in", "uri", uri, "err", err)
	}
}

// Allows reports whether a peer may serve: what [ACL.Allows] says of the last
// list read, and before there is one what [GuardConfig.FailOpen] says. It does
// not wait and does not allocate.
func (g *Guard) Allows(p id.Peer) bool {
	r := g.rules.Load()
	if r == nil {
		return g.open
	}
	if v, ok := r.verdict[p]; ok {
		return v
	}
	return r.acl.GrantAll
}

// ACL returns a copy of the access list that counts, or nil if none was ever read.
func (g *Guard) ACL() *ACL {
	r := g.rules.Load()
	if r == nil {
		return nil
	}
	a := r.acl
	a.Peers = slices.Clone(a.Peers)
	return &a
}

// Ready waits until the list has been tried once, whatever came of it. The error
// is that of ctx, or wraps [ErrClosed].
func (g *Guard) Ready(ctx context.Context) error { return g.keeper.wait(ctx) }

// Status says how things stand with the URI, and is the zero Status without one.
// Its counts of addresses and lines are zero.
func (g *Guard) Status() Status {
	if s := g.keeper.status(); len(s) > 0 {
		return s[0]
	}
	return Status{}
}

// Refresh loads the list now and returns without waiting.
func (g *Guard) Refresh() { g.keeper.refresh() }

// Close ends the loading and returns when no goroutine of the guard is left. What
// Allows says stays. It is idempotent and returns nil.
func (g *Guard) Close() error { return g.keeper.close() }
