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
