// Package peerinfo is the Peer Information Protocol: it asks a peer of the group
// how it is, and answers when this peer is asked.
//
// JXTA v2 specification, "Peer Information Protocol". JXSE 2.5 and 2.7 speak
// only a monitoring extension, which is switched off in both releases, so their
// peers never answer.
package peerinfo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// Config configures a [Service]. Resolver is required.
type Config struct {
	Resolver *resolver.Service
	Logger   *slog.Logger // nil is silent
}

// Info tells how a peer is.
type Info struct {
	Peer   id.Peer
	Uptime time.Duration // since the peer started, as it says
	Clock  time.Time     // what its clock said when it answered
	Trip   time.Duration // from the question to the answer
}

// ErrNoAnswer is the cause when the peer did not answer in time.
var ErrNoAnswer = errors.New("the peer does not answer; original JXTA peers never do")

// Service asks and answers in one group. Its methods are safe for concurrent
// use. Close it when done.
type Service struct {
	res     *resolver.Service
	self    id.Peer
	started time.Time
	cancel  context.CancelFunc
	stats   counters
}

var protocol = resolver.Define[*query, *response](id.ClassPeerInfo.String())

// New begins to answer.
func New(cfg Config) (*Service, error) {
	if cfg.Resolver == nil {
		return nil, errors.New("peerinfo: Config.Resolver is not set")
	}
	s := &Service{res: cfg.Resolver, self: cfg.Resolver.Peer(), started: time.Now()}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	if err := protocol.Handle(ctx, s.res, s.answer); err != nil {
		cancel()
		return nil, fmt.Errorf("peerinfo: %w", err)
	}
	return s, nil
}

// Close ends the answering. It is idempotent.
func (s *Service) Close() { s.cancel() }

// Uptime returns how long this peer has been in the group.
func (s *Service) Uptime() time.Duration { return time.Since(s.started) }

// Stats counts what a service did since it was made.
type Stats struct {
	Asked, Answered uint64 // questions to others; those of others that were answered

	FailedAsks       uint64 // questions that could not be sent, or were not answered in time
	DroppedMismatch  uint64 // answers that do not fit the question
	RefusedQuestions uint64 // questions about or for another peer, or for the monitoring extension
}

type counters struct{ asked, answered, failed, mismatch, refused atomic.Uint64 }

// Stats returns the counters.
func (s *Service) Stats() Stats {
	c := &s.stats
	return Stats{
		Asked: c.asked.Load(), Answered: c.answered.Load(), FailedAsks: c.failed.Load(),
		DroppedMismatch: c.mismatch.Load(), RefusedQuestions: c.refused.Load(),
	}
}

// Ask asks a peer how it is. ctx bounds the wait; when it ends without an
// answer, the error wraps [ErrNoAnswer] and ctx's cause. Asking oneself is answered at once.
func (s *Service) Ask(ctx context.Context, p id.Peer) (Info, error) {
	began := time.Now()
	if p == s.self {
		return Info{Peer: p, Uptime: s.Uptime(), Clock: began}, nil
	}
	s.stats.asked.Add(1)
	for r, err := range protocol.AskPeer(ctx, s.res, p, &query{Source: s.self, Target: p}) {
		if err != nil {
			s.stats.failed.Add(1)
			return Info{}, fmt.Errorf("peerinfo: asking %s: %w", p.Short(), err)
		}
		if r.Body.Target != p || r.Body.Source != s.self {
			s.stats.mismatch.Add(1)
			continue // not what was asked
		}
		return Info{
			Peer: p, Trip: time.Since(began), Clock: time.UnixMilli(r.Body.Timestamp),
			Uptime: time.Duration(min(max(r.Body.Uptime, 0), maxUptime)) * time.Millisecond,
		}, nil
	}
	s.stats.failed.Add(1)
	if err := context.Cause(ctx); err != nil {
		return Info{}, fmt.Errorf("peerinfo: asking %s: %w: %w", p.Short(), ErrNoAnswer, err)
	}
	return Info{}, fmt.Errorf("peerinfo: asking %s: %w", p.Short(), ErrNoAnswer)
}

// maxUptime, in milliseconds, keeps a claim within what a Duration can hold: a
// century.
const maxUptime = int64(100 * 365 * 24 * time.Hour / time.Millisecond)

// answer tells uptime and clock, to whoever asks for this peer and names no
// monitoring request.
func (s *Service) answer(_ context.Context, q resolver.Query[*query]) (*response, error) {
	if q.Body.Target != s.self || q.Body.Source != q.Source || !q.Body.Request.IsZero() {
		s.stats.refused.Add(1)
		return nil, resolver.ErrNoAnswer
	}
	s.stats.answered.Add(1)
	return &response{
		Source: q.Source, Target: s.self, Uptime: s.Uptime().Milliseconds(), Timestamp: time.Now().UnixMilli(),
	}, nil
}

// query is jxta:PeerInfoQueryMessage.
type query struct {
	Source, Target id.Peer
	Request        xmldoc.Node // of the monitoring extension
}

// Map implements [xmldoc.Document].
func (q *query) Map(m *xmldoc.Mapper) {
	m.Root("jxta:PeerInfoQueryMessage")
	m.Indented()
	m.Value("sourcePid", &q.Source)
	m.Value("targetPid", &q.Target)
	m.Node("request", &q.Request)
}

// response is jxta:PeerInfoResponseMessage. The asker stands first.
type response struct {
	Source, Target id.Peer
	Response       xmldoc.Node // of the monitoring extension
	Uptime         int64       // milliseconds
	Timestamp      int64       // milliseconds since 1970
}

// Map implements [xmldoc.Document].
func (r *response) Map(m *xmldoc.Mapper) {
	m.Root("jxta:PeerInfoResponseMessage")
	m.Indented()
	m.Value("sourcePid", &r.Source)
	m.Value("targetPid", &r.Target)
	m.Node("response", &r.Response)
	m.Int("uptime", &r.Uptime)
	m.Int("timestamp", &r.Timestamp)
}
