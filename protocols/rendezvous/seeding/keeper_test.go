package seeding

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// servers stands for the web: each request is answered by a function.
type servers func(*http.Request) (*http.Response, error)

func (s servers) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s(r)
	if resp != nil {
		resp.Request = r
	}
	return resp, err
}

func (s servers) client() *http.Client { return &http.Client{Transport: s} }

// answer is a response with header fields given as "Name: value".
func answer(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for _, f := range header {
		name, value, _ := strings.Cut(f, ": ")
		h.Add(name, value)
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

var errDown = errors.New("server is down")

func newList(t *testing.T, cfg Config) *List {
	t.Helper()
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func ready(t *testing.T, l interface{ Ready(context.Context) error }) {
	t.Helper()
	if err := l.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// around reports whether a time of the schedule is d from now, give or take the
// jitter.
func around(at time.Time, d time.Duration) bool {
	off := time.Until(at) - d
	return off.Abs() <= d*jitterPercent/100
}

func TestScheduleOfLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		var asked atomic.Int32
		l := newList(t, Config{URIs: []string{"http://one/seeds"}, Rand: seeded(1), Client: servers(func(*http.Request) (*http.Response, error) {
			asked.Add(1)
			if down.Load() {
				return nil, errDown
			}
			return answer(200, "tcp://a:1"), nil
		}).client()})
		ready(t, l)
		began := time.Now()
		st := l.Status()[0]
		if asked.Load() != 1 || st.Err != nil || !st.Loaded.Equal(began) || !around(st.Next, 30*time.Minute) {
			t.Fatalf("after the first load: %d requests, %+v", asked.Load(), st)
		}

		down.Store(true)
		for n, minutes := range []time.Duration{5, 10, 15, 20, 25, 30, 30, 30, 30} {
			time.Sleep(time.Until(st.Next))
			synctest.Wait()
			st = l.Status()[0]
			if asked.Load() != int32(n+2) || st.Failures != n+1 || !errors.Is(st.Err, errDown) || !around(st.Next, minutes*time.Minute) {
				t.Fatalf("failure %d: %d requests, next in %v: %+v", n+1, asked.Load(), time.Until(st.Next), st)
			}
			if !st.Loaded.Equal(began) || st.Addresses != 1 || !slices.Equal(l.Seeds(), addresses("tcp://a:1")) {
				t.Fatalf("failure %d: the last good list is gone: %v, %+v", n+1, l.Seeds(), st)
			}
		}

		down.Store(false)
		time.Sleep(time.Until(st.Next))
		synctest.Wait()
		st = l.Status()[0]
		if st.Err != nil || st.Failures != 0 || !st.Loaded.Equal(time.Now()) || !around(st.Next, 30*time.Minute) {
			t.Fatalf("after recovery: %+v", st)
		}
	})
}

// Peers that start together do not come back together.
func TestLoadsSpread(t *testing.T) {
	k, err := newKeeper(nil, nil, seeded(1), nil)
	if err != nil {
		t.Fatal(err)
	}
	least, most := time.Hour, time.Duration(0)
	for range 1000 {
		d := k.jitter(refreshEvery)
		least, most = min(least, d), max(most, d)
	}
	if least < 27*time.Minute || least > 28*time.Minute || most > 33*time.Minute || most < 32*time.Minute {
		t.Errorf("between %v and %v", least, most)
	}
}

func TestConditionalRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body, etag := "tcp://a:1", `"v1"`
		var log []string
		changes := 0
		l := newList(t, Config{
			URIs: []string{"http://one/seeds"}, Changed: func() { changes++ },
			Client: servers(func(r *http.Request) (*http.Response, error) {
				h := r.Header
				if h.Get("If-None-Match") == etag {
					log = append(log, "304 "+h.Get("If-Modified-Since"))
					return answer(304, ""), nil
				}
				log = append(log, "200 "+h.Get("If-None-Match"))
				return answer(200, body, "ETag: "+etag, "Last-Modified: Tue, 02 Jan 2007 15:04:05 GMT"), nil
			}).client(),
		})
		ready(t, l)
		first := l.Status()[0].Loaded
		again := func() {
			time.Sleep(time.Minute)
			l.Refresh()
			synctest.Wait()
		}
		again()
		if st := l.Status()[0]; st.Err != nil || !st.Loaded.After(first) || st.Addresses != 1 {
			t.Errorf("after 304: %+v", st)
		}
		body, etag = "tcp://b:1", `"v2"`
		again()
		again()
		body, etag = "no list any more", `"v3"`
		again() // is refused, so that v2 is still what we have
		again()
		want := []string{
			"200 ", "304 Tue, 02 Jan 2007 15:04:05 GMT", `200 "v1"`,
			"304 Tue, 02 Jan 2007 15:04:05 GMT", `200 "v2"`, `200 "v2"`,
		}
		if !slices.Equal(log, want) {
			t.Errorf("requests %q", log)
		}
		if !slices.Equal(l.Seeds(), addresses("tcp://b:1")) || changes != 2 {
			t.Errorf("%v after %d changes", l.Seeds(), changes)
		}
		if st := l.Status()[0]; !errors.Is(st.Err, ErrEmpty) || st.Failures != 2 {
			t.Errorf("%+v", st)
		}
	})
}

// A server may not say "not modified" if it was not asked, or about what came
// from somewhere else.
func TestNotModifiedOutOfPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := "http://one/"
		l := newList(t, Config{
			URIs: []string{"http://start/", "http://eager/"},
			Client: servers(func(r *http.Request) (*http.Response, error) {
				switch {
				case r.URL.Host == "start":
					return answer(302, "", "Location: "+target), nil
				case r.URL.Host == "eager", r.Header.Get("If-None-Match") == `"1"`:
					return answer(304, ""), nil
				}
				return answer(200, "tcp://"+r.URL.Host+":1", `ETag: "1"`), nil
			}).client(),
		})
		ready(t, l)
		status := func(uri string) Status {
			all := l.Status()
			return all[slices.IndexFunc(all, func(s Status) bool { return s.URI == uri })]
		}
		if st := status("http://eager/"); st.Err == nil || !strings.Contains(st.Err.Error(), "304") {
			t.Errorf("304 to the first request: %+v", st)
		}
		target = "http://two/"
		l.Refresh()
		synctest.Wait()
		if st := status("http://start/"); !errors.Is(st.Err, errElsewhere) {
			t.Errorf("304 from another server: %+v", st)
		}
		l.Refresh()
		synctest.Wait()
		if st := status("http://start/"); st.Err != nil || !slices.Equal(l.Seeds(), addresses("tcp://two:1")) {
			t.Errorf("asked again: %v, %+v", l.Seeds(), st)
		}
	})
}

func TestValidatorsThatCannotBeSentBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		l := newList(t, Config{URIs: []string{"http://one/"}, Client: servers(func(r *http.Request) (*http.Response, error) {
			got = append(got, r.Header.Get("If-None-Match")+r.Header.Get("If-Modified-Since"))
			resp := answer(200, "tcp://a:1", "ETag: "+strings.Repeat("x", maxValidator+1))
			resp.Header["Last-Modified"] = []string{"Tue\r\nX-More: 1"}
			return resp, nil
		}).client()})
		ready(t, l)
		l.Refresh()
		synctest.Wait()
		if !slices.Equal(got, []string{"", ""}) {
			t.Errorf("sent %q", got)
		}
	})
}

// A list in XML without order is drawn anew only when it is another one.
func TestChangedOnlyWhenChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := "<x>"
		for i := range 10 {
			body += route(fmt.Sprintf("tcp://host%d:1", i))
		}
		changes := 0
		var l *List
		made := make(chan struct{})
		l = newList(t, Config{
			URIs: []string{"http://one/"},
			Client: servers(func(*http.Request) (*http.Response, error) {
				<-made
				return answer(200, body+"</x>", "Content-Type: text/xml"), nil
			}).client(),
			Changed: func() {
				changes++
				if st := l.Status()[0]; len(l.Seeds()) != st.Addresses || !st.Loaded.Equal(time.Now()) {
					t.Errorf("told before it was true: %v, %+v", l.Seeds(), st)
				}
			},
		})
		close(made)
		ready(t, l)
		before := l.Seeds()
		l.Refresh()
		synctest.Wait()
		if changes != 1 || !slices.Equal(l.Seeds(), before) {
			t.Errorf("%d changes, %v, then %v", changes, before, l.Seeds())
		}
		body += route("tcp://more:1")
		l.Refresh()
		synctest.Wait()
		if changes != 2 || len(l.Seeds()) != 11 {
			t.Errorf("%d changes, %v", changes, l.Seeds())
		}
	})
}

func TestRefreshDuringLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers, asked := make(chan string), 0
		l := newList(t, Config{URIs: []string{"http://one/"}, Client: servers(func(*http.Request) (*http.Response, error) {
			asked++
			return answer(200, <-answers), nil
		}).client()})
		synctest.Wait()
		for range 10 {
			l.Refresh()
		}
		synctest.Wait()
		if asked != 1 {
			t.Errorf("%d loads at once", asked)
		}
		began := time.Now()
		answers <- "tcp://a:1"
		ready(t, l)
		answers <- "tcp://b:1" // what was there after Refresh counts
		synctest.Wait()
		if asked != 2 || !slices.Equal(l.Seeds(), addresses("tcp://b:1")) || !time.Now().Equal(began) {
			t.Errorf("%d loads, %v after %v", asked, l.Seeds(), time.Since(began))
		}
		if st := l.Status()[0]; !around(st.Next, refreshEvery) {
			t.Errorf("%+v", st)
		}
		l.Refresh()
		synctest.Wait()
		if st := l.Status()[0]; !st.Next.IsZero() {
			t.Errorf("during a load: %+v", st)
		}
		answers <- "tcp://b:1"
	})
}

// A slow server does not keep the others from being heard.
func TestReadyWaitsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := make(chan struct{})
		l := newList(t, Config{URIs: []string{"http://slow/", "http://quick/", "http://broken/"}, Client: servers(func(r *http.Request) (*http.Response, error) {
			switch r.URL.Host {
			case "slow":
				<-slow
			case "broken":
				return nil, errDown
			}
			return answer(200, "tcp://"+r.URL.Host+":1"), nil
		}).client()})
		synctest.Wait()
		if !slices.Equal(l.Seeds(), addresses("tcp://quick:1")) {
			t.Errorf("while one is slow: %v", l.Seeds())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ready too early: %v", err)
		}
		close(slow)
		ready(t, l)
		if len(l.Seeds()) != 2 {
			t.Errorf("%v", l.Seeds())
		}
	})
}

func TestCloseDuringLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newList(t, Config{URIs: []string{"http://one/"}, Client: servers(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}).client()})
		waited := make(chan error)
		go func() { waited <- l.Ready(context.Background()) }()
		synctest.Wait()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { _ = l.Close() })
		}
		wg.Wait()
		if err := <-waited; !errors.Is(err, ErrClosed) {
			t.Errorf("Ready: %v", err)
		}
		l.Refresh()
		if st := l.Status()[0]; st.Failures != 0 || st.Err != nil {
			t.Errorf("closing counted as failure: %+v", st)
		}
	})
}

func TestNothingWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		ready(t, l)
		l.Refresh()
		if len(l.Seeds()) != 0 || len(l.Status()) != 0 {
			t.Errorf("%v, %v", l.Seeds(), l.Status())
		}
		// Not closed: the bubble fails if a goroutine is left.
	})
}

func TestTotalIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var uris []string
		for i := range 6 {
			uris = append(uris, fmt.Sprintf("http://server%d/", i))
		}
		l := newList(t, Config{URIs: uris, Rand: seeded(1), Client: servers(func(r *http.Request) (*http.Response, error) {
			var b strings.Builder
			for i := range 1000 {
				fmt.Fprintf(&b, "tcp://host%d.%s:1\ntcp://shared:1\n", i, r.URL.Host)
			}
			return answer(200, b.String()), nil
		}).client()})
		ready(t, l)
		all := l.Seeds()
		slices.SortFunc(all, func(a, b endpoint.Address) int { return strings.Compare(a.Host, b.Host) })
		if len(all) != MaxTotal || len(slices.Compact(all)) != MaxTotal {
			t.Errorf("%d addresses, %d distinct", len(l.Seeds()), len(slices.Compact(all)))
		}
		for _, st := range l.Status() {
			if st.Addresses != MaxAddresses {
				t.Errorf("%+v", st)
			}
		}
	})
}

// The order of documents is drawn, and stays.
func TestOrderOfDocuments(t *testing.T) {
	orders := map[string]bool{}
	for n := range uint64(20) {
		k, err := newKeeper([]string{"http://a/", "http://b/", "http://c/"}, nil, seeded(n), nil)
		if err != nil {
			t.Fatal(err)
		}
		order := ""
		for _, s := range k.sources {
			order += s.uri.Host
		}
		orders[order] = true
	}
	if len(orders) < 4 {
		t.Errorf("orders drawn: %v", orders)
	}
}

func TestBadURIs(t *testing.T) {
	for _, s := range []string{
		"", "seeds.txt", "/etc/seeds", "http://", "http:///seeds", "https://:443/", "ftp://host/seeds", "jar:file:/x",
		"file:seeds.txt", "file://", "file://elsewhere/seeds", "file:///seeds?now", "http://host:port/", "http://a b/",
		"javascript:alert(1)", "tcp://192.0.2.1:9701", "http://[::1/", "%", "http://h/" + strings.Repeat("x", maxURI),
	} {
		l, err := New(Config{URIs: []string{"http://good/", s}})
		if err == nil {
			_ = l.Close()
			t.Errorf("%.50q: accepted", s)
		} else if !errors.Is(err, ErrURI) || !strings.HasPrefix(err.Error(), "seeding: ") || !strings.Contains(err.Error(), s[:min(len(s), 40)]) {
			t.Errorf("%.50q: %v", s, err)
		}
	}
	var many []string
	for i := range MaxURIs + 1 {
		many = append(many, fmt.Sprintf("http://host/%d", i))
	}
	if _, err := New(Config{URIs: many}); !errors.Is(err, ErrURI) {
		t.Errorf("%d URIs: %v", len(many), err)
	}
	k, err := newKeeper([]string{"http://a/x", "HTTP://a/x#part", "file:/x", "file:///x", "http://b/"}, nil, seeded(1), nil)
	if err != nil || len(k.sources) != 4 {
		t.Errorf("%v, %v", k.states, err)
	}
}

// Passwords in URIs are sent and shown nowhere.
func TestPasswordIsNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		got := ""
		l := newList(t, Config{
			URIs: []string{"http://me:secret@one/seeds"}, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			Client: servers(func(r *http.Request) (*http.Response, error) {
				_, got, _ = r.BasicAuth()
				return nil, errDown
			}).client(),
		})
		ready(t, l)
		st := l.Status()[0]
		if shown := st.URI + st.Err.Error() + log.String(); got != "secret" || strings.Contains(shown, "secret") || !strings.Contains(shown, "me:xxxxx@one") {
			t.Errorf("sent %q, shown %s", got, shown)
		}
	})
}
