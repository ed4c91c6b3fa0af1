package peergrouptest

import (
	"bytes"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// tap counts the messages of a network as links take them. It knows them by the
// names of their elements, without decoding.
type tap struct {
	began    time.Time
	messages atomic.Uint64
	kinds    [kinds]atomic.Uint64
	rdv      []load // by number, from 1 on
	edge     []load
	lookups  lookupCosts

	mu     sync.Mutex
	since  time.Time // when the watched time began
	before uint64    // messages until then
	last   uint64    // messages until the last sample
}

// load is what one peer has sent and received.
type load struct {
	messages atomic.Uint64

	// Only the driver of the simulation uses these.
	before uint64    // until the watched time began, or the peer started
	ended  time.Time // zero: it runs
	after  uint64    // until it ended
}

// kind is what a message is about.
type kind uint8

const (
	queries kind = iota // of the resolver
	answers
	routes // queries and answers of the routing protocol, which go through the resolver
	indexes
	views // of the rendezvous among themselves
	leasing
	others
	kinds
)

func (k kind) String() string {
	return [...]string{"queries", "answers", "routes", "indexes", "views", "leases", "others"}[k]
}

// What tells the kinds.
var (
	elemQuery     = []byte("ORes")
	elemAnswer    = []byte("IRes")
	elemIndex     = []byte("Srdi")
	elemView      = []byte("PeerView")
	elemConnect   = []byte("Connect")
	elemGrant     = []byte("RdvAdvReply")
	handler       = []byte("<HandlerName>")
	handlerRoutes = []byte("EndpointRouter")
	queryID       = []byte("<QueryID>")
)

// content returns what stands behind the start of an XML element and blanks, to
// the end of the message, or nil.
func content(body, start []byte) []byte {
	_, rest, _ := bytes.Cut(body, start)
	return bytes.TrimLeft(rest, " \t\r\n")
}

// newTap counts for so many peers of either kind.
func newTap(peers int, began time.Time) *tap {
	t := &tap{began: began, rdv: make([]load, peers+1), edge: make([]load, peers+1)}
	t.lookups.byID, t.lookups.waiting = map[uint32]*cost{}, map[string][]*cost{}
	return t
}

// of returns the count of a peer.
func (t *tap) of(name string) *load {
	n, err := strconv.Atoi(name[1:])
	all := t.edge
	if name[0] == 'r' {
		all = t.rdv
	}
	if err != nil || n >= len(all) {
		return &all[0]
	}
	return &all[n]
}

// message is [Config.Tap].
func (t *tap) message(from, to string, body []byte) {
	t.messages.Add(1)
	t.of(from).messages.Add(1)
	t.of(to).messages.Add(1)
	k := others
	switch {
	case bytes.Contains(body, elemQuery):
		k = queries
	case bytes.Contains(body, elemAnswer):
		k = answers
	case bytes.Contains(body, elemIndex):
		k = indexes
	case bytes.Contains(body, elemView):
		k = views
	case bytes.Contains(body, elemConnect), bytes.Contains(body, elemGrant):
		k = leasing
	}
	if k == queries || k == answers {
		if bytes.HasPrefix(content(body, handler), handlerRoutes) {
			k = routes
		} else {
			t.lookups.message(k, from, to, body)
		}
	}
	t.kinds[k].Add(1)
}

// begin begins the watched time.
func (t *tap) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.since, t.before = time.Now(), t.messages.Load()
	t.last = t.before
	for _, all := range [][]load{t.rdv, t.edge} {
		for i := range all {
			all[i].before = all[i].messages.Load()
		}
	}
	for i := range t.kinds {
		t.kinds[i].Store(0)
	}
}

// ended closes the count of a peer that leaves.
func (t *tap) ended(d *Node) {
	l := t.of(d.name)
	l.ended, l.after = time.Now(), l.messages.Load()
}

// sinceLast returns how many messages there were since it was called before.
func (t *tap) sinceLast() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.messages.Load()
	n := now - t.last
	t.last = now
	return n
}

// rate is the mean number of messages a second in the watched time, and for how
// long the peer ran in it.
func (t *tap) rate(m *member, now time.Time) (perSecond float64, ran time.Duration) {
	l := t.of(m.name)
	began, ended, n := m.began, now, l.messages.Load()
	if began.Before(t.since) {
		began = t.since
	}
	if !l.ended.IsZero() {
		ended, n = l.ended, l.after
	}
	ran = ended.Sub(began)
	if ran <= 0 {
		return 0, 0
	}
	return float64(n-l.before) / ran.Seconds(), ran
}

// expect prepares to count what a lookup costs.
func (t *tap) expect(asker, name string) *cost {
	c := &cost{asker: asker, name: []byte(name), depth: map[string]int{asker: 0}}
	s := &t.lookups
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting[asker] = append(s.waiting[asker], c)
	return c
}

// cost is what one lookup takes: every message of its query and of the answers,
// counted on every link it crosses.
type cost struct {
	asker string
	name  []byte

	// The lock of lookupCosts guards these.
	messages, octets int
	depth            map[string]int // hops of the query to each peer that got it
}

// lookupCosts tells messages of lookups by the ID of the query. The ID belongs to
// the lookup of whom the first query with it comes from, if it asks for the name.
type lookupCosts struct {
	mu      sync.Mutex
	byID    map[uint32]*cost
	waiting map[string][]*cost // by asker; they stay, since a lookup may ask anew
}

func (s *lookupCosts) message(k kind, from, to string, body []byte) {
	var n uint32
	digits := content(body, queryID)
	for i, c := range digits {
		if c < '0' || c > '9' {
			digits = digits[:i]
			break
		}
		n = n*10 + uint32(c-'0')
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.byID[n]
	if c == nil && k == queries {
		for _, w := range s.waiting[from] {
			if bytes.Contains(body, w.name) {
				c = w
				s.byID[n] = c
			}
		}
	}
	if c == nil {
		return
	}
	c.messages++
	c.octets += len(body) + idDigits - len(digits)
	if k != queries {
		return
	}
	if d, ok := c.depth[from]; ok {
		if old, ok := c.depth[to]; !ok || d+1 < old {
			c.depth[to] = d + 1
		}
	}
}

// idDigits is how many digits every query ID counts as: IDs need not be
// repeatable.
const idDigits = 10

// hops returns how many links the query crossed until it came to a peer.
func (s *lookupCosts) hops(c *cost, peer string) (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := c.depth[peer]
	return d, ok && d > 0
}

// total returns messages and octets.
func (s *lookupCosts) total(c *cost) (messages, octets int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.messages, c.octets
}
