package routing

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// Explanation is what is known of the ways to a peer, and what was found out by
// trying them.
type Explanation struct {
	Known Info // before anything was tried

	Links   []LinkState    // open to the peer before
	Tried   []AddressState // the addresses, in the order in which they are dialled
	Through []WayState     // ways through others, best first
	Bad     []id.Peer      // peers that did not lead there within the last two minutes

	Nack     *Nack     // the last one that was believed; nil if none
	Failures []Failure // the last messages that could not be sent, the latest last; at most four
	Upgrade  time.Time // when a link in place of a way through others was last looked for in vain; zero if it was not
	Nobody   time.Time // when everybody was last asked in vain; zero if nobody was

	Reached bool // a link to the peer is open now
}

// Failure is a message that could not be sent.
type Failure struct {
	When time.Time
	Err  error
}

// LinkState is a link to a peer.
type LinkState struct {
	Kind      Kind
	Remote    endpoint.Address
	Outgoing  bool
	Proven    bool // the peer has proven its ID
	Encrypted bool
}

// AddressState is an address of a peer and what became of dialling it.
type AddressState struct {
	Address endpoint.Address
	Rested  time.Time     // until when it would not have been tried, since it failed; zero if it would
	Took    time.Duration // how long the attempt took
	Peer    id.Peer       // who answered; zero if nobody did
	Err     *endpoint.DialError
}

// WayState is a way through other peers and what they say of it.
type WayState struct {
	Way
	Peers []HopState // in the order of Hops
}

// HopState is a peer in between.
type HopState struct {
	Peer   id.Peer
	Linked bool // there is a link to it
	Kind   Kind // of that link
	Asked  bool // whether it leads to the destination
	Leads  bool // it says that it does
	// Hops are the peers behind it, as it says; none if it is a neighbour of the
	// destination, or is the destination's relay.
	Hops []id.Peer
	Took time.Duration // until it answered
	Err  error         // why it was not asked, or did not answer
}

// Explain tells everything about the ways to a peer, and tries them: it opens a new
// link to every address, at the same time and even to those that failed a moment
// ago, and asks every peer in between whether it leads there. It returns when all
// have answered, after at most ten seconds, or when ctx ends. The links stay open,
// as any that is idle.
func (r *Router) Explain(ctx context.Context, p id.Peer) Explanation {
	x := Explanation{}
	x.Known, _ = r.Route(p)
	for _, l := range r.ep.Links() {
		if l.Peer() == p {
			x.Links = append(x.Links, LinkState{kindOf(l), l.Remote(), l.Outgoing(), l.Proven(), endpoint.Encrypted(l)})
		}
	}
	r.mu.Lock()
	now := r.now()
	list, _ := r.failures.get(p)
	x.Failures = slices.Clone(list)
	if when, ok := r.lost.get(p); ok {
		x.Nobody = r.clock(when)
	}
	if e := r.table.get(p); e != nil {
		if e.nack != nil {
			n := *e.nack
			x.Nack = &n
		}
		if e.climb != nil && e.climb.pause > 0 {
			x.Upgrade = r.clock(e.climb.last)
		}
	}
	own := r.cfg.Self().Addresses
	for _, place := range places(x.Known.Addresses, own) {
		for _, a := range place {
			s := AddressState{Address: a}
			if f, ok := r.failed.get(a); ok && now < f.until {
				s.Rested = r.clock(f.until)
			}
			x.Tried = append(x.Tried, s)
		}
	}
	r.mu.Unlock()
	x.Bad = r.badHops(p)
	hops := map[id.Peer]*HopState{}
	for _, w := range x.Known.Ways {
		for _, h := range w.Hops {
			if hops[h] == nil && len(hops) < maxWays*maxHops {
				hops[h] = &HopState{Peer: h}
			}
		}
	}
	var trying sync.WaitGroup
	for i := range x.Tried {
		trying.Go(func() { r.try(ctx, p, &x.Tried[i]) })
	}
	for _, h := range hops {
		trying.Go(func() { r.askHop(ctx, p, h) })
	}
	trying.Wait()
	for _, w := range x.Known.Ways {
		s := WayState{Way: w}
		for _, h := range w.Hops {
			s.Peers = append(s.Peers, *hops[h])
		}
		x.Through = append(x.Through, s)
	}
	x.Reached = r.ep.LinkTo(p) != nil
	return x
}

// try dials an address anew.
func (r *Router) try(ctx context.Context, p id.Peer, s *AddressState) {
	began := time.Now()
	l, err := r.ep.DialNew(ctx, s.Address)
	s.Took = time.Since(began)
	if err == nil {
		if s.Peer = l.Peer(); s.Peer == p {
			return
		}
		err = notThatPeer(s.Address, s.Peer)
	}
	if !errors.As(err, &s.Err) {
		s.Err = &endpoint.DialError{Addr: s.Address, Phase: endpoint.PhaseConnect, Err: err}
	}
}

// askHop asks a peer in between whether it leads to another.
func (r *Router) askHop(ctx context.Context, p id.Peer, h *HopState) {
	if l := r.ep.LinkTo(h.Peer); l != nil {
		h.Linked, h.Kind = true, kindOf(l)
	}
	a := r.asker.Load()
	if a == nil {
		h.Err = resolver.ErrNobody
		return
	}
	doc, err := xmldoc.Marshal(&query{Dest: p, Src: r.cfg.Self()})
	if err != nil {
		h.Err = err
		return
	}
	ctx, cancel := context.WithTimeout(endpoint.KnownWays(ctx), probeTimeout)
	defer cancel()
	h.Asked = true
	h.Err = resolver.ErrNoAnswer
	began := time.Now()
	for raw, err := range a.res.Collect(ctx, h.Peer, &resolver.RawQuery{Handler: service, Body: string(doc)}) {
		if err != nil {
			h.Err = err
			return
		}
		var resp response
		if xmldoc.Unmarshal([]byte(raw.Body), &resp) != nil || resp.Dest.Dest != p || resp.Src.Dest != h.Peer {
			continue
		}
		h.Leads, h.Err, h.Took = true, nil, time.Since(began)
		h.Hops = peersOf(resp.Dest.Hops)
		return
	}
}

func peersOf(points []advertisements.AccessPoint) (all []id.Peer) {
	for _, h := range points {
		all = append(all, h.Peer)
	}
	return all
}
