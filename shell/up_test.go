package shell_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/shell"
	"github.com/juxta-p2p/juxta/shell/control"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// patience bounds every wait.
const patience = 15 * time.Second

// runtimeFolder gives the test a folder for sockets of its own, with a short path.
func runtimeFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "jx")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	return dir
}

// text is an output that may be looked at while it is written.
type text struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.buf.Write(p)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.buf.String()
}

// service is juxta up in this process.
type service struct {
	t      *testing.T
	cancel context.CancelFunc
	ended  chan int
	errs   *text
}

// up starts a peer that goes on running, and waits until it says that it is ready
// as a service manager hears it.
func up(t *testing.T, name string, args ...string) *service {
	t.Helper()
	at := filepath.Join(t.TempDir(), "n")
	if len(at) > 100 {
		at = filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "notify."+name)
	}
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: at, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", at)
	ctx, cancel := context.WithCancel(t.Context())
	s := &service{t: t, cancel: cancel, ended: make(chan int, 1), errs: &text{}}
	args = append([]string{"up", name, "--lan", "off", "--multicast", "off", "--quic", "off", "--listen", "tcp://127.0.0.1:0", "--home", t.TempDir()}, args...)
	go func() { s.ended <- shell.Main(ctx, args, strings.NewReader(""), s.errs, s.errs) }()
	t.Cleanup(func() { s.wait() })
	_ = manager.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 200)
	n, err := manager.Read(b)
	if want := "READY=1\nSTATUS=" + name + ", "; err != nil || !strings.HasPrefix(string(b[:n]), want) {
		t.Fatalf("the service manager was told %q, %v; want %q; %s", b[:n], err, want, s.errs)
	}
	return s
}

// wait ends the peer and returns its status.
func (s *service) wait() int {
	s.cancel()
	select {
	case status := <-s.ended:
		s.ended <- status
		return status
	case <-time.After(patience):
		s.t.Fatalf("up does not end; %s", s.errs)
		return -1
	}
}

func TestUp(t *testing.T) {
	dir := runtimeFolder(t)
	ann := up(t, "ann", "-c", "newpgrp -j crew; x = 'mine'")
	for _, tt := range []struct {
		name   string
		args   []string
		stdin  string
		status int
		out    string
		inErr  string
	}{
		{"-c", []string{"--attach", "ann", "-c", "whoami | grep name; echo $?"}, "", 0, "name: ann\n0\n", ""},
		{"words", []string{"--attach", "ann", "echo", "two  words", ";", "$x"}, "", 0, "two  words ; $x\n", ""},
		{"JSON", []string{"--json", "--attach", "ann", "-c", "echo a; nix"}, "", 2, `{"text":"a"}` + "\n", `{"error":{"code":"unknown_command"`},
		{"a failure ends it", []string{"--attach", "ann", "-c", "peers; echo never"}, "", 3, "", "# peers - no other peers found"},
		{"-k goes on", []string{"--attach", "ann", "-k", "-c", "peers; echo more"}, "", 3, "more\n", "no other peers found"},
		{"standard input", []string{"--attach", "ann"}, "y = 'kept'\necho $y\n\n# nothing\necho 'two\nlines'\nnix\necho never\n", 2, "kept\ntwo\nlines\n", `there is no command "nix"`},
		{"exit", []string{"--attach", "ann"}, "exit 9\necho never\n", 9, "", ""},
		{"nothing is kept", []string{"--attach", "ann", "-c", "echo $y"}, "", 1, "", `no variable is called "y"`},
		{"a session", []string{"--attach", "ann", "--session", "s", "-c", "y = 'kept'"}, "", 0, "", ""},
		{"the session again", []string{"--attach", "ann", "--session", "s", "-c", "echo $y"}, "", 0, "kept\n", ""},
		{"groups stay", []string{"--attach", "ann", "-c", "chpgrp crew; whoami -g | grep 'group: '"}, "", 0, "group: crew\n", ""},
		{"by the path", []string{"--attach", filepath.Join(dir, "juxta-control", "ann", "sock"), "-c", "echo a"}, "", 0, "a\n", ""},
		{"nobody of that name", []string{"--attach", "bob", "-c", "echo a"}, "", 3, "", `juxta: no peer called "bob" runs, but: ann`},
		{"nobody there", []string{"--attach", filepath.Join(dir, "nix"), "-c", "echo a"}, "", 3, "", "no peer listens on"},
		{"the name is taken", []string{"up", "ann", "--lan", "off", "--multicast", "off", "--client-only", "--home", t.TempDir(), "--log", "error"}, "", 5, "",
			fmt.Sprintf("juxta: another peer called \"ann\" runs already, process %d; juxta up NAME gives this one another name\n", os.Getpid())},
		{"it begins badly", []string{"up", "eve", "--lan", "off", "--multicast", "off", "--client-only", "--home", t.TempDir(), "--log", "error", "-c", "nix"}, "", 2, "",
			`there is no command "nix"`},
		{"listed", []string{"running", "--json"}, "", 0, fmt.Sprintf(`{"name":"ann","pid":%d,"peer_id":"urn:jxta:`, os.Getpid()), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, out, errs := run(t, tt.stdin, tt.args...)
			if exact := strings.HasSuffix(tt.out, "\n"); status != tt.status || exact && out != tt.out || !strings.Contains(out, tt.out) {
				t.Errorf("status %d, %q; want %d, %q; errors %q", status, out, tt.status, tt.out, errs)
			}
			if !strings.Contains(errs, tt.inErr) || tt.inErr == "" && errs != "" {
				t.Errorf("errors %q, want %q", errs, tt.inErr)
			}
		})
	}
	if errs := ann.errs.String(); !strings.Contains(errs, "# up - ann runs; juxta --attach ann reaches it\n") {
		t.Errorf("%s", errs)
	}
	if status := ann.wait(); status != 0 {
		t.Errorf("status %d; %s", status, ann.errs)
	}
	if status, _, errs := run(t, "", "running"); status != 3 || !strings.Contains(errs, "no peer of this user runs; juxta up NAME starts one") {
		t.Errorf("%d, %q", status, errs)
	}
}

// TestUpConsole: the address of the page is printed once, opens it, and ends with the peer; only
// up has the option.
func TestUpConsole(t *testing.T) {
	runtimeFolder(t)
	ann := up(t, "ann", "--console", "--log", "error")
	urls := regexp.MustCompile(`(?m)^(http://127\.0\.0\.1:\d+/)#(\w+)$`).FindAllStringSubmatch(ann.errs.String(), -1)
	if len(urls) != 1 || strings.Count(ann.errs.String(), urls[0][2]) != 1 {
		t.Fatalf("%q in %s", urls, ann.errs)
	}
	ask := func() (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, urls[0][1]+"api/past?seconds=0", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+urls[0][2])
		return (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	}
	answer, err := ask()
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if b, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(b), `"name":"ann"`) {
		t.Errorf("%d %v %s", answer.StatusCode, err, b)
	}
	if status := ann.wait(); status != 0 {
		t.Errorf("status %d; %s", status, ann.errs)
	}
	if answer, err := ask(); err == nil {
		answer.Body.Close()
		t.Error("the page is there without the peer")
	}
	for _, args := range [][]string{{"--console", "-c", "version"}, {"--console", "running"}, {"running", "--console"}, {"--console"}} {
		if status, _, errs := run(t, "", args...); status != 1 && status != 2 || !strings.Contains(errs, "--console is for up") {
			t.Errorf("%q: %d %s", args, status, errs)
		}
	}
	if status, _, errs := run(t, "", "--attach", "ann", "--console"); status == 0 || !strings.Contains(errs, "--console is for a peer that is started") {
		t.Errorf("%d %s", status, errs)
	}
}

// TestEventsOfAPeer: what happens at a peer is told as it comes.
func TestEventsOfAPeer(t *testing.T) {
	runtimeFolder(t)
	ann := up(t, "ann", "--role", "rendezvous")
	_, out, _ := run(t, "", "--attach", "ann", "--json", "-c", "whoami")
	var me struct{ Addresses []string }
	if err := json.Unmarshal([]byte(out), &me); err != nil || len(me.Addresses) == 0 {
		t.Fatalf("%q, %v", out, err)
	}
	c, err := control.Open("ann")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	seen := map[string]bool{}
	for line, err := range c.Events(ctx) {
		if err != nil {
			t.Fatalf("%v; seen: %v", err, seen)
		}
		var e struct{ Event, What, Message string }
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		seen[strings.TrimSpace(e.Event+" "+e.What+e.Message)] = true
		switch {
		case e.Event == "ready": // an edge comes by
			status, _, errs := run(t, "", "--home", t.TempDir(), "--lan", "off", "--multicast", "off", "--quic", "off", "--client-only", "--name", "bob",
				"--seed", me.Addresses[0], "-c", "rdvcontrol edge connect "+me.Addresses[0])
			if status != 0 {
				t.Errorf("bob: %d, %s", status, errs)
			}
			if status, _, errs := run(t, "", "--attach", "ann", "-c", "talk ann hello"); status != 0 {
				t.Errorf("talk: %d, %s", status, errs)
			}
		case e.Message == "hello":
			if status, _, errs := run(t, "", "down", "ann"); status != 0 {
				t.Errorf("down: %d, %s", status, errs)
			}
		}
	}
	for _, want := range []string{"ready", "link up", "rendezvous client joined", "rendezvous client left", "link down", "notice hello", "end"} {
		if !seen[want] {
			t.Errorf("no event %q among %v", want, seen)
		}
	}
	if status := ann.wait(); status != interp.StatusOK {
		t.Errorf("status %d", status)
	}
}
