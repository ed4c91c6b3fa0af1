//go:build linux

package reachtest

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// streamSize is what a stream carries: 200 MB where JUXTA_SLOW is set.
func streamSize() int64 {
	if os.Getenv("JUXTA_SLOW") != "" {
		return 200 << 20
	}
	return 24 << 20
}

// pair is a network of two peers behind address translation, with two relays.
type pair struct {
	l             *lab
	relay, second *outside
	ann, bob      *outside
}

// newPair builds it. Where the rules are symmetric, the relay stays the only way.
func newPair(t *testing.T, rules string) *pair {
	l := newLab(t)
	one, two := l.host("relay", 1), l.host("second", 2)
	l.router("ra", 1, rules)
	l.router("rb", 2, rules)
	l.behind("ra", "ann", 1, 2)
	l.behind("rb", "bob", 2, 2)
	listen := []string{fmt.Sprint("tcp://0.0.0.0:", tcpPort)}
	urls := []string{fmt.Sprintf("tcp://%s:%d", one, tcpPort), fmt.Sprintf("tcp://%s:%d", two, tcpPort)}
	p := &pair{l: l}
	p.relay = l.peer("relay", config{Listen: listen, Roles: "rendezvous,relay"})
	p.second = l.peer("second", config{Listen: listen, Roles: "rendezvous,relay", Seeds: urls[:1]})
	p.bob = l.peer("bob", config{Listen: listen, Seeds: urls, Relays: urls})
	p.ann = l.peer("ann", config{Listen: listen, Seeds: urls, Relays: urls})
	return p
}

// send has ann stream to bob while something happens.
func (p *pair) send(t *testing.T, name string, meanwhile func()) {
	t.Helper()
	p.ann.must(order{Do: "talk", Peer: p.bob.id, Text: "hello", Wait: 30 * time.Second})
	done := make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(300 * time.Millisecond) // the stream is under way
		meanwhile()
	}()
	r := p.ann.must(order{Do: "stream", Peer: p.bob.id, Size: streamSize(), Wait: 4 * time.Minute})
	<-done
	if r.Hash == "" || r.Hash != r.Theirs {
		t.Errorf("%s: sent %s, arrived %s", name, r.Hash, r.Theirs)
	}
	row := fmt.Sprintf("| %s | %d MiB | %s | %s |", name, streamSize()>>20, round(r.Took), r.Path)
	t.Log(row)
	addRow(t, row)
}

// TestStreamFromRelayToDirect: the stream begins through the relay and goes on over
// the direct link that comes up meanwhile.
func TestStreamFromRelayToDirect(t *testing.T) {
	t.Parallel()
	p := newPair(t, portRestricted)
	p.send(t, "relay to direct", func() {})
}

// TestStreamSurvivesItsRelay: the relay that carries the stream is killed.
func TestStreamSurvivesItsRelay(t *testing.T) {
	t.Parallel()
	p := newPair(t, symmetric)
	p.send(t, "relay killed, a second one up", func() { p.relay.kill() })
}

// TestStreamSurvivesANewAddress: the receiver gets another address in mid-stream.
func TestStreamSurvivesANewAddress(t *testing.T) {
	t.Parallel()
	p := newPair(t, portRestricted)
	p.send(t, "new address of the receiver", func() {
		p.l.ip("bob", "addr del 10.2.0.2/24 dev eth0")
		p.l.ip("bob", "addr add 10.2.0.77/24 dev eth0")
		p.l.ip("bob", "route add default via 10.2.0.1")
	})
}

// TestRelayedThroughput compares a stream through a relay with one over a link.
func TestRelayedThroughput(t *testing.T) {
	t.Parallel()
	rate := func(p *pair, name string) {
		p.ann.must(order{Do: "talk", Peer: p.bob.id, Text: "hello", Wait: 30 * time.Second})
		r := p.ann.must(order{Do: "stream", Peer: p.bob.id, Size: streamSize(), Wait: 4 * time.Minute})
		if r.Hash == "" || r.Hash != r.Theirs {
			t.Errorf("%s: sent %s, arrived %s", name, r.Hash, r.Theirs)
		}
		row := fmt.Sprintf("| %s | %.0f MB/s | %s |", name, float64(streamSize())/1e6/r.Took.Seconds(), r.Path)
		t.Log(row)
		addRow(t, row)
	}
	rate(newPair(t, symmetric), "through a relay")

	l := newLab(t)
	one := l.host("ann", 1)
	l.host("bob", 2)
	listen := []string{fmt.Sprint("tcp://0.0.0.0:", tcpPort)}
	p := &pair{l: l}
	p.ann = l.peer("ann", config{Listen: listen, Roles: "rendezvous"})
	p.bob = l.peer("bob", config{Listen: listen, Seeds: []string{fmt.Sprintf("tcp://%s:%d", one, tcpPort)}})
	rate(p, "over a link")
}
