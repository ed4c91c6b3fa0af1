//go:build linux

package roadtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
)

// swallow takes streams until the process ends.
func (p *inside) swallow() error {
	l, err := p.peer.Net().Sockets().Listen(context.Background(), pipeOf(p.peer.ID(), "stream"))
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.bulk.drain(c)
		}
	}()
	return nil
}

// drain reads a stream to its end.
func (s *bulkSink) drain(c net.Conn) {
	defer func() { _ = c.Close() }()
	sum := sha256.New()
	b := make([]byte, bulkBlock)
	for {
		n, err := c.Read(b)
		sum.Write(b[:n])
		if n > 0 {
			s.got.bulk(n)
			s.mu.Lock()
			s.flow.Octets += n
			s.flow.Arrived = append(s.flow.Arrived, now())
			s.mu.Unlock()
		}
		if err != nil {
			if err == io.EOF {
				s.ended(sum)
			}
			return
		}
	}
}

// ended notes what a stream that came to its end consisted of.
func (s *bulkSink) ended(sum hash.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flow.Hash = hex.EncodeToString(sum.Sum(nil))
}

// sendStream writes a stream until ctx ends or, if f is not nil, as much as the order
// says.
func (p *inside) sendStream(ctx context.Context, o order, to id.Peer, f *flow) error {
	c, err := p.peer.Net().Sockets().Dial(ctx, pipeOf(to, "stream"))
	if err != nil {
		return err
	}
	if f == nil {
		unhook := context.AfterFunc(ctx, func() { _ = c.SetWriteDeadline(time.Unix(1, 0)) })
		defer unhook()
	}
	rng := rand.NewChaCha8([32]byte{1})
	sum := sha256.New()
	b := make([]byte, o.Block)
	for left := o.Size; f == nil || left > 0; left -= o.Block {
		part := b
		if f != nil {
			part = b[:min(left, o.Block)]
		}
		_, _ = rng.Read(part)
		sum.Write(part)
		n, err := c.Write(part)
		switch {
		case err != nil && f == nil && ctx.Err() != nil:
			return nil // the other side need not have it all
		case err != nil:
			return err
		case f != nil:
			f.Octets += n
		}
	}
	if f != nil {
		f.Hash = hex.EncodeToString(sum.Sum(nil))
	}
	return c.Close()
}
