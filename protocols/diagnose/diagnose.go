// Package diagnose finds out why one peer cannot reach another: peers tell each
// other what they know of a third one, and of the asker, and a [Report] draws the
// conclusion in words.
//
// The question is Juxta's own; original JXTA peers do not answer it.
package diagnose

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// protocol is the question what a peer knows of another.
var protocol = resolver.Define[*question, *Facts]("juxta.why")

// ErrNoAnswer is the cause when a peer that was asked says nothing.
var ErrNoAnswer = errors.New("no answer")

// Config configures a [Service]. It is copied.
type Config struct {
	// Resolver carries the questions. Required.
	Resolver *resolver.Service

	// Facts returns what this peer knows of p and tells the asker. It is called
	// concurrently, and must not dial or wait long. Required.
	Facts func(ctx context.Context, p, asker id.Peer) Facts

	// Clock is the wall clock of this peer; nil is that of the system.
	Clock func() time.Time

	// Logger may be nil.
	Logger *slog.Logger
}

// Service asks and answers. Its methods are safe for concurrent use. Close it
// when done.
type Service struct {
	cfg    Config
	cancel context.CancelFunc
	limit  *rate.Limiter
	stats  counters
}

// New makes a service and begins to answer.
func New(cfg Config) (*Service, error) {
	if cfg.Resolver == nil || cfg.Facts == nil {
		return nil, errors.New("diagnose: Config.Resolver or Config.Facts is not set")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{cfg: cfg, limit: rate.NewLimiter(answerRate, answerBurst)}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	if err := protocol.Handle(ctx, cfg.Resolver, s.answer); err != nil {
		cancel()
		return nil, fmt.Errorf("diagnose: %w", err)
	}
	return s, nil
}

// Close ends the answering. It is idempotent.
func (s *Service) Close() { s.cancel() }

// Stats counts what a service did since it was made.
type Stats struct {
	Asked, Answered  uint64 // questions to others; those of others that were answered
	FailedAsks       uint64 // questions that could not be sent, or were not answered in time
	RefusedQuestions uint64 // questions beyond the rate, or to the whole group
}

type counters struct{ asked, answered, failed, refused atomic.Uint64 }

// Stats returns the counters.
func (s *Service) Stats() Stats {
	c := &s.stats
	return Stats{Asked: c.asked.Load(), Answered: c.answered.Load(), FailedAsks: c.failed.Load(), RefusedQuestions: c.refused.Load()}
}

// Ask asks a peer what it knows of p, which may be that peer itself. ctx bounds
// the wait; when it ends without an answer the error wraps [ErrNoAnswer].
func (s *Service) Ask(ctx context.Context, whom, p id.Peer) (Facts, error) {
	s.stats.asked.Add(1)
	began := time.Now()
	for r, err := range protocol.AskPeer(ctx, s.cfg.Resolver, whom, &question{Target: p}) {
		if err != nil {
			s.stats.failed.Add(1)
			return Facts{}, fmt.Errorf("diagnose: asking %s: %w", whom.Short(), err)
		}
		if r.Body.Peer != p {
			continue
		}
		f := *r.Body
		f.Witness, f.Trip = r.From, time.Since(began)
		return f, nil
	}
	s.stats.failed.Add(1)
	return Facts{}, fmt.Errorf("diagnose: asking %s: %w", whom.Short(), errors.Join(ErrNoAnswer, context.Cause(ctx)))
}

func (s *Service) answer(ctx context.Context, q resolver.Query[*question]) (*Facts, error) {
	if q.ToGroup || !s.limit.Allow() {
		s.stats.refused.Add(1)
		return nil, resolver.ErrNoAnswer
	}
	f := s.cfg.Facts(ctx, q.Body.Target, q.Source)
	f.Peer, f.Clock = q.Body.Target, s.cfg.Clock()
	s.stats.answered.Add(1)
	return &f, nil
}
