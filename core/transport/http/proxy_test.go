package http

import (
	"bytes"
	"context"
	"errors"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// proxy is a plain forward proxy: it passes GET and POST on, and nothing else.
type proxy struct {
	refuse  int                    // status of every answer, if not zero
	only    string                 // the method to which refuse applies, if not empty
	buffers bool                   // passes an answer on when it is complete
	idle    time.Duration          // ends a request whose answer takes longer, if not zero
	lose    int64                  // every lose-th answer is lost on the way, if not zero
	longest int64                  // of a request's body, if not zero
	strips  bool                   // passes no headers of requests on but those of HTTP
	seen    func(*nethttp.Request) // is told of every request, if not nil
	n, lost atomic.Int64
}

func (p *proxy) ServeHTTP(w nethttp.ResponseWriter, r *nethttp.Request) {
	if p.seen != nil {
		p.seen(r)
	}
	switch {
	case p.refuse != 0 && (p.only == "" || p.only == r.Method):
		nethttp.Error(w, "no", p.refuse)
		return
	case r.Method != nethttp.MethodGet && r.Method != nethttp.MethodPost:
		nethttp.Error(w, "no", nethttp.StatusMethodNotAllowed)
		return
	case !r.URL.IsAbs():
		nethttp.Error(w, "no", nethttp.StatusBadRequest)
		return
	case p.longest != 0 && r.ContentLength > p.longest:
		nethttp.Error(w, "no", nethttp.StatusRequestEntityTooLarge)
		return
	}
	ctx := r.Context()
	if p.idle != 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.idle)
		defer cancel()
	}
	out := r.Clone(ctx)
	out.RequestURI = ""
	if p.strips {
		for name := range out.Header {
			if strings.HasPrefix(name, "Juxta") {
				out.Header.Del(name)
			}
		}
	}
	resp, err := nethttp.DefaultTransport.RoundTrip(out)
	if err != nil {
		if ctx.Err() != nil {
			panic(nethttp.ErrAbortHandler)
		}
		nethttp.Error(w, "no", nethttp.StatusBadGateway)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	if n := p.n.Add(1); p.lose != 0 && n > 1 && n%p.lose == 0 {
		_, _ = io.Copy(io.Discard, resp.Body)
		p.lost.Add(1)
		panic(nethttp.ErrAbortHandler)
	}
	for k, v := range resp.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(resp.StatusCode)
	if p.buffers {
		b, _ := io.ReadAll(resp.Body)
		_, _ = w.Write(b)
		return
	}
	_, _ = io.Copy(flushing{w}, resp.Body)
}

// flushing passes on what comes at once.
type flushing struct{ w nethttp.ResponseWriter }

func (f flushing) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	return n, errors.Join(err, nethttp.NewResponseController(f.w).Flush())
}

func (p *proxy) start(t testing.TB) string {
	t.Helper()
	srv := httptest.NewServer(p)
	t.Cleanup(func() { srv.Close(); nethttp.DefaultTransport.(*nethttp.Transport).CloseIdleConnections() })
	return srv.URL
}

// TestThroughProxies: a tunnel gets through proxies of several kinds, encrypted, and
// nothing is lost, doubled or out of order.
func TestThroughProxies(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]*proxy{
		"simple":                  {},
		"buffers":                 {buffers: true},
		"loses every fifth":       {lose: 5},
		"cuts idle ones":          {idle: time.Second},
		"short requests only":     {longest: 40 << 10},
		"without unknown headers": {strips: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := listening(t, proving(t))
			c := client(t, p.start(t), proving(t))
			l := c.dial(t, server.addr())
			back := next(t, server.opened)
			if !l.Proven() || !endpoint.Encrypted(l) || !endpoint.IsJuxta(l) || l.Remote() != server.addr() || l.Origin() != "127.0.0.1" {
				t.Errorf("proven %t, remote %s, origin %s", l.Proven(), l.Remote(), l.Origin())
			}
			if p.idle != 0 { // nothing is said for longer than the proxy lets it
				select {
				case l := <-c.closed:
					t.Fatalf("%v is closed", l)
				case <-time.After(2 * p.idle):
				}
			}
			const n = 100
			done := make(chan struct{})
			go func() {
				defer close(done)
				for i := range n {
					_ = back.Send(t.Context(), text(i, i*300))
				}
			}()
			for i := range n {
				send(t, l, text(i, i*700))
			}
			for i := range n {
				if m := next(t, server.arrived); !bytes.Equal(m.body, text(i, i*700)) || m.link != back {
					t.Fatalf("message %d to the server is another one", i)
				}
				if m := next(t, c.arrived); !bytes.Equal(m.body, text(i, i*300)) || m.link != l {
					t.Fatalf("message %d to the client is another one", i)
				}
			}
			<-done
			if p.lose != 0 && p.lost.Load() == 0 {
				t.Error("no answer was lost")
			}
		})
	}
}

// TestPollsThroughProxy: what is spoken with original peers goes through as well.
func TestPollsThroughProxy(t *testing.T) {
	server := listening(t)
	c := client(t, (&proxy{}).start(t), shorter, func(h *host, _ *endpoint.Host) { h.cfg.Original = true })
	l := c.dial(t, server.addr())
	back := next(t, server.opened)
	send(t, l, from(them))
	send(t, back, text(1, 1))
	if m := next(t, server.arrived); m.link != back {
		t.Errorf("arrived on %v", m.link)
	}
	if m := next(t, c.arrived); m.link != l || !bytes.Equal(m.body, text(1, 1)) {
		t.Errorf("arrived on %v", m.link)
	}
}

// TestCutPolls: a proxy that cuts polls while nothing is said does not end the link.
func TestCutPolls(t *testing.T) {
	t.Parallel()
	server := listening(t, shorter)
	cuts := &proxy{idle: 200 * time.Millisecond}
	c := client(t, cuts.start(t), shorter, func(h *host, _ *endpoint.Host) { h.cfg.Original = true })
	l := c.dial(t, server.addr())
	back := next(t, server.opened)
	select {
	case <-c.closed:
		t.Fatal("the link is closed")
	case <-time.After(5*cuts.idle + cuts.idle/2): // not while one is being cut: what it carries would be lost
	}
	send(t, back, text(1, 1))
	if m := next(t, c.arrived); m.link != l || !bytes.Equal(m.body, text(1, 1)) {
		t.Errorf("arrived on %v", m.link)
	}
	if n := c.Stats().FailedRequests; n < 3 {
		t.Errorf("%d polls were cut", n)
	}
}

// TestProxyThatTakesNoPosts: the error tells that it is the proxy.
func TestProxyThatTakesNoPosts(t *testing.T) {
	t.Parallel()
	server := listening(t)
	c := client(t, (&proxy{refuse: nethttp.StatusForbidden, only: nethttp.MethodPost}).start(t))
	began := time.Now()
	_, err := c.Dial(t.Context(), server.addr())
	var de *endpoint.DialError
	var pe *ProxyError
	if !errors.As(err, &de) || de.Phase != endpoint.PhaseConnect || !errors.As(err, &pe) || pe.ProxyStatus() != nethttp.StatusForbidden {
		t.Errorf("%v", err)
	}
	if d := time.Since(began); d > limit/3 {
		t.Errorf("it took %v", d)
	}
}

// TestServerGoneBehindProxy: a tunnel to a server that has restarted ends at once,
// since the new one does not know it.
func TestServerGoneBehindProxy(t *testing.T) {
	t.Parallel()
	server := listening(t)
	place := server.addr()
	c := client(t, (&proxy{}).start(t))
	l := c.dial(t, place)
	next(t, server.opened)
	server.crash()
	newHost(t, Config{Listen: []string{place.Host}})
	if next(t, c.closed) != l {
		t.Error("another link is closed")
	}
	c.dial(t, place)
}

// crash ends a host without a word to anybody.
func (h *host) crash() {
	_ = h.server.Close()
	_ = h.Close()
}

// TestRefusingProxies: the error names the proxy and its answer.
func TestRefusingProxies(t *testing.T) {
	server := listening(t)
	for _, status := range []int{403, 405, 407, 502, 503, 504} {
		at := (&proxy{refuse: status}).start(t)
		_, err := client(t, strings.Replace(at, "//", "//user:secret@", 1)).Dial(t.Context(), server.addr())
		var de *endpoint.DialError
		var pe *ProxyError
		if !errors.As(err, &de) || de.Phase != endpoint.PhaseConnect || !errors.As(err, &pe) || pe.ProxyStatus() != status {
			t.Errorf("%d: %v", status, err)
			continue
		}
		if s := err.Error(); !strings.Contains(s, "the proxy "+strings.TrimPrefix(at, "http://")) || strings.Contains(s, "secret") {
			t.Error(s)
		}
	}
	_, err := client(t, "http://"+closedPort(t)).Dial(t.Context(), server.addr())
	var pe *ProxyError
	if !errors.As(err, &pe) || pe.Status != 0 {
		t.Errorf("nobody there: %v", err)
	}
}

// TestServerGone: links end soon after the server has; a new one serves new links.
func TestServerGone(t *testing.T) {
	t.Parallel()
	for _, original := range []bool{false, true} {
		mode := func(h *host, _ *endpoint.Host) { h.cfg.Original = original }
		server := listening(t, mode)
		c := client(t, "", shorter, mode)
		l := c.dial(t, server.addr())
		place := server.addr()
		_ = server.Close()
		if next(t, c.closed) != l {
			t.Error("another link is closed")
		}
		again := newHost(t, Config{Listen: []string{place.Host}, Original: original})
		send(t, c.dial(t, place), from(them))
		next(t, again.arrived)
	}
}

// TestRoundTrips: how many requests pass until the first message is there.
func TestRoundTrips(t *testing.T) {
	var posts, gets atomic.Int64
	server := listening(t, proving(t))
	counts := httptest.NewServer(&proxy{seen: func(r *nethttp.Request) {
		if r.Method == nethttp.MethodPost {
			posts.Add(1)
		} else {
			gets.Add(1)
		}
	}})
	t.Cleanup(counts.Close)
	c := client(t, counts.URL, proving(t))
	l := c.dial(t, server.addr())
	send(t, l, text(1, 1))
	next(t, server.arrived)
	t.Logf("%d POST, %d GET", posts.Load(), gets.Load())
	if posts.Load() > 4 {
		t.Errorf("%d posts", posts.Load())
	}
}
