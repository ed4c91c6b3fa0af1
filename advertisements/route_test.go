package advertisements_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	adv "github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

func TestRouteRules(t *testing.T) {
	p1, p2, p3 := peerID(t, 1), peerID(t, 2), peerID(t, 3)
	hop := func(p id.Peer) string { return "<jxta:APA><PID>" + p.String() + "</PID></jxta:APA>" }
	dst := func(p id.Peer) string { return "<DstPID>" + p.String() + "</DstPID>" }
	for name, c := range map[string]struct {
		doc  string
		want error
		dest id.Peer
		hops int
	}{
		"empty":                 {"", nil, id.Peer{}, 0},
		"destination":           {dst(p1), nil, p1, 0},
		"destination inside":    {"<Dst>" + hop(p1) + "</Dst>", nil, p1, 0},
		"destination twice":     {dst(p1) + "<Dst>" + hop(p1) + "</Dst>", nil, p1, 0},
		"two destinations":      {dst(p1) + "<Dst>" + hop(p2) + "</Dst>", adv.ErrDestination, p1, 0},
		"empty places":          {"<Dst/><Hops/>", nil, id.Peer{}, 0},
		"hops":                  {dst(p1) + "<Hops>" + hop(p2) + hop(p3) + "</Hops>", nil, p1, 2},
		"loop":                  {dst(p1) + "<Hops>" + hop(p2) + hop(p3) + hop(p2) + "</Hops>", adv.ErrLoop, p1, 0},
		"hop without ID":        {dst(p1) + "<Hops><jxta:APA/></Hops>", adv.ErrHop, p1, 0},
		"hop with empty ID":     {dst(p1) + "<Hops><jxta:APA><PID/></jxta:APA></Hops>", adv.ErrHop, p1, 0},
		"too many hops":         {"<Hops>" + strings.Repeat("<jxta:APA/>", adv.MaxHops+1) + "</Hops>", xmldoc.ErrLimit, p1, 0},
		"too many addresses":    {"<Dst><jxta:APA>" + strings.Repeat("<EA/>", adv.MaxAddresses+1) + "</jxta:APA></Dst>", xmldoc.ErrLimit, p1, 0},
		"destination of a pipe": {"<DstPID>" + id.NewPipe(id.NetGroup).String() + "</DstPID>", id.ErrKind, p1, 0},
	} {
		a, err := adv.Standard().Parse([]byte("<jxta:RA>" + c.doc + "</jxta:RA>"))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
		if err != nil {
			continue
		}
		if r := a.(*adv.Route); r.Dest != c.dest || len(r.Hops) != c.hops {
			t.Errorf("%s: %v", name, r)
		}
	}
	for name, c := range map[string]struct {
		r    adv.Route
		want error
	}{
		"loop":               {adv.Route{Hops: []adv.AccessPoint{{Peer: p1}, {Peer: p1}}}, adv.ErrLoop},
		"hop without ID":     {adv.Route{Hops: []adv.AccessPoint{{}}}, adv.ErrHop},
		"too many hops":      {adv.Route{Hops: make([]adv.AccessPoint, adv.MaxHops+1)}, xmldoc.ErrLimit},
		"too many addresses": {adv.Route{Addresses: make([]endpoint.Address, adv.MaxAddresses+1)}, xmldoc.ErrLimit},
		"no address":         {adv.Route{Addresses: make([]endpoint.Address, 1)}, xmldoc.ErrMissing},
	} {
		if b, err := adv.Marshal(&c.r); !errors.Is(err, c.want) {
			t.Errorf("writing %s: error %v, want %v, written %s", name, err, c.want, b)
		}
	}
}

func TestAddressesRead(t *testing.T) {
	long := "tcp://192.0.2.1:9701/s/" + strings.Repeat("x", adv.MaxAddress)
	doc := "<jxta:APA><EA>" + strings.Join([]string{"tcp://192.0.2.1:1", "", "no address", long, " TCP://192.0.2.1:1 ", "jxtatls://x", "http://h:80"}, "</EA><EA>") + "</EA></jxta:APA>"
	a, err := adv.Standard().Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(a.(*adv.AccessPoint).Addresses); got != "[tcp://192.0.2.1:1 jxtatls://x http://h:80]" {
		t.Errorf("addresses %v", got)
	}
}
