package quic

import (
	"context"
	"fmt"
	"net/netip"
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
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root, for network namespaces")
	}
	name := fmt.Sprintf("juxta-quic-%d-%d", os.Getpid(), n)
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
// which they were made, and goroutines that f starts are outside.
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

// cabled makes two machines with a cable between them: 10.78.0.1 and 10.78.0.2.
func cabled(t *testing.T) (one, two string) {
	t.Helper()
	one, two = namespace(t, 1), namespace(t, 2)
	ip(t, "link add cable0 netns "+one+" type veth peer name cable1 netns "+two)
	ip(t, "-n "+one+" addr add 10.78.0.1/24 dev cable0")
	ip(t, "-n "+two+" addr add 10.78.0.2/24 dev cable1")
	for _, x := range []string{one + " link set cable0 up", two + " link set cable1 up", one + " link set lo up", two + " link set lo up"} {
		ip(t, "-n "+x)
	}
	return one, two
}

// TestAnotherAddress: the machine that dialled gets another address, with none for a
// while; the link goes on in both directions, though only the other side speaks.
func TestAnotherAddress(t *testing.T) {
	one, two := cabled(t)
	var acceptor, dialler *host
	inside(t, one, func() { acceptor = newHost(t, New(Config{Listen: []string{":0"}})) })
	inside(t, two, func() {
		tr := New(Config{ClientOnly: true})
		tr.times.move = time.Second
		dialler = newHost(t, tr)
	})
	var to endpoint.Address
	inside(t, one, func() { to = acceptor.addr() })
	var l endpoint.Link
	inside(t, two, func() {
		var err error
		if l, err = dialler.t.Dial(short(t), to); err != nil {
			t.Error(err)
		}
	})
	if t.Failed() {
		return
	}
	back := next(t, acceptor.opened)
	swap := func(n int, from, to string) {
		t.Helper()
		unsent := dialler.t.Stats().Unsent
		ip(t, "-n "+two+" addr del "+from+"/24 dev cable1")
		if err := l.Send(t.Context(), body(n, 100)); err != nil { // into the void
			t.Fatal(err)
		}
		eventually(t, func() bool { return dialler.t.Stats().Unsent > unsent })
		ip(t, "-n "+two+" addr add "+to+"/24 dev cable1")
		inside(t, two, func() {
			dialler.t.CloseWhere(func(own netip.Addr) bool { return own == netip.MustParseAddr(from) })
		})
		if err := back.Send(t.Context(), body(n+1, 100)); err != nil {
			t.Fatal(err)
		}
		next(t, acceptor.bodies)
		next(t, dialler.bodies)
		eventually(t, func() bool { return dialler.t.Stats().Moved == uint64(n) })
	}
	swap(1, "10.78.0.2", "10.78.0.3")
	swap(2, "10.78.0.3", "10.78.0.4")
	select {
	case <-dialler.closed:
		t.Error("the link is closed")
	default:
	}
}

// TestPunchThroughTranslators: two peers, each behind an address translator that
// lets nothing in, open a link when both try at once, whoever leads.
func TestPunchThroughTranslators(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("SKIPPED: needs nft, for address translation")
	}
	homes, routers := [2]string{namespace(t, 1), namespace(t, 2)}, [2]string{namespace(t, 3), namespace(t, 4)}
	ip(t, "link add wan0 netns "+routers[0]+" type veth peer name wan1 netns "+routers[1])
	for i := range 2 {
		home, router, n := homes[i], routers[i], fmt.Sprint(i)
		ip(t, "link add host netns "+home+" type veth peer name lan netns "+router)
		for _, x := range []string{
			home + " addr add 10.8" + n + ".0.2/24 dev host", router + " addr add 10.8" + n + ".0.1/24 dev lan",
			router + " addr add 203.0.113.1" + n + "/24 dev wan" + n, home + " link set lo up", home + " link set host up",
			router + " link set lan up", router + " link set wan" + n + " up", home + " route add default via 10.8" + n + ".0.1",
		} {
			ip(t, "-n "+x)
		}
		rules := "table inet n {\n" +
			"chain out { type nat hook postrouting priority 100; oifname \"wan" + n + "\" masquerade; }\n" +
			"chain in { type filter hook input priority 0; policy drop; ct state established accept; }\n" +
			"chain through { type filter hook forward priority 0; policy drop; iifname \"lan\" accept; ct state established accept; }\n}"
		for _, args := range [][]string{{"sysctl", "-qw", "net.ipv4.ip_forward=1"}, {"nft", rules}} {
			cmd := exec.Command("ip", append([]string{"netns", "exec", router}, args...)...)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Skipf("SKIPPED: no address translation: %v: %s", err, out)
			}
		}
	}
	for lead := range 2 {
		var peers [2]*host
		var seen [2]endpoint.Address
		for i := range 2 {
			inside(t, homes[i], func() { peers[i] = newHost(t, New(Config{Listen: []string{":0"}})) })
			// These translators keep the port.
			seen[i] = at(fmt.Sprintf("203.0.113.1%d:%d", i, peers[i].t.ListenPorts()[0]))
		}
		inside(t, homes[0], func() {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if _, err := peers[0].t.Dial(ctx, seen[1]); err == nil {
				t.Error("nothing is in the way")
			}
		})
		links := make(chan endpoint.Link, 2)
		start := time.Now()
		var both sync.WaitGroup
		for i := range 2 {
			both.Go(func() {
				inside(t, homes[i], func() {
					l, err := peers[i].t.Punch(short(t), seen[1-i], i == lead)
					if err != nil {
						t.Errorf("Punch: %v", err)
						return
					}
					links <- l
				})
			})
		}
		both.Wait()
		if t.Failed() {
			return
		}
		t.Logf("through after %v", time.Since(start).Round(time.Millisecond))
		for range 2 {
			if err := (<-links).Send(t.Context(), body(1, 100)); err != nil {
				t.Error(err)
			}
		}
		next(t, peers[0].bodies)
		next(t, peers[1].bodies)
	}
}
