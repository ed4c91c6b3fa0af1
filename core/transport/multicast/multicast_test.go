package multicast

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// Nothing in this file sends anything.

var _ endpoint.Broadcaster = (*Transport)(nil)

func TestWithoutNetwork(t *testing.T) {
	tr := New(Config{})
	if g := tr.Group().String(); g != "mcast://224.0.1.85:1234" || tr.Protocol() != "mcast" || len(tr.Addresses()) != 0 {
		t.Errorf("%s, %s, %v", g, tr.Protocol(), tr.Addresses())
	}
	_, err := tr.Dial(t.Context(), tr.Group())
	var de *endpoint.DialError
	if !errors.As(err, &de) || de.Phase != endpoint.PhaseAddress || !errors.Is(err, ErrNoLinks) {
		t.Errorf("Dial: %v", err)
	}
	if err := tr.Broadcast(t.Context(), []byte("x")); !errors.Is(err, endpoint.ErrClosed) {
		t.Errorf("Broadcast before Start: %v", err)
	}
	if err := tr.Broadcast(t.Context(), make([]byte, defaultMaxDatagram-overhead+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Broadcast of too much: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tr.Broadcast(ctx, []byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("Broadcast when cancelled: %v", err)
	}
	for range 2 {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestBadGroups(t *testing.T) {
	for _, g := range []string{"224.0.1.85", "192.0.2.1:1234", "[ff02::1]:1234", "224.0.1.85:0", "all:1234"} {
		tr := New(Config{Group: g})
		if err := tr.Start(endpoint.Host{Peer: id.PeerFromSeed(id.NetGroup, []byte("a"))}); err == nil {
			t.Errorf("%s is taken", g)
		}
		_ = tr.Close()
	}
}

func TestStartWithoutInterface(t *testing.T) {
	tr := New(Config{Interfaces: []string{"none such"}})
	if err := tr.Start(endpoint.Host{}); !errors.Is(err, ErrNoInterface) {
		t.Errorf("Start: %v", err)
	}
	_ = tr.Close()
}

func TestEligible(t *testing.T) {
	const up, multi = net.FlagUp, net.FlagMulticast
	on := func(index int, name string, flags net.Flags) member {
		return member{Interface: net.Interface{Index: index, Name: name, Flags: flags}}
	}
	lo := on(1, "lo", up|net.FlagLoopback)
	eth := on(2, "eth", up|multi)
	down := on(3, "down", multi)
	tun := on(4, "tun", up|multi|net.FlagPointToPoint)
	dumb := on(5, "dumb", up)
	for name, tc := range map[string]struct {
		all   membership
		names []string
		want  []string
	}{
		"those that can":         {membership{lo, eth, down, tun, dumb}, nil, []string{"eth"}},
		"loopback for want":      {membership{lo, down, tun, dumb}, nil, []string{"lo"}},
		"named ones":             {membership{lo, eth, tun}, []string{"lo", "tun"}, []string{"lo", "tun"}},
		"named ones that are up": {membership{lo, down}, []string{"down"}, nil},
		"none":                   {nil, nil, nil},
		"not too many":           {slices.Repeat(membership{eth}, maxInterfaces+1), nil, slices.Repeat([]string{"eth"}, maxInterfaces)},
	} {
		var got []string
		for _, ifi := range eligible(tc.all, tc.names) {
			got = append(got, ifi.Name)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestMembershipTakes(t *testing.T) {
	group := netip.MustParseAddr("224.0.1.85")
	m := membership{{net.Interface{Index: 2}, []netip.Prefix{netip.MustParsePrefix("192.0.2.7/24")}}}
	ip := netip.MustParseAddr
	for name, tc := range map[string]struct {
		from origin
		want bool
	}{
		"neighbour":          {origin{ip("192.0.2.1"), group, 2}, true},
		"system tells less":  {origin{ip: ip("192.0.2.1")}, true},
		"another network":    {origin{ip("198.51.100.1"), group, 2}, false},
		"another interface":  {origin{ip("192.0.2.1"), group, 3}, false},
		"another group":      {origin{ip("192.0.2.1"), ip("224.0.1.86"), 2}, false},
		"not to a group":     {origin{ip("192.0.2.1"), ip("192.0.2.7"), 2}, false},
		"no source to speak": {origin{dst: group, ifindex: 2}, false},
	} {
		if got := m.takes(tc.from, group); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestLimiter(t *testing.T) {
	start := time.Unix(1e9, 0)
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	count := func(l *limiter, ip netip.Addr, n int, at time.Time) (ok int) {
		for range n {
			if l.allow(ip, at) == allowed {
				ok++
			}
		}
		return ok
	}
	l := newLimiter(10, 25)
	if n := count(&l, a, 100, start); n != 10 {
		t.Errorf("%d of one source at once", n)
	}
	if n := count(&l, b, 100, start); n != 10 {
		t.Errorf("%d of the other", n)
	}
	if n := count(&l, netip.MustParseAddr("192.0.2.3"), 100, start); n != 5 {
		t.Errorf("%d of a third, want what the total leaves", n)
	}
	if n := count(&l, a, 100, start.Add(500*time.Millisecond)); n != 5 {
		t.Errorf("%d after half a second", n)
	}
	if n := count(&l, a, 100, start.Add(time.Hour)); n != 10 {
		t.Errorf("%d after an hour", n)
	}
}

func TestLimiterForgets(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := newLimiter(1, 1<<20)
	ip := netip.MustParseAddr("10.0.0.0")
	next := func() netip.Addr { ip = ip.Next(); return ip }
	for range maxSources {
		if l.allow(next(), now) != allowed {
			t.Fatal("refused below the limit")
		}
	}
	if l.allow(next(), now) != tooMany {
		t.Fatal("the table of sources has no limit")
	}
	now = now.Add(time.Second)
	if l.allow(next(), now) != allowed {
		t.Fatal("silent sources are not forgotten")
	}
	if len(l.sources) != 1 {
		t.Fatalf("%d sources are kept", len(l.sources))
	}
}

// TestWhatIsLostIsCounted: each reason has its counter, and raises no other.
func TestWhatIsLostIsCounted(t *testing.T) {
	tr := New(Config{SourceRate: 1})
	now := time.Unix(1e9, 0)
	ip := netip.MustParseAddr("10.0.0.0")
	for _, c := range []struct {
		what string
		do   func()
		want Stats // what it adds
	}{
		{"too large", func() { _ = tr.Broadcast(t.Context(), make([]byte, defaultMaxDatagram)) }, Stats{UnsentTooLarge: 1}},
		{"closed", func() { _ = tr.Broadcast(t.Context(), []byte("x")) }, Stats{Unsent: 1}},
		{"too much of a source", func() { tr.admit(origin{ip: ip}, now); tr.admit(origin{ip: ip}, now) }, Stats{DroppedOverRate: 1}},
		{"too many sources", func() {
			for range maxSources {
				ip = ip.Next()
				now = now.Add(time.Millisecond / 2)
				tr.limit.total = 1e9
				tr.admit(origin{ip: ip}, now)
			}
		}, Stats{DroppedSources: 1}},
	} {
		before := tr.Stats()
		c.do()
		after := tr.Stats()
		after.UnsentTooLarge -= before.UnsentTooLarge
		after.Unsent -= before.Unsent
		after.DroppedOverRate -= before.DroppedOverRate
		after.DroppedSources -= before.DroppedSources
		if after != c.want {
			t.Errorf("%s: %+v, want %+v", c.what, after, c.want)
		}
	}
}

func BenchmarkLimiter(b *testing.B) {
	l := newLimiter(defaultSourceRate, defaultTotalRate)
	ip, now := netip.MustParseAddr("192.0.2.1"), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		l.allow(ip, now)
	}
}
