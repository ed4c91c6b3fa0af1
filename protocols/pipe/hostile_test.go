package pipe_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

const handler = "JxtaPipeResolver"

// forger is a peer that answers every pipe query with what it likes.
func forger(t *testing.T, net *memory.Network, name string, answers ...string) *node {
	t.Helper()
	n := newNode(t, net, name, nodeConfig{role: rendezvous.AdHoc, bare: true})
	_, err := n.res.Register(t.Context(), handler, resolver.Handler{Query: func(ctx context.Context, q *resolver.RawQuery) resolver.Outcome {
		for _, a := range answers {
			if err := n.res.SendResponse(ctx, q.Source, &resolver.RawResponse{Handler: handler, ID: q.ID, Body: a}); err != nil {
				t.Error(err)
			}
		}
		return resolver.Done
	}})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func answerText(p id.Pipe, found string, adv *advertisements.Peer, peers ...id.Peer) string {
	var b strings.Builder
	b.WriteString("<jxta:PipeResolver><MsgType>Answer</MsgType><PipeId>" + p.String() + "</PipeId><Type>JxtaUnicast</Type>")
	for _, p := range peers {
		b.WriteString("<Peer>" + p.String() + "</Peer>")
	}
	b.WriteString("<Found>" + found + "</Found>")
	if adv != nil {
		doc, err := xmldoc.Marshal(adv)
		if err != nil {
			panic(err)
		}
		b.WriteString("<PeerAdv>" + strings.ReplaceAll(strings.ReplaceAll(string(doc), "&", "&amp;"), "<", "&lt;") + "</PeerAdv>")
	}
	b.WriteString("</jxta:PipeResolver>")
	return b.String()
}

func TestForgedAnswersDoNotBind(t *testing.T) {
	p := unicast("mail").ID
	me, victim := peerID("x"), peerID("victim")
	other := &advertisements.Peer{ID: victim, Group: id.NetGroup}
	foreign := &advertisements.Peer{ID: me, Group: id.NewGroup(id.NetGroup)}
	for name, c := range map[string]struct {
		answer    string
		hostile   uint64
		malformed uint64
	}{
		"third peer":              {answer: answerText(p, "true", nil, victim), hostile: 1},
		"third peer too":          {answer: answerText(p, "true", nil, me, victim), hostile: 1},
		"somebody else's advert":  {answer: answerText(p, "true", other, me), hostile: 1},
		"advert of another group": {answer: answerText(p, "true", foreign, me), hostile: 1},
		"another pipe":            {answer: answerText(unicast("other").ID, "true", nil, me)},
		"nobody":                  {answer: answerText(p, "true", nil), malformed: 1},
		"no document":             {answer: "<hello", malformed: 1},
		"a query":                 {answer: "<jxta:PipeResolver><MsgType>Query</MsgType><PipeId>" + p.String() + "</PipeId><Type>JxtaUnicast</Type></jxta:PipeResolver>", malformed: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := memory.New(memory.Config{Latency: time.Millisecond})
				x := forger(t, net, "x", c.answer)
				a := newNode(t, net, "a", nodeConfig{role: rendezvous.AdHoc, near: []*node{x}})
				meet(t, a, x)
				ctx, cancel := contextFor(t, 100*time.Millisecond)
				defer cancel()
				_, err := a.pipes.Dial(ctx, unicast("mail"))
				var re *pipe.ResolveError
				if !errors.As(err, &re) {
					t.Fatalf("got %v", err)
				}
				st := a.pipes.Stats()
				want(t, "answers", st.Answers, 1)
				want(t, "hostile", st.DroppedHostile, c.hostile)
				want(t, "malformed", st.DroppedMalformed, c.malformed)
				want(t, "remembered", st.IndexEntries, 0)
			})
		})
	}
}

func TestAnswersOfOthersThanNamedDoNotBind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		p := unicast("mail").ID
		x := forger(t, net, "x")
		good := forger(t, net, "good", answerText(p, "true", nil, peerID("good")))
		a := newNode(t, net, "a", nodeConfig{role: rendezvous.AdHoc})
		meet(t, a, x)
		meet(t, a, good)
		ctx, cancel := contextFor(t, 2*time.Second)
		defer cancel()
		if _, err := a.pipes.DialPeers(ctx, unicast("mail"), x.id); !errors.Is(err, pipe.ErrNoListener) {
			t.Errorf("got %v", err)
		}
		out := a.dial(unicast("mail"), x.id, good.id)
		want(t, "peer", out.Peer(), good.id)

		// Neither an answer that nobody asked for, nor a refusal in another's name,
		// changes anything; the peer's own refusal does.
		for _, b := range []string{answerText(p, "true", nil, x.id), answerText(p, "false", nil, good.id)} {
			if err := x.res.SendResponse(t.Context(), a.id, &resolver.RawResponse{Handler: handler, ID: 4711, Body: b}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		want(t, "peer", out.Peer(), good.id)
		want(t, "entries", a.pipes.Stats().IndexEntries, 1)
		if err := good.res.SendResponse(t.Context(), a.id, &resolver.RawResponse{Handler: handler, ID: 1, Body: answerText(p, "false", nil, good.id)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		want(t, "peer", out.Peer(), id.Peer{})
		want(t, "entries", a.pipes.Stats().IndexEntries, 0)
	})
}

func pushText(holder id.Peer, key, ttl, entries string) string {
	return "<jxta:GenSRDI><PID>" + holder.String() + "</PID><PKey>" + key + "</PKey><ttl>" + ttl + "</ttl>" + entries + "</jxta:GenSRDI>"
}

func entryText(p, expiration string) string {
	return `<Entry SKey="Id" Expiration="` + expiration + `">` + p + "</Entry>"
}

func TestHostilePushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		r := newNode(t, net, "r", nodeConfig{role: rendezvous.Rendezvous})
		victim := newNode(t, net, "victim", nodeConfig{seeds: []*node{r}}).leased()
		edge := newNode(t, net, "edge", nodeConfig{seeds: []*node{r}}).leased()
		stranger := newNode(t, net, "stranger", nodeConfig{role: rendezvous.AdHoc})
		friend := newNode(t, net, "friend", nodeConfig{role: rendezvous.Rendezvous, seeds: []*node{r}})
		meet(t, stranger, r)
		acquainted(t, r, friend)
		victim.listen(unicast("mail"))
		time.Sleep(time.Second)
		const live = "9223372036854775807"
		mail, own := unicast("mail").ID.String(), unicast("own").ID.String()
		entries := 1
		for _, c := range []struct {
			what string
			from *node
			text string
			more int // entries
		}{
			{"withdrawal of another's entry", edge, pushText(victim.id, "JxtaUnicast", "1", entryText(mail, "0")), 0},
			{"entry for another", edge, pushText(victim.id, "JxtaUnicast", "1", entryText(own, live)), 0},
			{"entry for the rendezvous", friend, pushText(r.id, "JxtaUnicast", "0", entryText(own, live)), 0},
			{"without lease", stranger, pushText(stranger.id, "JxtaUnicast", "1", entryText(own, live)), 0},
			{"copy with hops", friend, pushText(victim.id, "JxtaUnicast", "1", entryText(own, live)), 0},
			{"unknown type", edge, pushText(edge.id, "Adv", "1", entryText(own, live)), 0},
			{"no pipe", edge, pushText(edge.id, "JxtaUnicast", "1", entryText("hello", live)+entryText(edge.id.String(), live)), 0},
			{"negative life", edge, pushText(edge.id, "JxtaUnicast", "1", entryText(own, "-1")), 0},
			{"no number", edge, pushText(edge.id, "JxtaUnicast", "1", entryText(own, "soon")), 0},
			{"no document", edge, "<jxta:GenSRDI", 0},
			{"too many", edge, pushText(edge.id, "JxtaUnicast", "1", strings.Repeat(entryText("x", "1"), 40_001)), 0},
			{"own entry", edge, pushText(edge.id, "JxtaUnicast", "1", entryText(strings.Replace(own, "urn:jxta", "URN:JXTA", 1), live)), 1},
			{"copy from a friend", friend, pushText(stranger.id, "JxtaUnicast", "0", entryText(own, live)), 1},
			{"own withdrawal", edge, pushText(edge.id, "JxtaUnicast", "1", entryText(own, "0")), -1},
		} {
			if err := c.from.res.SendIndex(t.Context(), r.id, &resolver.Index{Handler: handler, Payload: c.text}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			entries += c.more
			want(t, c.what+": entries", r.pipes.Stats().IndexEntries, entries)
		}
	})
}

func TestHostileQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		a := newNode(t, net, "a", nodeConfig{role: rendezvous.AdHoc})
		x := newNode(t, net, "x", nodeConfig{role: rendezvous.AdHoc, bare: true})
		meet(t, x, a)
		a.listen(unicast("mail"))
		for _, body := range []string{"", "<", "<jxta:PipeResolver></jxta:PipeResolver>", answerText(unicast("mail").ID, "true", nil, x.id)} {
			if err := x.res.SendQuery(t.Context(), a.id, &resolver.RawQuery{Handler: handler, Body: body}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		want(t, "malformed", a.pipes.Stats().DroppedMalformed, 4)
		want(t, "answers", x.res.Stats().Responses, 0)
	})
}

// What is said to a question depends on how it came, as in JXSE.
func TestAnsweringTable(t *testing.T) {
	open, closed := unicast("open").ID, unicast("closed").ID
	a, b, c := peerID("a"), peerID("b"), peerID("c")
	for name, q := range map[string]struct {
		pipe      id.Pipe
		peers     []id.Peer
		forwarded bool
		want      string // found, or not found, and by whom it is heard
	}{
		"open":                               {open, nil, false, "true to b"},
		"open, asked for me":                 {open, []id.Peer{c, a}, false, "true to b"},
		"open, forwarded":                    {open, nil, true, "true to b"},
		"open, asked for another":            {open, []id.Peer{c}, false, ""},
		"open, asked for another, forwarded": {open, []id.Peer{b}, true, "false to c"},
		"closed":                             {closed, nil, false, ""},
		"closed, asked for me":               {closed, []id.Peer{a}, false, "false to b"},
		"closed, forwarded":                  {closed, nil, true, "false to c"},
		"closed, asked for me, forwarded":    {closed, []id.Peer{a}, true, "false to b"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := memory.New(memory.Config{Latency: time.Millisecond})
				listener := newNode(t, net, "a", nodeConfig{role: rendezvous.AdHoc})
				listener.listen(unicast("open"))
				heard := ""
				hear := func(name string) *node {
					n := newNode(t, net, name, nodeConfig{role: rendezvous.AdHoc, bare: true})
					_, err := n.res.Register(t.Context(), handler, resolver.Handler{Response: func(_ context.Context, r *resolver.RawResponse) {
						heard += found(t, r.Body) + " to " + name
						want(t, "query", r.ID, 99)
						want(t, "with advertisement", strings.Contains(r.Body, "PeerAdv"), strings.Contains(r.Body, "true"))
					}})
					if err != nil {
						t.Fatal(err)
					}
					return n
				}
				asker, forwarder := hear("b"), hear("c")
				meet(t, asker, listener)
				meet(t, forwarder, listener)
				text := "<jxta:PipeResolver><MsgType>Query</MsgType><PipeId>" + q.pipe.String() + "</PipeId><Type>JxtaUnicast</Type>"
				for _, p := range q.peers {
					text += "<Peer>" + p.String() + "</Peer>"
				}
				raw := &resolver.RawQuery{Handler: handler, ID: 99, Source: asker.id, Body: text + "</jxta:PipeResolver>"}
				if q.forwarded {
					forwarder.res.ForwardQuery(t.Context(), raw, []id.Peer{listener.id})
				} else if err := asker.res.SendQuery(t.Context(), listener.id, raw); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				want(t, "heard", heard, q.want)
			})
		})
	}
}

func found(t *testing.T, body string) string {
	n, err := xmldoc.ParseNode([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	f, _ := n.Child("Found")
	return f.Text()
}
