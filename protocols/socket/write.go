package socket

import (
	"context"
	"io"
	"net"
	"os"
	"sync"

	"github.com/juxta-p2p/juxta/core/message"
)

// buffers are memory for blocks.
var buffers = sync.Pool{New: func() any { b := make([]byte, maxBlock); return &b }}

// Write implements [net.Conn]. It returns when everything is on its way or in the
// buffers of this side; [Conn.Flush] waits until it has arrived. A write of up to 64
// KiB is one block, or some when the connection is new or the way slow, and goes at once; small ones that are made while another one is
// being sent share a message.
//
// On an unreliable connection every write is one element, or several if it is larger
// than 64 KiB, each of which the other side gets whole or not at all.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.write(c.wr.wait(), p)
	if err != nil {
		err = c.opError("write", err)
	}
	return n, err
}

func (c *Conn) write(ctx context.Context, p []byte) (int, error) {
	if err := c.lockWrite(ctx); err != nil {
		return 0, err
	}
	defer c.unlockWrite()
	n := 0
	for n < len(p) {
		b := p[n:min(n+c.most(), len(p))]
		if err := c.writeBlock(ctx, b); err != nil {
			return n, c.writeError(ctx, err)
		}
		n += len(b)
	}
	return n, nil
}

// writeBlock sends one block. The caller holds the token.
func (c *Conn) writeBlock(ctx context.Context, b []byte) error {
	if c.rel != nil {
		return c.rel.WriteBlock(ctx, b)
	}
	return c.carry(ctx, message.New(message.Bytes(namespace, elemData, b)))
}

// ReadFrom implements [io.ReaderFrom]: it writes what r has, in blocks of up to 64
// KiB.
func (c *Conn) ReadFrom(r io.Reader) (total int64, err error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for {
		n, err := r.Read(*buf)
		if n > 0 {
			written, err := c.Write((*buf)[:n])
			total += int64(written)
			if err != nil {
				return total, err
			}
		}
		switch {
		case err == io.EOF:
			return total, nil
		case err != nil:
			return total, err
		}
	}
}

// lockWrite waits for the writers before, and tells why nothing can be written, if so.
func (c *Conn) lockWrite(ctx context.Context) error {
	err := c.writable(ctx)
	if err != nil {
		return err
	}
	select {
	case c.writing <- struct{}{}:
	case <-ctx.Done():
		return c.writeError(ctx, ctx.Err())
	}
	if err = c.writable(ctx); err != nil { // ended while this waited
		c.unlockWrite()
	}
	return err
}

func (c *Conn) unlockWrite() { <-c.writing }

// writable tells why nothing can be written, if so.
func (c *Conn) writable(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed, c.writeShut:
		return net.ErrClosed
	case c.hungUp:
		return ErrHungUp
	case c.broken != nil:
		return c.broken
	case ctx.Err() != nil:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// writeError makes of what stopped writing what package net would say.
func (c *Conn) writeError(ctx context.Context, err error) error {
	if state := c.writable(ctx); state != nil {
		return state
	}
	if c.rel == nil {
		return err // of one message
	}
	return c.why(err)
}
