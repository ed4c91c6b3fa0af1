package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/shell/control"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// strangerEnv makes the test program connect to the socket it names and tell what
// came of it.
const strangerEnv = "JUXTA_TEST_CONNECT"

func TestMain(m *testing.M) {
	if socket := os.Getenv(strangerEnv); socket != "" {
		c, err := control.Open(socket)
		if err == nil {
			_, err = c.About(context.Background())
		}
		fmt.Println(err)
		return
	}
	goleak.VerifyTestMain(m)
}

// patience bounds every wait.
const patience = 10 * time.Second

// toy is a peer that is none: a few commands to run.
type toy struct {
	began chan struct{} // a command waits
	ended chan error    // why it ended
	emit  chan func(control.Event)
}

func (p *toy) session(cfg interp.Config) (*interp.Session, func() string, error) {
	cfg.Commands = []*interp.Command{
		{Name: "say", MaxArgs: -1, Run: func(_ context.Context, c *interp.Call) error {
			c.Line(c.Text(0), interp.Field{Name: "said", Value: c.Text(0)})
			return nil
		}},
		{Name: "row", Run: func(_ context.Context, c *interp.Call) error {
			c.Row(interp.Field{Name: "name", Value: "ann"}, interp.Field{Name: "age", Value: 7 * time.Second})
			return nil
		}},
		{Name: "fail", Run: func(context.Context, *interp.Call) error {
			return interp.NotFoundf("nothing there").Try("look elsewhere")
		}},
		{Name: "warn", Run: func(_ context.Context, c *interp.Call) error { c.Notice("take care"); return nil }},
		{Name: "panic", Run: func(context.Context, *interp.Call) error { panic("out of cheese") }},
		{Name: "exit", Run: func(_ context.Context, c *interp.Call) error { c.Session.Exit(7); return nil }},
		{Name: "later", Run: func(_ context.Context, c *interp.Call) error {
			return c.Session.Store("later", &closer{func() { c.Notice("good bye") }})
		}},
		{Name: "flood", Run: func(ctx context.Context, c *interp.Call) error {
			for ctx.Err() == nil {
				c.Print(strings.Repeat("x", 1000) + "\n")
			}
			return ctx.Err()
		}},
		{Name: "wait", Run: func(ctx context.Context, _ *interp.Call) error {
			p.began <- struct{}{}
			<-ctx.Done()
			p.ended <- ctx.Err()
			return ctx.Err()
		}},
	}
	return interp.New(cfg), func() string { return "JXTA> " }, nil
}

// closer is an object of a variable.
type closer struct{ f func() }

// Close closes it.
func (c *closer) Close() { c.f() }

// serve starts a server for a toy.
func serve(t testing.TB, change ...func(*control.Config)) (*toy, *control.Server, *control.Client) {
	t.Helper()
	p := &toy{began: make(chan struct{}, 100), ended: make(chan error, 100), emit: make(chan func(control.Event), 10)}
	cfg := control.Config{Name: "toy", Private: true, Session: p.session, Watch: func(emit func(control.Event)) func() {
		p.emit <- emit
		return func() {}
	}}
	for _, f := range change {
		f(&cfg)
	}
	s, err := control.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c, err := control.Open(s.Socket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, s, c
}

// runtimeFolder gives the test a folder for sockets of its own, with a short path.
func runtimeFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "jx")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("TMPDIR", dir)
	return dir
}

// lines runs commands and returns what came as lines of JSON, and the status.
func lines(t *testing.T, c *control.Client, q control.Request) ([]string, control.Line) {
	t.Helper()
	var got []string
	last, err := c.Run(t.Context(), q, func(l control.Line) {
		switch {
		case l.Out != nil:
			got = append(got, "out "+string(l.Out))
		case l.Notice != nil:
			got = append(got, "notice "+string(l.Notice))
		case l.Error != nil:
			got = append(got, "error "+string(l.Error))
		case l.Stdout != "":
			got = append(got, "stdout "+l.Stdout)
		case l.Stderr != "":
			got = append(got, "stderr "+l.Stderr)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, last
}

func TestRun(t *testing.T) {
	_, _, c := serve(t)
	for _, tt := range []struct {
		name   string
		q      control.Request
		want   []string
		status int
	}{
		{"records", control.Request{Commands: "say hello; row"}, []string{`out {"said":"hello"}`, `out {"name":"ann","age":7}`}, 0},
		{"notices and errors", control.Request{Commands: "warn; fail; say never"}, []string{`notice {"command":"warn","text":"take care"}`,
			`error {"code":"not_found","message":"nothing there","command":"fail","status":3,"hint":"look elsewhere"}`}, 3},
		{"goes on", control.Request{Commands: "fail; say more", Continue: true}, []string{
			`error {"code":"not_found","message":"nothing there","command":"fail","status":3,"hint":"look elsewhere"}`, `out {"said":"more"}`}, 3},
		{"for people", control.Request{Commands: "row; warn; fail", Text: true}, []string{"stdout ann\t7s\n", "stderr # warn - take care\n",
			"stderr # fail - nothing there; look elsewhere\n"}, 3},
		{"for a terminal", control.Request{Commands: "row", Text: true, Terminal: true, Width: 80}, []string{"stdout NAME  AGE\nann   7s\n"}, 0},
		{"a script", control.Request{Commands: "say one\n# two\nsay 'three\nfour'"}, []string{`out {"said":"one"}`, `out {"said":"three\nfour"}`}, 0},
		{"syntax", control.Request{Commands: "say 'open"}, []string{`error {"code":"syntax","message":"the quote ' is not closed (column 5)","command":"shell","status":2}`}, 2},
		{"exit", control.Request{Commands: "exit; say never"}, nil, 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, last := lines(t, c, tt.q)
			if !slices.Equal(got, tt.want) || *last.Status != tt.status || last.Prompt != "JXTA> " || last.Exited != (tt.name == "exit") {
				t.Errorf("%q, %d, %+v; want %q, %d", got, *last.Status, last, tt.want, tt.status)
			}
		})
	}
	got, last := lines(t, c, control.Request{Commands: "panic"})
	if *last.Status != 1 || len(got) != 2 || !strings.Contains(got[0], "goroutine") || !strings.Contains(got[1], "internal error: out of cheese") {
		t.Errorf("%q, %d", got, *last.Status)
	}
}

// TestSessions: variables live as long as their session, which one request uses at
// a time.
func TestSessions(t *testing.T) {
	p, _, c := serve(t)
	lines(t, c, control.Request{Commands: "x = 'kept'", Session: "a"})
	if got, _ := lines(t, c, control.Request{Commands: "say $x", Session: "a"}); !slices.Equal(got, []string{`out {"said":"kept"}`}) {
		t.Errorf("%q", got)
	}
	for _, other := range []string{"", "b"} {
		if _, last := lines(t, c, control.Request{Commands: "say $x", Session: other}); *last.Status != 1 {
			t.Errorf("the session %q knows it too", other)
		}
	}
	if _, last := lines(t, c, control.Request{Commands: "say again", Session: "b"}); *last.Status != 0 {
		t.Errorf("an old failure is told again: %d", *last.Status)
	}

	ctx, hangUp := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := c.Run(ctx, control.Request{Commands: "wait", Session: "a"}, func(control.Line) {})
		done <- err
	}()
	<-p.began
	var refused *control.Refused
	if _, err := c.Run(t.Context(), control.Request{Commands: "say x", Session: "a"}, nil); !errors.As(err, &refused) || refused.HTTP != http.StatusConflict || refused.Code != "busy" {
		t.Errorf("a second request in the session: %v", err)
	}
	hangUp()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	<-p.ended

	if err := c.EndSession(t.Context(), "b"); err != nil {
		t.Error(err)
	}
	if err := c.EndSession(t.Context(), "b"); !errors.As(err, &refused) || refused.HTTP != http.StatusNotFound {
		t.Errorf("it ends twice: %v", err)
	}
	lines(t, c, control.Request{Commands: "exit", Session: "e"})
	if body := get(t, c, "/v1/sessions"); strings.Contains(body, `"e"`) || strings.Contains(body, `"b"`) || !strings.Contains(body, `"name":"a"`) {
		t.Errorf("sessions: %s", body)
	}
	for i := range 70 {
		_, err := c.Run(t.Context(), control.Request{Commands: "say x", Session: fmt.Sprintf("s%d", i)}, func(control.Line) {})
		if full := i >= 63; full != (err != nil) {
			t.Fatalf("session %d: %v", i, err)
		}
	}
	for _, name := range []string{"a b", "a/b", strings.Repeat("x", 65), "a\x00", "ä\n"} {
		if _, err := c.Run(t.Context(), control.Request{Commands: "say x", Session: name}, nil); !errors.As(err, &refused) || refused.HTTP != http.StatusBadRequest {
			t.Errorf("a session called %q: %v", name, err)
		}
	}
}

// web makes a plain HTTP client of a socket.
func web(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
}

func get(t *testing.T, c *control.Client, path string) string {
	t.Helper()
	resp, err := web(c.Socket()).Get("http://peer" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestObjects(t *testing.T) {
	_, _, c := serve(t, func(cfg *control.Config) {
		cfg.About = func() []interp.Field { return []interp.Field{{Name: "peer_id", Value: "urn:x"}} }
	})
	about, err := c.About(t.Context())
	if err != nil || about != (control.About{API: 1, Name: "toy", PID: os.Getpid(), PeerID: "urn:x", Socket: c.Socket()}) {
		t.Errorf("%+v, %v", about, err)
	}
	var all struct {
		Commands []struct{ Name, Usage string }
	}
	if err := json.Unmarshal([]byte(get(t, c, "/v1/commands")), &all); err != nil || len(all.Commands) != 9 || all.Commands[0].Name != "say" || all.Commands[0].Usage != "say" {
		t.Errorf("%+v, %v", all, err)
	}
	found, err := c.Complete(t.Context(), "", "f", false)
	if err != nil || len(found) != 2 || found[0].Text != "fail" {
		t.Errorf("%+v, %v", found, err)
	}
	if err := c.Stop(t.Context()); err == nil || !strings.Contains(err.Error(), "ends when its user says so") {
		t.Errorf("stopped: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	_, _, c := serve(t)
	for _, tt := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/", "", 404, "not_found"},
		{"GET", "/v2/run", "", 404, "not_found"},
		{"GET", "/v1/run", "", 404, "not_found"},
		{"POST", "/v1/events", "", 404, "not_found"},
		{"GET", "/v1/" + strings.Repeat("x", 200), "", 404, "not_found"},
		{"POST", "/v1/run", "", 400, "usage"},
		{"POST", "/v1/run", "[]", 400, "usage"},
		{"POST", "/v1/run", `{"commands":" "}`, 400, "usage"},
		{"POST", "/v1/run", `{"commands":"say x","width":-1}`, 400, "usage"},
		{"POST", "/v1/run", `{"commands":"say x","comands":""}`, 400, "usage"},
		{"POST", "/v1/run", `{"commands":"say x"} more`, 400, "usage"},
		{"POST", "/v1/run", `{"commands":"` + strings.Repeat("x", 2<<20) + `"}`, 413, "usage"},
		{"POST", "/v1/complete", `{"line":7}`, 400, "usage"},
		{"DELETE", "/v1/sessions/none", "", 404, "not_found"},
		{"POST", "/v1/stop", "", 403, "not_authorised"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://peer"+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := web(c.Socket()).Do(req)
		if err != nil {
			t.Errorf("%s %.40s: %v", tt.method, tt.path, err)
			continue
		}
		var e struct {
			Error struct{ Code, Message string }
		}
		err = json.NewDecoder(resp.Body).Decode(&e)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != tt.status || e.Error.Code != tt.code || e.Error.Message == "" || len(e.Error.Message) > 200 {
			t.Errorf("%s %.40s %.40s: %d %+v, %v; want %d %s", tt.method, tt.path, tt.body, resp.StatusCode, e, err, tt.status, tt.code)
		}
	}
}

// TestHangUp: who does not listen any longer ends what runs, also if it had
// stopped reading long before.
func TestHangUp(t *testing.T) {
	p, s, _ := serve(t)
	for _, commands := range []string{"wait", "flood; wait"} {
		conn, err := net.Dial("unix", s.Socket())
		if err != nil {
			t.Fatal(err)
		}
		body := `{"commands":"` + commands + `","continue":true}`
		fmt.Fprintf(conn, "POST /v1/run HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if commands == "wait" {
			<-p.began
		} else if _, err := conn.Read(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		if commands == "wait" {
			if err := <-p.ended; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
	}
	// Close finds nothing to wait for; goleak sees what would be left.
	began := time.Now()
	if err := s.Close(); err != nil || time.Since(began) > patience {
		t.Error(err, time.Since(began))
	}
}

// TestCloseInterrupts: commands end with a last word, and events with theirs.
func TestCloseInterrupts(t *testing.T) {
	p, s, c := serve(t)
	type result struct {
		last control.Line
		err  error
	}
	done, told := make(chan result, 1), make(chan []string, 1)
	go func() {
		last, err := c.Run(t.Context(), control.Request{Commands: "wait"}, func(control.Line) {})
		done <- result{last, err}
	}()
	<-p.began
	ready := make(chan struct{})
	go func() {
		var all []string
		for e, err := range c.Events(t.Context()) {
			if len(all) == 0 {
				close(ready)
			}
			all = append(all, fmt.Sprint(string(e), err))
		}
		told <- all
	}()
	<-ready
	s.Drain()
	if r := <-done; r.err != nil || *r.last.Status != interp.StatusInterrupted {
		t.Errorf("%+v", r)
	}
	if _, err := c.Run(t.Context(), control.Request{Commands: "say x"}, nil); err == nil {
		t.Error("commands are taken after the end")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	all := <-told
	if len(all) != 2 || !strings.Contains(all[0], `"event":"ready"`) || !strings.Contains(all[1], `"event":"end"`) {
		t.Errorf("%q", all)
	}
	if _, err := c.About(t.Context()); !errors.Is(err, control.ErrNotRunning) {
		t.Error(err)
	}
}

// TestTooMany: requests beyond the limit are refused with words, and when others
// end there is room again.
func TestTooMany(t *testing.T) {
	p, _, c := serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	const most = 64
	for range most {
		go func() {
			_, _ = c.Run(ctx, control.Request{Commands: "wait"}, func(control.Line) {})
			done <- struct{}{}
		}()
		<-p.began
	}
	var refused *control.Refused
	if _, err := c.About(t.Context()); !errors.As(err, &refused) || refused.HTTP != http.StatusServiceUnavailable || refused.Code != "busy" {
		t.Error(err)
	}
	cancel()
	for range most {
		<-done
		<-p.ended
	}
	deadline := time.Now().Add(patience)
	for {
		_, err := c.About(t.Context())
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestTooManyConnections(t *testing.T) {
	_, s, c := serve(t)
	var held []net.Conn
	for range 128 {
		conn, err := net.Dial("unix", s.Socket())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	_, err := c.About(t.Context())
	if err == nil || !strings.Contains(err.Error(), "128 connections already") {
		t.Error(err)
	}
	for _, conn := range held {
		_ = conn.Close()
	}
	deadline := time.Now().Add(patience)
	for err != nil && time.Now().Before(deadline) {
		_, err = c.About(t.Context())
	}
	if err != nil {
		t.Error(err)
	}
}

func TestFolder(t *testing.T) {
	run := runtimeFolder(t)
	named := func(cfg *control.Config) { cfg.Private = false }
	_, s, _ := serve(t, named)
	for path, mode := range map[string]os.FileMode{s.Socket(): 0o600, filepath.Dir(s.Socket()): 0o700, filepath.Dir(filepath.Dir(s.Socket())): 0o700} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	var taken *control.TakenError
	if _, err := control.Listen(control.Config{Name: "toy"}); !errors.As(err, &taken) || taken.PID != os.Getpid() || !strings.Contains(err.Error(), "runs already") {
		t.Errorf("two peers of a name: %v", err)
	}
	_, other, _ := serve(t, named, func(cfg *control.Config) { cfg.Name, cfg.Temporary = "../änn's peer", true })
	if want := filepath.Join(run, "juxta-control"); filepath.Dir(filepath.Dir(other.Socket())) != want {
		t.Errorf("%s is not in %s", other.Socket(), want)
	}
	all, err := control.Running(t.Context())
	if err != nil || len(all) != 2 || all[0].Name != "../änn's peer" || all[1].Name != "toy" {
		t.Errorf("%+v, %v", all, err)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(other.Socket())); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of a temporary name is left: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.Socket()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}

	// What a peer that was killed leaves is no obstacle.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.Socket(), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	c, err := control.Open("toy")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.About(t.Context()); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("a dead socket: %v", err)
	}
	_, _, _ = serve(t, named)
	if a, err := c.About(t.Context()); err != nil || a.Name != "toy" {
		t.Errorf("%+v, %v", a, err)
	}

	if err := os.Chmod(filepath.Join(run, "juxta-control"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Folder(); err == nil {
		t.Error("a folder that others may look into is used")
	}
}

// TestOtherFolder: a peer that was started without the environment of a login
// session is found from within one.
func TestOtherFolder(t *testing.T) {
	dir := runtimeFolder(t)
	t.Setenv("XDG_RUNTIME_DIR", "")
	if info, err := os.Stat(fmt.Sprintf("/run/user/%d", os.Geteuid())); err == nil && info.IsDir() {
		t.Skip("NOT TESTED: the folder of the login session is there in any case")
	}
	_, s, _ := serve(t, func(cfg *control.Config) { cfg.Private = false })
	if want := filepath.Join(dir, fmt.Sprintf("juxta-control-%d", os.Geteuid())); !strings.HasPrefix(s.Socket(), want) {
		t.Errorf("%s is not in %s", s.Socket(), want)
	}
	t.Setenv("XDG_RUNTIME_DIR", dir)
	c, err := control.Open("toy")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if a, err := c.About(t.Context()); err != nil || a.Name != "toy" {
		t.Errorf("%+v, %v", a, err)
	}
	if all, err := control.Running(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestIdle: a server that nobody asks is one goroutine that waits.
func TestIdle(t *testing.T) {
	before := runtime.NumGoroutine()
	serve(t)
	if more := runtime.NumGoroutine() - before; more > 1 {
		t.Errorf("%d goroutines more", more)
	}
}

func TestNamesOfSockets(t *testing.T) {
	runtimeFolder(t)
	seen := map[string]string{}
	for _, name := range []string{"ann", "", ".", "..", "a/b", "a%2Fb", "%", "-x", strings.Repeat("a", 60), strings.Repeat("a", 61), "\x00", "ä", "ann.12"} {
		path, err := control.Path(name)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[path]; ok {
			t.Errorf("%q and %q have one socket", name, other)
		}
		seen[path] = name
		dir, err := control.Folder()
		if rel, _ := filepath.Rel(dir, path); err != nil || strings.Count(filepath.ToSlash(rel), "/") != 1 || !filepath.IsLocal(rel) || len(path) > 103 {
			t.Errorf("%q: %s, %v", name, path, err)
		}
	}
}
