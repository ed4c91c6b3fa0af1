package nat

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	natpmp "github.com/jackpal/go-nat-pmp"
)

// pmpPort is where routers listen for NAT-PMP and PCP.
const pmpPort = 5351

// pmp asks a router by NAT-PMP.
type pmp struct{ gateway, local netip.Addr }

// findPMP finds a router that answers NAT-PMP.
func findPMP(ctx context.Context, gateway, local netip.Addr) (router, facts, error) {
	r := &pmp{gateway, local}
	f, err := r.facts(ctx)
	if err != nil {
		return nil, facts{}, err
	}
	return r, f, nil
}

func (r *pmp) via() string { return NATPMP }

// client makes a client for one question: the library bounds those by time, and
// knows no context.
func (r *pmp) client(ctx context.Context) (*natpmp.Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", NATPMP, err)
	}
	limit := askTime
	if t, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(t))
	}
	// A limit of zero would mean two minutes to the library.
	return natpmp.NewClientWithLocalAndTimeout(r.gateway.AsSlice(), r.local.AsSlice(), max(limit, time.Millisecond)), nil
}

func (r *pmp) facts(ctx context.Context) (facts, error) {
	c, err := r.client(ctx)
	if err != nil {
		return facts{}, err
	}
	a, err := c.GetExternalAddress()
	if err != nil {
		return facts{}, fmt.Errorf("%s: %w", NATPMP, err)
	}
	f := facts{up: time.Duration(a.SecondsSinceStartOfEpoc) * time.Second, upKnown: true}
	if ip := netip.AddrFrom4(a.ExternalIPAddress); !ip.IsUnspecified() {
		f.external = ip
	}
	return f, nil
}

func (r *pmp) add(ctx context.Context, p Port, outer int, life time.Duration) (grant, error) {
	c, err := r.client(ctx)
	if err != nil {
		return grant{}, err
	}
	got, err := c.AddPortMapping(p.Protocol, p.Internal, outer, int(life/time.Second))
	switch {
	case err != nil:
		return grant{}, fmt.Errorf("%s: %w", NATPMP, err)
	case int(got.InternalPort) != p.Internal:
		return grant{}, fmt.Errorf("%s: the answer is about port %d", NATPMP, got.InternalPort)
	case got.MappedExternalPort == 0, got.PortMappingLifetimeInSeconds == 0:
		return grant{}, errors.New(NATPMP + ": the mapping granted is none")
	}
	granted := time.Duration(got.PortMappingLifetimeInSeconds) * time.Second
	return grant{outer: int(got.MappedExternalPort), life: min(granted, life)}, nil
}

// remove takes all mappings of the port back: RFC 6886 section 3.4.
func (r *pmp) remove(ctx context.Context, p Port, _ int) error {
	c, err := r.client(ctx)
	if err != nil {
		return err
	}
	if _, err := c.AddPortMapping(p.Protocol, p.Internal, 0, 0); err != nil {
		return fmt.Errorf("%s: %w", NATPMP, err)
	}
	return nil
}
