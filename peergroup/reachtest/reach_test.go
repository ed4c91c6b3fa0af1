//go:build linux

package reachtest

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// Ports of the laboratory.
const (
	tcpPort   = 9701
	httpPort  = 9700
	proxyPort = 3128
)

// scene is a network with two peers that want to talk.
type scene struct {
	name  string
	a, b  string // rules of their routers
	quic  bool
	only  bool // HTTP through a proxy
	wants bool // a direct path
}

func TestReach(t *testing.T) {
	for _, s := range []scene{
		{name: "port-restricted, port-restricted", a: portRestricted, b: portRestricted, wants: true},
		{name: "port-restricted, symmetric", a: portRestricted, b: symmetric},
		{name: "symmetric, symmetric", a: symmetric, b: symmetric},
		{name: "UDP blocked", a: noUDP, b: noUDP, wants: true},
	} {
		t.Run(s.name, func(t *testing.T) { s.run(t) })
	}
}

func (s scene) run(t *testing.T) {
	l := newLab(t)
	relay := l.host("relay", 1)
	l.host("second", 2)
	l.router("ra", 1, s.a)
	l.router("rb", 2, s.b)
	l.behind("ra", "ann", 1, 2)
	l.behind("rb", "bob", 2, 2)

	listen := []string{fmt.Sprint("tcp://0.0.0.0:", tcpPort)}
	l.peer("relay", config{Listen: listen, Roles: "rendezvous,relay"})
	second := l.peer("second", config{Listen: listen, Roles: "rendezvous,relay", Seeds: []string{fmt.Sprintf("tcp://%s:%d", relay, tcpPort)}})
	_ = second
	seeds := []string{fmt.Sprintf("tcp://%s:%d", relay, tcpPort)}
	b := l.peer("bob", config{Listen: listen, Seeds: seeds, QUIC: s.quic})
	began := time.Now()
	a := l.peer("ann", config{Listen: listen, Seeds: seeds, QUIC: s.quic})
	first := a.must(order{Do: "talk", Peer: b.id, Text: "hello", Wait: 20 * time.Second})
	firstAfter := time.Since(began)
	wait := 10 * time.Second // longer than an attempt takes
	if s.wants {
		wait = 30 * time.Second
	}
	direct := a.must(order{Do: "path", Peer: b.id, Text: "direct", Wait: wait})
	directAfter := time.Since(began)
	again := a.must(order{Do: "talk", Peer: b.id, Text: "hello again", Wait: 20 * time.Second})
	if s.wants && !direct.Direct {
		t.Errorf("no direct path: %+v; why: %+v", direct, a.must(order{Do: "why", Peer: b.id, Wait: 15 * time.Second}))
	}
	to := "none"
	if direct.Direct {
		to = round(directAfter) + ", " + direct.Path
	}
	s.report(t, round(firstAfter), first.Path, to, again.Path)
}

func round(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }

// report adds a row to the table of results.
func (s scene) report(t *testing.T, cells ...string) {
	row := "| " + s.name
	for _, c := range cells {
		row += " | " + c
	}
	row += " |"
	t.Log(row)
	addRow(t, row)
}

// addRow adds a row to the file of results, if there is to be one.
func addRow(t *testing.T, row string) {
	t.Helper()
	if file := os.Getenv("JUXTA_REACH_TABLE"); file != "" {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		fmt.Fprintln(f, row)
	}
}
