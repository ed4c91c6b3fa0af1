package http

import (
	"bufio"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// TestRefusedRequests: what is not JXTA, or comes from a page in a browser.
func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	h := listening(t)
	peer := them.Unique()
	for _, c := range []struct {
		name, head string
		status     int
	}{
		{"long head", "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", maxHead), 431},
		{"many headers", "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", maxHead/6) + "Y: z", 431},
		{"long address", "GET /" + strings.Repeat("x", maxURL) + " HTTP/1.1\r\nHost: x", 414},
		{"from a page", "GET / HTTP/1.1\r\nHost: x\r\nOrigin: null", 403},
		{"from a page of the same name", "GET / HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin", 403},
		{"posted by a page", "POST / HTTP/1.1\r\nHost: x\r\nOrigin: http://evil\r\nContent-Length: 0", 403},
		{"CONNECT", "CONNECT x:80 HTTP/1.1\r\nHost: x:80", 405},
		{"PUT", "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0", 405},
		{"OPTIONS", "OPTIONS / HTTP/1.1\r\nHost: x", 405},
		{"TRACE", "TRACE / HTTP/1.1\r\nHost: x", 405},
		{"other version", "GET / HTTP/3.0\r\nHost: x", 505},
		{"no version", "GET /", 400},
		{"no host", "GET / HTTP/1.1", 400},
		{"two encodings", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity", 501},
		{"two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2", 400},
		{"negative length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1", 400},
		{"folded header", "GET / HTTP/1.1\r\nHost: x\r\n a: b", 400},
		{"blank in a header's name", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 1", 400},
		{"poll of nobody", "GET /me?1,1,http://x:1 HTTP/1.1\r\nHost: x", 400},
		{"poll of a group", "GET /uuid-59616261646162614E5047205032503302?1,1,http://x:1 HTTP/1.1\r\nHost: x", 400},
		{"poll to nowhere", "GET /" + peer + "?1,1,nowhere HTTP/1.1\r\nHost: x", 400},
		{"announced too long", fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d", h.cfg.MaxMessage+1), 0},
		{"tunnel without name", "GET /juxta/?0,1,1 HTTP/1.1\r\nHost: x", 400},
		{"tunnel with a short name", "GET /juxta/00?0,1,1 HTTP/1.1\r\nHost: x", 400},
		{"tunnel without place", "GET /juxta/00112233445566778899aabbccddeeff HTTP/1.1\r\nHost: x", 400},
		{"negative place", "GET /juxta/00112233445566778899aabbccddeeff?-1,1,1 HTTP/1.1\r\nHost: x", 400},
		{"unknown tunnel", "GET /juxta/00112233445566778899aabbccddeeff?7,1,1 HTTP/1.1\r\nHost: x", 404},
		{"octets of no type", "POST /juxta/00112233445566778899aabbccddeeff?0 HTTP/1.1\r\nHost: x\r\nContent-Length: 0", 400},
		{"not a poll", "GET /" + peer + " HTTP/1.1\r\nHost: x", 200},
		{"not a poll, two fields", "GET /" + peer + "?1,1 HTTP/1.1\r\nHost: x", 200},
		{"ping with a query", "GET /?1,1 HTTP/1.1\r\nHost: x", 200},
		{"ping of HTTP/1.0", "GET / HTTP/1.0", 200},
	} {
		if c.status == 0 {
			continue
		}
		if s := connect(t, h.addr().Host).write(c.head + "\r\n\r\n").status(); s != c.status {
			t.Errorf("%s: answered %d, want %d", c.name, s, c.status)
		}
	}
	if n := len(h.opened) + len(h.arrived); n != 0 {
		t.Errorf("%d events", n)
	}
}

// TestSmuggled: of a request with a length and chunks the chunks count, and what
// follows is not taken for a request by one and for a body by the other.
func TestSmuggled(t *testing.T) {
	h := listening(t)
	connect(t, h.addr().Host).write(pollOf(them, "http://x:1"))
	next(t, h.opened)
	inner := "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	r := connect(t, h.addr().Host)
	r.write(fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", len(inner)+5, inner))
	if s := r.status(); s != nethttp.StatusBadRequest {
		t.Errorf("answered %d", s)
	}
	if len(h.arrived) != 0 {
		t.Error("something arrived")
	}
}

// TestTooLong: a body beyond the limit is not taken, whether announced or not.
func TestTooLong(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{Listen: []string{"127.0.0.1:0"}, MaxMessage: 1000})
	for _, req := range []string{
		postOf(text(1, 1000), ""),
		fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", 2000, make([]byte, 2000)),
	} {
		if s := connect(t, h.addr().Host).write(req).status(); s != nethttp.StatusRequestEntityTooLarge {
			t.Errorf("answered %d", s)
		}
	}
}

// stranger has a host treat this machine like any other.
func stranger(h *host, _ *endpoint.Host) { h.trusted = func(string) bool { return false } }

// TestManyTunnels, TestManyPolls, TestManyConnections: one IP address cannot have all.
func TestManyTunnels(t *testing.T) {
	h := listening(t, stranger)
	var over int
	for i := range defaultMaxPerHost + 5 {
		r := connect(t, h.addr().Host)
		r.write(fmt.Sprintf("POST /juxta/%032x?0 HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 0\r\n\r\n", i, tunnelType))
		switch s := r.status(); s {
		case nethttp.StatusServiceUnavailable:
			over++
		case nethttp.StatusOK:
		default:
			t.Fatalf("answered %d", s)
		}
		_ = r.Close()
	}
	if over != 5 {
		t.Errorf("%d refused", over)
	}
}

func TestManyPolls(t *testing.T) {
	offences := make(chan string, 100)
	h := listening(t, stranger, func(_ *host, eh *endpoint.Host) {
		eh.Offend = func(_ string, _ id.Peer, limit string) { offences <- limit }
	})
	for i := range defaultMaxPerHost / 2 {
		connect(t, h.addr().Host).write(pollOf(id.PeerFromSeed(id.NetGroup, []byte{byte(i), 1}), "http://x:1"))
		next(t, h.opened)
	}
	if s := connect(t, h.addr().Host).write(pollOf(them, "http://x:1")).status(); s != nethttp.StatusServiceUnavailable {
		t.Errorf("answered %d", s)
	}
	if limit := next(t, offences); !strings.Contains(limit, "polls") {
		t.Errorf("the limit is %q", limit)
	}
}

func TestManyLinksOfOnePeer(t *testing.T) {
	h := listening(t, stranger)
	connect(t, h.addr().Host).write(pollOf(them, "http://x:1"))
	first := next(t, h.opened)
	for i := range 5 {
		connect(t, h.addr().Host).write(pollOf(them, fmt.Sprintf("http://x:1/%d", i)))
		next(t, h.opened)
		if i >= maxPerPeer-1 {
			if l := next(t, h.closed); i == maxPerPeer-1 && l != first {
				t.Error("it is not the oldest that ends")
			}
		}
	}
	if n := h.Stats().Links; n != maxPerPeer {
		t.Errorf("%d links", n)
	}
}

func TestManyConnections(t *testing.T) {
	t.Parallel()
	h := listening(t, stranger)
	var all []net.Conn
	for range 2 * defaultMaxPerHost {
		r := connect(t, h.addr().Host).write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if r.status() != nethttp.StatusOK {
			t.Fatal("refused")
		}
		all = append(all, r)
	}
	r := connect(t, h.addr().Host)
	_, _ = io.WriteString(r, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if b, err := io.ReadAll(r); len(b) > 0 {
		t.Errorf("answered %q, %v", b, err)
	}
	for _, c := range all {
		_ = c.Close()
	}
	for by := time.Now().Add(limit); ; {
		r := connect(t, h.addr().Host)
		_, _ = io.WriteString(r, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if b, _ := io.ReadAll(r); len(b) > 0 {
			return
		}
		if time.Now().After(by) {
			t.Fatal("nobody gets in any more")
		}
	}
}

// TestHostileServer: a server that a client dials cannot make it wait, or take much.
func TestHostileServer(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"no HTTP":        "220 smtp.example.org\r\n",
		"no ID":          "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"endless ID":     "HTTP/1.1 200 OK\r\n\r\nuuid-" + strings.Repeat("0", 1<<20),
		"endless header": "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("0", 1<<20) + "\r\n\r\n",
		"error":          "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
		"elsewhere":      "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
		"ID of a group":  "HTTP/1.1 200 OK\r\nContent-Length: 39\r\n\r\nuuid-59616261646162614E5047205032503302",
		"nothing":        "",
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					c, err := ln.Accept()
					if err != nil {
						return
					}
					if name != "nothing" {
						_, _ = nethttp.ReadRequest(bufio.NewReader(c))
					}
					_, _ = io.WriteString(c, answer)
					_ = c.Close()
				}
			}()
			defer func() { _ = ln.Close(); <-done }()
			c := client(t, "")
			l, err := c.Dial(t.Context(), at(ln.Addr().String()))
			var de *endpoint.DialError
			if de, _ = err.(*endpoint.DialError); l != nil || de == nil || de.Phase != endpoint.PhaseHandshake {
				t.Errorf("%v, %v", l, err)
			}
		})
	}
}

// TestHostsAreNames: no part of an address can turn the URL into another.
func TestHostsAreNames(t *testing.T) {
	c := client(t, "")
	for _, host := range []string{"a@127.0.0.1:80", "127.0.0.1#x:80", "127.0.0.1?x:80", "a%2fb:80", "a\\b:80", "[::1%25lo]:80"} {
		_, err := c.Dial(t.Context(), at(host))
		if de, _ := err.(*endpoint.DialError); de == nil || de.Phase != endpoint.PhaseAddress {
			t.Errorf("%s: %v", host, err)
		}
	}
}
