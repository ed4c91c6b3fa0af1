//go:build linux

package reachtest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"os"
	"time"
)

// proxyVariable says to this binary that it is to be an HTTP proxy, and how:
// passes or collects.
const proxyVariable = "JUXTA_TEST_REACH_PROXY"

// Kinds of proxies. Neither knows CONNECT, and both let nothing take longer than a
// minute.
const (
	passes   = "passes"   // hands octets on as they come
	collects = "collects" // reads a request or an answer to its end, and then hands it on
)

// proxyBody bounds what a proxy collects.
const proxyBody = 16 << 20

// proxyTime bounds a request through a proxy.
const proxyTime = time.Minute

// proxy starts a proxy in a namespace.
func (l *lab) proxy(space, kind string) {
	l.t.Helper()
	p := l.process(space, proxyVariable+"="+kind)
	var ready reply
	if err := p.out.Decode(&ready); err != nil {
		l.t.Fatal(err)
	}
}

// beProxy is the program of a proxy. It ends with its standard input.
func beProxy(kind string) {
	rp := &httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}, FlushInterval: -1}
	if kind == collects {
		rp.FlushInterval = 0
		rp.ModifyResponse = func(res *http.Response) error {
			b, err := io.ReadAll(io.LimitReader(res.Body, proxyBody))
			_ = res.Body.Close()
			res.Body, res.ContentLength, res.TransferEncoding = io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
			res.Header.Set("Content-Length", fmt.Sprint(len(b)))
			return err
		}
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect || !r.URL.IsAbs() {
			http.Error(w, "only plain HTTP", http.StatusMethodNotAllowed)
			return
		}
		if kind == collects {
			b, err := io.ReadAll(io.LimitReader(r.Body, proxyBody))
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
		}
		rp.ServeHTTP(w, r)
	})
	s := &http.Server{Addr: fmt.Sprint(":", proxyPort), Handler: handler, ReadTimeout: proxyTime, WriteTimeout: proxyTime}
	go func() { // until the process ends
		fmt.Fprintln(os.Stderr, "proxy:", s.ListenAndServe())
		os.Exit(1)
	}()
	for ; ; time.Sleep(10 * time.Millisecond) { // until it listens
		if res, err := http.Get(fmt.Sprint("http://127.0.0.1:", proxyPort)); err == nil {
			_ = res.Body.Close()
			break
		}
	}
	fmt.Println("{}")
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// through is the environment of those who use a proxy.
func through(ip string) []string {
	at := fmt.Sprintf("http://%s:%d", ip, proxyPort)
	return []string{"HTTP_PROXY=" + at, "http_proxy=" + at, "NO_PROXY=", "no_proxy="}
}
