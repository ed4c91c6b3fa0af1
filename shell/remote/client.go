package remote

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// RefusedError is what a host says when it refuses or hangs up. Text is whatever it
// wrote.
type RefusedError struct{ Text string }

// Error implements error.
func (e *RefusedError) Error() string { return "remote: the host says: " + e.Text }

// ErrGone is the cause of an error when the host is not there any more: it has hung up
// without a word, or said nothing for eight seconds.
var ErrGone = errors.New("the host is gone")

// ErrLine is the error of a line that is longer than [MaxLine].
var ErrLine = fmt.Errorf("remote: a line has %d octets at most", MaxLine)

// View is how results are shown: aligned for a terminal of so many columns, or not.
type View struct {
	Terminal bool
	Width    int
}

// Client is a session on a host. Its methods are for one goroutine at a time, but
// Close and Gone. Close it.
type Client struct {
	wire    *wire
	welcome string
	prompt  string
	frames  chan frame
	done    chan struct{} // closed by Close
	gone    chan struct{} // closed when the host is gone
	err     error         // why; set before gone is closed
	once    sync.Once
	side    sync.WaitGroup
}

// Open begins a session over a connection, which it takes over: it is closed with the
// client, and if there is an error. ctx bounds the greeting, and ten seconds do. The error is
// a *RefusedError, or wraps ErrGone.
func Open(ctx context.Context, conn net.Conn, v View) (*Client, error) {
	c := &Client{wire: newWire(conn), frames: make(chan frame), done: make(chan struct{}), gone: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err := c.greet(v)
	if !stop() && err == nil || ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = conn.Close()
		c.side.Wait()
		return nil, err
	}
	c.side.Go(func() { c.wire.ping(c.done) })
	c.side.Go(c.read)
	return c, nil
}

func (c *Client) greet(v View) error {
	hello := []byte{version, 0}
	if v.Terminal {
		hello[1] = flagTerminal
	}
	hello = binary.BigEndian.AppendUint16(hello, uint16(max(0, min(v.Width, maxWidth))))
	c.side.Go(func() { _ = c.wire.send(kindHello, hello) }) // a host that refuses may do so before it reads
	for {
		f, err := c.wire.read(greetWithin)
		switch {
		case err != nil:
			return cause(err)
		case f.kind == kindRefused:
			return &RefusedError{string(f.body)}
		case f.kind == kindWelcome:
			c.welcome = string(f.body)
		case f.kind == kindStatus && len(f.body) >= statusSize:
			c.prompt = string(f.body[statusSize:])
			return nil
		case f.kind != kindPing:
			return fmt.Errorf("remote: %w: it does not speak this protocol", ErrGone)
		}
	}
}

// cause turns the error of a connection into words.
func cause(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("remote: %w: nothing was heard for %v", ErrGone, silent)
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return fmt.Errorf("remote: %w: it has hung up", ErrGone)
	}
	return fmt.Errorf("remote: %w: %w", ErrGone, err)
}

// read hands out what comes. The host is gone if it says nothing for too long; while nobody
// takes what came, nothing is read and no time runs.
func (c *Client) read() {
	defer close(c.gone)
	for {
		f, err := c.wire.read(silent)
		switch {
		case err != nil:
			c.err = cause(err)
			return
		case f.kind == kindPing:
			continue
		case f.kind == kindRefused:
			c.err = &RefusedError{string(f.body)}
			return
		}
		select {
		case c.frames <- f:
		case <-c.done:
			c.err = net.ErrClosed
			return
		}
	}
}

// Welcome returns what the host says about itself, whatever that is.
func (c *Client) Welcome() string { return c.welcome }

// Prompt returns what the host wants the next line to be asked with, whatever that is.
func (c *Client) Prompt() string { return c.prompt }

// Gone is closed when the host is gone; Err then tells why.
func (c *Client) Gone() <-chan struct{} { return c.gone }

// Err returns why the host is gone, and nil while it is there.
func (c *Client) Err() error {
	select {
	case <-c.gone:
		return c.err
	default:
		return nil
	}
}

// Run has a line run and returns its status, and whether the session has ended. What it
// writes goes to out and errs, which may take their time; it is whatever the host sends. When ctx ends
// the commands are interrupted, and the error is ctx's cause. Other errors are ErrLine, after
// which the session goes on, a *RefusedError, or wrap ErrGone.
func (c *Client) Run(ctx context.Context, line string, out, errs io.Writer) (status int, exited bool, err error) {
	if len(line) > MaxLine {
		return 0, false, ErrLine
	}
	if err := c.wire.send(kindLine, []byte(line)); err != nil {
		return 0, false, c.after(err)
	}
	over := ctx.Done()
	var late <-chan time.Time
	for {
		select {
		case f := <-c.frames:
			switch f.kind {
			case kindOut:
				_, _ = out.Write(f.body) // who does not read ends ctx
			case kindErr:
				_, _ = errs.Write(f.body)
			case kindStatus:
				if len(f.body) < statusSize {
					return 0, false, fmt.Errorf("remote: %w: it does not speak this protocol", ErrGone)
				}
				c.prompt = string(f.body[statusSize:])
				return int(binary.BigEndian.Uint32(f.body)), f.body[statusSize-1] != 0, context.Cause(ctx)
			}
		case <-over:
			over = nil
			timer := time.NewTimer(endWithin)
			defer timer.Stop()
			late = timer.C
			if err := c.wire.send(kindInterrupt, nil); err != nil {
				return 0, false, c.after(err)
			}
		case <-late:
			return 0, false, context.Cause(ctx)
		case <-c.gone:
			return 0, false, c.err
		}
	}
}

// after returns why the host is gone after sending has failed: what it said last, if it
// did.
func (c *Client) after(err error) error {
	select {
	case <-c.gone:
		return c.err
	case <-time.After(endWithin):
		return cause(err)
	}
}

// Close ends the session. It is idempotent.
func (c *Client) Close() error {
	c.once.Do(func() {
		close(c.done)
		_ = c.wire.conn.Close()
		c.side.Wait()
	})
	return nil
}
