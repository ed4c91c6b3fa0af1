package peerview_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/rendezvous/peerview"
	"github.com/juxta-p2p/juxta/protocols/routing"
)

// network is some rendezvous in a box.
type network struct {
	t     *testing.T
	mem   *memory.Network
	sent  atomic.Int64
	seeds []endpoint.Address
	nodes []*node
}

// node is one rendezvous.
type node struct {
	net    *network
	name   string
	id     id.Peer
	ep     *endpoint.Endpoint
	router *routing.Router
	view   *peerview.View
	once   sync.Once

	mu     sync.Mutex
	events []peerview.Event
}

func newNetwork(t *testing.T, seeds int) *network {
	n := &network{t: t}
	n.mem = memory.New(memory.Config{
		Latency: 20 * time.Millisecond, Jitter: 10 * time.Millisecond, Spread: 50 * time.Microsecond, Seed: 1,
		Tap: func(_, _ string, _ []byte) { n.sent.Add(1) },
	})
	for i := range seeds {
		n.seeds = append(n.seeds, memAddress(nodeName(i)))
	}
	return n
}

func nodeName(i int) string { return fmt.Sprintf("r%d", i) }

func memAddress(name string) endpoint.Address {
	return endpoint.Address{Protocol: memory.Protocol, Host: name}
}

// add starts one more rendezvous. change may be nil.
func (n *network) add(change func(*peerview.Config)) *node {
	n.t.Helper()
	name := nodeName(len(n.nodes))
	r := newNode(n, name)
	cfg := r.config()
	cfg.Rand = rand.New(rand.NewPCG(1, uint64(len(n.nodes))))
	if change != nil {
		change(&cfg)
	}
	r.start(cfg)
	n.nodes = append(n.nodes, r)
	return r
}

// newNode makes a peer without view.
func newNode(n *network, name string) *node {
	n.t.Helper()
	r := &node{net: n, name: name, id: id.PeerFromSeed(id.NetGroup, fmt.Appendf(nil, "%x and some more", rand.NewPCG(7, sum(name)).Uint64()))}
	var err error
	if r.ep, err = endpoint.New(endpoint.Config{Peer: r.id}); err != nil {
		n.t.Fatal(err)
	}
	if err := r.ep.Add(n.mem.Transport(memory.TransportConfig{Name: name})); err != nil {
		n.t.Fatal(err)
	}
	if r.router, err = routing.New(routing.Config{Scope: r.ep.Scope(id.NetGroup), Self: r.route}); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(r.stop)
	return r
}

func sum(s string) (h uint64) {
	for _, c := range []byte(s) {
		h = h*131 + uint64(c)
	}
	return h
}

func (r *node) config() peerview.Config {
	return peerview.Config{
		Scope: r.ep.Scope(id.NetGroup), Self: r.adv, Seeds: func() []endpoint.Address { return r.net.seeds },
		Connect: r.router.Connect, Learn: r.router.Learn, Hear: r.router.Hear,
	}
}

func (r *node) start(cfg peerview.Config) {
	r.net.t.Helper()
	var err error
	if r.view, err = peerview.New(cfg); err != nil {
		r.net.t.Fatal(err)
	}
	r.view.Watch(func(ev peerview.Event) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.events = append(r.events, ev)
	})
}

func (r *node) route() *advertisements.Route {
	return &advertisements.Route{Dest: r.id, Addresses: r.ep.Addresses()}
}

func (r *node) adv() *advertisements.Rendezvous {
	return &advertisements.Rendezvous{
		Group: id.NetGroup, Peer: r.id, Service: advertisements.RendezvousService(id.NetGroup), Name: r.name, Route: r.route(),
	}
}

// stop ends the peer in an orderly way.
func (r *node) stop() {
	r.once.Do(func() {
		if r.view != nil {
			r.view.Close()
		}
		r.router.Close()
		_ = r.ep.Close()
	})
}

// kill ends the peer without a word.
func (r *node) kill() {
	r.net.mem.Crash(r.name)
	r.stop()
}

// send sends a message of the protocol to another peer over a link.
func (r *node) send(to *node, m *message.Message) {
	r.net.t.Helper()
	l, err := r.ep.Dial(context.Background(), memAddress(to.name))
	if err == nil {
		err = r.ep.Scope(id.NetGroup).SendOn(context.Background(), l, peerview.Service, id.NetGroup.Unique(), m)
	}
	if err != nil {
		r.net.t.Fatal(err)
	}
}

// complete reports whether each of the rendezvous sees all others of them, and
// nobody else.
func complete(nodes []*node) bool {
	for _, r := range nodes {
		if r.view.Size() != len(nodes)-1 {
			return false
		}
	}
	for _, r := range nodes {
		for _, o := range nodes {
			if r != o && !r.view.Has(o.id) {
				return false
			}
		}
	}
	return true
}

// until waits until the views are complete and returns how long it took.
func (n *network) until(most time.Duration, nodes []*node) time.Duration {
	n.t.Helper()
	began := time.Now()
	for !complete(nodes) {
		if time.Since(began) >= most {
			least, sum := len(nodes), 0
			for _, r := range nodes {
				least = min(least, r.view.Size())
				sum += r.view.Size()
			}
			n.t.Fatalf("after %v, %d rendezvous see %d others at least and %.1f on average: %+v",
				most, len(nodes), least, float64(sum)/float64(len(nodes)), nodes[0].view.Stats())
		}
		time.Sleep(100 * time.Millisecond)
	}
	return time.Since(began)
}

// left counts how often a member left a view.
func (n *network) left(nodes []*node) (count uint64) {
	for _, r := range nodes {
		count += r.view.Stats().Left
	}
	return count
}
