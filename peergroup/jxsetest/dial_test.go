package jxsetest_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/framing"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// TestJavaTakesTheMark: a Juxta acceptor writes its mark behind the dialler's
// address in the welcome; Java diallers do not mind, and say what they dialled.
func TestJavaTakesTheMark(t *testing.T) {
	t.Parallel()
	p := startGo(t, peergroup.Config{Name: "g", Roles: peergroup.Roles{AdHoc: true}})
	at, err := endpoint.ParseAddress(address(p))
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.DialTimeout("tcp", at.Host, soon)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(soon))
	me := endpoint.Address{Protocol: "tcp", Host: c.LocalAddr().String()}
	hello := framing.Welcome{Dest: at, Public: me, Peer: id.NewPeer(id.NetGroup)}
	if _, err := c.Write(hello.AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	w, err := framing.ReadWelcome(bufio.NewReaderSize(c, framing.MaxWelcome))
	if err != nil || w.Dest != me.With("juxta", "tls") || w.Peer != p.ID() {
		t.Fatalf("the welcome is %+v, %v", w, err)
	}
	_ = c.Close()

	const dials = 20
	j := startJava(t, "j", "adhoc")
	if r := j.Do("tcpdial", "addr="+address(p), fmt.Sprintf("count=%d", dials)); r.Int("count") != dials {
		t.Errorf("Java opened %d connections of %d", r.Int("count"), dials)
	}
	eventually(t, soon, "all links are down", func() bool { return len(p.Endpoint().Links()) == 0 })

	// Over a connection that Java opens, both sides talk.
	echo(t, p)
	j.Do("publishxml", "xml="+compact(t, p.Net().PeerAdvertisement()))
	for n := range dials {
		r := j.Do("query", "handler="+echoName, fmt.Sprintf("text=question %d", n), "peer="+p.ID().String())
		if got := r.Records("results"); len(got) != 1 || got[0].Text("text") != fmt.Sprintf("question %d", n) {
			t.Fatalf("answers to question %d: %v", n, got)
		}
		links := p.Endpoint().Links()
		if len(links) != 1 || links[0].Outgoing() {
			t.Fatalf("links %v", links)
		}
		if d, ok := endpoint.Dialled(links[0]); !ok || d.Base() != at {
			t.Errorf("Java says that it dialled %v", d)
		}
		hangUp(t, p)
	}
	t.Logf("%d questions of Java over as many new connections were answered", dials)
}

// echoName is the handler of questions that are answered with their own text.
const echoName = "urn:juxta:echo"

// echo has a Juxta peer answer such questions.
func echo(t *testing.T, p *peergroup.Peer) {
	t.Helper()
	res := p.Net().Resolver()
	_, err := res.Register(t.Context(), echoName, resolver.Handler{
		Query: func(ctx context.Context, q *resolver.RawQuery) resolver.Outcome {
			err := res.SendResponse(ctx, q.Source, &resolver.RawResponse{Handler: echoName, ID: q.ID, Body: q.Body})
			if err != nil {
				t.Errorf("answering: %v", err)
			}
			return resolver.Done
		},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// hangUp closes every link of a peer, also those by which Java calls back.
func hangUp(t *testing.T, p *peergroup.Peer) {
	t.Helper()
	eventually(t, soon, "all links are down", func() bool {
		links := p.Endpoint().Links()
		for _, l := range links {
			_ = l.Close()
		}
		return len(links) == 0
	})
}

// TestFirstMessageIsRead: the first message of a new connection to Java is read
// and answered at once. A Java acceptor that gets it in one piece with the
// welcome would not look at it before the next one comes.
func TestFirstMessageIsRead(t *testing.T) {
	t.Parallel()
	const rounds = 50
	j := startJava(t, "j", "adhoc")
	j.Do("handler", "name="+echoName, "answer=answer to {}")
	p := startGo(t, peergroup.Config{Name: "g", Roles: peergroup.Roles{AdHoc: true}})
	a, err := endpoint.ParseAddress(j.addr)
	if err != nil {
		t.Fatal(err)
	}
	p.Router().Learn(&advertisements.Route{Dest: j.id, Addresses: []endpoint.Address{a}})
	var each []time.Duration
	for n := range rounds {
		begin := time.Now()
		question := fmt.Sprintf("question %d", n)
		var got string
		for r, err := range p.Net().Resolver().Collect(within(t, soon), j.id, &resolver.RawQuery{Handler: echoName, Body: question}) {
			if err != nil {
				t.Fatalf("%s: %v", question, err)
			}
			got = r.Body
			break
		}
		if got != "answer to "+question {
			t.Fatalf("%s over a new connection: answer %q", question, got)
		}
		if slices.ContainsFunc(p.Endpoint().Links(), endpoint.Link.Outgoing) {
			each = append(each, time.Since(begin))
		}
		hangUp(t, p)
	}
	// A few may have gone over a connection by which Java called back.
	if len(each) < rounds/2 {
		t.Errorf("only %d of %d questions went over a connection of this peer", len(each), rounds)
	}
	t.Logf("%d first messages were answered after %s, dialling included", len(each), spread(each))
}
