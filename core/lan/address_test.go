package lan

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

func TestForNetwork(t *testing.T) {
	local := []netip.Addr{
		netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("169.254.1.1"),
		netip.MustParseAddr("::1"), netip.MustParseAddr("2001:db8::5"), netip.MustParseAddr("fe80::1"),
	}
	for in, want := range map[string][]endpoint.Address{
		"tcp://10.0.0.5:9701":                    addrs("tcp://10.0.0.5:9701"),
		"tcp://10.0.0.5:9701/service/param":      addrs("tcp://10.0.0.5:9701"),
		"http://[2001:db8::7]:80":                addrs("http://[2001:db8::7]:80"),
		"tcp://0.0.0.0:9701":                     addrs("tcp://10.0.0.5:9701", "tcp://169.254.1.1:9701"),
		"tcp://[::]:9701":                        addrs("tcp://10.0.0.5:9701", "tcp://169.254.1.1:9701", "tcp://[2001:db8::5]:9701"),
		"tcp://127.0.0.1:9701":                   nil,
		"tcp://[::1]:9701":                       nil,
		"tcp://[::ffff:127.0.0.1]:9701":          nil,
		"tcp://[fe80::1%eth0]:9701":              nil,
		"tcp://localhost:9701":                   nil,
		"tcp://10.0.0.5:0":                       nil,
		"tcp://10.0.0.5:65536":                   nil,
		"tcp://10.0.0.5:+1":                      nil,
		"tcp://10.0.0.5":                         nil,
		"mcast://224.0.1.85:1234":                nil,
		"mem://somewhere":                        nil,
		"a-very-long-protocol-name://10.0.0.5:1": nil,
	} {
		if d := cmp.Diff(want, forNetwork(addrs(in), local)); d != "" {
			t.Errorf("%s: %s", in, d)
		}
	}
}

func TestForMachine(t *testing.T) {
	for in, want := range map[string][]endpoint.Address{
		"tcp://127.0.0.1:9701": addrs("tcp://127.0.0.1:9701"),
		"tcp://0.0.0.0:9701":   addrs("tcp://127.0.0.1:9701"),
		"tcp://[::]:9701":      addrs("tcp://127.0.0.1:9701", "tcp://[::1]:9701"),
		"tcp://10.0.0.5:9701":  addrs("tcp://10.0.0.5:9701"),
		"tcp://localhost:9701": addrs("tcp://localhost:9701"),
		"tcp://127.0.0.1:0":    nil,
		"mem://somewhere":      nil,
	} {
		if d := cmp.Diff(want, forMachine(addrs(in))); d != "" {
			t.Errorf("%s: %s", in, d)
		}
	}
	got := forMachine(addrs("tcp://10.0.0.5:1", "tcp://127.0.0.1:1", "tcp://0.0.0.0:1"))
	if d := cmp.Diff(addrs("tcp://127.0.0.1:1", "tcp://10.0.0.5:1"), got); d != "" {
		t.Error(d)
	}
}

func TestStrangersMayNotMakeUsDialAnything(t *testing.T) {
	for in, want := range map[string][2]bool{ // from the network, from this machine
		"tcp://10.0.0.5:1":              {true, true},
		"tcp://[2001:db8::1]:1":         {true, true},
		"tcp://127.0.0.1:1":             {false, true},
		"tcp://127.9.9.9:1":             {false, true},
		"tcp://[::ffff:127.0.0.1]:1":    {false, true},
		"tcp://[::1]:1":                 {false, true},
		"tcp://intranet.example:1":      {false, true},
		"tcp://localhost:1":             {false, true},
		"tcp://0.0.0.0:1":               {false, false},
		"tcp://[::]:1":                  {false, false},
		"tcp://224.0.0.1:1":             {false, false},
		"tcp://255.255.255.255:1":       {false, false},
		"tcp://[ff02::1]:1":             {false, false},
		"tcp://[fe80::1]:1":             {false, true},
		"tcp://10.0.0.5:0":              {false, false},
		"jxta://uuid-0123":              {false, false},
		"tcp://10.0.0.5:1:2":            {false, false},
		"tcp://[::ffff:10.0.0.5%x]:123": {false, true},
	} {
		a := endpoint.MustParseAddress(in)
		if got := [2]bool{fromNetwork(a), fromMachine(a)}; got != want {
			t.Errorf("%s: %v, want %v", in, got, want)
		}
	}
}

func TestEligible(t *testing.T) {
	const up, multi = net.FlagUp, net.FlagMulticast
	some := []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	on := func(index int, name string, flags net.Flags, a []netip.Addr) netInterface {
		return netInterface{net.Interface{Index: index, Name: name, Flags: flags}, a}
	}
	dumbLo := on(1, "lo", up|net.FlagLoopback, some)
	lo := on(1, "lo", up|multi|net.FlagLoopback, some)
	eth := on(2, "eth", up|multi, some)
	bare := on(3, "bare", up|multi, nil)
	down := on(4, "down", multi, some)
	tun := on(5, "tun", up|multi|net.FlagPointToPoint, some)
	for name, tc := range map[string]struct {
		all   []netInterface
		names []string
		want  []string
	}{
		"those that can":          {[]netInterface{lo, eth, bare, down, tun}, nil, []string{"eth"}},
		"loopback for want":       {[]netInterface{lo, bare, down, tun}, nil, []string{"lo"}},
		"loopback that cannot":    {[]netInterface{dumbLo}, nil, nil},
		"named":                   {[]netInterface{lo, eth, tun, bare}, []string{"tun", "bare"}, []string{"tun"}},
		"named, no other instead": {[]netInterface{lo, eth}, []string{"wlan0"}, nil},
	} {
		var got []string
		for _, i := range eligible(tc.all, tc.names) {
			got = append(got, i.Name)
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	var many []netInterface
	for i := range 2 * maxInterfaces {
		many = append(many, on(i, "eth", up|multi, some))
	}
	if n := len(eligible(many, nil)); n != maxInterfaces {
		t.Errorf("%d interfaces", n)
	}
	moved := on(2, "eth", up|multi, []netip.Addr{netip.MustParseAddr("192.0.2.2")})
	if signature([]netInterface{eth}) == signature([]netInterface{moved}) {
		t.Error("another address is no change")
	}
}
