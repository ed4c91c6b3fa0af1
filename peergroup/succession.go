package peergroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/protocols/discovery"
)

const (
	// successionFile is where a home keeps which peers have become which.
	successionFile = "succession.xml"

	// followWait is how long others are asked for the hand-overs of one peer: long
	// enough to hear of a second one.
	followWait = 3 * time.Second

	// maxFollow bounds the steps from one peer to the next.
	maxFollow = 16
)

// openSuccession reads which peers have become which.
func (p *Peer) openSuccession() error {
	p.succession = &identity.Succession{}
	if p.cfg.Home == "" {
		return nil
	}
	s, err := identity.LoadSuccession(filepath.Join(p.cfg.Home, successionFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("peergroup: %w", err)
	}
	p.succession = s
	return nil
}

// publishHandovers tells the network which peer this one was before its key was
// replaced.
func (p *Peer) publishHandovers() error {
	ident := p.proof()
	if p.cfg.Home == "" || ident == nil {
		return nil
	}
	all, err := identity.Handovers(p.cfg.Home, ident)
	if err != nil {
		return fmt.Errorf("peergroup: %w", err)
	}
	ctx, cancel := context.WithTimeout(p.net.ctx, publishTimeout)
	defer cancel()
	for _, h := range all {
		if err := p.net.disc.Publish(ctx, h, discovery.Lifetime{}); err != nil {
			return err
		}
	}
	return nil
}

// Succession knows which peers have become which, as far as [Peer.Follow] or the
// program asked. Whoever changes it calls [Peer.SaveSuccession].
func (p *Peer) Succession() *identity.Succession { return p.succession }

// SaveSuccession keeps the succession in the home folder, if there is one.
func (p *Peer) SaveSuccession() error {
	if p.cfg.Home == "" {
		return nil
	}
	if err := p.succession.Save(filepath.Join(p.cfg.Home, successionFile)); err != nil {
		return fmt.Errorf("peergroup: %w", err)
	}
	return nil
}

// Follow looks in the network for hand-overs of a peer, and of the peer that it has
// become, and returns the one that it is today; the peer itself if nobody knows of a
// hand-over. What it finds is remembered in the home folder. It takes three seconds
// for each step, or until ctx ends, whose end is no error. The error wraps
// [identity.ErrFork] if somebody else has the key, or tells why nothing could be kept.
func (p *Peer) Follow(ctx context.Context, who id.Peer) (id.Peer, error) {
	changed := false
	now, err := p.succession.Present(who)
	for range maxFollow {
		if err != nil || ctx.Err() != nil {
			break
		}
		changed = p.hear(ctx, now) || changed
		next, e := p.succession.Present(now)
		if next == now {
			err = e
			break
		}
		now, err = next, e
	}
	if changed {
		err = errors.Join(err, p.SaveSuccession())
	}
	return now, err
}

// hear asks for hand-overs of one peer and reports whether there were new ones.
func (p *Peer) hear(ctx context.Context, who id.Peer) (changed bool) {
	ctx, cancel := context.WithTimeout(ctx, followWait)
	defer cancel()
	q := discovery.Query{Kind: advertisements.Advs, Attr: "Old", Value: who.String()}
	for found, err := range p.net.disc.Find(ctx, q) {
		if err != nil {
			p.log.Debug("no hand-overs found", "of", who.Short(), "error", err)
			break
		}
		h, ok := found.Adv.(*identity.Handover)
		if !ok || h.Old != who {
			continue
		}
		fresh, err := p.succession.Add(h)
		if err != nil {
			p.log.Warn("a hand-over is in doubt", "of", who.Short(), "error", err)
		}
		changed = changed || fresh
	}
	return changed
}
