package tcp

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
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

// TestCutCable: between two machines whose cable is cut, both sides find the link
// dead within about half a minute, whether it is at rest or in use.
func TestCutCable(t *testing.T) {
	if os.Getenv("JUXTA_SLOW") == "" {
		t.Skip("SKIPPED: takes half a minute; set JUXTA_SLOW=1 to run it")
	}
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root, for network namespaces")
	}
	one, two := namespace(t, 1), namespace(t, 2)
	ip(t, "link add cable0 netns "+one+" type veth peer name cable1 netns "+two)
	ip(t, "-n "+one+" addr add 10.77.0.1/24 dev cable0")
	ip(t, "-n "+two+" addr add 10.77.0.2/24 dev cable1")
	ip(t, "-n "+one+" link set cable0 up")
	ip(t, "-n "+two+" link set cable1 up")

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
