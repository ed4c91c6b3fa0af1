package endpoint_test

import (
	"bytes"
	"os"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
)

const recordings = "../message/testdata/"

func recorded(t *testing.T, file string) *message.Message {
	t.Helper()
	b, err := os.ReadFile(recordings + file)
	if err != nil {
		t.Fatal(err)
	}
	m, err := message.Decode(b[bytes.Index(b, []byte("jxmg")):])
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// platform lists the elements of a message that the endpoint adds, with types.
func platform(m *message.Message) (all []string) {
	for e := range m.All() {
		switch e.Name {
		case "EndpointHeaderSrcPeer", "EndpointSourceAddress", "EndpointDestinationAddress":
			all = append(all, e.Namespace+":"+e.Name+" "+e.Type)
		}
	}
	return all
}

// TestDatagramElements: a datagram has the elements of the recorded ones, in their
// order, and they say the same.
func TestDatagramElements(t *testing.T) {
	bubble(t, memory.Config{}, func(t *testing.T, net *memory.Network) {
		a := newPeer(t, net, "a", segment("lan"))
		var got *message.Message
		ear := net.Transport(memory.TransportConfig{Name: "ear", Segment: "lan"})
		err := ear.Start(endpoint.Host{Receive: func(_ endpoint.Link, body []byte) (err error) {
			got, err = message.Decode(bytes.Clone(body))
			return err
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ear.Close() }()
		if err := a.Scope(id.NetGroup).Broadcast(t.Context(), "news", "today", text("x")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got == nil {
			t.Fatal("nothing came")
		}
		for _, file := range []string{"transport/mcast-datagram-app.bin", "transport/mcast-datagram-peerview.bin", "services/adhoc-01-query.dgram", "services/adhoc-02-wire.dgram"} {
			want := recorded(t, file)
			if !slices.Equal(platform(got), platform(want)) {
				t.Errorf("%q, in %s %q", platform(got), file, platform(want))
			}
			// What the recordings say fits the rule that the values below follow.
			origin, err := id.ParsePeer(want.Text(message.Platform, "EndpointHeaderSrcPeer"))
			if err != nil || want.Text(message.Platform, "EndpointSourceAddress") != "jxta://"+origin.Unique() {
				t.Errorf("%s: from %v, %v", file, origin, err)
			}
		}
		for name, want := range map[string]string{
			"EndpointHeaderSrcPeer":      a.Peer().String(),
			"EndpointSourceAddress":      "jxta://" + a.Peer().Unique(),
			"EndpointDestinationAddress": "/EndpointService:jxta-NetGroup/news/today",
		} {
			if v := got.Text(message.Platform, name); v != want && (name != "EndpointDestinationAddress" || len(v) < len(want) || v[len(v)-len(want):] != want) {
				t.Errorf("%s is %s, want %s", name, v, want)
			}
		}
	})
}

// TestRecordedMessagesAreDispatched: what JXSE 2.5 peers sent finds the service that
// it is for, by the addresses in it.
func TestRecordedMessagesAreDispatched(t *testing.T) {
	rendezvous := id.ClassRendezvous.String()
	for file, want := range map[string]struct {
		group          id.Group
		service, param string
	}{
		"services/rvp-01-peerview-probe.jxm":         {id.NetGroup, "PeerView", "jxta-NetGroup"},
		"services/rvp-07-lease-request.jxm":          {id.NetGroup, rendezvous, "jxta-NetGroup"},
		"services/pdp-03-peer-query-threshold0.jxm":  {id.NetGroup, "EndpointRouter", ""},
		"services/rvp-09-lease-request-subgroup.jxm": {id.NetGroup, "EndpointRouter", ""},
		"transport/tcp-package-rdv-connect.bin":      {id.NetGroup, rendezvous, "jxta-NetGroup"},
		"transport/tcp-package-relay-renew.bin":      {id.NetGroup, "uuid-DEADBEEFDEAFBABAFEEDBABE0000000F05", ""},
		"transport/mcast-datagram-peerview.bin":      {id.NetGroup, "PeerView", "jxta-NetGroup"},
		"services/adhoc-01-query.dgram":              {id.NetGroup, "JxtaPropagate", "jxta-NetGroup"},
	} {
		e, w := newWire(t, endpoint.Config{})
		c := w.plug(t, &cable{peer: bob})
		in := listen(t, e.Scope(want.group), want.service, want.param)
		m := recorded(t, file)
		b, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Receive(c, b); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if len(in.all) != 1 {
			t.Errorf("%s for %s was not delivered", file, m.Text(message.Platform, "EndpointDestinationAddress"))
			continue
		}
		if got := in.all[0]; len(platform(got.Message)) != 0 || got.Message.Len() != m.Len()-len(platform(m)) || got.Dest.Service != want.service {
			t.Errorf("%s: delivered to %s with %q", file, got.Dest, platform(got.Message))
		}
	}
}
