package http

import (
	"bytes"
	"errors"
	"fmt"
	nethttp "net/http"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// pollOf is a poll of a client.
func pollOf(peer id.Peer, dest string) string {
	return "GET /" + peer.Unique() + "?120000,120000," + dest + " HTTP/1.1\r\nHost: x\r\n\r\n"
}

// postOf is a post of a message.
func postOf(body []byte, header string) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", header, len(body), body)
}

// TestPostBeforePoll: the two requests of a JXSE client may come in any order.
func TestPostBeforePoll(t *testing.T) {
	h := listening(t, func(h *host, _ *endpoint.Host) { h.times.early = limit })
	post := connect(t, h.addr().Host).write(postOf(from(them), ""))
	select {
	case m := <-h.arrived:
		t.Fatalf("arrived on %v before the poll", m.link)
	case <-time.After(20 * time.Millisecond): // for it to wait; nothing tells that it does
	}
	connect(t, h.addr().Host).write(pollOf(them, "http://x:1"))
	l := next(t, h.opened)
	if m := next(t, h.arrived); m.link != l || !bytes.Equal(m.body, from(them)) {
		t.Errorf("arrived on %v", m.link)
	}
	if s := post.status(); s != nethttp.StatusOK {
		t.Errorf("answered %d", s)
	}
}

// TestPostWithoutPoll: the message of who does not poll counts as a datagram.
func TestPostWithoutPoll(t *testing.T) {
	h := listening(t, func(h *host, _ *endpoint.Host) { h.times.early = time.Millisecond })
	r := connect(t, h.addr().Host)
	if s := r.write(postOf(from(them), "Content-Type: "+messageType+"\r\n")).status(); s != nethttp.StatusOK {
		t.Errorf("answered %d", s)
	}
	if m := next(t, h.arrived); m.link != nil {
		t.Errorf("arrived on %v", m.link)
	}
	for name, req := range map[string]string{
		"no message":        postOf([]byte("jxmg but not really"), ""),
		"no source":         postOf(text(1, 1), ""),
		"empty":             postOf(nil, ""),
		"other type":        postOf(from(them), "Content-Type: text/plain\r\n"),
		"form":              postOf(from(them), "Content-Type: application/x-www-form-urlencoded\r\n"),
		"unreadable type":   postOf(from(them), "Content-Type: ;;;\r\n"),
		"unknown link":      postOf(from(them), linkName+": 77\r\n"),
		"endless link name": postOf(from(them), linkName+": "+strings.Repeat("7", 33)+"\r\n"),
	} {
		if s := connect(t, h.addr().Host).write(req).status(); s != nethttp.StatusBadRequest && (s != nethttp.StatusGone || name != "unknown link") {
			t.Errorf("%s: answered %d", name, s)
		}
	}
	if len(h.arrived) != 0 {
		t.Errorf("%d messages arrived", len(h.arrived))
	}
}

// TestSeveralInOneConnection: requests over one connection, and a chunked body.
func TestSeveralInOneConnection(t *testing.T) {
	h := listening(t)
	connect(t, h.addr().Host).write(pollOf(them, "http://x:1"))
	next(t, h.opened)
	r := connect(t, h.addr().Host)
	r.write(postOf(from(them), ""))
	r.write(fmt.Sprintf("POST /%s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", them.Unique(), len(from(them)), from(them)))
	r.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	for range 3 {
		if s := r.status(); s != nethttp.StatusOK {
			t.Errorf("answered %d", s)
		}
	}
	for range 2 {
		if m := next(t, h.arrived); m.link == nil || !bytes.Equal(m.body, from(them)) {
			t.Errorf("%d octets on %v", len(m.body), m.link)
		}
	}
}

// TestPostAndPoll: one request may do both.
func TestPostAndPoll(t *testing.T) {
	h := listening(t)
	body := from(them)
	r := connect(t, h.addr().Host).write(fmt.Sprintf("POST /%s?1,1,http://x:1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", them.Unique(), len(body), body))
	l := next(t, h.opened)
	if m := next(t, h.arrived); m.link != l {
		t.Errorf("arrived on %v", m.link)
	}
	if s := r.status(); s != nethttp.StatusNoContent {
		t.Errorf("answered %d", s)
	}
}

// TestClosedLinkIsTold: a client whose link is closed here is told so when it polls,
// until it asks anew who this is.
func TestClosedLinkIsTold(t *testing.T) {
	h := listening(t)
	req := pollOf(them, "http://x:1")
	r := connect(t, h.addr().Host).write(req)
	_ = next(t, h.opened).Close()
	next(t, h.closed)
	if s := r.status(); s != nethttp.StatusGone {
		t.Errorf("the waiting poll was answered %d", s)
	}
	if s := connect(t, h.addr().Host).write(req).status(); s != nethttp.StatusGone {
		t.Errorf("the next poll was answered %d", s)
	}
	connect(t, h.addr().Host).write("GET / HTTP/1.1\r\nHost: x\r\n\r\n").status()
	connect(t, h.addr().Host).write(req)
	next(t, h.opened)
}

// TestClientThatStopsPolling: its link ends, and it may come back.
func TestClientThatStopsPolling(t *testing.T) {
	t.Parallel()
	h := listening(t, shorter)
	req := strings.Replace(pollOf(them, "http://x:1"), "120000,120000", "1,1", 1)
	connect(t, h.addr().Host).write(req)
	l := next(t, h.opened)
	if next(t, h.closed) != l {
		t.Error("another link is closed")
	}
	if err := l.Send(t.Context(), text(1, 1)); !errors.Is(err, endpoint.ErrLinkClosed) {
		t.Errorf("Send: %v", err)
	}
	connect(t, h.addr().Host).write(req)
	next(t, h.opened)
}

// TestRefusedClient: whom the host does not want gets no link.
func TestRefusedClient(t *testing.T) {
	no := errors.New("no")
	h := listening(t, func(h *host, _ *endpoint.Host) { h.refuse = func(endpoint.Link) error { return no } })
	if s := connect(t, h.addr().Host).write(pollOf(them, "http://x:1")).status(); s != nethttp.StatusForbidden {
		t.Errorf("answered %d", s)
	}
	c := client(t, "", shorter, func(h *host, _ *endpoint.Host) { h.cfg.Original = true })
	l := c.dial(t, h.addr())
	if next(t, c.closed) != l {
		t.Error("another link is closed")
	}
}

// TestUnproven: who goes by an ID made of a key must show it, which only a tunnel
// allows; and nothing goes in the open if only encrypted links are wanted.
func TestUnproven(t *testing.T) {
	t.Parallel()
	someone := listening(t, proving(t)).Transport.host.Peer
	for _, c := range []struct {
		name       string
		set        func(*host, *endpoint.Host)
		peer       id.Peer
		poll, post int
	}{
		{"made of a key", proving(t), someone, 403, 403},
		{"any other", proving(t), them, 0, 200},
		{"made of a key, nobody here can prove", as(us), someone, 0, 200},
		{"made of a key, allowed", func(h *host, eh *endpoint.Host) { proving(t)(h, eh); eh.AllowClaimed = true }, someone, 0, 200},
		{"only encrypted", func(h *host, eh *endpoint.Host) { proving(t)(h, eh); eh.RequireSecure = true }, them, 403, 403},
		{"only encrypted, allowed", func(h *host, eh *endpoint.Host) {
			proving(t)(h, eh)
			eh.RequireSecure, eh.AllowClaimed = true, true
		}, someone, 403, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := listening(t, c.set)
			r := connect(t, h.addr().Host).write(pollOf(c.peer, "http://x:1"))
			if c.poll == 0 {
				next(t, h.opened)
			} else if s := r.status(); s != c.poll {
				t.Errorf("the poll was answered %d", s)
			}
			if s := connect(t, h.addr().Host).write(postOf(from(c.peer), "")).status(); s != c.post {
				t.Errorf("the post was answered %d", s)
			}
			if c.poll != 0 && len(h.opened)+len(h.arrived) != 0 {
				t.Error("something came through")
			}
			if c.poll != 0 && h.Stats().Unproven == 0 {
				t.Error("not counted")
			}
		})
	}
}

// TestUnprovenServer: the same towards a server.
func TestUnprovenServer(t *testing.T) {
	original := func(h *host, _ *endpoint.Host) { h.cfg.Original = true }
	server := listening(t, proving(t), original)
	for _, c := range []struct {
		name  string
		set   func(*host, *endpoint.Host)
		phase endpoint.Phase // "" if it works
	}{
		{"made of a key", proving(t), endpoint.PhaseIdentity},
		{"nobody here can prove", as(them), ""},
		{"only encrypted", func(_ *host, eh *endpoint.Host) { eh.RequireSecure = true }, endpoint.PhasePolicy},
	} {
		h := client(t, "", c.set)
		_, err := h.Dial(t.Context(), server.addr())
		var de *endpoint.DialError
		if (c.phase == "") != (err == nil) || err != nil && (!errors.As(err, &de) || de.Phase != c.phase || !errors.Is(err, endpoint.ErrUnproven)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
