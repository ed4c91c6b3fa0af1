package trace_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/compact"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/shell/trace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestWhatPeersSay: the messages of a lease, a search and pipes are told as what they are.
func TestWhatPeersSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{})
		var mu sync.Mutex
		var all []endpoint.Traced
		start := func(name string, roles peergroup.Roles) *peergroup.Peer {
			p, err := peergroup.Start(t.Context(), peergroup.Config{Name: name, NoLAN: true, Seeds: []string{"mem://rdv"}, Roles: roles,
				Transports: []endpoint.Transport{net.Transport(memory.TransportConfig{Name: name})}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.Close() })
			stop := p.Endpoint().Tap(func(x endpoint.Traced) {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, x)
			})
			t.Cleanup(stop)
			return p
		}
		start("rdv", peergroup.Roles{Rendezvous: true})
		ann, bob := start("ann", peergroup.Roles{}), start("bob", peergroup.Roles{})
		for _, p := range []*peergroup.Peer{ann, bob} {
			if err := p.Net().Rendezvous().WaitConnected(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, kind := range []advertisements.PipeType{advertisements.Unicast, advertisements.Propagate} {
			adv := advertisements.NewPipe(ann.Net().ID(), "chat", kind)
			in, err := ann.Net().Pipes().Listen(t.Context(), adv)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			out, err := bob.Net().Pipes().Dial(t.Context(), adv)
			if err != nil {
				t.Fatal(err)
			}
			if err := out.Send(t.Context(), message.New(message.Text("", "words", "hello"))); err != nil {
				t.Fatal(err)
			}
			if _, err := in.Receive(t.Context()); err != nil {
				t.Fatal(err)
			}
			out.Close()
			in.Close()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		for range bob.Net().Discovery().Find(ctx, discovery.Query{Kind: advertisements.Peers, Attr: "Name", Value: "a*"}) {
		}
		cancel()
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		var told []string
		passedOn := false
		for _, x := range all {
			e, err := trace.Explain(x)
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind == trace.KindOther {
				t.Errorf("not told what it is: %s\n%s", e.Text, trace.Elements(e.Message))
			}
			if strings.Contains(e.Text, "peers whose Name is a*") {
				if e.Asker != bob.ID() || e.Group != id.NetGroup {
					t.Errorf("asked by %v in %v", e.Asker, e.Group)
				}
				passedOn = passedOn || x.Peer != bob.ID() && x.Out
			}
			if line := e.Kind + ": " + e.Text; !slices.Contains(told, line) {
				told = append(told, line)
			}
		}
		text := strings.Join(told, "\n")
		for _, want := range []string{"rendezvous: asks for a lease", "rendezvous: grants a lease of 1200000 ms", "resolver: query", "to discovery: peers whose Name is a*",
			"of discovery: ", "who listens on the pipe …", "it listens on the pipe", "index entries for pipes", "pipe: a message on the pipe …", ": words, 5 octets", "a message on the propagate pipe …"} {
			if !strings.Contains(text, want) {
				t.Errorf("nobody said %q", want)
			}
		}
		if !passedOn {
			t.Error("nobody has passed on the search")
		}
		if t.Failed() {
			t.Log(text)
		}
	})
}

// TestShortHeadersAreShownLong: a header in the short form is shown as what it stands for.
func TestShortHeadersAreShownLong(t *testing.T) {
	p := id.PeerFromSeed(id.NetGroup, []byte("somebody"))
	of := id.NewPipe(id.NetGroup)
	wire := append(compact.Append(compact.Append([]byte{compact.Mark, 1}, p.Unique()), of.Unique()), "the-message"...)
	spread := compact.Append(compact.Append([]byte{compact.Mark, 0, 1}, "jxta.service.wirepipe"), "jxta-NetGroup")
	spread = append(compact.Append(append(spread, 1), p.Unique()), "another"...)
	body, err := message.New(message.Bytes(message.Platform, "JxtaWireHeader", wire), message.Bytes(message.Platform, "RendezVousPropagatejxta-NetGroup", spread)).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	e, err := trace.Explain(endpoint.Traced{Body: body})
	if err != nil {
		t.Fatal(err)
	}
	if e.Kind != trace.KindPipe || e.Service != "jxta.service.wirepipe" || e.Spread != "propagated, 1 hops left" {
		t.Errorf("%+v", e)
	}
	text := trace.Elements(e.Message)
	for _, want := range []string{"octets, in short for\n", "<PipeId>" + of.String() + "</PipeId>", "<MessageId>another</MessageId>"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestGroupOfAMessage: the address at the end of the way tells in which group a message is.
func TestGroupOfAMessage(t *testing.T) {
	g := id.NewGroup(id.NetGroup)
	p := id.PeerFromSeed(id.NetGroup, []byte("somebody"))
	unique := strings.TrimPrefix(g.String(), "urn:jxta:")
	for address, want := range map[string]id.Group{
		"jxta://" + p.Unique() + "/EndpointService:" + unique + "/some.service/x": g,
		"jxta://" + p.Unique() + "/some.service/" + unique:                        g,
		"jxta://" + p.Unique() + "/some.service/x":                                {},
		"jxta://" + p.Unique() + "/some.service/" + p.Unique():                    {},
		"mem://a/EndpointService:jxta-NetGroup/EndpointRouter":                    id.NetGroup,
		"mem://a/EndpointService:/":                                               {},
		"nonsense":                                                                {},
	} {
		body, err := message.New(message.Text(message.Platform, "EndpointDestinationAddress", address)).MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		e, err := trace.Explain(endpoint.Traced{Body: body})
		if err != nil {
			t.Fatal(err)
		}
		if e.Group != want {
			t.Errorf("%s: %v, want %v", address, e.Group, want)
		}
	}
}

// messages are of every shape that a file has to bear.
func messages() []endpoint.Traced {
	p := id.PeerFromSeed(id.NetGroup, []byte("somebody"))
	at := endpoint.Address{Protocol: "tcp", Host: "192.0.2.1:9701"}
	body, _ := message.New(message.Text("", "a", "b")).MarshalBinary()
	now := time.Unix(1_700_000_000, 123456789)
	return []endpoint.Traced{
		{Time: now, Out: true, Peer: p, Remote: at, Encrypted: true, Body: body},
		{Time: now, Peer: p, Remote: at, Body: body},
		{Time: now, Body: []byte{}},
		{Time: now, Remote: at, Body: []byte("no message")},
	}
}

func written(t testing.TB) []byte {
	var b bytes.Buffer
	w, err := trace.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range messages() {
		if err := w.Write(x); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(b []byte) (all []endpoint.Traced, err error) {
	r, err := trace.NewReader(bytes.NewReader(b))
	for err == nil {
		var x endpoint.Traced
		if x, err = r.Next(); err == nil {
			all = append(all, x)
		}
	}
	return all, err
}

// TestFile: what was written is read, and a file that was cut anywhere says so.
func TestFile(t *testing.T) {
	b := written(t)
	all, err := read(b)
	if want := messages(); !errors.Is(err, io.EOF) || !reflect.DeepEqual(all, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, all, want)
	}
	whole := 0
	for i := range b {
		switch got, err := read(b[:i]); {
		case errors.Is(err, io.EOF):
			whole++
		case !errors.Is(err, trace.ErrFile) || len(got) >= len(all):
			t.Fatalf("cut at %d: %d messages, %v", i, len(got), err)
		}
	}
	if whole != len(all) {
		t.Errorf("%d cuts fall between messages", whole)
	}
}

func TestTooLarge(t *testing.T) {
	w, err := trace.NewWriter(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(endpoint.Traced{Body: make([]byte, 17<<20)}); err == nil {
		t.Error("a message beyond the bound is written")
	}
}

func FuzzReader(f *testing.F) {
	f.Add(written(f))
	f.Add([]byte("juxta trace 1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := read(b)
		if err == nil || !errors.Is(err, io.EOF) && !errors.Is(err, trace.ErrFile) {
			t.Fatalf("%v", err)
		}
		for _, x := range all {
			if e, err := trace.Explain(x); err == nil {
				_ = trace.Elements(e.Message)
			}
		}
	})
}

// FuzzExplain: strangers may send anything; it is told, and never longer than its bound.
func FuzzExplain(f *testing.F) {
	f.Add("PeerView.PeerAdv", "<a><b>c</b></a>")
	f.Add("RendezVousPropagateX", "<TTL>5</TTL><DestSName>")
	f.Add("x", "<?xml version=\"1.0\"?><ResolverQuery><Query>&lt;DiscoveryQuery>&lt;/Query></ResolverQuery>")
	f.Add("JxtaWireHeader", "\x00\xff\x1b[31m")
	f.Add("deep", strings.Repeat("<a>", 100)+strings.Repeat("</a>", 100))
	f.Fuzz(func(t *testing.T, name, body string) {
		b, err := message.New(message.Text(message.Platform, name, body)).MarshalBinary()
		if err != nil {
			return
		}
		e, err := trace.Explain(endpoint.Traced{Body: b})
		if err != nil {
			return
		}
		if text := trace.Elements(e.Message); len(text) > 64*(16<<10) {
			t.Fatalf("%d octets to show %d", len(text), len(body))
		}
	})
}

func ExampleExplain() {
	m := message.New(message.Text(message.Platform, "ConnectedLease", "1200000"))
	body, _ := m.MarshalBinary()
	e, _ := trace.Explain(endpoint.Traced{Body: body})
	fmt.Println(e.Kind+":", e.Text)
	fmt.Print(trace.Elements(e.Message))
	// Output:
	// rendezvous: grants a lease of 1200000 ms
	//     jxta:ConnectedLease  text/plain;charset=UTF-8  7 octets
	//         1200000
}
