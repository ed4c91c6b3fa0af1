package routing

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// TestRouterDocumentsInRecordings: the router document of every recorded message is
// read, and is the same document when it is printed again.
func TestRouterDocumentsInRecordings(t *testing.T) {
	var files []string
	for _, pattern := range []string{"services/*.jxm", "transport/tcp-package-*.bin", "transport/cbjx27-*.bin"} {
		f, err := filepath.Glob("../../core/message/testdata/" + pattern)
		if err != nil || len(f) == 0 {
			t.Fatal(pattern, err)
		}
		files = append(files, f...)
	}
	count := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m, err := message.Decode(b[bytes.Index(b, []byte("jxmg")):])
		if err != nil {
			t.Fatal(f, err)
		}
		e, ok := m.Get(message.Platform, elemHeader)
		if !ok {
			continue
		}
		count++
		var h header
		if err := xmldoc.Unmarshal(e.Body, &h); err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		doc, err := xmldoc.Marshal(&h)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		was, err1 := xmldoc.ParseNode(e.Body)
		is, err2 := xmldoc.ParseNode(doc)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		signed := strings.Contains(f, "cbjx27") // 2.7 signs its routes, which nobody here reads
		if same := was.Equal(is); same == (signed && h.Route != nil) {
			t.Errorf("%s: the same document: %v\n%s", f, same, doc)
		}
	}
	if count != 78 {
		t.Errorf("%d router documents found", count)
	}
}

// texts lists the texts of a document with their paths.
func texts(t *testing.T, doc []byte) string {
	t.Helper()
	n, err := xmldoc.ParseNode(doc)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	var walk func(path string, n xmldoc.Node)
	walk = func(path string, n xmldoc.Node) {
		if path += "/" + n.Name(); n.Text() != "" {
			all = append(all, path+"="+n.Text())
		}
		for c := range n.Children() {
			walk(path, c)
		}
	}
	walk("", n)
	return strings.Join(all, "\n")
}

// TestRouteDocumentsSayTheSame: query, answer and NACK of JXSE 2.5, printed again,
// have every text in its place.
func TestRouteDocumentsSayTheSame(t *testing.T) {
	for name, d := range map[string]xmldoc.Document{
		"tcp-package-route-query": &query{}, "tcp-package-route-response": &response{}, "tcp-package-route-nack": &response{},
	} {
		body := bodyOf(t, name)
		if err := xmldoc.Unmarshal([]byte(body), d); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		doc, err := xmldoc.Marshal(d)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if was, is := texts(t, []byte(body)), texts(t, doc); was != is {
			t.Errorf("%s: printed again it says\n%s\nand not\n%s", name, is, was)
		}
	}
	var q query
	const with = `<jxta:ERQ><Dst>%[1]s</Dst><Src><jxta:RA><DstPID>%[1]s</DstPID></jxta:RA></Src><Bad>%[1]s</Bad><Bad>%[2]s</Bad></jxta:ERQ>`
	one, two := id.PeerFromSeed(id.NetGroup, []byte("1")), id.PeerFromSeed(id.NetGroup, []byte("2"))
	if err := xmldoc.Unmarshal(fmt.Appendf(nil, with, one, two), &q); err != nil || !slices.Equal(q.Bad, []id.Peer{one, two}) {
		t.Errorf("bad hops %v, %v", q.Bad, err)
	}
	if err := xmldoc.Unmarshal([]byte(strings.Replace(fmt.Sprintf(with, one, two), "<Bad>", strings.Repeat("<Bad/>", maxHops+1)+"<Bad>", 1)), &q); err == nil {
		t.Error("any number of bad hops is read")
	}
}

// bodyOf returns the body of a recorded query or answer about routes.
func bodyOf(t *testing.T, name string) string {
	t.Helper()
	for e := range recording(t, name).All() {
		switch {
		case strings.HasSuffix(e.Name, "ORes"):
			var q resolver.RawQuery
			if err := xmldoc.Unmarshal(e.Body, &q); err != nil {
				t.Fatal(err)
			}
			return q.Body
		case strings.HasSuffix(e.Name, "IRes"):
			var r resolver.RawResponse
			if err := xmldoc.Unmarshal(e.Body, &r); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(name, "nack") && r.ID != -1 {
				t.Errorf("the NACK has query ID %d", r.ID)
			}
			return r.Body
		}
	}
	t.Fatalf("%s: nothing of the resolver", name)
	return ""
}

// keeper is a peer without a router that keeps what comes for one.
type keeper struct {
	id  id.Peer
	ep  *endpoint.Endpoint
	mu  sync.Mutex
	got []endpoint.Incoming
}

func newKeeper(t *testing.T, net *memory.Network, name string) *keeper {
	t.Helper()
	k := &keeper{id: id.PeerFromSeed(id.NetGroup, []byte(name))}
	var err error
	if k.ep, err = endpoint.New(endpoint.Config{Peer: k.id}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.ep.Close() })
	if err := k.ep.Add(net.Transport(memory.TransportConfig{Name: name})); err != nil {
		t.Fatal(err)
	}
	_, err = k.ep.Scope(id.NetGroup).Handle(service, "", func(_ context.Context, in endpoint.Incoming) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.got = append(k.got, in)
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *keeper) take() []endpoint.Incoming {
	k.mu.Lock()
	defer k.mu.Unlock()
	got := k.got
	k.got = nil
	return got
}

// TestWhatIsSent: the document of a message to a neighbour, and when it tells the
// own route.
func TestWhatIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a, k := newNode(t, net, "a", nodeConfig{}), newKeeper(t, net, "k")
		if _, err := a.ep.Dial(t.Context(), mem("k")); err != nil {
			t.Fatal(err)
		}
		sub := id.GroupFromSeed(id.NetGroup, []byte("sub"))
		for i, c := range []struct {
			group id.Group
			after time.Duration
			dest  string
			told  bool
		}{
			{id.NetGroup, 0, "/svc/p", true},
			{id.NetGroup, time.Second, "/svc/p", false},
			{sub, time.Second, "/EndpointService:" + sub.Unique() + "/svc/p", false},
			{id.NetGroup, announceAgain, "/svc/p", true},
			{id.NetGroup, time.Second, "/svc/p", false},
		} {
			time.Sleep(c.after)
			if err := a.ep.Scope(c.group).Send(t.Context(), k.id, "svc", "p", message.New(message.Text("", "t", "x"))); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			got := k.take()
			if len(got) != 1 {
				t.Fatalf("%d messages", len(got))
			}
			if in := got[0]; in.Dest.Service != "EndpointRouter" || in.Source != mem("a") {
				t.Errorf("addressed to %s from %s", in.Dest, in.Source)
			}
			e, _ := got[0].Message.Get(message.Platform, elemHeader)
			n, err := xmldoc.ParseNode(e.Body)
			if err != nil || e.Type != message.TypeXML {
				t.Fatal(err, e.Type)
			}
			var names []string
			for child := range n.Children() {
				names = append(names, child.Name())
			}
			want := "[Src Dest Last Fwd Rvs]"
			if c.told {
				want = "[Src Dest Last Fwd Rvs jxta:RA]"
			}
			me := "jxta://" + a.id.Unique()
			text := func(name string) string { c, _ := n.Child(name); return c.Text() }
			if fmt.Sprint(names) != want || text("Src") != me || text("Last") != me || text("Dest") != "jxta://"+k.id.Unique()+c.dest {
				t.Errorf("message %d: %s", i, e.Body)
			}
		}
	})
}

// TestReadingRules: what a router document needs, and what may be in it.
func TestReadingRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		v, k := newNode(t, net, "v", nodeConfig{}), newKeeper(t, net, "k")
		l, err := k.ep.Dial(t.Context(), mem("v"))
		if err != nil {
			t.Fatal(err)
		}
		me, you := "jxta://"+k.id.Unique(), "jxta://"+v.id.Unique()
		src, dest, last := "<Src>"+me+"</Src>", "<Dest>"+you+"/svc/p</Dest>", "<Last>"+me+"</Last>"
		hop := func(n int) (s string) {
			for i := range n {
				s += "<jxta:APA><PID>" + id.PeerFromSeed(id.NetGroup, []byte{byte(i)}).String() + "</PID></jxta:APA>"
			}
			return s
		}
		from := "<jxta:APA><PID>" + k.id.String() + "</PID></jxta:APA>"
		const ways = "<Fwd/><Rvs/>"
		for doc, want := range map[string]bool{
			src + dest + last + ways:                                                   true,
			ways + last + dest + src:                                                   true,
			"<Src> " + me + "\n</Src>" + dest + last + ways:                            true,
			"<Src>" + strings.ToUpper("jxta") + me[4:] + "</Src>" + dest + last + ways: true,
			src + dest + last + "<Fwd></Fwd><Rvs>" + from + hop(maxHops-1) + "</Rvs>":  true,
			src + dest + last: true,
			src + dest + last + "<Fwd/><Rvs>" + from + "<jxta:APA/></Rvs>":                              true,
			src + dest + last + "<Fwd><jxta:APA><PID>nobody</PID></jxta:APA>" + hop(1) + "</Fwd><Rvs/>": true,
			src + dest + last + "<Fwd><other/></Fwd><Rvs><jxta:APA/></Rvs>":                             true,
			src + dest + last + ways + "<jxta:RA><DstPID>nobody</DstPID></jxta:RA>":                     true,
			src + dest + last + "<Fwd/><Rvs>" + hop(1) + "</Rvs>":                                       false, // not the neighbour
			src + dest + last + ways + "<TTL>1</TTL><Future><a/></Future>":                              true,
			src + dest + last + ways + "<jxta:RA><DstPID>" + k.id.String() + "</DstPID></jxta:RA>":      true,
			dest + last + ways: false,
			src + last + ways:  false,
			src + dest + ways:  false,
			"<Src>tcp://192.0.2.1:1</Src>" + dest + last + ways:                   false,
			src + "<Dest>jxta://somebody/svc/p</Dest>" + last + ways:              false,
			src + dest + last + "<Fwd/><Rvs>" + from + hop(maxHops) + "</Rvs>":    false,
			src + dest + last + "<Fwd/><Rvs>" + from + hop(1) + hop(1) + "</Rvs>": false,
			"": false,
		} {
			before := v.r.Stats()
			m := message.New(message.Text("", "t", "x"),
				message.XML(message.Platform, elemHeader, []byte("<jxta:ERM>"+doc+"</jxta:ERM>")),
				message.XML(message.Platform, elemHeader, []byte("<the first counts>")))
			if err := k.ep.SendOn(t.Context(), l, v.r.hop(), m); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			delivered := len(v.got) == 1
			if delivered {
				if in := <-v.got; in.From != k.id || in.Dest.Service != "svc" || in.Dest.Param != "p" {
					t.Errorf("%s: from %s to %s", doc, in.From.Short(), in.Dest)
				}
			}
			if after := v.r.Stats(); delivered != want || (after.DroppedMalformed+after.DroppedForged-before.DroppedMalformed-before.DroppedForged == 1) == want {
				t.Errorf("%s: delivered %v, %+v", doc, delivered, after)
			}
		}
	})
}

// TestForwardingRules: the way on from the hop after oneself, or straight when the
// destination is a neighbour; oneself in front of those who forwarded; a loop or
// too long a way ends.
func TestForwardingRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		v, from := newNode(t, net, "v", nodeConfig{}), newKeeper(t, net, "from")
		next, dest := newKeeper(t, net, "next"), newKeeper(t, net, "dest")
		far := id.PeerFromSeed(id.NetGroup, []byte("far"))
		other := id.PeerFromSeed(id.NetGroup, []byte("other"))
		for _, k := range []*keeper{next, dest} {
			if _, err := k.ep.Dial(t.Context(), mem("v")); err != nil {
				t.Fatal(err)
			}
		}
		l, err := from.ep.Dial(t.Context(), mem("v"))
		if err != nil {
			t.Fatal(err)
		}
		many := func(n int) (all []id.Peer) {
			all = append(all, from.id)
			for i := range n - 1 {
				all = append(all, id.PeerFromSeed(id.NetGroup, []byte{byte(i), 1}))
			}
			return all
		}
		for what, c := range map[string]struct {
			dest     id.Peer
			fwd, rvs []id.Peer
			to       *keeper
			fwdThen  []id.Peer
		}{
			"to a neighbour":               {dest.id, nil, nil, dest, nil},
			"to a neighbour at once":       {dest.id, []id.Peer{v.id, next.id}, nil, dest, nil},
			"the hop after this":           {far, []id.Peer{other, v.id, next.id, far}, nil, next, []id.Peer{next.id, far}},
			"the first hop":                {far, []id.Peer{next.id, other}, nil, next, []id.Peer{next.id, other}},
			"others before":                {dest.id, nil, []id.Peer{from.id, other}, dest, nil},
			"was here before":              {dest.id, nil, []id.Peer{from.id, v.id}, nil, nil},
			"first is not the neighbour":   {dest.id, nil, []id.Peer{other, from.id}, nil, nil},
			"longest way":                  {dest.id, nil, many(maxHops - 1), dest, nil},
			"too long a way":               {dest.id, nil, many(maxHops), nil, nil},
			"nobody knows":                 {far, nil, nil, nil, nil},
			"the only hop is out of reach": {far, []id.Peer{v.id, other}, nil, nil, nil},
		} {
			doc, err := xmldoc.Marshal(&header{
				Src: endpoint.PeerAddress(from.id, "", ""), Dest: endpoint.PeerAddress(c.dest, "svc", "p"),
				Last: endpoint.PeerAddress(from.id, "", ""), Fwd: c.fwd, Rvs: c.rvs,
			})
			if err != nil {
				t.Fatal(err)
			}
			body := message.New(message.Text("app", "t", what), message.XML(message.Platform, elemHeader, doc), message.Bytes("app", "b", []byte{0}))
			if err := from.ep.SendOn(t.Context(), l, v.r.hop(), body); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
			for _, k := range []*keeper{next, dest, from} {
				got := slices.DeleteFunc(k.take(), func(in endpoint.Incoming) bool { // NACKs
					return headerOf(t, in.Message).Dest.Param == id.NetGroup.Unique()+"IRes"
				})
				if len(got) == 0 && k != c.to {
					continue
				}
				if len(got) != 1 || k != c.to {
					t.Errorf("%s: %d messages at %s", what, len(got), k.id.Short())
					continue
				}
				h := headerOf(t, got[0].Message)
				rvs := append([]id.Peer{v.id}, c.rvs...)
				if h.Src != endpoint.PeerAddress(from.id, "", "") || h.Dest != endpoint.PeerAddress(c.dest, "svc", "p") ||
					h.Last != endpoint.PeerAddress(v.id, "", "") || !slices.Equal(h.Fwd, c.fwdThen) || !slices.Equal(h.Rvs, rvs) {
					t.Errorf("%s: passed on with %+v", what, h)
				}
				var names []string
				for e := range got[0].Message.All() {
					names = append(names, e.Name)
				}
				if got[0].Message.Text("app", "t") != what || len(names) != 3 {
					t.Errorf("%s: elements %v", what, names)
				}
			}
		}
		if s := v.r.Stats(); s.DroppedLoop != 1 || s.DroppedTooFar != 1 || s.DroppedNoRoute != 2 || s.DroppedForged != 1 || s.Forwarded != 6 {
			t.Errorf("stats %+v", s)
		}
	})
}

// TestLearningRules: what of a route is kept.
func TestLearningRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a := newNode(t, net, "a", nodeConfig{})
		p, q, r := id.PeerFromSeed(id.NetGroup, []byte("p")), id.PeerFromSeed(id.NetGroup, []byte("q")), id.PeerFromSeed(id.NetGroup, []byte("r"))
		hops := func(all ...id.Peer) (points []advertisements.AccessPoint) {
			for _, p := range all {
				points = append(points, advertisements.AccessPoint{Peer: p})
			}
			return points
		}
		var long []id.Peer
		for i := range maxHops + 1 {
			long = append(long, id.PeerFromSeed(id.NetGroup, []byte{byte(i), 7}))
		}
		for what, c := range map[string]struct {
			route advertisements.Route
			want  string
		}{
			"addresses": {advertisements.Route{Addresses: []endpoint.Address{
				mem("p"), mem("p").With("svc", "x"), mem("a"), endpoint.MustParseAddress("tcp://192.0.2.1:9701"),
				endpoint.MustParseAddress("jxtatls://" + p.Unique()), endpoint.MustParseAddress("relay://" + p.Unique()),
			}}, "[mem://p] []"},
			"hops":                     {advertisements.Route{Hops: hops(q, r)}, "[] [q r]"},
			"what is before oneself":   {advertisements.Route{Hops: hops(q, a.id, r)}, "[] [r]"},
			"the destination as a hop": {advertisements.Route{Hops: hops(q, p)}, "[] [q]"},
			"too many hops":            {advertisements.Route{Hops: hops(long...)}, ""},
			"nothing":                  {advertisements.Route{}, ""},
		} {
			a.r.Forget(p)
			c.route.Dest = p
			a.r.Learn(&c.route)
			got := ""
			for _, i := range a.r.Routes() {
				if i.Peer == p {
					names := []string{}
					for _, h := range i.Hops {
						names = append(names, map[id.Peer]string{q: "q", r: "r"}[h])
					}
					got = fmt.Sprint(i.Addresses, names)
				}
			}
			if got != c.want {
				t.Errorf("%s: %s, want %s", what, got, c.want)
			}
		}
		a.r.Learn(&advertisements.Route{Dest: a.id, Addresses: []endpoint.Address{mem("elsewhere")}})
		a.r.Learn(nil)
		for _, i := range a.r.Routes() {
			if i.Peer == a.id {
				t.Error("a route to oneself was learned")
			}
		}
	})
}

// TestHearsay: what others say about a peer adds to what is known, and replaces
// nothing.
func TestHearsay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a := newNode(t, net, "a", nodeConfig{})
		p, q := id.PeerFromSeed(id.NetGroup, []byte("p")), id.PeerFromSeed(id.NetGroup, []byte("q"))
		known := func(p id.Peer) string {
			for _, i := range a.r.Routes() {
				if i.Peer == p {
					return fmt.Sprint(i.Addresses, len(i.Hops))
				}
			}
			return ""
		}
		at := func(names ...string) (all []endpoint.Address) {
			for _, n := range names {
				all = append(all, mem(n))
			}
			return all
		}
		want := func(p id.Peer, want string) {
			t.Helper()
			if got := known(p); got != want {
				t.Errorf("known is %s, want %s", got, want)
			}
		}
		a.r.Hear(&advertisements.Route{Dest: p, Addresses: at("1")})
		want(p, "[mem://1] 0")
		a.r.Hear(&advertisements.Route{Dest: p, Addresses: at("2", "1"), Hops: []advertisements.AccessPoint{{Peer: q}}})
		want(p, "[mem://1 mem://2] 1")
		a.r.Learn(&advertisements.Route{Dest: p, Addresses: at("3")}) // the peer itself
		want(p, "[mem://3] 1")
		for i := range 20 {
			a.r.Hear(&advertisements.Route{Dest: p, Addresses: at(fmt.Sprint("trap", i))})
		}
		if got := known(p); !strings.HasPrefix(got, "[mem://3 mem://trap0 ") || strings.Count(got, "mem") != maxHeard {
			t.Errorf("known is %s", got)
		}
		// A peer that tells its own way says something about others.
		a.r.Learn(&advertisements.Route{Dest: q, Hops: []advertisements.AccessPoint{{Peer: p, Addresses: at("trap")}}})
		want(q, "[] 1")
		if got := known(p); !strings.HasPrefix(got, "[mem://3 ") {
			t.Errorf("known is %s", got)
		}
		// A way through others stays, too, and comes before what others say.
		a.r.Hear(&advertisements.Route{Dest: q, Addresses: at("trap"), Hops: []advertisements.AccessPoint{{Peer: numbered(1)}}})
		want(q, "[mem://trap] 1")
		a.r.Hear(&advertisements.Route{Dest: a.id, Addresses: at("trap")})
		a.r.Hear(nil)
		want(a.id, "")
	})
}

// TestFailedAddressesRest: an address that did not answer is left alone for 30 s.
func TestFailedAddressesRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a := newNode(t, net, "a", nodeConfig{})
		b := &node{id: id.PeerFromSeed(id.NetGroup, []byte("b"))}
		a.r.Learn(&advertisements.Route{Dest: b.id, Addresses: []endpoint.Address{mem("b")}})
		if err := a.send(t.Context(), b, "x"); err == nil {
			t.Fatal("sent to nobody")
		}
		b = newNode(t, net, "b", nodeConfig{})
		time.Sleep(attemptPause - time.Second)
		if err := a.send(t.Context(), b, "x"); err == nil || !strings.Contains(err.Error(), "failed less than 30s ago") {
			t.Errorf("after 29 s: %v", err)
		}
		time.Sleep(time.Second)
		if err := a.send(t.Context(), b, "x"); err != nil {
			t.Error(err)
		}
		b.want(t, a, "x")
	})
}

// TestRouteAnswers: what is told about whom, and which answers are believed.
func TestRouteAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a, b, c := newNode(t, net, "a", nodeConfig{}), newNode(t, net, "b", nodeConfig{}), newNode(t, net, "c", nodeConfig{})
		far, hop := id.PeerFromSeed(id.NetGroup, []byte("far")), id.PeerFromSeed(id.NetGroup, []byte("hop"))
		b.dial(t, a)
		c.dial(t, a)
		a.r.Learn(&advertisements.Route{Dest: far, Hops: []advertisements.AccessPoint{{Peer: hop}}})
		asker := a.r.asker.Load()
		for what, q := range map[string]struct {
			wanted id.Peer
			bad    []id.Peer
			want   string // nil, or addresses and hops
		}{
			"itself":            {a.id, nil, "[mem://a] []"},
			"a neighbour":       {b.id, nil, "[] []"},
			"a way":             {far, nil, "[] [" + hop.Short() + "]"},
			"a way that is bad": {far, []id.Peer{c.id, hop}, "nil"},
			"nothing":           {hop, nil, "nil"},
		} {
			got := "nil"
			if r := asker.known(q.wanted, q.bad); r != nil {
				hops := []string{}
				for _, h := range r.Hops {
					hops = append(hops, h.Peer.Short())
				}
				if got = fmt.Sprint(r.Addresses, hops); r.Dest != q.wanted {
					t.Errorf("%s: told of %s", what, r.Dest.Short())
				}
			}
			if got != q.want {
				t.Errorf("%s: %s, want %s", what, got, q.want)
			}
		}
		// Whoever answers must be asked, and speak for himself.
		doc := func(responder *node, wanted id.Peer, hops ...id.Peer) string {
			d := &advertisements.Route{Dest: wanted}
			for _, h := range hops {
				d.Hops = append(d.Hops, advertisements.AccessPoint{Peer: h})
			}
			text, err := xmldoc.Marshal(&response{Dest: d, Src: responder.route()})
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		wanted := id.PeerFromSeed(id.NetGroup, []byte("wanted"))
		ways := func() string {
			i, _ := a.r.Route(wanted)
			all := []string{}
			for _, w := range i.Ways {
				s := []string{}
				for _, h := range w.Hops {
					s = append(s, map[id.Peer]string{b.id: "b", c.id: "c", hop: "hop"}[h])
				}
				all = append(all, strings.Join(s, " "))
			}
			return strings.Join(all, ", ")
		}
		for _, x := range []struct {
			what  string
			asked bool
			r     resolver.RawResponse
			want  string
		}{
			{"nobody asked", false, resolver.RawResponse{ID: 42, From: b.id, Body: doc(b, wanted)}, ""},
			{"a NACK", true, resolver.RawResponse{ID: -1, From: b.id, Body: doc(b, wanted, hop)}, ""},
			{"another question", true, resolver.RawResponse{ID: 43, From: b.id, Body: doc(b, wanted)}, ""},
			{"in another's name", true, resolver.RawResponse{ID: 42, From: c.id, Body: doc(b, wanted)}, ""},
			{"no document", true, resolver.RawResponse{ID: 42, From: c.id, Body: "<jxta:ERR/>"}, ""},
			{"a neighbour of it", true, resolver.RawResponse{ID: 42, From: b.id, Body: doc(b, wanted)}, "b"},
			{"further", true, resolver.RawResponse{ID: 42, From: b.id, Body: doc(b, wanted, hop)}, "b, b hop"},
			{"itself in front", true, resolver.RawResponse{ID: 42, From: c.id, Body: doc(c, wanted, c.id, hop)}, "b, c hop, b hop"},
		} {
			asker.mu.Lock()
			if x.asked {
				if asker.pending == nil {
					asker.pending = map[id.Peer]*asked{}
				}
				asker.pending[wanted] = &asked{id: 42, when: time.Now()}
			}
			asker.mu.Unlock()
			x.r.Handler = service
			asker.response(t.Context(), &x.r)
			if got := ways(); got != x.want {
				t.Errorf("%s: the way is %q, want %q", x.what, got, x.want)
			}
		}
	})
}
