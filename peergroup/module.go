package peergroup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup/access"
	"github.com/juxta-p2p/juxta/peergroup/membership"
)

// Module is a service that a program adds to a group.
//
// Start makes it ready in the group and returns. ctx is the module's whole
// life: it ends when the module is stopped or the group is left, and whatever
// the module registered with it ends too. A module that needs a goroutine
// starts it with [Group.Go], so that leaving the group waits for it.
//
// If Start fails, ctx is ended and the module counts as never started.
//
// Three methods are used if a module has them: Wait(), with which whoever stops the
// module waits until nothing of it is left; Stats(), which returns a structure of
// counters (uint64) and gauges (int) for [Peer.Metrics], under the name of the module;
// and Advertisements(), which returns types of advertisements as
// [Implementation.Advertisements] does: they are known from before its start until the
// peer is closed, in all groups.
type Module interface {
	Start(ctx context.Context, g *Group) error
}

// ErrLeft is the cause when something is asked of a group that was left, or of
// a peer that was closed.
var ErrLeft = errors.New("the group was left")

// ModuleState says how a module of a group is.
type ModuleState uint8

// The states of a module.
const (
	Running ModuleState = iota // it was started
	Missing                    // the group has it, this peer does not; ModuleInfo.Err says why
)

// String returns the state in a word.
func (s ModuleState) String() string {
	if s == Missing {
		return "missing"
	}
	return "running"
}

// ModuleInfo is one module of a group, see [Group.Modules].
type ModuleInfo struct {
	Name     string // of the implementation; the type of one that [Group.Load] was given; "" if missing
	Class    id.ModuleClass
	Spec     id.ModuleSpec // zero if it was given to [Group.Load]
	Standard bool          // a service of every group, which cannot be stopped
	State    ModuleState
	Since    time.Time // when it was started; zero if missing
	Err      error     // why it is missing, a [ModuleError]
}

// loaded is a module that runs.
type loaded struct {
	info   ModuleInfo
	module Module
	needs  []id.ModuleSpec
	cancel context.CancelFunc

	started bool // Start has returned without an error
	waited  sync.Once
}

// modules are those of one group. The zero value is ready for use.
type modules struct {
	stats moduleCounters

	mu      sync.Mutex
	running []*loaded // in the order in which they were started
	missing []ModuleInfo
	offers  []*offering
	renews  bool            // the offers are renewed now and then
	taking  []chan struct{} // closed when offers that are being withdrawn are
}

// Load starts a module in the group. It runs until stop is called or the group
// is left. When stop returns, the module's context has ended, the calls that it was
// working on are over, its Wait has returned if it has one, and what it offered is
// withdrawn; so a module must not stop itself from within a call. Calling stop more
// than once does nothing.
func (g *Group) Load(m Module) (stop func(), err error) {
	l := &loaded{info: ModuleInfo{Name: strings.TrimPrefix(fmt.Sprintf("%T", m), "*")}}
	if stop, err = g.load(m, l, nil); err != nil && !errors.Is(err, ErrLeft) {
		err = fmt.Errorf("peergroup: module %T in group %q: %w", m, g.Name(), err)
	}
	return stop, err
}

// LoadSpec starts the implementation that [Config.Implementations] has for a
// specification, as joining a group that has it would, and offers it to the group, see
// [Group.Offer]. params are what it is started with; zero means those of the group's
// advertisement.
//
// It runs until stop is called or the group is left. stop first stops the modules that
// were loaded by specification and need this one; otherwise it is that of [Group.Load].
// The error wraps [ErrLeft] or is a [ModuleError].
func (g *Group) LoadSpec(spec id.ModuleSpec, params xmldoc.Node) (stop func(), err error) {
	e := planned{spec: spec, class: spec.Class(), params: params}
	if params.IsZero() {
		e.params, _ = g.adv.Service(e.class)
	}
	if provided(spec) {
		return nil, &ModuleError{Spec: spec, Class: e.class, Err: ErrStandard}
	}
	running := &plan{}
	g.mods.mu.Lock()
	for _, l := range g.mods.running {
		running.entries = append(running.entries, planned{spec: l.info.Spec, class: l.info.Class})
	}
	g.mods.mu.Unlock()
	if g.peer.judge(&e, running); e.err != nil {
		return nil, e.err
	}
	return g.loadPlanned(&e)
}

// loadPlanned starts the implementation of an entry.
func (g *Group) loadPlanned(e *planned) (stop func(), err error) {
	fail := func(err error) (func(), error) {
		return nil, &ModuleError{Spec: e.spec, Class: e.class, Name: e.impl.Name, Err: err}
	}
	m, err := e.impl.New(e.params)
	if err == nil && m == nil {
		err = errors.New("Implementation.New made no module")
	}
	if err != nil {
		return fail(fmt.Errorf("%w: %w", ErrParams, err))
	}
	l := &loaded{
		info:  ModuleInfo{Name: e.impl.Name, Class: e.class, Spec: e.spec},
		needs: e.impl.Needs,
	}
	offer := func(ctx context.Context) error {
		if standardClass(e.class) {
			return nil
		}
		return g.offer(ctx, &Offer{Class: e.class, Spec: e.spec, Name: e.impl.Name, Params: e.params}, e.impl)
	}
	if stop, err = g.load(m, l, offer); err != nil && !errors.Is(err, ErrLeft) {
		return fail(err)
	}
	return stop, err
}

// load starts a module and lists it. offer, if not nil, is called when it runs.
func (g *Group) load(m Module, l *loaded, offer func(context.Context) error) (stop func(), err error) {
	if g.ctx.Err() != nil {
		return nil, fmt.Errorf("peergroup: %w", ErrLeft)
	}
	ctx, cancel := context.WithCancel(g.ctx)
	l.module, l.cancel = m, cancel
	g.mods.mu.Lock()
	for _, o := range g.mods.running {
		if !l.info.Spec.IsZero() && (o.info.Spec == l.info.Spec || o.info.Class == l.info.Class) {
			g.mods.mu.Unlock()
			cancel()
			return nil, ErrLoaded
		}
	}
	l.info.Since = time.Now()
	g.mods.running = append(g.mods.running, l)
	g.mods.mu.Unlock()
	if a, ok := m.(interface {
		Advertisements() map[string]func() advertisements.Advertisement
	}); ok {
		for name, f := range a.Advertisements() {
			g.peer.cfg.Advertisements.Add(name, f)
		}
	}
	err = m.Start(ctx, g)
	l.started = err == nil
	if err == nil && offer != nil {
		err = offer(ctx)
	}
	if err != nil {
		g.unload(l)
		return nil, err
	}
	return func() { g.stop(l) }, nil
}

// stop stops a module, those that need it first.
func (g *Group) stop(l *loaded) {
	g.mods.mu.Lock()
	var above []*loaded
	if slices.Contains(g.mods.running, l) && !l.info.Spec.IsZero() {
		for _, o := range slices.Backward(g.mods.running) {
			if slices.Contains(o.needs, l.info.Spec) {
				above = append(above, o)
			}
		}
	}
	g.mods.mu.Unlock()
	for _, o := range above {
		g.stop(o)
	}
	g.unload(l)
}

// unload ends a module's life and takes it off the list.
func (g *Group) unload(l *loaded) {
	l.cancel()
	g.desk.settle()
	l.wait()
	g.mods.mu.Lock()
	g.mods.running = slices.DeleteFunc(g.mods.running, func(o *loaded) bool { return o == l })
	g.mods.mu.Unlock()
	g.withdrawOffers()
}

// start starts the modules that a group has by its specification, in their order.
func (g *Group) start(p *plan, strict bool) error {
	for i := range p.entries {
		e := &p.entries[i]
		if e.err == nil && e.impl != nil {
			for _, n := range e.impl.Needs {
				if !provided(n) && !g.runs(n) { // it failed to start
					e.err = &ModuleError{Spec: e.spec, Class: e.class, Name: e.impl.Name, Needs: []id.ModuleSpec{n}, Err: ErrNeeds}
				}
			}
		}
		if e.err == nil && e.impl != nil {
			_, e.err = g.loadPlanned(e)
		}
		if e.err == nil {
			continue
		}
		if (strict || slices.Contains(mandatory, e.class)) && !chosen(e.spec) {
			return e.err
		}
		g.log.Warn("a module of the group is not here", "spec", e.spec, "error", e.err)
		g.mods.stats.missing.Add(1)
		g.mods.mu.Lock()
		g.mods.missing = append(g.mods.missing, ModuleInfo{Class: e.class, Spec: e.spec, State: Missing, Err: e.err})
		g.mods.mu.Unlock()
	}
	return nil
}

func (g *Group) runs(spec id.ModuleSpec) bool {
	g.mods.mu.Lock()
	defer g.mods.mu.Unlock()
	return slices.ContainsFunc(g.mods.running, func(l *loaded) bool { return l.info.Spec == spec })
}

// stopModules ends the lives of all modules, the youngest first, as the group is left,
// and returns what waits for them.
func (g *Group) stopModules() (wait func()) {
	g.mods.mu.Lock()
	all := slices.Clone(g.mods.running)
	g.mods.running, g.mods.missing = nil, nil
	g.mods.mu.Unlock()
	for _, l := range slices.Backward(all) {
		l.cancel()
	}
	return func() {
		for _, l := range slices.Backward(all) {
			l.wait()
		}
	}
}

// wait waits until nothing of the module is left, if it can tell.
func (l *loaded) wait() {
	if w, ok := l.module.(interface{ Wait() }); ok && l.started {
		l.waited.Do(w.Wait)
	}
}

// Modules returns the modules of the group: the standard services first, then those
// that run in the order in which they were started, then those that the group has and
// this peer does not. Of a group that was left it returns none.
func (g *Group) Modules() []ModuleInfo {
	if g.ctx.Err() != nil {
		return nil
	}
	var all []ModuleInfo
	for _, s := range standardSpecs {
		if spec, ok := g.Provides(s.Class()); ok && provided(spec) {
			all = append(all, ModuleInfo{Name: standardName(spec), Class: s.Class(), Spec: spec, Standard: true, Since: g.since})
		}
	}
	g.mods.mu.Lock()
	defer g.mods.mu.Unlock()
	for _, l := range g.mods.running {
		all = append(all, l.info)
	}
	for _, m := range g.mods.missing {
		if !slices.ContainsFunc(all, func(o ModuleInfo) bool { return o.Spec == m.Spec }) { // it was loaded since
			all = append(all, m)
		}
	}
	return all
}

// Provides returns the specification by which the group has a module of a class,
// whether this peer has it or not: whose membership is by password, for instance, has
// that one under [id.ClassMembership].
func (g *Group) Provides(class id.ModuleClass) (id.ModuleSpec, bool) {
	if g.plan != nil {
		for _, e := range g.plan.entries {
			if e.class == class {
				return e.spec, true
			}
		}
	} else {
		for _, s := range standardSpecs {
			if s.Class() == class {
				return s, true
			}
		}
	}
	g.mods.mu.Lock()
	defer g.mods.mu.Unlock()
	for _, l := range g.mods.running {
		if l.info.Class == class && !class.IsZero() {
			return l.info.Spec, true
		}
	}
	return id.ModuleSpec{}, false
}

// standardName names a standard service for people.
func standardName(s id.ModuleSpec) string {
	switch s {
	case id.SpecEndpoint:
		return "endpoint"
	case id.SpecResolver:
		return "resolver"
	case id.SpecMembershipNone:
		return "membership none"
	case id.SpecAccessAlways:
		return "access always"
	case membership.Password.Spec():
		return "membership password"
	case membership.Certificate.Spec():
		return "membership certificate"
	case access.List.Spec():
		return "access list"
	case access.Certificate.Spec():
		return "access certificate"
	case id.SpecRendezvous:
		return "rendezvous"
	case id.SpecDiscovery:
		return "discovery"
	case id.SpecPipe:
		return "pipe"
	case id.SpecPeerInfo:
		return "peer info"
	}
	return ""
}

// Go runs f on a goroutine that leaving the group waits for; f must return
// soon after ctx, the life of the group, ends. In a group that was left it does
// nothing and reports false.
func (g *Group) Go(f func(ctx context.Context)) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ctx.Err() != nil {
		return false
	}
	g.wg.Go(func() { f(g.ctx) })
	return true
}
