package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/shell/interp"
)

// session is one session on the peer. Requests use it one at a time.
type session struct {
	name   string // empty: for one request only
	shell  *interp.Session
	prompt func() string
	out    sink
	began  time.Time

	busy bool // guarded by Server.mu
	over bool // it was told to end while busy; guarded by Server.mu
}

func (x *session) close() { x.shell.Close() }

// newSession makes a session.
func (s *Server) newSession(name string) (*session, *fault) {
	x := &session{name: name, began: time.Now()}
	shell, prompt, err := s.cfg.Session(interp.Config{
		Out: out{&x.out}, Err: errs{&x.out},
		Noticed: func(command, text string, fields []interp.Field) {
			if !x.out.attached() { // nobody but the readers of events can hear it
				s.Notice(command, text, append(slices.Clone(fields), interp.Field{Name: "session", Value: name}))
			}
		},
	})
	if err != nil {
		return nil, &fault{http.StatusInternalServerError, interp.CodeFailed, err.Error(), ""}
	}
	x.shell, x.prompt = shell, prompt
	return x, nil
}

// acquire returns the session of that name, made if need be, or a new one without
// name. No other request has it until release.
func (s *Server) acquire(name string) (*session, *fault) {
	if name == "" {
		return s.newSession("")
	}
	if len(name) > maxSessionName || strings.ContainsAny(name, "/?#%\\") || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return nil, &fault{http.StatusBadRequest, interp.CodeUsage, fmt.Sprintf("a session has a name of up to %d octets, without blanks and / ? # %% \\", maxSessionName), ""}
	}
	s.mu.Lock()
	x := s.sessions[name]
	switch {
	case x != nil && x.busy:
		s.mu.Unlock()
		return nil, &fault{http.StatusConflict, codeBusy, "another request runs commands in the session " + name, "use another session, or end that request"}
	case x != nil:
		x.busy = true
		s.mu.Unlock()
		return x, nil
	case len(s.sessions) >= maxSessions:
		s.mu.Unlock()
		return nil, &fault{http.StatusServiceUnavailable, codeBusy, fmt.Sprintf("there are %d sessions already", maxSessions), "DELETE /v1/sessions/NAME ends one"}
	}
	x = &session{name: name, busy: true}
	s.sessions[name] = x // holds the place
	s.mu.Unlock()
	made, fail := s.newSession(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if fail != nil {
		delete(s.sessions, name)
		return nil, fail
	}
	made.busy, made.over = true, x.over
	s.sessions[name] = made
	return made, nil
}

// release gives a session back. It ends if it has no name, or was told to.
func (s *Server) release(x *session) {
	s.mu.Lock()
	x.busy = false
	end := x.name == "" || x.over || x.shell.Exited()
	if end && x.name != "" {
		delete(s.sessions, x.name)
	}
	s.mu.Unlock()
	if end {
		x.close()
	}
}

// list is GET /v1/sessions.
func (s *Server) list(w http.ResponseWriter, _ *http.Request) *fault {
	s.mu.Lock()
	all := []interp.Record{}
	for name, x := range s.sessions {
		all = append(all, interp.Record{Fields: []interp.Field{{Name: "name", Value: name}, {Name: "busy", Value: x.busy}, {Name: "began", Value: x.began}}})
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b interp.Record) int {
		return strings.Compare(a.Fields[0].Value.(string), b.Fields[0].Value.(string))
	})
	return answer(w, interp.Field{Name: "sessions", Value: all})
}

// endSession is DELETE /v1/sessions/NAME. A busy session ends after its request.
func (s *Server) endSession(w http.ResponseWriter, r *http.Request) *fault {
	name := r.PathValue("name")
	s.mu.Lock()
	x := s.sessions[name]
	busy := x != nil && x.busy
	if busy {
		x.over = true
	} else {
		delete(s.sessions, name)
	}
	s.mu.Unlock()
	if x == nil {
		return &fault{http.StatusNotFound, interp.CodeNotFound, "there is no session of that name", ""}
	}
	if !busy {
		x.close()
	}
	return answer(w, interp.Field{Name: "ended", Value: name}, interp.Field{Name: "busy", Value: busy})
}

// sink is where a session writes: the answer to the request that runs, and
// nowhere between requests.
type sink struct {
	mu   sync.Mutex
	to   *stream
	text bool
}

func (k *sink) attach(to *stream, text bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.to, k.text = to, text
}

func (k *sink) attached() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.to != nil
}

// put sends what was written. form makes a line of it.
func (k *sink) put(p []byte, name string, form func(p []byte) []byte) (int, error) {
	k.mu.Lock()
	to, text := k.to, k.text
	k.mu.Unlock()
	switch {
	case to == nil:
	case text:
		to.write(object(name, string(p)))
	default:
		to.write(form(p))
	}
	return len(p), nil
}

// out and errs are the two outputs of a session.
type (
	out  struct{ *sink }
	errs struct{ *sink }
)

// Write sends a result: a record is one write.
func (o out) Write(p []byte) (int, error) {
	return o.put(p, "stdout", func(p []byte) []byte {
		p = bytes.TrimSuffix(p, []byte("\n"))
		if !json.Valid(p) {
			return object("out", interp.Record{Fields: []interp.Field{{Name: "text", Value: string(p)}}})
		}
		return object("out", raw(p))
	})
}

// Write sends a notice or an error, which say themselves what they are.
func (e errs) Write(p []byte) (int, error) {
	return e.put(p, "stderr", func(p []byte) []byte {
		line := bytes.TrimSuffix(p, []byte("\n"))
		if len(line) > 0 && line[0] == '{' && json.Valid(line) {
			return append(slices.Clone(line), '\n')
		}
		return object("notice", interp.Record{Fields: []interp.Field{{Name: "command", Value: "shell"}, {Name: "text", Value: string(line)}}})
	})
}
