package content

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/protocols/socket"
)

// accept serves those who fetch until the service ends.
func (s *Service) accept(l *socket.Listener) {
	defer l.Close()
	for {
		c, err := l.AcceptConn(s.ctx)
		if err != nil {
			if s.ctx.Err() == nil {
				s.log.Error("chunks are served no more", "error", err)
			}
			return
		}
		if !s.admit(c) {
			s.stats.busy.Add(1)
			_ = c.Close()
			continue
		}
		s.work.Go(func() {
			defer s.dismiss(c)
			s.serve(c)
		})
	}
}

func (s *Service) admit(c *socket.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns >= maxConns || s.serving[c.Peer()] >= maxPeerConns {
		return false
	}
	s.conns++
	s.serving[c.Peer()]++
	return true
}

func (s *Service) dismiss(c *socket.Conn) {
	s.mu.Lock()
	s.conns--
	if s.serving[c.Peer()]--; s.serving[c.Peer()] == 0 {
		delete(s.serving, c.Peer())
	}
	s.mu.Unlock()
	_ = c.Close()
}

// serve answers the requests of one connection, in order.
func (s *Service) serve(c *socket.Conn) {
	stop := context.AfterFunc(s.ctx, func() { _ = c.Close() })
	defer stop()
	from := &source{s: s}
	defer from.close()
	hello := make([]byte, len(greeting))
	_ = c.SetReadDeadline(time.Now().Add(idleWait))
	if _, err := io.ReadFull(c, hello); err != nil || string(hello) != greeting {
		s.stats.malformed.Add(1)
		return
	}
	b := make([]byte, requestSize)
	for {
		_ = c.SetReadDeadline(time.Now().Add(idleWait))
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		r, err := decodeRequest(b)
		if err != nil {
			s.stats.malformed.Add(1)
			s.log.Debug("a request is dropped with its connection", "from", c.Peer().Short(), "error", err)
			return
		}
		status, body := from.answer(r)
		if err := s.write(c, status, body); err != nil {
			return
		}
		if r.what == askChunk && status == given {
			s.stats.served.Add(1)
			s.stats.servedOctets.Add(uint64(len(body)))
		}
	}
}

// write sends an answer within the limit of upload.
func (s *Service) write(c *socket.Conn, status byte, body []byte) error {
	_ = c.SetWriteDeadline(time.Now().Add(pieceWait))
	if _, err := c.Write(encodeHead(status, len(body))); err != nil {
		return err
	}
	piece := len(body)
	if s.limiter != nil {
		piece = uploadPiece
	}
	for len(body) > 0 {
		n := min(len(body), piece)
		if s.limiter != nil {
			if err := s.limiter.WaitN(s.ctx, n); err != nil {
				return err
			}
		}
		_ = c.SetWriteDeadline(time.Now().Add(pieceWait))
		if _, err := c.Write(body[:n]); err != nil {
			return err
		}
		body = body[n:]
	}
	return nil
}

// source reads what one connection asks for, and keeps the last file open.
type source struct {
	s    *Service
	l    *local
	f    *os.File
	buf  []byte
	list []kept // what is kept, from when page 0 was asked for
}

func (o *source) close() {
	if o.f != nil {
		_ = o.f.Close()
	}
	o.l, o.f = nil, nil
}

// answer returns what a request asks for; the body is valid until the next one.
func (o *source) answer(r request) (status byte, body []byte) {
	s := o.s
	if r.what == askKept {
		return given, o.page(int(r.number))
	}
	if s.cfg.Refused(r.id) {
		s.stats.refused.Add(1)
		return refused, nil
	}
	l, ok := s.file(r.id)
	if !ok {
		s.stats.hides.Add(1)
		return notHere, nil
	}
	switch r.what {
	case askManifest:
		return given, l.man.encode()
	case askItem:
		doc, err := advertisements.Marshal(&Share{Item: l.item, Peer: s.self, Pipe: *s.pipe})
		if err != nil || len(doc) > maxItem {
			s.log.Error("a content cannot be described", "id", r.id, "error", err)
			return notHere, nil
		}
		return given, doc
	}
	chunk, err := o.chunk(l, r.number)
	if err != nil {
		switch {
		case errors.Is(err, ErrLimit):
		case errors.Is(err, errChanged) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, io.EOF):
			s.log.Warn("a file that was shared is not what it was", "name", l.name, "error", err)
			if err := s.forget(l); err != nil {
				s.log.Error("a file cannot be removed", "name", l.name, "error", err)
			}
		default: // too many open files, or the like, may pass
			s.log.Error("a file that is shared cannot be read", "name", l.name, "error", err)
		}
		s.stats.hides.Add(1)
		return notHere, nil
	}
	return given, chunk
}

// chunk reads a chunk of a shared file. If the file has changed since it was
// hashed, that is an error: a holder that gives other octets counts as a liar.
func (o *source) chunk(l *local, number uint32) ([]byte, error) {
	if int64(number) >= int64(l.man.chunks()) {
		return nil, ErrLimit
	}
	if o.l != l {
		o.close()
		f, err := l.open()
		if err != nil {
			return nil, err
		}
		o.l, o.f = l, f
	}
	if o.buf == nil {
		o.buf = make([]byte, ChunkSize)
	}
	chunk := o.buf[:l.man.length(int(number))]
	if _, err := o.f.ReadAt(chunk, int64(number)*ChunkSize); err != nil {
		return nil, err
	}
	info, err := o.f.Stat()
	if err != nil {
		return nil, err
	}
	if size, time := stamp(info); size != l.size || time != l.time {
		return nil, errChanged
	}
	return chunk, nil
}

// page returns a page of what this peer keeps for the group.
func (o *source) page(n int) []byte {
	if n == 0 {
		o.list = o.s.keeping()
	}
	if n >= (len(o.list)+keptPage-1)/keptPage {
		return nil
	}
	return encodeKept(o.list[n*keptPage : min((n+1)*keptPage, len(o.list))])
}
