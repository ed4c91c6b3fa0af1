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

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/routing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func peer(unique string) id.Peer {
	p, err := id.ParsePeer("urn:jxta:uuid-59616261646162614E50472050325033" + unique + "03")
	if err != nil {
		panic(err)
	}
	return p
}

var (
	e1 = peer("E1E1E1E1E1E14E1EA1E1E1E1E1E1E1E1")
	e2 = peer("E2E2E2E2E2E24E2EA2E2E2E2E2E2E2E2")
)

func printed(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// samePrinted reads a document that JXSE has printed and prints it again.
func samePrinted(t *testing.T, name string, d xmldoc.Document) {
	t.Helper()
	text := printed(t, name)
	if err := xmldoc.Unmarshal([]byte(text), d); err != nil {
		t.Fatal(err)
	}
	b, err := xmldoc.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(b)) != strings.TrimSpace(text) {
		t.Errorf("%s printed otherwise:\n%s", name, b)
	}
	text = strings.TrimSpace(text)
	for i := range text {
		if xmldoc.Unmarshal([]byte(text[:i]), d) == nil {
			t.Fatalf("%s read although cut at %d", name, i)
		}
	}
}

func TestDocumentsOfJXSE(t *testing.T) {
	var q query
	samePrinted(t, "pip-query-plain.xml", &q)
	if q.Source != e2 || q.Target != e1 || !q.Request.IsZero() {
		t.Errorf("plain query: %+v", q)
	}
	samePrinted(t, "pip-query-monitor.xml", &q)
	if monitor, ok := q.Request.Child("Monitor"); !ok {
		t.Error("no request")
	} else if kind, _ := monitor.Child("requestType"); kind.Text() != "peerMonitorInfo" {
		t.Errorf("request for %q", kind.Text())
	}
	var r response
	samePrinted(t, "pip-response-monitor.xml", &r)
	if r.Source != e2 || r.Target != e1 || r.Uptime != 123456 || r.Timestamp != 1700000000000 || r.Response.IsZero() {
		t.Errorf("response: %+v", r)
	}
}

func FuzzDocuments(f *testing.F) {
	for _, name := range []string{"pip-query-plain.xml", "pip-query-monitor.xml", "pip-response-monitor.xml"} {
		f.Add(printed(f, name))
	}
	f.Fuzz(func(t *testing.T, text string) {
		var r, r2 response
		if xmldoc.Unmarshal([]byte(text), &r) == nil {
			if b, err := xmldoc.Marshal(&r); err == nil {
				if err := xmldoc.Unmarshal(b, &r2); err != nil {
					t.Fatal(err)
				}
				if r.Source != r2.Source || r.Target != r2.Target || r.Uptime != r2.Uptime || r.Timestamp != r2.Timestamp {
					t.Fatalf("%+v became %+v", r, r2)
				}
			}
		}
		var q, q2 query
		if xmldoc.Unmarshal([]byte(text), &q) == nil {
			if b, err := xmldoc.Marshal(&q); err == nil {
				if err := xmldoc.Unmarshal(b, &q2); err != nil {
					t.Fatal(err)
				}
				if q.Source != q2.Source || q.Target != q2.Target {
					t.Fatalf("%+v became %+v", q, q2)
				}
			}
		}
	})
}

// node is a peer as far as this package needs one.
type node struct {
	id   id.Peer
	ep   *endpoint.Endpoint
	res  *resolver.Service
	info *Service // nil if it does not speak the protocol
	stop func()
}

func newNode(net *memory.Network, name string, speaks bool) (*node, error) {
	n := &node{id: id.PeerFromSeed(id.NetGroup, []byte(name))}
	var err error
	if n.ep, err = endpoint.New(endpoint.Config{Peer: n.id}); err != nil {
		return nil, err
	}
	if err = n.ep.Add(net.Transport(memory.TransportConfig{Name: name})); err != nil {
		return nil, err
	}
	scope := n.ep.Scope(id.NetGroup)
	route := func() *advertisements.Route {
		return &advertisements.Route{Dest: n.id, Addresses: n.ep.Addresses()}
	}
	rt, err := routing.New(routing.Config{Scope: scope, Self: route})
	if err != nil {
		return nil, err
	}
	adv := &advertisements.Peer{ID: n.id, Group: id.NetGroup, Name: name}
	rdv, err := rendezvous.New(rendezvous.Config{Scope: scope, Role: rendezvous.AdHoc, Advertisement: func() *advertisements.Peer { return adv }})
	if err != nil {
		return nil, err
	}
	if n.res, err = resolver.New(resolver.Config{Scope: scope, Rendezvous: rdv, Route: route, Learn: rt.Learn}); err != nil {
		return nil, err
	}
	if speaks {
		if n.info, err = New(Config{Resolver: n.res}); err != nil {
			return nil, err
		}
	}
	n.stop = func() {
		if n.info != nil {
			n.info.Close()
			n.info.Close()
		}
		n.res.Close()
		rdv.Close()
		rt.Close()
		_ = n.ep.Close()
	}
	return n, nil
}

// pair makes two peers that know each other.
func pair(t *testing.T, net *memory.Network, speaks bool) (a, b *node) {
	t.Helper()
	var nodes []*node
	for _, name := range []string{"a", "b"} {
		n, err := newNode(net, name, speaks || name == "a")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(n.stop)
		nodes = append(nodes, n)
	}
	if _, err := nodes[0].ep.Dial(t.Context(), nodes[1].ep.Addresses()[0]); err != nil {
		t.Fatal(err)
	}
	return nodes[0], nodes[1]
}

func TestAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, memory.New(memory.Config{Latency: 10 * time.Millisecond}), true)
		time.Sleep(10 * time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got, err := a.info.Ask(ctx, b.id)
		if err != nil {
			t.Fatal(err)
		}
		if got.Peer != b.id || got.Trip != 20*time.Millisecond || got.Uptime.Round(time.Minute) != 10*time.Minute || time.Since(got.Clock) != 10*time.Millisecond {
			t.Errorf("got %+v", got)
		}
		own, err := a.info.Ask(ctx, a.id)
		if err != nil || own.Peer != a.id || own.Uptime != a.info.Uptime() || own.Trip != 0 {
			t.Errorf("own: %+v %v", own, err)
		}
		if a.info.Stats() != (Stats{Asked: 1}) || b.info.Stats() != (Stats{Answered: 1}) {
			t.Errorf("stats %+v and %+v", a.info.Stats(), b.info.Stats())
		}
	})
}

func TestSilenceIsExplained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, memory.New(memory.Config{}), false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := a.info.Ask(ctx, b.id)
		if !errors.Is(err, ErrNoAnswer) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "original JXTA peers never do") {
			t.Errorf("got %v", err)
		}
		if _, err = a.info.Ask(ctx, id.NewPeer(id.NetGroup)); err == nil || errors.Is(err, ErrNoAnswer) {
			t.Errorf("a peer to which nothing leads: %v", err)
		}
		if s := a.info.Stats(); s != (Stats{Asked: 2, FailedAsks: 2}) {
			t.Errorf("stats %+v", s)
		}
		if _, err := New(Config{}); err == nil {
			t.Error("a service without resolver")
		}
		if _, err := New(Config{Resolver: a.res}); !errors.Is(err, resolver.ErrTaken) {
			t.Errorf("a second service: %v", err)
		}
	})
}

func TestOddQuestionsAreNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, memory.New(memory.Config{}), true)
		for name, q := range map[string]*query{
			"for another":               {Source: a.id, Target: e1},
			"in the name of another":    {Source: e1, Target: b.id},
			"of the monitoring service": {Source: a.id, Target: b.id, Request: xmldoc.NewNode("request", "", xmldoc.NewNode("Monitor", ""))},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			for r, err := range protocol.AskPeer(ctx, a.res, b.id, q) {
				t.Errorf("%s: %+v %v", name, r, err)
			}
			cancel()
		}
		if s := b.info.Stats(); s != (Stats{RefusedQuestions: 3}) {
			t.Errorf("stats %+v", s)
		}
	})
}

// The claims of a peer are bounded, and answers about others are not taken.
func TestOddAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer response
		want   time.Duration
		fails  bool
	}{
		"long life":        {response{Uptime: 1<<63 - 1}, 100 * 365 * 24 * time.Hour, false},
		"negative":         {response{Uptime: -5, Timestamp: -1 << 63}, 0, false},
		"of another":       {response{Target: e1}, 0, true},
		"meant for others": {response{Source: e1}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := pair(t, memory.New(memory.Config{}), false)
				err := protocol.Handle(t.Context(), b.res, func(context.Context, resolver.Query[*query]) (*response, error) {
					r := c.answer
					if r.Source.IsZero() {
						r.Source = a.id
					}
					if r.Target.IsZero() {
						r.Target = b.id
					}
					return &r, nil
				})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				got, err := a.info.Ask(ctx, b.id)
				if c.fails != errors.Is(err, ErrNoAnswer) || got.Uptime != c.want {
					t.Errorf("%+v %v", got, err)
				}
				if s := a.info.Stats(); c.fails != (s == Stats{Asked: 1, FailedAsks: 1, DroppedMismatch: 1}) {
					t.Errorf("stats %+v", s)
				}
			})
		})
	}
}

func ExampleService_Ask() {
	net := memory.New(memory.Config{})
	ann, err := newNode(net, "ann", true)
	if err != nil {
		panic(err)
	}
	defer ann.stop()
	bob, err := newNode(net, "bob", true)
	if err != nil {
		panic(err)
	}
	defer bob.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := ann.ep.Dial(ctx, bob.ep.Addresses()[0]); err != nil {
		panic(err)
	}

	info, err := ann.info.Ask(ctx, bob.id)
	fmt.Println(info.Peer == bob.id, info.Uptime < time.Minute, err)
	// Output: true true <nil>
}
