package direct

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// receive takes what other peers say. It runs where the link is read and must not
// wait.
func (s *Service) receive(_ context.Context, in endpoint.Incoming) {
	e, ok := in.Message.Get(message.Platform, element)
	var d document
	if !ok || xmldoc.Unmarshal(e.Body, &d) != nil {
		s.stats.malformed.Add(1)
		return
	}
	switch d.Kind {
	case kindAsk:
		s.serve(in, &d)
	case kindGo:
		s.mu.Lock()
		a := s.pending[d.Nonce]
		// Only who got the answer knows the token: nobody can have this peer dial in
		// the name of another.
		ok := a != nil && a.peer == in.From && a.token == d.Token && time.Now().Before(a.until)
		if ok {
			delete(s.pending, d.Nonce)
		}
		s.mu.Unlock()
		if !ok {
			s.stats.malformed.Add(1)
			return
		}
		s.work(func() {
			if err := s.punch(s.ctx, a.peer, a.theirs); err != nil {
				s.log.Debug("no direct link could be opened", "peer", a.peer.Short(), "error", err)
			}
		})
	case kindAnswer, kindProbed:
		s.mu.Lock()
		a := s.asked[d.Nonce]
		s.mu.Unlock()
		if a == nil || a.peer != in.From {
			s.stats.malformed.Add(1)
			return
		}
		select {
		case a.answer <- &d:
		default:
		}
	case kindProbe:
		if in.Link == nil || in.Link.Peer() != in.From || !s.admit(in) {
			s.stats.refused.Add(1)
			return
		}
		s.stats.probed.Add(1)
		s.work(func() { s.probeFor(in.Link, &d) })
	}
}

// proven reports whether a message comes from who it says.
func proven(in endpoint.Incoming) bool {
	return in.Secured || in.Link != nil && in.Link.Proven() && in.Link.Peer() == in.From
}

// admit applies the limits on what others begin.
func (s *Service) admit(in endpoint.Incoming) bool {
	p := in.From
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if last, ok := s.served[p]; ok && now.Sub(last) < servedEvery || s.closed {
		return false
	}
	if !proven(in) && !s.loose.Allow() || !s.limit.Allow() {
		return false
	}
	if len(s.served) >= maxRemembered {
		for q, when := range s.served {
			if now.Sub(when) >= servedEvery {
				delete(s.served, q)
			}
		}
	}
	if len(s.served) < maxRemembered {
		s.served[p] = now
	}
	return true
}

// serve takes part in an attempt that another peer begins.
func (s *Service) serve(in endpoint.Incoming, d *document) {
	p, theirs := in.From, candidates(d.Addresses, s.ep)
	if !proven(in) {
		theirs = theirs[:min(len(theirs), maxLoose)]
	}
	if len(theirs) == 0 || !s.admit(in) {
		s.stats.refused.Add(1)
		return
	}
	token, now := newNonce(), time.Now()
	s.mu.Lock()
	for nonce, a := range s.pending {
		if now.After(a.until) {
			delete(s.pending, nonce)
		}
	}
	_, taken := s.pending[d.Nonce]
	full := taken || len(s.pending) >= maxAttempts
	if !full {
		s.pending[d.Nonce] = &attempt{peer: p, nonce: d.Nonce, token: token, theirs: theirs, until: now.Add(upgradeTimeout)}
	}
	s.mu.Unlock()
	if full {
		s.stats.refused.Add(1)
		return
	}
	s.stats.served.Add(1)
	s.work(func() {
		ctx, cancel := context.WithTimeout(s.ctx, answerTimeout)
		defer cancel()
		mine := candidates(s.cfg.Addresses(), s.ep)
		if err := s.send(ctx, p, &document{Kind: kindAnswer, Nonce: d.Nonce, Token: token, Addresses: mine}); err != nil {
			s.log.Debug("an attempt at a direct link could not be answered", "peer", p.Short(), "error", err)
		}
	})
}

// work runs f unless the service is closed; the limits on attempts bound how many
// run.
func (s *Service) work(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.wg.Go(f)
	}
}

// Reach is whether another peer could dial an address of this one.
type Reach struct {
	Address endpoint.Address
	OK      bool
	Phase   endpoint.Phase // in which it failed
	Reason  string         // in the other peer's words
}

// Probe asks a neighbour to dial this peer under each of the addresses, of which it
// tries those at the IP address where it sees this peer, at most four. The error
// wraps [ErrNoAnswer] if it says nothing.
func (s *Service) Probe(ctx context.Context, q id.Peer, addresses []endpoint.Address) ([]Reach, error) {
	a := &attempt{peer: q, nonce: newNonce(), answer: make(chan *document, 1)}
	s.mu.Lock()
	full := s.closed || len(s.asked) >= maxAttempts
	if !full {
		s.asked[a.nonce] = a
		s.wg.Add(1)
	}
	s.mu.Unlock()
	if full {
		return nil, ErrTooSoon
	}
	defer s.end(a)
	ctx, cancel := context.WithTimeout(ctx, maxProbed*probeTimeout)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	d := &document{Kind: kindProbe, Nonce: a.nonce, Addresses: addresses[:min(len(addresses), maxProbed)]}
	if err := s.send(ctx, q, d); err != nil {
		return nil, err
	}
	select {
	case d := <-a.answer:
		var all []Reach
		for _, r := range d.Results {
			all = append(all, Reach{Address: r.Address, OK: r.Phase == "", Phase: endpoint.Phase(r.Phase), Reason: r.Reason})
		}
		return all, nil
	case <-ctx.Done():
		return nil, errors.Join(ErrNoAnswer, context.Cause(ctx))
	}
}

// probeFor dials the addresses of a neighbour that are where it is seen, and tells
// it how that went.
func (s *Service) probeFor(l endpoint.Link, d *document) {
	ctx, cancel := context.WithTimeout(s.ctx, maxProbed*probeTimeout)
	defer cancel()
	out := &document{Kind: kindProbed, Nonce: d.Nonce}
	for _, a := range d.Addresses[:min(len(d.Addresses), maxProbed)] {
		if !sameMachine(a, l.Origin()) || !s.ep.Serves(a.Protocol) {
			out.Results = append(out.Results, result{a.Base(), string(endpoint.PhasePolicy), "it is not the address at which this peer sees you"})
			continue
		}
		short, stop := context.WithTimeout(ctx, probeTimeout)
		x, err := s.ep.Probe(short, a.Base())
		stop()
		r := result{Address: a.Base()}
		var de *endpoint.DialError
		switch {
		case err == nil && x != l.Peer():
			r.Phase, r.Reason = string(endpoint.PhaseIdentity), "another peer answers there"
		case errors.As(err, &de):
			r.Phase, r.Reason = string(de.Phase), clip(de.Err.Error())
		case err != nil:
			r.Phase, r.Reason = string(endpoint.PhaseConnect), clip(err.Error())
		}
		out.Results = append(out.Results, r)
	}
	b, err := xmldoc.Marshal(out)
	if err == nil { // over the link it came on: others are just being closed
		err = s.cfg.Scope.SendOn(ctx, l, service, "", message.New(message.XML(message.Platform, element, b)))
	}
	if err != nil {
		s.log.Debug("a probe could not be answered", "peer", l.Peer().Short(), "error", err)
	}
}

// sameMachine reports whether an address is at the network origin of a link.
func sameMachine(a endpoint.Address, origin string) bool {
	host, _, err := a.HostPort()
	if err != nil {
		return a.Host == origin // not of IP
	}
	x, err1 := netip.ParseAddr(host)
	y, err2 := netip.ParseAddr(origin)
	if err1 != nil || err2 != nil {
		return host == origin
	}
	return x.Unmap() == y.Unmap()
}
