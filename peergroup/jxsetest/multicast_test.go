package jxsetest_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/jxsetest"
	"github.com/juxta-p2p/juxta/protocols/socket"
)

// datagrams is how many go each way, and datagramSize the octets of each.
const (
	datagrams    = 500
	datagramSize = 1000
	digits       = 8 // of the number in front
)

// datagram makes datagram n as the driver makes it.
func datagram(n int) []byte {
	b := make([]byte, datagramSize)
	copy(b, fmt.Sprintf("%0*d", digits, n))
	for i := digits; i < len(b); i++ {
		b[i] = byte(n + i)
	}
	return b
}

// numbers returns how many different datagrams of a peer a Java socket has got.
func numbers(r jxsetest.Record, from id.Peer) int {
	all, _ := r["numbers"].(map[string]any)
	n, _ := all[from.String()].(float64)
	return int(n)
}

// TestSocketMulticast: datagrams cross between the multicast sockets of Juxta and
// Java, each says who sent it, and those to one peer alone get there.
func TestSocketMulticast(t *testing.T) {
	t.Parallel()
	j := startJava(t, "j", "rendezvous")
	g := startGo(t, peergroup.Config{Name: "g"}, j.addr)
	connected(t, g)
	adv := advertisements.NewPipe(id.NetGroup, t.Name(), advertisements.Propagate)
	java := "pipe=" + j.Do("mcopen", "xml="+compact(t, adv)).Text("pipe")
	m, err := g.Net().Sockets().Multicast(within(t, soon), adv)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()

	// The rendezvous takes in the announcement some time. Numbers beyond those that
	// count tell when.
	probe := datagrams
	eventually(t, soon, "datagrams cross both ways", func() bool {
		probe++
		if _, err := m.WriteTo(datagram(probe), m.Everybody()); err != nil {
			t.Fatal(err)
		}
		j.Do("mcsend", java, fmt.Sprintf("first=%d", probe), fmt.Sprintf("size=%d", datagramSize))
		ctx, cancel := context.WithTimeout(t.Context(), quiet)
		defer cancel()
		for {
			d, err := m.Receive(ctx)
			if err != nil {
				return false
			}
			if d.From == j.id {
				return numbers(j.Do("mcstat", java), g.ID()) > 0
			}
		}
	})

	// To Java: those for everybody, then those for it alone.
	before := j.Do("mcstat", java)
	for n := 1; n <= datagrams; n++ {
		to := m.Everybody()
		if n > datagrams/2 {
			to = socket.Addr{Peer: j.id}
		}
		if _, err := m.WriteTo(datagram(n), to); err != nil {
			t.Fatal(err)
		}
		if n%window == 0 {
			j.Do("mcstat", java, fmt.Sprintf("count=%d", before.Int("distinct")+n), "timeout=5000")
		}
	}
	r := j.Do("mcstat", java, fmt.Sprintf("count=%d", before.Int("distinct")+datagrams), "timeout=5000")
	t.Logf("Java got %v, before %v", r, before)
	if got := numbers(r, g.ID()) - numbers(before, g.ID()); got != datagrams || r.Int("bad") != 0 {
		t.Errorf("Java got %d of %d datagrams, %d bad", got, datagrams, r.Int("bad"))
	}

	// From Java, likewise.
	seen := map[int]bool{}
	for first := 1; first <= datagrams; first += window {
		count := min(window, datagrams-first+1)
		args := []string{java, fmt.Sprintf("first=%d", first), fmt.Sprintf("count=%d", count), fmt.Sprintf("size=%d", datagramSize)}
		if first > datagrams/2 {
			args = append(args, "to="+g.ID().String())
		}
		j.Do("mcsend", args...)
		ctx := within(t, soon)
		for len(seen) < first-1+count {
			d, err := m.Receive(ctx)
			if err != nil {
				t.Fatalf("%d of %d datagrams from Java: %v", len(seen), first-1+count, err)
			}
			n, err := strconv.Atoi(string(d.Data[:min(digits, len(d.Data))]))
			if err != nil || d.From != j.id || n > datagrams || seen[n] {
				continue // our own, and the probes
			}
			if string(d.Data) != string(datagram(n)) {
				t.Fatalf("datagram %d is %q", n, d.Data)
			}
			seen[n] = true
		}
	}
	j.Do("close", java)
}
