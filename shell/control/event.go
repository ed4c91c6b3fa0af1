package control

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/shell/interp"
)

// Event is something that happened at the peer.
type Event struct {
	Kind   string // such as "notice" or "rendezvous"
	Fields []interp.Field
}

// Kinds of events that the server makes itself.
const (
	eventReady   = "ready"   // first of every stream: whatever happens from now on is told
	eventNotice  = "notice"  // what the shell tells its user, such as the words of others
	eventDropped = "dropped" // the reader was too slow
	eventEnd     = "end"     // the peer ends
)

// encode writes an event as a line.
func (e Event) encode(now time.Time) []byte {
	rec := interp.Record{Fields: append([]interp.Field{{Name: "event", Value: e.Kind}, {Name: "time", Value: now}}, e.Fields...)}
	b, err := rec.MarshalJSON()
	if err != nil {
		return nil // unreachable: fields hold plain values
	}
	return append(b, '\n')
}

// reader is one stream of events.
type reader struct {
	wake chan struct{}

	mu      sync.Mutex
	backlog [][]byte
	dropped int
}

func newReader() *reader { return &reader{wake: make(chan struct{}, 1)} }

// put adds a line; when too many wait the oldest goes. It does not wait.
func (r *reader) put(line []byte) {
	r.mu.Lock()
	if len(r.backlog) == maxBacklog {
		r.backlog = r.backlog[1:]
		r.dropped++
	}
	r.backlog = append(r.backlog, line)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take returns what waits, led by a word about what was dropped.
func (r *reader) take() (lines [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dropped > 0 {
		lines = append(lines, Event{Kind: eventDropped, Fields: []interp.Field{{Name: "count", Value: r.dropped}}}.encode(time.Now()))
	}
	lines = append(lines, r.backlog...)
	r.backlog, r.dropped = nil, 0
	return lines
}

// Publish tells those who read events now. It does not wait, and costs next to
// nothing while nobody reads.
func (s *Server) Publish(e Event) {
	s.mu.Lock()
	readers := s.readers
	s.mu.Unlock()
	if len(readers) == 0 {
		return
	}
	line := e.encode(time.Now())
	for _, r := range readers {
		r.put(line)
	}
}

// Notice publishes what the shell of the peer told its user. It fits
// [interp.Config.Noticed].
func (s *Server) Notice(command, text string, fields []interp.Field) {
	s.Publish(Event{Kind: eventNotice, Fields: append([]interp.Field{{Name: "command", Value: command}, {Name: "text", Value: text}}, fields...)})
}

// events is GET /v1/events.
func (s *Server) events(w http.ResponseWriter, r *http.Request) *fault {
	in := newReader()
	s.mu.Lock()
	s.readers = append(slices.Clone(s.readers), in)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.readers = slices.DeleteFunc(slices.Clone(s.readers), func(x *reader) bool { return x == in })
	}()
	if s.cfg.Watch != nil {
		stop := s.cfg.Watch(func(e Event) { in.put(e.encode(time.Now())) })
		defer stop()
	}
	out := newStream(w)
	out.write(Event{Kind: eventReady}.encode(time.Now()))
	for {
		for _, line := range in.take() {
			if !out.write(line) {
				return nil
			}
		}
		select {
		case <-in.wake:
			continue
		case <-s.ctx.Done():
		case <-r.Context().Done(): // which may be the same
		}
		if s.ctx.Err() != nil {
			out.write(Event{Kind: eventEnd}.encode(time.Now()))
		}
		return nil
	}
}

// stream is an answer that comes line by line. It is safe for concurrent use.
type stream struct {
	mu      sync.Mutex
	w       http.ResponseWriter
	flusher *http.ResponseController
	failed  bool
}

func newStream(w http.ResponseWriter) *stream {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	return &stream{w: w, flusher: http.NewResponseController(w)}
}

// write sends a line at once and reports whether somebody still reads. It waits
// for a reader that is slow.
func (s *stream) write(line []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed {
		return false
	}
	_, err := s.w.Write(line)
	if err == nil {
		err = s.flusher.Flush()
	}
	s.failed = err != nil
	return !s.failed
}

// finish ends the stream: the answer must not be written to after its handler.
func (s *stream) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = true
}

// object is a line with one field.
func object(name string, value any) []byte {
	b, err := interp.Record{Fields: []interp.Field{{Name: name, Value: value}}}.MarshalJSON()
	if err != nil {
		return nil // unreachable: plain values, or JSON that was checked
	}
	return append(b, '\n')
}

// raw is JSON that is passed on as it is.
func raw(line []byte) json.RawMessage { return json.RawMessage(line) }
