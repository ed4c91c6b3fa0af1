package lan

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/mdns"
	"github.com/miekg/dns"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// zone answers DNS questions about the local peer with what is true now. All
// interfaces share it, because all servers of a machine answer each question.
type zone struct {
	s    *Service
	name string // first label of instance and host

	mu     sync.Mutex
	closed bool
	made   time.Time
	own    []endpoint.Address
	svc    *mdns.MDNSService // nil if there is nothing to say
}

func newZone(s *Service) *zone { return &zone{s: s, name: "jx-" + label(s.cfg.Peer)} }

// Records implements mdns.Zone. It is called from several goroutines.
func (z *zone) Records(q dns.Question) []dns.RR {
	svc := z.current()
	if svc == nil {
		return nil
	}
	q.Name = strings.ToLower(q.Name)
	return svc.Records(q)
}

// addresses returns those that are announced now.
func (z *zone) addresses() []endpoint.Address {
	z.current()
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.own
}

// close makes the zone silent.
func (z *zone) close() {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.closed, z.svc = true, nil
}

// current describes the local peer, or returns nil when it cannot be reached
// from the network.
func (z *zone) current() *mdns.MDNSService {
	now := time.Now()
	z.mu.Lock()
	if z.closed || !z.made.IsZero() && now.Sub(z.made) < recordsLife {
		defer z.mu.Unlock()
		return z.svc
	}
	z.mu.Unlock()
	svc, own := z.describe()
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.closed {
		return nil
	}
	z.made, z.svc, z.own = now, svc, own
	return svc
}

func (z *zone) describe() (*mdns.MDNSService, []endpoint.Address) {
	r := z.s.self()
	r.addresses = forNetwork(z.s.cfg.Addresses(), localAddresses(interfaces(z.s.cfg.Interfaces)))
	hosts, port := ips(r.addresses[:min(len(r.addresses), maxAddresses)])
	if len(hosts) == 0 {
		return nil, nil
	}
	strs := r.encode()
	z.s.clipped(r, strs)
	// The library wants all of them, else it asks the DNS about this machine.
	svc, err := mdns.NewMDNSService(z.name, serviceType, serviceDomain, z.name+"."+serviceDomain, int(port), hosts, apply(strs, escape))
	if err != nil {
		z.s.stats.failedAnnounces.Add(1)
		z.s.log.Debug("peer cannot be described", "err", err)
		return nil, nil
	}
	return svc, r.addresses
}

// label is the part of a peer's ID that is its own, as 32 hex digits: fit for a
// DNS label, where an ID is too long.
func label(p id.Peer) string {
	const group, own, kind = 32, 32, 2 // hex digits; zeros at the end of the own ones are not spelled out
	u := strings.ToLower(p.Unique())
	if _, digits, ok := strings.Cut(u, "-"); ok && len(digits) > group+kind && len(digits) <= group+own+kind {
		digits = digits[group : len(digits)-kind]
		return digits + strings.Repeat("0", own-len(digits))
	}
	sum := sha256.Sum256([]byte(u))
	return hex.EncodeToString(sum[:own/2])
}

// escape and unescape translate between octets and the form in which the
// library holds the strings of a TXT record: a backslash stands before what is
// special, or before three decimal digits of an octet that is not printable.
func escape(s string) string { return strings.ReplaceAll(s, `\`, `\\`) }

func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			continue
		}
		i++
		if i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i:i+3], 10, 8); err == nil {
				b = append(b, byte(n))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

func apply(strs []string, f func(string) string) []string {
	out := make([]string, len(strs))
	for i, s := range strs {
		out[i] = f(s)
	}
	return out
}
