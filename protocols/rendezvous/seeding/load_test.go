package seeding

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// fetch is one load with the rules of a list.
func fetch(t *testing.T, c *http.Client, uri string) (loaded, error) {
	t.Helper()
	u, err := parseURI(uri)
	if err != nil {
		t.Fatal(err)
	}
	return load(t.Context(), guarded(c), u, validators{})
}

// serve starts a server on loopback.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestLoadOverHTTP(t *testing.T) {
	tree, plain := file(t, "seeds.xml"), file(t, "seeds.txt")
	var agent atomic.Value // lists are asked for side by side
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		agent.Store(r.Header.Get("User-Agent"))
		switch r.URL.Path {
		case "/tree":
			w.Header().Set("Content-Type", "application/xml; charset=utf-8")
			_, _ = w.Write(tree)
		case "/plain":
			w.Header().Set("Content-Type", "text/plain")
			_, _ = w.Write(plain)
		default:
			http.NotFound(w, r)
		}
	})
	l := newList(t, Config{URIs: []string{base + "/tree", base + "/plain", base + "/gone"}})
	ready(t, l)
	want := addresses("http://192.0.2.20:9700", "http://192.0.2.21:9700", "tcp://192.0.2.20:9701", "tcp://192.0.2.21:9701", "tcp://192.0.2.22:9701")
	got := l.Seeds()
	if len(got) != len(want) || slices.ContainsFunc(want, func(a endpoint.Address) bool { return !slices.Contains(got, a) }) {
		t.Errorf("%v", got)
	}
	for _, st := range l.Status() {
		switch strings.TrimPrefix(st.URI, base) {
		case "/tree":
			if st.Addresses != 3 || st.Err != nil {
				t.Errorf("%+v", st)
			}
		case "/plain":
			if st.Addresses != 3 || st.Malformed != 1 || st.Blank != 1 || st.Err != nil {
				t.Errorf("%+v", st)
			}
		case "/gone":
			if st.Err == nil || !strings.Contains(st.Err.Error(), "404") || !strings.Contains(st.Err.Error(), st.URI) || st.Failures != 1 {
				t.Errorf("%+v", st)
			}
		}
	}
	if agent.Load() != "juxta" {
		t.Errorf("User-Agent %v", agent.Load())
	}
}

func TestLoadFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p = filepath.ToSlash(p)
		if !strings.HasPrefix(p, "/") {
			p = "/" + p
		}
		return (&url.URL{Scheme: "file", Path: p}).String()
	}
	name := write("my seeds.txt", "tcp://a:1")
	l := newList(t, Config{URIs: []string{name}})
	ready(t, l)
	if !slices.Equal(l.Seeds(), addresses("tcp://a:1")) {
		t.Errorf("%v, %+v", l.Seeds(), l.Status())
	}
	localhost := strings.Replace(name, "file://", "file://localhost", 1)
	short := strings.Replace(name, "file://", "file:", 1) // as java.io.File writes it
	for _, uri := range []string{name, localhost, short} {
		if got, err := fetch(t, nil, uri); err != nil || string(got.document.body) != "tcp://a:1" {
			t.Errorf("%s: %v", uri, err)
		}
	}
	if _, err := fetch(t, nil, write("huge", strings.Repeat("#", MaxDocument+1))); !errors.Is(err, ErrSize) {
		t.Errorf("huge: %v", err)
	}
	if _, err := fetch(t, nil, write("full", strings.Repeat("#", MaxDocument))); err != nil {
		t.Errorf("as large as may be: %v", err)
	}
	if _, err := fetch(t, nil, strings.Replace(name, "seeds", "deeds", 1)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if _, err := fetch(t, nil, "file://"+strings.TrimSuffix(strings.TrimPrefix(name, "file://"), "/my%20seeds.txt")); !errors.Is(err, ErrType) {
		t.Errorf("folder: %v", err)
	}
	if runtime.GOOS != "windows" {
		if _, err := fetch(t, nil, "file:///dev/zero"); !errors.Is(err, ErrType) {
			t.Errorf("device: %v", err)
		}
	}
}

func TestHostileAnswers(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	for range 8 {
		_, _ = z.Write(zeros)
	}
	_ = z.Close()
	endless := func(w http.ResponseWriter, line string) {
		b := []byte(strings.Repeat(line, 1000))
		for {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	}
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  error  // or
		text  string // of the error
	}{
		"endless":   {func(w http.ResponseWriter, _ *http.Request) { endless(w, "tcp://a:1\n") }, ErrSize, ""},
		"blank":     {func(w http.ResponseWriter, _ *http.Request) { endless(w, "\n") }, ErrSize, ""},
		"announced": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "1000000000000") }, ErrSize, ""},
		"short": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "tcp://a:1\n")
		}, io.ErrUnexpectedEOF, ""},
		"bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		}, ErrType, ""},
		"bomb in disguise": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = w.Write(bomb.Bytes())
		}, ErrEmpty, ""},
		"picture": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/png")
			_, _ = io.WriteString(w, "tcp://a:1\n")
		}, ErrType, ""},
		"login page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>\n<a href='http://192.0.2.1/'>log in</a>\n</html>")
		}, ErrEmpty, ""},
		"entities": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/xml")
			_, _ = io.WriteString(w, `<!DOCTYPE x [<!ENTITY a "b">]><x>`+route("tcp://a:1")+`</x>`)
		}, nil, "malformed XML"},
		"nothing":    {func(http.ResponseWriter, *http.Request) {}, ErrEmpty, ""},
		"no content": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, nil, "status 204"},
		"error": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			_, _ = io.WriteString(w, "tcp://a:1\n")
		}, nil, "status 500"},
		"partial": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(206) }, nil, "status 206"},
		"header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
		}, nil, "header"},
		"hang up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, io.EOF, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := newList(t, Config{URIs: []string{serve(t, c.serve)}})
			ready(t, l)
			st := l.Status()[0]
			if st.Err == nil || c.want != nil && !errors.Is(st.Err, c.want) || !strings.Contains(st.Err.Error(), c.text) {
				t.Errorf("%v, want %v %s", st.Err, c.want, c.text)
			}
			if len(l.Seeds()) != 0 {
				t.Errorf("%v", l.Seeds())
			}
		})
	}
	t.Run("client that unpacks", func(t *testing.T) {
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		uri := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				t.Error("asked for gzip")
			}
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		})
		if _, err := fetch(t, &http.Client{Transport: transport}, uri); !errors.Is(err, ErrType) {
			t.Error(err)
		}
	})
}

func TestRedirects(t *testing.T) {
	mux := http.NewServeMux()
	to := func(from, target string) { mux.Handle(from, http.RedirectHandler(target, http.StatusFound)) }
	to("/loop", "/loop")
	to("/4", "/3")
	to("/3", "/2")
	to("/2", "/1")
	to("/1", "/seeds.xml")
	to("/file", "file:///etc/passwd")
	to("/ftp", "ftp://192.0.2.1/seeds")
	to("/relative-file", "file:seeds.txt")
	mux.HandleFunc("/seeds.xml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil // so that the extension of the place at last counts
		_, _ = w.Write(file(t, "seeds.xml"))
	})
	mux.HandleFunc("/nowhere", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(302) })
	base := serve(t, mux.ServeHTTP)

	d, err := fetch(t, nil, base+"/3")
	if err != nil {
		t.Fatal(err)
	}
	if p, err := parse(d.document, seeded(1)); err != nil || len(p.addresses) != 3 {
		t.Errorf("three redirects: %v, %v", p, err)
	}
	for _, path := range []string{"/4", "/loop", "/file", "/ftp", "/relative-file"} {
		if _, err := fetch(t, nil, base+path); !errors.Is(err, ErrRedirect) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := fetch(t, nil, base+"/nowhere"); err == nil {
		t.Error("/nowhere: no error")
	}

	// A client may know more schemes and have rules of its own.
	dir := http.FileServer(http.Dir("testdata"))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	transport.RegisterProtocol("file", servers(func(r *http.Request) (*http.Response, error) {
		t.Error("redirected to a file")
		rec := httptest.NewRecorder()
		dir.ServeHTTP(rec, r)
		return rec.Result(), nil
	}))
	if _, err := fetch(t, &http.Client{Transport: transport}, base+"/file"); !errors.Is(err, ErrRedirect) {
		t.Errorf("file, with a client that reads files: %v", err)
	}
	never := errors.New("not with me")
	own := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return never }}
	if _, err := fetch(t, own, base+"/1"); !errors.Is(err, never) {
		t.Errorf("rules of the client: %v", err)
	}
}

func TestRedirectOutOfTLS(t *testing.T) {
	plain := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if target := r.URL.Query().Get("to"); target != "" {
			http.Redirect(w, r, target, http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "tcp://forged:1\n")
	})
	var secure *httptest.Server
	secure = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/down":
			http.Redirect(w, r, plain, http.StatusMovedPermanently)
		case "/across":
			http.Redirect(w, r, secure.URL+"/down", http.StatusMovedPermanently)
		default:
			_, _ = io.WriteString(w, "tcp://a:1\n")
		}
	}))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of the client that does not trust it
	secure.StartTLS()
	defer secure.Close()
	c := secure.Client()
	for _, uri := range []string{secure.URL + "/down", secure.URL + "/across", plain + "/?to=" + secure.URL + "/down"} {
		if d, err := fetch(t, c, uri); !errors.Is(err, ErrRedirect) {
			t.Errorf("%s: %s, %v", uri, d.document.body, err)
		}
	}
	if d, err := fetch(t, c, plain+"/?to="+secure.URL+"/"); err != nil || string(d.document.body) != "tcp://a:1\n" {
		t.Errorf("to https: %v", err)
	}
	if _, err := fetch(t, nil, secure.URL+"/"); err == nil {
		t.Error("an unknown certificate was accepted")
	}
}

// pipes is a network of one server, in virtual time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// virtual starts a server in the bubble and returns a client of it.
func virtual(t *testing.T, h http.HandlerFunc) *http.Client {
	t.Helper()
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	s := &http.Server{Handler: h}
	stopped := make(chan struct{})
	go func() { _ = s.Serve(p); close(stopped) }()
	t.Cleanup(func() {
		close(p.closed)
		_ = s.Close()
		<-stopped
		synctest.Wait()
	})
	transport := defaultClient().Transport.(*http.Transport)
	transport.Proxy = nil
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		select {
		case p.conns <- theirs:
			return ours, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return &http.Client{Transport: transport}
}

func TestSlowServers(t *testing.T) {
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		most  time.Duration
	}{
		"silent": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, headerTimeout},
		"trickling": {func(w http.ResponseWriter, r *http.Request) {
			for range 1000 {
				_, _ = io.WriteString(w, "tcp://a:1\n")
				_ = http.NewResponseController(w).Flush()
				select {
				case <-time.After(5 * time.Second):
				case <-r.Context().Done():
					return
				}
			}
		}, loadTimeout},
		"one redirect after the other": {func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(9 * time.Second):
			case <-r.Context().Done():
			}
			http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
		}, loadTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				l := newList(t, Config{URIs: []string{"http://slow/"}, Client: virtual(t, c.serve)})
				ready(t, l)
				st := l.Status()[0]
				if took := time.Since(began); took != c.most || st.Err == nil || len(l.Seeds()) != 0 {
					t.Errorf("after %v: %v, %v", took, st.Err, l.Seeds())
				}
			})
		})
	}
}

// Close does not wait for a server.
func TestCloseHangsUp(t *testing.T) {
	asked, left := make(chan struct{}), make(chan struct{})
	uri := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
		close(left)
	})
	l := newList(t, Config{URIs: []string{uri}})
	<-asked
	_ = l.Close()
	<-left
}
