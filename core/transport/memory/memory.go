// Package memory is a network in a box: any number of peers in one process,
// with latency, loss, partitions, crashes and a seeded source of chance.
//
// It is a transport like any other, for tests, simulations and programs that
// hold several peers. Time is that of package time, so inside a testing/synctest
// bubble hours of network life take moments. A link at rest costs no goroutine
// and a few hundred octets.
//
// Chance depends on the seed, on the names of the two hosts and on how many
// messages went that way before, and on nothing else: what other hosts do at the
// same time, or in which order goroutines run, changes no delay.
package memory

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Protocol is the protocol of memory addresses: mem://name.
const Protocol = "mem"

// Retransmission is how much later than others a message arrives whose first
// transmission was lost, besides one more latency; see [Config.LinkLoss]. It is
// the least time for which TCP waits for an acknowledgement on Linux.
const Retransmission = 200 * time.Millisecond

// Config describes a network. The zero value is instant and loses nothing.
type Config struct {
	// Latency is the time a message takes one way.
	Latency time.Duration

	// Jitter is the most that is added to Latency by chance. Messages of one
	// link stay in order.
	Jitter time.Duration

	// Spread is added to Jitter. A few microseconds are too little to matter for
	// any protocol, but keep messages of different links from arriving at the
	// same instant, when it would depend on the scheduler which comes first.
	Spread time.Duration

	// Loss is the share of broadcast datagrams that vanish per receiver, 0 to 1.
	Loss float64

	// LinkLoss is the share of messages on links whose first transmission is
	// lost, 0 to 1. Links lose nothing, as with TCP: the message, and whatever
	// follows it on that link, arrives [Retransmission] and one latency later.
	LinkLoss float64

	// Seed makes the choices repeatable.
	Seed uint64

	// Tap is called with each message that a link has taken, in either
	// direction, by the goroutine that sends it, and must not wait. body must
	// neither be changed nor kept. Nil costs nothing. Datagrams are not tapped.
	Tap func(from, to string, body []byte)
}

// Network connects the transports made by it. Its methods are safe for
// concurrent use.
type Network struct {
	cfg    Config
	island atomic.Pointer[map[string]int] // 0 if absent; replaced, never changed; nil: no partition

	mu       sync.RWMutex
	hosts    map[string]*Transport   // listening or broadcasting, by name
	segments map[string][]*Transport // hosts that hear broadcasts, in order of name
}

// New makes a network.
func New(cfg Config) *Network {
	return &Network{cfg: cfg, hosts: map[string]*Transport{}, segments: map[string][]*Transport{}}
}

// Partition puts the named hosts on an island of their own. Nothing crosses its
// shore: dialling waits for nothing, datagrams vanish, what is sent on a link is
// held up, and a link across it breaks, each side for itself, if the partition
// is not healed within [BreakAfter].
func (n *Network) Partition(names ...string) {
	n.mu.Lock()
	island, next := map[string]int{}, 1
	if old := n.island.Load(); old != nil {
		for name, i := range *old {
			island[name] = i
			next = max(next, i+1)
		}
	}
	for _, name := range names {
		island[strings.ToLower(name)] = next
	}
	n.island.Store(&island)
	n.mu.Unlock()
	n.newShore()
}

// Heal undoes every partition: what was held up goes on. Links that have broken
// stay broken.
func (n *Network) Heal() {
	n.mu.Lock()
	n.island.Store(nil)
	n.mu.Unlock()
	n.newShore()
}

// newShore tells every link that the islands have changed.
func (n *Network) newShore() {
	n.mu.RLock()
	hosts := make([]*Transport, 0, len(n.hosts))
	for _, t := range n.hosts {
		hosts = append(hosts, t)
	}
	n.mu.RUnlock()
	for _, t := range hosts {
		for _, l := range t.openLinks() {
			l.ashore()
		}
	}
}

// connected reports whether no partition runs between two hosts.
func (n *Network) connected(a, b string) bool {
	island := n.island.Load()
	return island == nil || (*island)[a] == (*island)[b]
}

// Crash takes the host off the network at once, as when its process is killed:
// its links are closed, which its own endpoint is told as of any broken link, and
// the others find out one latency later; nothing more is sent, it cannot be
// dialled and cannot dial. What it sent before still arrives. The name is free
// again. The peer that used the host goes on without a network until it is
// closed. Crash reports whether there was such a host.
func (n *Network) Crash(name string) bool {
	n.mu.RLock()
	t := n.hosts[strings.ToLower(name)]
	n.mu.RUnlock()
	if t == nil {
		return false
	}
	t.shut()
	return true
}

func (n *Network) host(name string) *Transport {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.hosts[name]
}
