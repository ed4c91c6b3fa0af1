package peergroup

import (
	"context"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/diagnose"
)

// checkWays tries every address of the peer, and looks which peers in between may
// lead to it.
func (p *Peer) checkWays(ctx context.Context, r *diagnose.Report) (through []id.Peer) {
	var addresses []endpoint.Address
	for _, i := range p.router.Routes() {
		if i.Peer == r.Peer {
			addresses, through = i.Addresses, i.Hops
		}
	}
	if p.ep.LinkTo(r.Peer) != nil {
		return through
	}
	checks := make([]diagnose.Check, len(addresses))
	var dialling sync.WaitGroup
	for i, a := range addresses {
		dialling.Go(func() { checks[i] = p.checkAddress(ctx, a, r.Peer) })
	}
	dialling.Wait()
	for _, c := range checks {
		r.Add(c)
	}
	for _, h := range through {
		c := diagnose.Check{Step: diagnose.StepHops, Subject: "peer " + h.Short(), Detail: "may lead to it, but there is no link to that peer"}
		if p.ep.LinkTo(h) != nil {
			c.OK, c.Detail = true, "may lead to it, and there is a link to that peer"
		}
		r.Add(c)
	}
	return through
}

// checkAddress tries one address.
func (p *Peer) checkAddress(ctx context.Context, a endpoint.Address, q id.Peer) diagnose.Check {
	ctx, cancel := context.WithTimeout(ctx, addressWait)
	defer cancel()
	began := time.Now()
	l, err := p.ep.DialNew(ctx, a)
	if err == nil && l.Peer() != q {
		err = &endpoint.DialError{Addr: a, Phase: endpoint.PhaseIdentity, Err: &OtherPeerError{Want: q, Got: l.Peer()}}
	}
	c := diagnose.Check{Step: diagnose.StepAddress, Subject: a.String(), OK: err == nil, Took: time.Since(began), Err: err}
	if err != nil {
		c.Cause = diagnose.CauseOf(err)
	} else {
		c.Detail = "answers"
	}
	return c
}

// addressWait bounds trying one address.
const addressWait = 5 * time.Second

// OtherPeerError tells that another peer answers at an address.
type OtherPeerError struct{ Want, Got id.Peer }

// Error implements error.
func (e *OtherPeerError) Error() string {
	return "peer " + e.Got.Short() + " answers there, not peer " + e.Want.Short()
}
