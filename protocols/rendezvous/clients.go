package rendezvous

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// Client describes an edge that holds a lease here.
type Client struct {
	Peer      id.Peer
	Name      string
	Left      time.Duration // until the lease ends
	Connected bool          // a link to it is open
}

type client struct {
	adv    *advertisements.Peer
	until  time.Time
	origin string
}

// sweepEvery is the longest a lease that ran out stays in the table.
const sweepEvery = 2 * time.Minute

// Clients returns the edges that hold a lease here, in order of peer ID.
func (s *Service) Clients() []Client {
	s.mu.Lock()
	list := make([]Client, 0, len(s.clients))
	for p, c := range s.clients {
		if left := time.Until(c.until); left > 0 {
			list = append(list, Client{Peer: p, Name: c.adv.Name, Left: left})
		}
	}
	s.mu.Unlock()
	for i := range list {
		list[i].Connected = s.ep.LinkTo(list[i].Peer) != nil
	}
	slices.SortFunc(list, func(a, b Client) int {
		if a.Peer.String() < b.Peer.String() {
			return -1
		}
		return 1
	})
	return list
}

// HasClient reports whether the peer holds a lease here.
func (s *Service) HasClient(p id.Peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.clients[p]
	return ok && time.Now().Before(c.until)
}

// connect grants or prolongs a lease. A full rendezvous keeps silent, as in
// JXSE, so that the edge asks elsewhere.
func (s *Service) connect(ctx context.Context, in endpoint.Incoming) {
	adv := s.peerIn(in, elemConnect)
	if adv == nil {
		s.stats.badLease.Add(1)
		return
	}
	c := &client{adv: adv, until: time.Now().Add(s.cfg.Lease)}
	if in.Link != nil {
		c.origin = in.Link.Origin()
	}
	s.mu.Lock()
	_, known := s.clients[adv.ID]
	if !known && !s.room(c.origin) {
		s.mu.Unlock()
		s.stats.refused.Add(1)
		return
	}
	s.clients[adv.ID] = c
	s.mu.Unlock()
	s.cfg.Met(adv, 2*s.cfg.Lease)

	reply := s.own(elemReply)
	if reply == nil {
		return
	}
	reply.Add(
		message.Text(message.Platform, elemPeer, s.self.String()),
		message.Text(message.Platform, elemLease, strconv.FormatInt(s.cfg.Lease.Milliseconds(), 10)))
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if err := s.scope.Send(ctx, adv.ID, id.ClassRendezvous.String(), s.param, reply); err != nil {
		s.log.Info("granting a lease failed", "peer", adv.ID.Short(), "error", err)
		s.drop(adv.ID)
		return
	}
	if known {
		s.tell(ClientStayed, adv.ID)
	} else {
		s.tell(ClientJoined, adv.ID)
	}
}

// room reports whether one more client from there may come. s.mu is held.
func (s *Service) room(origin string) bool {
	now := time.Now()
	live, same := 0, 0
	for _, c := range s.clients {
		if !now.Before(c.until) {
			continue // its end is told by the sweep
		}
		live++
		if c.origin == origin {
			same++
		}
	}
	if ip, err := netip.ParseAddr(origin); err != nil || ip.IsLoopback() {
		same = 0 // not an IP address, or this machine: the origin tells nobody apart
	}
	return live < s.cfg.MaxClients && same < maxClientsPerHost
}

// sweepClients drops leases that ran out.
func (s *Service) sweepClients() time.Duration {
	now := time.Now()
	var gone []id.Peer
	s.mu.Lock()
	for p, c := range s.clients {
		if !now.Before(c.until) {
			delete(s.clients, p)
			gone = append(gone, p)
		}
	}
	s.mu.Unlock()
	for _, p := range gone {
		s.tell(ClientLeft, p)
	}
	return sweepEvery
}
