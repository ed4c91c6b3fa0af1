package discovery

import (
	"context"
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// stores are the primary keys of discovery.
var stores = [...]string{advertisements.Peers.String(), advertisements.Groups.String(), advertisements.Advs.String()}

func isStore(primary string) bool { return slices.Contains(stores[:], primary) }

// exact reports whether a query asks for one value of a field, of which the index
// knows the place.
func (q *query) exact() bool {
	return q.Attr != "" && q.Value != "" && !strings.Contains(q.Value, "*")
}

// matchesAll reports whether a query asks for everything of its kind.
func (q *query) matchesAll() bool { return q.Attr == "" || strings.Trim(q.Value, "*") == "" }

// holders returns peers that have announced something that fits, at most limit,
// drawn by chance, without those named.
func (s *Service) holders(q *query, limit int, without ...id.Peer) []id.Peer {
	found := s.index.Find(q.Kind.String(), q.Attr, q.Value, maxHolders)
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

// came gives a query that found nothing a moment ago to a peer that has announced
// something for it, or answers it if that is this one.
func (s *Service) came(ctx context.Context, raw *resolver.RawQuery, holder id.Peer) {
	if !s.begin() {
		return
	}
	defer s.end()
	if holder != s.self {
		s.forward(ctx, raw, []id.Peer{holder})
		return
	}
	var q query
	if xmldoc.Unmarshal([]byte(raw.Body), &q) != nil || raw.Source == s.self {
		return
	}
	if found := s.results(&q, int(min(q.Threshold, maxResults))); len(found) > 0 && raw.Answer() {
		s.respond(ctx, raw, &q, found)
	}
}
