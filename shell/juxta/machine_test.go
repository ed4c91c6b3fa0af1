package main_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// machine is a network namespace with nothing but a loopback interface, and the
// folders of a machine of its own. What a peer multicasts in it stays in it. It
// lasts as long as a process in it, which ends with the test, whatever happens.
type machine struct {
	t       *testing.T
	holder  int // the process that keeps it
	meeting string
}

// newMachine makes a machine, or skips the test where that cannot be done.
func newMachine(t *testing.T) *machine {
	t.Helper()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("NOT TESTED: peers find each other by multicast, which is tested in network namespaces only; those need Linux and root")
	}
	for _, tool := range []string{"unshare", "nsenter", "ip", "cat"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("NOT TESTED: peers find each other by multicast, which is tested in network namespaces only: %v", err)
		}
	}
	cmd := exec.Command("unshare", "-n", "sh", "-c", "ip link set lo up && echo ready && exec cat")
	in, err := cmd.StdinPipe() // cat ends when this is closed, also by our death
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Skipf("NOT TESTED: network namespaces cannot be made here: %q, %v", line, err)
	}
	m := &machine{t: t, holder: cmd.Process.Pid, meeting: t.TempDir()}
	here, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if there, err := os.Readlink(m.namespace()); err != nil || there == here {
		t.Fatalf("the namespace is not one of its own: %q, %v", there, err)
	}
	return m
}

func (m *machine) namespace() string { return fmt.Sprintf("/proc/%d/ns/net", m.holder) }

// command returns the command that runs a program on the machine. The process is
// that of the program itself.
func (m *machine) command(home string, args ...string) *exec.Cmd {
	m.t.Helper()
	if buildError != nil {
		m.t.Fatal(buildError)
	}
	cmd := exec.Command("nsenter", append([]string{"--net=" + m.namespace()}, args...)...)
	cmd.Env = environment(home, m.meeting)
	return cmd
}

// juxta returns the command that runs juxta for a new user of the machine.
func (m *machine) juxta(args ...string) *exec.Cmd {
	return m.command(m.t.TempDir(), append([]string{binary}, args...)...)
}

// ip changes the network of the machine.
func (m *machine) ip(args string) {
	m.t.Helper()
	if out, err := m.command("/", append([]string{"ip"}, strings.Fields(args)...)...).CombinedOutput(); err != nil {
		m.t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// newCable makes two machines with a cable between.
func newCable(t *testing.T) (a, b *machine) {
	t.Helper()
	a, b = newMachine(t), newMachine(t)
	a.ip("link add cable0 type veth peer name cable0 netns " + strconv.Itoa(b.holder))
	for i, m := range []*machine{a, b} {
		m.ip(fmt.Sprintf("addr add 10.77.0.%d/24 dev cable0", i+1))
		m.ip("link set cable0 up")
		m.ip("route add 224.0.0.0/4 dev cable0") // multicast groups are joined on the default interface
	}
	return a, b
}
