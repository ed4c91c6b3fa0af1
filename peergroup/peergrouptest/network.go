// Package peergrouptest is a network of whole peers in one process: what a module
// or a protocol is tested with, and what thousands of peers are simulated with.
//
// The peers are those of package peergroup, with all their services; only their
// transport is core/transport/memory. Inside a testing/synctest bubble an hour of
// their life takes moments; outside of one they live in real time.
//
//	func TestGreeting(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			net := peergrouptest.New(t, peergrouptest.Config{Rendezvous: 2, Edges: 10, Latency: 40 * time.Millisecond})
//			net.Rendezvous(1).Kill()
//			time.Sleep(time.Minute) // virtual
//			net.Edge(3).Net().Discovery() …
//		})
//	}
//
// [Run] simulates a network for some time and measures it.
package peergrouptest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
)

const (
	// seedsOfEdge and seedsOfRendezvous are how many rendezvous a new peer is
	// told of, if there are so many.
	seedsOfEdge       = 3
	seedsOfRendezvous = 3

	// stagger is the mean time between the starts of two peers.
	stagger = time.Millisecond

	// spread keeps messages of different peers from arriving at one instant.
	spread = 100 * time.Microsecond

	// connectEvery is how often WaitConnected looks.
	connectEvery = 100 * time.Millisecond

	// connectWithin is how long New waits for leases.
	connectWithin = 30 * time.Second
)

// Config describes a network. The zero value is one without peers in which
// messages take no time; peers can be added later.
type Config struct {
	// Rendezvous and Edges are how many peers to start with.
	Rendezvous, Edges int

	// Seed makes the choices repeatable: IDs, delays, who knows whom, jitter of
	// the protocols. Two networks with the same seed have peers of the same IDs.
	Seed uint64

	// Latency, Jitter and LinkLoss are those of the links; see [memory.Config].
	// Up to 100 µs more are added by chance, in order that what peers do at the
	// same time does not come in an order that the scheduler chooses.
	Latency, Jitter time.Duration
	LinkLoss        float64

	// Place returns the host at which the peer of a name is, such as an IP address:
	// several may follow each other at one. Nil means that the host is called like
	// the peer. What a Sim measures by the names of hosts is then not to be had.
	Place func(name string) string

	// Configure may change what a peer is started with, such as Modules or
	// Logger; Roles tell which kind it is. Nil changes nothing.
	Configure func(*peergroup.Config)

	// Tap is called with each message on each link; see [memory.Config.Tap].
	Tap func(from, to string, body []byte)
}

// Network is a number of peers and what connects them. Its methods are safe for
// concurrent use.
type Network struct {
	cfg Config
	mem *memory.Network

	mu         sync.Mutex
	rng        *rand.Rand // who knows whom
	rendezvous []*Node    // all that ever were, by number
	edges      []*Node
	live       []*Node // rendezvous that run
	closed     bool
}

// New starts a network for a test or a benchmark and closes it at the end. It
// returns when all peers have started and, if there is a rendezvous, each edge has
// a lease. The test fails at once if that takes longer than half a minute.
func New(tb testing.TB, cfg Config) *Network {
	tb.Helper()
	n, err := Start(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := n.Close(); err != nil {
			tb.Error(err)
		}
	})
	if cfg.Rendezvous == 0 {
		return n
	}
	ctx, cancel := context.WithTimeout(context.Background(), connectWithin)
	defer cancel()
	if err := n.WaitConnected(ctx); err != nil {
		tb.Fatal(err)
	}
	return n
}

// Start starts a network: first the rendezvous, then the edges, about a
// millisecond apart. It returns when all have started; their leases come later,
// see [Network.WaitConnected]. It must be closed.
func Start(cfg Config) (*Network, error) {
	n := &Network{
		cfg: cfg, rng: chance(cfg.Seed, "network"),
		mem: memory.New(memory.Config{
			Latency: cfg.Latency, Jitter: cfg.Jitter, Spread: spread, LinkLoss: cfg.LinkLoss, Seed: cfg.Seed, Tap: cfg.Tap,
		}),
	}
	pauses := chance(cfg.Seed, "stagger")
	for i := range cfg.Rendezvous + cfg.Edges {
		if i > 0 {
			time.Sleep(stagger/2 + time.Duration(pauses.Int64N(int64(stagger))))
		}
		add := n.AddEdge
		if i < cfg.Rendezvous {
			add = n.AddRendezvous
		}
		if _, err := add(); err != nil {
			_ = n.Close()
			return nil, err
		}
	}
	return n, nil
}

// AddRendezvous starts one more rendezvous, whose seeds are up to three of the
// others. The n-th is called r0001, r0002 and so on.
func (n *Network) AddRendezvous() (*Node, error) { return n.add(peergroup.Roles{Rendezvous: true}) }

// AddEdge starts one more edge, whose seeds are three of the rendezvous that run.
// The n-th is called e00001, e00002 and so on.
func (n *Network) AddEdge() (*Node, error) { return n.add(peergroup.Roles{}) }

func (n *Network) add(roles peergroup.Roles) (*Node, error) {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil, errClosed
	}
	d := &Node{net: n}
	count := seedsOfEdge
	if roles.Rendezvous {
		n.rendezvous = append(n.rendezvous, d)
		d.number, d.name, count = len(n.rendezvous), fmt.Sprintf("r%04d", len(n.rendezvous)), seedsOfRendezvous
	} else {
		n.edges = append(n.edges, d)
		d.number, d.name = len(n.edges), fmt.Sprintf("e%05d", len(n.edges))
	}
	if d.place = d.name; n.cfg.Place != nil {
		d.place = n.cfg.Place(d.name)
	}
	seeds := n.seeds(count)
	n.mu.Unlock()
	if err := d.start(roles, seeds); err != nil {
		return nil, fmt.Errorf("peergrouptest: %s: %w", d.name, err)
	}
	n.mu.Lock()
	closed := n.closed
	if roles.Rendezvous && !closed {
		n.live = append(n.live, d)
	}
	n.mu.Unlock()
	if closed {
		_ = d.Kill()
		return nil, errClosed
	}
	return d, nil
}

var errClosed = errors.New("peergrouptest: the network is closed")

// seeds chooses among the rendezvous that run. n.mu is held.
func (n *Network) seeds(count int) []string {
	var seeds []string
	for _, i := range n.rng.Perm(len(n.live))[:min(count, len(n.live))] {
		seeds = append(seeds, memory.Protocol+"://"+n.live[i].place)
	}
	return seeds
}

// gone takes a peer that stops from those that new ones are told of.
func (n *Network) gone(d *Node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.live = slices.DeleteFunc(n.live, func(o *Node) bool { return o == d })
}

// Rendezvous returns the i-th rendezvous that was started, from 1 on, whether it
// still runs or not. It panics if there are not so many.
func (n *Network) Rendezvous(i int) *Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.rendezvous[i-1]
}

// Edge returns the i-th edge that was started, from 1 on, whether it still runs or
// not. It panics if there are not so many.
func (n *Network) Edge(i int) *Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.edges[i-1]
}

// Nodes returns the peers that run: the rendezvous, then the edges, each in order
// of their start.
func (n *Network) Nodes() []*Node {
	n.mu.Lock()
	all := slices.Concat(n.rendezvous, n.edges)
	n.mu.Unlock()
	return slices.DeleteFunc(all, func(d *Node) bool { return !d.Up() })
}

// Links returns what connects the peers, for what this package does not do.
func (n *Network) Links() *memory.Network { return n.mem }

// WaitConnected returns when every edge that runs has a lease, or with an error
// that names one that has none when ctx ends.
func (n *Network) WaitConnected(ctx context.Context) error {
	waiting := n.Nodes()
	for {
		waiting = slices.DeleteFunc(waiting, func(d *Node) bool { return !d.Up() || d.Net().Rendezvous().Connected() })
		if len(waiting) == 0 {
			return nil
		}
		timer := time.NewTimer(connectEvery)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("peergrouptest: %d peers have no lease, %s among them: %w", len(waiting), waiting[0].name, context.Cause(ctx))
		}
	}
}

// Partition cuts these peers off from the others, but not from each other; see
// [memory.Network.Partition].
func (n *Network) Partition(nodes ...*Node) {
	var names []string
	for _, d := range nodes {
		names = append(names, d.place)
	}
	n.mem.Partition(names...)
}

// Heal undoes every partition.
func (n *Network) Heal() { n.mem.Heal() }

// Close kills all peers that run and returns when nothing of them is left. It is
// idempotent.
func (n *Network) Close() error {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	nodes := n.Nodes()
	errs := make([]error, len(nodes))
	// First all links, so that nobody answers the death of another one.
	for _, d := range nodes {
		n.mem.Crash(d.place)
	}
	var closing sync.WaitGroup
	for i, d := range nodes {
		closing.Go(func() { errs[i] = d.Kill() })
	}
	closing.Wait()
	return errors.Join(errs...)
}
