package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/juxta-p2p/juxta/shell/interp"
)

// codeBusy is the code of errors of something that is taken or full for now.
const codeBusy = "busy"

// Request is the body of POST /v1/run: commands to run, and how to show what they
// write.
type Request struct {
	Commands string `json:"commands"`           // a line or a whole script in the language of the shell
	Session  string `json:"session,omitempty"`  // keeps variables for later requests of that name; empty: nothing is kept
	Continue bool   `json:"continue,omitempty"` // go on after a command that fails

	// Text asks for what people read in place of records; the other fields tell what
	// it is shown on.
	Text     bool `json:"text,omitempty"`
	Terminal bool `json:"terminal,omitempty"`
	Bold     bool `json:"bold,omitempty"`
	Width    int  `json:"width,omitempty"`
}

// fault is an error for the client.
type fault struct {
	status              int // of HTTP
	code, message, hint string
}

// problem is the body that tells an error.
func problem(code, message string) []byte { return (&fault{code: code, message: message}).body() }

func (f *fault) body() []byte {
	rec := interp.Record{Fields: []interp.Field{{Name: "code", Value: f.code}, {Name: "message", Value: f.message}}}
	if f.hint != "" {
		rec.Fields = append(rec.Fields, interp.Field{Name: "hint", Value: f.hint})
	}
	return object("error", rec)
}

// answer sends an answer of one object.
func answer(w http.ResponseWriter, fields ...interp.Field) *fault {
	b, err := interp.Record{Fields: fields}.MarshalJSON()
	if err != nil {
		return &fault{http.StatusInternalServerError, interp.CodeFailed, err.Error(), ""}
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(b, '\n')) // who has hung up hears nothing
	return nil
}

const getEvents = "GET /v1/events"

// handler knows all paths.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, f := range map[string]func(http.ResponseWriter, *http.Request) *fault{
		"GET /v1/{$}": s.about, "GET /v1/commands": s.commands, "POST /v1/run": s.run, "POST /v1/complete": s.complete,
		getEvents: s.events, "GET /v1/sessions": s.list, "DELETE /v1/sessions/{name}": s.endSession, "POST /v1/stop": s.stop,
		"/": unknown,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			done, fail := s.begin(pattern == getEvents)
			if fail == nil {
				defer done()
				fail = f(w, r)
			}
			if fail != nil {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(fail.status)
				_, _ = w.Write(fail.body())
			}
		})
	}
	return mux
}

func unknown(_ http.ResponseWriter, r *http.Request) *fault {
	const longest = 64
	path := r.URL.Path
	if len(path) > longest {
		path = path[:longest] + "…"
	}
	return &fault{http.StatusNotFound, interp.CodeNotFound, fmt.Sprintf("%s %q is nothing that can be asked", r.Method, path),
		"GET /v1/ tells what this is"}
}

// about is GET /v1/.
func (s *Server) about(w http.ResponseWriter, _ *http.Request) *fault {
	fields := []interp.Field{{Name: "api", Value: Version}, {Name: "name", Value: s.cfg.Name}, {Name: "pid", Value: os.Getpid()}, {Name: "began", Value: s.began}}
	if s.cfg.About != nil {
		fields = append(fields, s.cfg.About()...)
	}
	return answer(w, fields...)
}

// commands is GET /v1/commands.
func (s *Server) commands(w http.ResponseWriter, _ *http.Request) *fault {
	x, fail := s.acquire("")
	if fail != nil {
		return fail
	}
	defer s.release(x)
	all := []interp.Record{}
	for _, c := range x.shell.All() {
		options, examples := []interp.Record{}, []interp.Record{}
		for _, o := range c.AllOptions() {
			options = append(options, interp.Record{Fields: []interp.Field{{Name: "letter", Value: o.Letter}, {Name: "name", Value: o.Name},
				{Name: "value", Value: o.Value}, {Name: "help", Value: o.Help}}})
		}
		for _, e := range c.Examples {
			examples = append(examples, interp.Record{Fields: []interp.Field{{Name: "line", Value: e.Line}, {Name: "text", Value: e.Text}}})
		}
		all = append(all, interp.Record{Fields: []interp.Field{{Name: "name", Value: c.Name}, {Name: "aliases", Value: c.Aliases},
			{Name: "summary", Value: c.Summary}, {Name: "usage", Value: c.Usage()}, {Name: "details", Value: c.Details},
			{Name: "options", Value: options}, {Name: "examples", Value: examples}}})
	}
	return answer(w, interp.Field{Name: "commands", Value: all})
}

// stop is POST /v1/stop.
func (s *Server) stop(w http.ResponseWriter, _ *http.Request) *fault {
	if s.cfg.Stop == nil {
		return &fault{http.StatusForbidden, interp.CodeDenied, "this peer ends when its user says so", ""}
	}
	defer s.cfg.Stop()
	return answer(w, interp.Field{Name: "stopping", Value: true})
}

// read reads a request into v.
func read(w http.ResponseWriter, r *http.Request, v any) *fault {
	b, fail := readAll(w, r)
	if fail != nil {
		return fail
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields() // a misspelt field would be silently ignored
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = fmt.Errorf("something follows the object")
		}
	}
	if err != nil {
		return &fault{http.StatusBadRequest, interp.CodeUsage, "the body is not the object wanted: " + strings.TrimPrefix(err.Error(), "json: "),
			`for example {"commands":"peers -r"}`}
	}
	return nil
}

// run is POST /v1/run.
func (s *Server) run(w http.ResponseWriter, r *http.Request) *fault {
	var q Request
	if fail := read(w, r, &q); fail != nil {
		return fail
	}
	if q.Width < 0 || strings.TrimSpace(q.Commands) == "" {
		return &fault{http.StatusBadRequest, interp.CodeUsage, "there are no commands to run", `for example {"commands":"peers -r"}`}
	}
	x, fail := s.acquire(q.Session)
	if fail != nil {
		return fail
	}
	to := newStream(w)
	defer to.finish()
	ctx, cancel := context.WithCancel(r.Context()) // which ends when the client hangs up, and with the server
	defer cancel()
	defer context.AfterFunc(s.work, cancel)()
	to.write(s.runIn(ctx, x, q, to))
	return nil
}

// runIn runs commands in a session and returns the last line of the answer. The
// session is free by then, so that the client may use it at once.
func (s *Server) runIn(ctx context.Context, x *session, q Request, to *stream) []byte {
	defer s.release(x)
	x.shell.Begin(interp.View{JSON: !q.Text, Terminal: q.Terminal, Bold: q.Bold, Width: q.Width}, !q.Continue)
	x.out.attach(to, q.Text)
	defer x.out.attach(nil, false)
	x.shell.Run(ctx, q.Commands)
	last := interp.Record{Fields: []interp.Field{{Name: "status", Value: x.shell.ExitStatus()}, {Name: "exited", Value: x.shell.Exited()},
		{Name: "prompt", Value: x.prompt()}}}
	b, err := last.MarshalJSON()
	if err != nil {
		return nil // unreachable: plain values
	}
	return append(b, '\n')
}

// complete is POST /v1/complete.
func (s *Server) complete(w http.ResponseWriter, r *http.Request) *fault {
	var q struct {
		Line    string `json:"line"`
		Session string `json:"session"`
		Asked   bool   `json:"asked"`
	}
	if fail := read(w, r, &q); fail != nil {
		return fail
	}
	x, fail := s.acquire(q.Session)
	if fail != nil {
		return fail
	}
	defer s.release(x)
	all := []interp.Record{}
	for _, y := range x.shell.Complete(q.Line, q.Asked) {
		all = append(all, interp.Record{Fields: []interp.Field{{Name: "text", Value: y.Text}, {Name: "description", Value: y.Description}}})
	}
	return answer(w, interp.Field{Name: "suggestions", Value: all})
}
