package peergroup

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/lan"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/http"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/transport/multicast"
	"github.com/juxta-p2p/juxta/core/transport/tcp"
	"github.com/juxta-p2p/juxta/peergroup/access"
	"github.com/juxta-p2p/juxta/peergroup/governance"
	"github.com/juxta-p2p/juxta/peergroup/membership"
	"github.com/juxta-p2p/juxta/protocols/diagnose"
	"github.com/juxta-p2p/juxta/protocols/direct"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/peerinfo"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/relay"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/rendezvous/peerview"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/routing"
	"github.com/juxta-p2p/juxta/protocols/secure"
	"github.com/juxta-p2p/juxta/protocols/socket"
)

var updateMetrics = flag.Bool("update", false, "write the names of the metrics into testdata")

// kinds are all Stats there are, by service.
var kinds = []struct {
	service string
	stats   any
}{
	{"endpoint", endpoint.Stats{}}, {"tcp", tcp.Stats{}}, {"http", http.Stats{}}, {"mcast", multicast.Stats{}}, {"routing", routing.Stats{}}, {"why", diagnose.Stats{}},
	{"direct", direct.Stats{}}, {"relay", relay.ServerStats{}}, {"relayclient", relay.ClientStats{}},
	{"secure", secure.Stats{}},
	{"store", store.Stats{}}, {"lan", lan.Stats{}}, {"rendezvous", rendezvous.Stats{}}, {"peerview", peerview.Stats{}},
	{"resolver", resolver.Stats{}}, {"discovery", discovery.Stats{}}, {"index", store.IndexStats{}},
	{"copies", store.IndexStats{}}, {"pipe", pipe.Stats{}}, {"socket", socket.Stats{}},
	{"peerinfo", peerinfo.Stats{}}, {"modules", ModuleStats{}}, {"calls", CallStats{}}, {"governance", governance.Stats{}}, {"secrets", SecretsStats{}},
	{"membership", membership.Stats{}}, {"access", access.Stats{}},
}

// TestEveryFieldIsAMetric holds the metrics to a list: whoever adds a field to a
// Stats structure sees here whether it is shown, and whether it counts as a loss.
func TestEveryFieldIsAMetric(t *testing.T) {
	const file = "testdata/metrics.txt"
	var is strings.Builder
	for _, k := range kinds {
		c := collection{}
		c.stats(k.service, k.stats)
		if n := fields(t, reflect.TypeOf(k.stats)); n != len(c.list) {
			t.Errorf("%T has %d fields, of which %d are metrics", k.stats, n, len(c.list))
		}
		for _, m := range c.list {
			what := "counter"
			switch {
			case m.Gauge && m.Loss:
				t.Errorf("%s %s is a gauge and a loss", m.Service, m.Name)
			case m.Gauge:
				what = "gauge"
			case m.Loss:
				what = "loss"
			}
			fmt.Fprintf(&is, "%-11s %-24s %s\n", m.Service, m.Name, what)
		}
	}
	if *updateMetrics {
		if err := os.WriteFile(file, []byte(is.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	was, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(was), "\n"), strings.Split(is.String(), "\n")); d != "" {
		t.Errorf("%s: - wanted, + got; go test -update accepts. See Metric.Loss for the rule.\n%s", file, d)
	}
}

// fields counts the fields of a Stats structure, which can only be counters and
// gauges.
func fields(t *testing.T, s reflect.Type) (n int) {
	t.Helper()
	for f := range s.Fields() {
		switch kind := f.Type.Kind(); {
		case !f.IsExported():
			t.Errorf("%s.%s is not exported", s, f.Name)
		case kind == reflect.Struct:
			n += fields(t, f.Type)
		case f.Type == reflect.TypeFor[uint64](), f.Type == reflect.TypeFor[int](), f.Type == reflect.TypeFor[int64]():
			n++
		default:
			t.Errorf("%s.%s is of type %s; counters are uint64, gauges int or int64", s, f.Name, f.Type)
		}
	}
	return n
}

func TestNamesOfMetrics(t *testing.T) {
	for name, want := range map[string]string{
		"Sent": "sent", "LinksOpened": "links_opened", "DroppedNoRoute": "dropped_no_route", "HTTPErrors": "http_errors", "SentHTTP": "sent_http", "": "",
	} {
		if got := snake(name); got != want {
			t.Errorf("%s became %s, want %s", name, got, want)
		}
	}
	for name, want := range map[string]bool{
		"dropped_busy": true, "unsent": true, "relay_dropped_full": true, "refused_own": true, "leases_denied": true, "events_lost": true,
		"write_errors": true, "clipped": true, "dropped_own": false, "dropped_duplicates": false, "sent": false, "expired": false,
		"wire_duplicates": false, "badges": false,
	} {
		if got := tellsLoss(name); got != want {
			t.Errorf("%s is a loss: %t, want %t", name, got, want)
		}
	}
}

// value returns the value of a metric.
func value(t *testing.T, all []Metric, group, service, name string) uint64 {
	t.Helper()
	found := -1
	for i, m := range all {
		if m.Group == group && m.Service == service && m.Name == name {
			if found >= 0 {
				t.Errorf("%s/%s/%s is there twice", group, service, name)
			}
			found = i
		}
	}
	if found < 0 {
		t.Fatalf("there is no %s/%s/%s", group, service, name)
	}
	return all[found].Value
}

// TestMetricsTellWhatHappens in a small network: what is there, in which group, and
// what was lost.
func TestMetricsTellWhatHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{Latency: time.Millisecond})
		open := func(name string, roles Roles, seeds ...string) *Peer {
			p, err := Start(t.Context(), Config{
				Name: name, Roles: roles, NoLAN: true, Seeds: seeds, PeerID: id.PeerFromSeed(id.NetGroup, []byte(name)),
				Transports: []endpoint.Transport{network.Transport(memory.TransportConfig{Name: name})},
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.Close() })
			return p
		}
		r := open("r", Roles{Rendezvous: true})
		ann := open("ann", Roles{}, "mem://r")
		if err := ann.Net().Rendezvous().WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		crew, err := ann.Net().Create(t.Context(), Spec{Name: "crew"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		const net = "NetPeerGroup"
		before := r.Metrics()
		for _, c := range []struct {
			group, service, name string
			least, most          uint64
		}{
			{"", "process", "goroutines", 2, 10_000},
			{"", "endpoint", "links", 1, 1},
			{"", "routing", "routes", 1, 10},
			{"", "store", "records", 2, 100},
			{net, "rendezvous", "clients", 1, 1},
			{net, "peerview", "size", 0, 0},
			{net, "index", "entries", 1, 100},
			{net, "resolver", "indexes", 1, 100},
			{"World PeerGroup", "rendezvous", "clients", 0, 0},
		} {
			if n := value(t, before, c.group, c.service, c.name); n < c.least || n > c.most {
				t.Errorf("%s/%s/%s is %d, want %d to %d", c.group, c.service, c.name, n, c.least, c.most)
			}
		}
		// A service that nobody has, in the network.
		msg := message.New(message.Text("", "x", "y"))
		if err := ann.Net().Endpoint().Send(t.Context(), r.ID(), "nobody", "", msg); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		after := r.Metrics()
		if len(after) != len(before) {
			t.Fatalf("%d metrics became %d", len(before), len(after))
		}
		for i, m := range after {
			lost := m.Service == "endpoint" && m.Name == "dropped_no_listener"
			if b := before[i]; b.Name != m.Name || b.Service != m.Service || b.Group != m.Group || b.GroupID != m.GroupID {
				t.Fatalf("%+v became %+v", b, m)
			} else if m.Loss && (m.Value == b.Value+1) != lost {
				t.Errorf("%+v became %+v", b, m)
			}
		}
		if n := value(t, ann.Metrics(), "crew", "peerview", "size"); n != 0 {
			t.Errorf("the view of a lonely rendezvous has %d members", n)
		}
		crew.Leave()
		for _, m := range ann.Metrics() {
			if m.Group == "crew" || m.Group == net && m.Service == "peerview" {
				t.Errorf("%+v is still there", m)
			}
			if (m.Group == "") != m.GroupID.IsZero() {
				t.Errorf("%+v", m)
			}
		}
	})
}

// TestMetricsOfTransports: what a transport counts is found without knowing it.
func TestMetricsOfTransports(t *testing.T) {
	p, err := Start(t.Context(), Config{Name: "a", NoLAN: true, NoMulticast: true, Listen: []string{"tcp://127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Endpoint().Dial(t.Context(), p.Addresses()[0]); err == nil {
		t.Fatal("a link to oneself")
	}
	if n := value(t, p.Metrics(), "", "tcp", "accepted"); n != 1 {
		t.Errorf("%d connections", n)
	}
	if n := value(t, p.Metrics(), "", "endpoint", "failed_dials"); n != 1 {
		t.Errorf("%d failed", n)
	}
}

func BenchmarkMetrics(b *testing.B) {
	p, err := Start(b.Context(), Config{Name: "a", NoLAN: true, NoMulticast: true, Listen: []string{"tcp://127.0.0.1:0"}})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	b.ReportAllocs()
	for b.Loop() {
		if len(p.Metrics()) == 0 {
			b.Fatal("none")
		}
	}
}
