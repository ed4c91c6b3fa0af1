package jxsetest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/jxsetest"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// tick is how often a Java edge looks after its lease.
const tick = 15 * time.Second

// soon bounds what should take a moment, on a machine that is busy.
const soon = 10 * time.Second

func TestMain(m *testing.M) { jxsetest.Main(m) }

// javaPeer is a running Java peer.
type javaPeer struct {
	*jxsetest.Java
	id    id.Peer
	addr  string   // tcp://host:port
	start []string // what 'start' was told
}

// startJava starts a Java peer in the role edge, rendezvous or adhoc.
func startJava(t *testing.T, name, role string, args ...string) *javaPeer {
	t.Helper()
	jxsetest.Require(t)
	p := &javaPeer{start: append([]string{
		"name=" + name, "role=" + role, "home=" + t.TempDir(), fmt.Sprintf("port=%d", jxsetest.FreePort(t)),
	}, args...)}
	return p.again(t)
}

// again starts a process with the peer as it was started before: the same peer,
// since its home is the same.
func (p *javaPeer) again(t *testing.T) *javaPeer {
	t.Helper()
	q := &javaPeer{Java: jxsetest.Start(t), start: p.start}
	r := q.Do("start", q.start...)
	var err error
	if q.id, err = id.ParsePeer(r.Text("peerid")); err != nil {
		t.Fatal(err)
	}
	q.addr = r.Text("address")
	return q
}

// awaitRdv waits for a rendezvous event of that type about a peer, the n-th one
// since the start of the process, and returns it.
func (p *javaPeer) awaitRdv(t *testing.T, kind string, about id.Peer, n int, limit time.Duration) jxsetest.Record {
	t.Helper()
	return p.Await("rdv", limit, func(r jxsetest.Record) bool {
		if r.Text("type") == kind && r.Text("peer") == about.String() {
			n--
			return n == 0
		}
		return false
	})
}

// startGo starts a Juxta peer on loopback; Name and Roles are taken from cfg,
// and whatever else it sets.
func startGo(t *testing.T, cfg peergroup.Config, seeds ...string) *peergroup.Peer {
	t.Helper()
	jxsetest.Require(t)
	cfg.NoLAN, cfg.NoMulticast, cfg.Seeds = true, true, seeds
	if len(cfg.Listen) == 0 && !cfg.ClientOnly {
		cfg.Listen = []string{"tcp://127.0.0.1:0"}
	}
	p, err := peergroup.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("closing %s: %v", cfg.Name, err)
		}
	})
	return p
}

// address is where others dial a Juxta peer.
func address(p *peergroup.Peer) string {
	for _, a := range p.Addresses() {
		if a.Protocol == "tcp" {
			return a.String()
		}
	}
	return ""
}

// connected waits until a Juxta edge has its lease.
func connected(t *testing.T, p *peergroup.Peer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if err := p.Net().Rendezvous().WaitConnected(ctx); err != nil {
		t.Fatalf("%s: %v", p.Name(), err)
	}
}

// within returns a context for what must not take longer.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until something holds.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	for !ok() {
		select {
		case <-timer.C:
			t.Fatalf("not within %v: %s", limit, what)
		case <-every.C:
		}
	}
}

// witness keeps the rendezvous events of a Juxta peer.
type witness struct {
	mu   sync.Mutex
	list []rendezvous.Event
	wake chan struct{}
}

func watch(t *testing.T, p *peergroup.Peer) *witness {
	w := &witness{wake: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	events := p.Net().Rendezvous().Events(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for ev := range events {
			w.mu.Lock()
			w.list = append(w.list, ev)
			close(w.wake)
			w.wake = make(chan struct{})
			w.mu.Unlock()
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return w
}

// await waits for the n-th event of that kind about a peer since watch.
func (w *witness) await(t *testing.T, kind rendezvous.EventKind, about id.Peer, n int, limit time.Duration) {
	t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		w.mu.Lock()
		wake, seen := w.wake, 0
		for _, ev := range w.list {
			if ev.Kind == kind && ev.Peer == about {
				seen++
			}
		}
		w.mu.Unlock()
		if seen >= n {
			return
		}
		select {
		case <-wake:
		case <-timer.C:
			t.Fatalf("event %q of %s: %d within %v, want %d", kind, about.Short(), seen, limit, n)
		}
	}
}

// clients returns who leases at a Juxta rendezvous.
func clients(p *peergroup.Peer) []id.Peer {
	var all []id.Peer
	for _, c := range p.Net().Rendezvous().Clients() {
		all = append(all, c.Peer)
	}
	return all
}

// leases reports whether a peer leases at a Juxta rendezvous.
func leases(at *peergroup.Peer, who id.Peer) bool { return slices.Contains(clients(at), who) }

// compact prints an advertisement as one document.
func compact(t *testing.T, adv advertisements.Advertisement) string {
	t.Helper()
	doc, err := advertisements.Marshal(adv)
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

// list is a value of the driver for a list.
func list(ids ...id.Peer) string {
	var s []string
	for _, p := range ids {
		s = append(s, p.String())
	}
	return strings.Join(s, ",")
}
