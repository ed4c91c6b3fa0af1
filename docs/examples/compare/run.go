package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/peergroup/peergrouptest"
	"github.com/juxta-p2p/juxta/protocols/content"
)

// yard says what to run.
type yard struct {
	policy            content.Policy
	rendezvous, edges int
	files             int // that each peer shares
	searches          int // of each kind
}

// row is what one policy has shown.
type row struct {
	policy     content.Policy
	indexes    int     // peers that hold the index
	publishing int     // octets to and from the index holders while all published
	busiest    int     // of these, of the busiest one
	byWord     found   // searches for one word
	byName     found   // and for a whole name
	after      found   // searches for one word after the kill
	killed     string  // who was killed
	octets     float64 // per search by word, to and from the busiest index holder
}

// found sums up searches.
type found struct {
	hits, asked int
	messages    float64 // per search, each counted on every link
	octets      float64 // of these
	first       time.Duration
}

const (
	// latency of the links one way.
	latency = 5 * time.Millisecond

	// settle is how long the network and its index come to rest.
	settle = 8 * time.Second

	// rest is how long services that were started come to rest.
	rest = 30 * time.Second

	// searchFor bounds one search; quiet is how long messages are counted after a
	// hit.
	searchFor = 5 * time.Second
	quiet     = time.Second

	// atOnce is how many searches are under way.
	atOnce = 8

	// heal is how long the group has after the kill.
	heal = 20 * time.Second
)

// node is a peer with its service.
type node struct {
	*peergrouptest.Node
	files *content.Service
}

// run starts a network, shares, searches, kills and searches again.
func run(ctx context.Context, y yard) (r row, err error) {
	dir, err := os.MkdirTemp("", "juxta-compare-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	m := newMeter()
	net, err := peergrouptest.Start(peergrouptest.Config{
		Rendezvous: y.rendezvous, Edges: y.edges, Seed: 1, Latency: latency, Tap: m.tap,
	})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, net.Close()) }()
	if err := net.WaitConnected(ctx); err != nil {
		return r, err
	}
	if err := pause(ctx, settle); err != nil {
		return r, err
	}
	var nodes []*node
	index := net.Edge(1)
	for _, n := range net.Nodes() {
		s := content.New(content.Config{Dir: filepath.Join(dir, n.Name()), Index: y.policy, IndexPeer: index.ID()})
		if _, err := n.Net().Load(s); err != nil {
			return r, err
		}
		nodes = append(nodes, &node{n, s})
	}
	if err := pause(ctx, rest); err != nil {
		return r, err
	}
	r.policy = y.policy
	holders := holdersOf(y.policy, net, index)
	r.indexes = len(holders)
	if err := r.publish(ctx, y, m, nodes, holders, dir); err != nil {
		return r, err
	}
	if r.byWord, err = y.search(ctx, m, nodes, nodes, false, 0); err != nil {
		return r, err
	}
	busiest := m.busiest(holders)
	r.octets = float64(m.crossed(busiest)) / float64(y.searches)
	if r.byName, err = y.search(ctx, m, nodes, nodes, true, 1); err != nil {
		return r, err
	}
	// The victim is whoever holds the index; where nobody does, or several do, the
	// rendezvous that had most to do with the searches.
	victim := busiest
	if y.policy == content.Flood {
		victim = m.busiest(holdersOf(content.Rendezvous, net, index))
	}
	var left []*node
	for _, n := range nodes {
		if n.Name() != victim {
			left = append(left, n)
			continue
		}
		if err := n.Kill(); err != nil {
			return r, err
		}
	}
	r.killed = victim
	if err := pause(ctx, heal); err != nil {
		return r, err
	}
	r.after, err = y.search(ctx, m, left, left, false, 2)
	return r, err
}

// holdersOf are the names of the peers that hold the index.
func holdersOf(p content.Policy, net *peergrouptest.Network, index *peergrouptest.Node) map[string]bool {
	names := map[string]bool{}
	switch p {
	case content.Central:
		names[index.Name()] = true
	case content.Rendezvous:
		for _, n := range net.Nodes() {
			if n.Peer().Roles().Rendezvous {
				names[n.Name()] = true
			}
		}
	}
	return names
}

// word is what the file of a number is found by, and no other.
func word(peer string, n int) string { return fmt.Sprintf("zq%sx%04dz", peer, n) }

// publish has all peers share their files, and counts what that costs those who
// hold the index, beyond what they do at rest.
func (r *row) publish(ctx context.Context, y yard, m *meter, nodes []*node, holders map[string]bool, dir string) error {
	m.reset()
	if err := pause(ctx, settle); err != nil {
		return err
	}
	before := m.all(holders)
	m.reset()
	began := time.Now()
	for _, n := range nodes {
		folder := filepath.Join(dir, "files of "+n.Name())
		if err := os.Mkdir(folder, 0o755); err != nil {
			return err
		}
		for i := range y.files {
			name := word(n.Name(), i)
			if err := os.WriteFile(filepath.Join(folder, name+" take one.txt"), []byte(name), 0o600); err != nil {
				return err
			}
		}
		if _, err := n.files.Share(ctx, folder, content.Description{}); err != nil {
			return err
		}
	}
	if err := pause(ctx, max(settle-time.Since(began), 0)); err != nil {
		return err
	}
	for name, octets := range m.all(holders) {
		cost := max(octets-before[name], 0)
		r.publishing += cost
		r.busiest = max(r.busiest, cost)
	}
	return nil
}

// search has peers look for files of others. Each search is for another file;
// round keeps searches of two rounds apart, since results are remembered.
func (y yard) search(ctx context.Context, m *meter, askers, holders []*node, byName bool, round int) (f found, err error) {
	m.reset()
	type ask struct {
		asker *node
		word  string
	}
	asks := make(chan ask)
	var (
		mu     sync.Mutex
		first  []time.Duration
		failed error
		wg     sync.WaitGroup
	)
	for range atOnce {
		wg.Go(func() {
			for a := range asks {
				took, hit, err := seek(ctx, a.asker, a.word, byName)
				mu.Lock()
				if f.asked++; hit {
					f.hits++
					first = append(first, took)
				}
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	var words []string
	for i := range y.searches {
		k := i + round*y.searches
		holder := holders[(7*k+3)%len(holders)]
		asker := askers[(11*k+5)%len(askers)]
		if asker == holder {
			asker = askers[(11*k+6)%len(askers)]
		}
		w := word(holder.Name(), k%y.files)
		words = append(words, w)
		m.watch(w)
		asks <- ask{asker, w}
	}
	close(asks)
	wg.Wait()
	for _, w := range words {
		n, octets := m.seen(w)
		f.messages += float64(n) / float64(len(words))
		f.octets += float64(octets) / float64(len(words))
	}
	slices.Sort(first)
	if len(first) > 0 {
		f.first = first[len(first)/2]
	}
	return f, failed
}

// seek looks for one file until it is found, and a moment longer.
func seek(ctx context.Context, asker *node, w string, byName bool) (took time.Duration, hit bool, err error) {
	q := content.Query{Words: []string{w}}
	if byName {
		q = content.Query{Name: w + " take one.txt"}
	}
	began := time.Now()
	look, cancel := context.WithTimeout(ctx, searchFor)
	defer cancel()
	for _, err := range asker.files.Find(look, q) {
		if err != nil {
			return 0, false, nil // as when the index cannot be reached: nothing was found
		}
		took, hit = time.Since(began), true
		break
	}
	return took, hit, pause(ctx, quiet)
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
