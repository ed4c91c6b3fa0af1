package relay

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/framing"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// recorded returns a conversation with JXSE 2.5.
func recorded(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".bin"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// recordedMessage returns the first message of a conversation.
func recordedMessage(t testing.TB, name string) *message.Message {
	t.Helper()
	b := recorded(t, name)
	i := bytes.Index(b, []byte("jxmg"))
	if i < 0 {
		t.Fatalf("%s holds no message", name)
	}
	m, err := message.Decode(b[i:])
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// addresses returns the two address elements of a recorded message.
func addresses(m *message.Message) (list []message.Element) {
	for _, name := range []string{"EndpointSourceAddress", "EndpointDestinationAddress"} {
		if e, ok := m.Get(message.Platform, name); ok {
			list = append(list, e)
		}
	}
	return list
}

// TestRequestsAreThoseOfJXSE, octet for octet.
func TestRequestsAreThoseOfJXSE(t *testing.T) {
	for name, r := range map[string]request{
		"tcp-package-relay-renew":      {verb: connect, lease: time.Hour, about: aboutOther},
		"tcp-package-relay-disconnect": {verb: disconnect},
		"http-post-relay-renew":        {verb: connect, lease: time.Hour, about: aboutOther},
		"http-post-relay-disconnect":   {verb: disconnect},
	} {
		want := recordedMessage(t, name)
		got, err := parseRequest(want.Text(space, elemRequest))
		if err != nil || got != r {
			t.Errorf("%s: read %+v, %v", name, got, err)
		}
		if b := must(r.message().AppendTo(nil, addresses(want)...)); !bytes.Contains(recorded(t, name), b) {
			t.Errorf("%s: wrote\n%q", name, b)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestAddressesThatAsk are those of JXSE in a welcome and in the URL of a poll.
func TestAddressesThatAsk(t *testing.T) {
	r := request{verb: connect, lease: time.Hour, about: aboutRelay}
	welcome := string(recorded(t, "tcp-welcome-relay-client"))
	poll := string(recorded(t, "http-poll-request-relay"))
	_, query, _ := strings.Cut(strings.Fields(poll)[1], "?")
	for at, dialled := range map[string]string{
		"tcp://127.0.0.1:9701":  strings.Fields(welcome)[1],
		"http://127.0.0.1:9700": strings.SplitN(query, ",", 3)[2],
	} {
		if got := r.at(endpoint.MustParseAddress(at), id.NetGroup).String(); got != dialled {
			t.Errorf("asked at %s, recorded %s", got, dialled)
		}
		text, ok := asked(endpoint.MustParseAddress(dialled), id.NetGroup)
		if got, err := parseRequest(text); !ok || err != nil || got != r {
			t.Errorf("%s: read %+v, %v", dialled, got, err)
		}
	}
	for _, s := range []string{
		"tcp://127.0.0.1:9701", "tcp://127.0.0.1:9701/EndpointService:jxta-NetGroup",
		"tcp://127.0.0.1:9701/EndpointService:jxta-NetGroup/EndpointRouter/connect,1,keep,true",
		"tcp://127.0.0.1:9701/EndpointService:jxta-WorldGroup/" + service + "/connect",
		"tcp://127.0.0.1:9701/" + service + "/connect",
	} {
		if text, ok := asked(endpoint.MustParseAddress(s), id.NetGroup); ok {
			t.Errorf("%s asks for %q", s, text)
		}
	}
}

// TestAnswersAreThoseOfJXSE: what JXSE says is understood, and what is said has the
// same octets where JXSE prints documents as is done here.
func TestAnswersAreThoseOfJXSE(t *testing.T) {
	first := recordedMessage(t, "tcp-package-relay-connected")
	a, ok := readAnswer(first)
	if !ok || a.lease != 3599999*time.Millisecond || a.relay == nil || a.relay.Name != "alpha" || a.relay.Group != id.NetGroup {
		t.Fatalf("read %+v, %v", a, ok)
	}
	hop := hopOf(a.relay, endpoint.MustParseAddress("tcp://127.0.0.1:9701"))
	if hop.Peer != a.relay.Peer || len(hop.Addresses) != 1 || hop.Addresses[0].String() != "tcp://127.0.0.1:9701" {
		t.Errorf("hop %+v", hop)
	}
	wrote := a.message()
	if got, want := names(wrote), "response lease relayAdv"; got != want {
		t.Errorf("wrote %s, want %s", got, want)
	}
	e, _ := first.Get(space, elemAdv)
	w, _ := wrote.Get(space, elemAdv)
	if w.Type != e.Type {
		t.Errorf("type %q, recorded %q", w.Type, e.Type)
	}
	var back advertisements.Rendezvous
	if err := xmldoc.Unmarshal(w.Body, &back); err != nil || !back.Route.Equal(a.relay.Route) {
		t.Errorf("wrote %s: %v", w.Body, err)
	}
	for _, n := range []string{elemReply, elemLease} {
		e, _ := first.Get(space, n)
		if w, _ := wrote.Get(space, n); w.Type != e.Type || !bytes.Equal(w.Body, e.Body) {
			t.Errorf("%s: wrote %q, recorded %q", n, w.Body, e.Body)
		}
	}

	second := recordedMessage(t, "tcp-package-relay-renewed")
	if a, ok = readAnswer(second); !ok || a.lease != time.Hour || a.relay != nil {
		t.Errorf("read %+v, %v", a, ok)
	}
	b := must(a.message().AppendTo(nil, addresses(second)...))
	if all := recorded(t, "tcp-package-relay-renewed"); !bytes.Equal(all[framing.HeaderSize:], b) {
		t.Errorf("wrote\n%q", b)
	}
	if a, ok = readAnswer(recordedMessage(t, "http-poll-response-relay")); !ok || a.lease <= 0 {
		t.Errorf("polled %+v, %v", a, ok)
	}
}

func names(m *message.Message) string {
	var all []string
	for e := range m.All() {
		all = append(all, e.Name)
	}
	return strings.Join(all, " ")
}

// TestARelayedRoute is read as the client's advertisement has it: the relay is the
// last hop.
func TestARelayedRoute(t *testing.T) {
	e, _ := recordedMessage(t, "tcp-package-rdv-connect-relayed").Get(message.Platform, "Connect")
	adv := new(advertisements.Peer)
	if err := xmldoc.Unmarshal(e.Body, adv); err != nil {
		t.Fatal(err)
	}
	r, ok := adv.Route()
	a, _ := readAnswer(recordedMessage(t, "tcp-package-relay-connected"))
	if !ok || len(r.Hops) != 1 || r.Hops[0].Peer != a.relay.Peer || r.Hops[0].Addresses[0] != a.relay.Route.Addresses[0] {
		t.Errorf("route %+v", r)
	}
}

// TestKeptMessagesAreUntouched: what JXSE passes to a client as the last hop is
// kept and taken out again as it was, octet for octet.
func TestKeptMessagesAreUntouched(t *testing.T) {
	m := recordedMessage(t, "tcp-package-routed-hop2")
	last := addresses(m)
	for _, e := range last {
		m.Remove(message.Platform, e.Name)
	}
	self := must(id.ParsePeer("urn:jxta:uuid-59616261646162614E504720503250330000000000000000000000000000000103"))
	e := must(endpoint.New(endpoint.Config{Peer: self}))
	defer e.Close()
	s := must(NewServer(ServerConfig{Scope: e.Scope(id.NetGroup), Advertisement: func() *advertisements.Peer { return nil }}))
	defer s.Close()
	c := &client{peer: self, until: time.Now().Add(time.Hour), link: deadLink{}}
	s.clients[c.peer] = c
	c.busy = true // nothing is sent
	hop := endpoint.Address{Service: "EndpointService:jxta-NetGroup", Param: "EndpointRouter"}
	if !s.Keep(c.peer, hop, m) {
		t.Fatal("not kept")
	}
	_, at, out, k := s.next(c)
	c.link = nil
	if k == nil || at != hop {
		t.Fatalf("for %v", at)
	}
	b := must(out.AppendTo(nil, last...))
	if all := recorded(t, "tcp-package-routed-hop2"); !bytes.Equal(all[framing.HeaderSize:], b) {
		t.Errorf("became\n%q", b)
	}
}

// deadLink is a link on which nothing goes.
type deadLink struct{ endpoint.Link }

// TestRequestSpellings: what JXSE takes, is taken in the same sense; what exceeds
// a limit is nothing.
func TestRequestSpellings(t *testing.T) {
	hour := time.Hour
	for text, want := range map[string]request{
		"connect":                               {verb: connect},
		"CONNECT,3600000,KEEP,TRUE":             {verb: connect, lease: hour, about: aboutRelay},
		"connect,":                              {verb: connect},
		"connect,,keep,other":                   {verb: connect, about: aboutOther},
		"connect,1000":                          {verb: connect, lease: time.Second},
		"connect,1000,true":                     {verb: connect, lease: time.Second, about: aboutRelay},
		"connect,1000,flush,true":               {verb: connect, lease: time.Second, flush: true, about: aboutRelay},
		"connect,1000,flushother":               {verb: connect, lease: time.Second, flush: true, about: aboutOther},
		"connect,1000,keep,":                    {verb: connect, lease: time.Second},
		"connect,-1,keep,true":                  {verb: connect, about: aboutRelay},
		"connect,soon,keep,true":                {verb: connect, about: aboutRelay},
		"connect,999999999999999,keep,true":     {verb: connect, lease: maxGranted, about: aboutRelay},
		"disconnect":                            {verb: disconnect},
		"Disconnect":                            {verb: disconnect},
		"pid":                                   {verb: makeID},
		"connect,9999999999999999,keep,true":    {},
		"connect,1," + strings.Repeat("x", 250): {},
		"":                                      {},
		"disconnect,now":                        {},
		"reconnect":                             {},
		"pid,":                                  {},
		" connect":                              {},
		"conn":                                  {},
	} {
		got, err := parseRequest(text)
		if got != want || (err != nil) != (want == request{}) || err != nil && !errors.Is(err, errRequest) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

// TestRefusalsInWords survive the way over the wire, and JXSE, which has none, is
// understood.
func TestRefusalsInWords(t *testing.T) {
	for _, err := range []error{ErrFull, ErrCrowded, ErrTaken} {
		a, ok := readAnswer(answer{reason: err}.message())
		if !ok || !errors.Is(a.reason, err) || !errors.Is(a.reason, ErrRefused) || a.lease != 0 {
			t.Errorf("%v became %+v", err, a)
		}
	}
	for _, m := range []*message.Message{
		message.New(message.Text(space, elemReply, "Disconnected")),
		message.New(message.Text(space, elemReply, "disconnected"), message.Text(ownSpace, elemReason, "moon")),
		message.New(message.Text(space, elemReply, "disconnected"), message.Text(ownSpace, elemReason, strings.Repeat("f", maxReason+1))),
	} {
		if a, ok := readAnswer(m); !ok || a.reason != ErrRefused {
			t.Errorf("%+v", a)
		}
	}
}

// TestBadAnswers are none.
func TestBadAnswers(t *testing.T) {
	for _, m := range []*message.Message{
		{}, message.New(message.Text(space, elemReply, "")), message.New(message.Text(space, elemReply, "pid")),
		message.New(message.Text(space, elemReply, "connected")),
		message.New(message.Text(space, elemReply, "connected"), message.Text(space, elemLease, "0")),
		message.New(message.Text(space, elemReply, "connected"), message.Text(space, elemLease, "-5")),
		message.New(message.Text(space, elemReply, "connected"), message.Text(space, elemLease, "1e9")),
		message.New(message.Text(space, elemReply, "connected"), message.Text(space, elemLease, "1000000000000000")),
		message.New(message.Text("", elemReply, "connected"), message.Text("", elemLease, "1000")),
	} {
		if a, ok := readAnswer(m); ok {
			t.Errorf("%s: %+v", names(m), a)
		}
	}
	big := message.New(message.Text(space, elemReply, "connected"), message.Text(space, elemLease, "1000"),
		message.XML(space, elemAdv, bytes.Repeat([]byte{' '}, maxAdvertisement+1)))
	if a, ok := readAnswer(big); !ok || a.relay != nil {
		t.Errorf("%+v, %v", a, ok)
	}
}

func FuzzRequest(f *testing.F) {
	for _, s := range []string{"connect,3600000,keep,true", "connect,,flush,other", "disconnect", "pid", "connect,99999999999999999999"} {
		for i := range len(s) + 1 {
			f.Add(s[:i])
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseRequest(s)
		if err != nil {
			return
		}
		if r.lease < 0 || r.lease > maxGranted {
			t.Fatalf("lease %v", r.lease)
		}
		if again, err := parseRequest(r.String()); err != nil || again != r {
			t.Fatalf("%q is %+v, and %q is %+v", s, r, r.String(), again)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	for _, name := range []string{"tcp-package-relay-connected", "tcp-package-relay-renewed", "tcp-package-relay-renew"} {
		b := recorded(f, name)[framing.HeaderSize:]
		for i := 0; i < len(b); i += 7 {
			f.Add(b[:i])
		}
		f.Add(b)
	}
	f.Add(must(answer{reason: ErrFull}.message().MarshalBinary()))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := message.Decode(b)
		if err != nil {
			return
		}
		a, ok := readAnswer(m)
		if !ok {
			return
		}
		if (a.lease > 0) == (a.reason != nil) || a.lease > maxGranted {
			t.Fatalf("%+v", a)
		}
		if a.relay != nil {
			_ = hopOf(a.relay, endpoint.Address{})
		}
		again, ok := readAnswer(a.message())
		if !ok || again.lease.Milliseconds() != a.lease.Milliseconds() || again.reason != a.reason {
			t.Fatalf("%+v became %+v", a, again)
		}
	})
}
