package nat

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// partEnv says which part of TestNetwork a process plays.
const partEnv = "JUXTA_TEST_NAT_PART"

const ready = "the gateway is ready"

// TestNetwork has a machine and its gateway, each in a network namespace of its own,
// with a cable between. It finds the gateway in its routing table, and UPnP by
// multicast.
func TestNetwork(t *testing.T) {
	gateway := netip.MustParseAddr("192.168.77.1")
	switch os.Getenv(partEnv) {
	case "":
	case NATPMP:
		f := newPMP(t, gateway)
		fmt.Println(ready)
		_, _ = io.Copy(io.Discard, os.Stdin)
		if f.count() != 0 {
			t.Errorf("left behind: %v", f.held)
		}
		return
	case UPnP:
		f := hiddenIGD(t, gateway)
		card, err := net.InterfaceByName("cable0")
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.ListenMulticastUDP("udp4", card, net.UDPAddrFromAddrPort(ssdpGroup))
		if err != nil {
			t.Fatal(err)
		}
		answers(t, c, f.answer)
		fmt.Println(ready)
		_, _ = io.Copy(io.Discard, os.Stdin)
		if f.count() != 0 || len(f.hits) == 0 {
			t.Errorf("left behind: %v, asked for: %v", f.held, f.hits)
		}
		return
	default:
		m := start(t, gateway, tcpPort) // sees that it is there
		_ = m.Close()
		changed := make(chan []Mapping, 10)
		m, err := New(Config{Ports: []Port{tcpPort, udpPort}, Changed: func(all []Mapping) { changed <- all }})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		select {
		case all := <-changed:
			if len(all) != 2 || all[0].Gateway != gateway || all[0].External.String() != "203.0.113.7:9701" || os.Getenv(partEnv) != "host of "+all[0].Via {
				t.Errorf("%+v", all)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%+v", m.Status())
		}
		return
	}
	if _, err := exec.LookPath("ip"); err != nil || os.Geteuid() != 0 {
		t.Skip("NOT TESTED: this needs network namespaces, which need root and the command ip")
	}
	host, router := fmt.Sprintf("jxn%d-host", os.Getpid()), fmt.Sprintf("jxn%d-router", os.Getpid())
	for _, ns := range []string{host, router} {
		if out, err := exec.Command("ip", "netns", "add", ns).CombinedOutput(); err != nil {
			t.Skipf("NOT TESTED: network namespaces cannot be made: %v: %s", err, out)
		}
		t.Cleanup(func() {
			if out, err := exec.Command("ip", "netns", "del", ns).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	for _, line := range []string{
		host + " link set lo up", router + " link set lo up",
		host + " link add cable0 type veth peer name cable0 netns " + router,
		host + " addr add 192.168.77.2/24 dev cable0", router + " addr add 192.168.77.1/24 dev cable0",
		host + " link set cable0 up", router + " link set cable0 up",
		host + " route add default via 192.168.77.1",
	} {
		if out, err := exec.Command("ip", append([]string{"-n"}, strings.Fields(line)...)...).CombinedOutput(); err != nil {
			t.Fatalf("ip -n %s: %v: %s", line, err, out)
		}
	}
	for _, via := range []string{NATPMP, UPnP} {
		t.Run(via, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
			defer cancel()
			inside := func(ns, part string) *exec.Cmd {
				cmd := exec.CommandContext(ctx, "ip", "netns", "exec", ns, os.Args[0], "-test.run", "^TestNetwork$", "-test.v", "-test.timeout", "40s")
				cmd.Env = append(os.Environ(), partEnv+"="+part)
				return cmd
			}
			g := inside(router, via)
			in, err := g.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := g.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			for lines.Scan() && lines.Text() != ready {
			}
			said, err := inside(host, "host of "+via).CombinedOutput()
			if err != nil || !strings.Contains(string(said), "--- PASS: TestNetwork") {
				t.Errorf("%v\n%s", err, said)
			}
			_ = in.Close()
			rest, _ := io.ReadAll(out)
			if err := g.Wait(); err != nil {
				t.Errorf("gateway: %v\n%s", err, rest)
			}
		})
	}
}
