package lan

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juxta-p2p/juxta/core/id"
)

// elsewhere is a net group that is not ours.
var elsewhere = id.GroupFromSeed(id.NetGroup, []byte("elsewhere"))

func one(r record) found { return found{r.peer: {rec: r, heard: time.Now()}} }

// say writes events short: "found ann mdns 1".
func say(events []Event) (out []string) {
	for _, e := range events {
		out = append(out, fmt.Sprintf("%s %s %s %d", e.Kind, e.Hint.Name, e.Hint.Source, len(e.Hint.Addresses)))
	}
	return out
}

func TestTableEvents(t *testing.T) {
	tab := newTable(peerOf("me"), id.NetGroup)
	ann := record{peer: peerOf("ann"), group: id.NetGroup, name: "ann", addresses: addrs("tcp://192.0.2.1:1")}
	ann2, annLocal, annElsewhere := ann, ann, ann
	ann2.addresses = addrs("tcp://192.0.2.1:1", "tcp://192.0.2.1:2")
	annLocal.addresses = addrs("tcp://127.0.0.1:1")
	annElsewhere.group = elsewhere
	for i, step := range []struct {
		src  Source
		now  found
		want []string
	}{
		{MDNS, one(ann), []string{"found ann mdns 1"}},
		{MDNS, one(ann), nil},
		{MDNS, one(ann2), []string{"changed ann mdns 2"}},
		{Machine, one(annLocal), []string{"changed ann machine,mdns 3"}},
		{MDNS, nil, nil},
		{MDNS, nil, nil},
		{MDNS, one(ann2), nil}, // heard again: counts from anew
		{MDNS, nil, nil},
		{MDNS, nil, nil},
		{MDNS, nil, []string{"changed ann machine 1"}},
		{Machine, nil, nil},
		{Machine, nil, []string{"lost ann machine 1"}},
		{Machine, nil, nil},
		{MDNS, one(annElsewhere), nil},
		{MDNS, one(ann), []string{"found ann mdns 1"}},
		{MDNS, one(annElsewhere), []string{"lost ann mdns 1"}},
		{MDNS, one(record{peer: peerOf("me"), group: id.NetGroup}), nil},
	} {
		limit := maxMissed
		if step.src == Machine {
			limit = maxUnseen
		}
		if d := cmp.Diff(step.want, say(tab.apply(step.src, step.now, limit))); d != "" {
			t.Errorf("step %d: %s", i, d)
		}
	}
}

func TestTableTrustsTheMachineMore(t *testing.T) {
	tab := newTable(peerOf("me"), id.NetGroup)
	ann := record{peer: peerOf("ann"), group: id.NetGroup, name: "ann", addresses: addrs("tcp://127.0.0.1:1")}
	forged := record{peer: peerOf("ann"), group: id.NetGroup, name: "mallory"}
	for i := range maxAddresses {
		forged.addresses = append(forged.addresses, addrs(fmt.Sprintf("tcp://192.0.2.9:%d", i+1))...)
	}
	tab.apply(MDNS, one(forged), maxMissed)
	tab.apply(Machine, one(ann), maxUnseen)
	h := tab.hints()
	if len(h) != 1 || h[0].Name != "ann" || h[0].Addresses[0] != ann.addresses[0] || len(h[0].Addresses) != maxAddresses {
		t.Errorf("%+v", h)
	}
	forged.group = elsewhere
	tab.apply(MDNS, one(forged), maxMissed)
	if h := tab.hints(); len(h) != 1 || h[0].Source != Machine || len(h[0].Addresses) != 1 {
		t.Errorf("%+v", h)
	}
}

func TestTableLimits(t *testing.T) {
	tab := newTable(peerOf("me"), id.NetGroup)
	crowd := func(prefix string, g id.Group, n int) found {
		f := found{}
		for i := range n {
			p := peerOf(fmt.Sprintf("%s%03d", prefix, i))
			f[p] = sighting{rec: record{peer: p, group: g, addresses: addrs("tcp://192.0.2.1:1")}, heard: time.Now()}
		}
		return f
	}
	count := func() (ours, all int) {
		for _, h := range tab.hints() {
			if h.Group == id.NetGroup {
				ours++
			}
			all++
		}
		return ours, all
	}
	tab.apply(MDNS, crowd("stranger", elsewhere, 2*maxPeers), maxMissed)
	if ours, all := count(); ours != 0 || all != maxPeers {
		t.Fatalf("%d of %d", ours, all)
	}
	// Peers of other groups make room, those of ours do not.
	if n := len(tab.apply(MDNS, crowd("friend", id.NetGroup, 10), maxMissed)); n != 10 {
		t.Errorf("%d events", n)
	}
	if ours, all := count(); ours != 10 || all != maxPeers {
		t.Errorf("%d of %d", ours, all)
	}
	tab.apply(MDNS, crowd("many", id.NetGroup, 2*maxPeers), maxMissed)
	if ours, all := count(); ours != maxPeers || all != maxPeers {
		t.Errorf("%d of %d", ours, all)
	}
	if tab.full != 2*maxPeers+10 || tab.evicted != maxPeers {
		t.Errorf("%d counted as left out, %d as forgotten for others", tab.full, tab.evicted)
	}
	// A crowd on the network leaves room for the peers of this machine.
	if e := tab.apply(Machine, crowd("local", id.NetGroup, 1), maxUnseen); len(e) != 1 {
		t.Errorf("%v", say(e))
	}
}
