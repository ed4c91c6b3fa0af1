package pipe

import (
	"github.com/juxta-p2p/juxta/advertisements"
)

// FullInput is an input whose queue is full, since its program does not read, or not
// fast enough.
type FullInput struct {
	Pipe    *advertisements.Pipe // must not be changed
	Waiting int                  // messages in the queue
	Dropped uint64               // messages that were dropped for that, since it was opened
}

// FullInputs returns the inputs whose queues are full, so that senders wait, and
// messages of original peers are dropped.
func (s *Service) FullInputs() []FullInput {
	s.mu.Lock()
	inputs := make([]*Input, 0, len(s.inputs))
	for _, in := range s.inputs {
		inputs = append(inputs, in)
	}
	s.mu.Unlock()
	var all []FullInput
	for _, in := range inputs {
		in.q.mu.Lock()
		full, n, dropped := in.q.full(1), in.q.n, in.q.dropped
		in.q.mu.Unlock()
		if full {
			all = append(all, FullInput{Pipe: in.adv, Waiting: n, Dropped: dropped})
		}
	}
	return all
}
