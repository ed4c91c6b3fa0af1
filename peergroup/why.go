package peergroup

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/diagnose"
)

const (
	// refusalLife is how long a refusal counts as the state of things.
	refusalLife = 10 * time.Minute

	// maxWitnesses bounds the peers asked what they know of another.
	maxWitnesses = 6

	// witnessWait bounds asking one of them.
	witnessWait = 3 * time.Second
)

// facts tells another peer what this one knows of p.
func (p *Peer) facts(_ context.Context, q, asker id.Peer) diagnose.Facts {
	f := diagnose.Facts{NAT: p.reach.words()}
	if l := p.ep.LinkTo(q); l != nil {
		f.Linked, f.Link, f.Encrypted = true, l.Remote().Protocol, endpoint.Encrypted(l)
	}
	p.reach.relayFacts(q, &f)
	for _, r := range p.ep.Refusals() {
		if !r.Ours || time.Since(r.When) > refusalLife {
			continue
		}
		switch r.Peer {
		case q:
			f.Refused = r.Rule
		case asker:
			f.RefusedAsker = r.Rule
		}
	}
	if q == p.id {
		f.Full = p.fullQueues()
	}
	return f
}

// fullQueues names the pipes of which nobody reads the messages.
func (p *Peer) fullQueues() string {
	var all []string
	p.eachGroup(func(g *Group) {
		for _, in := range g.pipes.FullInputs() {
			name := in.Pipe.Name
			if name == "" {
				name = in.Pipe.ID.Short()
			}
			all = append(all, fmt.Sprintf("the queue of pipe %q is full with %d messages, %d were dropped", name, in.Waiting, in.Dropped))
		}
	})
	return strings.Join(all, "; ")
}

// Why examines why this peer cannot reach another, or by which way it does. It
// tries every address that is known, and asks the peer itself and those who may
// know it what they see. name is shown, and is what is unknown if q is zero. ctx
// bounds it; a few seconds are enough unless addresses do not answer at all.
func (p *Peer) Why(ctx context.Context, q id.Peer, name string) *diagnose.Report {
	r := &diagnose.Report{Peer: q, Name: name}
	witnesses := p.witnesses()
	if q.IsZero() {
		if when, ok := p.store.Scope(p.net.adv.ID).ExpiredWith(advertisements.Peers, "Name", name); ok {
			r.Add(expired(when))
		} else {
			r.Add(diagnose.Check{Step: diagnose.StepName, Subject: name, Cause: diagnose.NameUnknown, Detail: "nobody who was asked knows a peer of that name"})
		}
		clocks := &diagnose.Report{Peer: p.id}
		p.ask(ctx, clocks, witnesses, p.id)
		for _, c := range clocks.Checks {
			if c.Step == diagnose.StepClock {
				r.Add(c)
			}
		}
		r.Conclude(false)
		return r
	}
	if q == p.id {
		r.Add(diagnose.Check{Step: diagnose.StepName, Subject: name, OK: true, Detail: "is this very peer"})
		r.Conclude(true)
		return r
	}
	p.checkKnown(r)
	p.checkRules(r)
	through := p.checkWays(ctx, r)
	r.Relays = through
	for _, w := range through {
		if !contains(witnesses, w) {
			witnesses = append(witnesses, w)
		}
	}
	witnesses = witnesses[:min(len(witnesses), maxWitnesses)]
	answered := p.ask(ctx, r, append([]id.Peer{q}, witnesses...), q)
	linked := false // what was dialled may be refused by now
	if l := p.ep.LinkTo(q); l != nil {
		linked = true
		r.Add(diagnose.Check{Step: diagnose.StepPath, Subject: l.Remote().Base().String(), OK: true, Detail: pathWords(l)})
	} else if answered {
		r.Add(diagnose.Check{Step: diagnose.StepPath, Subject: "through other peers", OK: true, Detail: "it answers"})
	}
	p.checkRules(r)
	r.Conclude(linked || answered)
	return r
}

func contains(all []id.Peer, q id.Peer) bool {
	for _, x := range all {
		if x == q {
			return true
		}
	}
	return false
}

// pathWords describes a link.
func pathWords(l endpoint.Link) string {
	var words []string
	if l.Outgoing() {
		words = append(words, "dialled")
	} else {
		words = append(words, "accepted")
	}
	if endpoint.Encrypted(l) {
		words = append(words, "encrypted")
	} else {
		words = append(words, "not encrypted")
	}
	if l.Proven() {
		words = append(words, "its key is proven")
	} else {
		words = append(words, "its ID is a claim")
	}
	return strings.Join(words, ", ")
}

// witnesses are the peers that may know others: the rendezvous, relays.
func (p *Peer) witnesses() []id.Peer {
	var all []id.Peer
	if l, ok := p.net.rdv.Lease(); ok {
		all = append(all, l.Peer)
	}
	for _, q := range p.reach.relays() {
		if !contains(all, q) {
			all = append(all, q)
		}
	}
	for _, q := range p.net.rdv.View() {
		if len(all) < maxWitnesses/2 && !contains(all, q) && q != p.id {
			all = append(all, q)
		}
	}
	return all
}

// checkKnown looks at what is known of the peer.
func (p *Peer) checkKnown(r *diagnose.Report) {
	sc := p.store.Scope(p.net.adv.ID)
	key := (&advertisements.Peer{ID: r.Peer, Group: p.net.adv.ID}).Key()
	if rec, ok := sc.Get(advertisements.Peers, key); ok {
		r.Add(diagnose.Check{Step: diagnose.StepAdvertisement, Subject: "its advertisement", OK: true,
			Detail: fmt.Sprintf("is known, and good for %v more", time.Until(rec.Lifetime).Round(time.Second))})
		return
	}
	if when, ok := sc.Expired(advertisements.Peers, key); ok {
		r.Add(expired(when))
		return
	}
	r.Add(diagnose.Check{Step: diagnose.StepAdvertisement, Subject: "its advertisement", Detail: "is not known here"})
}

func expired(when time.Time) diagnose.Check {
	return diagnose.Check{Step: diagnose.StepAdvertisement, Subject: "its advertisement", Cause: diagnose.Expired,
		Detail: fmt.Sprintf("expired %v ago and was not renewed", time.Since(when).Round(time.Second))}
}

// checkRules looks for refusals by either side.
func (p *Peer) checkRules(r *diagnose.Report) {
	for _, x := range p.ep.Refusals() {
		if x.Peer != r.Peer || time.Since(x.When) > refusalLife {
			continue
		}
		c := diagnose.Check{Step: diagnose.StepRules, Subject: "this peer", Cause: diagnose.Excluded, Detail: "refuses it: " + x.Rule, Err: &x}
		if !x.Ours {
			c.Subject, c.Detail, c.Witness = "the peer itself", "refuses this peer: "+x.Rule, x.Peer
		}
		known := false
		for _, y := range r.Checks {
			known = known || y.Step == c.Step && y.Subject == c.Subject && y.Detail == c.Detail
		}
		if !known {
			r.Add(c)
		}
	}
}

// ask asks the witnesses about q, all at once, and reports whether the peer itself
// is among those who answered.
func (p *Peer) ask(ctx context.Context, r *diagnose.Report, witnesses []id.Peer, q id.Peer) (answered bool) {
	facts := make([]diagnose.Facts, len(witnesses))
	errs := make([]error, len(witnesses))
	var asking sync.WaitGroup
	for i, w := range witnesses {
		asking.Go(func() {
			short, cancel := context.WithTimeout(endpoint.KnownWays(ctx), witnessWait)
			defer cancel()
			facts[i], errs[i] = p.why.Ask(short, w, q)
		})
	}
	asking.Wait()
	for i, f := range facts {
		switch {
		case errs[i] == nil:
			answered = answered || witnesses[i] == q && q != p.id
			r.AddFacts(f, p.id, p.cfg.Clock())
		case witnesses[i] != q:
			r.Add(diagnose.Check{Step: diagnose.StepHops, Subject: "peer " + witnesses[i].Short(), Err: errs[i], Detail: "was asked and does not answer"})
		}
	}
	return answered
}
