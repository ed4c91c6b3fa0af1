package peergroup

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/discovery"
)

// What the implementation advertisements of groups say. Java peers load the class
// named, which they have, and so never look at the address; nobody can own it.
const (
	groupCode     = "juxta/group"
	groupProvider = "juxta"
	javaGroupCode = "net.jxta.impl.peergroup.StdPeerGroup"
	javaGroupURI  = "http://juxta.invalid/jxta.jar"
)

// GroupService is a module that every member of a group runs.
type GroupService struct {
	// Spec says which. It is a standard one, or one of Config.Implementations.
	Spec id.ModuleSpec

	// Class is the role it plays in the group; zero means the class of Spec.
	Class id.ModuleClass

	// Params are given to the module at every member: an element of which the content
	// counts, or zero. They stand in the group's advertisement, for anybody to read.
	Params xmldoc.Node
}

// implementationsOf makes the advertisements under which a group with a service list
// of its own is implemented: for Juxta with all its services, and for Java peers with
// those of the standard, since a Java peer that finds only an implementation for
// another platform gives up. JXTA v2 specification, module implementation
// advertisement; the Java one is as JXSE 2.5 writes it, and 2.7 takes it.
func implementationsOf(spec id.ModuleSpec, desc string, list []advertisements.Module) []*advertisements.ModuleImpl {
	own := &advertisements.ModuleImpl{
		Spec: spec, Desc: desc, Comp: advertisements.JuxtaCompatibility().Node(), Code: groupCode, Provider: groupProvider,
	}
	own.SetModules(list)
	return []*advertisements.ModuleImpl{javaImplementation(spec, desc, list), own}
}

// javaImplementation is the one of the two that is for Java peers.
func javaImplementation(spec id.ModuleSpec, desc string, list []advertisements.Module) *advertisements.ModuleImpl {
	java := &advertisements.ModuleImpl{
		Spec: spec, Desc: desc, Comp: advertisements.JavaCompatibility().Node(), Code: javaGroupCode, URI: javaGroupURI,
		Provider: groupProvider,
	}
	java.SetModules(slices.DeleteFunc(slices.Clone(list), func(m advertisements.Module) bool { return !standard(m.Spec) }))
	return java
}

// rank orders implementations by how much they are meant for this peer.
func rank(impl *advertisements.ModuleImpl) int {
	c, ok := impl.Compatibility()
	switch {
	case ok && c.Binding == advertisements.JuxtaBinding:
		return 0
	case ok && c.Binding == advertisements.JavaBinding:
		return 1
	}
	return 2
}

// findImplementations looks for the implementations of a group's specification in the
// own cache, then at others. It returns them best first, at most maxImplementations,
// as soon as one for Juxta is there and the others had a moment to come.
func (g *Group) findImplementations(ctx context.Context, spec id.ModuleSpec) ([]*advertisements.ModuleImpl, error) {
	q := discovery.Query{Kind: advertisements.Advs, Attr: "MSID", Value: spec.String()}
	var all []*advertisements.ModuleImpl
	take := func(r discovery.Result) bool {
		impl, ok := r.Adv.(*advertisements.ModuleImpl)
		if !ok || impl.Spec != spec {
			return false
		}
		all = append(all, impl)
		return true
	}
	for _, r := range g.disc.Local(q) {
		take(r)
	}
	if slices.ContainsFunc(all, func(i *advertisements.ModuleImpl) bool { return rank(i) == 0 }) {
		return sorted(all), nil
	}
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, findImplementation)
	defer cancel()
	enough := time.AfterFunc(findImplementation, cancel)
	defer enough.Stop()
	if len(all) > 0 {
		enough.Reset(foreignGrace)
	}
	var failed error
	for r, err := range g.disc.Find(ctx, discovery.Query{Kind: q.Kind, Attr: q.Attr, Value: q.Value, RemoteOnly: true}) {
		if err != nil {
			failed = err
			break
		}
		if !take(r) {
			continue
		}
		if len(all) >= maxImplementations {
			break
		}
		if rank(all[len(all)-1]) == 0 {
			enough.Reset(implementationGrace)
		} else if len(all) == 1 {
			enough.Reset(foreignGrace)
		}
	}
	if len(all) > 0 {
		return sorted(all), nil
	}
	if failed == nil {
		failed = context.Cause(outer)
	}
	e := &ModuleError{Spec: spec, Class: spec.Class(), Err: ErrNoImplementation}
	if failed != nil {
		e.Err = fmt.Errorf("%w: %w", ErrNoImplementation, failed)
	}
	return nil, e
}

func sorted(all []*advertisements.ModuleImpl) []*advertisements.ModuleImpl {
	slices.SortStableFunc(all, func(a, b *advertisements.ModuleImpl) int { return rank(a) - rank(b) })
	return all[:min(len(all), maxImplementations)]
}

// planFor decides which modules the group of an advertisement has, asking others how
// it is implemented if its specification is not the standard one and nothing is known.
func (g *Group) planFor(ctx context.Context, adv *advertisements.Group, known []*advertisements.ModuleImpl) (*plan, error) {
	stats := &g.mods.stats
	if generic(adv.Spec) {
		return stats.count(g.peer.newPlan(adv, standardList(), false))
	}
	all := known
	if all == nil {
		var err error
		if all, err = g.findImplementations(ctx, adv.Spec); err != nil {
			return stats.count(nil, err)
		}
	}
	var first error
	for _, impl := range all {
		list := slices.Collect(impl.Modules())
		if impl.Param.IsZero() {
			list = standardList()
		}
		p, err := stats.count(g.peer.newPlan(adv, list, false))
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		if rank(impl) != 0 {
			stats.foreign.Add(1)
		}
		p.impls = together(impl, all, list)
		return p, nil
	}
	return nil, first
}

// together returns what a member publishes of the implementations of its group: the one
// it uses and the best one of the other kind. An implementation for Juxta never goes
// without one for Java peers.
func together(used *advertisements.ModuleImpl, all []*advertisements.ModuleImpl, list []advertisements.Module) []*advertisements.ModuleImpl {
	for _, impl := range all {
		if rank(impl) < 2 && rank(impl) != rank(used) {
			return []*advertisements.ModuleImpl{impl, used}
		}
	}
	if rank(used) == 0 {
		return []*advertisements.ModuleImpl{javaImplementation(used.Spec, used.Desc, list), used}
	}
	return []*advertisements.ModuleImpl{used}
}

// publishImplementations tells in this group, the parent, how a group is implemented,
// so that others can join it, from this peer too.
func (g *Group) publishImplementations(ctx context.Context, p *plan) error {
	for _, impl := range p.impls {
		if err := g.disc.Publish(ctx, impl, discovery.Lifetime{Remote: groupRemote}); err != nil {
			return err
		}
	}
	return nil
}
