package peergroup

import (
	"context"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/rendezvous/peerview"
)

// viewPipe returns the propagate pipe, in a group, on which the rendezvous of
// this group look for each other. Its ID is computed, not published.
func (g *Group) viewPipe(in *Group) *advertisements.Pipe {
	return &advertisements.Pipe{ID: peerview.PipeID(g.adv.ID, in.adv.ID), Type: advertisements.Propagate, Name: "peer view of " + g.adv.Name}
}

// viewGroups returns the groups in which the rendezvous of this group look for
// each other: itself, and the parent of a group below the network.
func (g *Group) viewGroups() []*Group {
	if g.parent == nil || g.parent.adv.ID == id.WorldGroup || g.hidden() {
		return []*Group{g}
	}
	return []*Group{g, g.parent}
}

// shout gives a message of the peer view to the rendezvous near by that listen.
func (g *Group) shout(ctx context.Context, msg *message.Message) {
	if !g.ready.Load() {
		return // the group is just starting
	}
	for _, in := range g.viewGroups() {
		if err := in.pipes.Near(ctx, g.viewPipe(in), msg); err != nil {
			g.log.Debug("no rendezvous near by was asked", "error", err)
		}
		if in != g && g.mayShoutFar() {
			g.shoutFar(ctx, in, msg)
		}
	}
}

// A rendezvous of a group below the network that knows no other one asks all peers of
// the parent group who listen: as edges of JXSE do, with growing pauses. Original
// peers announce the rendezvous of a group nowhere else.
const (
	farPause  = time.Minute // times how often it was done
	farLonger = 20 * time.Minute
)

// mayShoutFar reports whether it is time to ask the parent group.
func (g *Group) mayShoutFar() bool {
	if len(g.rdv.View()) > 0 {
		return false
	}
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Before(g.farAgain) {
		return false
	}
	g.far++
	g.farAgain = now.Add(min(time.Duration(g.far)*farPause, farLonger))
	return true
}

func (g *Group) shoutFar(ctx context.Context, in *Group, msg *message.Message) {
	out, err := in.pipes.Dial(ctx, g.viewPipe(in))
	if err == nil {
		err = out.Send(ctx, msg)
		out.Close()
	}
	if err != nil {
		g.log.Debug("no rendezvous of the group was asked in the parent", "error", err)
	}
}

// hearView listens to other rendezvous of the group until ctx ends.
func (g *Group) hearView(ctx context.Context) {
	for _, in := range g.viewGroups() {
		input, err := in.pipes.ListenWith(ctx, g.viewPipe(in), pipe.ListenConfig{Quiet: in == g, Handle: func(m pipe.Message) {
			g.rdv.HearView(ctx, m.From, m.Message)
		}})
		if err != nil {
			if ctx.Err() == nil {
				g.log.Debug("rendezvous near by cannot be heard", "error", err)
			}
			continue
		}
		defer input.Close()
	}
	if v := g.rdv.PeerView(); v != nil {
		v.Kick() // now that answers can be heard
	}
	<-ctx.Done()
}
