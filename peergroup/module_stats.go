package peergroup

import (
	"errors"
	"sync/atomic"
)

type moduleCounters struct {
	refusedUnknown, refusedCycle, refusedParams, refusedLacking, missing, foreign, offersMalformed atomic.Uint64
}

// ModuleStats counts what became of the modules of groups that were joined in a group,
// and of its own.
type ModuleStats struct {
	RefusedUnknown uint64 // groups not joined since nothing implements them, or a service that every group has
	RefusedCycle   uint64 // groups not joined since modules need each other in a circle
	RefusedParams  uint64 // groups not joined since parameters were too large or refused
	RefusedLacking uint64 // groups not joined since a service that every group has is not listed, or a need not met
	Missing        uint64 // modules of the group that it goes without here
	Foreign        uint64 // groups joined by an implementation for another platform, of which only the list was used

	DroppedOffersMalformed uint64 // offers of others that make no sense
}

// ModuleStats returns the counters.
func (g *Group) ModuleStats() ModuleStats {
	c := &g.mods.stats
	return ModuleStats{
		c.refusedUnknown.Load(), c.refusedCycle.Load(), c.refusedParams.Load(), c.refusedLacking.Load(),
		c.missing.Load(), c.foreign.Load(), c.offersMalformed.Load(),
	}
}

// count counts why there is no plan for a group.
func (c *moduleCounters) count(p *plan, err error) (*plan, error) {
	switch {
	case err == nil:
	case errors.Is(err, ErrNoImplementation):
		c.refusedUnknown.Add(1)
	case errors.Is(err, ErrCycle):
		c.refusedCycle.Add(1)
	case errors.Is(err, ErrParams):
		c.refusedParams.Add(1)
	default:
		c.refusedLacking.Add(1)
	}
	return p, err
}
