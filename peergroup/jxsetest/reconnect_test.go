package jxsetest_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/jxsetest"
	"github.com/juxta-p2p/juxta/protocols/discovery"
)

// reconnects is how often a peer comes and goes.
const reconnects = 100

// works checks that a Juxta and a Java peer find each other's advertisements and
// send each other a message.
func works(t *testing.T, p *peergroup.Peer, j *javaPeer, tag string) {
	t.Helper()
	mine := advertisements.NewPipe(p.Net().ID(), tag+"-go", advertisements.Unicast)
	publish(t, p, mine)
	in, err := p.Net().Pipes().Listen(t.Context(), mine)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if r := j.Do("search", "kind=adv", "attr=Name", "value="+tag+"-go", "want=1", "repeat=1000"); r.Int("count") != 1 {
		t.Errorf("Java found %d", r.Int("count"))
	}
	out := "pipe=" + openOutput(t, j, mine)
	j.Do("sendtext", out, "app:text="+odd)
	m, err := in.Receive(within(t, soon))
	if err != nil || m.Text("app", "text") != odd || m.From != j.id {
		t.Errorf("from Java: %v, %v", m.Message, err)
	}
	j.Do("close", out)

	theirs, err := advertisements.Standard().Parse([]byte(j.Do("publish", "type=pipe", "name="+tag+"-java").Text("xml")))
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Net().Discovery().FindOne(within(t, soon), discovery.Query{
		Kind: advertisements.Advs, Attr: "Name", Value: tag + "-java", Peer: j.id, RemoteOnly: true,
	})
	if err != nil || compact(t, r.Adv) != compact(t, theirs) {
		t.Fatalf("from Java: %s, %v", r.Document, err)
	}
	in2 := "pipe=" + j.Do("inpipe", "xml="+compact(t, theirs)).Text("pipe")
	o, err := p.Net().Pipes().Dial(within(t, 2*soon), r.Adv.(*advertisements.Pipe))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if err := o.Send(within(t, soon), message.New(message.Text("app", "text", odd))); err != nil {
		t.Error(err)
	}
	if n := j.Do("waitpipe", in2, "count=1").Int("unnumbered"); n != 1 {
		t.Errorf("%d messages came to Java", n)
	}
	for _, got := range j.Do("got", in2).Texts("messages") {
		if !strings.Contains(got, odd) {
			t.Errorf("Java got %s", got)
		}
	}
	j.Do("close", in2)
}

// settled waits until no more goroutines run than before, and as many links are
// open at most.
func settled(t *testing.T, goroutines int, links int, peers ...*peergroup.Peer) {
	t.Helper()
	now := 0
	eventually(t, soon, "goroutines and links as before", func() bool {
		open := 0
		for _, p := range peers {
			open += len(p.Endpoint().Links())
		}
		now = runtime.NumGoroutine()
		return now <= goroutines && open <= links
	})
	t.Logf("%d goroutines, %d before", now, goroutines)
}

// spread tells the least, the median and the most of some durations.
func spread(all []time.Duration) string {
	slices.Sort(all)
	return fmt.Sprintf("%v to %v, half of them within %v", all[0].Round(time.Millisecond),
		all[len(all)-1].Round(time.Millisecond), all[len(all)/2].Round(time.Millisecond))
}

// TestJavaReconnects: a Java edge gives its lease at a Juxta rendezvous back and
// takes it again, a hundred times, and opens and closes a hundred connections.
// Everything works afterwards, and nothing is left over.
func TestJavaReconnects(t *testing.T) {
	gr := startGo(t, peergroup.Config{Name: "gr", Roles: peergroup.Roles{Rendezvous: true}})
	j := startJava(t, "je", "edge", "seeds="+address(gr))
	j.Do("waitrdv")
	eventually(t, soon, "the index of Java", func() bool { return gr.Net().Discovery().Index().Holders == 1 })
	goroutines, links := runtime.NumGoroutine(), len(gr.Endpoint().Links())

	r := j.Do("reconnect", fmt.Sprintf("count=%d", reconnects))
	var each []time.Duration
	for _, ms := range r["each"].([]any) {
		each = append(each, time.Duration(ms.(float64))*time.Millisecond)
	}
	t.Logf("%d reconnections in %d ms, %s", r.Int("count"), r.Int("ms"), spread(each))
	if r.Int("count") != reconnects {
		t.Errorf("want %d", reconnects)
	}
	if got := clients(gr); len(got) != 1 || got[0] != j.id {
		t.Errorf("clients %v", got)
	}
	if n := gr.Net().Discovery().Index().Holders; n > 1 {
		t.Errorf("the index knows %d holders", n)
	}

	r = j.Do("tcpdial", "addr="+address(gr), fmt.Sprintf("count=%d", reconnects))
	t.Logf("%d connections opened, %d failed, in %d ms", r.Int("count"), r.Int("failed"), r.Int("ms"))
	if r.Int("count") != reconnects || r.Int("failed") != 0 {
		t.Errorf("want %d and 0", reconnects)
	}
	settled(t, goroutines, links, gr)
	works(t, gr, j, "after")
}

// TestGoReconnects: a Juxta edge starts, takes a lease at a Java rendezvous, and
// closes, a hundred times with the same key. Everything works afterwards, and
// nothing is left over.
func TestGoReconnects(t *testing.T) {
	j := startJava(t, "jr", "rendezvous")
	ident, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	cfg := peergroup.Config{
		Name: "ge", Identity: ident, NoLAN: true, NoMulticast: true, Seeds: []string{j.addr},
		Listen: []string{"tcp://127.0.0.1:0"},
	}
	goroutines := runtime.NumGoroutine()
	var who id.Peer
	var each []time.Duration
	for range reconnects {
		begin := time.Now()
		p, err := peergroup.Start(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		connected(t, p)
		each = append(each, time.Since(begin))
		who = p.ID()
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	settled(t, goroutines, 0)
	begin := time.Now()
	for len(j.Do("rdv").Texts("peers")) != 0 {
		if time.Since(begin) > soon {
			t.Fatalf("Java has clients %v", j.Do("rdv").Texts("peers"))
		}
	}
	came := count(j.Events("rdv"), "CLIENTCONNECT", who)
	again := count(j.Events("rdv"), "CLIENTRECONNECT", who)
	left := count(j.Events("rdv"), "CLIENTDISCONNECT", who)
	t.Logf("%d leases after %s; Java saw %d new leases, %d renewals and %d goodbyes", len(each), spread(each), came, again, left)
	// JXSE works on several messages at once. A goodbye may be overtaken by the
	// next request, which is then a renewal; an announcement may be overtaken by
	// the goodbye, which JXSE answers with one of its own, and the edge asks again.
	if came+again < reconnects || came < reconnects/2 || left < came {
		t.Errorf("want %d leases, and a goodbye for each new one", reconnects)
	}

	p := startGo(t, peergroup.Config{Name: "ge", Identity: ident}, j.addr)
	connected(t, p)
	if got := j.Do("waitclients").Texts("peers"); len(got) != 1 || got[0] != who.String() {
		t.Errorf("Java has clients %v", got)
	}
	works(t, p, j, "after")
}

func count(events []jxsetest.Record, kind string, about id.Peer) int {
	n := 0
	for _, r := range events {
		if r.Text("type") == kind && r.Text("peer") == about.String() {
			n++
		}
	}
	return n
}
