package peergroup

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup/membership"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// revocations is the handler by which members of a certificate group tell each other
// the latest list of revocations. It is not of JXTA; original peers pass it over.
const revocations = "juxta.revocations"

const (
	// askRevocations is how often a member asks another one whether there is a newer
	// list, give or take a quarter. Who has missed that a list was told knows it after
	// one time for each rendezvous on the way, most often one or two.
	askRevocations = 20 * time.Second

	// tellTimeout bounds asking and telling.
	tellTimeout = 5 * time.Second
)

// revocationQuery asks for a list of a higher number, revocationAnswer is one.
type revocationQuery struct{ number int64 }

// Map implements [xmldoc.Document].
func (q *revocationQuery) Map(m *xmldoc.Mapper) {
	m.Root("jxta:RevocationQuery")
	m.Int("Number", &q.number)
}

type revocationAnswer struct{ list string }

// Map implements [xmldoc.Document].
func (a *revocationAnswer) Map(m *xmldoc.Mapper) {
	m.Root("jxta:Revocations")
	m.Filled("List", &a.list)
}

// startRevocation spreads lists of revocations, if the group has certificates. The lists
// are signed by the group's key, so it does not matter whom they come from.
func (g *Group) startRevocation() error {
	m := g.rules.members
	if m.Kind() != membership.Certificate {
		return nil
	}
	_, err := g.res.Register(g.ctx, revocations, resolver.Handler{
		Query: func(ctx context.Context, q *resolver.RawQuery) resolver.Outcome {
			var asked revocationQuery
			if xmldoc.Unmarshal([]byte(q.Body), &asked) != nil || !q.Answer() {
				return resolver.Done
			}
			if list, number := m.Export(); list != nil && (asked.number < 0 || number > uint64(asked.number)) {
				g.tellRevocations(ctx, q.Source, q.ID, list)
			}
			return resolver.Done
		},
		Response: func(_ context.Context, r *resolver.RawResponse) {
			var a revocationAnswer
			if xmldoc.Unmarshal([]byte(r.Body), &a) != nil {
				return
			}
			if _, err := m.Import([]byte(a.list)); err != nil {
				g.log.Debug("a list of revocations refused", "from", r.From.Short(), "error", err)
			}
		},
	})
	if err != nil {
		return err
	}
	wake := make(chan struct{}, 1)
	stop := m.Watch(func(ev membership.Event) {
		if ev.Kind == membership.Joined {
			rouse(wake)
		}
		if ev.Kind != membership.ListChanged || !m.CanInvite() {
			return
		}
		g.Go(func(ctx context.Context) {
			if list, _ := m.Export(); list != nil {
				g.tellRevocations(ctx, id.Peer{}, 0, list)
			}
		})
	})
	g.undo = append(g.undo, stop, g.rdv.Watch(func(ev rendezvous.Event) {
		if ev.Kind == rendezvous.Leased || ev.Kind == rendezvous.ViewJoined {
			rouse(wake)
		}
	}))
	g.Go(func(ctx context.Context) { g.askForRevocations(ctx, wake) })
	return nil
}

// tellRevocations sends a list to one member, or to all.
func (g *Group) tellRevocations(ctx context.Context, to id.Peer, query int32, list []byte) {
	doc, err := xmldoc.Marshal(&revocationAnswer{string(list)})
	if err != nil {
		g.log.Error("a list of revocations cannot be printed", "error", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	r := &resolver.RawResponse{Handler: revocations, ID: query, Body: string(doc)}
	if to.IsZero() {
		r.ID = g.res.NewID()
		_, err = g.res.SpreadResponse(ctx, r)
	} else {
		err = g.res.SendResponse(ctx, to, r)
	}
	if err != nil {
		g.log.Debug("a list of revocations was not told", "error", err)
	}
}

// askForRevocations asks another member, again and again, and when this peer has become
// one or has met another.
func (g *Group) askForRevocations(ctx context.Context, wake <-chan struct{}) {
	timer := time.NewTimer(askRevocations)
	defer timer.Stop()
	for {
		timer.Reset(askRevocations*3/4 + rand.N(askRevocations/2))
		select {
		case <-timer.C:
		case <-wake:
		case <-ctx.Done():
			return
		}
		if g.rules.members.Member() != nil {
			continue
		}
		_, number := g.rules.members.Export()
		doc, err := xmldoc.Marshal(&revocationQuery{int64(number)})
		if err != nil {
			continue
		}
		q := &resolver.RawQuery{Handler: revocations, Body: string(doc)}
		ctx, cancel := context.WithTimeout(ctx, tellTimeout)
		if to := g.anotherMember(); !to.IsZero() {
			err = g.res.SendQuery(ctx, to, q)
		} else {
			q.Range = -1
			_, err = g.res.SpreadQuery(ctx, q)
		}
		cancel()
		if err != nil {
			g.log.Debug("nobody was asked for revocations", "error", err)
		}
	}
}

// anotherMember is whom to ask: the own rendezvous, or another one, by chance; zero for
// the neighbourhood.
func (g *Group) anotherMember() id.Peer {
	if l, ok := g.rdv.Lease(); ok {
		return l.Peer
	}
	if g.rdv.Role() == rendezvous.Rendezvous {
		if view := g.rdv.View(); len(view) > 0 {
			return view[rand.IntN(len(view))]
		}
	}
	return id.Peer{}
}
