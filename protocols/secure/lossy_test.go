package secure

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// lossy is a transport that loses, doubles and shuffles what arrives.
type lossy struct {
	endpoint.Transport
	lose, double, hold float64
	touch              func(body []byte) []byte // may change or, by nil, drop it
	walled             atomic.Bool              // nothing can be dialled but r

	mu   sync.Mutex
	rand *rand.Rand
	held [][]byte
}

func (t *lossy) Start(h endpoint.Host) error {
	receive := h.Receive
	h.Receive = func(l endpoint.Link, body []byte) error {
		for _, b := range t.draw(body) {
			if err := receive(l, b); err != nil {
				return err
			}
		}
		return nil
	}
	return t.Transport.Start(h)
}

func (t *lossy) Dial(ctx context.Context, a endpoint.Address) (endpoint.Link, error) {
	if t.walled.Load() && a.Host != "r" {
		return nil, &endpoint.DialError{Addr: a, Phase: endpoint.PhaseConnect, Err: errors.New("a wall")}
	}
	return t.Transport.Dial(ctx, a)
}

// draw returns what is to be delivered now.
func (t *lossy) draw(body []byte) (now [][]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.touch != nil {
		if body = t.touch(body); body == nil {
			return nil
		}
	}
	r := t.rand.Float64()
	switch {
	case r < t.lose:
	case r < t.lose+t.double:
		now = append(now, body, slices.Clone(body))
	case r < t.lose+t.double+t.hold:
		t.held = append(t.held, body)
		return nil
	default:
		now = append(now, body)
	}
	if len(t.held) > 3 {
		for len(t.held) > 0 {
			i := t.rand.IntN(len(t.held))
			now = append(now, t.held[i])
			t.held = slices.Delete(t.held, i, i+1)
		}
	}
	return now
}
