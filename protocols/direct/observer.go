package direct

import (
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// Kind is how a peer is connected to the world, as far as its links tell.
type Kind uint8

const (
	// Unknown: nobody has told yet.
	Unknown Kind = iota
	// Open: others see this peer at its own address.
	Open
	// Translated: others see it at another address; whether at the same one for
	// all is not known yet.
	Translated
	// Mapped: at another address, which is the same for all. Two such peers can
	// open direct links.
	Mapped
	// Symmetric: at another address for each. Direct links open only to peers that
	// are Open.
	Symmetric
)

// String returns the kind in words.
func (k Kind) String() string {
	switch k {
	case Open:
		return "open: seen at its own address"
	case Translated:
		return "behind address translation"
	case Mapped:
		return "behind address translation that is the same for all"
	case Symmetric:
		return "behind address translation that differs for each (symmetric)"
	}
	return "not known yet"
}

// sighting is how one other peer sees this one.
type sighting struct {
	link   endpoint.Link
	from   string // network origin of who sees it
	at     netip.AddrPort
	itself bool // at is an address of this machine
}

// Observer learns from the links how others see this peer. Its methods are safe
// for concurrent use. Close it when done.
type Observer struct {
	stop    func()
	changed func()

	mu  sync.Mutex
	all map[string][]sighting // by protocol of the transport, the latest last
}

// NewObserver makes an observer that looks at the links of the endpoint, present
// and future. changed, if not nil, is called when it has learned something; it must
// not block.
func NewObserver(ep *endpoint.Endpoint, changed func()) *Observer {
	if changed == nil {
		changed = func() {}
	}
	o := &Observer{changed: changed, all: map[string][]sighting{}}
	o.stop = ep.Watch(o.watch)
	for _, l := range ep.Links() {
		o.watch(endpoint.LinkEvent{Link: l, Up: true})
	}
	return o
}

// Close ends the observation. It is idempotent.
func (o *Observer) Close() { o.stop() }

// fromListener is a link that was dialled from the port that is listened on, so
// that others find there what they see.
type fromListener interface{ FromListener() bool }

func (o *Observer) watch(ev endpoint.LinkEvent) {
	if !ev.Up {
		return
	}
	at, ok := endpoint.Observed(ev.Link)
	if f, same := ev.Link.(fromListener); !ok || !same || !f.FromListener() {
		return
	}
	o.see(ev.Link, at)
}

// see takes how the other side of a link sees this one.
func (o *Observer) see(l endpoint.Link, at endpoint.Address) {
	seen, err := netip.ParseAddrPort(at.Host)
	if err != nil || seen.Addr().IsLoopback() || seen.Port() == 0 {
		return
	}
	seen = netip.AddrPortFrom(seen.Addr().Unmap(), seen.Port())
	local, err := netip.ParseAddrPort(l.Local().Host)
	s := sighting{link: l, from: l.Origin(), at: seen, itself: err == nil && local.Addr().Unmap() == seen.Addr()}
	o.mu.Lock()
	list := o.all[at.Protocol]
	before := kindOf(list)
	list = slices.DeleteFunc(list, func(x sighting) bool { return x.from == s.from })
	if len(list) >= maxSamples {
		list = slices.Delete(list, 0, 1)
	}
	list = append(list, s)
	o.all[at.Protocol] = list
	news := kindOf(list) != before || len(list) == 1
	o.mu.Unlock()
	if news {
		o.changed()
	}
}

// Reset forgets everything: the network is another one now.
func (o *Observer) Reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.all)
}

// Kind returns how the peer is connected, by a protocol such as "tcp" or "quic".
func (o *Observer) Kind(protocol string) Kind {
	o.mu.Lock()
	defer o.mu.Unlock()
	return kindOf(o.all[protocol])
}

// Kinds returns that of each protocol of which something is known.
func (o *Observer) Kinds() map[string]Kind {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := map[string]Kind{}
	for protocol, list := range o.all {
		all[protocol] = kindOf(list)
	}
	return all
}

func kindOf(list []sighting) Kind {
	switch {
	case len(list) == 0:
		return Unknown
	case list[len(list)-1].itself:
		return Open
	}
	last := list[len(list)-1]
	same := 0
	for _, s := range list {
		switch {
		case s.itself:
		case s.at != last.at:
			return Symmetric
		default:
			same++
		}
	}
	if same < 2 {
		return Translated
	}
	return Mapped
}

// Candidates returns the addresses at which others see this peer, if they are not
// its own, the latest first: for peers that try to open a direct link.
func (o *Observer) Candidates() []endpoint.Address {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []endpoint.Address
	for protocol, list := range o.all {
		for _, s := range slices.Backward(list) {
			a := endpoint.Address{Protocol: protocol, Host: s.at.String()}
			if !s.itself && !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b endpoint.Address) int { return strings.Compare(a.Protocol, b.Protocol) })
	return all
}

// SeenBy returns at which address a peer sees this one, if there is a link that
// tells.
func (o *Observer) SeenBy(p id.Peer) (endpoint.Address, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for protocol, list := range o.all {
		for _, s := range list {
			if s.link.Peer() == p {
				return endpoint.Address{Protocol: protocol, Host: s.at.String()}, true
			}
		}
	}
	return endpoint.Address{}, false
}
