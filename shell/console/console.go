// Package console serves a live map of the network as a page for a browser on the same
// machine.
//
// The page is reached on the loopback interface only, and shows nothing without a token that
// is made for each console and stands behind the "#" of its address, where no server and no
// log sees it. Requests that name another host, as those of a page in a browser which was
// led here do, are refused. Nothing that the page can ask changes the peer.
package console

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/shell/netmap"
)

//go:embed page
var page embed.FS

// Config is what a console shows.
type Config struct {
	// Map takes the map. It is called twice a second at most while a page is open, every
	// few seconds while all pages are hidden, and not at all while there is none. It is
	// never called by two goroutines at once, and the map is the console's own.
	Map func() *netmap.Map

	// Why tells in words why a peer cannot be reached, or how it is. Nil: the page says
	// that it is not known. It must end with ctx.
	Why func(ctx context.Context, peer id.Peer) string

	// Port to listen on; 0 means any.
	Port int
}

// Console is a page that is served. Its methods are safe for concurrent use. Close it
// when done.
type Console struct {
	cfg    Config
	token  string
	host   string // that the page is reached by, with the port
	server *http.Server
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	whys   chan struct{} // a token for each that is looked for

	came chan struct{} // a page has been opened, or is looked at again

	taking sync.Mutex     // held while the map is taken; before mu
	base   [2]*netmap.Map // rates are since the older one, the newer takes its place; guarded by taking
	before *netmap.Map    // the last one; guarded by taking

	mu      sync.Mutex
	past    history       // of maps without their traffic
	now     []byte        // the map with its traffic
	taken   time.Time     // when now was; zero: never
	cost    time.Duration // of taking it
	told    time.Time     // when the pages were last told
	telling uint64        // how often
	news    []event
	viewers map[*viewer]bool
}

// event is a change of the map in words.
type event struct {
	Time time.Time `json:"time"`
	Text string    `json:"text"`
}

// viewer is a page that is open.
type viewer struct {
	wake   chan struct{}
	hidden bool
}

// Start serves a console until its Close, on a port of the loopback interface.
func Start(cfg Config) (*Console, error) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(cfg.Port)))
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	c := &Console{cfg: cfg, token: rand.Text(), host: l.Addr().String(), whys: make(chan struct{}, maxWhys), came: make(chan struct{}, 1), viewers: map[*viewer]bool{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.server = &http.Server{
		Handler: c.handler(), ReadHeaderTimeout: headersWithin, MaxHeaderBytes: maxHeaders,
		BaseContext: func(net.Listener) context.Context { return c.ctx },
	}
	c.wg.Go(func() { _ = c.server.Serve(l) }) // its end is that of Close
	c.wg.Go(c.watch)
	return c, nil
}

// URL is the address of the page with its token: who has it can see the page.
func (c *Console) URL() string { return "http://" + c.host + "/#" + c.token }

// Close ends the page, and waits until nobody is served any more.
func (c *Console) Close() {
	c.cancel()
	_ = c.server.Close() // connections are closed in any case
	c.wg.Wait()
}

// watch takes the map again and again while somebody looks.
func (c *Console) watch() {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.came:
		case <-t.C:
		}
		pace := c.pace()
		if pace == 0 {
			continue // until somebody comes
		}
		c.look(pace / 2) // the timer is not that exact
		t.Reset(c.pace())
	}
}

// pace is how often the map is to be taken; 0 while nobody looks.
func (c *Console) pace() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.viewers) == 0 {
		return 0
	}
	pace := everyHidden
	for v := range c.viewers {
		if !v.hidden {
			pace = every
		}
	}
	return max(pace, c.cost*takeShare)
}

// look takes the map unless there is one that is not older than some time.
func (c *Console) look(old time.Duration) {
	c.taking.Lock()
	defer c.taking.Unlock()
	c.mu.Lock()
	fresh := !c.taken.IsZero() && time.Since(c.taken) < max(old, c.cost*takeShare/2)
	c.mu.Unlock()
	if !fresh {
		c.take()
	}
}

// take takes the map, and tells the pages if it is another one. taking is held.
func (c *Console) take() {
	begun := time.Now()
	m := c.cfg.Map()
	still, err1 := json.Marshal(m.Still())
	c.compare(m)
	now, err2 := json.Marshal(m)
	if err1 != nil || err2 != nil {
		return // unreachable: plain values
	}
	changes := netmap.Changes(c.before, m)
	c.before = m
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.taken = now, begun
	another := c.past.add(begun, still)
	c.past.trim(begun.Add(-kept), maxKept)
	for _, text := range changes {
		if c.news = append(c.news, event{begun, text}); len(c.news) > maxEvents {
			c.news = c.news[1:]
		}
	}
	c.cost = time.Since(begun)
	if !another && begun.Sub(c.told) < trafficEvery {
		return
	}
	c.told = begun
	c.telling++
	for v := range c.viewers {
		select {
		case v.wake <- struct{}{}:
		default:
		}
	}
}

// compare gives a map its rates, unless nobody has looked for long. taking is held.
func (c *Console) compare(m *netmap.Map) {
	const missed = 2 // times
	if c.before == nil || m.Time.Sub(c.before.Time) > missed*everyHidden {
		c.base = [2]*netmap.Map{m, m}
		return
	}
	m.Since(c.base[0])
	if m.Time.Sub(c.base[1].Time) >= trafficEvery {
		c.base = [2]*netmap.Map{c.base[1], m}
	}
}

// handler answers the requests of the page.
func (c *Console) handler() http.Handler {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // unreachable: the folder is part of the program
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	for path, f := range map[string]http.HandlerFunc{"GET /api/live": c.live, "GET /api/past": c.earlier, "GET /api/why": c.why} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			if subtle.ConstantTimeCompare([]byte(given), []byte(c.token)) != 1 {
				http.Error(w, "the token is missing or wrong", http.StatusUnauthorized)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			f(w, r)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		origin := r.Header.Get("Origin")
		if r.Host != c.host || origin != "" && origin != "http://"+c.host {
			http.Error(w, "this page is for this machine alone", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// live sends the map now and whenever it changes, the traffic from time to time, and what has
// happened, a line each. While it does, somebody looks, if only at a page that is hidden.
func (c *Console) live(w http.ResponseWriter, r *http.Request) {
	v := &viewer{wake: make(chan struct{}, 1), hidden: r.FormValue("hidden") != ""}
	c.mu.Lock()
	full := len(c.viewers) >= maxViewers
	if !full {
		c.viewers[v] = true
	}
	c.mu.Unlock()
	if full {
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer func() {
		c.mu.Lock()
		delete(c.viewers, v)
		c.mu.Unlock()
	}()
	select {
	case c.came <- struct{}{}:
	default:
	}
	c.look(every)
	var told time.Time
	var heard uint64
	flusher := http.NewResponseController(w)
	for {
		line := struct {
			Events []event         `json:"events"`
			Map    json.RawMessage `json:"map"`
		}{Events: []event{}}
		c.mu.Lock()
		heard = c.telling
		line.Map = c.now
		for _, e := range c.news {
			if e.Time.After(told) {
				line.Events = append(line.Events, e)
			}
		}
		c.mu.Unlock()
		if n := len(line.Events); n > 0 {
			told = line.Events[n-1].Time
		}
		if err := errors.Join(json.NewEncoder(w).Encode(line), flusher.Flush()); err != nil {
			return
		}
		for again := true; again; {
			select {
			case <-v.wake:
			case <-r.Context().Done():
				return
			}
			c.mu.Lock()
			again = c.telling == heard // it was about what this page has got
			c.mu.Unlock()
		}
	}
}

// earlier sends the map of some seconds ago without traffic, or the oldest that is known.
func (c *Console) earlier(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.Atoi(r.FormValue("seconds"))
	if err != nil || seconds < 0 || seconds > int(kept.Seconds()) {
		http.Error(w, "seconds is a number up to 600", http.StatusBadRequest)
		return
	}
	c.look(every)
	c.mu.Lock()
	doc := c.past.when(time.Now().Add(-time.Duration(seconds) * time.Second))
	c.mu.Unlock()
	_, _ = w.Write(doc) // the page may be gone
}

// why tells about one peer.
func (c *Console) why(w http.ResponseWriter, r *http.Request) {
	p, err := id.ParsePeer(r.FormValue("peer"))
	if err != nil {
		http.Error(w, "peer is the ID of a peer", http.StatusBadRequest)
		return
	}
	select {
	case c.whys <- struct{}{}:
		defer func() { <-c.whys }()
	default:
		http.Error(w, "too much is asked at once", http.StatusTooManyRequests)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), whyWait)
	defer cancel()
	text := "nobody here knows"
	if c.cfg.Why != nil {
		text = c.cfg.Why(ctx, p)
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"text": text}) // the page may be gone
}
