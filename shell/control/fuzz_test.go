package control_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/shell/control"
)

// FuzzRequest sends whatever to a server: it answers in HTTP or hangs up, and goes
// on serving.
func FuzzRequest(f *testing.F) {
	run := func(body string) string {
		return "POST /v1/run HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + body
	}
	for _, s := range []string{
		"", "\n", "GET /v1/ HTTP/1.1\r\nHost: x\r\n\r\n", "GET /v1/ HTTP/1.0\r\n\r\n", "GET /v1/commands HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"POST /v1/run HTTP/1.1\r\nHost: x\r\nContent-Length: 22\r\n\r\n{\"commands\":\"say hi\"}\n",
		"POST /v1/run HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n{}", "POST /v1/run HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"POST /v1/run HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n15\r\n{\"commands\":\"say hi\"}\r\n0\r\n\r\n",
		"POST /v1/run HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nffffffffffffffff\r\n",
		run(`{"commands":"say 'open","session":"x"}`), run(strings.Repeat("[", 10000)), "GET /v1/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
		"DELETE /v1/sessions/%2e%2e HTTP/1.1\r\nHost: x\r\n\r\n", "GET http://other/v1/ HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v1/ HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("y", 20<<10) + "\r\n\r\n", "GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\x00\x01",
		"GET /v1/ HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/sessions HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "POST /v1/complete HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\n{\"line\":\"s\"}\n",
		"POST /v1/run HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 20\r\n\r\n", "POST /v1/stop HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	p, s, c := serve(f)
	f.Fuzz(func(t *testing.T, request []byte) {
		if bytes.Contains(request, []byte("wait")) || bytes.Contains(request, []byte("flood")) {
			return // commands that do not end while we listen
		}
		conn, err := net.Dial("unix", s.Socket())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := conn.Write(request); err == nil {
			_ = conn.(*net.UnixConn).CloseWrite()
		}
		if answer, err := io.ReadAll(conn); len(answer) > 0 {
			if _, bad := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil); bad != nil {
				t.Errorf("%q got %.200q: %v", request, answer, bad)
			}
		} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Errorf("%q: neither an answer nor an end", request)
		}
		for len(p.emit) > 0 {
			<-p.emit
		}
		if got, err := c.About(t.Context()); err != nil || got.API != control.Version {
			t.Errorf("after %q: %+v, %v", request, got, err)
		}
	})
}

// FuzzAnswer: a peer that answers anything at all cannot hurt who asks it.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"", "HTTP/1.1 200 OK\r\n\r\n{\"out\":{}}\n{\"status\":3}\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 200 OK\r\n\r\n{\"status\":\"x\"}\n",
		"HTTP/1.1 403 Forbidden\r\n\r\n{\"error\":{\"code\":\"x\",\"message\":\"y\"}}", "HTTP/1.1 500 x\r\n\r\nnope", "HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"out", "HTTP/1.1 200 OK\r\n\r\n\n\n\x00",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		dir := t.TempDir()
		socket := dir + "/s"
		if len(socket) > 100 {
			t.Skip("the path of the folder is too long for a socket")
		}
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_ = conn.SetDeadline(time.Now().Add(patience))
				_, _ = http.ReadRequest(bufio.NewReader(conn))
				_, _ = conn.Write(answer)
				_ = conn.Close()
			}
		}()
		c, err := control.Open(socket)
		if err != nil {
			t.Fatal(err)
		}
		last, err := c.Run(t.Context(), control.Request{Commands: "x"}, func(control.Line) {})
		if (err == nil) != (last.Status != nil) {
			t.Errorf("%+v, %v", last, err)
		}
		for range c.Events(t.Context()) {
		}
		_, _ = c.About(t.Context())
		c.Close()
		_ = l.Close()
		<-done
	})
}
