package resolver_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
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
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

const messages = "../../core/message/testdata/"

// TestResolverElementsInRecordings: every resolver document in every recorded
// message is read, and says the same when it is printed again.
func TestResolverElementsInRecordings(t *testing.T) {
	var files []string
	for _, pattern := range []string{"services/*.jxm", "services/*.dgram", "transport/tcp-package-*.bin"} {
		f, err := filepath.Glob(messages + pattern)
		if err != nil || len(f) == 0 {
			t.Fatal(pattern, err)
		}
		files = append(files, f...)
	}
	count := map[string]int{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m, err := message.Decode(b[bytes.Index(b, []byte("jxmg")):])
		if err != nil {
			t.Fatal(f, err)
		}
		for e := range m.All() {
			var d xmldoc.Document
			body := e.Body
			switch {
			case strings.HasSuffix(e.Name, "ORes"):
				d = &resolver.RawQuery{}
			case strings.HasSuffix(e.Name, "IRes"):
				d = &resolver.RawResponse{}
			case strings.HasSuffix(e.Name, "Srdi"):
				d = &resolver.Index{}
				body = gunzip(t, body)
			default:
				continue
			}
			count[fmt.Sprintf("%T", d)[len("*resolver."):]]++
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
	}
	if got := fmt.Sprint(count); got != "map[Index:8 RawQuery:17 RawResponse:12]" {
		t.Errorf("documents of each kind: %s", got)
	}
}

// TestReadingRules: what a query and an answer need, as with JXSE 2.5.
func TestReadingRules(t *testing.T) {
	self := id.PeerFromSeed(id.NetGroup, []byte("x")).String()
	const ids = "<HandlerName>h</HandlerName><QueryID>7</QueryID>"
	src := "<SrcPeerID> " + self + "\n</SrcPeerID>"
	for doc, want := range map[string]string{
		ids + src + "<Query>q</Query>":                                     "h 7 0 q",
		"<Query>q</Query>" + src + "<HC>2</HC><Future/>" + ids:             "h 7 2 q",
		"<HandlerName>h</HandlerName>" + src + "<Query>q</Query>":          "h 0 0 q", // the ID is 0 then
		ids + src + "<HC>1</HC><HC>2</HC><Query>a</Query><Query>b</Query>": "h 7 2 b", // the last counts
		ids + src + "<Query/>":                                             "h 7 0 ",
		ids + src + "<SrcPeerRoute/><Query>q</Query>":                      "",
		ids + src:                "",
		ids + "<Query>q</Query>": "",
		"<QueryID>7</QueryID>" + src + "<Query>q</Query>":                          "",
		"<HandlerName>h</HandlerName><QueryID>x</QueryID>" + src + "<Query/>":      "",
		"<HandlerName>h</HandlerName><QueryID>-1</QueryID>" + src + "<Query/>":     "h -1 0 ",
		ids + src + "<HC>many</HC><Query>q</Query>":                                "",
		ids + "<SrcPeerID>urn:jxta:jxta-NetGroup</SrcPeerID>" + "<Query>q</Query>": "",
		ids + src + "<Query> &lt;a>&amp;lt;&lt;/a>\n</Query>":                      "h 7 0 <a>&lt;</a>",
	} {
		var q resolver.RawQuery
		err := xmldoc.Unmarshal([]byte("<jxta:ResolverQuery>"+doc+"</jxta:ResolverQuery>"), &q)
		got := fmt.Sprint(q.Handler, " ", q.ID, " ", q.HC, " ", q.Body)
		if (err == nil) != (want != "") || err == nil && (got != want || q.Source.String() != self) {
			t.Errorf("%s is read as %q, %v, want %q", doc, got, err, want)
		}
	}
	for doc, want := range map[string]bool{
		ids + "<Response>r</Response>":                                    true,
		ids + "<ResPeerID>" + self + "</ResPeerID><Response>r</Response>": true, // of the specification, nobody writes it
		"<Response>r</Response>" + ids:                                    true,
		ids:                                                               false,
		"<QueryID>7</QueryID><Response>r</Response>":                      false,
		"<HandlerName>h</HandlerName><QueryID>2147483648</QueryID><Response>r</Response>": false,
	} {
		var r resolver.RawResponse
		if err := xmldoc.Unmarshal([]byte("<jxta:ResolverResponse>"+doc+"</jxta:ResolverResponse>"), &r); (err == nil) != want {
			t.Errorf("%s: %v", doc, err)
		}
	}
	for doc, want := range map[string]bool{
		"<HandlerName>h</HandlerName><Payload>p</Payload>": true,
		"<HandlerName>h</HandlerName>":                     false,
		"<Payload>p</Payload>":                             false,
	} {
		var x resolver.Index
		if err := xmldoc.Unmarshal([]byte("<jxta:ResolverSRDI>"+doc+"</jxta:ResolverSRDI>"), &x); (err == nil) != want {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

// log is what handlers and taps write, from several goroutines.
type log struct {
	mu  sync.Mutex
	all []string
}

func (l *log) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, fmt.Sprintf(format, args...))
}

func (l *log) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := strings.Join(l.all, "; ")
	l.all = nil
	return s
}

// tap puts what comes for the resolver of a peer into the log instead.
func tap(t *testing.T, n *node, l *log) {
	t.Helper()
	n.res.Close()
	for _, suffix := range []string{"ORes", "IRes", "Srdi"} {
		_, err := n.ep.Scope(id.NetGroup).Handle(id.ClassResolver.String(), "jxta-NetGroup"+suffix, func(_ context.Context, in endpoint.Incoming) {
			for e := range in.Message.All() {
				l.add("%s %s to %s", e.Name, e.Type, in.Dest.Param)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestFormsOnTheWire: element names, types and addresses, as in the recordings.
func TestFormsOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a, b := newNode(t, net, "a", nodeConfig{}), newNode(t, net, "b", nodeConfig{})
		var got log
		tap(t, b, &got)
		if _, err := a.ep.Dial(t.Context(), b.ep.Addresses()[0]); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			send func() error
			want string
		}{
			{func() error { return a.res.SendQuery(t.Context(), b.id, &resolver.RawQuery{Handler: "h", Body: "q"}) },
				"jxta-NetGroupORes text/xml;charset=UTF-8 to jxta-NetGroupORes"},
			{func() error {
				return a.res.SendResponse(t.Context(), b.id, &resolver.RawResponse{Handler: "h", ID: 1, Body: "r"})
			},
				"jxta-NetGroupIRes text/xml;charset=UTF-8 to jxta-NetGroupIRes"},
			{func() error { return a.res.SendIndex(t.Context(), b.id, &resolver.Index{Handler: "h", Payload: "p"}) },
				"jxta-NetGroupSrdi application/gzip to jxta-NetGroupSrdi"},
		} {
			if err := c.send(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if s := got.take(); s != c.want {
				t.Errorf("sent %s, want %s", s, c.want)
			}
		}
	})
}

// TestHandlersAreFoundByName: exactly, with the hop count within bounds, and never
// for what the peer asked itself; index messages come compressed or not, queries
// only plain.
func TestHandlersAreFoundByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a, b := newNode(t, net, "a", nodeConfig{}), newNode(t, net, "b", nodeConfig{})
		var got log
		_, err := b.res.Register(t.Context(), "name", resolver.Handler{
			Query: func(_ context.Context, q *resolver.RawQuery) resolver.Outcome {
				got.add("query %s, group %v, broadcast %v, route %v", q.Body, q.ToGroup, q.Broadcast, q.Route != nil)
				return resolver.Done
			},
			Response: func(_ context.Context, r *resolver.RawResponse) { got.add("response %s", r.Body) },
			Index:    func(_ context.Context, x *resolver.Index) { got.add("index %s", x.Payload) },
		})
		if err != nil {
			t.Fatal(err)
		}
		query := func(handler string, source id.Peer, rest string) message.Element {
			return message.XML("", "", []byte("<jxta:ResolverQuery><HandlerName>"+handler+"</HandlerName><QueryID>1</QueryID><SrcPeerID>"+
				source.String()+"</SrcPeerID>"+rest+"<Query>q</Query></jxta:ResolverQuery>"))
		}
		route := func(dest id.Peer) string {
			return "<SrcPeerRoute><jxta:RA><DstPID>" + dest.String() + "</DstPID><Dst><jxta:APA/></Dst></jxta:RA></SrcPeerRoute>"
		}
		const seen = "query q, group false, broadcast false, route "
		index := "<jxta:ResolverSRDI><HandlerName>name</HandlerName><Payload>p</Payload></jxta:ResolverSRDI>"
		for _, c := range []struct {
			what, suffix string
			e            message.Element
			want         string
		}{
			{"by name", "ORes", query("name", a.id, ""), seen + "false"},
			{"case counts", "ORes", query("Name", a.id, ""), ""},
			{"forwarded twice", "ORes", query("name", a.id, "<HC>2</HC>"), seen + "false"},
			{"forwarded three times", "ORes", query("name", a.id, "<HC>3</HC>"), ""},
			{"forwarded less than never", "ORes", query("name", a.id, "<HC>-1</HC>"), ""},
			{"of its own", "ORes", query("name", b.id, ""), ""},
			{"route of the asker", "ORes", query("name", a.id, route(a.id)), seen + "true"},
			{"route of another", "ORes", query("name", a.id, route(b.id)), seen + "false"},
			{"route without destination", "ORes", query("name", a.id, "<SrcPeerRoute><jxta:RA/></SrcPeerRoute>"), seen + "false"},
			{"credential", "ORes", query("name", a.id, `<jxta:Cred type="jxta:NullCred"><PeerID>x</PeerID></jxta:Cred>`), seen + "false"},
			{"compressed query", "ORes", packed(t, string(query("name", a.id, "").Body)), ""},
			{"compressed index", "Srdi", packed(t, index), "index p"},
			{"plain index", "Srdi", message.XML("", "", []byte(index)), "index p"},
		} {
			send(t, a, b, c.suffix, c.e)
			if s := got.take(); s != c.want {
				t.Errorf("%s: %q, want %q", c.what, s, c.want)
			}
		}
	})
}

func packed(t *testing.T, doc string) message.Element {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(doc)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return message.Element{Type: message.TypeGzip, Body: b.Bytes()}
}

// TestPassingOn: a rendezvous passes on a query that it cannot answer alone, with
// its hop count as it is; an edge never does.
func TestPassingOn(t *testing.T) {
	for _, role := range []rendezvous.Role{rendezvous.Rendezvous, rendezvous.Edge, rendezvous.AdHoc} {
		t.Run(role.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := memory.New(memory.Config{})
				a := newNode(t, net, "a", nodeConfig{role: rendezvous.AdHoc})
				r := newNode(t, net, "r", nodeConfig{role: role, segment: "s"})
				b := newNode(t, net, "b", nodeConfig{role: rendezvous.AdHoc, segment: "s"})
				var got log
				_, err := b.res.Register(t.Context(), "name", resolver.Handler{Query: func(_ context.Context, q *resolver.RawQuery) resolver.Outcome {
					got.add("%s asks %s with hop count %d, group %v, broadcast %v", q.Source.Short(), q.Body, q.HC, q.ToGroup, q.Broadcast)
					return resolver.Done
				}})
				if err != nil {
					t.Fatal(err)
				}
				doc, err := xmldoc.Marshal(&resolver.RawQuery{Handler: "name", ID: 7, HC: 1, Source: a.id, Body: "q"})
				if err != nil {
					t.Fatal(err)
				}
				send(t, a, r, "ORes", message.XML("", "", doc))
				time.Sleep(time.Second)
				want := ""
				if role == rendezvous.Rendezvous {
					want = a.id.Short() + " asks q with hop count 1, group true, broadcast true"
				}
				if s := got.take(); s != want {
					t.Errorf("%q, want %q", s, want)
				}
				doc, err = xmldoc.Marshal(&resolver.RawResponse{Handler: "name", ID: 7, Body: "r"})
				if err != nil {
					t.Fatal(err)
				}
				send(t, a, r, "IRes", message.XML("", "", doc))
				time.Sleep(time.Second)
				if n := b.res.Stats().Responses; n != 0 {
					t.Errorf("%d answers were passed on", n)
				}
			})
		})
	}
}

// TestForwardingRaisesTheHopCount: forwarding to named peers raises the hop count, and the
// third time sends nothing; the asker is never asked.
func TestForwardingRaisesTheHopCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a, b := newNode(t, net, "a", nodeConfig{}), newNode(t, net, "b", nodeConfig{})
		if _, err := a.ep.Dial(t.Context(), b.ep.Addresses()[0]); err != nil {
			t.Fatal(err)
		}
		var got log
		_, err := b.res.Register(t.Context(), "name", resolver.Handler{Query: func(_ context.Context, q *resolver.RawQuery) resolver.Outcome {
			got.add("%s %d", q.Source.Short(), q.HC)
			return resolver.Done
		}})
		if err != nil {
			t.Fatal(err)
		}
		asker := id.PeerFromSeed(id.NetGroup, []byte("asker"))
		for hc, want := range []string{asker.Short() + " 1", asker.Short() + " 2", "", ""} {
			n, lost := a.res.ForwardQuery(t.Context(), &resolver.RawQuery{Handler: "name", ID: 1, HC: hc, Source: asker, Body: "q"}, []id.Peer{b.id, asker, a.id})
			synctest.Wait()
			if s := got.take(); s != want || (n == 1) != (want != "") || lost != nil {
				t.Errorf("hop count %d: %q, sent to %d, lost %v", hc, s, n, lost)
			}
		}
	})
}

// TestAnswersMustFit: the one who was asked, and the ID under which.
func TestAnswersMustFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		a, b, x := newNode(t, net, "a", nodeConfig{}), newNode(t, net, "b", nodeConfig{}), newNode(t, net, "x", nodeConfig{})
		for _, n := range []*node{b, x} {
			if _, err := a.ep.Dial(t.Context(), n.ep.Addresses()[0]); err != nil {
				t.Fatal(err)
			}
		}
		reply := func(ctx context.Context, from *node, q *resolver.RawQuery, id int32, body string) {
			if err := from.res.SendResponse(ctx, q.Source, &resolver.RawResponse{Handler: q.Handler, ID: id, Body: body}); err != nil {
				t.Error(err)
			}
		}
		_, err := b.res.Register(t.Context(), "name", resolver.Handler{Query: func(ctx context.Context, q *resolver.RawQuery) resolver.Outcome {
			reply(ctx, x, q, q.ID, "of another")
			reply(ctx, b, q, q.ID+1, "to another question")
			reply(ctx, b, q, q.ID, "right")
			return resolver.Done
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var got []string
		ids := map[int32]bool{}
		for range 2 {
			q := &resolver.RawQuery{Handler: "name", Body: "q"}
			for r, err := range a.res.Collect(ctx, b.id, q) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, r.Body)
				ids[q.ID] = true
				if len(got) == len(ids) {
					break
				}
			}
		}
		if fmt.Sprint(got) != "[right right]" || len(ids) != 2 || ids[0] {
			t.Errorf("got %q under %v", got, ids)
		}
	})
}

// TestRoutesOfAskers: the route in a query is the asker's word if it came from the
// asker, and hearsay if others passed it on.
func TestRoutesOfAskers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		a, b := newNode(t, net, "a", nodeConfig{}), newNode(t, net, "b", nodeConfig{})
		sub := id.GroupFromSeed(id.NetGroup, []byte("sub"))
		var got log
		res, err := resolver.New(resolver.Config{
			Scope: b.ep.Scope(sub), Rendezvous: b.rdv,
			Learn: func(r *advertisements.Route) { got.add("learned %v", r != nil) },
			Hear:  func(r *advertisements.Route) { got.add("heard %v", r != nil) },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer res.Close()
		l, err := a.ep.Dial(t.Context(), b.ep.Addresses()[0])
		if err != nil {
			t.Fatal(err)
		}
		other := id.PeerFromSeed(id.NetGroup, []byte("other"))
		name := sub.Unique() + "ORes"
		for source, want := range map[id.Peer]string{a.id: "learned true", other: "heard true"} {
			doc, err := xmldoc.Marshal(&resolver.RawQuery{Handler: "x", Source: source, Route: &advertisements.Route{Dest: source}, Body: "q"})
			if err != nil {
				t.Fatal(err)
			}
			if err := a.ep.Scope(sub).SendOn(t.Context(), l, id.ClassResolver.String(), name, message.New(message.XML(message.Platform, name, doc))); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if s := got.take(); s != want {
				t.Errorf("%s, want %s", s, want)
			}
		}
	})
}
