package remote

import (
	"io"
	"sync"
)

// quota is where a session writes: to the visitor, as much as may be.
type quota struct {
	to *wire

	mu    sync.Mutex
	line  int // octets of the line that runs
	total int
	over  func() // ends the line that runs
}

// begin begins a line, which over ends.
func (q *quota) begin(over func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.line, q.over = 0, over
}

// all reports whether the session has written all that it may.
func (q *quota) all() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total >= MaxTotal
}

// take returns how many of n octets may still be written.
func (q *quota) take(n int) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	may := min(n, MaxOutput-q.line, MaxTotal-q.total)
	q.line += may
	q.total += may
	if may < n && q.over != nil {
		q.over()
	}
	return may
}

// as returns what writes frames of a kind. Beyond what may be written it takes everything and
// sends nothing.
func (q *quota) as(k kind) io.Writer { return writer{q, k} }

type writer struct {
	quota *quota
	kind  kind
}

func (w writer) Write(p []byte) (int, error) {
	n := len(p)
	for p = p[:w.quota.take(n)]; len(p) > 0; {
		chunk := p[:min(len(p), maxChunk)]
		if err := w.quota.to.send(w.kind, chunk); err != nil {
			w.quota.mu.Lock()
			over := w.quota.over
			w.quota.mu.Unlock()
			if over != nil {
				over() // nobody hears it any more
			}
			return 0, err
		}
		p = p[len(chunk):]
	}
	return n, nil
}
