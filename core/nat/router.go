package nat

import (
	"context"
	"net/netip"
	"time"
)

// router is a gateway that maps ports, with the way to ask it.
type router interface {
	// via is how it is asked: NATPMP or UPnP.
	via() string

	// facts asks how the router is.
	facts(ctx context.Context) (facts, error)

	// add makes or renews a mapping. The outer port is a wish, 0 for any; the
	// grant is what the router says.
	add(ctx context.Context, p Port, outer int, life time.Duration) (grant, error)

	// remove takes a mapping back.
	remove(ctx context.Context, p Port, outer int) error
}

// finder finds out whether a gateway can be asked in one way.
type finder func(ctx context.Context, gateway, local netip.Addr) (router, facts, error)

// facts are what a router says of itself.
type facts struct {
	external netip.Addr    // not valid if it has none
	up       time.Duration // since when it keeps its mappings
	upKnown  bool
}

// grant is a mapping as the router has made it.
type grant struct {
	outer int
	life  time.Duration // 0: it lasts
}

const (
	// clockShare and clockSlack are how far the clock of a router may go wrong
	// before it counts as one that has lost its state: RFC 6886 section 3.6.
	clockShare = 8
	clockSlack = 2 * time.Second
)

// restarted reports whether a router that said before, has lost its mappings when
// it says now.
func restarted(before, now facts, between time.Duration) bool {
	if !before.upKnown || !now.upKnown {
		return false
	}
	return now.up+clockSlack < before.up+between-between/clockShare
}
