package http

import (
	"bytes"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// recorded is the JXSE client of the recordings, and the address it dialled.
const recorded = "uuid-59616261646162614E50472050325033A000000000004000800080000000000303"

// head returns the status line and the headers of an answer, without those that
// tell the time or the product.
func head(t *testing.T, answer []byte) (lines map[string]bool, rest []byte) {
	t.Helper()
	top, rest, ok := bytes.Cut(answer, []byte("\r\n\r\n"))
	if !ok {
		t.Fatalf("no head in %q", answer)
	}
	lines = map[string]bool{}
	for _, line := range strings.Split(string(top), "\r\n") {
		if name, _, _ := strings.Cut(line, ":"); name != "Date" && name != "Server" && name != offerName {
			lines[line] = true
		}
	}
	return lines, rest
}

func same(t *testing.T, got, want []byte) {
	t.Helper()
	gotHead, gotBody := head(t, got)
	wantHead, wantBody := head(t, want)
	if fmt.Sprint(gotHead) != fmt.Sprint(wantHead) || !bytes.Equal(gotBody, wantBody) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

// all reads until the other side closes, or is silent for a moment.
func (r *raw) all(n int) []byte {
	r.t.Helper()
	var b []byte
	buf := make([]byte, 4096)
	for len(b) < n {
		k, err := r.br.Read(buf)
		b = append(b, buf[:k]...)
		if err != nil {
			r.t.Fatalf("%v after %q", err, b)
		}
	}
	return b
}

// TestRecordedPing: the answer is that of JXSE, but for the offer of a tunnel.
func TestRecordedPing(t *testing.T) {
	peer, err := id.ParsePeerUnique("uuid-59616261646162614E50472050325033A000000000004000800080000000000103")
	if err != nil {
		t.Fatal(err)
	}
	h := listening(t, as(peer))
	want := testdata(t, "http-ping-response.bin")
	r := connect(t, h.addr().Host).write(string(testdata(t, "http-ping-request.bin")))
	resp, err := nethttp.ReadResponse(r.br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get(offerName) != offerValue {
		t.Error("no tunnel is offered")
	}
	got, err := httputil.DumpResponse(resp, true)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
}

// TestRecordedPoll: a poll that asks for a relay's service becomes a link that says
// so, and messages come one in a chunk, octet for octet as JXSE sends them.
func TestRecordedPoll(t *testing.T) {
	h := listening(t)
	r := connect(t, h.addr().Host).write(string(testdata(t, "http-poll-request-relay.bin")))
	l := next(t, h.opened)
	asked, ok := endpoint.Dialled(l)
	if want := "http://127.0.0.1:9700/EndpointService:jxta-NetGroup/uuid-DEADBEEFDEAFBABAFEEDBABE0000000F05/connect,3600000,keep,true"; !ok || asked.String() != want {
		t.Errorf("dialled %s", asked)
	}
	if l.Peer().Unique() != recorded || l.Outgoing() || l.Proven() || l.Origin() != "127.0.0.1" {
		t.Errorf("peer %s, outgoing %t, proven %t, origin %s", l.Peer(), l.Outgoing(), l.Proven(), l.Origin())
	}
	if l.Remote().With("a", "b").String() != "http://0.0.0.0:0/a/b" || l.Local() != endpoint.PeerAddress(us, "", "") {
		t.Errorf("local %s, remote %s", l.Local(), l.Remote())
	}
	want := testdata(t, "http-poll-response-relay.bin")
	_, body := head(t, want)
	in := message.NewReader(httputil.NewChunkedReader(bytes.NewReader(body)))
	n := 0
	for ; ; n++ {
		m, err := in.Next()
		if err != nil {
			break
		}
		send(t, l, m)
	}
	if n != 2 {
		t.Fatalf("%d messages in the recording", n)
	}
	_ = l.Close()
	got := r.all(len(want) - len("Server: Jetty/4.2.25\r\n"))
	same(t, got, want)
}

// TestRecordedPost: the message comes on the link of the client that polls, and the
// answer is that of JXSE.
func TestRecordedPost(t *testing.T) {
	h := listening(t)
	connect(t, h.addr().Host).write(string(testdata(t, "http-poll-request-plain.bin")))
	l := next(t, h.opened)
	for _, name := range []string{"http-post-request.bin", "http-post-relay-renew.bin", "http-post-relay-disconnect.bin"} {
		req := testdata(t, name)
		_, body := head(t, req)
		r := connect(t, h.addr().Host).write(string(req))
		got := next(t, h.arrived)
		if got.link != l || !bytes.Equal(got.body, body) {
			t.Errorf("%s: %d octets on %v", name, len(got.body), got.link)
		}
		want := testdata(t, "http-post-response.bin")
		same(t, r.all(len(want)-len("Server: Jetty/4.2.25\r\n")), want)
	}
}

// TestClientAsRecorded: the client polls and posts like JXSE, and reads what JXSE
// answers, also in chunks that end inside messages.
func TestClientAsRecorded(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	place := ln.Addr().String()
	polls, posts := make(chan *nethttp.Request, 10), make(chan []byte, 10)
	_, answer := head(t, testdata(t, "http-poll-response-relay.bin"))
	whole, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(answer)))
	if err != nil {
		t.Fatal(err)
	}
	srv := &nethttp.Server{Handler: nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		switch {
		case r.Method == nethttp.MethodPost:
			b, _ := io.ReadAll(r.Body)
			posts <- b
		case r.URL.RawQuery == "":
			_, ping := head(t, testdata(t, "http-ping-response.bin"))
			w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
			_, _ = w.Write(ping)
		default:
			polls <- r
			w.Header().Set("Content-Type", messageType)
			for i := 0; i < len(whole); i += 100 {
				_, _ = w.Write(whole[i:min(i+100, len(whole))])
				_ = nethttp.NewResponseController(w).Flush()
			}
			<-r.Context().Done()
		}
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })

	peer, err := id.ParsePeerUnique(recorded)
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, "", as(peer))
	relay := "EndpointService:jxta-NetGroup"
	param := "uuid-DEADBEEFDEAFBABAFEEDBABE0000000F05/connect,3600000,keep,true"
	l := c.dial(t, at(place).With(relay, param))
	line, _, _ := strings.Cut(string(testdata(t, "http-poll-request-relay.bin")), " HTTP/1.1")
	want := strings.Replace(strings.TrimPrefix(line, "GET "), "127.0.0.1:9700", place, 1)
	if p := next(t, polls); p.RequestURI != want {
		t.Errorf("polled\n%s, want\n%s", p.RequestURI, want)
	}
	one, two := next(t, c.arrived), next(t, c.arrived)
	if !bytes.Equal(append(one.body, two.body...), whole) || one.link != l {
		t.Error("what came is something else")
	}
	if l.Remote() != at(place) || !l.Outgoing() || l.Local() != endpoint.PeerAddress(peer, "", "") || l.Origin() != "127.0.0.1" {
		t.Errorf("local %s, remote %s, outgoing %t, origin %s", l.Local(), l.Remote(), l.Outgoing(), l.Origin())
	}
	if l.Peer().Unique() != "uuid-59616261646162614E50472050325033A000000000004000800080000000000103" {
		t.Errorf("peer %s", l.Peer())
	}
	for i := range 3 {
		send(t, l, text(i, 100))
	}
	for i := range 3 {
		if b := next(t, posts); !bytes.Equal(b, text(i, 100)) {
			t.Errorf("post %d is another one", i)
		}
	}
}

// TestPollAnswers: how polls of all kinds end.
func TestPollAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, times string
		send        int
		status      int
		length      int64 // -1: none
		messages    int
	}{
		{"nothing in time", "30,30", 0, 204, 0, 0},
		{"does not wait", "-1,-1", 0, 204, 0, 0},
		{"no number", "x,y", 0, 204, 0, 0},
		{"one", "120000,-1", 2, 200, int64(len(text(0, 50))), 1},
		{"one, without a number", "120000,", 2, 200, int64(len(text(0, 50))), 1},
		{"several", "120000,100", 3, 200, -1, 3},
		{"too long a wait", "999999999,100", 3, 200, -1, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := listening(t, func(h *host, _ *endpoint.Host) {
				h.refuse = func(l endpoint.Link) error {
					for i := range c.send {
						send(t, l, text(i, 50))
					}
					return nil
				}
			})
			r := connect(t, h.addr().Host)
			r.write("GET /" + recorded + "?" + c.times + ",http://x:1 HTTP/1.1\r\nHost: x\r\n\r\n")
			resp := r.answer()
			b, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != c.status {
				t.Fatalf("%s, %v", resp.Status, err)
			}
			if _, has := resp.Header["Content-Length"]; c.status == 204 && has {
				t.Error("an empty answer with a length stops a JXSE client")
			} else if c.status == 200 && resp.ContentLength != c.length {
				t.Errorf("length %d", resp.ContentLength)
			}
			in, n := message.NewReader(bytes.NewReader(b)), 0
			for ; ; n++ {
				m, err := in.Next()
				if err != nil {
					break
				}
				if !bytes.Equal(m, text(n, 50)) {
					t.Errorf("message %d is another one", n)
				}
			}
			if n != c.messages {
				t.Errorf("%d messages", n)
			}
		})
	}
}

// TestNewestPollCounts: when a client polls again, the poll before ends, and nothing
// is lost or doubled.
func TestNewestPollCounts(t *testing.T) {
	h := listening(t)
	req := "GET /" + recorded + "?120000,120000,http://x:1 HTTP/1.1\r\nHost: x\r\n\r\n"
	old := connect(t, h.addr().Host).write(req)
	l := next(t, h.opened)
	again := connect(t, h.addr().Host).write(req)
	if s := old.status(); s != nethttp.StatusNoContent {
		t.Errorf("the poll before was answered %d", s)
	}
	for i := range 20 {
		send(t, l, text(i, 10))
	}
	in := message.NewReader(again.answer().Body)
	for i := range 20 {
		if b, err := in.Next(); err != nil || !bytes.Equal(b, text(i, 10)) {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	select {
	case l := <-h.opened:
		t.Errorf("another link: %v", l)
	case l := <-h.closed:
		t.Errorf("closed: %v", l)
	default:
	}
}

// TestServiceHearsOfNewClient: a JXSE client that starts anew asks the service anew.
func TestServiceHearsOfNewClient(t *testing.T) {
	h := listening(t)
	poll := string(testdata(t, "http-poll-request-relay.bin"))
	connect(t, h.addr().Host).write(poll)
	first := next(t, h.opened)
	connect(t, h.addr().Host).write(poll)
	if second := next(t, h.opened); second == first || next(t, h.closed) != first {
		t.Error("the service heard nothing")
	}
}
