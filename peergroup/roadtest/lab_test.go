//go:build linux

package roadtest

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// The two ends of a road, with addresses for documentation as RFC 5737 has it.
const (
	annIP = "198.51.100.1"
	bobIP = "198.51.100.2"

	tunDevice = "/dev/net/tun"
	tunName   = "road0"
)

// other is the address at the other end.
var other = map[string]string{"ann": bobIP, "bob": annIP}

// lab is two network namespaces, "ann" and "bob", with a road in between.
type lab struct {
	t      *testing.T
	prefix string // of the names of its namespaces
	road   *road
}

var labs atomic.Uint32

// newLab makes a laboratory, which goes with the test.
func newLab(t *testing.T, c conditions) *lab {
	t.Helper()
	const needs = "NOT TESTED: roads need network namespaces and " + tunDevice + ", which need root and the command ip"
	if _, err := exec.LookPath("ip"); err != nil || os.Geteuid() != 0 {
		t.Skip(needs)
	}
	if _, err := os.Stat(tunDevice); err != nil {
		t.Skip(needs)
	}
	startSweeper(t)
	l := &lab{t: t, prefix: fmt.Sprintf("%s%d-", spacesOf(os.Getpid()), labs.Add(1))}
	var tuns []*os.File
	for _, space := range []string{"ann", "bob"} {
		if out, err := exec.Command("ip", "netns", "add", l.prefix+space).CombinedOutput(); err != nil {
			t.Skipf("NOT TESTED: network namespaces cannot be made: %v: %s", err, out)
		}
		t.Cleanup(func() { l.run("ip", "netns", "del", l.prefix+space) })
		// Neighbour discovery would take part in chance.
		l.run("ip", "netns", "exec", l.prefix+space, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
		l.ip(space, "link set lo up")
		var f *os.File
		var err error
		l.inside(space, func() { f, err = openTUN() })
		if err != nil {
			t.Skipf("NOT TESTED: no TUN device can be made: %v", err)
		}
		tuns = append(tuns, f)
	}
	l.ip("ann", "addr add "+annIP+" peer "+bobIP+" dev "+tunName)
	l.ip("bob", "addr add "+bobIP+" peer "+annIP+" dev "+tunName)
	for _, space := range []string{"ann", "bob"} {
		l.ip(space, "link set "+tunName+" up")
		l.ip(space, fmt.Sprintf("route replace %s dev %s congctl %s", other[space], tunName, cmp.Or(c.Control, "cubic")))
	}
	l.road = newRoad(t, tuns[0], tuns[1], c)
	return l
}

// openTUN makes a TUN device in the namespace of the thread. The file serves it from
// any thread, and the device goes when it is closed.
func openTUN() (*os.File, error) {
	fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	req, err := unix.NewIfreq(tunName)
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), tunDevice), nil
}

// inside runs f on a thread in a namespace. Sockets opened by f itself, not by other
// goroutines, are there for good.
func (l *lab) inside(space string, f func()) {
	l.t.Helper()
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		var fd int
		if fd, err = unix.Open("/var/run/netns/"+l.prefix+space, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return
		}
		err = unix.Setns(fd, unix.CLONE_NEWNET)
		_ = unix.Close(fd)
		if err == nil {
			f()
		}
	}()
	<-done
	if err != nil {
		l.t.Fatalf("going to a network namespace: %v", err)
	}
}

// ip runs the command ip for a namespace.
func (l *lab) ip(space, args string) {
	l.t.Helper()
	l.run("ip", append([]string{"-n", l.prefix + space}, strings.Fields(args)...)...)
}

func (l *lab) run(command string, args ...string) string {
	l.t.Helper()
	out, err := exec.Command(command, args...).CombinedOutput()
	if err != nil {
		l.t.Errorf("%s %s: %v: %s", command, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// sweepVariable says to this binary that it is to remove the namespaces with a prefix
// when its standard input ends.
const sweepVariable = "JUXTA_TEST_ROAD_SWEEP"

var (
	sweeper   sync.Once
	sweeperIn io.Closer // kept: it ends with this process, and with it the sweeper
)

// spacesOf is how the names of all namespaces begin that a process makes.
func spacesOf(pid int) string { return fmt.Sprintf("jxr%d-", pid) }

// startSweeper starts, once, a process that removes what this one leaves behind if it
// runs out of time or is killed.
func startSweeper(t *testing.T) {
	t.Helper()
	sweeper.Do(func() {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), sweepVariable+"="+spacesOf(os.Getpid()))
		in, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		sweeperIn = in
	})
}

// sweep waits for the end of its standard input and removes namespaces.
func sweep(prefix string) {
	_, _ = io.Copy(io.Discard, os.Stdin)
	out, err := exec.Command("ip", "netns", "list").Output()
	if err != nil {
		return
	}
	for line := range strings.Lines(string(out)) {
		if name := strings.Fields(line); len(name) > 0 && strings.HasPrefix(name[0], prefix) {
			_ = exec.Command("ip", "netns", "del", name[0]).Run()
		}
	}
}
