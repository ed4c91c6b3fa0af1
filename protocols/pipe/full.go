package pipe

import (
	"maps"
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
)

// FullInput is an input whose queue is full, since its program does not read, or not
// fast enough.
type FullInput struct {
	Pipe    *advertisements.Pipe // must not be changed
	Waiting int                  // messages in the queue
	Dropped uint64               // messages that were dropped for that, since it was opened
}

// Inputs returns the input pipes that are open here, in the order of their IDs.
func (s *Service) Inputs() []*Input {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.inputs), func(a, b *Input) int { return strings.Compare(a.adv.ID.String(), b.adv.ID.String()) })
}

// FullInputs returns the inputs whose queues are full, so that senders wait, and
// messages of original peers are dropped.
func (s *Service) FullInputs() []FullInput {
	var all []FullInput
	for _, in := range s.Inputs() {
		in.q.mu.Lock()
		full, n, dropped := in.q.full(1), in.q.n, in.q.dropped
		in.q.mu.Unlock()
		if full {
			all = append(all, FullInput{Pipe: in.adv, Waiting: n, Dropped: dropped})
		}
	}
	return all
}
