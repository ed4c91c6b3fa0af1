package peergroup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/discovery"
)

// Offer says that a peer does something for the others of a group. It is an
// advertisement, juxta:Offer, that can be searched by MSID, MCID and PID; and it
// stands in the peer's advertisement of the group, under the class, see [OffersOf].
type Offer struct {
	Peer   id.Peer
	Group  id.Group
	Class  id.ModuleClass
	Spec   id.ModuleSpec
	Name   string      // for people; may be empty
	Params xmldoc.Node // whatever users of the service should know; zero if nothing
}

// DocType returns "juxta:Offer".
func (*Offer) DocType() string { return "juxta:Offer" }

// Map describes the document.
func (o *Offer) Map(m *xmldoc.Mapper) {
	m.Root("juxta:Offer")
	m.Value("PID", &o.Peer)
	m.Value("GID", &o.Group)
	m.Value("MCID", &o.Class)
	m.Value("MSID", &o.Spec)
	m.Optional("Name", &o.Name)
	m.Node("Parm", &o.Params)
	m.Fail(o.check())
}

func (o *Offer) check() error {
	switch {
	case o.Params.Size() > maxOfferParam:
		return fmt.Errorf("%w: %d octets: %w", ErrParams, o.Params.Size(), xmldoc.ErrLimit)
	case len(o.Name) > advertisements.MaxName:
		return fmt.Errorf("a name of %d octets: %w", len(o.Name), xmldoc.ErrLimit)
	}
	if _, ok := o.Params.Child(offerMark); ok {
		return fmt.Errorf("%w: an element %s of their own", ErrParams, offerMark)
	}
	return nil
}

// Indexed returns the names of the searchable children.
func (*Offer) Indexed() []string { return []string{"MSID", "MCID", "PID"} }

// Key identifies the offer of a specification by a peer in its group.
func (o *Offer) Key() string {
	if o.Peer.IsZero() || o.Spec.IsZero() {
		return ""
	}
	return "offer/" + o.Group.Unique() + "/" + o.Peer.Unique() + "/" + o.Spec.Unique()
}

// offerMark is the element that begins an offer in the parameters of its class.
const offerMark = "MSID"

// OffersOf returns what a peer says in its advertisement that it offers to the group.
// There, the parameters of a class hold for each specification offered its ID, as an
// element MSID, and then the elements of the parameters of the offer.
func OffersOf(adv *advertisements.Peer) []Offer {
	var all []Offer
	for _, s := range adv.Services {
		if standardClass(s.Class) {
			continue
		}
		all = append(all, offersUnder(adv, s)...)
	}
	return all
}

func offersUnder(adv *advertisements.Peer, s advertisements.Service) (all []Offer) {
	var params []xmldoc.Node
	flush := func() {
		if len(all) > 0 && len(params) > 0 {
			all[len(all)-1].Params = xmldoc.NewNode("Parm", "", params...)
		}
		params = nil
	}
	for c := range s.Param.Children() {
		if c.Name() != offerMark {
			params = append(params, c)
			continue
		}
		flush()
		spec, err := id.ParseModuleSpec(c.Text())
		if err != nil {
			return nil // it means something else
		}
		all = append(all, Offer{Peer: adv.ID, Group: adv.Group, Class: s.Class, Spec: spec})
	}
	flush()
	if len(all) > 0 && s.Param.Text() != "" {
		first := &all[0]
		first.Params = xmldoc.NewNode("Parm", s.Param.Text(), slices.Collect(first.Params.Children())...)
	}
	return all
}

// offering is an offer of this peer.
type offering struct {
	ctx   context.Context
	offer *Offer
	impl  *Implementation // describes the specification; may be nil
}

// Offer tells the group that this peer offers a service, in its advertisement and by
// one of its own, until ctx, the lifetime of the offer, ends; it is usually that of the
// module. Peer and Group are filled in, and so is Class if it is zero. The same
// specification may be offered several times; shown is the one of the module that was
// loaded by that specification, else the first one that lasts.
//
// The error wraps [ErrStandard] for a class of the standard, [ErrParams], or [ErrLeft].
func (g *Group) Offer(ctx context.Context, o Offer) error { return g.offer(ctx, &o, nil) }

func (g *Group) offer(ctx context.Context, o *Offer, impl *Implementation) error {
	o.Peer, o.Group = g.peer.id, g.adv.ID
	if o.Class.IsZero() {
		o.Class = o.Spec.Class()
	}
	switch {
	case o.Spec.IsZero():
		return errors.New("peergroup: Offer.Spec is not set")
	case standardClass(o.Class):
		return fmt.Errorf("peergroup: offering %s: %w", o.Spec, ErrStandard)
	case g.ctx.Err() != nil:
		return fmt.Errorf("peergroup: offering %s: %w", o.Spec, ErrLeft)
	case ctx.Err() != nil:
		return fmt.Errorf("peergroup: offering %s: %w", o.Spec, context.Cause(ctx))
	}
	if _, err := xmldoc.Marshal(o); err != nil {
		return fmt.Errorf("peergroup: offering %s: %w", o.Spec, err)
	}
	x := &offering{ctx, o, impl}
	g.mods.mu.Lock()
	full := len(g.mods.offers) >= maxOffers
	first := !g.mods.renews && !full
	if !full {
		g.mods.offers = append(g.mods.offers, x)
		g.mods.renews = true
	}
	g.mods.mu.Unlock()
	if full {
		return fmt.Errorf("peergroup: offering %s: more than %d offers: %w", o.Spec, maxOffers, xmldoc.ErrLimit)
	}
	if first {
		g.Go(g.renewOffers)
	}
	if err := g.describe(g.rdv.Role()); err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	g.publishSelf(short)
	if err := g.publishOffer(short, x); err != nil && g.ctx.Err() == nil {
		return err
	}
	context.AfterFunc(ctx, func() { g.Go(func(context.Context) { g.withdrawOffers() }) }) // nothing in a group that was left
	return nil
}

// Offers returns what this peer offers to the group.
func (g *Group) Offers() []Offer {
	var all []Offer
	for _, x := range g.offering() {
		all = append(all, *x.offer)
	}
	return all
}

// offering returns the offers that last, one of each specification.
func (g *Group) offering() []*offering {
	g.mods.mu.Lock()
	defer g.mods.mu.Unlock()
	var all []*offering
	for _, x := range g.mods.offers {
		if x.ctx.Err() != nil {
			continue
		}
		i := slices.IndexFunc(all, func(o *offering) bool { return o.offer.Spec == x.offer.Spec })
		switch {
		case i < 0:
			all = append(all, x)
		case all[i].impl == nil && x.impl != nil: // it has the parameters
			all[i] = x
		}
	}
	return all
}

// showOffers puts the offers into the peer's advertisement.
func (g *Group) showOffers(adv *advertisements.Peer) {
	params := map[id.ModuleClass]xmldoc.Node{}
	for _, x := range g.offering() {
		o := x.offer
		before := params[o.Class]
		text := before.Text()
		if text == "" {
			text = o.Params.Text()
		}
		all := slices.Collect(before.Children())
		all = append(all, xmldoc.NewNode(offerMark, o.Spec.String()))
		all = slices.AppendSeq(all, o.Params.Children())
		n := xmldoc.NewNode("Parm", text, all...)
		if n.Size() > advertisements.MaxParam {
			continue // it can still be searched
		}
		params[o.Class] = n
		adv.SetService(o.Class, n)
	}
}

// publishOffer publishes one offer, and what the specification and its class are.
func (g *Group) publishOffer(ctx context.Context, x *offering) error {
	life := discovery.Lifetime{Local: offerLocal, Remote: offerRemote}
	all := []advertisements.Advertisement{x.offer}
	if i := x.impl; i != nil {
		all = append(all,
			&advertisements.ModuleClass{ID: x.offer.Class, Name: i.Name, Desc: i.Description},
			&advertisements.ModuleSpec{
				ID: x.offer.Spec, Name: i.Name, Desc: i.Description, Creator: i.Creator, URI: i.URI, Version: i.Version,
			})
	}
	for _, adv := range all {
		if err := g.disc.Publish(ctx, adv, life); err != nil {
			return err
		}
	}
	return nil
}

// renewOffers publishes the offers again and again, since they do not live long.
func (g *Group) renewOffers(ctx context.Context) {
	t := time.NewTicker(offerAgain)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		for _, x := range g.offering() {
			short, cancel := context.WithTimeout(ctx, publishTimeout)
			if err := g.publishOffer(short, x); err != nil && ctx.Err() == nil {
				g.log.Warn("an offer could not be published", "spec", x.offer.Spec, "error", err)
			}
			cancel()
		}
	}
}

// withdrawOffers takes back the offers whose time is over, and waits for others who do.
func (g *Group) withdrawOffers() {
	g.mods.mu.Lock()
	others := slices.Clone(g.mods.taking)
	var over []*offering
	g.mods.offers = slices.DeleteFunc(g.mods.offers, func(x *offering) bool {
		if x.ctx.Err() == nil {
			return false
		}
		over = append(over, x)
		return true
	})
	done := make(chan struct{})
	if len(over) > 0 {
		g.mods.taking = append(g.mods.taking, done)
	}
	g.mods.mu.Unlock()
	if len(over) > 0 {
		g.takeBack(over)
		g.mods.mu.Lock()
		g.mods.taking = slices.DeleteFunc(g.mods.taking, func(c chan struct{}) bool { return c == done })
		g.mods.mu.Unlock()
		close(done)
	}
	for _, c := range others {
		<-c
	}
}

func (g *Group) takeBack(over []*offering) {
	still := g.offering()
	ctx, cancel := context.WithTimeout(context.Background(), withdrawTimeout)
	defer cancel()
	for _, x := range over {
		if slices.ContainsFunc(still, func(o *offering) bool { return o.offer.Spec == x.offer.Spec }) {
			continue
		}
		if err := g.disc.Remove(ctx, x.offer); err != nil && !errors.Is(err, discovery.ErrNotFound) {
			g.log.Debug("an offer could not be withdrawn", "spec", x.offer.Spec, "error", err)
		}
	}
	if g.ctx.Err() != nil {
		return // the peer's advertisement goes with the group
	}
	if err := g.describe(g.rdv.Role()); err != nil {
		g.log.Error("the own advertisement could not be changed", "error", err)
		return
	}
	g.publishSelf(g.ctx)
}
