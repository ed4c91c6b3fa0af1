package content

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"
)

// Reader reads a content without fetching all of it: only the chunks that are read
// come, verified, from whoever has them. It is an io.ReadSeeker and an
// io.ReaderAt. Its methods are safe for concurrent use. Close it when done.
type Reader struct {
	s        *Service
	w        *swarm
	man      *manifest
	patience time.Duration
	ctx      context.Context
	cancel   context.CancelFunc
	once     sync.Once

	mu     sync.Mutex
	at     int64 // of Read and Seek
	cached map[int][]byte
	recent []int        // numbers of cached, oldest first
	jobs   map[int]*job // under way
}

// Open opens a content for reading, from a holder that must be found. ctx bounds
// the call; the reader lives until its Close or the end of the service. A read
// that gets nothing for a minute fails with [ErrNoHolder].
func (s *Service) Open(ctx context.Context, c ID) (*Reader, error) {
	return s.open(ctx, c, FetchConfig{})
}

func (s *Service) open(ctx context.Context, c ID, cfg FetchConfig) (*Reader, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	if s.cfg.Refused(c) {
		s.stats.refused.Add(1)
		return nil, fmt.Errorf("content: %w", ErrRefused)
	}
	r := &Reader{s: s, patience: cmp.Or(cfg.Patience, patience), cached: map[int][]byte{}, jobs: map[int]*job{}}
	r.ctx, r.cancel = context.WithCancel(s.ctx)
	r.w = s.newSwarm(r.ctx, c, cfg.From)
	if l, ok := s.file(c); ok {
		r.man = l.man
		r.w.know(l.man)
		r.w.describe(l.item)
		return r, nil
	}
	m, err := r.w.manifest(ctx, r.patience)
	if err != nil {
		_ = r.Close()
		return nil, fmt.Errorf("content: %w", err)
	}
	r.man = m
	return r, nil
}

// Size returns the octets of the content.
func (r *Reader) Size() int64 { return r.man.size }

// Item returns how a holder describes the content, if one did so far.
func (r *Reader) Item() (Item, bool) {
	it, _, ok := r.w.described()
	return it, ok
}

// Close ends reads that wait and closes the connections. It is idempotent.
func (r *Reader) Close() error {
	r.once.Do(func() {
		r.cancel()
		r.w.close()
	})
	return nil
}

// ReadAt implements io.ReaderAt.
func (r *Reader) ReadAt(p []byte, off int64) (n int, err error) {
	switch {
	case off < 0:
		return 0, fmt.Errorf("content: reading at %d: %w", off, fs.ErrInvalid)
	case r.ctx.Err() != nil:
		return 0, fmt.Errorf("content: %w", fs.ErrClosed)
	case off >= r.man.size:
		return 0, io.EOF
	}
	short := int64(len(p)) > r.man.size-off
	if short {
		p = p[:r.man.size-off]
	}
	for len(p) > 0 {
		i := int(off / ChunkSize)
		last := int((off + int64(len(p)) - 1) / ChunkSize)
		chunk, err := r.chunk(i, min(last, i+window))
		if err != nil {
			return n, err
		}
		k := copy(p, chunk[off-int64(i)*ChunkSize:])
		p, off, n = p[k:], off+int64(k), n+k
	}
	if short {
		return n, io.EOF
	}
	return n, nil
}

// chunk returns a chunk, and has those up to last brought along.
func (r *Reader) chunk(i, last int) ([]byte, error) {
	if b := r.remembered(i); b != nil {
		return b, nil
	}
	if l, ok := r.s.file(r.w.id); ok {
		from := &source{s: r.s}
		b, err := from.chunk(l, uint32(i))
		from.close()
		if err == nil && r.man.fits(i, b) {
			r.remember(i, b)
			return b, nil
		}
	}
	job := r.wanted(i, last)
	if _, err := await(r.ctx, r.w, job.done, r.patience); err != nil {
		if r.ctx.Err() != nil && !errors.Is(err, ErrNoHolder) {
			err = fs.ErrClosed
		}
		return nil, fmt.Errorf("content: %w", err)
	}
	r.remember(i, job.body)
	return job.body, nil
}

// wanted asks for the chunks that are neither there nor under way, and returns the
// job of the first.
func (r *Reader) wanted(first, last int) *job {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := first; n <= last; n++ {
		if r.cached[n] == nil && r.jobs[n] == nil {
			r.jobs[n] = r.w.want(nil, n)[0]
		}
	}
	if j := r.jobs[first]; j != nil {
		return j
	}
	j := &job{done: make(chan struct{}), body: r.cached[first]} // it has come meanwhile
	close(j.done)
	return j
}

func (r *Reader) remembered(i int) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cached[i]
}

func (r *Reader) remember(i int, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.jobs, i)
	if r.cached[i] != nil {
		return
	}
	if len(r.recent) == maxCached {
		delete(r.cached, r.recent[0])
		r.recent = r.recent[1:]
	}
	r.cached[i], r.recent = b, append(r.recent, i)
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	r.mu.Lock()
	at := r.at
	r.mu.Unlock()
	n, err := r.ReadAt(p, at)
	r.mu.Lock()
	r.at = at + int64(n)
	r.mu.Unlock()
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// Seek implements io.Seeker.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.man.size
	default:
		return 0, fmt.Errorf("content: seeking from %d: %w", whence, fs.ErrInvalid)
	}
	if offset < 0 {
		return 0, fmt.Errorf("content: seeking to %d: %w", offset, fs.ErrInvalid)
	}
	r.at = offset
	return offset, nil
}
