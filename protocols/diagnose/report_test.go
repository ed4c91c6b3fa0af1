package diagnose

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

var (
	ann   = id.PeerFromSeed(id.NetGroup, []byte("ann"))
	bob   = id.PeerFromSeed(id.NetGroup, []byte("bob"))
	relay = id.PeerFromSeed(id.NetGroup, []byte("relay"))
	now   = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
)

// failed is an attempt to dial that failed.
func failed(phase endpoint.Phase, err error) error {
	return &endpoint.DialError{Addr: endpoint.MustParseAddress("tcp://192.0.2.1:9701"), Phase: phase, Err: err}
}

type proxyError struct{}

func (proxyError) Error() string    { return "403 Forbidden" }
func (proxyError) ProxyStatus() int { return 403 }

func TestCauseOf(t *testing.T) {
	for want, err := range map[Cause]error{
		Reachable:    nil,
		Excluded:     failed(endpoint.PhasePolicy, &endpoint.Refusal{Peer: bob, Ours: true, Rule: "none of that"}),
		ProxyRefuses: failed(endpoint.PhaseConnect, fmt.Errorf("proxy: %w", proxyError{})),
		Unresolved:   failed(endpoint.PhaseResolve, errors.New("no such host")),
		WrongPort:    failed(endpoint.PhaseHandshake, errors.New("malformed welcome")),
		WrongKey:     failed(endpoint.PhaseIdentity, errors.New("another peer")),
		Refused:      failed(endpoint.PhaseConnect, syscall.ECONNREFUSED),
		BlackHole:    failed(endpoint.PhaseConnect, errors.New("timeout")),
		NoRoute:      failed(endpoint.PhaseAddress, errors.New("no transport")),
		Unknown:      errors.New("something else"),
	} {
		if got := CauseOf(err); got != want {
			t.Errorf("CauseOf(%v) is %q, want %q", err, got, want)
		}
	}
}

// address is the check of one address.
func address(err error) Check {
	return Check{Step: StepAddress, Subject: "tcp://192.0.2.1:9701", OK: err == nil, Cause: CauseOf(err), Err: err}
}

func TestConclude(t *testing.T) {
	refused, hole := failed(endpoint.PhaseConnect, syscall.ECONNREFUSED), failed(endpoint.PhaseConnect, errors.New("timeout"))
	for _, c := range []struct {
		what   string
		checks []Check
		facts  []Facts
		linked bool
		none   bool // the peer is not known
		want   Cause
		says   string
	}{
		{what: "a link", linked: true, want: Reachable},
		{what: "nothing", want: NoRoute, says: "no address"},
		{what: "no name", none: true, want: NameUnknown, says: "nobody"},
		{what: "no name and another clock", none: true, facts: []Facts{{Witness: relay, Clock: now.Add(48 * time.Hour)}}, want: ClockOff, says: "48h"},
		{what: "refused", checks: []Check{address(refused)}, want: Refused, says: "192.0.2.1:9701"},
		{what: "black hole", checks: []Check{address(hole)}, want: BlackHole},
		{what: "refused here, nothing there", checks: []Check{address(hole), address(refused)}, want: Refused},
		{what: "another peer", checks: []Check{address(hole), address(failed(endpoint.PhaseIdentity, errors.New("eve answers")))}, want: WrongKey, says: "eve answers"},
		{what: "expired", checks: []Check{{Step: StepAdvertisement, Cause: Expired, Detail: "since an hour"}, address(refused)}, want: Expired, says: "an hour"},
		{what: "its relay holds no lease", checks: []Check{address(hole)}, facts: []Facts{{Witness: relay, Clock: now, Relays: true}}, want: LeaseLost, says: relay.Short()},
		{what: "a relay that never was its own", checks: []Check{address(hole)}, facts: []Facts{{Witness: ann, Clock: now, Relays: true}}, want: BlackHole},
		{what: "its port is closed, and a relay between knows nothing", checks: []Check{address(refused)}, facts: []Facts{{Witness: relay, Clock: now, Relays: true}}, want: Refused},
		{what: "it sleeps", checks: []Check{address(hole)}, facts: []Facts{{Witness: relay, Clock: now, Relays: true, Leased: true, Queued: 2, QueueLimit: 20}}, want: Away, says: "2 messages wait"},
		{what: "its relay is full", linked: true, facts: []Facts{{Witness: relay, Clock: now, Relays: true, Leased: true, Queued: 20, QueueLimit: 20, QueueDropped: 3}}, want: QueueFull, says: "3 were dropped"},
		{what: "its pipe is full", linked: true, facts: []Facts{{Witness: bob, Clock: now, Full: "pipe chat"}}, want: QueueFull, says: "pipe chat"},
		{what: "it refuses us", linked: true, facts: []Facts{{Witness: bob, Clock: now, RefusedAsker: "excluded"}}, want: Excluded, says: "excluded"},
		{what: "a relay refuses us, but there is a link", linked: true, facts: []Facts{{Witness: relay, Clock: now, RefusedAsker: "excluded"}}, want: Reachable},
		{what: "its clock is off and it is reached", linked: true, facts: []Facts{{Witness: bob, Clock: now.Add(-time.Hour)}}, want: Reachable},
		{what: "its clock is off and it is not", checks: []Check{address(hole)}, facts: []Facts{{Witness: relay, Clock: now.Add(-time.Hour)}}, want: ClockOff, says: "behind"},
		{what: "slow, but no other clock", checks: []Check{address(hole)}, facts: []Facts{{Witness: relay, Clock: now.Add(-3 * time.Minute), Trip: 2 * time.Minute}}, want: BlackHole},
		{what: "proxy", checks: []Check{address(hole), address(failed(endpoint.PhaseConnect, proxyError{}))}, want: ProxyRefuses, says: "403"},
	} {
		r := Report{Peer: bob, Name: "bob", Relays: []id.Peer{relay}, Checks: c.checks}
		if c.none {
			r.Peer = id.Peer{}
		}
		for _, f := range c.facts {
			r.AddFacts(f, ann, now)
		}
		r.Conclude(c.linked)
		if r.Cause != c.want || !strings.Contains(r.Why, c.says) || r.Why == "" {
			t.Errorf("%s: %q: %q, want %q", c.what, r.Cause, r.Why, c.want)
		}
		if r.Cause != Reachable && r.Advice == "" {
			t.Errorf("%s: no advice", c.what)
		}
	}
}

func TestFactsOnTheWire(t *testing.T) {
	in := Facts{
		Peer: bob, Clock: now, Linked: true, Link: "tls://192.0.2.1:9701", Encrypted: true, Relays: true, Leased: true,
		Left: time.Minute, Queued: 1, QueueLimit: 20, QueueDropped: 2, Refused: "rule <1>", RefusedAsker: "rule & 2", Full: "pipe", NAT: "open",
	}
	b, err := xmldoc.Marshal(&in)
	if err != nil {
		t.Fatal(err)
	}
	var out Facts
	if err := xmldoc.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	if !out.Clock.Equal(in.Clock) {
		t.Errorf("clock %v", out.Clock)
	}
	if out.Clock = in.Clock; out != in {
		t.Errorf("%+v became %+v", in, out)
	}
	for i := range b {
		if i < len(strings.TrimSpace(string(b))) && xmldoc.Unmarshal(b[:i], &out) == nil {
			t.Fatalf("read although cut at %d", i)
		}
	}
}

func FuzzFacts(f *testing.F) {
	b, err := xmldoc.Marshal(&Facts{Peer: bob, Clock: now, Left: time.Hour, Refused: "no\nmore"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var x Facts
		if xmldoc.Unmarshal(b, &x) != nil {
			return
		}
		for _, s := range []string{x.Link, x.Refused, x.RefusedAsker, x.Full, x.NAT} {
			if len(s) > maxText || strings.ContainsAny(s, "\n\r\x1b") {
				t.Errorf("not fit to be shown: %q", s)
			}
		}
		if x.Left < 0 || x.Left > 24*time.Hour {
			t.Errorf("left %v", x.Left)
		}
	})
}
