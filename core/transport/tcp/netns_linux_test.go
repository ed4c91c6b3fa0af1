package tcp

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// namespace makes a network namespace that goes with the test.
func namespace(t *testing.T, n int) string {
	t.Helper()
	name := fmt.Sprintf("juxta-%d-%d", os.Getpid(), n)
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: no network namespace can be made: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	return name
}

func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// inside runs f on a thread that is in the namespace. Sockets stay in the one in
// which they were made.
func inside(t *testing.T, name string, f func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		fd, err := unix.Open("/var/run/netns/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			_ = unix.Close(fd)
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatalf("entering the namespace: %v", err)
	}
}

// cable makes two namespaces joined by a cable, 10.77.0.1 and 10.77.0.2.
func cable(t *testing.T) (one, two string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root, for network namespaces")
	}
	one, two = namespace(t, 1), namespace(t, 2)
	ip(t, "link add cable0 netns "+one+" type veth peer name cable1 netns "+two)
	ip(t, "-n "+one+" addr add 10.77.0.1/24 dev cable0")
	ip(t, "-n "+two+" addr add 10.77.0.2/24 dev cable1")
	ip(t, "-n "+one+" link set cable0 up")
	ip(t, "-n "+two+" link set cable1 up")
	return one, two
}

// firewall has a namespace drop what comes in and matches a rule.
func firewall(t *testing.T, ns, rule string) {
	t.Helper()
	for _, args := range []string{
		"add table inet wall", "add chain inet wall in { type filter hook input priority 0; policy accept; }",
		"add rule inet wall in " + rule + " drop",
	} {
		if out, err := exec.Command("ip", append([]string{"netns", "exec", ns, "nft"}, strings.Fields(args)...)...).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: no firewall can be made: %v: %s", err, out)
		}
	}
}

// TestCutCable: between two machines whose cable is cut, both sides find the link
// dead within about half a minute, whether it is at rest or in use.
func TestCutCable(t *testing.T) {
	if os.Getenv("JUXTA_SLOW") == "" {
		t.Skip("SKIPPED: takes half a minute; set JUXTA_SLOW=1 to run it")
	}
	one, two := cable(t)

	var acceptor, dialler *host
	inside(t, one, func() { acceptor = newHost(t, New(Config{Listen: []string{"10.77.0.1:0"}})) })
	dialler = newHost(t, New(Config{ClientOnly: true}))
	for range 2 {
		inside(t, two, func() {
			if _, err := dialler.t.Dial(short(t), acceptor.addr()); err != nil {
				t.Error(err)
			}
		})
	}
	if t.Failed() {
		return
	}
	inUse := next(t, dialler.opened)
	if err := inUse.Send(t.Context(), body(1, 10)); err != nil {
		t.Fatal(err)
	}
	next(t, acceptor.bodies)

	ip(t, "-n "+one+" link set cable0 down")
	start := time.Now()
	if err := inUse.Send(t.Context(), body(2, 10)); err != nil {
		t.Fatal(err)
	}
	const soon, late = 20 * time.Second, 40 * time.Second
	ends := map[endpoint.Link]string{}
	timer := time.NewTimer(late)
	defer timer.Stop()
	for range 4 {
		var l endpoint.Link
		select {
		case l = <-dialler.closed:
		case l = <-acceptor.closed:
		case <-timer.C:
			t.Fatalf("after %v only these are found dead: %v", late, ends)
		}
		after := time.Since(start)
		ends[l] = fmt.Sprintf("outgoing %t after %v", l.Outgoing(), after.Round(time.Second))
		t.Log(ends[l], l == inUse)
		if after < soon {
			t.Errorf("a link looks dead after %v; short interruptions must not break it", after)
		}
	}
}

// TestSimultaneousOpen: two peers that reach for each other in the same moment from
// the ports they listen on meet in one connection. Dialling finds that out and takes
// other ports; punching makes a link of it, of which the one who leads is dialler.
func TestSimultaneousOpen(t *testing.T) {
	const (
		first = "tcp flags & (syn|ack) == syn limit rate 1/hour burst 1 packets" // both then wait for the other
		state = "ct state new tcp flags syn"
	)
	for name, c := range map[string]struct {
		start func(string) *host
		reach func(h *host, to endpoint.Address, lead bool) (endpoint.Link, error)
		links int // that each side is told of
		wall  string
	}{
		"dial": {
			func(at string) *host { return proven(t, Config{Listen: []string{at}}) },
			func(h *host, to endpoint.Address, _ bool) (endpoint.Link, error) { return h.t.Dial(short(t), to) }, 2, first,
		},
		"dial, no identity": {
			func(at string) *host { return newHost(t, New(Config{Listen: []string{at}})) },
			func(h *host, to endpoint.Address, _ bool) (endpoint.Link, error) { return h.t.Dial(short(t), to) }, 1, first,
		},
		"punch": {
			func(at string) *host { return proven(t, Config{Listen: []string{at}}) },
			func(h *host, to endpoint.Address, lead bool) (endpoint.Link, error) {
				return h.t.Punch(short(t), to, lead)
			}, 1, state,
		},
	} {
		t.Run(name, func(t *testing.T) {
			one, two := cable(t)
			firewall(t, one, c.wall)
			firewall(t, two, c.wall)
			var a, b *host
			inside(t, one, func() { a = c.start("0.0.0.0:0") })
			inside(t, two, func() { b = c.start("0.0.0.0:0") })
			places := map[string]string{one: "10.77.0.2:" + fmt.Sprint(b.t.ListenPorts()[0]), two: "10.77.0.1:" + fmt.Sprint(a.t.ListenPorts()[0])}
			var wg sync.WaitGroup
			for ns, h := range map[string]*host{one: a, two: b} {
				wg.Go(func() {
					inside(t, ns, func() {
						l, err := c.reach(h, at(places[ns]), ns == one)
						if err != nil {
							t.Error(err)
							return
						}
						if punched := name == "punch"; FromListener(l) != (c.links == 1) || l.Outgoing() != (!punched || ns == one) {
							t.Errorf("from the port listened on: %t, outgoing %t", FromListener(l), l.Outgoing())
						}
						if err := l.Send(short(t), body(1, 5000)); err != nil {
							t.Error(err)
						}
					})
				})
			}
			wg.Wait()
			for _, h := range []*host{a, b} {
				for range c.links {
					next(t, h.opened)
				}
				next(t, h.bodies)
				if s := h.t.Stats(); s.Links != c.links {
					t.Errorf("%+v", s)
				}
			}
		})
	}
}
