package discovery

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// Forever is a lifetime that does not end.
const Forever time.Duration = math.MaxInt64

// Lifetime says how long a published advertisement is kept. The zero value
// means the defaults of JXSE.
type Lifetime struct {
	// Local is how long it stays in the own cache. Zero means 365 days;
	// [Forever] does not end; negative values are refused. Publishing again
	// never shortens it.
	Local time.Duration

	// Remote is the most that a copy at another peer lives, and never more than
	// what is left of Local. Zero means 2 hours. Negative means that others get
	// none: the advertisement is neither announced nor given out.
	Remote time.Duration
}

// resolve returns the two times, with 0 for nothing remote.
func (l Lifetime) resolve() (local, remote time.Duration, err error) {
	if l.Local < 0 {
		return 0, 0, fmt.Errorf("discovery: %w: %v", ErrLifetime, l.Local)
	}
	local, remote = l.Local, l.Remote
	if local == 0 {
		local = defaultLocal
	}
	if remote == 0 {
		remote = defaultRemote
	}
	return local, max(0, min(remote, local)), nil
}

// until returns the end of a lifetime that begins now.
func until(d time.Duration) time.Time {
	if d == Forever {
		return store.Forever()
	}
	return time.Now().Add(d)
}

// Publish puts the advertisement into the own cache, from which others get it
// when they ask, in the place of an earlier version. Unless it is for this peer
// alone, the rendezvous is told at once by what it can be found; a peer without
// rendezvous does so when it gets one. Publish does not wait for that.
//
// The error wraps ctx's cause, [ErrClosed], [ErrLifetime], or what the store or
// the document said: see [store.Scope.Put] and [advertisements.Marshal].
func (s *Service) Publish(ctx context.Context, adv advertisements.Advertisement, life Lifetime) error {
	if ctx.Err() != nil {
		return fmt.Errorf("discovery: %w", context.Cause(ctx))
	}
	if !s.begin() {
		return fmt.Errorf("discovery: %w", ErrClosed)
	}
	defer s.end()
	local, remote, err := life.resolve()
	if err != nil {
		return err
	}
	if adv == nil {
		return errNil
	}
	if s.cfg.Permit != nil {
		if err := s.cfg.Permit(adv); err != nil {
			return fmt.Errorf("discovery: %w", err)
		}
	}
	r, err := recordOf(adv)
	if err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	r.Lifetime, r.Expiration = until(local), remote
	changed, err := s.store.Put(r)
	if err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	if changed {
		s.announce()
	}
	return nil
}

var errNil = errors.New("discovery: no advertisement")

// recordOf prints an advertisement for the store.
func recordOf(adv advertisements.Advertisement) (store.Record, error) {
	doc, err := advertisements.Marshal(adv)
	if err != nil {
		return store.Record{}, err
	}
	fields, err := advertisements.Fields(adv)
	if err != nil {
		return store.Record{}, err
	}
	key, err := advertisements.KeyOf(adv)
	if err != nil {
		return store.Record{}, err
	}
	return store.Record{Kind: advertisements.KindOf(adv), Key: key, Fields: fields, Document: doc}, nil
}

// PublishRemote pushes a copy of the advertisement into the caches of others,
// for [Lifetime.Remote]: a rendezvous gives it to the edges that lease from it,
// an edge to its rendezvous, both to the neighbourhood. It returns to how many
// peers or networks it went; who takes it they do not say. It does not touch the
// own cache.
//
// The error wraps [ErrNobody], [ErrClosed] or [ErrLifetime].
func (s *Service) PublishRemote(ctx context.Context, adv advertisements.Advertisement, life Lifetime) (n int, err error) {
	r, err := s.publication(adv, life)
	if err != nil {
		return 0, err
	}
	defer s.end()
	return s.res.SpreadResponse(ctx, r)
}

// PublishTo is [Service.PublishRemote] to one peer. It returns when the copy is
// on its way.
func (s *Service) PublishTo(ctx context.Context, peer id.Peer, adv advertisements.Advertisement, life Lifetime) error {
	r, err := s.publication(adv, life)
	if err != nil {
		return err
	}
	defer s.end()
	if err := s.res.SendResponse(ctx, peer, r); err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	return nil
}

// publication makes an answer that nobody asked for, with query ID 0 and the
// advertisement in the layout of JXSE. If there is no error, end must be called.
func (s *Service) publication(adv advertisements.Advertisement, life Lifetime) (*resolver.RawResponse, error) {
	_, remote, err := life.resolve()
	if err != nil {
		return nil, err
	}
	if adv == nil {
		return nil, errNil
	}
	if remote == 0 {
		return nil, fmt.Errorf("discovery: %w: nothing remote", ErrLifetime)
	}
	doc, err := advertisements.MarshalIndent(adv)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	body, err := xmldoc.Marshal(&response{
		Kind: advertisements.KindOf(adv), Results: []result{{string(doc), remote.Milliseconds()}},
	})
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	if !s.begin() {
		return nil, fmt.Errorf("discovery: %w", ErrClosed)
	}
	return &resolver.RawResponse{Handler: handler, Body: string(body)}, nil
}

// Remove takes the advertisement out of the own cache and withdraws it from the
// rendezvous. Copies at other peers live on until their time is over. The error
// wraps [ErrNotFound] if it was not there.
func (s *Service) Remove(ctx context.Context, adv advertisements.Advertisement) error {
	if ctx.Err() != nil {
		return fmt.Errorf("discovery: %w", context.Cause(ctx))
	}
	if adv == nil {
		return errNil
	}
	key, err := advertisements.KeyOf(adv)
	if err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	if !s.begin() {
		return fmt.Errorf("discovery: %w", ErrClosed)
	}
	defer s.end()
	if !s.store.Remove(advertisements.KindOf(adv), key) {
		return fmt.Errorf("discovery: %w: %s", ErrNotFound, key)
	}
	s.announce()
	return nil
}

// Flush takes everything of these kinds, or of all if none is named, out of the
// own cache and withdraws it from the rendezvous; see [Service.Remove]. The
// peer's own advertisement stays. It returns how many there were.
func (s *Service) Flush(ctx context.Context, kinds ...advertisements.Kind) (int, error) {
	if ctx.Err() != nil {
		return 0, fmt.Errorf("discovery: %w", context.Cause(ctx))
	}
	if !s.begin() {
		return 0, fmt.Errorf("discovery: %w", ErrClosed)
	}
	defer s.end()
	self, kept := s.ownRecord()
	n := s.store.Flush(kinds...)
	if kept {
		// Whether it was flushed or not: saving it again changes nothing then.
		if _, there := s.store.Get(self.Kind, self.Key); !there {
			n--
			if _, err := s.store.Put(self); err != nil {
				return n, fmt.Errorf("discovery: %w", err)
			}
		}
	}
	s.announce()
	return n, nil
}

// ownRecord returns the record of the peer's own advertisement, if it is in the
// store.
func (s *Service) ownRecord() (store.Record, bool) {
	self := s.cfg.Self()
	if self == nil {
		return store.Record{}, false
	}
	return s.store.Get(advertisements.Peers, self.Key())
}
