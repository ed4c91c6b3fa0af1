package peerinfo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/routing"
)

// recordings are documents as JXSE 2.5 prints them.
func recordings(t testing.TB) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, pattern := range []string{"services/pip-*.xml", "jxse25/peerinfo-*.xml"} {
		files, err := filepath.Glob("../../core/xmldoc/testdata/documents/" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.Base(f)] = b
		}
	}
	if len(all) != 6 {
		t.Fatalf("%d recordings", len(all))
	}
	return all
}

// of returns an empty document of the kind that a recording holds.
func of(file string) xmldoc.Document {
	if strings.Contains(file, "query") {
		return new(query)
	}
	return new(response)
}

func TestRecordedDocuments(t *testing.T) {
	for file, b := range recordings(t) {
		d := of(file)
		if err := xmldoc.Unmarshal(b, d); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if out, err := xmldoc.Marshal(d); err != nil || string(out) != string(b) {
			t.Errorf("%s: printed otherwise: %v\n%s", file, err, out)
		}
	}
	var q query
	if err := xmldoc.Unmarshal(recordings(t)["pip-query-plain.xml"], &q); err != nil || !q.Request.IsZero() {
		t.Errorf("%+v, %v", q, err)
	}
	if err := xmldoc.Unmarshal(recordings(t)["pip-query-monitor.xml"], &q); err != nil {
		t.Error(err)
	}
	if m, ok := q.Request.Child("Monitor"); !ok {
		t.Errorf("request %v", q.Request)
	} else if typ, _ := m.Child("requestType"); typ.Text() != "peerMonitorInfo" {
		t.Errorf("request %v", m)
	}
	var r response
	if err := xmldoc.Unmarshal(recordings(t)["pip-response-monitor.xml"], &r); err != nil {
		t.Error(err)
	}
	// The asker stands first, also in the answer.
	if r.Source != q.Source || r.Target != q.Target || r.Uptime != 123456 || r.Timestamp != 1700000000000 || r.Response.IsZero() {
		t.Errorf("%+v", r)
	}
}

func TestCutDocuments(t *testing.T) {
	for file, b := range recordings(t) {
		b = []byte(strings.TrimSpace(string(b)))
		for n := range b {
			if d := of(file); xmldoc.Unmarshal(b[:n], d) == nil {
				t.Fatalf("%s cut at %d is read as %+v", file, n, d)
			}
		}
	}
}

func FuzzDocuments(f *testing.F) {
	for _, b := range recordings(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, make := range []func() xmldoc.Document{
			func() xmldoc.Document { return new(query) }, func() xmldoc.Document { return new(response) },
		} {
			d := make()
			if xmldoc.Unmarshal(b, d) != nil {
				continue
			}
			out, err := xmldoc.Marshal(d)
			if err != nil {
				continue // such as what nests too deep to be passed on
			}
			again := make()
			if err := xmldoc.Unmarshal(out, again); err != nil || fmt.Sprint(again) != fmt.Sprint(d) {
				t.Fatalf("%v: %+v became %+v", err, d, again)
			}
		}
	})
}

// node is a peer with everything up to this service.
type node struct {
	id   id.Peer
	ep   *endpoint.Endpoint
	res  *resolver.Service
	info *Service
}

func newNode(t *testing.T, net *memory.Network, name string, silent bool) *node {
	t.Helper()
	n := &node{id: id.PeerFromSeed(id.NetGroup, []byte(name))}
	var err error
	check := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	n.ep, err = endpoint.New(endpoint.Config{Peer: n.id})
	check()
	err = n.ep.Add(net.Transport(memory.TransportConfig{Name: name}))
	check()
	scope := n.ep.Scope(id.NetGroup)
	route := func() *advertisements.Route {
		return &advertisements.Route{Dest: n.id, Addresses: n.ep.Addresses()}
	}
	router, err := routing.New(routing.Config{Scope: scope, Self: route})
	check()
	rdv, err := rendezvous.New(rendezvous.Config{
		Scope: scope, Role: rendezvous.AdHoc, Advertisement: func() *advertisements.Peer { return nil },
	})
	check()
	n.res, err = resolver.New(resolver.Config{Scope: scope, Rendezvous: rdv, Route: route, Learn: router.Learn})
	check()
	if !silent {
		n.info, err = New(Config{Resolver: n.res})
		check()
	}
	t.Cleanup(func() {
		if n.info != nil {
			n.info.Close()
			n.info.Close()
		}
		n.res.Close()
		rdv.Close()
		router.Close()
		if err := n.ep.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func meet(t *testing.T, a, b *node) {
	t.Helper()
	if _, err := a.ep.Dial(t.Context(), b.ep.Addresses()[0]); err != nil {
		t.Fatal(err)
	}
}

func TestAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: 20 * time.Millisecond})
		a, b, mute := newNode(t, net, "a", false), newNode(t, net, "b", false), newNode(t, net, "mute", true)
		meet(t, a, b)
		meet(t, a, mute)
		time.Sleep(time.Hour)
		ask := func(p id.Peer) (Info, error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return a.info.Ask(ctx, p)
		}
		i, err := ask(b.id)
		if err != nil || i.Peer != b.id || i.Trip != 40*time.Millisecond || i.Uptime.Round(time.Second) != time.Hour || time.Since(i.Clock) > time.Second {
			t.Errorf("%+v, %v", i, err)
		}
		i, err = ask(a.id)
		if err != nil || i.Peer != a.id || i.Trip != 0 || i.Uptime.Round(time.Second) != time.Hour || a.info.Uptime() != i.Uptime {
			t.Errorf("of oneself: %+v, %v", i, err)
		}
		if _, err := ask(mute.id); !errors.Is(err, ErrNoAnswer) {
			t.Errorf("a peer that does not answer: %v", err)
		}
		if _, err := ask(id.PeerFromSeed(id.NetGroup, []byte("nobody"))); !errors.Is(err, endpoint.ErrNoRoute) {
			t.Errorf("a peer that cannot be reached: %v", err)
		}
		b.info.Close()
		synctest.Wait()
		if _, err := ask(b.id); !errors.Is(err, ErrNoAnswer) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// TestWhoIsAnswered: who asks this peer about itself in his own name, and wants no
// monitoring.
func TestWhoIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a, b := newNode(t, net, "a", true), newNode(t, net, "b", false)
		meet(t, a, b)
		other := id.PeerFromSeed(id.NetGroup, []byte("other"))
		doc := func(source, target id.Peer, rest string) string {
			return "<jxta:PeerInfoQueryMessage><sourcePid>" + source.String() + "</sourcePid><targetPid>" + target.String() + "</targetPid>" + rest + "</jxta:PeerInfoQueryMessage>"
		}
		for what, c := range map[string]struct {
			body string
			want int
		}{
			"plain":                  {doc(a.id, b.id, ""), 1},
			"about another":          {doc(a.id, other, ""), 0},
			"in another's name":      {doc(other, b.id, ""), 0},
			"for monitoring":         {doc(a.id, b.id, "<request><Monitor/></request>"), 0},
			"no document":            {"hello", 0},
			"without saying by whom": {strings.Replace(doc(a.id, b.id, ""), "sourcePid", "sender", 2), 0},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			n := 0
			for r, err := range a.res.Collect(ctx, b.id, &resolver.RawQuery{Handler: id.ClassPeerInfo.String(), Body: c.body}) {
				if err != nil {
					t.Fatal(err)
				}
				var d response
				if err := xmldoc.Unmarshal([]byte(r.Body), &d); err != nil || d.Source != a.id || d.Target != b.id || !d.Response.IsZero() {
					t.Errorf("%s: %s, %v", what, r.Body, err)
				}
				n++
			}
			if n != c.want {
				t.Errorf("%s: %d answers, want %d", what, n, c.want)
			}
		}
	})
}

// TestClaims: what a peer says of itself is bounded, and an answer about another
// peer is none.
func TestClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a, b := newNode(t, net, "a", false), newNode(t, net, "b", true)
		meet(t, a, b)
		other := id.PeerFromSeed(id.NetGroup, []byte("other"))
		answer := response{Source: a.id, Target: b.id}
		_, err := b.res.Register(t.Context(), id.ClassPeerInfo.String(), resolver.Handler{Query: func(ctx context.Context, q *resolver.RawQuery) resolver.Outcome {
			doc, err := xmldoc.Marshal(&answer)
			if err == nil {
				err = b.res.SendResponse(ctx, q.Source, &resolver.RawResponse{Handler: q.Handler, ID: q.ID, Body: string(doc)})
			}
			if err != nil {
				t.Error(err)
			}
			return resolver.Done
		}})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			uptime int64
			target id.Peer
			want   time.Duration
		}{
			{5000, b.id, 5 * time.Second}, {-1, b.id, 0}, {1<<63 - 1, b.id, time.Duration(maxUptime) * time.Millisecond}, {5000, other, -1},
		} {
			answer.Uptime, answer.Target = c.uptime, c.target
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			i, err := a.info.Ask(ctx, b.id)
			cancel()
			if c.want < 0 && !errors.Is(err, ErrNoAnswer) || c.want >= 0 && (err != nil || i.Uptime != c.want) {
				t.Errorf("%d ms of %s: %+v, %v", c.uptime, c.target.Short(), i, err)
			}
		}
	})
}

func TestNewChecksConfig(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("a service without resolver")
	}
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, memory.New(memory.Config{}), "n", false)
		if _, err := New(Config{Resolver: n.res}); !errors.Is(err, resolver.ErrTaken) {
			t.Errorf("two services in one group: %v", err)
		}
	})
}
