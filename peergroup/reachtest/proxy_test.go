//go:build linux

package reachtest

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"strings"
	"time"
)

// proxyVariable says to this binary where to be a forward proxy.
const proxyVariable = "JUXTA_TEST_REACH_PROXY"

// beProxy is a forward proxy that passes on GET and POST, and knows nothing else:
// no CONNECT, no upgrade.
func beProxy(at string) {
	forward := &httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}}
	server := &http.Server{Addr: at, ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if (r.Method != http.MethodGet && r.Method != http.MethodPost) || r.URL.Scheme != "http" || r.URL.Host == "" {
			http.Error(w, "only plain HTTP", http.StatusForbidden)
			return
		}
		forward.ServeHTTP(w, r)
	})}
	go func() { _ = server.ListenAndServe() }()
	_, _ = os.Stdout.WriteString("ready\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = server.Close()
}

// proxy starts a forward proxy in a namespace.
func (l *lab) proxy(space, at string) {
	l.t.Helper()
	self, err := os.Executable()
	if err != nil {
		l.t.Fatal(err)
	}
	cmd := exec.Command("ip", "netns", "exec", l.prefix+space, self)
	cmd.Env = append(os.Environ(), proxyVariable+"="+at)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, "ready") {
		l.t.Fatalf("the proxy does not start: %q, %v", line, err)
	}
}
