package peerview

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// recording returns a message that a JXSE 2.5 peer sent.
func recording(t testing.TB, name string) *message.Message {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".jxm"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := message.Decode(b)
	if err != nil {
		t.Fatal(name, err)
	}
	return m
}

var recordings = []string{
	"rvp-01-peerview-probe", "rvp-02-peerview-response", "rvp-03-peerview-referral",
	"rvp-04-peerview-failure", "rvp-05-peerview-edge-probe", "rvp-06-peerview-edge-response",
}

// elements returns those of this protocol, as text.
func elements(m *message.Message) (list []string) {
	for e := range m.All() {
		if strings.HasPrefix(e.Name, "PeerView.") {
			list = append(list, fmt.Sprintf("%s:%s %s\n%s", e.Namespace, e.Name, e.Type, e.Body))
		}
	}
	return list
}

// TestRecordings: each kind of message that JXSE 2.5 sends is read, and printed
// octet for octet as JXSE does.
func TestRecordings(t *testing.T) {
	adv := func(name string) *advertisements.Rendezvous {
		l, err := open(recording(t, name))
		if err != nil {
			t.Fatal(name, err)
		}
		adv, err := readAdv(l.adv)
		if err != nil {
			t.Fatal(name, err)
		}
		return adv
	}
	own := func(name string) printed {
		p, err := printSelf(adv(name))
		if err != nil {
			t.Fatal(name, err)
		}
		return p
	}
	first := own(recordings[1])
	edge := flagged(elemEdge)
	edge.Add(slices.Collect(own(recordings[4]).probe(nil, nil).All())...)
	for i, want := range []struct {
		letter  letter // its flags
		message *message.Message
		group   string
	}{
		{letter{probe: true}, own(recordings[0]).probe(nil, nil), "jxta-NetGroup"},
		{letter{}, first.response(), "jxta-NetGroup"},
		{letter{cached: true}, first.referral(own(recordings[2]).adv), "jxta-NetGroup"},
		{letter{cached: true, failure: true}, first.failure(own(recordings[3]).adv), "jxta-NetGroup"},
		{letter{probe: true, edge: true}, edge, "uuid-6060606060604060A06060606060606002"},
		{letter{}, own(recordings[5]).response(), "uuid-6060606060604060A06060606060606002"},
	} {
		m := recording(t, recordings[i])
		l, err := open(m)
		if err != nil {
			t.Errorf("%s: %v", recordings[i], err)
			continue
		}
		if w := want.letter; l.probe != w.probe || l.cached != w.cached || l.failure != w.failure || l.edge != w.edge || l.knows {
			t.Errorf("%s: read as %+v", recordings[i], l)
		}
		if src := readRoute(l.source); (src != nil) != l.cached {
			t.Errorf("%s: source route %v", recordings[i], src)
		}
		a := adv(recordings[i])
		if a.Group.Unique() != want.group || a.Service != advertisements.RendezvousService(a.Group) || a.Route.Dest != a.Peer {
			t.Errorf("%s: %+v", recordings[i], a)
		}
		if got, want := elements(want.message), elements(m); !slices.Equal(got, want) {
			t.Errorf("%s: printed\n%s\nwant\n%s", recordings[i], strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func flagged(name string) *message.Message {
	return message.New(message.Text(message.Platform, name, flag))
}

// TestPipeID: as computed by JXSE 2.5, and seen in its traffic.
func TestPipeID(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "derived.json"))
	if err != nil {
		t.Fatal(err)
	}
	var derived struct {
		Pipes []struct {
			Of id.Group `json:"view_group"`
			In id.Group `json:"pipe_in_group"`
			ID id.Pipe  `json:"pipe_id"`
		} `json:"peerview_pipe_ids"`
	}
	if err := json.Unmarshal(b, &derived); err != nil || len(derived.Pipes) == 0 {
		t.Fatal(err)
	}
	for _, p := range derived.Pipes {
		if got := PipeID(p.Of, p.In); got != p.ID {
			t.Errorf("%s in %s: %s, want %s", p.Of, p.In, got, p.ID)
		}
	}
}

// TestGoodbyeAndLists: the messages that were not recorded.
func TestGoodbyeAndLists(t *testing.T) {
	adv, err := readAdv(letterOf(t, recordings[0]).adv)
	if err != nil {
		t.Fatal(err)
	}
	own, err := printSelf(adv)
	if err != nil {
		t.Fatal(err)
	}
	l, err := open(own.goodbye())
	if err != nil || !l.failure || l.probe || l.cached {
		t.Errorf("goodbye read as %+v, %v", l, err)
	}
	l, err = open(own.probe(printList([]uint32{3, 1, 1 << 31}), printList([]uint32{7})))
	if err != nil || !l.knows || !slices.Equal(fingerprints(l.known), []uint32{1, 3, 1 << 31}) || !slices.Equal(fingerprints(l.told), []uint32{7}) {
		t.Errorf("probe read as %+v, %v", l, err)
	}
	l, err = open(own.probe(printList(nil), nil))
	if err != nil || !l.knows || len(l.known) != 0 {
		t.Errorf("probe of one that knows nobody read as %+v, %v", l, err)
	}
	if got := fingerprint(id.Peer{}); got != 0x811c9dc5 {
		t.Errorf("FNV-1a of nothing is %x", got)
	}
}

func letterOf(t testing.TB, name string) letter {
	t.Helper()
	l, err := open(recording(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestLacks compares sets of fingerprints with the obvious way to do it.
func TestLacks(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	now := time.Now()
	for range 500 {
		v := &View{members: map[id.Peer]*member{}, print: rng.Uint32N(40), docs: map[uint64]*advertisements.Rendezvous{}}
		mine := map[uint32]bool{v.print: true}
		for i := range rng.IntN(20) {
			m := &member{peer: id.PeerFromSeed(id.NetGroup, fmt.Appendf(nil, "%016d", i)), print: rng.Uint32N(40)}
			mine[m.print] = true
			v.insert(m, now)
		}
		var known, told []uint32
		of := map[uint32]bool{}
		for range rng.IntN(20) {
			f := rng.Uint32N(40)
			if !of[f] {
				known = append(known, f)
			}
			of[f] = true
		}
		unknown := 0
		for f := range of {
			if !mine[f] {
				unknown++
			}
		}
		for range rng.IntN(5) {
			f := rng.Uint32N(40)
			told = append(told, f)
			of[f] = true
		}
		want := 0
		for _, m := range v.prints {
			if !of[m.print] {
				want++
			}
		}
		lacking, got := v.lacks(id.Peer{}, printList(known), printList(told), now)
		if len(lacking) != want || got != unknown {
			t.Fatalf("lacks %d and knows %d more, want %d and %d", len(lacking), got, want, unknown)
		}
	}
}

// TestAgenda: whatever is put off or brought forward, each comes when it is due.
func TestAgenda(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	start := time.Now()
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	v := &View{wake: make(chan struct{}, 1)}
	var all []*member
	for range 50 {
		m := &member{}
		v.enter(m, at(rng.IntN(100)))
		all = append(all, m)
	}
	for now := range 200 {
		for range 10 {
			v.schedule(all[rng.IntN(len(all))], at(now+1+rng.IntN(100)))
		}
		if len(all) > 20 && now%5 == 0 {
			v.strike(all[len(all)-1])
			all = all[:len(all)-1]
		}
		for m := v.ripe(at(now)); m != nil; m = v.ripe(at(now)) {
			v.schedule(m, at(now+1+rng.IntN(100)))
		}
		for _, m := range all {
			if !m.due.After(at(now)) {
				t.Fatalf("at %d: one is overdue", now)
			}
		}
		if len(v.agenda) != len(all) {
			t.Fatal("lost one")
		}
	}
}

func TestBuckets(t *testing.T) {
	now := time.Now()
	var b bucket
	for range 3 {
		if b.wait(now, 2, 3) != 0 || !b.take(now, 2, 3) {
			t.Fatal("empty too early")
		}
	}
	if b.take(now, 2, 3) {
		t.Error("not empty")
	}
	wait := b.wait(now, 2, 3)
	if wait < 500*time.Millisecond || wait > 501*time.Millisecond {
		t.Errorf("wait %v", wait)
	}
	if !b.take(now.Add(wait), 2, 3) || b.take(now.Add(wait), 2, 3) {
		t.Error("not one in half a second")
	}
	var n neighbours
	for i := range 3 * maxNeighbours {
		n.of(id.PeerFromSeed(id.NetGroup, fmt.Appendf(nil, "%016d", i)), now).messages.take(now, 1, 1)
	}
	if len(n) > maxNeighbours {
		t.Errorf("%d remembered", len(n))
	}
	n.of(id.Peer{}, now.Add(time.Hour))
	if len(n) > maxNeighbours {
		t.Errorf("%d remembered after an hour", len(n))
	}
}

// TestLostAndTargetsAreBounded.
func TestLostAndTargetsAreBounded(t *testing.T) {
	v := alone(t)
	now := time.Now()
	for i := range 2 * maxTargets {
		p := id.PeerFromSeed(id.NetGroup, fmt.Appendf(nil, "%016d", i))
		adv := &advertisements.Rendezvous{Peer: p, Route: &advertisements.Route{Dest: p}}
		v.mu.Lock()
		if i < maxLost+100 {
			v.rememberLost(adv, now.Add(time.Duration(i)))
		}
		if t := v.target(&incoming{adv: adv, doc: uint64(i) + 1}, now); t != nil {
			t.next = now.Add(time.Minute)
		}
		v.mu.Unlock()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.lost) != maxLost || len(v.targets) != maxTargets || len(v.docs) != maxTargets {
		t.Errorf("%d lost, %d targets, %d documents", len(v.lost), len(v.targets), len(v.docs))
	}
	v.sweepTargets(now.Add(time.Hour))
	if len(v.targets) != 0 || len(v.docs) != 0 {
		t.Errorf("%d targets and %d documents remain", len(v.targets), len(v.docs))
	}
}

// alone makes a view on an endpoint without network.
func alone(t testing.TB) *View {
	t.Helper()
	self := id.PeerFromSeed(id.NetGroup, []byte("the peer itself!"))
	ep, err := endpoint.New(endpoint.Config{Peer: self})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ep.Close() })
	v, err := New(Config{Scope: ep.Scope(id.NetGroup), Self: func() *advertisements.Rendezvous {
		return &advertisements.Rendezvous{Group: id.NetGroup, Peer: self, Service: advertisements.RendezvousService(id.NetGroup), Route: &advertisements.Route{Dest: self}}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// fakeLink is the other end of a link that takes everything.
type fakeLink struct {
	endpoint.Link
	peer   id.Peer
	origin string
}

func (l fakeLink) Peer() id.Peer                             { return l.peer }
func (l fakeLink) Origin() string                            { return l.origin }
func (l fakeLink) Local() endpoint.Address                   { return endpoint.Address{Protocol: "mem", Host: "here"} }
func (l fakeLink) Remote() endpoint.Address                  { return endpoint.Address{Protocol: "mem", Host: "there"} }
func (l fakeLink) Send(_ context.Context, body []byte) error { return nil }

// TestOneOriginHasItsShare of the view, and this machine no bound.
func TestOneOriginHasItsShare(t *testing.T) {
	v := alone(t)
	now := time.Now()
	v.mu.Lock() // all the time: nobody is there to answer the probes of a new member, which would lose its place
	join := func(i int, origin string) bool {
		p := id.PeerFromSeed(id.NetGroup, fmt.Appendf(nil, "%08d%8.8s", i, origin))
		_, ok := v.letIn(&advertisements.Rendezvous{Peer: p, Route: &advertisements.Route{Dest: p}}, uint64(i), fakeLink{peer: p, origin: origin}, now)
		return ok
	}
	in := map[string]int{}
	for i := range 2 * maxPerOrigin {
		for _, origin := range []string{"192.0.2.1", "127.0.0.1", ""} {
			if join(3*i+len(origin), origin) {
				in[origin]++
			}
		}
	}
	if in["192.0.2.1"] != maxPerOrigin || in["127.0.0.1"] != 2*maxPerOrigin || in[""] != 2*maxPerOrigin {
		t.Errorf("%v", in)
	}
	for _, m := range slices.Clone(v.order) {
		v.remove(m, "test", false, now)
	}
	empty := len(v.origins) + len(v.docs) + len(v.agenda) + len(v.prints) + len(v.members)
	v.mu.Unlock()
	if empty != 0 || v.Size() != 0 {
		t.Errorf("%d things remain of members that left", empty)
	}
}

// TestSameAdvertisement: another order of attributes is no news, another address
// is.
func TestSameAdvertisement(t *testing.T) {
	v := alone(t)
	l := letterOf(t, recordings[0])
	const from, to = `xml:space="preserve" xmlns:jxta="http://jxta.org"`, `xmlns:jxta="http://jxta.org" xml:space="preserve"`
	v.mu.Lock() // all the time: nobody is there to answer the probes of a new member, which would lose its place
	defer v.mu.Unlock()
	var m *member
	for i, doc := range [][]byte{
		l.adv, bytes.Replace(l.adv, []byte(from), []byte(to), 1), bytes.Replace(l.adv, []byte(":9802"), []byte(":9999"), 1),
	} {
		adv, err := readAdv(doc)
		if err != nil {
			t.Fatal(err)
		}
		var ok bool
		before := m
		if m, ok = v.letIn(adv, maphash.Bytes(v.seed, doc), fakeLink{peer: adv.Peer}, time.Now()); !ok {
			t.Fatal("no member")
		}
		if renewed := m.adv == adv; renewed != (i != 1) || before != nil && before != m {
			t.Errorf("document %d: advertisement renewed %v, another member %v", i, renewed, before != m)
		}
	}
	if m.spoke != 3 || m.adv.Route.Addresses[0].Host != "10.9.0.1:9999" || len(v.docs) != 1 {
		t.Errorf("%+v", m)
	}
}

// TestMemory bounds what a view keeps for one member, its advertisement included.
func TestMemory(t *testing.T) {
	v := alone(t)
	l := letterOf(t, recordings[0])
	measure := func() int {
		var s runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&s)
		return int(s.HeapAlloc)
	}
	before := measure()
	for i := range DefaultLimit {
		doc := bytes.ReplaceAll(l.adv, []byte("50325033222222222222"), fmt.Appendf(nil, "5032503300000000%04X", i))
		adv, err := readAdv(doc)
		if err != nil {
			t.Fatal(err)
		}
		v.mu.Lock()
		v.letIn(adv, uint64(i), fakeLink{peer: adv.Peer, origin: "127.0.0.1"}, time.Now())
		v.mu.Unlock()
	}
	v.tell()
	each := (measure() - before) / DefaultLimit
	t.Logf("%d octets for each of %d members", each, v.Size())
	if v.Size() < DefaultLimit-10 || each > 2<<10 { // some may have been found to be unreachable
		t.Error("too much")
	}
}

// TestCutAnywhere: a message that ends early, at any octet, does no harm and
// makes nobody a member that did not say so.
func TestCutAnywhere(t *testing.T) {
	v := alone(t)
	for _, name := range recordings {
		for e := range recording(t, name).All() {
			if !strings.HasPrefix(e.Name, "PeerView.") {
				continue
			}
			for n := range len(e.Body) {
				cut := e
				cut.Body = e.Body[:n]
				v.take(endpoint.Incoming{Message: message.New(cut), From: v.self, Link: fakeLink{peer: v.self}}, n%2 == 0)
			}
		}
	}
	if v.Size() != 0 {
		t.Errorf("members %v", v.Peers())
	}
	if v.Stats().DroppedMalformed == 0 {
		t.Error("everything was taken")
	}
}

// FuzzReceive gives a view messages of any kind, from a peer that is what one of
// the recorded advertisements says.
func FuzzReceive(f *testing.F) {
	for _, name := range recordings {
		b, err := os.ReadFile(filepath.Join("testdata", name+".jxm"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false)
		f.Add(b, true)
	}
	own, err := printSelf(&advertisements.Rendezvous{Group: id.NetGroup, Peer: id.NewPeer(id.NetGroup), Service: "x", Route: &advertisements.Route{}})
	if err != nil {
		f.Fatal(err)
	}
	for _, m := range []*message.Message{own.goodbye(), own.probe([]byte{0, 0, 0, 9, 0, 0, 0, 1}, []byte{1, 2, 3, 4}), own.probe([]byte{1}, nil)} {
		b, err := m.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false)
	}
	adv, err := readAdv(letterOf(f, recordings[0]).adv)
	if err != nil {
		f.Fatal(err)
	}
	v := alone(f)
	f.Fuzz(func(t *testing.T, b []byte, piped bool) {
		m, err := message.Decode(b)
		if err != nil {
			return
		}
		v.mu.Lock()
		clear(v.near)          // the budgets are tested elsewhere
		v.sending = maxSending // nothing is sent
		v.mu.Unlock()
		v.take(endpoint.Incoming{Message: m, From: adv.Peer, Link: fakeLink{peer: adv.Peer}}, piped)
		for _, p := range v.Peers() {
			if p != adv.Peer {
				t.Fatalf("%s is a member", p)
			}
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		if len(v.line) > maxLine || len(v.targets) > maxTargets || len(v.docs) > maxTargets+1 || len(v.ready) > maxQueue || len(v.calls) > maxQueue {
			t.Fatal("a bound was passed")
		}
		v.queue.clear()
		if l, err := open(m); err == nil {
			if adv, err := readAdv(l.adv); err == nil {
				doc, err := xmldoc.Marshal(adv)
				if err != nil {
					return // what XML cannot carry, or is beyond the limits of printing
				}
				again, err := readAdv(doc)
				if err != nil || again.Peer != adv.Peer || again.Group != adv.Group {
					t.Fatalf("printed and read again: %v, %+v", err, again)
				}
			}
		}
	})
}

// BenchmarkRefresh is what an exchange with a member costs whose advertisement
// has not changed, as in all but a few.
func BenchmarkRefresh(b *testing.B) {
	v := alone(b)
	m := recording(b, recordings[0]).Add(message.Bytes(namespace, elemKnown, bytes.Repeat([]byte{0, 0, 1, 2}, 500)))
	adv, err := readAdv(letterOf(b, recordings[0]).adv)
	if err != nil {
		b.Fatal(err)
	}
	in := endpoint.Incoming{Message: m, From: adv.Peer, Link: fakeLink{peer: adv.Peer}}
	b.ReportAllocs()
	for b.Loop() {
		v.mu.Lock()
		clear(v.near)
		v.ready = nil
		v.mu.Unlock()
		v.take(in, false)
	}
}
