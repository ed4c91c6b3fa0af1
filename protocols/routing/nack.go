package routing

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// nackID is the ID of the query that a NACK answers: nobody asked.
const nackID = -1

// nackPair is who was told that a message did not arrive, and at whom.
type nackPair struct{ src, dest id.Peer }

// Nack is what a peer in between said of a way that it does not know.
type Nack struct {
	Reporter id.Peer   // who said so
	Bad      id.Peer   // the hop behind it, or the reporter itself if it should know the destination
	When     time.Time // when it came
}

// nack tells the originator of a message that it could not be passed on: an answer
// of the resolver that nobody asked for, as JXSE sends it. It is sent by ways that
// can be taken at once only, lest a forged originator makes this peer dial.
func (r *Router) nack(t *transit) {
	a := r.asker.Load()
	if a == nil || t.src == t.dest {
		return
	}
	now := r.now()
	r.mu.Lock()
	k, f := nackPair{t.src, t.dest}, t.flow
	if now-f.since >= nackAgain {
		f.since, f.nacks = now, 0
	}
	when, told := r.nacked.get(k)
	if told && now-when < nackAgain || f.nacks >= linkNacks || r.nacks >= maxNacks || r.closed {
		r.mu.Unlock()
		return
	}
	if r.nacked.len() >= maxNackMemory {
		r.nacked.sweep(func(_ nackPair, when moment) bool { return now-when < nackAgain })
		if r.nacked.len() >= maxNackMemory {
			r.nacked.clear()
		}
	}
	r.nacked.set(k, now)
	f.nacks++
	r.nacks++
	r.wg.Add(1)
	r.mu.Unlock()
	go func() {
		defer r.wg.Done()
		defer func() { r.mu.Lock(); r.nacks--; r.mu.Unlock() }()
		if r.ep.LinkTo(t.src) == nil {
			if l, _ := r.ready(t.src, nil, forOthers, false); l == nil {
				return
			}
		}
		ctx, cancel := context.WithTimeout(endpoint.KnownWays(r.ctx), attemptTimeout)
		defer cancel()
		if err := a.nack(ctx, t.src, t.dest, t.asked); err != nil {
			r.log.Debug("nobody can be told", "originator", t.src.Short(), "error", err)
			return
		}
		r.stats.nacksSent.Add(1)
	}()
}

// nack sends a NACK about dest, of which fwd is the way that failed.
func (a *asker) nack(ctx context.Context, src, dest id.Peer, fwd []id.Peer) error {
	d := &advertisements.Route{Dest: dest}
	for _, h := range fwd {
		d.Hops = append(d.Hops, advertisements.AccessPoint{Peer: h})
	}
	doc, err := xmldoc.Marshal(&response{Dest: d, Src: &advertisements.Route{Dest: a.r.self}})
	if err != nil {
		return err
	}
	return a.res.SendResponse(ctx, src, &resolver.RawResponse{Handler: service, ID: nackID, Body: string(doc)})
}

// takeNack takes what a message says if it is a NACK, and reports whether it is. The
// resolver, for which it is meant, does not tell over which link it came, without
// which it is worth nothing. A peer in between takes those, too, that it passes on:
// it may be its own choice of way that failed.
func (r *Router) takeNack(in endpoint.Incoming, src id.Peer) bool {
	e, ok := in.Message.Get(message.Platform, r.iRes)
	if !ok || len(e.Body) > maxNackBody || !bytes.Contains(e.Body, []byte(service)) {
		return false
	}
	var raw resolver.RawResponse
	if xmldoc.Unmarshal(e.Body, &raw) != nil || raw.Handler != service || raw.ID != nackID {
		return false
	}
	var resp response
	if err := xmldoc.Unmarshal([]byte(raw.Body), &resp); err != nil {
		r.stats.malformed.Add(1)
		return true
	}
	if resp.Src.Dest != src || !r.believe(in.Link.Peer(), src, resp.Dest) {
		r.stats.nacksIgnored.Add(1)
		return true
	}
	r.stats.nacksTaken.Add(1)
	r.log.Debug("a way failed", "to", resp.Dest.Dest.Short(), "reporter", src.Short())
	return true
}

// believe takes what a peer in between says: that it does not know how to go on.
// It is a hint, and counts only if it came over the first peer of a way in use, from
// a peer of that way, and once in a while. The way is forgotten, and so is what else
// leads over the hop that failed; addresses and advertisements are not. Whoever
// waits for a way looks again.
func (r *Router) believe(neighbour, reporter id.Peer, about *advertisements.Route) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, now := r.table.get(about.Dest), r.now()
	if e == nil {
		return false
	}
	if n := e.nack; n != nil && n.Reporter == reporter && time.Since(n.When) < nackAgain {
		return false
	}
	i := slices.IndexFunc(e.ways, func(w way) bool {
		first, at := slices.Index(w.hops, neighbour), slices.Index(w.hops, reporter)
		return first >= 0 && at >= first && w.inUse(now)
	})
	if i < 0 {
		return false
	}
	hops := e.ways[i].hops
	bad := reporter
	if at := slices.Index(hops, reporter); at < len(hops)-1 {
		bad = hops[at+1]
	}
	e.dropWays(func(x []id.Peer) bool {
		if slices.Equal(x, hops) {
			return true
		}
		at := slices.Index(x, reporter)
		if _, rest := r.linkOn(x, nil); at < 0 || len(rest) < len(x)-at {
			return false // messages do not pass the reporter
		}
		return bad == reporter && at == len(x)-1 || at < len(x)-1 && x[at+1] == bad
	})
	e.blame(bad, now)
	e.nack = &Nack{Reporter: reporter, Bad: bad, When: time.Now()}
	e.wake()
	return true
}
