package resolver_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/routing"
)

// hello and intro are the documents of a protocol for these tests.
type hello struct{ From string }

func (h *hello) Map(m *xmldoc.Mapper) {
	m.Root("Hello")
	m.Text("From", &h.From)
}

type intro struct{ Name string }

func (i *intro) Map(m *xmldoc.Mapper) {
	m.Root("Intro")
	m.Text("Name", &i.Name)
}

var greet = resolver.Define[*hello, *intro]("urn:test:greet")

type node struct {
	name string
	id   id.Peer
	ep   *endpoint.Endpoint
	rdv  *rendezvous.Service
	res  *resolver.Service
}

type nodeConfig struct {
	role    rendezvous.Role
	seeds   []string
	segment string
	answer  bool
	chance  *rand.Rand
	shows   string // as credential
	permit  func() error
	admit   func(resolver.Shown) error
}

func newNode(t *testing.T, net *memory.Network, name string, cfg nodeConfig) *node {
	t.Helper()
	n := &node{name: name, id: id.PeerFromSeed(id.NetGroup, []byte(name))}
	var err error
	check := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	n.ep, err = endpoint.New(endpoint.Config{Peer: n.id})
	check()
	err = n.ep.Add(net.Transport(memory.TransportConfig{Name: name, Segment: cfg.segment}))
	check()
	scope := n.ep.Scope(id.NetGroup)
	route := func() *advertisements.Route {
		return &advertisements.Route{Dest: n.id, Addresses: n.ep.Addresses()}
	}
	router, err := routing.New(routing.Config{Scope: scope, Self: route})
	check()
	adv := &advertisements.Peer{ID: n.id, Group: id.NetGroup, Name: name}
	err = adv.SetRoute(route())
	check()
	n.rdv, err = rendezvous.New(rendezvous.Config{
		Connect: router.Connect, Learn: router.Learn, Hear: router.Hear,
		Scope: scope, Role: cfg.role, Advertisement: func() *advertisements.Peer { return adv },
		Seeds: func() (all []endpoint.Address) {
			for _, s := range cfg.seeds {
				all = append(all, endpoint.MustParseAddress("mem://"+s))
			}
			return all
		},
	})
	check()
	n.res, err = resolver.New(resolver.Config{
		Scope: scope, Rendezvous: n.rdv, Route: route, Learn: router.Learn, Rand: cfg.chance, Permit: cfg.permit, Admit: cfg.admit,
		Credential: func() xmldoc.Node {
			if cfg.shows == "" {
				return xmldoc.Node{}
			}
			return xmldoc.NewNode("jxta:Cred", cfg.shows)
		},
	})
	check()
	ctx, cancel := context.WithCancel(context.Background())
	err = router.Ask(ctx, n.res)
	check()
	if cfg.answer {
		err = greet.Handle(ctx, n.res, func(_ context.Context, q resolver.Query[*hello]) (*intro, error) {
			if q.Body.From == "nobody" {
				return nil, resolver.ErrNoAnswer
			}
			return &intro{Name: name}, nil
		})
		check()
	}
	t.Cleanup(func() {
		cancel()
		n.res.Close()
		n.rdv.Close()
		router.Close()
		if err := n.ep.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// star is a rendezvous with three edges; all but the first answer greetings.
func star(t *testing.T) (asker *node, others []*node) {
	net := memory.New(memory.Config{Latency: time.Millisecond})
	r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous, answer: true})
	seeds := []string{"r"}
	a := newNode(t, net, "a", nodeConfig{seeds: seeds})
	b := newNode(t, net, "b", nodeConfig{seeds: seeds, answer: true})
	c := newNode(t, net, "c", nodeConfig{seeds: seeds, answer: true})
	time.Sleep(time.Second)
	return a, []*node{r, b, c}
}

func names(t *testing.T, d time.Duration, ask func(ctx context.Context) func(func(resolver.Response[*intro], error) bool)) (all []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	for r, err := range ask(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r.Body.Name)
	}
	slices.Sort(all)
	return all
}

func TestTheGroupAnswersOnceEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := star(t)
		got := names(t, time.Second, func(ctx context.Context) func(func(resolver.Response[*intro], error) bool) {
			return greet.Ask(ctx, a.res, &hello{From: "a"})
		})
		if fmt.Sprint(got) != "[b c r]" {
			t.Fatalf("answers of %v", got)
		}
	})
}

func TestOnePeerIsAskedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, others := star(t)
		c := others[2]
		got := names(t, time.Second, func(ctx context.Context) func(func(resolver.Response[*intro], error) bool) {
			return greet.AskPeer(ctx, a.res, c.id, &hello{From: "a"})
		})
		if fmt.Sprint(got) != "[c]" {
			t.Fatalf("answers of %v", got)
		}
		for _, o := range others[:2] {
			if q := o.res.Stats().Queries; o.name != "r" && q != 0 {
				t.Fatalf("%s got %d queries", o.name, q)
			}
		}
	})
}

func TestSilenceIsTheNormalEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := star(t)
		start := time.Now()
		got := names(t, 3*time.Second, func(ctx context.Context) func(func(resolver.Response[*intro], error) bool) {
			return greet.Ask(ctx, a.res, &hello{From: "nobody"})
		})
		if got != nil || time.Since(start) != 3*time.Second {
			t.Fatalf("answers of %v after %v", got, time.Since(start))
		}
	})
}

func TestBreakingOffFreesTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := star(t)
		for range greet.Ask(t.Context(), a.res, &hello{From: "a"}) {
			break
		}
		time.Sleep(time.Second)
		if s := a.res.Stats(); s.DroppedNoHandler == 0 {
			t.Fatalf("answers after the end were not counted: %+v", s)
		}
	})
}

func TestANeighbourhoodAnswersWithoutRendezvous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a := newNode(t, net, "a", nodeConfig{segment: "s"})
		newNode(t, net, "b", nodeConfig{segment: "s", answer: true})
		newNode(t, net, "c", nodeConfig{segment: "other", answer: true})
		got := names(t, time.Second, func(ctx context.Context) func(func(resolver.Response[*intro], error) bool) {
			return greet.Ask(ctx, a.res, &hello{From: "a"})
		})
		if fmt.Sprint(got) != "[b]" {
			t.Fatalf("answers of %v", got)
		}
	})
}

func TestALonelyPeerIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newNode(t, memory.New(memory.Config{}), "a", nodeConfig{})
		for _, err := range greet.Ask(t.Context(), a.res, &hello{From: "a"}) {
			if !errors.Is(err, resolver.ErrNobody) {
				t.Fatalf("got %v", err)
			}
			return
		}
		t.Fatal("the sequence ended without an error")
	})
}

func TestANameIsTakenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, memory.New(memory.Config{}), "n", nodeConfig{answer: true})
		again := func(ctx context.Context) error {
			return greet.Handle(ctx, n.res, func(context.Context, resolver.Query[*hello]) (*intro, error) { return nil, resolver.ErrNoAnswer })
		}
		if err := again(t.Context()); !errors.Is(err, resolver.ErrTaken) {
			t.Fatalf("got %v", err)
		}
	})
}

// send writes one resolver message from a to b as octets of our making.
func send(t *testing.T, a, b *node, suffix string, e message.Element) {
	t.Helper()
	e.Namespace, e.Name = message.Platform, id.NetGroup.Unique()+suffix
	l, err := a.ep.Dial(t.Context(), b.ep.Addresses()[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := a.ep.Scope(id.NetGroup).SendOn(t.Context(), l, id.ClassResolver.String(), e.Name, message.New(e)); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func TestLimitsBite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a, b := newNode(t, net, "a", nodeConfig{}), newNode(t, net, "b", nodeConfig{answer: true})
		var bomb bytes.Buffer
		w := gzip.NewWriter(&bomb)
		_, _ = w.Write([]byte("<a>" + strings.Repeat(" ", 8<<20) + "</a>"))
		_ = w.Close()
		query := func(hc int) message.Element {
			doc, err := xmldoc.Marshal(&resolver.RawQuery{Handler: greet.Name(), ID: 7, HC: hc, Source: a.id, Body: "<Hello/>"})
			if err != nil {
				t.Fatal(err)
			}
			return message.Element{Type: message.TypeXML, Body: doc}
		}
		for _, c := range []struct {
			name, suffix string
			e            message.Element
			counter      func(resolver.Stats) uint64
		}{
			{"forwarded too often", "ORes", query(3), func(s resolver.Stats) uint64 { return s.DroppedOverHops }},
			{"no XML", "ORes", message.Element{Body: []byte("hello")}, func(s resolver.Stats) uint64 { return s.DroppedMalformed }},
			{"query ID of 33 bits", "ORes", message.Element{Body: bytes.Replace(query(0).Body, []byte("<QueryID>7"), []byte("<QueryID>4294967296"), 1)}, func(s resolver.Stats) uint64 { return s.DroppedMalformed }},
			{"gzip bomb", "Srdi", message.Element{Type: message.TypeGzip, Body: bomb.Bytes()}, func(s resolver.Stats) uint64 { return s.DroppedMalformed }},
			{"cut gzip", "Srdi", message.Element{Type: message.TypeGzip, Body: bomb.Bytes()[:40]}, func(s resolver.Stats) uint64 { return s.DroppedMalformed }},
			{"answer to nothing", "IRes", answerElement(t), func(s resolver.Stats) uint64 { return s.DroppedUnasked }},
		} {
			before := c.counter(b.res.Stats())
			send(t, a, b, c.suffix, c.e)
			if after := c.counter(b.res.Stats()); after != before+1 {
				t.Errorf("%s: counter went from %d to %d\n%s", c.name, before, after, c.e.Body[:min(300, len(c.e.Body))])
			}
		}
	})
}

func answerElement(t *testing.T) message.Element {
	doc, err := xmldoc.Marshal(&resolver.RawResponse{Handler: greet.Name(), ID: 99, Body: "<Intro/>"})
	if err != nil {
		t.Fatal(err)
	}
	return message.Element{Type: message.TypeXML, Body: doc}
}

func TestRecordedMessages(t *testing.T) {
	files, err := filepath.Glob("testdata/*.jxm")
	if err != nil || len(files) == 0 {
		t.Fatal("no recordings", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		msg, err := message.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for e := range msg.All() {
			var d xmldoc.Document
			body := e.Body
			switch {
			case strings.HasSuffix(e.Name, "ORes"):
				d = &resolver.RawQuery{}
			case strings.HasSuffix(e.Name, "IRes"):
				d = &resolver.RawResponse{}
			case strings.HasSuffix(e.Name, "Srdi"):
				d = &resolver.Index{}
				if message.BaseType(e.Type) == message.TypeGzip {
					body = gunzip(t, body)
				}
			default:
				continue
			}
			found = true
			if err := xmldoc.Unmarshal(body, d); err != nil {
				t.Errorf("%s: %v", f, err)
				continue
			}
			again, err := xmldoc.Marshal(d)
			if err != nil {
				t.Errorf("%s: %v", f, err)
				continue
			}
			if was, is := leaves(t, body), leaves(t, again); was != is {
				t.Errorf("%s: printed again it says\n%s\nand not\n%s", f, is, was)
			}
		}
		if !found {
			t.Errorf("%s holds no resolver message", f)
		}
	}
}

func gunzip(t testing.TB, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := out.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// leaves lists the texts of a document with their paths, in order of path. The
// addresses of protocols that only JXSE has are left out.
func leaves(t testing.TB, doc []byte) string {
	t.Helper()
	n, err := xmldoc.ParseNode(doc)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	var walk func(path string, n xmldoc.Node)
	walk = func(path string, n xmldoc.Node) {
		path += "/" + n.Name()
		if s := n.Text(); s != "" {
			all = append(all, path+"="+s)
		}
		for c := range n.Children() {
			walk(path, c)
		}
	}
	walk("", n)
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func FuzzQuery(f *testing.F) {
	files, _ := filepath.Glob("testdata/prp-*query*.jxm")
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		msg, err := message.Decode(b)
		if err != nil {
			f.Fatal(err)
		}
		for e := range msg.All() {
			if strings.HasSuffix(e.Name, "ORes") {
				f.Add(e.Body)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		q := &resolver.RawQuery{}
		if xmldoc.Unmarshal(b, q) != nil {
			return
		}
		doc, err := xmldoc.Marshal(q)
		if err != nil {
			t.Fatalf("what was read cannot be printed: %v", err)
		}
		again := &resolver.RawQuery{}
		if err := xmldoc.Unmarshal(doc, again); err != nil || again.ID != q.ID || again.Source != q.Source || again.Body != q.Body || again.HC != q.HC {
			t.Fatalf("%v: read again as %+v, was %+v", err, again, q)
		}
	})
}

func FuzzResponseAndIndex(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.jxm")
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		msg, err := message.Decode(b)
		if err != nil {
			f.Fatal(err)
		}
		for e := range msg.All() {
			switch {
			case strings.HasSuffix(e.Name, "Srdi"):
				f.Add(gunzip(f, e.Body))
			case strings.HasSuffix(e.Name, "IRes"):
				f.Add(e.Body)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, again := &resolver.RawResponse{}, &resolver.RawResponse{}
		if xmldoc.Unmarshal(b, r) == nil {
			doc, err := xmldoc.Marshal(r)
			if err != nil {
				t.Fatalf("what was read cannot be printed: %v", err)
			}
			if err := xmldoc.Unmarshal(doc, again); err != nil || again.ID != r.ID || again.Body != r.Body {
				t.Fatalf("%v: read again as %+v, was %+v", err, again, r)
			}
		}
		x, other := &resolver.Index{}, &resolver.Index{}
		if xmldoc.Unmarshal(b, x) == nil {
			doc, err := xmldoc.Marshal(x)
			if err != nil {
				t.Fatalf("what was read cannot be printed: %v", err)
			}
			if err := xmldoc.Unmarshal(doc, other); err != nil || other.Payload != x.Payload {
				t.Fatalf("%v: read again as %+v, was %+v", err, other, x)
			}
		}
	})
}
