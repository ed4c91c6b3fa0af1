package lan

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// The tests of this file use mDNS. They do so only inside network namespaces
// that they make and remove: each runs its own binary once more there.

// Environment inside: what the network namespace outside is called, and which
// part to play.
const (
	outsideEnv = "JUXTA_TEST_OUTSIDE_NETNS"
	partEnv    = "JUXTA_TEST_PART"
)

type namespace string

var namespaces atomic.Uint32

func newNamespace(t *testing.T) namespace {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil || runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("NOT TESTED: mDNS needs network namespaces, which need Linux, root and the ip command")
	}
	ns := namespace(fmt.Sprintf("jxl%d-%d", os.Getpid(), namespaces.Add(1)))
	if out, err := exec.Command("ip", "netns", "add", string(ns)).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: mDNS needs network namespaces: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", string(ns)).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	ns.ip(t, "link set lo up")
	return ns
}

func (ns namespace) ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", append([]string{"-n", string(ns)}, strings.Fields(args)...)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// run plays a part of a test inside.
func (ns namespace) run(ctx context.Context, test, part string) error {
	outside, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", string(ns), os.Args[0], "-test.run", "^"+test+"$", "-test.v", "-test.timeout", "60s")
	cmd.Env = append(os.Environ(), outsideEnv+"="+outside, partEnv+"="+part)
	out, err := cmd.CombinedOutput()
	if err == nil && !bytes.Contains(out, []byte("--- PASS: "+test)) {
		err = fmt.Errorf("%s did not run", test)
	}
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", part, err, out)
	}
	return nil
}

// part tells which part to play, "" outside.
func part(t *testing.T) string {
	t.Helper()
	outside := os.Getenv(outsideEnv)
	if outside == "" {
		return ""
	}
	if here, err := os.Readlink("/proc/self/ns/net"); err != nil || here == outside {
		t.Fatalf("not in a namespace of its own: %s, %v", here, err)
	}
	return os.Getenv(partEnv)
}

// TestNeighboursMeet has one peer in each of two namespaces with a cable
// between, and no way to meet but mDNS.
func TestNeighboursMeet(t *testing.T) {
	if name := part(t); name != "" {
		play(t, name)
		return
	}
	t.Parallel()
	a, b := newNamespace(t), newNamespace(t)
	a.ip(t, "link add cable0 type veth peer name cable0 netns "+string(b))
	for ns, ip := range map[namespace]string{a: "10.77.0.1", b: "10.77.0.2"} {
		ns.ip(t, "addr add "+ip+"/24 dev cable0")
		ns.ip(t, "link set cable0 up")
		ns.ip(t, "route add 224.0.0.0/4 dev cable0") // the library joins no group without
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := a.run(ctx, t.Name(), "ann"); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		if err := b.run(ctx, t.Name(), "bob"); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
}

// play is one neighbour. Each answers what it sees of the other by changing its
// roles, until bob leaves and ann notices.
func play(t *testing.T, name string) {
	var mu sync.Mutex
	listen, roles := addrs("tcp://0.0.0.0:9701", "tcp://127.0.0.1:9702"), "waiting"
	set := func(r string, more ...endpoint.Address) {
		mu.Lock()
		defer mu.Unlock()
		roles, listen = r, append(listen, more...)
	}
	s, err := Start(Config{
		Peer: peerOf(name), Name: name + ` \"Zoë"`, DisableMachine: true, Interval: 100 * time.Millisecond,
		Addresses: func() []endpoint.Address { mu.Lock(); defer mu.Unlock(); return slices.Clone(listen) },
		Roles:     func() string { mu.Lock(); defer mu.Unlock(); return roles },
		Logger:    slog.New(slog.NewTextHandler(os.Stdout, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	more, answered := addrs("http://0.0.0.0:9700"), false
	for e := range s.Events(ctx) {
		fmt.Println(time.Now().Format("05.000"), name, "sees", e.Kind, e.Hint)
		h := e.Hint
		if h.Source != MDNS || h.Peer == peerOf(name) || !strings.HasSuffix(h.Name, ` \"Zoë"`) {
			t.Fatalf("%+v", h)
		}
		for _, a := range h.Addresses {
			if !fromNetwork(a) {
				t.Errorf("announced: %s", a)
			}
		}
		switch {
		case e.Kind == Lost && name == "ann" && h.Roles == "leaving":
			return
		case e.Kind == Lost:
			t.Fatal("lost too early")
		case (h.Roles == "waiting") != (len(h.Addresses) == 1):
			t.Errorf("half a change: %+v", h)
		case name == "ann" && h.Roles == "waiting", name == "ann" && h.Roles == "seen" && !answered:
			answered = true
			set("seen", more...)
		case name == "bob" && h.Roles == "waiting":
			set("seen", more...)
			more = nil
		case name == "bob" && h.Roles == "seen":
			set("leaving", more...)
			more = nil
		case name == "ann" && h.Roles == "leaving":
			if !answered {
				t.Error("bob left before it saw ann")
			}
			set("goodbye")
		case name == "bob" && h.Roles == "goodbye":
			return
		}
	}
	t.Fatal("the time is over")
}

// TestOneHostByMDNS has two peers on one machine with a network, who meet by
// mDNS alone, although both answer each question, and although without a route
// for multicast all that works is IPv6.
func TestOneHostByMDNS(t *testing.T) {
	if part(t) == "" {
		t.Parallel()
		ns := newNamespace(t)
		ns.ip(t, "link add cable0 type veth peer name cable1")
		ns.ip(t, "addr add 10.77.0.1/24 dev cable0")
		ns.ip(t, "link set cable1 up")
		ns.ip(t, "link set cable0 up")
		if err := ns.run(t.Context(), t.Name(), "inside"); err != nil {
			t.Error(err)
		}
		return
	}
	start := func(name, addr string) *Service {
		s, err := Start(Config{
			Peer: peerOf(name), Name: name, DisableMachine: true, Interval: 100 * time.Millisecond,
			Addresses: func() []endpoint.Address { return addrs(addr) },
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	ann, bob := start("ann", "tcp://0.0.0.0:9701"), start("bob", "tcp://10.77.0.1:9702")
	defer ann.Close()
	defer bob.Close()
	for s, want := range map[*Service]string{ann: "tcp://10.77.0.1:9702", bob: "tcp://10.77.0.1:9701"} {
		if e := first(t, s); e.Kind != Found || e.Hint.Addresses[0].String() != want {
			t.Errorf("%+v, want %s", e, want)
		}
	}
}

// TestLoopbackAlone has two peers on a machine without any network.
func TestLoopbackAlone(t *testing.T) {
	if part(t) == "" {
		t.Parallel()
		ns := newNamespace(t)
		if err := ns.run(t.Context(), t.Name(), "inside"); err != nil {
			t.Error(err)
		}
		return
	}
	dir, began := folder(t), time.Now()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	start := func(name string) *Service {
		s, err := Start(Config{
			Peer: peerOf(name), Name: name, Dir: dir,
			Addresses: func() []endpoint.Address { return addrs("tcp://0.0.0.0:9701") },
			Logger:    logger,
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	ann, bob := start("ann"), start("bob")
	for _, s := range []*Service{ann, bob} {
		if e := first(t, s); e.Hint.Source != Machine {
			t.Errorf("%+v", e)
		}
	}
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("it took %s", d)
	}
	_ = ann.Close()
	_ = bob.Close()
	if log.Len() > 0 {
		t.Errorf("noise:\n%s", &log)
	}
}

// first waits for the first event of a service.
func first(t *testing.T, s *Service) Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for e := range s.Events(ctx) {
		return e
	}
	t.Fatal("nobody came")
	return Event{}
}
