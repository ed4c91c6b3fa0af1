package peergroup

import (
	"context"
	"fmt"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/diagnose"
	"github.com/juxta-p2p/juxta/protocols/routing"
)

// checkWays tries every address of the peer, and looks which peers in between lead
// to it. It returns those.
func (p *Peer) checkWays(ctx context.Context, r *diagnose.Report) (through []id.Peer) {
	x := p.router.Explain(ctx, r.Peer)
	for _, l := range x.Links {
		r.Add(diagnose.Check{Step: diagnose.StepPath, Subject: l.Remote.Base().String(), OK: true, Detail: "a link was open before"})
	}
	for _, a := range x.Tried {
		r.Add(checkAddress(a))
	}
	for _, w := range x.Through {
		for _, h := range w.Peers {
			through = append(through, h.Peer)
			r.Add(checkHop(h))
		}
	}
	if n := x.Nack; n != nil {
		r.Add(diagnose.Check{Step: diagnose.StepHops, Subject: "peer " + n.Reporter.Short(), Witness: n.Reporter,
			Detail: fmt.Sprintf("said %v ago that it cannot reach it", time.Since(n.When).Round(time.Second))})
	}
	if len(x.Failures) > 0 {
		f := x.Failures[len(x.Failures)-1]
		r.Add(diagnose.Check{Step: diagnose.StepPath, Subject: "the last message that failed",
			Detail: fmt.Sprintf("%v ago: %v", time.Since(f.When).Round(time.Second), f.Err), Err: f.Err})
	}
	return through
}

func checkAddress(a routing.AddressState) diagnose.Check {
	c := diagnose.Check{Step: diagnose.StepAddress, Subject: a.Address.String(), Took: a.Took, OK: a.Err == nil}
	if a.Err != nil {
		c.Err, c.Cause = a.Err, diagnose.CauseOf(a.Err)
	} else {
		c.Detail = fmt.Sprintf("answered after %v", a.Took.Round(time.Millisecond/10))
	}
	return c
}

func checkHop(h routing.HopState) diagnose.Check {
	c := diagnose.Check{Step: diagnose.StepHops, Subject: "peer " + h.Peer.Short(), Took: h.Took, OK: h.Leads, Err: h.Err, Witness: h.Peer}
	switch {
	case h.Leads:
		c.Detail = "leads to it"
	case h.Asked:
		c.Detail = "was asked and does not say that it leads to it"
	case h.Linked:
		c.Detail = "may lead to it, and could not be asked"
	default:
		c.Detail = "may lead to it, but there is no link to that peer"
	}
	return c
}
