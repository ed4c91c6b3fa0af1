package peergroup_test

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// spy remembers the number of the last call on the network.
type spy struct {
	mu sync.Mutex
	id int32
}

var callID = regexp.MustCompile(`(?s)juxta\.call.*<QueryID>\s*(\d+)\s*</QueryID>|<QueryID>\s*(\d+)\s*</QueryID>.*juxta\.call`)

func (s *spy) tap(_, _ string, body []byte) {
	m := callID.FindSubmatch(body)
	if m == nil || !strings.Contains(string(body), "ResolverQuery") {
		return
	}
	n, err := strconv.ParseInt(string(m[1])+string(m[2]), 10, 32)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id = int32(n)
}

func (s *spy) last() int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

const goodReply = `<juxta:CallReply><Reply>&lt;Hello&gt;&lt;Name&gt;forged&lt;/Name&gt;&lt;/Hello&gt;</Reply></juxta:CallReply>`

// Answers of peers that were not asked, answers that are too large, make no sense or come
// late are counted and dropped, and the call goes on to who does better.
func TestHostileAnswers(t *testing.T) {
	for name, x := range map[string]struct {
		stranger        bool
		body            string
		after           time.Duration
		service, metric string
	}{
		"not asked":   {stranger: true, body: goodReply, service: "resolver", metric: "dropped_unasked"},
		"late":        {body: goodReply, after: 7 * time.Second, service: "resolver", metric: "dropped_unasked"},
		"nonsense":    {body: "<x/>", service: "calls", metric: "dropped_malformed"},
		"no document": {body: "hello", service: "calls", metric: "dropped_malformed"},
		"not an answer to it": {
			body: strings.ReplaceAll(goodReply, "Hello", "Other"), service: "calls", metric: "dropped_malformed",
		},
		"too large": {
			body:    "<juxta:CallReply><Reply>" + strings.Repeat("x", peergroup.MaxReply+1) + "</Reply></juxta:CallReply>",
			service: "calls", metric: "dropped_malformed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s spy
				c := newCrew(t, 1, 4, 0, s.tap)
				caller, asked, eve, honest := c.Edge(1).Net(), c.Edge(2).Net(), c.Edge(3).Net(), c.Edge(4).Net()
				liar := asked
				if x.stranger {
					liar = eve
				}
				provide(t, asked, func(ctx context.Context, _ peergroup.Request[*hello]) (*hello, error) {
					r := &resolver.RawResponse{Handler: "juxta.call", ID: s.last(), Body: x.body}
					time.Sleep(x.after)
					if err := liar.Resolver().SendResponse(context.Background(), caller.PeerID(), r); err != nil {
						t.Error(err)
					}
					<-ctx.Done()
					return nil, &peergroup.Fault{Code: "done"}
				})
				only := peergroup.CallOptions{Peer: asked.PeerID()}
				var failed *peergroup.CallError
				if r, _, err := adder.CallWith(t.Context(), caller, &hello{"me"}, only); !errors.As(err, &failed) || failed.Err == nil {
					t.Errorf("the lie went through: %v, %v", r, err)
				}
				if s.last() == 0 {
					t.Fatal("the call was not seen")
				}
				time.Sleep(5 * time.Second)
				if got := metric(caller.Peer(), x.service, x.metric); got == 0 {
					t.Errorf("not counted as %s of %s", x.metric, x.service)
				}
				provide(t, honest, nil)
				r, from, err := adder.Call(t.Context(), caller, &hello{"me"})
				if err != nil || r.Name != honest.PeerName() || from != honest.PeerID() {
					t.Errorf("nobody else was tried: %v, %v", r, err)
				}
				time.Sleep(10 * time.Second) // until the last lie is told
			})
		})
	}
}

// A provider that is stopped lets go of what it works on, and is waited for.
func TestStoppingServiceEndsItsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 1, 3, 0, nil)
		server, caller, other := c.Edge(1).Net(), c.Edge(2).Net(), c.Edge(3).Net()
		var working atomic.Bool
		stop, err := server.Load(serving(func(ctx context.Context, _ peergroup.Request[*hello]) (*hello, error) {
			working.Store(true)
			<-ctx.Done()
			time.Sleep(3 * time.Second)
			working.Store(false)
			return nil, ctx.Err()
		}))
		if err != nil {
			t.Fatal(err)
		}
		var calling sync.WaitGroup
		calling.Go(func() {
			r, _, err := adder.CallWith(t.Context(), caller, &hello{"me"}, peergroup.CallOptions{Attempt: 20 * time.Second})
			if err != nil || r.Name != other.PeerName() {
				t.Errorf("the other one was not tried: %v, %v", r, err)
			}
		})
		time.Sleep(2 * time.Second)
		if !working.Load() {
			t.Fatal("the call did not come")
		}
		provide(t, other, nil)
		stop()
		if working.Load() {
			t.Error("stopped while it works")
		}
		if got := len(server.Offers()); got != 0 {
			t.Errorf("%d offers are left", got)
		}
		if r := server.Discovery().Local(discovery.Query{Kind: advertisements.Advs, Attr: "MSID", Value: adder.Spec().String()}); len(r) != 0 {
			t.Errorf("the offer is still published: %v", r)
		}
		calling.Wait()
	})
}

type serving func(context.Context, peergroup.Request[*hello]) (*hello, error)

func (s serving) Start(ctx context.Context, g *peergroup.Group) error { return adder.Serve(ctx, g, s) }

// A call of a service of this peer itself ends in its time, whatever the service does.
func TestOwnServiceMayBeSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, inBox(memory.New(memory.Config{}), "r", peergroup.Roles{Rendezvous: true}))
		provide(t, r.Net(), func(context.Context, peergroup.Request[*hello]) (*hello, error) {
			time.Sleep(time.Minute)
			return &hello{"at last"}, nil
		})
		began := time.Now()
		_, _, err := adder.CallWith(t.Context(), r.Net(), &hello{}, peergroup.CallOptions{Attempts: 1})
		if !errors.Is(err, peergroup.ErrSilent) || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		time.Sleep(time.Minute)
	})
}

// note is a type of advertisements that a module brings.
type note struct{ Text string }

func (*note) DocType() string        { return "test:Note" }
func (n *note) Map(m *xmldoc.Mapper) { m.Root("test:Note"); m.Text("Text", &n.Text) }
func (*note) Indexed() []string      { return []string{"Text"} }
func (n *note) Key() string          { return n.Text }

// noting is a module with a type of its own that serves adder too.
type noting struct{}

func (noting) Start(ctx context.Context, g *peergroup.Group) error {
	return adder.Serve(ctx, g, func(context.Context, peergroup.Request[*hello]) (*hello, error) { return &hello{"x"}, nil })
}

func (noting) Advertisements() map[string]func() advertisements.Advertisement {
	return map[string]func() advertisements.Advertisement{"test:Note": func() advertisements.Advertisement { return new(note) }}
}

// A module that is loaded brings its types of advertisements, and shows its parameters
// where it is offered.
func TestModulesBringTypesAndParameters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{})
		cfg := inBox(network, "r", peergroup.Roles{Rendezvous: true})
		cfg.Advertisements = advertisements.Standard()
		cfg.Implementations = map[id.ModuleSpec]peergroup.Implementation{adder.Spec(): {
			Name: "noting", New: func(xmldoc.Node) (peergroup.Module, error) { return noting{}, nil },
		}}
		g := start(t, cfg).Net()
		known := func() bool {
			if err := g.Discovery().Publish(t.Context(), &note{"hi"}, discovery.Lifetime{}); err != nil {
				t.Fatal(err)
			}
			for _, r := range g.Discovery().Local(discovery.Query{Kind: advertisements.Advs, Attr: "Text", Value: "hi"}) {
				_, ok := r.Adv.(*note)
				return ok
			}
			t.Fatal("it is not found")
			return false
		}
		if known() {
			t.Error("known before anything was loaded")
		}
		stop, err := g.LoadSpec(adder.Spec(), xmldoc.NewNode("Parm", "", xmldoc.NewNode("Colour", "red")))
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		if !known() {
			t.Error("not known after it was loaded")
		}
		if a, err := cfg.Advertisements.Parse([]byte("<test:Note><Text>hi</Text></test:Note>")); err != nil {
			t.Error(err)
		} else if _, ok := a.(*note); ok {
			t.Error("the registry of the configuration was changed")
		}
		offers := peergroup.OffersOf(g.PeerAdvertisement())
		if len(offers) != 1 {
			t.Fatalf("%d offers are shown", len(offers))
		}
		if c, _ := offers[0].Params.Child("Colour"); c.Text() != "red" {
			t.Errorf("shown without its parameters: %v", offers[0])
		}
	})
}
