// Package nat asks the router of the local network to let others in: it maps ports
// of this machine to ports of the router's outer address, by NAT-PMP (RFC 6886) or
// UPnP Internet Gateway Device, renews the mappings, and takes them back.
//
// There is no PCP (RFC 6887) of its own: routers with PCP commonly answer NAT-PMP
// on the same port, as its appendix A describes. IPv6 needs no mappings.
//
// A router is not trusted further than it must be: only the gateway itself is ever
// talked to, every answer has a bound in size and time, and an outer address that
// cannot be reached from the Internet is marked as such.
package nat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Errors that [Status] may wrap.
var (
	// ErrNoGateway: this machine has no default gateway for IPv4.
	ErrNoGateway = errors.New("no default gateway")
	// ErrPublic: this machine has a public address and needs no mapping.
	ErrPublic = errors.New("this machine has a public address")
	// ErrNoService: the gateway maps no ports, or is told not to.
	ErrNoService = errors.New("the gateway maps no ports")
)

// Ways to ask a router, as they stand in [Mapping].
const (
	NATPMP = "NAT-PMP"
	UPnP   = "UPnP"
)

// Config configures a [Mapper]. It is copied.
type Config struct {
	// Ports are those to map, 1 to 16, each once.
	Ports []Port

	// Lifetime is for how long mappings are asked for, 2 min to 24 h; they are
	// renewed after half of it. Zero means 1 h. Routers may grant less, or know
	// only mappings that last; those are renewed too, and taken back by Close.
	Lifetime time.Duration

	// Gateway returns the IPv4 address of the router; nil means the default
	// gateway in the routing table of the system. It is called at least every two
	// minutes, and should not block.
	Gateway func() (netip.Addr, error)

	// Changed, if not nil, is told of the mappings whenever they have changed,
	// times aside. Calls do not overlap. It must not call Close.
	Changed func([]Mapping)

	// Logger is told of mappings that come and go; nil is silent.
	Logger *slog.Logger
}

// Port is a port of this machine.
type Port struct {
	Protocol string // "tcp" or "udp"
	Internal int
}

// String returns for example "tcp 9701".
func (p Port) String() string { return fmt.Sprintf("%s %d", p.Protocol, p.Internal) }

// Mapping is a port of the router that leads to one of this machine.
type Mapping struct {
	Port

	// External is where others reach the port. The address is not valid if the
	// router does not know its own.
	External netip.AddrPort

	// Usable reports whether External can be reached from the Internet, as far as
	// the address tells. It is false if the router is itself behind address
	// translation (double NAT, or that of the provider: RFC 6598).
	Usable bool

	// Via is [NATPMP] or [UPnP].
	Via string

	// Gateway is the router asked.
	Gateway netip.Addr

	// Until is when the mapping ends if it is not renewed; zero if never.
	Until time.Time
}

// Status tells how things stand with the router.
type Status struct {
	Gateway  netip.Addr // not valid if there is none
	Via      string     // "" if it was not found out how to ask
	External netip.Addr // outer address of the router, not valid if not known
	Err      error      // why there are no mappings, or not all
}

// Mapper keeps ports mapped until it is closed. Its methods are safe for concurrent
// use.
type Mapper struct {
	cfg    Config
	log    *slog.Logger
	find   []finder
	local  func(gateway netip.Addr) (netip.Addr, error)
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	fresh  chan struct{}

	// What belongs to the loop.
	session *session
	pause   time.Duration
	retry   time.Time

	mu       sync.Mutex
	mappings []Mapping
	status   Status
}

// New begins to look for the router and to map ports. It does not wait for either,
// and fails only on a Config that makes no sense.
func New(cfg Config) (*Mapper, error) {
	m, err := newMapper(cfg)
	if err != nil {
		return nil, err
	}
	m.start()
	return m, nil
}

func newMapper(cfg Config) (*Mapper, error) {
	if n := len(cfg.Ports); n == 0 || n > maxPorts {
		return nil, fmt.Errorf("nat: %d ports, not 1 to %d", n, maxPorts)
	}
	cfg.Ports = slices.Clone(cfg.Ports)
	for i, p := range cfg.Ports {
		switch {
		case p.Protocol != "tcp" && p.Protocol != "udp":
			return nil, fmt.Errorf("nat: protocol %q is neither tcp nor udp", p.Protocol)
		case p.Internal < 1 || p.Internal > maxPort:
			return nil, fmt.Errorf("nat: %d is no port", p.Internal)
		case slices.Contains(cfg.Ports[:i], p):
			return nil, fmt.Errorf("nat: port %s is there twice", p)
		}
	}
	if cfg.Lifetime <= 0 {
		cfg.Lifetime = defaultLifetime
	}
	cfg.Lifetime = min(max(cfg.Lifetime, minLifetime), maxLifetime)
	if cfg.Gateway == nil {
		cfg.Gateway = defaultGateway
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Mapper{
		cfg: cfg, log: cfg.Logger, find: []finder{findPMP, findIGD}, local: localTowards,
		fresh: make(chan struct{}, 1), pause: firstPause,
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m, nil
}

const maxPort = 1<<16 - 1

func (m *Mapper) start() { m.wg.Go(m.run) }

// Mappings returns the ports that are mapped now, in the order of Config.Ports.
func (m *Mapper) Mappings() []Mapping {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.mappings)
}

// Status returns how things stand now.
func (m *Mapper) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status
}

// Refresh looks at once whether the gateway is another one, and renews every
// mapping. It does not wait for that.
func (m *Mapper) Refresh() {
	select {
	case m.fresh <- struct{}{}:
	default:
	}
}

// Close takes the mappings back, for which it needs 2 s at most, and ends the
// Mapper. The error is nil.
func (m *Mapper) Close() error {
	m.cancel()
	m.wg.Wait()
	return nil
}
