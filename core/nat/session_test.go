package nat

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// world is what a Mapper sees, without a network: a router in virtual time.
type world struct {
	mu       sync.Mutex
	gateway  netip.Addr
	noRoute  bool
	local    netip.Addr
	external netip.Addr
	began    time.Time
	silent   bool
	refuse   map[Port]error
	life     time.Duration // granted; 0: as asked
	shift    int           // added to the outer port
	held     map[Port]int
	adds     []time.Duration // when, since the beginning of the test
	zero     time.Time
	finds    int
	changes  [][]Mapping
}

var (
	tcpPort = Port{"tcp", 9701}
	udpPort = Port{"udp", 9702}
	outside = netip.MustParseAddr("203.0.113.7")
)

// build makes a Mapper that lives in a world.
func (w *world) build(t *testing.T, cfg Config) *Mapper {
	t.Helper()
	w.gateway, w.local, w.external = netip.MustParseAddr("192.168.1.1"), netip.MustParseAddr("192.168.1.2"), outside
	w.began, w.zero, w.held = time.Now(), time.Now(), map[Port]int{}
	if cfg.Ports == nil {
		cfg.Ports = []Port{tcpPort, udpPort}
	}
	cfg.Gateway = func() (netip.Addr, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.noRoute {
			return netip.Addr{}, ErrNoGateway
		}
		return w.gateway, nil
	}
	cfg.Changed = func(all []Mapping) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.changes = append(w.changes, all)
	}
	m, err := newMapper(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.local = func(netip.Addr) (netip.Addr, error) { w.mu.Lock(); defer w.mu.Unlock(); return w.local, nil }
	m.find = []finder{func(ctx context.Context, _, _ netip.Addr) (router, facts, error) {
		w.mu.Lock()
		w.finds++
		w.mu.Unlock()
		r := &toy{w}
		f, err := r.facts(ctx)
		return r, f, err
	}}
	return m
}

func (w *world) set(f func()) { w.mu.Lock(); defer w.mu.Unlock(); f() }

// restart makes the router forget.
func (w *world) restart() { w.set(func() { clear(w.held); w.began = time.Now() }) }

func (w *world) holds(p Port) int { w.mu.Lock(); defer w.mu.Unlock(); return w.held[p] }

type toy struct{ *world }

var errSilent = errors.New("nobody answers")

func (r *toy) via() string { return "toy" }

func (r *toy) facts(context.Context) (facts, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.silent {
		return facts{}, errSilent
	}
	return facts{external: r.external, up: time.Since(r.began).Truncate(time.Second), upKnown: true}, nil
}

func (r *toy) add(_ context.Context, p Port, outer int, life time.Duration) (grant, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.adds = append(r.adds, time.Since(r.zero))
	if r.silent {
		return grant{}, errSilent
	}
	if err := r.refuse[p]; err != nil {
		return grant{}, err
	}
	if _, ok := r.held[p]; !ok {
		outer += r.shift
	}
	r.held[p] = outer
	if r.life != 0 {
		life = r.life
	}
	return grant{outer, max(life, 0)}, nil
}

func (r *toy) remove(_ context.Context, p Port, outer int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.silent {
		return errSilent
	}
	if r.held[p] == outer {
		delete(r.held, p)
	}
	return nil
}

func TestPortsAreMappedRenewedAndTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{shift: 100}
		m := w.build(t, Config{})
		m.start()
		synctest.Wait()
		all := m.Mappings()
		if len(all) != 2 || all[0].Port != tcpPort || all[0].External != netip.AddrPortFrom(outside, 9801) || !all[0].Usable ||
			all[0].Via != "toy" || all[0].Gateway != w.gateway || time.Until(all[0].Until) != time.Hour {
			t.Fatalf("%+v", all)
		}
		if s := m.Status(); s.Err != nil || s.External != outside || s.Via != "toy" || s.Gateway != w.gateway {
			t.Errorf("%+v", s)
		}
		time.Sleep(95 * time.Minute)
		synctest.Wait()
		if want := []time.Duration{0, 0, 30 * time.Minute, 30 * time.Minute, time.Hour, time.Hour, 90 * time.Minute, 90 * time.Minute}; !slices.Equal(w.adds, want) {
			t.Errorf("asked at %v, not %v", w.adds, want)
		}
		if w.holds(tcpPort) != 9801 || len(w.changes) != 1 || w.finds != 1 {
			t.Errorf("renewed otherwise: %v, %v, %d", w.held, w.changes, w.finds)
		}
		_ = m.Close()
		_ = m.Close()
		if len(w.held) != 0 || len(m.Mappings()) != 0 {
			t.Errorf("left behind: %v, %v", w.held, m.Mappings())
		}
	})
}

func TestRestartOfTheGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{shift: 100}
		m := w.build(t, Config{})
		m.start()
		defer m.Close()
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		w.restart()
		w.set(func() { w.shift = 0 })
		time.Sleep(checkEvery + time.Second)
		synctest.Wait()
		if w.holds(tcpPort) != 9801 || w.holds(udpPort) != 9802 {
			t.Errorf("not mapped again as before: %v", w.held)
		}
		if len(w.changes) != 1 {
			t.Errorf("changes told: %v", w.changes)
		}
		w.set(func() { w.external = netip.MustParseAddr("203.0.113.8") })
		time.Sleep(checkEvery)
		synctest.Wait()
		if all := m.Mappings(); all[1].External.String() != "203.0.113.8:9802" || len(w.changes) != 2 {
			t.Errorf("the new address: %v, %v", all, w.changes)
		}
	})
}

func TestSilenceOfTheGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		m := w.build(t, Config{})
		m.start()
		defer m.Close()
		time.Sleep(time.Minute)
		synctest.Wait()
		w.set(func() { w.silent = true })
		time.Sleep(checkEvery - time.Minute + checkAgain/2)
		synctest.Wait()
		if len(m.Mappings()) != 2 {
			t.Error("given up at the first silence")
		}
		time.Sleep(maxSilences * checkAgain)
		synctest.Wait()
		if len(m.Mappings()) != 0 || !errors.Is(m.Status().Err, ErrNoService) || !errors.Is(m.Status().Err, errSilent) {
			t.Errorf("%+v, %+v", m.Mappings(), m.Status())
		}
		w.set(func() { w.finds = 0 })
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if w.finds < 40 || w.finds > 60 { // every half hour at last
			t.Errorf("looked for %d times a day", w.finds)
		}
		w.set(func() { w.silent = false })
		m.Refresh()
		synctest.Wait()
		if len(m.Mappings()) != 2 {
			t.Error("Refresh does not look at once")
		}
	})
}

func TestOneOfTwoPortsIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		no := errors.New("not for you")
		w := &world{refuse: map[Port]error{udpPort: no}}
		m := w.build(t, Config{})
		m.start()
		defer m.Close()
		synctest.Wait()
		if len(m.Mappings()) != 1 || !errors.Is(m.Status().Err, no) {
			t.Errorf("%v, %v", m.Mappings(), m.Status())
		}
		w.set(func() { w.refuse = nil })
		time.Sleep(firstPause)
		synctest.Wait()
		if len(m.Mappings()) != 2 || m.Status().Err != nil {
			t.Errorf("%v, %v", m.Mappings(), m.Status())
		}
		w.set(func() { w.refuse = map[Port]error{tcpPort: no, udpPort: no} })
		time.Sleep(time.Hour + checkEvery)
		synctest.Wait()
		if len(m.Mappings()) != 0 {
			t.Errorf("has ended: %v", m.Mappings())
		}
	})
}

func TestAnotherNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		m := w.build(t, Config{})
		m.start()
		defer m.Close()
		synctest.Wait()
		w.set(func() {
			w.gateway = netip.MustParseAddr("10.0.0.1")
			w.external = netip.MustParseAddr("100.64.3.4")
			clear(w.held)
		})
		m.Refresh()
		synctest.Wait()
		if all := m.Mappings(); len(all) != 2 || all[0].Usable || all[0].Gateway != w.gateway {
			t.Errorf("behind the provider's translation: %+v", all)
		}
		w.set(func() { w.local = outside })
		m.Refresh()
		synctest.Wait()
		if len(m.Mappings()) != 0 || !errors.Is(m.Status().Err, ErrPublic) {
			t.Errorf("%v, %v", m.Mappings(), m.Status())
		}
		w.set(func() { w.noRoute = true })
		time.Sleep(checkEvery) // looks by itself
		synctest.Wait()
		if !errors.Is(m.Status().Err, ErrNoGateway) {
			t.Errorf("%v", m.Status())
		}
	})
}

func TestLifetimesOfGateways(t *testing.T) {
	for name, x := range map[string]struct {
		granted time.Duration
		first   time.Duration // renewal
		ends    bool
	}{
		"seconds":   {3 * time.Second, minRenew, true},
		"minutes":   {10 * time.Minute, 5 * time.Minute, true},
		"permanent": {-1, 30 * time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{life: x.granted}
				m := w.build(t, Config{Ports: []Port{tcpPort}})
				m.start()
				defer m.Close()
				time.Sleep(time.Hour)
				synctest.Wait()
				if w.adds[1] != x.first {
					t.Errorf("renewed at %v", w.adds[:2])
				}
				if len(m.Mappings()) != 1 && x.first != minRenew || m.Mappings() != nil && m.Mappings()[0].Until.IsZero() == x.ends {
					t.Errorf("%v", m.Mappings())
				}
			})
		})
	}
}

func TestRestarted(t *testing.T) {
	up := func(s int) facts { return facts{up: time.Duration(s) * time.Second, upKnown: true} }
	for _, x := range []struct {
		before, now facts
		between     time.Duration
		want        bool
	}{
		{up(100), up(220), 2 * time.Minute, false},
		{up(100), up(203), 2 * time.Minute, false}, // an eighth slower, and 2 s
		{up(100), up(202), 2 * time.Minute, true},
		{up(100), up(5), 2 * time.Minute, true},
		{up(0), up(9000), 2 * time.Minute, false},
		{facts{}, up(1), time.Hour, false},
		{up(100), facts{}, time.Hour, false},
	} {
		if got := restarted(x.before, x.now, x.between); got != x.want {
			t.Errorf("%v, %v after %v: %v", x.before.up, x.now.up, x.between, got)
		}
	}
}

func TestConfig(t *testing.T) {
	many := make([]Port, maxPorts+1)
	for i := range many {
		many[i] = Port{"udp", i + 1}
	}
	for name, ports := range map[string][]Port{
		"none": nil, "protocol": {{"sctp", 1}}, "zero": {{"tcp", 0}}, "large": {{"tcp", 65536}}, "twice": {tcpPort, tcpPort}, "many": many,
	} {
		if m, err := New(Config{Ports: ports}); err == nil {
			_ = m.Close()
			t.Errorf("%s: taken", name)
		}
	}
}

func TestPublic(t *testing.T) {
	for s, want := range map[string]bool{
		"8.8.8.8": true, "203.0.113.7": true, "2001:4860::1": true, "::ffff:8.8.8.8": true, "100.63.255.255": true, "100.128.0.0": true,
		"10.1.2.3": false, "172.31.0.1": false, "192.168.0.1": false, "100.64.0.1": false, "100.127.255.255": false, "127.0.0.1": false,
		"169.254.1.1": false, "0.0.0.0": false, "0.1.2.3": false, "224.0.0.1": false, "255.255.255.255": false, "240.0.0.1": false,
		"192.0.0.2": false, "198.19.0.1": false, "fd00::1": false, "fe80::1": false, "::1": false, "::ffff:10.0.0.1": false,
	} {
		if got := Public(netip.MustParseAddr(s)); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("none")
	}
}
