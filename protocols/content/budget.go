package content

import (
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/juxta-p2p/juxta/core/id"
)

// budget bounds the searching that others can make this peer do, each and all
// together. The zero value is ready for use.
type budget struct {
	mu    sync.Mutex
	all   *rate.Limiter
	peers map[id.Peer]*rate.Limiter
}

// spend takes what a question costs off the budget of its asker; it reports false
// if there is not enough left. When more askers are known than are remembered, all
// begin anew, within the budget of all.
func (b *budget) spend(p id.Peer, cost int, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = rate.NewLimiter(searchRateAll, searchBurstAll)
	}
	if b.peers[p] == nil {
		if b.peers == nil || len(b.peers) >= maxAskers {
			b.peers = map[id.Peer]*rate.Limiter{}
		}
		b.peers[p] = rate.NewLimiter(searchRate, searchBurst)
	}
	return b.peers[p].AllowN(now, cost) && b.all.AllowN(now, cost)
}

// cost is what answering takes: little if the words or the ID name what to look
// at, more if all words have to be compared with a pattern, or all items.
func (q *Query) cost() int {
	for _, w := range q.Words {
		if !strings.Contains(w, "*") {
			return 1
		}
	}
	if !q.ID.IsZero() {
		return 1
	}
	return patternCost
}
