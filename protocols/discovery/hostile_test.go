package discovery_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

var handler = id.ClassDiscovery.String()

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(s)
}

// answer makes the body of an answer with these documents.
func answer(expiration int64, docs ...string) string {
	var b strings.Builder
	b.WriteString("<jxta:DiscoveryResponse><Type>2</Type>")
	for _, d := range docs {
		fmt.Fprintf(&b, `<Response Expiration="%d">%s</Response>`, expiration, escape(d))
	}
	b.WriteString("</jxta:DiscoveryResponse>")
	return b.String()
}

func document(tb testing.TB, adv advertisements.Advertisement) string {
	tb.Helper()
	b, err := advertisements.Marshal(adv)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// ask makes the body of a query.
func ask(kind, threshold int, attr, value string) string {
	s := fmt.Sprintf("<jxta:DiscoveryQuery><Type>%d</Type><Threshold>%d</Threshold>", kind, threshold)
	if attr != "" {
		s += "<Attr>" + attr + "</Attr><Value>" + value + "</Value>"
	}
	return s + "</jxta:DiscoveryQuery>"
}

// claim makes the payload of an index message.
func claim(holder id.Peer, ttl int, name, value string, expiration int64) string {
	return fmt.Sprintf(`<jxta:GenSRDI><PID>%s</PID><PKey>Adv</PKey><ttl>%d</ttl><Entry SKey="%s" Expiration="%d">%s</Entry></jxta:GenSRDI>`,
		holder, ttl, name, expiration, value)
}

func tell(tb testing.TB, from, to *peer, r *resolver.RawResponse) {
	tb.Helper()
	r.Handler = handler
	if err := from.res.SendResponse(tb.Context(), to.id, r); err != nil {
		tb.Fatal(err)
	}
}

func index(tb testing.TB, from, to *peer, payload string) {
	tb.Helper()
	if err := from.res.SendIndex(tb.Context(), to.id, &resolver.Index{Handler: handler, Payload: payload}); err != nil {
		tb.Fatal(err)
	}
}

func settle() {
	time.Sleep(soon)
	synctest.Wait()
}

// JXSE 2.5's answer to a recorded query, and ours.
func TestAnswersAsJXSE(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		ann := start(t, net, "ann", setup{role: rendezvous.AdHoc})
		bob := start(t, net, "bob", setup{role: rendezvous.AdHoc})
		if _, err := bob.ep.Dial(t.Context(), addr("ann")); err != nil {
			t.Fatal(err)
		}
		gold := &advertisements.Pipe{Type: advertisements.Unicast, Name: "GoldenPipe"}
		var err error
		if gold.ID, err = id.ParsePipe("urn:jxta:uuid-59616261646162614E504720503250330A0A0A0A0A0A4A0A8A0A0A0A0A0A0A0104"); err != nil {
			t.Fatal(err)
		}
		if err := ann.disc.Publish(t.Context(), gold, discovery.Lifetime{}); err != nil {
			t.Fatal(err)
		}
		for q, a := range map[string]string{
			"pdp-01-wildcard-query.jxm":        "pdp-02-response-wildcard.jxm",
			"prp-01-query-propagated.jxm":      "prp-04-response.jxm",
			"pdp-10-lcdht-query-to-holder.jxm": "",
		} {
			var asked resolver.RawQuery
			var want resolver.RawResponse
			recorded(t, q, "jxta-NetGroupORes", &asked)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			var got []string
			mine := &resolver.RawQuery{Handler: asked.Handler, Body: asked.Body}
			for r, err := range bob.res.Collect(ctx, ann.id, mine) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, r.Body)
			}
			if a == "" {
				if len(got) > 0 {
					t.Errorf("%s was answered", q)
				}
				continue
			}
			recorded(t, a, "jxta-NetGroupIRes", &want)
			if len(got) != 1 {
				t.Errorf("%s has %d answers", q, len(got))
				continue
			}
			g, err1 := xmldoc.ParseNode([]byte(got[0]))
			w, err2 := xmldoc.ParseNode([]byte(want.Body))
			if err1 != nil || err2 != nil || !g.Equal(w) {
				t.Errorf("%s: answered\n%s\nrecorded\n%s", q, got[0], want.Body)
			}
		}
	})
}

func recorded(tb testing.TB, file, element string, d xmldoc.Document) {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		tb.Fatal(err)
	}
	msg, err := message.Decode(b)
	if err != nil {
		tb.Fatal(err)
	}
	e, ok := msg.Get(message.Platform, element)
	if !ok {
		tb.Fatalf("%s has no element %s", file, element)
	}
	if err := xmldoc.Unmarshal(e.Body, d); err != nil {
		tb.Fatal(err)
	}
}

// Type 0 and threshold 0 ask a peer who it is, however often forwarded.
func TestIntroducesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, rdv, e := star(t, "ann", "bob")
		for hc := range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			var got []string
			q := &resolver.RawQuery{Handler: handler, HC: hc, Body: ask(0, 0, "", "")}
			for r, err := range e[0].res.Collect(ctx, rdv.id, q) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, r.Body)
			}
			if len(got) != 1 || strings.Count(got[0], "<Response ") != 1 || !strings.Contains(got[0], `Expiration="7200000"`) || !strings.Contains(got[0], rdv.id.String()) {
				t.Errorf("hop count %d: answers %q", hc, got)
			}
		}
	})
}

// Somebody who asks in another's name makes us send him little.
func TestReflectionIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		target := start(t, net, "target", setup{role: rendezvous.AdHoc})
		victim := start(t, net, "victim", setup{role: rendezvous.AdHoc})
		evil := start(t, net, "evil", setup{role: rendezvous.AdHoc})
		for i := range 50 {
			publish(t, target, discovery.Lifetime{}, fmt.Sprintf("%s-%d", strings.Repeat("long", 100), i))
		}
		if _, err := evil.ep.Dial(t.Context(), addr("target")); err != nil {
			t.Fatal(err)
		}
		for i := range 400 {
			q := &resolver.RawQuery{
				Handler: handler, ID: int32(i + 1), Source: victim.id, Route: victim.route, Body: ask(2, 50, "", ""),
			}
			if n, _ := evil.res.ForwardQuery(t.Context(), q, []id.Peer{target.id}); n != 1 {
				t.Fatal("query not sent")
			}
			time.Sleep(time.Millisecond)
		}
		settle()
		st := target.disc.Stats()
		if st.Queries != 400 || st.Answered == 0 || st.Answered > 32 || st.DroppedOverBudget < 365 {
			t.Errorf("%+v", st)
		}
		if got := victim.disc.Stats(); got.DroppedUnasked != st.Answered || got.Results+got.Published > 0 {
			t.Errorf("the victim: %+v", got)
		}
		if n := victim.store.Count(advertisements.Advs); n > 0 {
			t.Errorf("the victim keeps %d advertisements", n)
		}
		// Whoever asks for himself is not hurt.
		if _, err := victim.ep.Dial(t.Context(), addr("target")); err != nil {
			t.Fatal(err)
		}
		q := byName("*")
		q.Peer = target.id
		if found, err := look(victim, soon, q); len(found) != 50 || err != nil {
			t.Errorf("the victim itself finds %d, %v", len(found), err)
		}
	})
}

func TestUnaskedAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		var shut bool
		ann := start(t, net, "ann", setup{role: rendezvous.AdHoc, config: func(c *discovery.Config) {
			c.Accept = func(id.Peer) bool { return !shut }
		}})
		evil := start(t, net, "evil", setup{role: rendezvous.AdHoc})
		if _, err := evil.ep.Dial(t.Context(), addr("ann")); err != nil {
			t.Fatal(err)
		}
		count := func() int { return ann.store.Count(advertisements.Advs) }
		doc := document(t, pipe("x"))

		tell(t, evil, ann, &resolver.RawResponse{ID: 7, Body: answer(60000, doc)})
		settle()
		if st := ann.disc.Stats(); count() != 0 || st.DroppedUnasked != 1 {
			t.Errorf("an answer with a guessed ID: %d kept, %+v", count(), st)
		}
		shut = true
		tell(t, evil, ann, &resolver.RawResponse{Body: answer(60000, doc)})
		settle()
		if st := ann.disc.Stats(); count() != 0 || st.DroppedUnasked != 2 {
			t.Errorf("a publication that is not accepted: %d kept, %+v", count(), st)
		}
		shut = false
		tell(t, evil, ann, &resolver.RawResponse{Body: answer(60000, slices.Repeat([]string{doc}, 51)...)})
		tell(t, evil, ann, &resolver.RawResponse{Body: "<jxta:DiscoveryResponse/>"})
		tell(t, evil, ann, &resolver.RawResponse{Body: answer(60000, "no XML", "<jxta:PipeAdvertisement/>")})
		tell(t, evil, ann, &resolver.RawResponse{Body: answer(0, doc)})
		tell(t, evil, ann, &resolver.RawResponse{Body: answer(-1, doc)})
		settle()
		if st := ann.disc.Stats(); count() != 0 || st.DroppedMalformed != 4 {
			t.Errorf("useless publications: %d kept, %+v", count(), st)
		}
		tell(t, evil, ann, &resolver.RawResponse{Body: answer(math.MaxInt64, doc)})
		settle()
		if r, ok := ann.store.Get(advertisements.Advs, pipe("x").Key()); !ok || time.Until(r.Lifetime) > 24*time.Hour || !r.Quiet || r.Origin != evil.id {
			t.Errorf("a publication for ever is kept as %+v", r)
		}
		// A flood stays within the budget and the share.
		for i := range 40 {
			var docs []string
			for k := range 50 {
				docs = append(docs, document(t, pipe(fmt.Sprintf("flood %d %d", i, k))))
			}
			tell(t, evil, ann, &resolver.RawResponse{Body: answer(60000, docs...)})
		}
		settle()
		if st := ann.disc.Stats(); st.Published > 1100 || st.DroppedOverBudget == 0 || count() > 500 {
			t.Errorf("after a flood of 2000: %d kept, %+v", count(), st)
		}
	})
}

// Nobody alters what is ours, and what does not fit the question is dropped.
func TestForgedResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		ann := start(t, net, "ann", setup{role: rendezvous.AdHoc})
		evil, err := newPeer(net, "evil", setup{role: rendezvous.AdHoc})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(evil.stop)
		if _, err := ann.ep.Dial(t.Context(), addr("evil")); err != nil {
			t.Fatal(err)
		}
		mine := pipe("wanted")
		if err := ann.disc.Publish(t.Context(), mine, discovery.Lifetime{}); err != nil {
			t.Fatal(err)
		}
		forged := pipe("wanted")
		forged.Type = advertisements.Propagate
		other := pipe("wanted 2")
		other.Name = "wanted"
		stranger := &advertisements.Peer{ID: ann.id, Group: id.NetGroup, Name: "wanted"}
		if err := evil.disc.Close(); err != nil {
			t.Fatal(err)
		}
		docs := []string{
			document(t, forged), document(t, pipe("unwanted")), document(t, stranger), document(t, other), document(t, other),
			"<my:Adv><Name>wanted</Name></my:Adv>", "<my:Adv><Name>unwanted</Name></my:Adv>", "<my:Adv/>",
		}
		_, err = evil.res.Register(t.Context(), handler, resolver.Handler{Query: func(ctx context.Context, q *resolver.RawQuery) resolver.Outcome {
			_ = evil.res.SendResponse(ctx, q.Source, &resolver.RawResponse{Handler: handler, ID: q.ID, Body: answer(60000, docs...)})
			_ = evil.res.SendResponse(ctx, q.Source, &resolver.RawResponse{Handler: handler, ID: q.ID, Body: "what?"})
			_ = evil.res.SendResponse(ctx, q.Source, &resolver.RawResponse{Handler: handler, ID: q.ID + 1, Body: answer(60000, docs...)})
			return resolver.Done
		}})
		if err != nil {
			t.Fatal(err)
		}
		q := byName("wanted")
		q.Peer, q.RemoteOnly = evil.id, true
		found := expect(t, ann, soon, q, "*advertisements.Unknown wanted")
		if len(found) == 2 && found[0].Adv.(*advertisements.Pipe).ID != other.ID {
			t.Errorf("found %v", found[0].Adv)
		}
		if st := ann.disc.Stats(); st.DroppedMismatch != 4 || st.DroppedMalformed != 1 || st.DroppedUnasked != 1 {
			t.Errorf("%+v", st)
		}
		r, _ := ann.store.Get(advertisements.Advs, mine.Key())
		if string(r.Document) != document(t, mine) {
			t.Errorf("our own is now %s", r.Document)
		}
		// An unknown type is found again by what it was asked for by.
		q.LocalOnly, q.RemoteOnly = true, false
		expect(t, ann, soon, q, "*advertisements.Unknown wanted wanted")
	})
}

func TestOnlyHoldersSpeakForThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, rdv, e := star(t, "ann", "bob")
		evil := start(t, net, "evil", setup{role: rendezvous.AdHoc})
		if _, err := evil.ep.Dial(t.Context(), addr("rdv")); err != nil {
			t.Fatal(err)
		}
		publish(t, e[0], discovery.Lifetime{}, "chat")
		settle()
		before := rdv.disc.Index().Entries
		for what, f := range map[string]func(){
			"no lease":           func() { index(t, evil, rdv, claim(evil.id, 1, "Name", "chat", 60000)) },
			"another's":          func() { index(t, e[1], rdv, claim(e[0].id, 1, "Name", "bait", 60000)) },
			"another's, replica": func() { index(t, e[1], rdv, claim(e[0].id, 0, "Name", "bait", 60000)) },
			"the rendezvous'":    func() { index(t, evil, rdv, claim(rdv.id, 0, "Name", "bait", 60000)) },
			"withdrawal":         func() { index(t, e[1], rdv, claim(e[0].id, 1, "Name", "chat", 0)) },
			"to an edge":         func() { index(t, e[1], e[0], claim(e[1].id, 1, "Name", "bait", 60000)) },
		} {
			dropped := rdv.disc.Stats().DroppedForeignIndex + e[0].disc.Stats().DroppedForeignIndex
			f()
			settle()
			if n := rdv.disc.Index().Entries; n != before {
				t.Errorf("%s: %d index entries, %d before", what, n, before)
			}
			if n := rdv.disc.Stats().DroppedForeignIndex + e[0].disc.Stats().DroppedForeignIndex; n != dropped+1 {
				t.Errorf("%s is not counted", what)
			}
		}
		expect(t, e[1], soon, byName("chat"), "chat")

		index(t, e[1], rdv, "what?")
		index(t, e[1], rdv, strings.Replace(claim(e[1].id, 1, "Name", "x", 1), "Adv", "JxtaUnicast", 1))
		index(t, e[1], rdv, claim(e[1].id, 1, "Name", "x", -1))
		settle()
		if st := rdv.disc.Stats(); st.DroppedMalformed != 2 || rdv.disc.Index().Entries != before {
			t.Errorf("%+v", st)
		}
		for what, peer := range map[string]*advertisements.Peer{"its own": evil.adv, "another's": e[0].adv} {
			rdv.routes()
			tell(t, evil, rdv, &resolver.RawResponse{Body: answer(60000, document(t, peer))})
			settle()
			if want := peer == evil.adv; (rdv.routes() == 1) != want {
				t.Errorf("unasked, %s route was believed: %v", what, !want)
			}
		}
		index(t, e[1], rdv, claim(e[1].id, 1, "Name", "for ever", math.MaxInt64))
		settle()
		if n := rdv.disc.Index().Entries; n != before+1 {
			t.Errorf("%d index entries, want %d", n, before+1)
		}
	})
}

// noise returns a text that cannot be compressed to a hundredth.
func noise(n int) string {
	rng := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(rng.IntN(26))
	}
	return string(b)
}

func TestIndexFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, rdv, e := star(t, "ann", "bob")
		sent := 0
		flood := func(n int, value string) {
			var b strings.Builder
			fmt.Fprintf(&b, "<jxta:GenSRDI><PID>%s</PID><PKey>Adv</PKey>", e[0].id)
			for range n {
				fmt.Fprintf(&b, `<Entry SKey="Name" Expiration="60000">%d%s</Entry>`, sent, value)
				sent++
			}
			b.WriteString("</jxta:GenSRDI>")
			index(t, e[0], rdv, b.String())
		}
		for range 3 {
			flood(20_000, "")
		}
		settle()
		full := rdv.disc.Stats().DroppedRefused
		flood(5, noise(40_000)) // values that no index takes
		settle()
		// The most that one holder may have is 50,000.
		if st := rdv.disc.Stats(); rdv.disc.Index().Entries > 50_000+2 || full < 10_000 || st.DroppedRefused != full+5 {
			t.Errorf("%d entries, %+v", rdv.disc.Index().Entries, st)
		}
		publish(t, e[1], discovery.Lifetime{}, "bob's")
		settle()
		expect(t, e[0], soon, byName("bob's"), "bob's")
	})
}
