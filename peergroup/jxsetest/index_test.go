package jxsetest_test

import (
	"context"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
)

// push is how often a Java edge tells its rendezvous what has changed.
const push = 30 * time.Second

// TestJavaPushesItsIndexToGo: a Java edge tells a Juxta rendezvous what it has
// published and withdrawn, and the rendezvous refers queries by that.
func TestJavaPushesItsIndexToGo(t *testing.T) {
	t.Parallel()
	gr := startGo(t, peergroup.Config{Name: "gr", Roles: peergroup.Roles{Rendezvous: true}})
	je := startJava(t, "je", "edge", "seeds="+address(gr))
	ge := startGo(t, peergroup.Config{Name: "ge"}, address(gr))
	connected(t, ge)
	je.Do("waitrdv")
	// The push at the lease is over when its entries are there.
	eventually(t, soon, "the first index entries", func() bool { return gr.Net().Discovery().Index().Holders >= 2 })

	adv, err := advertisements.Standard().Parse([]byte(je.Do("publish", "type=pipe", "name=pushed").Text("xml")))
	if err != nil {
		t.Fatal(err)
	}
	q := discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: "pushed", RemoteOnly: true}
	begin := time.Now()
	found := false
	for time.Since(begin) < push+soon && !found {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		r, err := ge.Net().Discovery().FindOne(ctx, q)
		cancel()
		if found = err == nil; found && (r.From != je.id || compact(t, r.Adv) != compact(t, adv)) {
			t.Errorf("found %s of %s", r.Document, r.From.Short())
		}
	}
	if !found {
		t.Fatal("not found by the index")
	}
	t.Logf("found by the index %v after it was published", time.Since(begin).Round(time.Millisecond))
	if n := len(gr.Net().Discovery().Local(discovery.Query{Kind: q.Kind, Attr: q.Attr, Value: q.Value})); n != 0 {
		t.Errorf("the rendezvous holds %d copies: it did not need its index", n)
	}
	before := gr.Net().Discovery().Stats().Forwarded
	if _, err := ge.Net().Discovery().FindOne(within(t, soon), q); err != nil {
		t.Error(err)
	}
	if n := gr.Net().Discovery().Stats().Forwarded - before; n != 1 {
		t.Errorf("the query was referred to %d peers, want 1", n)
	}

	if n := je.Do("flush", "kind=adv", "attr=Name", "value=pushed").Int("count"); n != 1 {
		t.Fatalf("Java flushed %d advertisements", n)
	}
	begin = time.Now()
	for referred := true; referred; {
		if time.Since(begin) > push+soon {
			t.Fatal("queries are still referred to a peer that has withdrawn")
		}
		before := gr.Net().Discovery().Stats()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if r, err := ge.Net().Discovery().FindOne(ctx, q); err == nil {
			t.Errorf("found what was withdrawn: %s", r.Document)
		}
		cancel()
		after := gr.Net().Discovery().Stats()
		if after.Queries == before.Queries {
			t.Error("the rendezvous was not asked")
		}
		referred = after.Forwarded > before.Forwarded
	}
	t.Logf("withdrawn %v after it was flushed", time.Since(begin).Round(time.Millisecond))
}

// TestGoPushesItsIndexToJava: the reverse, which takes a moment, since a Juxta
// edge does not wait with its pushes.
func TestGoPushesItsIndexToJava(t *testing.T) {
	t.Parallel()
	jr := startJava(t, "jr", "rendezvous")
	je := startJava(t, "je", "edge", "seeds="+jr.addr)
	ge := startGo(t, peergroup.Config{Name: "ge"}, jr.addr)
	connected(t, ge)
	je.Do("waitrdv")

	pipe := advertisements.NewPipe(ge.Net().ID(), "pushed", advertisements.Unicast)
	publish(t, ge, pipe)
	begin := time.Now()
	ask := []string{"kind=adv", "attr=Name", "value=pushed", "want=1", "repeat=500", "timeout=10000"}
	if n := je.Do("search", ask...).Int("count"); n != 1 {
		t.Fatalf("Java found %d", n)
	}
	t.Logf("found by the index of Java %v after it was published", time.Since(begin).Round(time.Millisecond))
	if n := jr.Do("local", "kind=adv", "attr=Name", "value=pushed").Int("count"); n != 0 {
		t.Errorf("the rendezvous holds %d copies: it did not need its index", n)
	}
	if n := ge.Net().Discovery().Stats().Queries; n == 0 {
		t.Error("the query was not referred to the holder")
	}

	if err := ge.Net().Discovery().Remove(t.Context(), pipe); err != nil {
		t.Fatal(err)
	}
	begin = time.Now()
	ask = []string{"kind=adv", "attr=Name", "value=pushed", "want=1", "timeout=1000"}
	for referred := true; referred; {
		if time.Since(begin) > soon {
			t.Fatal("queries are still referred to a peer that has withdrawn")
		}
		before := ge.Net().Discovery().Stats().Queries
		if r := jr.Do("search", ask...); r.Int("count") != 0 && r.Records("results")[0].Text("source") != "jxta://"+je.id.Unique() {
			t.Errorf("found what was withdrawn: %v", r)
		}
		referred = ge.Net().Discovery().Stats().Queries > before
	}
	t.Logf("withdrawn after %v, with a search of 1 s", time.Since(begin).Round(time.Millisecond))
}
