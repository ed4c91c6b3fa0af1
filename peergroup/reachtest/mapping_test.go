//go:build linux

package reachtest

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/nat"
)

// mapVariable says to this binary which part of TestPortMapping to play.
const mapVariable = "JUXTA_TEST_REACH_MAP"

// mapPort is where routers listen for NAT-PMP.
const mapPort = 5351

// mapping lets a router map ports by NAT-PMP. Its LAN has the address and the router
// the outer one.
func (l *lab) mapping(router string, lan, outer netip.Addr) {
	l.t.Helper()
	l.in(router, "nft", "insert rule ip filter forward ct status dnat accept")
	l.in(router, "nft", "add table ip mapped")
	l.in(router, "nft", "add chain ip mapped before { type nat hook prerouting priority -100 ; }")
	if line := l.part(router, fmt.Sprint("router ", lan, " ", outer)); line != "ready" {
		l.t.Fatalf("the router does not map: %q", line)
	}
}

// part plays a part of TestPortMapping in a namespace until the test ends, and
// returns the first line that it says.
func (l *lab) part(space, part string) string {
	l.t.Helper()
	cmd := exec.Command("ip", "netns", "exec", l.prefix+space, os.Args[0], "-test.run", "^TestPortMapping$", "-test.timeout", "2m")
	cmd.Env = append(os.Environ(), mapVariable+"="+part)
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		l.t.Fatal(err1, err2)
	}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		_ = in.Close()
		kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		l.t.Fatalf("%s: %v", part, err)
	}
	return strings.TrimSpace(line)
}

// TestPortMapping has a machine behind a router that is symmetric and maps ports:
// others reach it as long as its mapping lives.
func TestPortMapping(t *testing.T) {
	t.Parallel()
	if part := os.Getenv(mapVariable); part != "" {
		playMapping(t, part)
		return
	}
	l := newLab(t)
	l.host("visitor", 1)
	l.router("ra", 1, symmetric)
	l.behind("ra", "ann", 1, 2)
	l.mapping("ra", netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr(publicNet+"101"))
	at := l.part("ann", "host")
	if at != publicNet+"101:9711 true" {
		t.Fatalf("mapped to %q", at)
	}
	at, _, _ = strings.Cut(at, " ")
	if got := l.part("visitor", "visitor "+at); got != "hello from ann" {
		t.Errorf("the visitor: %q", got)
	}
	l.in("ra", "nft", "flush chain ip mapped before") // the guard: only the mapping lets in
	if got := l.part("visitor", "visitor "+at); !strings.Contains(got, "timeout") {
		t.Errorf("the visitor without a mapping: %q", got)
	}
}

// playMapping plays a part in its namespace until the standard input ends.
func playMapping(t *testing.T, part string) {
	words := strings.Fields(part)
	switch words[0] {
	case "router":
		lan, outer := netip.MustParseAddr(words[1]), netip.MustParseAddr(words[2])
		c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(lan, mapPort)))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("ready")
		go mapPorts(c, outer)
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "host":
		l, err := net.Listen("tcp4", fmt.Sprint(":", tcpPort))
		if err != nil {
			t.Fatal(err)
		}
		go func() { // until the process ends
			for c, err := l.Accept(); err == nil; c, err = l.Accept() {
				_, _ = io.WriteString(c, "hello from ann\n")
				_ = c.Close()
			}
		}()
		mapped := make(chan []nat.Mapping, 8)
		m, err := nat.New(nat.Config{Ports: []nat.Port{{Protocol: "tcp", Internal: tcpPort}}, Changed: func(all []nat.Mapping) { mapped <- all }})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case all := <-mapped:
			fmt.Println(all[0].External, all[0].Usable)
		case <-time.After(20 * time.Second):
			fmt.Println(m.Status().Err)
		}
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = m.Close()
	case "visitor":
		d := net.Dialer{Timeout: 2 * time.Second}
		c, err := d.DialContext(context.Background(), "tcp4", words[1])
		if err != nil {
			fmt.Println(err)
			return
		}
		defer c.Close()
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(line)
	}
}

// mapPorts answers NAT-PMP as RFC 6886 has it, and does what it says. The outer port
// is another one than asked for.
func mapPorts(c *net.UDPConn, outer netip.Addr) {
	const apart = 10
	began := time.Now()
	for buf := make([]byte, 64); ; {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		q := buf[:n]
		if n < 2 || q[0] != 0 {
			continue
		}
		a := binary.BigEndian.AppendUint32([]byte{0, q[1] | 0x80, 0, 0}, uint32(time.Since(began)/time.Second))
		switch {
		case q[1] == 0:
			a = append(a, outer.AsSlice()...)
		case n == 12 && q[1] <= 2:
			protocol := []string{"", "udp", "tcp"}[q[1]]
			inner, life := binary.BigEndian.Uint16(q[4:]), binary.BigEndian.Uint32(q[8:])
			rule := fmt.Sprintf("add rule ip mapped before iifname wan %s dport %d dnat to %v:%d", protocol, inner+apart, from.Addr().Unmap(), inner)
			if life == 0 {
				rule = "flush chain ip mapped before"
			}
			if out, err := exec.Command("nft", rule).CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "nft %s: %v: %s", rule, err, out)
				a[3] = 3 // network failure
			}
			a = binary.BigEndian.AppendUint16(a, inner)
			a = binary.BigEndian.AppendUint16(a, inner+apart)
			a = binary.BigEndian.AppendUint32(a, life)
		}
		_, _ = c.WriteToUDPAddrPort(a, from)
	}
}
