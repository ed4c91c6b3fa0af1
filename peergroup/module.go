package peergroup

import (
	"context"
	"errors"
	"fmt"
)

// Module is a service that a program adds to a group.
//
// Start makes it ready in the group and returns. ctx is the module's whole
// life: it ends when the module is stopped or the group is left, and whatever
// the module registered with it ends too. A module that needs a goroutine
// starts it with [Group.Go], so that leaving the group waits for it.
//
// If Start fails, ctx is ended and the module counts as never started.
type Module interface {
	Start(ctx context.Context, g *Group) error
}

// ErrLeft is the cause when something is asked of a group that was left, or of
// a peer that was closed.
var ErrLeft = errors.New("the group was left")

// Load starts a module in the group. It runs until stop is called or the group
// is left. Calling stop more than once does nothing.
func (g *Group) Load(m Module) (stop func(), err error) {
	if g.ctx.Err() != nil {
		return nil, fmt.Errorf("peergroup: %w", ErrLeft)
	}
	ctx, cancel := context.WithCancel(g.ctx)
	if err := m.Start(ctx, g); err != nil {
		cancel()
		return nil, fmt.Errorf("peergroup: module %T in group %q: %w", m, g.Name(), err)
	}
	return cancel, nil
}

// Go runs f on a goroutine that leaving the group waits for; f must return
// soon after ctx, the life of the group, ends. It does nothing in a group that
// was left.
func (g *Group) Go(f func(ctx context.Context)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ctx.Err() != nil {
		return
	}
	g.wg.Go(func() { f(g.ctx) })
}
