package peergroup

import (
	"reflect"
	"runtime"
	"slices"
	"strings"
	"unicode"

	"github.com/juxta-p2p/juxta/core/id"
)

// Metric is one counter or gauge of a peer.
//
// Its name is that of the field of the Stats structure it comes from, whose
// documentation says what is counted: resolver.Stats.DroppedBusy is the metric
// dropped_busy of the service resolver. Counters grow from the start of their
// service to its end; one that is smaller than before was started anew.
type Metric struct {
	Group   string   // name of the group; "" for what belongs to the peer as a whole
	GroupID id.Group // names of groups are not unique; zero if Group is ""
	Service string   // such as "endpoint", "tcp", "rendezvous" or "resolver"
	Name    string   // such as "links_opened"
	Value   uint64

	// Gauge tells that the value goes up and down, as the number of open links does.
	Gauge bool

	// Loss tells of a counter that what it counts is gone: messages dropped or not
	// sent, requests refused, records evicted or shortened, attempts that failed.
	//
	// The name decides, by the words it is made of: dropped, unsent, refused,
	// denied, ignored, lost, failed, evicted, forgotten, clipped, damaged, bad and
	// errors mean a loss; but not dropped in one name with own, duplicate,
	// duplicates, repeated, hearsay or chance, since what came again, or others
	// take care of, is not gone.
	Loss bool
}

// Metrics returns every counter and gauge of the peer, of its transports and of
// the groups it is in: the peer's own first, then group by group, World and the
// network before those joined in it; within a service in the order of its Stats.
// Services that are not running, such as the view of an edge, have none. Names are
// stable. The values are read one after the other, while they go on.
//
// It is meant to be called now and then, by people and by what watches the peer.
func (p *Peer) Metrics() []Metric {
	all := collection{}
	all.gauge("process", "goroutines", runtime.NumGoroutine())
	all.stats("endpoint", p.ep.Stats())
	for _, t := range p.ep.Transports() {
		// What a transport counts is its own affair, so it is not in the interface.
		if m := reflect.ValueOf(t).MethodByName("Stats"); m.IsValid() && m.Type().NumIn() == 0 && m.Type().NumOut() == 1 {
			all.add(t.Protocol(), "", m.Call(nil)[0])
		}
	}
	all.stats("routing", p.router.Stats())
	all.stats("why", p.why.Stats())
	if p.secure != nil {
		all.stats("secure", p.secure.Stats())
	}
	if r := &p.reach; r.direct != nil {
		all.stats("direct", r.direct.Stats())
	}
	if r := &p.reach; r.server != nil {
		all.stats("relay", r.server.Stats())
	}
	if r := &p.reach; r.client != nil {
		all.stats("relayclient", r.client.Stats())
	}
	all.stats("store", p.store.Stats())
	all.gauge("lan", "neighbours", len(p.Neighbours()))
	if p.lan != nil {
		all.stats("lan", p.lan.Stats())
	}
	p.world.metrics(&all)
	p.net.metrics(&all)
	return all.list
}

// metrics adds those of the group and of the groups joined in it.
func (g *Group) metrics(all *collection) {
	all.group, all.id = g.Name(), g.ID()
	all.stats("rendezvous", g.rdv.Stats())
	all.gauge("rendezvous", "clients", len(g.rdv.Clients()))
	if v := g.rdv.PeerView(); v != nil {
		all.stats("peerview", v.Stats())
		all.gauge("peerview", "size", v.Size())
	}
	if s := g.Governance(); s != nil {
		all.stats("governance", s.Stats())
	}
	if g.hidden() {
		all.stats("secrets", g.policy.secrets.stats())
	}
	all.stats("modules", g.ModuleStats())
	all.stats("calls", g.desk.statistics())
	g.mods.mu.Lock()
	running := slices.Clone(g.mods.running)
	g.mods.mu.Unlock()
	for _, l := range running {
		// What a module counts is its own affair, so it is not in the interface.
		if m := reflect.ValueOf(l.module).MethodByName("Stats"); m.IsValid() && m.Type().NumIn() == 0 && m.Type().NumOut() == 1 {
			all.add(l.info.Name, "", m.Call(nil)[0])
		}
	}
	all.stats("resolver", g.res.Stats())
	all.stats("discovery", g.disc.Stats())
	all.stats("index", g.disc.Index())
	all.stats("copies", g.disc.Copies())
	all.stats("pipe", g.pipes.Stats())
	all.stats("socket", g.sockets.Stats())
	all.stats("peerinfo", g.info.Stats())
	if g.rules.guarded() {
		all.stats("membership", g.rules.members.Stats())
		all.stats("access", g.rules.rights.Stats())
	}
	if g.parent == nil {
		return // World: the network is told apart
	}
	for _, c := range g.Groups() {
		c.metrics(all)
	}
}

// collection gathers metrics.
type collection struct {
	group string
	id    id.Group
	list  []Metric
}

// gauge adds a value that is in no Stats.
func (c *collection) gauge(service, name string, n int) {
	c.list = append(c.list, Metric{Group: c.group, GroupID: c.id, Service: service, Name: name, Value: uint64(max(n, 0)), Gauge: true})
}

// stats adds the fields of a Stats structure: counters are uint64, gauges int.
func (c *collection) stats(service string, stats any) { c.add(service, "", reflect.ValueOf(stats)) }

func (c *collection) add(service, prefix string, v reflect.Value) {
	if v.Kind() != reflect.Struct {
		return
	}
	for f, x := range v.Fields() {
		if !f.IsExported() {
			continue
		}
		m := Metric{Group: c.group, GroupID: c.id, Service: service, Name: prefix + snake(f.Name)}
		switch {
		case x.CanUint():
			m.Value, m.Loss = x.Uint(), tellsLoss(m.Name)
		case x.CanInt():
			m.Value, m.Gauge = uint64(max(x.Int(), 0)), true
		case x.Kind() == reflect.Struct:
			c.add(service, m.Name+"_", x)
			continue
		default:
			continue
		}
		c.list = append(c.list, m)
	}
}

// snake writes a name like LinksOpened as links_opened, and HTTPErrors as
// http_errors.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// tellsLoss is the rule of [Metric.Loss].
func tellsLoss(name string) bool {
	loss := []string{
		"dropped", "unsent", "refused", "denied", "ignored", "lost", "failed", "evicted", "forgotten", "clipped", "damaged", "bad", "errors",
	}
	harmless := []string{"own", "duplicate", "duplicates", "repeated", "hearsay", "chance"}
	words := strings.Split(name, "_")
	if slices.Contains(words, "dropped") && slices.ContainsFunc(words, func(w string) bool { return slices.Contains(harmless, w) }) {
		return false
	}
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(loss, w) })
}
