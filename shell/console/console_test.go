package console

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/shell/netmap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is a map that tests change.
type network struct {
	mu sync.Mutex
	m  netmap.Map
}

func (n *network) take() *netmap.Map {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := n.m
	return &m
}

func (n *network) set(peers ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.m = netmap.Map{Self: peers[0], Peers: []netmap.Peer{}, Edges: []netmap.Edge{}, Groups: []netmap.Group{}, Pipes: []netmap.Pipe{}}
	for _, p := range peers {
		n.m.Peers = append(n.m.Peers, netmap.Peer{ID: p, Name: "name of " + p, Short: p, Roles: []string{}, Known: []string{}})
		if p != peers[0] {
			n.m.Edges = append(n.m.Edges, netmap.Edge{From: peers[0], To: p, Kind: netmap.KindLink})
		}
	}
}

func start(t *testing.T) (*Console, *network) {
	t.Helper()
	n := new(network)
	n.set("a", "b")
	c, err := Start(Config{Map: n.take, Why: func(_ context.Context, p id.Peer) string { return "because of " + p.Short() }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, n
}

// get asks as the page does, unless change says otherwise.
func get(t *testing.T, c *Console, path string, change func(*http.Request)) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.host+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	if change != nil {
		change(r)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

// TestWhoMayLook: nobody without the token, and no page of another host.
func TestWhoMayLook(t *testing.T) {
	c, _ := start(t)
	if !strings.HasPrefix(c.URL(), "http://127.0.0.1:") || !strings.HasSuffix(c.URL(), "#"+c.token) {
		t.Errorf("the address is %s", c.URL())
	}
	for _, tt := range []struct {
		path   string
		change func(*http.Request)
		want   int
	}{
		{"/", nil, 200},
		{"/console.js", nil, 200},
		{"/console.go", nil, 404},
		{"/api/past?seconds=0", nil, 200},
		{"/api/past?seconds=601", nil, 400},
		{"/api/past", nil, 400},
		{"/api/why?peer=x", nil, 400},
		{"/api/past?seconds=0", func(r *http.Request) { r.Header.Del("Authorization") }, 401},
		{"/api/live", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+c.token[1:]) }, 401},
		{"/api/why?peer=x", func(r *http.Request) { r.Header.Set("Authorization", c.token+"x") }, 401},
		{"/", func(r *http.Request) { r.Host = "evil.example" }, 403},
		{"/api/past?seconds=0", func(r *http.Request) { r.Host = "localhost:1" }, 403},
		{"/api/past?seconds=0", func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }, 403},
		{"/api/past?seconds=0", func(r *http.Request) { r.Header.Set("Origin", "http://"+c.host) }, 200},
		{"/api/past?seconds=0", func(r *http.Request) { r.Method = http.MethodPost }, 405},
	} {
		answer := get(t, c, tt.path, tt.change)
		if answer.StatusCode != tt.want {
			t.Errorf("%s: %d, want %d", tt.path, answer.StatusCode, tt.want)
		}
		if policy := answer.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", tt.path, policy)
		}
	}
}

// TestPageIsAlone: it asks nobody else, and makes nothing of names but text.
func TestPageIsAlone(t *testing.T) {
	for _, name := range []string{"index.html", "console.js", "console.css"} {
		b, err := page.ReadFile("page/" + name)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(b), "http://www.w3.org/2000/svg", "")
		for _, bad := range []string{"http://", "https://", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "onclick", "style="} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %s", name, bad)
			}
		}
	}
}

// TestLive: a page gets the map at once, each change of it, and what changed in words.
func TestLive(t *testing.T) {
	c, n := start(t)
	answer := get(t, c, "/api/live", nil)
	lines := bufio.NewScanner(answer.Body)
	next := func() (peers int, events []string) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the stream has ended: %v", lines.Err())
		}
		var x struct {
			Map    netmap.Map
			Events []event
		}
		if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		for _, e := range x.Events {
			events = append(events, e.Text)
		}
		return len(x.Map.Peers), events
	}
	if peers, events := next(); peers != 2 || len(events) != 0 {
		t.Errorf("at first %d peers, %q", peers, events)
	}
	n.set("a")
	if peers, events := next(); peers != 1 || strings.Join(events, "; ") != "name of b is not known any more; the link of name of a to name of b has ended" {
		t.Errorf("then %d peers, %q", peers, events)
	}
	c.Close()
	for lines.Scan() {
	}
}

// TestViewersAreBounded: more pages than the bound are told so.
func TestViewersAreBounded(t *testing.T) {
	c, _ := start(t)
	for i := range maxViewers + 1 {
		answer := get(t, c, "/api/live", nil)
		want := http.StatusOK
		if i == maxViewers {
			want = http.StatusServiceUnavailable
		}
		if answer.StatusCode != want {
			t.Errorf("page %d: %d", i, answer.StatusCode)
		}
		if want == http.StatusOK {
			if _, err := bufio.NewReader(answer.Body).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestWhy(t *testing.T) {
	c, _ := start(t)
	p := id.PeerFromSeed(id.NetGroup, []byte("peer"))
	b, err := io.ReadAll(get(t, c, "/api/why?peer="+p.String(), nil).Body)
	if want := fmt.Sprintf("{\"text\":\"because of %s\"}\n", p.Short()); err != nil || string(b) != want {
		t.Errorf("%s %v, want %s", b, err, want)
	}
}

// TestPast: maps are kept for ten minutes and within their bound, and the one of a moment is
// the one that was true then.
func TestPast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(network)
		c := &Console{cfg: Config{Map: n.take}, viewers: map[*viewer]bool{}}
		many := make([]string, 100)
		for i := range many {
			many[i] = fmt.Sprint("peer", i)
		}
		begun := time.Now()
		for i := range 900 { // 15 minutes
			n.set(append([]string{"a", fmt.Sprint("p", i)}, many...)...)
			c.take()
			c.take() // nothing new
			time.Sleep(time.Second)
		}
		if n := len(c.past.past); n < 599 || n > 601 {
			t.Errorf("%d moments are kept", n)
		}
		sum := 0
		for _, m := range c.past.past {
			sum += m.octets()
		}
		if sum != c.past.kept || sum > 900*(1<<10) || c.past.size < 10<<10 {
			t.Errorf("%d octets are kept, counted %d, beside %d", sum, c.past.kept, c.past.size)
		}
		for i := 300; i < 900; i++ {
			var m netmap.Map
			if err := json.Unmarshal(c.past.when(begun.Add(time.Duration(i)*time.Second+time.Second/2)), &m); err != nil || len(m.Peers) != 102 || m.Peers[1].ID != fmt.Sprint("p", i) {
				t.Fatalf("in second %d: %v %+v", i, err, m)
			}
		}
		if len(c.news) != maxEvents {
			t.Errorf("%d events", len(c.news))
		}
		c.past.trim(begun, c.past.kept+c.past.size-1)
		if n := len(c.past.past); n < 598 || n > 600 {
			t.Errorf("%d moments beyond the bound", n)
		}
		c.past.trim(begun, 0)
		if len(c.past.past) != 0 || c.past.kept != 0 || len(c.past.when(begun)) != c.past.size {
			t.Errorf("without room %d moments are kept", len(c.past.past))
		}
	})
}

// TestHistory: whatever the documents are, each is given back as it was.
func TestHistory(t *testing.T) {
	docs := []string{"", "a", `a},{b},{c`, `a},{c},{b`, `},{},{},{`, `},{},{`, `c},{b},{a},{b},{a`, "", `x},{a},{b`, "a"}
	var h history
	begun := time.Now()
	at := func(i int) time.Time { return begun.Add(time.Duration(i) * time.Second) }
	for i, d := range docs {
		if !h.add(at(i), []byte(d)) || h.add(at(i), []byte(d)) {
			t.Errorf("document %d is not what was before", i)
		}
	}
	for i, d := range docs {
		if got := h.when(at(i)); string(got) != d {
			t.Errorf("document %d: %q, want %q", i, got, d)
		}
	}
	if got := h.when(at(-1)); string(got) != docs[0] {
		t.Errorf("the oldest: %q", got)
	}
}

// TestNobodyLooks: the map is taken while a page is open, seldom while it is hidden, and not at
// all before and after.
func TestNobodyLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(network)
		n.set("a", "b")
		var takes atomic.Int64
		c := &Console{cfg: Config{Map: func() *netmap.Map { takes.Add(1); return n.take() }}, viewers: map[*viewer]bool{}, came: make(chan struct{}, 1)}
		c.ctx, c.cancel = context.WithCancel(t.Context())
		c.wg.Go(c.watch)
		count := func(query string, want int) {
			t.Helper()
			ctx, cancel := context.WithCancel(t.Context())
			before := int(takes.Load())
			if query != "" {
				c.wg.Go(func() {
					c.live(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/live?"+query, nil))
				})
			}
			time.Sleep(time.Minute)
			if got := int(takes.Load()) - before; got < want || got > want+want/50+2*min(want, 1) {
				t.Errorf("%q: taken %d times, want %d", query, got, want)
			}
			cancel()
			synctest.Wait()
		}
		count("", 0)
		count("look", 120)
		count("", 0)
		count("hidden=1", 12)
		count("", 0)
		c.cancel()
		c.wg.Wait()
	})
}

// TestRates: the page gets the traffic every two seconds, with rates, though nothing else changes.
func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent uint64
		c := &Console{cfg: Config{Map: func() *netmap.Map {
			sent += 500
			return &netmap.Map{Time: time.Now(), Self: "a", Edges: []netmap.Edge{{From: "a", To: "b", Kind: netmap.KindLink, Traffic: &netmap.Traffic{Sent: sent}}}}
		}}}
		for range 40 {
			c.take()
			time.Sleep(every)
		}
		var m netmap.Map
		if err := json.Unmarshal(c.now, &m); err != nil || m.Edges[0].Traffic.Rate == nil || m.Edges[0].Traffic.Rate.Sent != 1000 {
			t.Errorf("%v %s", err, c.now)
		}
		if c.telling != 10 || len(c.past.past) != 0 {
			t.Errorf("in 20 s the pages were told %d times, and %d maps kept", c.telling, len(c.past.past))
		}
		time.Sleep(time.Hour)
		c.take()
		if m = (netmap.Map{}); json.Unmarshal(c.now, &m) != nil || m.Edges[0].Traffic.Rate != nil {
			t.Errorf("a rate over an hour: %s", c.now)
		}
	})
}

// BenchmarkTake is what a map of 1,000 peers costs beside drawing it, when each time one of them
// comes and another goes.
func BenchmarkTake(b *testing.B) {
	n := new(network)
	peers := make([]string, 1000)
	for i := range peers {
		peers[i] = id.PeerFromSeed(id.NetGroup, fmt.Append(nil, i)).String()
	}
	c := &Console{cfg: Config{Map: n.take}, viewers: map[*viewer]bool{}}
	i := 0
	for b.Loop() {
		i++
		peers[1+i%999] = id.PeerFromSeed(id.NetGroup, fmt.Append(nil, 1000+i)).String()
		n.set(peers...)
		c.take()
	}
	b.ReportMetric(float64(c.past.kept)/float64(max(len(c.past.past), 1)), "octets/moment")
}
