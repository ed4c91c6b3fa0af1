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

// idle is how long the two peers of a scene with idle routers are silent.
const idle = 40 * time.Second

// scene is a network with two peers that want to talk.
type scene struct {
	name   string
	a, b   string // rules of their routers
	quic   bool
	proxy  string        // kind of the proxy that is the only way out, "" for none
	forget int           // seconds after which the routers forget connections
	idle   time.Duration // how long nobody says anything, between two talks
	wants  bool          // a direct path
}

func TestReach(t *testing.T) {
	onlyHTTP := onlyProxy(proxyIP, proxyPort)
	for _, s := range []scene{
		{name: "port-restricted, port-restricted", a: portRestricted, b: portRestricted, wants: true},
		{name: "the same, with QUIC", a: portRestricted, b: portRestricted, quic: true, wants: true},
		{name: "port-restricted, symmetric", a: portRestricted, b: symmetric},
		{name: "the same, with QUIC", a: portRestricted, b: symmetric, quic: true},
		{name: "symmetric, symmetric", a: symmetric, b: symmetric},
		{name: "UDP blocked, with QUIC", a: noUDP, b: noUDP, quic: true, wants: true},
		{name: "HTTP through a proxy; port-restricted", a: onlyHTTP, b: portRestricted, proxy: passes},
		{name: "both HTTP through a proxy", a: onlyHTTP, b: onlyHTTP, proxy: passes},
		{name: "both HTTP through a proxy that collects", a: onlyHTTP, b: onlyHTTP, proxy: collects},
		{name: "idle connections forgotten after 30 s", a: portRestricted, b: portRestricted, forget: 30, idle: idle, wants: true},
		{name: "the same, symmetric", a: symmetric, b: symmetric, forget: 30, idle: idle},
		{name: "idle connections forgotten after 5 s, symmetric", a: symmetric, b: symmetric, forget: 5, idle: 15 * time.Second},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.run(t)
		})
	}
}

// proxyIP is where the proxy is, if there is one.
const proxyIP = publicNet + "3"

// urls are where a peer at an address of the public network is reached.
func tcpURL(ip string) string  { return fmt.Sprintf("tcp://%s:%d", ip, tcpPort) }
func httpURL(ip string) string { return fmt.Sprintf("http://%s:%d", ip, httpPort) }

// everywhere is where the peers listen that can.
var everywhere = []string{tcpURL("0.0.0.0"), httpURL("0.0.0.0")}

// edge is the configuration of a peer behind a router with these rules.
func (s scene) edge(rules string, relays ...string) (c config, env []string) {
	c = config{Listen: everywhere[:1], QUIC: s.quic}
	url := tcpURL
	if s.proxy != "" && rules == onlyProxy(proxyIP, proxyPort) {
		c, env, url = config{ClientOnly: true}, through(proxyIP), httpURL
	}
	for _, ip := range relays {
		c.Seeds = append(c.Seeds, url(ip))
	}
	return c, env
}

func (s scene) run(t *testing.T) {
	l := newLab(t)
	relay, second := l.host("relay", 1), l.host("second", 2)
	l.router("ra", 1, s.a)
	l.router("rb", 2, s.b)
	l.behind("ra", "ann", 1, 2)
	l.behind("rb", "bob", 2, 2)
	if s.proxy != "" {
		l.host("proxy", 3)
		l.proxy("proxy", s.proxy)
	}
	if s.forget > 0 {
		l.forget("ra", s.forget)
		l.forget("rb", s.forget)
	}
	l.peer("relay", config{Listen: everywhere, Roles: "rendezvous,relay", QUIC: s.quic})
	l.peer("second", config{Listen: everywhere, Roles: "rendezvous,relay", QUIC: s.quic, Seeds: []string{tcpURL(relay)}})
	cb, env := s.edge(s.b, relay, second)
	b := l.peer("bob", cb, env...)
	ca, env := s.edge(s.a, relay, second)
	began := time.Now()
	a := l.peer("ann", ca, env...)
	first := a.must(order{Do: "talk", Peer: b.id, Text: "hello", Wait: 20 * time.Second})
	firstAfter := time.Since(began)
	wait := 10 * time.Second // longer than an attempt takes
	if s.wants {
		wait = 30 * time.Second
	}
	direct := a.must(order{Do: "path", Peer: b.id, Text: "direct", Wait: wait})
	directAfter := time.Since(began)
	time.Sleep(s.idle)
	again, err := a.ask(order{Do: "talk", Peer: b.id, Text: "hello again", Wait: 40 * time.Second})
	if err != nil {
		t.Errorf("the second talk: %v; why: %+v", err, a.must(order{Do: "why", Peer: b.id, Wait: 15 * time.Second}))
	}
	back, err := b.ask(order{Do: "talk", Peer: a.id, Text: "hello yourself", Wait: 40 * time.Second})
	if err != nil {
		t.Errorf("the talk back: %v; why: %+v", err, b.must(order{Do: "why", Peer: a.id, Wait: 15 * time.Second}))
	}
	if s.wants && !direct.Direct {
		t.Errorf("no direct path: %+v; why: %+v", direct, a.must(order{Do: "why", Peer: b.id, Wait: 15 * time.Second}))
	}
	to := "none"
	if direct.Direct {
		to = round(directAfter) + ", " + direct.Path
	}
	s.report(t, round(firstAfter), way(first), to, round(again.Took)+", "+way(again), round(back.Took)+", "+way(back))
}

// way tells the path of a talk, without names.
func way(r reply) string {
	if !r.Direct && r.Path != "" {
		return "relay"
	}
	return r.Path
}

func round(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }

// heading is the head of the table that TestReach makes.
const heading = "| routers of the two | first answer after | over | direct path after | answer later | the other way |\n|---|---|---|---|---|---|"

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
