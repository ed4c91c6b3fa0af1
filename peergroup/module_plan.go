package peergroup

import (
	"fmt"
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup/access"
	"github.com/juxta-p2p/juxta/peergroup/membership"
)

// plan is what modules a group has, in the order in which they start.
type plan struct {
	entries []planned
	impls   []*advertisements.ModuleImpl // to be published with the group; none for the standard one
}

// planned is one module of a plan.
type planned struct {
	class  id.ModuleClass
	spec   id.ModuleSpec
	params xmldoc.Node
	impl   *Implementation // nil if it is standard or missing
	err    error           // why it is missing
}

// generic reports whether a group has the standard list of services, whatever its
// implementation says.
func generic(spec id.ModuleSpec) bool {
	return spec.IsZero() || spec == id.SpecGenericGroup || spec == id.SpecNetGroup || spec == id.SpecWorldGroup
}

// standardSpecs are the services of every group of this program.
var standardSpecs = []id.ModuleSpec{
	id.SpecEndpoint, id.SpecResolver, id.SpecMembershipNone, id.SpecAccessAlways,
	id.SpecRendezvous, id.SpecDiscovery, id.SpecPipe, id.SpecPeerInfo,
}

// mandatory are the classes without which no peer starts a group, as with JXSE.
var mandatory = []id.ModuleClass{id.ClassEndpoint, id.ClassResolver, id.ClassMembership, id.ClassAccess}

// choices are the kinds of membership and access that groups of this program may have
// in the place of those of the standard list.
var choices = []id.ModuleSpec{
	membership.Password.Spec(), membership.Certificate.Spec(), access.List.Spec(), access.Certificate.Spec(),
}

// kind returns the specification that a group has for a class, zero if it is not one
// that this program provides.
func (p *plan) kind(class id.ModuleClass) id.ModuleSpec {
	if p != nil {
		for _, e := range p.entries {
			if e.class == class && provided(e.spec) {
				return e.spec
			}
		}
	}
	return id.ModuleSpec{}
}

// provided reports whether the groups of this program have that service by themselves.
func provided(spec id.ModuleSpec) bool {
	return slices.Contains(standardSpecs, spec) || slices.Contains(choices, spec)
}

// wellKnown is how all IDs of the standard begin.
const wellKnown = "urn:jxta:uuid-DEADBEEFDEAFBABAFEEDBABE"

// standardClass reports whether a class is one of the standard, which applications do
// not touch.
func standardClass(c id.ModuleClass) bool { return strings.HasPrefix(c.String(), wellKnown) }

// standard reports whether every JXSE 2.5 peer knows the service: it can stand in the
// list of a group that Java peers shall join.
func standard(spec id.ModuleSpec) bool { return standardClass(spec.Class()) }

// chosen reports whether a service is one of the kinds of membership and access that the
// standard has to choose from. One that is not provided here keeps nobody out: joining is
// a matter of the joining peer alone, and the services of a group run before anybody
// has logged in, as with JXSE.
func chosen(spec id.ModuleSpec) bool {
	c := spec.Class()
	return c == id.ClassMembership || c == id.ClassAccess
}

// standardList is the service list of a group of the standard specification. JXSE 2.5
// has a few more that only concern it.
func standardList() []advertisements.Module {
	list := make([]advertisements.Module, len(standardSpecs))
	for i, s := range standardSpecs {
		list[i] = advertisements.Module{Role: "Svc", Class: s.Class(), Spec: s}
	}
	return list
}

// newPlan decides which modules a group with that service list has here. What this
// program has no implementation of is left out and said to be, except for the mandatory
// services; for the maker of a group, who is strict, everything must be there.
//
// A class that comes twice counts with its last entry, as in JXSE. Transports are the
// peer's affair and not the group's.
func (p *Peer) newPlan(adv *advertisements.Group, list []advertisements.Module, strict bool) (*plan, error) {
	entries, err := p.entries(adv, list)
	if err != nil {
		return nil, err
	}
	for _, c := range mandatory {
		if !slices.ContainsFunc(entries, func(e planned) bool { return e.class == c }) {
			return nil, &ModuleError{Class: c, Err: ErrMandatory}
		}
	}
	byNeed, err := startOrder(specsOf(entries), p.needs)
	if err != nil {
		return nil, err
	}
	plan := &plan{}
	for _, s := range byNeed {
		for _, e := range entries {
			if e.spec == s {
				plan.entries = append(plan.entries, e)
			}
		}
	}
	for i := range plan.entries { // those needed come first, so one round is enough
		p.judge(&plan.entries[i], plan)
		e := &plan.entries[i]
		if e.err == nil {
			continue
		}
		if (strict || slices.Contains(mandatory, e.class)) && !chosen(e.spec) {
			return nil, e.err
		}
	}
	return plan, nil
}

// entries reads a service list, last entry of each class.
func (p *Peer) entries(adv *advertisements.Group, list []advertisements.Module) ([]planned, error) {
	var entries []planned
	for _, m := range list {
		if m.Role == "Proto" {
			continue
		}
		class := m.Class
		if class.IsZero() {
			class = m.Spec.Class()
		}
		if class == id.ClassPeerGroup || m.Spec == adv.Spec {
			return nil, &ModuleError{Spec: m.Spec, Class: class, Needs: []id.ModuleSpec{m.Spec}, Err: ErrCycle}
		}
		e := planned{class: class, spec: m.Spec}
		same := func(o planned) bool { return o.class == class || o.spec == m.Spec }
		if m.Role == "App" { // several may have one class
			same = func(o planned) bool { return o.spec == m.Spec }
		}
		entries = append(slices.DeleteFunc(entries, same), e)
	}
	for i := range entries {
		e := &entries[i]
		params, ok := adv.Service(e.class)
		if !ok {
			continue
		}
		if n := params.Size(); n > advertisements.MaxParam {
			err := fmt.Errorf("%w: %d octets: %w", ErrParams, n, xmldoc.ErrLimit)
			return nil, &ModuleError{Spec: e.spec, Class: e.class, Err: err}
		}
		e.params = params
	}
	return entries, nil
}

func specsOf(entries []planned) []id.ModuleSpec {
	all := make([]id.ModuleSpec, len(entries))
	for i, e := range entries {
		all[i] = e.spec
	}
	return all
}

func (p *Peer) needs(s id.ModuleSpec) []id.ModuleSpec { return p.cfg.Implementations[s].Needs }

// judge finds the implementation of an entry, or why there is none.
func (p *Peer) judge(e *planned, in *plan) {
	if provided(e.spec) {
		return
	}
	impl, ok := p.cfg.Implementations[e.spec]
	if !ok {
		e.err = &ModuleError{Spec: e.spec, Class: e.class, Err: ErrNoImplementation}
		return
	}
	var lacks []id.ModuleSpec
	for _, n := range impl.Needs {
		there := provided(n) || slices.ContainsFunc(in.entries, func(o planned) bool { return o.spec == n && o.err == nil })
		if !there {
			lacks = append(lacks, n)
		}
	}
	if len(lacks) > 0 {
		e.err = &ModuleError{Spec: e.spec, Class: e.class, Name: impl.Name, Needs: lacks, Err: ErrNeeds}
		return
	}
	e.impl = &impl
}

// planOf makes the plan of a group to be created, and sets the specification and the
// parameters of its advertisement. Everything in it must be there.
func (p *Peer) planOf(adv *advertisements.Group, spec Spec, rules []id.ModuleSpec) (*plan, error) {
	list := standardList()
	for _, s := range rules {
		i := slices.IndexFunc(list, func(o advertisements.Module) bool { return o.Class == s.Class() })
		list[i].Spec = s
	}
	var named []id.ModuleClass
	for _, s := range spec.Services {
		m := advertisements.Module{Role: "Svc", Class: s.Class, Spec: s.Spec}
		if m.Class.IsZero() {
			m.Class = s.Spec.Class()
		}
		if m.Spec.IsZero() || slices.Contains(named, m.Class) {
			return nil, &ModuleError{Spec: m.Spec, Class: m.Class, Err: ErrLoaded}
		}
		named = append(named, m.Class)
		adv.SetService(m.Class, s.Params)
		if i := slices.IndexFunc(list, func(o advertisements.Module) bool { return o.Class == m.Class }); i >= 0 {
			list[i] = m
		} else {
			list = append(list, m)
		}
	}
	adv.Spec = id.SpecGenericGroup
	own := !slices.Equal(list, standardList())
	if own {
		adv.Spec = spec.ModuleSpec
		if generic(adv.Spec) {
			adv.Spec = id.NewModuleSpec(id.ClassPeerGroup)
		}
	}
	plan, err := p.newPlan(adv, list, true)
	if err != nil {
		return nil, err
	}
	if own {
		plan.impls = implementationsOf(adv.Spec, spec.Description, list)
	}
	return plan, nil
}
