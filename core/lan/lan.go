// Package lan finds peers that are near without any configuration: on the local
// network by mDNS and DNS-SD, and on the same machine through a folder, which
// works where there is no network but loopback.
//
// What it finds are hints where to dial. Nothing here proves who a peer is: that
// is settled on the link. Only Juxta peers meet this way; those of JXSE announce
// themselves by JXTA multicast.
package lan

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/event"
	"github.com/juxta-p2p/juxta/core/id"
)

// Config configures a [Service]. Peer and Addresses are required.
type Config struct {
	// Peer is the local peer, which is announced and never found.
	Peer id.Peer

	// Group is the net group that is announced; peers of other groups are
	// listed, but cause no hints. Zero means id.NetGroup.
	Group id.Group

	// Name is what the peer is called, for people. It is cut to 63 octets.
	Name string

	// Addresses returns where the peer listens now. Addresses that stand for
	// every interface are announced as those of the interfaces, or on the
	// machine as loopback. Without any, the peer finds but is not found. It
	// is called from several goroutines and must not block.
	Addresses func() []endpoint.Address

	// Roles returns the roles of the peer now, for people, for example
	// "rdv,relay"; nil means none. It is called as Addresses is.
	Roles func() string

	// Dir is the folder where peers of this machine meet. It is made if it does
	// not exist, and must belong to the user alone. Empty means the folder juxta
	// in the user's runtime folder, or juxta-<uid> in that for temporary files.
	Dir string

	DisableMachine bool // do not meet peers of the same machine
	DisableMDNS    bool // do not use the network

	// Interfaces are the names of the network interfaces to use. Empty means
	// all that are up and can multicast; loopback only where no other can.
	Interfaces []string

	// Interval is the time between questions on the network, ±20 %; the first
	// four come within 5 s. Zero means 15 s.
	Interval time.Duration

	// Logger gets what users should know; nil is silent.
	Logger *slog.Logger
}

// Service announces a peer and finds others. Its methods are safe for concurrent
// use. Close it when done.
type Service struct {
	cfg    Config
	log    *slog.Logger
	table  *table
	hub    event.Hub[Event]
	stats  counters
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	looks  []chan struct{} // wake the loops of the sources
}

// Start announces the peer and begins to look for others. The peer is on show
// for those of the same machine when Start returns.
//
// It fails when Dir is given and cannot be used. Where the default folder cannot
// be used it says so in the log and does without.
func Start(cfg Config) (*Service, error) {
	if cfg.Peer.IsZero() {
		return nil, errors.New("lan: Config.Peer is not set")
	}
	if cfg.Addresses == nil {
		return nil, errors.New("lan: Config.Addresses is not set")
	}
	if cfg.Group.IsZero() {
		cfg.Group = id.NetGroup
	}
	if cfg.Interval <= 0 {
		cfg.Interval = defaultInterval
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Interfaces = slices.Clone(cfg.Interfaces)
	s := &Service{cfg: cfg, log: cfg.Logger, table: newTable(cfg.Peer, cfg.Group)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if !cfg.DisableMachine {
		m, err := s.meet()
		switch {
		case err == nil:
			look := s.wake()
			s.wg.Go(func() { m.run(look) })
		case cfg.Dir != "":
			s.cancel()
			return nil, err
		default:
			s.log.Warn("peers of this machine cannot be met", "err", err)
		}
	}
	if !cfg.DisableMDNS {
		b := s.browse()
		look := s.wake()
		s.wg.Go(func() { b.run(look) })
	}
	return s, nil
}

// wake makes the channel that tells a source to look at once.
func (s *Service) wake() chan struct{} {
	c := make(chan struct{}, 1)
	s.looks = append(s.looks, c)
	return c
}

// Hints returns the peers of the own group that are near, by name.
func (s *Service) Hints() []Hint {
	return slices.DeleteFunc(s.Peers(), func(h Hint) bool { return h.Group != s.cfg.Group })
}

// Peers returns all peers that are near, those of other groups too, by name.
func (s *Service) Peers() []Hint { return s.table.hints() }

// Events yields what happens to the peers of the own group until ctx ends or the
// service is closed, beginning with [Found] for each that is near already. A
// reader that lags more than event.Buffer events loses the oldest; see Hints for
// how things stand. The sequence is single-use.
func (s *Service) Events(ctx context.Context) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(s.ctx, cancel)()
		next := s.hub.Subscribe(ctx) // first, so that nothing falls between
		told := map[id.Peer]Hint{}
		for _, h := range s.Hints() {
			told[h.Peer] = h
			if !yield(Event{Found, h}) {
				return
			}
		}
		for e := range next {
			if h, ok := told[e.Hint.Peer]; ok {
				delete(told, e.Hint.Peer)
				if e.Kind == Found && e.Hint.same(h) {
					continue // it is the one just told
				}
			}
			if !yield(e) {
				return
			}
		}
	}
}

// Refresh looks for peers at once, and returns without waiting for answers.
func (s *Service) Refresh() {
	for _, c := range s.looks {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Close ends the announcement and the search, and returns when no goroutine of
// the service is left, which takes up to half a second while a question is out.
// Peers of the network notice after three rounds, those of the machine within
// seconds. It is idempotent.
func (s *Service) Close() error {
	s.cancel()
	s.wg.Wait()
	return nil
}

// took takes one look at a source into account.
func (s *Service) took(src Source, f found, limit int) {
	s.stats.looks.Add(1)
	for _, e := range s.table.apply(src, f, limit) {
		s.stats.events.Add(1)
		s.log.Debug("peer "+e.Kind.String(), "peer", e.Hint.Peer.Short(), "name", e.Hint.Name,
			"source", e.Hint.Source.String(), "addresses", len(e.Hint.Addresses))
		s.hub.Publish(e)
	}
}

// self describes the local peer, except for its addresses.
func (s *Service) self() record {
	r := record{peer: s.cfg.Peer, group: s.cfg.Group, name: s.cfg.Name}
	if s.cfg.Roles != nil {
		r.roles = s.cfg.Roles()
	}
	return r
}
