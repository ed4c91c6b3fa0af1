package lan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/mdns"
	"github.com/miekg/dns"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// Nothing in this file touches the network.

// quiet is a service that does nothing of its own accord.
func quiet(t *testing.T, listen ...string) *Service {
	t.Helper()
	s, err := Start(Config{
		Peer: peerOf("ann"), Name: "ann", DisableMachine: true, DisableMDNS: true,
		Addresses: func() []endpoint.Address { return addrs(listen...) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestZoneAnswers(t *testing.T) {
	s := quiet(t, "tcp://192.0.2.1:9701", "http://[2001:db8::1]:9700", "tcp://127.0.0.1:9701")
	z := newZone(s)
	instance := z.name + "." + serviceName
	count := func(name string, kind uint16) (kinds []string) {
		for _, rr := range z.Records(dns.Question{Name: name, Qtype: kind, Qclass: dns.ClassINET}) {
			kinds = append(kinds, dns.TypeToString[rr.Header().Rrtype])
		}
		return kinds
	}
	all := []string{"SRV", "A", "AAAA", "TXT"}
	for _, tc := range []struct {
		name string
		kind uint16
		want []string
	}{
		{serviceName, dns.TypePTR, append([]string{"PTR"}, all...)},
		{strings.ToUpper(serviceName), dns.TypeANY, append([]string{"PTR"}, all...)},
		{instance, dns.TypeANY, all},
		{strings.ToUpper(instance), dns.TypeTXT, []string{"TXT"}},
		{z.name + "." + serviceDomain, dns.TypeA, []string{"A"}},
		{"_services._dns-sd._udp.local.", dns.TypePTR, []string{"PTR"}},
		{"_http._tcp.local.", dns.TypePTR, nil},
		{"other." + serviceName, dns.TypeANY, nil},
		{"", dns.TypeANY, nil},
	} {
		if d := cmp.Diff(tc.want, count(tc.name, tc.kind)); d != "" {
			t.Errorf("%s %d: %s", tc.name, tc.kind, d)
		}
	}
	if d := cmp.Diff(addrs("tcp://192.0.2.1:9701", "http://[2001:db8::1]:9700"), z.addresses()); d != "" {
		t.Error(d)
	}
	z.close()
	if got := count(serviceName, dns.TypePTR); got != nil {
		t.Errorf("after close: %v", got)
	}
}

func TestZoneSaysNothingWithoutAddress(t *testing.T) {
	for _, listen := range [][]string{nil, {"tcp://127.0.0.1:9701"}, {"mem://here"}} {
		z := newZone(quiet(t, listen...))
		if got := z.Records(dns.Question{Name: serviceName, Qtype: dns.TypePTR}); got != nil {
			t.Errorf("%v: %v", listen, got)
		}
	}
}

func TestAnswerFitsADatagram(t *testing.T) {
	var listen []string
	for i := range 20 {
		listen = append(listen, fmt.Sprintf("tcp://[2001:db8:1111:2222:3333:4444:5555:%x]:9701", 0x6660+i))
	}
	s := quiet(t, listen...)
	s.cfg.Name, s.cfg.Group = strings.Repeat("n", 100), id.NewGroup(id.NetGroup)
	m := &dns.Msg{Compress: true, Answer: newZone(s).Records(dns.Question{Name: serviceName, Qtype: dns.TypePTR})}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Answer) < 4 || len(b) > 1472 {
		t.Errorf("%d records in %d octets", len(m.Answer), len(b))
	}
	if n := s.Stats().ClippedAddresses; n < 20-maxAddresses || n > 19 {
		t.Errorf("%d addresses of 20 are counted as left out", n)
	}
}

func TestGather(t *testing.T) {
	b := quiet(t, "tcp://192.0.2.1:9701").browse()
	entry := func(service, name string, list ...string) *mdns.ServiceEntry {
		r := record{peer: peerOf(name), group: id.NetGroup, name: name, addresses: addrs(list...)}
		return &mdns.ServiceEntry{Name: "jx-" + label(r.peer) + "." + service, InfoFields: apply(r.encode(), escape)}
	}
	f := found{}
	b.gather(f, []*mdns.ServiceEntry{
		entry(serviceName, "bob", "tcp://192.0.2.2:1"),
		entry(strings.ToUpper(serviceName), "bob", "tcp://192.0.2.3:1", "tcp://192.0.2.2:1"),
		entry("_http._tcp.local.", "printer", "tcp://192.0.2.4:1"),
		entry(serviceName, "mirror", "tcp://192.0.2.1:9701"),                    // would make us dial ourselves
		entry(serviceName, "local", "tcp://127.0.0.1:22", "tcp://localhost:80"), // would make us dial our own services
		entry(serviceName, "ann", "tcp://192.0.2.1:9701"),                       // this peer itself
		{Name: "x." + serviceName, InfoFields: slices.Repeat([]string{"a\\"}, 1000)},
		{},
	})
	if len(f) != 1 {
		t.Fatalf("%+v", f)
	}
	if d := cmp.Diff(addrs("tcp://192.0.2.2:1", "tcp://192.0.2.3:1"), f[peerOf("bob")].rec.addresses); d != "" {
		t.Error(d)
	}
	if s := b.s.Stats(); s.DroppedMalformed != 3 || s.DroppedAnswers != 0 {
		t.Errorf("%+v", s)
	}
	for i := range maxEntries + 4 {
		b.gather(f, []*mdns.ServiceEntry{entry(serviceName, fmt.Sprint("p", i), "tcp://192.0.2.5:1")})
	}
	if s := b.s.Stats(); s.DroppedMalformed != 3 || s.DroppedAnswers != 5 || len(f) != maxEntries {
		t.Errorf("%d peers, %+v", len(f), s)
	}
}
