package lan

import (
	"log"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/mdns"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// The service in DNS-SD.
const (
	serviceType   = "_jxta._tcp"
	serviceDomain = "local."
	serviceName   = serviceType + "." + serviceDomain
)

// firstPause is how long the first question waits: a program that runs one command and ends need not
// ask, and would have to wait for the answers.
const firstPause = 250 * time.Millisecond

// firstRounds are the pauses before the second, third and fourth round. A
// question is easily lost, and a neighbour just being started.
var firstRounds = [...]time.Duration{250 * time.Millisecond, 750 * time.Millisecond, 2 * time.Second}

// browser asks the local network for peers, round after round, and answers the
// questions of others, on each interface.
//
// The library asks one question at a time, keeps no list and notices no change
// of the interfaces; all of that is done here.
type browser struct {
	s       *Service
	zone    *zone
	log     *log.Logger // of the library, which is talkative
	servers map[string]*mdns.Server
}

func (s *Service) browse() *browser {
	return &browser{
		s: s, zone: newZone(s), servers: map[string]*mdns.Server{},
		log: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// run goes its rounds until the service is closed.
func (b *browser) run(look <-chan struct{}) {
	defer b.serve(nil)
	defer b.zone.close()
	b.serve(interfaces(b.s.cfg.Interfaces))
	begin := time.NewTimer(firstPause)
	defer begin.Stop()
	select {
	case <-b.s.ctx.Done():
		return
	case <-look:
	case <-begin.C:
	}
	for n := 0; ; n++ {
		ifs := interfaces(b.s.cfg.Interfaces)
		b.serve(ifs)
		f := b.ask(ifs)
		if b.s.ctx.Err() != nil {
			return
		}
		b.s.took(MDNS, f, maxMissed)
		if !b.pause(n, signature(ifs), look) {
			return
		}
	}
}

// pause waits until the next round is due, and reports whether there is to be
// one.
func (b *browser) pause(n int, before string, look <-chan struct{}) bool {
	d := b.s.cfg.Interval
	if n < len(firstRounds) {
		d = min(d, firstRounds[n])
	} else if spread := d / jitterFraction; spread > 0 {
		d += rand.N(2*spread) - spread
	}
	due := time.NewTimer(d)
	defer due.Stop()
	watch := time.NewTicker(watchInterval)
	defer watch.Stop()
	for {
		select {
		case <-b.s.ctx.Done():
			return false
		case <-look:
			return true
		case <-due.C:
			return true
		case <-watch.C:
			if signature(interfaces(b.s.cfg.Interfaces)) != before {
				return true
			}
		}
	}
}

// serve brings the servers in line with the interfaces.
func (b *browser) serve(ifs []netInterface) {
	wanted := map[string]netInterface{}
	for _, i := range ifs {
		wanted[i.signature()] = i
	}
	for sig, srv := range b.servers {
		if _, ok := wanted[sig]; !ok {
			_ = srv.Shutdown()
			delete(b.servers, sig)
		}
	}
	for sig, i := range wanted {
		if b.servers[sig] != nil {
			continue
		}
		srv, err := mdns.NewServer(&mdns.Config{Zone: b.zone, Iface: &i.Interface, Logger: b.log})
		if err != nil {
			b.s.stats.failedAnnounces.Add(1)
			b.s.log.Debug("no mDNS answers on the interface", "interface", i.Name, "err", err)
			continue
		}
		b.servers[sig] = srv
	}
}

// ask asks once on each interface, over IPv4 and IPv6 apart, since one that
// fails takes the other with it, and gathers the answers.
func (b *browser) ask(ifs []netInterface) found {
	var mu sync.Mutex
	var wg sync.WaitGroup
	f := found{}
	for _, i := range ifs {
		for _, v4 := range []bool{true, false} {
			if !i.has(v4) {
				continue
			}
			wg.Go(func() {
				entries := b.query(i, v4)
				mu.Lock()
				defer mu.Unlock()
				b.gather(f, entries)
			})
		}
	}
	wg.Wait()
	return f
}

// query asks one question. The entries are looked at only after the library is
// done, because it goes on changing them.
func (b *browser) query(i netInterface, v4 bool) []*mdns.ServiceEntry {
	answers := make(chan *mdns.ServiceEntry, maxEntries)
	err := mdns.QueryContext(b.s.ctx, &mdns.QueryParam{
		Service: serviceType, Domain: strings.TrimSuffix(serviceDomain, "."), Timeout: queryTime,
		Interface: &i.Interface, Entries: answers, DisableIPv4: !v4, DisableIPv6: v4, Logger: b.log,
	})
	if err != nil && b.s.ctx.Err() == nil {
		b.s.stats.failedLooks.Add(1)
		b.s.log.Debug("no mDNS question on the interface", "interface", i.Name, "ipv4", v4, "err", err)
	}
	close(answers)
	var out []*mdns.ServiceEntry
	for e := range answers {
		out = append(out, e)
	}
	if len(out) == maxEntries {
		b.s.stats.answers.Add(1) // the library drops what does not fit and does not tell
	}
	return out
}

// gather takes answers into f: those of our service that make sense, each peer
// with the addresses from all of its answers.
func (b *browser) gather(f found, entries []*mdns.ServiceEntry) {
	own := b.zone.addresses()
	accept := func(a endpoint.Address) bool { return fromNetwork(a) && !slices.Contains(own, a) }
	now := time.Now()
	for _, e := range entries {
		if !strings.HasSuffix(strings.ToLower(e.Name), "."+serviceName) || strings.EqualFold(e.Name, b.zone.name+"."+serviceName) {
			continue // something else, or this peer itself
		}
		strs := e.InfoFields[:min(len(e.InfoFields), maxStrings)]
		r, err := decode(apply(strs, unescape), accept)
		if err != nil {
			b.s.stats.malformed.Add(1)
			b.s.log.Debug("mDNS answer ignored", "err", err)
			continue
		}
		if old, ok := f[r.peer]; ok {
			r.addresses = merge(old.rec.addresses, r.addresses)
		} else if len(f) >= maxEntries {
			b.s.stats.answers.Add(1)
			continue
		}
		f[r.peer] = sighting{rec: r, heard: now}
	}
}
