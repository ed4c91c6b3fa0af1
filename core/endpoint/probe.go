package endpoint

import (
	"context"
	"errors"
	"fmt"

	"github.com/juxta-p2p/juxta/core/id"
)

// probeService is the service that who dials only to see whether he can names. Such
// a link is closed on both sides before it carries anything.
const probeService = "juxta.probe"

// probed is why a link for a probe is not taken: the other side has answered.
type probed struct{ peer id.Peer }

func (p *probed) Error() string { return "peer " + p.peer.Short() + " answers" }

// isProbe reports whether a link is only for a probe.
func isProbe(l Link) bool {
	d, ok := l.(interface{ Dialled() Address })
	return ok && d.Dialled().Service == probeService
}

// Probe finds out whether an address can be dialled, and who answers there. No
// message ever goes over the connection, so that none can be lost with it; it works
// for addresses that begin encrypted, tls:// and quic://. The error is a
// *[DialError], or wraps [ErrClosed].
func (e *Endpoint) Probe(ctx context.Context, addr Address) (id.Peer, error) {
	if e.ctx.Err() != nil {
		return id.Peer{}, fmt.Errorf("endpoint: dial %s: %w", addr.Base(), ErrClosed)
	}
	t := e.transport(addr.Protocol)
	if t == nil {
		return id.Peer{}, &DialError{Addr: addr, Phase: PhaseAddress, Err: ErrNoTransport}
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	l, err := t.Dial(ctx, addr.With(probeService, ""))
	var p *probed
	switch {
	case errors.As(err, &p):
		return p.peer, nil
	case err != nil:
		return id.Peer{}, err
	}
	_ = l.Close() // a transport whose links do not tell what was dialled
	return l.Peer(), nil
}
