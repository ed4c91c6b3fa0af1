package console

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
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
		for i := range 900 { // 15 minutes
			n.set("a", fmt.Sprint("p", i))
			c.draw(time.Now())
			c.draw(time.Now()) // nothing new
			time.Sleep(time.Second)
		}
		if len(c.past) < 600 || len(c.past) > 602 {
			t.Errorf("%d moments are kept", len(c.past))
		}
		for _, m := range c.past[:len(c.past)-1] {
			if m.drew != nil {
				t.Fatal("an earlier map is kept twice")
			}
		}
		sum := 0
		for _, m := range c.past {
			sum += len(m.doc)
		}
		if sum != c.octets {
			t.Errorf("%d octets are kept, counted %d", sum, c.octets)
		}
		if len(c.news) != maxEvents {
			t.Errorf("%d events", len(c.news))
		}
		c.octets += maxKept
		n.set("a")
		c.draw(time.Now())
		if len(c.past) != 2 {
			t.Errorf("%d moments beyond the bound", len(c.past))
		}
	})
}
