package control

import (
	"fmt"
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

	mu       sync.Mutex
	open     int
	refusing int
	refusals sync.WaitGroup
}

// Accept returns the next connection that may come in. Others are told why not.
func (g *guarded) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if err := admit(c); err != nil {
			g.log.Warn("control: connection refused", "error", err)
			g.refuse(c, http.StatusForbidden, "not_authorised", "only the user of this peer may control it")
			continue
		}
		if !g.take() {
			g.refuse(c, http.StatusServiceUnavailable, codeBusy, fmt.Sprintf("there are %d connections already", maxConnections))
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

// refuse answers whatever is asked and closes the connection; if there are many
// such, it only closes.
func (g *guarded) refuse(c net.Conn, status int, code, message string) {
	g.mu.Lock()
	many := g.refusing >= maxRefusals
	if !many {
		g.refusing++
	}
	g.mu.Unlock()
	if many {
		_ = c.Close()
		return
	}
	g.refusals.Go(func() {
		defer func() {
			_ = c.Close()
			g.mu.Lock()
			defer g.mu.Unlock()
			g.refusing--
		}()
		_ = c.SetDeadline(time.Now().Add(refuseWithin))
		// An answer before the question would be taken for an error.
		if _, err := c.Read(make([]byte, maxRefused)); err != nil {
			return
		}
		body := problem(code, message)
		_, _ = fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
			status, http.StatusText(status), len(body), body)
	})
}
