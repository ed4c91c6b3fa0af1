//go:build linux

package roadtest

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A chat says chatSize octets every chatEvery.
const (
	chatSize  = 200
	chatEvery = 500 * time.Millisecond

	// chatGoal is what 95 of 100 messages of the chat may take on a bad road while a
	// bulk transfer is under way.
	chatGoal = time.Second

	// bulkBlock is how much of a bulk transfer goes into a message.
	bulkBlock  = 16 << 10
	smallBlock = 4 << 10

	// chatHeld is what half of them take at the most so far; and bulkHeld, in octets a
	// second, is what bulk gets at the least.
	chatHeld = 10 * time.Second
	bulkHeld = 5000

	// straggle is how long a message may take until the test does not wait any more.
	straggle = 45 * time.Second
)

// narrow is 256 kbit/s with a round trip of 200 ms, and each twentieth packet lost.
var narrow = conditions{Rate: 256_000 / 8, Delay: 100 * time.Millisecond, Loss: 0.05, Seed: 7}

func long(normal time.Duration) time.Duration {
	if os.Getenv("JUXTA_SLOW") != "" {
		return 50 * time.Second
	}
	return normal
}

// arrivals is what came, and when.
type arrivals struct {
	mu     sync.Mutex
	delays []time.Duration // of the chat
	octets int             // of bulk, after the first
	first  int64
	last   int64
}

// chat takes a message of the chat, which begins with the time at which it was sent.
func (a *arrivals) chat(text []byte) {
	d := time.Duration(now() - int64(binary.BigEndian.Uint64(text)))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.delays = append(a.delays, d)
}

func (a *arrivals) bulk(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.first == 0 {
		a.first = now()
	} else {
		a.octets += n
	}
	a.last = now()
}

// talk says something every now and then.
func talk(stop time.Time, say func(text []byte) error) {
	time.Sleep(chatEvery)
	for next := time.Now(); next.Before(stop); next = next.Add(chatEvery) {
		time.Sleep(time.Until(next))
		if say(append(binary.BigEndian.AppendUint64(nil, uint64(now())), make([]byte, chatSize-8)...)) != nil {
			return
		}
	}
}

// wait returns what came when as much of the chat came as was sent, or some time later.
func (a *arrivals) wait(sent int) mixed {
	for until := time.Now().Add(straggle); ; time.Sleep(10 * time.Millisecond) {
		a.mu.Lock()
		m := mixed{Sent: sent, Delays: slices.Clone(a.delays)}
		if a.last > a.first {
			m.Rate = float64(a.octets) / time.Duration(a.last-a.first).Seconds()
		}
		a.mu.Unlock()
		if len(m.Delays) >= sent || time.Now().After(until) {
			return m
		}
	}
}

// mixed is how a chat went beside bulk.
type mixed struct {
	Sent   int             // of the chat
	Delays []time.Duration // of what came
	Rate   float64         // of bulk, octets a second
}

// part returns the delay that so much of the chat did not exceed. What has not come
// counts as the longest.
func (m mixed) part(p float64) time.Duration {
	all := slices.Sorted(slices.Values(m.Delays))
	for len(all) < m.Sent {
		all = append(all, straggle)
	}
	if len(all) == 0 {
		return straggle
	}
	return all[min(int(p*float64(len(all))), len(all)-1)]
}

func (m mixed) String() string {
	r := func(p float64) time.Duration { return m.part(p).Round(time.Millisecond) }
	return fmt.Sprintf("%v | %v | %v | %d of %d | %.0f kbit/s", r(0.5), r(0.95), r(0.99), len(m.Delays), m.Sent, m.Rate*8/1000)
}

var tableMutex sync.Mutex

// addRow adds a row to the table of results, if there is to be one.
func addRow(t *testing.T, cells ...string) {
	t.Helper()
	row := "| " + strings.Join(cells, " | ") + " |"
	t.Log(row)
	name := os.Getenv("JUXTA_ROAD_TABLE")
	if name == "" {
		return
	}
	tableMutex.Lock()
	defer tableMutex.Unlock()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = fmt.Fprintln(f, row); err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Error(err)
	}
}

// TestRawChatBesideBulk measures what TCP can do, to compare with: everything comes in
// the end, and how late depends on what the system is given ahead of time.
func TestRawChatBesideBulk(t *testing.T) {
	if os.Getenv("JUXTA_SLOW") == "" {
		t.Skip("NOT TESTED: figures to compare with take a minute; set JUXTA_SLOW=1")
	}
	t.Parallel()
	for _, w := range []rawWay{
		{name: "one connection, no bound", block: bulkBlock},
		{name: "one connection, chat first, 16 KiB unsent", first: true, unsent: 16 << 10, block: bulkBlock},
		{name: "one connection, chat first, 4 KiB unsent", first: true, unsent: 4 << 10, block: bulkBlock},
		{name: "one connection, chat first, 4 KiB unsent, blocks of 4 KiB", first: true, unsent: 4 << 10, block: 4 << 10},
		{name: "one connection, chat first, 4 KiB unsent, polled", first: true, unsent: 4 << 10, polled: true, block: bulkBlock},
		{name: "one connection, chat first, 4 KiB unsent, polled, blocks of 4 KiB", first: true, unsent: 4 << 10, polled: true, block: 4 << 10},
		{name: "one connection, chat first, 4 KiB unsent, polled, blocks of 4 KiB, polite", first: true, unsent: 4 << 10, polled: true, block: 4 << 10, polite: true},
		{name: "two connections", own: true, block: bulkBlock},
		{name: "two connections, bulk polite", own: true, block: bulkBlock, unsent: 4 << 10, polled: true, polite: true},
		{name: "two connections, bulk polite, chat thin", own: true, thin: true, block: bulkBlock, unsent: 4 << 10, polled: true, polite: true},
	} {
		for _, r := range roads() {
			t.Run(w.name+", "+r.name, func(t *testing.T) {
				t.Parallel()
				m := w.run(t, r.conditions, long(0))
				if len(m.Delays) != m.Sent {
					t.Errorf("%d messages of %d came", len(m.Delays), m.Sent)
				}
				addRow(t, "raw TCP, "+w.name, r.name, m.String())
			})
		}
	}
}

// beside has two peers chat beside bulk.
func beside(t *testing.T, c conditions, o order, forLong time.Duration) (mixed, string) {
	l := newLab(t, c)
	ann, bob := l.peers(order{QUIC: o.QUIC})
	o.Do, o.Peer, o.For = "mix", ann.id, forLong
	r := bob.must(o)
	m := ann.must(order{Do: "report", Sent: r.Mixed.Sent}).Mixed
	m.Sent = r.Mixed.Sent
	return m, r.Path
}

// TestChatBesideBulk: a chat goes on while a bulk transfer takes all there is.
func TestChatBesideBulk(t *testing.T) {
	t.Parallel()
	for _, r := range roads() {
		if r.name != "200 ms, 5 %" && os.Getenv("JUXTA_SLOW") == "" {
			continue
		}
		for _, o := range []order{
			{Bulk: "none"},
			{Bulk: "pipe", Block: bulkBlock},
			{Bulk: "stream", Block: bulkBlock},
			{Bulk: "pipe", Block: smallBlock},
			{Bulk: "stream", Block: smallBlock},
			{Bulk: "pipe", Block: bulkBlock, QUIC: true},
			{Bulk: "stream", Block: bulkBlock, QUIC: true},
		} {
			if (o.QUIC || o.Block == smallBlock) && os.Getenv("JUXTA_SLOW") == "" {
				continue
			}
			t.Run(fmt.Sprintf("%s, %d KiB, %s, quic %v", o.Bulk, o.Block>>10, r.name, o.QUIC), func(t *testing.T) {
				t.Parallel()
				m, path := beside(t, r.conditions, o, long(6*time.Second))
				addRow(t, fmt.Sprintf("beside %s, %d KiB (%s)", o.Bulk, o.Block>>10, path), r.name, m.String())
				if len(m.Delays) != m.Sent {
					t.Errorf("%d messages of %d came", len(m.Delays), m.Sent)
				}
				if half := m.part(0.5); o.Bulk == "none" && half > chatGoal/2 || half > chatHeld && os.Getenv("JUXTA_SLOW") == "" {
					t.Errorf("half of the chat takes more than %v", half)
				}
				if o.Bulk != "none" && m.Rate < bulkHeld {
					t.Errorf("bulk gets %.0f octets a second", m.Rate)
				}
				switch late := m.part(0.95); {
				case late <= chatGoal:
				case o.Bulk == "stream" && !o.QUIC && os.Getenv("JUXTA_SLOW") != "" && r.Delay <= narrow.Delay:
					t.Errorf("95 of 100 take up to %v, more than %v", late, chatGoal)
				default:
					t.Logf("95 of 100 take up to %v, more than %v", late, chatGoal)
				}
			})
		}
	}
}

// TestBulkHasALinkOfItsOwn: on a slow road a stream goes over a second link, whoever
// opened the first one; a pipe does not, nor a stream on a wide, short road.
func TestBulkHasALinkOfItsOwn(t *testing.T) {
	t.Parallel()
	calm, short := narrow, narrow
	calm.Loss, short.Loss, short.Delay, short.Rate = 0, 0, time.Millisecond, 10<<20
	for _, c := range []struct {
		name     string
		road     conditions
		bulk     string
		accepted bool // who sends has not opened the first link
		want     int
	}{
		{"stream", calm, "stream", false, 2},
		{"stream, accepted", calm, "stream", true, 2},
		{"pipe", calm, "pipe", false, 1},
		{"none", calm, "none", false, 1},
		{"wide, short road", short, "stream", false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, c.road)
			ann, bob := l.peers(order{})
			from, to := bob, ann
			if c.accepted {
				from, to = ann, bob
			}
			r := from.must(order{Do: "mix", Peer: to.id, Bulk: c.bulk, Block: bulkBlock, For: 4 * time.Second})
			if r.Links != c.want {
				t.Errorf("%d links, want %d", r.Links, c.want)
			}
		})
	}
}

// namedRoad is a road with a name for the table.
type namedRoad struct {
	name string
	conditions
}

// roads are the ones of the table.
func roads() []namedRoad {
	calm, far, modern := narrow, narrow, narrow
	calm.Loss = 0
	far.Delay *= 2
	modern.Control = "bbr"
	calmModern := calm
	calmModern.Control = "bbr"
	return []namedRoad{
		{"200 ms, 5 %", narrow}, {"400 ms, 5 %", far}, {"200 ms, no loss", calm},
		{"200 ms, 5 %, bbr", modern}, {"200 ms, no loss, bbr", calmModern},
	}
}
