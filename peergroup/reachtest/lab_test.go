//go:build linux

package reachtest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// The networks of the laboratory, for documentation as RFC 5737 has it. The public
// one is a bridge; the LANs are behind routers that have one leg in each.
const (
	publicNet = "198.51.100."
	bits      = "/24"
)

// lab is a set of network namespaces that are removed with the test.
type lab struct {
	t      *testing.T
	prefix string // of the names of its namespaces
	made   int
}

var labs atomic.Uint32

// newLab makes a laboratory with an empty public network.
func newLab(t *testing.T) *lab {
	t.Helper()
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil || os.Geteuid() != 0 {
			t.Skip("NOT TESTED: this needs network namespaces, which need root and the commands ip and nft")
		}
	}
	startSweeper(t)
	l := &lab{t: t, prefix: fmt.Sprintf("%s%d-", spacesOf(os.Getpid()), labs.Add(1))}
	if out, err := exec.Command("ip", "netns", "add", l.prefix+"public").CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: network namespaces cannot be made: %v: %s", err, out)
	}
	t.Cleanup(func() { l.remove("public") })
	l.ip("public", "link set lo up")
	l.ip("public", "link add net type bridge")
	l.ip("public", "link set net up")
	return l
}

// maxSpaces bounds the namespaces of a laboratory.
const maxSpaces = 16

// space makes a namespace.
func (l *lab) space(name string) {
	l.t.Helper()
	if l.made++; l.made > maxSpaces {
		l.t.Fatal("too many namespaces")
	}
	l.run("ip", "netns", "add", l.prefix+name)
	l.t.Cleanup(func() { l.remove(name) })
	l.ip(name, "link set lo up")
}

func (l *lab) remove(name string) {
	if out, err := exec.Command("ip", "netns", "del", l.prefix+name).CombinedOutput(); err != nil {
		l.t.Errorf("%v: %s", err, out)
	}
}

// host makes a machine in the public network.
func (l *lab) host(name string, number int) string {
	l.t.Helper()
	l.space(name)
	l.plug(name, "eth0", number)
	return fmt.Sprint(publicNet, number)
}

// plug connects a namespace with the public network.
func (l *lab) plug(name, device string, number int) {
	l.t.Helper()
	cable := fmt.Sprint("c", number)
	l.ip(name, fmt.Sprintf("link add %s type veth peer name %s netns %spublic", device, cable, l.prefix))
	l.ip(name, fmt.Sprint("addr add ", publicNet, number, bits, " dev ", device))
	l.ip(name, "link set "+device+" up")
	l.ip("public", "link set "+cable+" master net up")
}

// router makes a router to the public network for a LAN 10.number.0.0/24, with
// rules of nftables. In them wan and lan are the devices. As with most providers,
// what goes to private addresses of others vanishes without a word.
func (l *lab) router(name string, number int, rules string) {
	l.t.Helper()
	l.space(name)
	l.plug(name, "wan", 100+number)
	l.ip(name, "link add lan type bridge")
	l.ip(name, "link set lan up")
	l.ip(name, fmt.Sprintf("addr add 10.%d.0.1/24 dev lan", number))
	l.ip(name, "route add blackhole 10.0.0.0/8")
	l.in(name, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	l.nft(name, rules)
}

// behind makes a machine in the LAN of a router, and returns its address.
func (l *lab) behind(router, name string, number, which int) string {
	l.t.Helper()
	l.space(name)
	cable := fmt.Sprint("c", which)
	l.ip(name, fmt.Sprintf("link add eth0 type veth peer name %s netns %s%s", cable, l.prefix, router))
	ip := fmt.Sprintf("10.%d.0.%d", number, which)
	l.ip(name, "addr add "+ip+"/24 dev eth0")
	l.ip(name, "link set eth0 up")
	l.ip(router, "link set "+cable+" master lan up")
	l.ip(name, fmt.Sprintf("route add default via 10.%d.0.1", number))
	return ip
}

// nft replaces the rules of a namespace.
func (l *lab) nft(name, rules string) {
	l.t.Helper()
	cmd := exec.Command("ip", "netns", "exec", l.prefix+name, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader("flush ruleset\n" + rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		l.t.Fatalf("nft: %v: %s", err, out)
	}
}

// ip runs the command ip for a namespace.
func (l *lab) ip(name, args string) {
	l.t.Helper()
	l.run("ip", append([]string{"-n", l.prefix + name}, strings.Fields(args)...)...)
}

// in runs a command inside a namespace.
func (l *lab) in(name string, command ...string) string {
	l.t.Helper()
	return l.run("ip", append([]string{"netns", "exec", l.prefix + name}, command...)...)
}

func (l *lab) run(command string, args ...string) string {
	l.t.Helper()
	out, err := exec.Command(command, args...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s %s: %v: %s", command, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Rules of routers. All let out what begins inside, and in what belongs to it.
const (
	letOut = `
table ip filter {
	chain forward {
		type filter hook forward priority 0; policy drop;
		ct state invalid drop
		ct state established,related accept
		%s
		iifname "lan" accept
	}
	chain input {
		type filter hook input priority 0; policy accept;
		iifname "wan" ct state new drop
	}
}`
	translate = `
table ip nat {
	chain after {
		type nat hook postrouting priority 100;
		oifname "wan" masquerade %s
	}
}`
)

// Kinds of address translation.
var (
	// portRestricted keeps the port where it can, so that the mapping is the same
	// for all, and lets in only answers.
	portRestricted = fmt.Sprintf(translate, "") + fmt.Sprintf(letOut, "")

	// symmetric takes another port for each connection.
	symmetric = fmt.Sprintf(translate, "random,fully-random") + fmt.Sprintf(letOut, "")

	// noUDP is portRestricted and lets no UDP through.
	noUDP = fmt.Sprintf(translate, "") + fmt.Sprintf(letOut, "meta l4proto udp drop")
)

// onlyProxy lets out nothing but connections to a proxy.
func onlyProxy(ip string, port int) string {
	return fmt.Sprintf(translate, "") + fmt.Sprintf(letOut, fmt.Sprintf("ip daddr != %s drop\n\t\ttcp dport != %d drop\n\t\tmeta l4proto != tcp drop", ip, port))
}
