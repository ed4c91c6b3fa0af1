package control

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// guarded is the listener: it gives the HTTP server only connections of the
// owner's processes, and not too many.
type guarded struct {
	net.Listener
	log *slog.Logger

	mu   sync.Mutex
	open int
}

// Accept returns the next connection that may come in. Others get a short answer
// and are closed before anything of them is read.
func (g *guarded) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if err := admit(c); err != nil {
			g.log.Warn("control: connection refused", "error", err)
			refuse(c, http.StatusForbidden, "not_authorised", "only the user of this peer may control it")
			continue
		}
		if !g.take() {
			refuse(c, http.StatusServiceUnavailable, codeBusy, fmt.Sprintf("there are %d connections already", maxConnections))
			continue
		}
		return &counted{Conn: c, g: g}, nil
	}
}

func (g *guarded) take() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open >= maxConnections {
		return false
	}
	g.open++
	return true
}

// counted is a connection that makes room when it is closed.
type counted struct {
	net.Conn
	g    *guarded
	once sync.Once
}

// Close closes the connection.
func (c *counted) Close() error {
	c.once.Do(func() {
		c.g.mu.Lock()
		defer c.g.mu.Unlock()
		c.g.open--
	})
	return c.Conn.Close()
}

// refuse answers whatever was asked and closes.
func refuse(c net.Conn, status int, code, message string) {
	const within = time.Second // what is written fits the buffer of any socket
	body := problem(code, message)
	_ = c.SetDeadline(time.Now().Add(within))
	_, _ = fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n",
		status, http.StatusText(status), len(body))
	_, _ = io.WriteString(c, string(body))
	_ = c.Close()
}
