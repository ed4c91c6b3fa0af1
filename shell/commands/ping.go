package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/routing"
	"github.com/juxta-p2p/juxta/shell/interp"
)

const (
	// defaultPings is how often ping asks.
	defaultPings = 4

	// pingEvery is the pause from one question to the next.
	pingEvery = time.Second
)

func pingCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "ping", Family: familyPeers, Summary: "measures how far away a peer is, and tells the way to it",
		Args: "PEER", MinArgs: 1, MaxArgs: 1,
		Options: []interp.Option{
			{Letter: "n", Name: "count", Value: "N", Help: "how often to ask (default 4)"},
			{Letter: "i", Name: "interval", Value: "DURATION", Help: "the pause between questions (default 1s)"},
			{Letter: "q", Name: "quiet", Help: "only the last line"},
			interp.WaitOption("how long to wait for each answer (default 3s)"),
		},
		Complete: func(s *interp.Session, n int) []interp.Suggestion { return s.Variables(classPeerAdv) },
		Details: "A peer is a variable, a name or an ID. It is asked how it is, in the current group; original\n" +
			"JXTA peers do not answer that and are asked for one advertisement instead. The first round\n" +
			"may take longer than the others, since the way to the peer is found then.\n" +
			"JSON: of the way, at first and whenever it changes: peer_id, peer, way (direct, relayed, self or\n" +
			"unknown), address, encrypted, through (IDs). Of each answer: round, trip (seconds, null without\n" +
			"an answer), error. At last: sent, answered, lost (percent), min, median, max (seconds), by\n" +
			"(info or search). Status 3: no answer at all.",
		Examples: []interp.Example{
			{Line: "ping ann", Text: "four questions, one a second"},
			{Line: "ping -n 1 -w 500ms peer0", Text: "whether it answers within half a second"},
			{Line: "ping -q -n 20 -i 100ms ann", Text: "the figures of twenty rounds"},
		},
		Run: func(ctx context.Context, c *interp.Call) error {
			p := pinger{h: h, c: c}
			var err error
			if p.wait, err = c.Duration("w", defaultWait); err != nil {
				return err
			}
			if p.every, err = c.Duration("i", pingEvery); err != nil {
				return err
			}
			if p.count, err = c.Int("n", 1, defaultPings); err != nil {
				return err
			}
			if p.peer, err = h.findPeer(ctx, c, c.Args[0], defaultWait); err != nil {
				return err
			}
			return p.run(ctx)
		},
	}
}

// pinger is one run of ping.
type pinger struct {
	h           *Host
	c           *interp.Call
	peer        id.Peer
	count       int
	every, wait time.Duration

	search bool   // the peer does not tell how it is
	way    string // the last one that was told
	sent   int
	trips  []time.Duration
}

func (p *pinger) run(ctx context.Context) error {
	for round := 1; round <= p.count && ctx.Err() == nil; round++ {
		if round > 1 {
			select {
			case <-time.After(p.every):
			case <-ctx.Done():
				continue
			}
		}
		trip, err := p.ask(ctx)
		if err != nil && round == 1 && ctx.Err() == nil {
			p.search = true
			if trip, err = p.ask(ctx); err != nil {
				p.search = false
			}
		}
		if ctx.Err() != nil {
			break
		}
		p.sent++
		p.showWay()
		p.showRound(round, trip, err)
	}
	if p.sent == 0 {
		return ctx.Err()
	}
	p.summary()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if len(p.trips) == 0 {
		return interp.NotFoundf("%s does not answer", p.h.peerName(p.peer)).Try("why %s finds out why", p.c.Args[0].Text)
	}
	return nil
}

// ask asks once and returns how long the answer took.
func (p *pinger) ask(ctx context.Context) (time.Duration, error) {
	short, cancel := context.WithTimeout(ctx, p.wait)
	defer cancel()
	if !p.search {
		info, err := p.h.group().PeerInfo().Ask(short, p.peer)
		return info.Trip, err
	}
	began := time.Now()
	for _, err := range p.h.group().Discovery().Find(short, discovery.Query{Kind: advertisements.Peers, Peer: p.peer, RemoteOnly: true, Limit: 1}) {
		return time.Since(began), err
	}
	return 0, context.DeadlineExceeded
}

// showWay tells how the peer is reached now, unless that was told before.
func (p *pinger) showWay() {
	w := wayTo(p.h.peer.Router().Route, p.h.peer.ID(), p.peer)
	text := p.h.peerName(p.peer) + " " + w.words(p.h)
	if text == p.way {
		return
	}
	p.way = text
	if p.c.Flag("q") && !p.c.JSON() {
		return
	}
	through := []string{}
	for _, x := range w.through {
		through = append(through, x.String())
	}
	p.c.Line(text, interp.Field{Name: "peer_id", Value: p.peer.String()}, interp.Field{Name: "peer", Value: p.h.peerName(p.peer)},
		interp.Field{Name: "way", Value: w.kind}, interp.Field{Name: "address", Value: w.address},
		interp.Field{Name: "encrypted", Value: w.encrypted}, interp.Field{Name: "through", Value: through})
}

func (p *pinger) showRound(round int, trip time.Duration, err error) {
	var took any
	failure := ""
	text := fmt.Sprintf("%d: %s", round, tripText(trip))
	if err == nil {
		p.trips = append(p.trips, trip)
		took = secondsOf(trip)
	} else {
		failure = fmt.Sprintf("no answer within %s", interp.Span(p.wait))
		text = fmt.Sprintf("%d: %s", round, failure)
	}
	if p.c.Flag("q") {
		return
	}
	p.c.Line(text, interp.Field{Name: "round", Value: round}, interp.Field{Name: "trip", Value: took}, interp.Field{Name: "error", Value: failure})
}

// summary tells the figures.
func (p *pinger) summary() {
	const percent = 100
	answered := len(p.trips)
	lost := (p.sent - answered) * percent / p.sent
	text := fmt.Sprintf("%d asked, %d answered, %d %% lost", p.sent, answered, lost)
	var least, middle, most any
	if answered > 0 {
		all := slices.Sorted(slices.Values(p.trips))
		lo, mid, hi := all[0], median(all), all[answered-1]
		least, middle, most = secondsOf(lo), secondsOf(mid), secondsOf(hi)
		text += fmt.Sprintf("; min %s, median %s, max %s", tripText(lo), tripText(mid), tripText(hi))
	}
	by := "info"
	if p.search {
		by = "search"
		text += "; it answers searches only, as original JXTA peers do"
	}
	p.c.Line(text, interp.Field{Name: "sent", Value: p.sent}, interp.Field{Name: "answered", Value: answered}, interp.Field{Name: "lost", Value: lost},
		interp.Field{Name: "min", Value: least}, interp.Field{Name: "median", Value: middle}, interp.Field{Name: "max", Value: most}, interp.Field{Name: "by", Value: by})
}

// median returns the middle of durations in order, of which there is one at least.
func median(all []time.Duration) time.Duration {
	n := len(all)
	if n%2 == 1 {
		return all[n/2]
	}
	return (all[n/2-1] + all[n/2]) / 2
}

// tripText is a round trip for people, who compare them with each other: three digits
// are enough.
func tripText(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

// secondsOf is a round trip for programs, in microseconds exactly.
func secondsOf(d time.Duration) float64 {
	const micro = 1e6
	return float64(d.Microseconds()) / micro
}

// way is how messages go to a peer at present.
type way struct {
	kind      string // direct, relayed, self or unknown
	address   string // of the link, if direct
	encrypted bool
	through   []id.Peer // nearest first
}

// wayTo looks up the way to a peer.
func wayTo(route func(id.Peer) (routing.Info, bool), self, p id.Peer) way {
	if p == self {
		return way{kind: "self"}
	}
	r, known := route(p)
	switch {
	case known && r.Linked:
		return way{kind: "direct", address: r.Link.Base().String(), encrypted: r.Encrypted}
	case known && len(r.Hops) > 0:
		return way{kind: "relayed", through: r.Hops}
	}
	return way{kind: "unknown"}
}

// words tells the way to people: "is reached …".
func (w way) words(h *Host) string {
	switch w.kind {
	case "self":
		return "is this very peer"
	case "direct":
		if w.encrypted {
			return "is reached directly at " + w.address + ", encrypted"
		}
		return "is reached directly at " + w.address + ", not encrypted"
	case "relayed":
		var names []string
		for _, p := range w.through {
			names = append(names, h.peerName(p)+linkWords(h.peer.Endpoint().LinkTo(p)))
		}
		return "is reached through " + strings.Join(names, ", then ")
	}
	return "is reached by no way that is known"
}

// linkWords tells over which address a peer in between is reached.
func linkWords(l endpoint.Link) string {
	if l == nil {
		return ""
	}
	return " (" + l.Remote().Base().String() + ")"
}
