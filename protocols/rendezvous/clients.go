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
	down   time.Time // since when there is no link to it; zero if there is, or has been none
	asked  bool      // whether it is there is being found out
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

// OnlyClients removes from a list the peers that hold no lease here.
func (s *Service) OnlyClients(peers []id.Peer) []id.Peer {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(peers, func(p id.Peer) bool {
		c, ok := s.clients[p]
		return !ok || !now.Before(c.until)
	})
}

// connect grants or prolongs a lease. A full rendezvous grants none and names
// others; JXSE, which keeps silent then, does not understand that and asks
// elsewhere, too.
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
		s.refuse(ctx, in)
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
	s.refer(reply)
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if err := s.scope.Send(endpoint.KnownWays(ctx), adv.ID, id.ClassRendezvous.String(), s.param, reply); err != nil {
		s.stats.unsentLease.Add(1)
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

// refuse tells a peer that there is no lease for it here, and who else might have
// one.
func (s *Service) refuse(ctx context.Context, in endpoint.Incoming) {
	if in.Link == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	reply := &message.Message{}
	s.refer(reply)
	if err := s.scope.Send(endpoint.KnownWays(ctx), in.From, id.ClassRendezvous.String(), s.param, reply); err != nil {
		s.stats.unsentLease.Add(1)
		s.log.Debug("a refusal could not be sent", "peer", in.From.Short(), "error", err)
	}
}

// sweepClients drops leases that ran out, and finds out about clients to which
// the link has been down for a while. It returns when to look again.
func (s *Service) sweepClients() time.Duration {
	t := now()
	next := sweepEvery
	var gone, doubtful []id.Peer
	s.mu.Lock()
	for p, c := range s.clients {
		switch {
		case !t.Before(c.until):
			delete(s.clients, p)
			gone = append(gone, p)
		case c.down.IsZero() || c.asked:
		case s.ep.LinkTo(p) != nil:
			c.down = time.Time{}
		case t.Sub(c.down) < comeBack:
			next = min(next, comeBack-t.Sub(c.down))
		default:
			c.asked = true
			doubtful = append(doubtful, p)
		}
	}
	s.mu.Unlock()
	for _, p := range gone {
		s.tell(ClientLeft, p)
	}
	for part := range slices.Chunk(doubtful, checkAtOnce) {
		if !s.task(func(ctx context.Context) { s.check(ctx, part) }) {
			break
		}
	}
	return next
}

// check drops the clients that cannot be reached any more: what they announced
// would mislead others until their leases end.
func (s *Service) check(ctx context.Context, clients []id.Peer) {
	for _, p := range clients {
		err := error(nil)
		if s.cfg.Connect != nil {
			one, cancel := context.WithTimeout(ctx, sendTimeout)
			_, err = s.cfg.Connect(one, p)
			cancel()
		}
		s.mu.Lock()
		c := s.clients[p]
		lost := c != nil && c.asked && err != nil && ctx.Err() == nil
		if lost {
			delete(s.clients, p)
		} else if c != nil {
			c.asked, c.down = false, time.Time{}
		}
		s.mu.Unlock()
		if lost {
			s.log.Info("a client is gone", "peer", p.Short(), "error", err)
			s.tell(ClientLeft, p)
		}
	}
}
