// Package content lets the members of a group share files and folders.
//
// A file is known by what is in it: its [ID] is the hash of a manifest that lists
// the hashes of its chunks. Whoever knows the ID can fetch the file from any
// number of holders at once and verifies each chunk as it comes, so it does not
// matter whether a holder can be trusted.
//
//	files := content.New(content.Config{Dir: dir})
//	stop, err := group.Load(files)
//	items, err := files.Share(ctx, "music", content.Description{})
//	for hit, err := range files.Find(ctx, content.Query{Words: []string{"nocturne"}}) { … }
//	file, err := files.Fetch(ctx, hit.Item.ID, content.FetchConfig{Folder: "downloads"})
//
// Who has what is found by one of three indexes, see [Policy]; all members of a
// group must use the same. Chunks travel over streams of the group's sockets.
//
// The service is an ordinary module, written on what package peergroup exports.
package content

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/governance"
	"github.com/juxta-p2p/juxta/protocols/socket"
)

// Errors of this package, wrapped by those returned.
var (
	// ErrName: a name that would leave its folder, or that some system cannot
	// have; it comes in a [*NameError].
	ErrName = errors.New("the name of a file cannot be taken")
	// ErrNotFound: nothing of that ID is shared here.
	ErrNotFound = errors.New("no such content")
	// ErrNoHolder: nobody was found who has the content, or those who have it gave
	// nothing for as long as was to be waited.
	ErrNoHolder = errors.New("nobody gives the content")
	// ErrRefused: the content is withdrawn, see [Config].Refused.
	ErrRefused = errors.New("the content is withdrawn")
	// ErrChecked: [Config].Check did not let the file pass.
	ErrChecked = errors.New("the file did not pass the check")
	// ErrQuota: there is no room for the file in the service's folder.
	ErrQuota = errors.New("the quota does not allow it")
	// ErrBusy: the file is being fetched to the same place already.
	ErrBusy = errors.New("the file is being fetched already")
	// ErrLimit: more or larger than this package takes.
	ErrLimit = errors.New("over the limit")
	// ErrMalformed: bytes that are no manifest, or no list of a folder.
	ErrMalformed = errors.New("not in order")
	// ErrStopped: the service is not running.
	ErrStopped = errors.New("the service is not running")
)

// Policy says how the members of a group find out who has what.
type Policy uint8

// The policies. All members of a group must have the same.
const (
	// Rendezvous publishes an advertisement, [Share], for each content and lets
	// discovery find it: the rendezvous of the group hold the index together.
	Rendezvous Policy = iota
	// Central has one peer, Config.IndexPeer, hold the index, as Napster did.
	Central
	// Flood has no index: each question goes to the whole group, as far as
	// Config.Hops allow, as Gnutella did.
	Flood
)

// String returns the name of the policy.
func (p Policy) String() string {
	switch p {
	case Rendezvous:
		return "rendezvous"
	case Central:
		return "central"
	case Flood:
		return "flood"
	}
	return fmt.Sprintf("policy %d", uint8(p))
}

// Config configures a [Service]; only Dir is required.
type Config struct {
	// Dir is the service's own folder: the list of what is shared, and files that
	// are kept for others. It is made if need be. One service at a time uses it.
	Dir string

	// Index is how others find what this peer shares. Zero means [Rendezvous].
	Index Policy

	// IndexPeer holds the index under the policy [Central]; it may be this peer.
	IndexPeer id.Peer

	// Hops bounds how many rendezvous further a question goes, in each direction,
	// from the one that gets it first, under the policy [Flood]. Zero means 7, as
	// Gnutella had it.
	Hops int

	// Upload bounds what this peer gives to others, in octets a second. Zero means
	// no bound.
	Upload int64

	// Quota bounds the octets of the files in Dir, those half fetched included.
	// Zero means 1 GiB; less than zero that nothing is kept there.
	Quota int64

	// Keep lets this peer fetch and keep copies of what others share with a number
	// of replicas, within Quota; see [Description].Replicas.
	Keep bool

	// Check, if not nil, is asked about each file that was fetched while it lies
	// under a temporary name, before anybody can take it for the file. An error
	// removes it. It may take its time until ctx, that of the fetch, ends, and is
	// called on several goroutines.
	Check func(ctx context.Context, f File) error

	// Refused, if not nil, tells which contents are withdrawn beside those that the
	// moderators of the group have withdrawn by their ID (see governance.Withdraw): they are not
	// shared, served, found or fetched. It must not wait and is called on several
	// goroutines. What is kept for others is removed within a minute after
	// Refused begins to tell so.
	Refused func(ID) bool

	// Logger may be nil.
	Logger *slog.Logger
}

// Service shares files in one group. Make it with [New] and start it as a module
// of the group, with [peergroup.Group.Load] or in a list of modules. Its methods
// are safe for concurrent use and wait for the start, which is over when Load, Join
// or Create returns.
type Service struct {
	cfg     Config
	log     *slog.Logger
	limiter *rate.Limiter // of uploads; nil: none
	stats   counters
	started chan struct{} // closed when Start has succeeded
	ended   chan struct{} // closed when nothing is left of the service
	work    sync.WaitGroup
	once    sync.Once     // Start
	saving  chan struct{} // holds one token: whoever has it writes the state
	hashing chan struct{} // as many as may hash files at once

	// Set by Start.
	g        *peergroup.Group
	removers []func()        // of handlers
	ctx      context.Context // ends with the module
	self     id.Peer
	pipe     *advertisements.Pipe // where this peer gives chunks

	table  *table        // what this peer shares, searchable
	index  *table        // what all share, on the index peer; nil elsewhere
	leases leases        // of the peers in index
	askers budget        // for questions
	notes  chan struct{} // wakes who tells the index; see central.go
	keeper keeper        // see replica.go

	mu       sync.Mutex
	files    map[string]*local // by root and name within it
	byID     map[ID]*local     // one of them for each content
	reserved map[string]int64  // octets of each file in Dir, by name
	used     int64             // and their sum
	fetching map[string]bool   // places to which something is being fetched
	serving  map[id.Peer]int   // connections by peer
	conns    int               // and in all
}

// Module is a [peergroup.Module] with a configuration; where a program wants to
// use the service, and not only offer what lies in Config.Dir, it takes [New].
type Module struct{ Config }

// Start implements [peergroup.Module].
func (m Module) Start(ctx context.Context, g *peergroup.Group) error {
	return New(m.Config).Start(ctx, g)
}

// New makes a service, which begins with Start. The configuration is copied.
func New(cfg Config) *Service {
	cfg.Hops = cmp.Or(cfg.Hops, defaultHops)
	cfg.Quota = cmp.Or(cfg.Quota, defaultQuota)
	s := &Service{
		cfg: cfg, log: cfg.Logger, started: make(chan struct{}), ended: make(chan struct{}), saving: make(chan struct{}, 1),
		hashing: make(chan struct{}, maxHashing), notes: make(chan struct{}, 1),
		table: newTable(maxShared, maxShared), files: map[string]*local{}, byID: map[ID]*local{},
		reserved: map[string]int64{}, fetching: map[string]bool{}, serving: map[id.Peer]int{},
	}
	s.keeper.wake = make(chan struct{}, 1)
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if cfg.Refused == nil {
		s.cfg.Refused = func(ID) bool { return false }
	}
	if cfg.Upload > 0 {
		s.limiter = rate.NewLimiter(rate.Limit(cfg.Upload), uploadPiece)
	}
	return s
}

// Start implements [peergroup.Module]. It can be called once. What was shared
// before is shared again when it returns; files that have changed meanwhile are
// hashed afterwards.
func (s *Service) Start(ctx context.Context, g *peergroup.Group) error {
	err := fmt.Errorf("content: a service starts once: %w", ErrStopped)
	s.once.Do(func() { err = s.start(ctx, g) })
	return err
}

func (s *Service) start(ctx context.Context, g *peergroup.Group) error {
	switch {
	case s.cfg.Dir == "":
		return errors.New("content: Config.Dir is missing")
	case s.cfg.Index > Flood:
		return fmt.Errorf("content: there is no %v", s.cfg.Index)
	case s.cfg.Index == Central && s.cfg.IndexPeer.IsZero():
		return errors.New("content: the policy Central needs Config.IndexPeer")
	}
	for _, dir := range []string{s.cfg.Dir, filepath.Join(s.cfg.Dir, keptFolder), filepath.Join(s.cfg.Dir, listFolder)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("content: %w", err)
		}
	}
	dir, err := filepath.Abs(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("content: %w", err)
	}
	s.cfg.Dir = dir
	s.g, s.ctx, s.self = g, ctx, g.PeerID()
	if policy, own := g.Governance(), s.cfg.Refused; policy != nil {
		s.cfg.Refused = func(c ID) bool { return own(c) || policy.Withdrawn(governance.Hash(c)) }
	}
	s.log = s.log.With("service", "content", "group", g.Name(), "peer", g.PeerName())
	s.pipe = pipeOf(g.ID(), s.self)
	if err := s.answerQuestions(); err != nil {
		return fmt.Errorf("content: %w", err)
	}
	changed, err := s.load()
	if err != nil {
		return err
	}
	l, err := g.Sockets().ListenWith(ctx, s.pipe, socket.ListenConfig{ReliableOnly: true, Backlog: maxConns})
	if err != nil {
		return fmt.Errorf("content: %w", err)
	}
	if err := s.startKeeper(); err != nil {
		_ = l.Close()
		return fmt.Errorf("content: %w", err)
	}
	s.work.Go(func() { s.accept(l) })
	s.work.Go(func() { s.rehash(changed) })
	s.work.Go(s.sweep)
	if s.cfg.Index == Central {
		s.work.Go(s.tellIndex)
	}
	g.Go(func(context.Context) {
		<-ctx.Done()
		s.work.Wait()
		s.goodbye()
		for _, remove := range s.removers {
			remove()
		}
		close(s.ended)
	})
	close(s.started)
	s.dropStale()
	s.announce(s.table.all()...)
	return nil
}

// Wait returns when the service has ended, after its module was stopped or its
// group left, and nothing of it is left. Before the start it returns at once.
func (s *Service) Wait() {
	select {
	case <-s.started:
	default:
		return
	}
	select {
	case <-s.ended:
	case <-s.g.Done():
	}
}

// pipeOf is the pipe on which a member gives chunks: everybody who knows the
// member can name it.
func pipeOf(g id.Group, p id.Peer) *advertisements.Pipe {
	return &advertisements.Pipe{
		ID: id.PipeFromHash(g, []byte("juxta content "+p.String())), Type: advertisements.Unicast, Name: "juxta content",
	}
}

// ready waits until the service runs.
func (s *Service) ready(ctx context.Context) error {
	select {
	case <-s.started:
	case <-ctx.Done():
		select {
		case <-s.started:
		default:
			return fmt.Errorf("content: %w: %w", ErrStopped, context.Cause(ctx))
		}
	}
	switch {
	case s.ctx.Err() != nil:
		return fmt.Errorf("content: %w", ErrStopped)
	case ctx.Err() != nil:
		return fmt.Errorf("content: %w", context.Cause(ctx))
	}
	return nil
}

// bound returns a context that ends with ctx and with the service.
func (s *Service) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.ctx, func() { cancel(ErrStopped) })
	return ctx, func() { stop(); cancel(nil) }
}

// sweep drops, now and then, what was withdrawn, and leases that have run out.
func (s *Service) sweep() {
	for every := time.NewTicker(sweepEvery); ; {
		select {
		case <-s.ctx.Done():
			every.Stop()
			return
		case <-every.C:
		}
		s.expireLeases(time.Now())
		for _, it := range s.table.all() {
			if s.cfg.Refused(it.ID) {
				s.log.Info("a withdrawn content is shared no more", "id", it.ID)
				if err := s.Unshare(s.ctx, it.ID); err != nil && s.ctx.Err() == nil {
					s.log.Error("a withdrawn content cannot be removed", "id", it.ID, "error", err)
				}
			}
		}
	}
}
