//go:build linux

package reachtest

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// Ports of the laboratory.
const (
	tcpPort   = 9701
	httpPort  = 9700
	proxyPort = 3128
)

// idle is how long the two peers of a scene with idle routers are silent.
const idle = 75 * time.Second

// scene is a network with two peers that want to talk.
type scene struct {
	name  string
	a, b  string // rules of their routers
	quic  bool   // the peers, and the relays, speak QUIC too
	proxy bool   // ann gets out through a proxy for HTTP only
	wants bool   // a direct path
	idle  bool   // all rests for longer than the routers remember connections
}

func TestReach(t *testing.T) {
	t.Parallel()
	for _, s := range []scene{
		{name: "port-restricted, port-restricted", a: portRestricted, b: portRestricted, wants: true},
		{name: "port-restricted, port-restricted, with QUIC", a: portRestricted, b: portRestricted, wants: true, quic: true},
		{name: "port-restricted, symmetric", a: portRestricted, b: symmetric, quic: true},
		{name: "symmetric, symmetric", a: symmetric, b: symmetric, quic: true},
		{name: "UDP blocked", a: noUDP, b: noUDP, wants: true, quic: true},
		{name: "only HTTP through a proxy", a: onlyProxy(publicNet+"3", proxyPort), b: portRestricted, proxy: true},
		{name: "connections idle for 30 s are dropped", a: portRestricted, b: symmetric, idle: true},
	} {
		t.Run(s.name, func(t *testing.T) {
			if s.idle && os.Getenv("JUXTA_SLOW") == "" {
				t.Skip("NOT TESTED: this takes more than a minute; set JUXTA_SLOW")
			}
			t.Parallel()
			s.run(t)
		})
	}
}

func (s scene) run(t *testing.T) {
	l := newLab(t)
	relay, second := l.host("relay", 1), l.host("second", 2)
	l.router("ra", 1, s.a)
	l.router("rb", 2, s.b)
	l.behind("ra", "ann", 1, 2)
	l.behind("rb", "bob", 2, 2)
	if s.idle {
		for _, r := range []string{"ra", "rb"} {
			l.in(r, "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_timeout_established=30")
			l.in(r, "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_loose=0")
		}
	}
	tcp, web := fmt.Sprint("tcp://0.0.0.0:", tcpPort), fmt.Sprint("http://0.0.0.0:", httpPort)
	urls := []string{fmt.Sprintf("tcp://%s:%d", relay, tcpPort), fmt.Sprintf("tcp://%s:%d", second, tcpPort)}
	l.peer("relay", config{Listen: []string{tcp, web}, Roles: "rendezvous,relay", QUIC: s.quic})
	l.peer("second", config{Listen: []string{tcp, web}, Roles: "rendezvous,relay", Seeds: urls[:1], QUIC: s.quic})
	seeds, annSeeds, annListen, env := urls, urls, []string{tcp}, []string(nil)
	if s.proxy {
		l.host("proxy", 3)
		l.proxy("proxy", fmt.Sprint("0.0.0.0:", proxyPort))
		annSeeds, annListen = []string{fmt.Sprintf("http://%s:%d", relay, httpPort)}, nil
		env = []string{fmt.Sprintf("HTTP_PROXY=http://%s3:%d", publicNet, proxyPort), "NO_PROXY="}
	}
	b := l.peer("bob", config{Listen: []string{tcp}, Seeds: seeds, QUIC: s.quic})
	began := time.Now()
	a := l.peer("ann", config{Listen: annListen, ClientOnly: s.proxy, Seeds: annSeeds, QUIC: s.quic && !s.proxy}, env...)
	first := a.must(order{Do: "talk", Peer: b.id, Text: "hello", Wait: 20 * time.Second})
	firstAfter := time.Since(began)
	wait := 6 * time.Second // longer than an attempt takes
	if s.wants {
		wait = 30 * time.Second
	}
	direct := a.must(order{Do: "path", Peer: b.id, Text: "direct", Wait: wait})
	directAfter := time.Since(began)
	if s.idle {
		time.Sleep(idle)
	}
	again := a.must(order{Do: "talk", Peer: b.id, Text: "hello again", Wait: 20 * time.Second})
	back := b.must(order{Do: "talk", Peer: a.id, Text: "hello yourself", Wait: 20 * time.Second})
	if s.wants && !direct.Direct {
		t.Errorf("no direct path: %+v; why: %+v", direct, a.must(order{Do: "why", Peer: b.id, Wait: 15 * time.Second}))
	}
	to := "none"
	if direct.Direct {
		to = round(directAfter) + ", " + direct.Path
	}
	s.report(t, round(firstAfter), way(first.Path), to, way(again.Path)+" after "+round(again.Took)+", back after "+round(back.Took))
}

// way writes a path as the table has it.
func way(path string) string {
	if strings.HasPrefix(path, "via ") {
		return "relay"
	}
	return path
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
