package discovery

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// receiveIndex takes what a peer says it holds. A rendezvous takes it from the
// peer itself, if it leases here, and from other rendezvous what they replicate;
// nobody else may speak for a holder, whatever JXSE believes.
func (s *Service) receiveIndex(_ context.Context, x *resolver.Index) {
	if !s.begin() {
		return
	}
	defer s.end()
	if s.rdv.Role() != rendezvous.Rendezvous {
		s.stats.foreignIndex.Add(1)
		return
	}
	if !s.pushers.spend(x.From, len(x.Payload)) {
		s.stats.overBudget.Add(1)
		return
	}
	p := &push{}
	if err := xmldoc.Unmarshal([]byte(x.Payload), p); err != nil {
		s.dropped("index message", x.From, err)
		return
	}
	if !slices.Contains(stores[:], p.Primary) {
		s.stats.malformed.Add(1)
		return
	}
	switch {
	case p.Holder == x.From && s.rdv.HasClient(x.From):
		s.enter(s.index, p)
		if p.TTL >= 1 {
			s.replicate(p)
		}
	case p.Holder != s.self && p.TTL <= 0 && slices.Contains(s.cfg.View(), x.From):
		s.enter(s.replicas, p)
	default:
		s.stats.foreignIndex.Add(1)
		s.log.Debug("index entries of somebody else dropped", "from", x.From.Short(), "holder", p.Holder.Short())
	}
}

// stores are the primary keys of discovery.
var stores = [...]string{advertisements.Peers.String(), advertisements.Groups.String(), advertisements.Advs.String()}

func (s *Service) enter(index *store.Index, p *push) {
	now := time.Now()
	for _, e := range p.Entries {
		if err := index.Add(p.Primary, e.Name, e.Value, p.Holder, store.Deadline(now, e.Expiration)); err != nil {
			s.stats.refused.Add(1)
			s.log.Debug("index entry refused", "holder", p.Holder.Short(), "error", err)
			continue
		}
		s.stats.indexed.Add(1)
	}
}

// replica returns the rendezvous that keeps the copy of an index entry, if there
// are enough of them.
func (s *Service) replica(view []id.Peer, primary, name, value string) (id.Peer, bool) {
	if len(view) == 0 {
		return id.Peer{}, false
	}
	return place(primary+name+value, append(slices.Clone(view), s.self), replicaThreshold)
}

// replicate sends each entry to the rendezvous where others will look for it.
func (s *Service) replicate(p *push) {
	view := s.cfg.View()
	if len(view)+1 < replicaThreshold {
		return
	}
	copies := map[id.Peer]*push{}
	for _, e := range p.Entries {
		at, ok := s.replica(view, p.Primary, e.Name, e.Value)
		if !ok || at == s.self {
			continue
		}
		if copies[at] == nil {
			copies[at] = &push{Holder: p.Holder, Primary: p.Primary}
		}
		copies[at].Entries = append(copies[at].Entries, e)
	}
	for at, c := range copies {
		x, err := c.message()
		if err != nil {
			s.log.Error("replica cannot be printed", "error", err)
			continue
		}
		s.copies.put(s, parcel{at, x})
	}
}

// outbox sends replicas, one after the other as they were made, on a goroutine
// that lives only while there are any.
type outbox struct {
	mu      sync.Mutex
	queue   []parcel
	running bool
}

type parcel struct {
	to id.Peer
	x  *resolver.Index
}

func (o *outbox) put(s *Service, p parcel) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) >= maxCopies {
		s.stats.unsent.Add(1)
		return
	}
	o.queue = append(o.queue, p)
	if !o.running {
		o.running = true
		s.wg.Go(func() { o.drain(s) }) // the caller is between begin and end
	}
}

func (o *outbox) drain(s *Service) {
	for {
		o.mu.Lock()
		if len(o.queue) == 0 || s.ctx.Err() != nil {
			o.running, o.queue = false, nil
			o.mu.Unlock()
			return
		}
		p := o.queue[0]
		o.queue = o.queue[1:]
		o.mu.Unlock()
		ctx, cancel := context.WithTimeout(s.ctx, pushTimeout)
		err := s.res.SendIndex(ctx, p.to, p.x)
		cancel()
		if err != nil {
			s.stats.unsent.Add(1)
			s.log.Debug("replicating failed", "to", p.to.Short(), "error", err)
			continue
		}
		s.stats.pushed.Add(1)
	}
}

// holders returns peers that have announced something that fits, at most limit,
// drawn by chance, without those named.
func (s *Service) holders(kind advertisements.Kind, attr, value string, limit int, without ...id.Peer) []id.Peer {
	var found []id.Peer
	for _, p := range s.index.Find(kind.String(), attr, value, maxHolders) {
		if s.rdv.HasClient(p) { // an entry may outlive the lease for a moment
			found = append(found, p)
		}
	}
	for _, p := range s.replicas.Find(kind.String(), attr, value, maxHolders) {
		if !slices.Contains(found, p) {
			found = append(found, p)
		}
	}
	found = slices.DeleteFunc(found, func(p id.Peer) bool { return p == s.self || slices.Contains(without, p) })
	return s.draw(found, limit)
}

// silent returns peers that lease here and have announced nothing, drawn by
// chance: edges of JXSE 2.7 never do.
func (s *Service) silent(limit int, without ...id.Peer) []id.Peer {
	var found []id.Peer
	for _, c := range s.rdv.Clients() {
		if s.index.Held(c.Peer) == 0 && !slices.Contains(without, c.Peer) {
			found = append(found, c.Peer)
		}
	}
	return s.draw(found, limit)
}

// draw keeps limit of the peers, by chance.
func (s *Service) draw(peers []id.Peer, limit int) []id.Peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rng.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
	return peers[:min(limit, len(peers))]
}
