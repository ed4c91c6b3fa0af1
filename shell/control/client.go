package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Client asks a running peer. It is safe for concurrent use; Close it.
type Client struct {
	socket string
	http   *http.Client
}

// ErrNotRunning is the cause of an error when nobody listens on the socket.
var ErrNotRunning = errors.New("no peer runs there")

// Refused is an error that the peer answers with.
type Refused struct {
	HTTP    int    `json:"-"` // status of HTTP
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint"` // may be empty
}

// Error implements error.
func (e *Refused) Error() string { return "control: " + e.Message }

// About is what a peer tells about itself; see GET /v1/.
type About struct {
	API    int    `json:"api"`
	Name   string `json:"name"`
	PID    int    `json:"pid"`
	PeerID string `json:"peer_id"`
	Socket string `json:"-"`
}

// Line is one line of what commands write: one of its fields is set.
type Line struct {
	Out    json.RawMessage `json:"out"`    // a result
	Notice json.RawMessage `json:"notice"` // as with --json
	Error  json.RawMessage `json:"error"`  // as with --json
	Stdout string          `json:"stdout"` // with Request.Text
	Stderr string          `json:"stderr"` // with Request.Text
	Status *int            `json:"status"` // the last line: exit status
	Exited bool            `json:"exited"` // with Status: the session has ended
	Prompt string          `json:"prompt"` // with Status: what to ask with next
}

// Open makes a client of the peer called name, or, if name has a separator of
// paths in it, of the peer with that socket. It asks nothing yet.
func Open(name string) (*Client, error) {
	socket := name
	if !strings.ContainsRune(name, filepath.Separator) && !strings.Contains(name, "/") {
		var err error
		if socket, err = find(name); err != nil {
			return nil, err
		}
	}
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "unix", socket)
		if err != nil && ctx.Err() == nil && !errors.Is(err, os.ErrPermission) {
			err = fmt.Errorf("control: %w: %w", ErrNotRunning, err)
		}
		return c, err
	}}
	return &Client{socket: socket, http: &http.Client{Transport: t}}, nil
}

// Socket returns the path of the socket.
func (c *Client) Socket() string { return c.socket }

// Close closes idle connections. Requests under way end with their contexts.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// ask sends a request and returns the answer if it is a good one. The caller
// closes its body.
func (c *Client) ask(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var b []byte
	if body != nil {
		var err error
		if b, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("control: %w", err)
		}
	}
	// The name of the host says nothing: there is one peer behind the socket.
	req, err := http.NewRequestWithContext(ctx, method, "http://peer"+path, bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the address means nothing
		}
		if errors.Is(err, ErrNotRunning) || ctx.Err() != nil {
			return nil, err
		}
		return nil, fmt.Errorf("control: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var e struct{ Error Refused }
	b, err = io.ReadAll(io.LimitReader(resp.Body, maxHead))
	if err != nil || json.Unmarshal(b, &e) != nil || e.Error.Message == "" {
		return nil, fmt.Errorf("control: the peer answers %s", resp.Status)
	}
	e.Error.HTTP = resp.StatusCode
	return nil, &e.Error
}

// get asks for one object.
func (c *Client) get(ctx context.Context, method, path string, body, v any) error {
	resp, err := c.ask(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxStreamLine)).Decode(v); err != nil {
		return fmt.Errorf("control: the answer cannot be read: %w", err)
	}
	return nil
}

// lines yields the lines of an answer.
func (c *Client) lines(ctx context.Context, method, path string, body any) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		resp, err := c.ask(ctx, method, path, body)
		if err != nil {
			yield(nil, err)
			return
		}
		defer resp.Body.Close() // which hangs up if there is more
		in := bufio.NewScanner(resp.Body)
		in.Buffer(nil, maxStreamLine)
		for in.Scan() {
			if !yield(in.Bytes(), nil) {
				return
			}
		}
		switch err := in.Err(); {
		case ctx.Err() != nil:
			yield(nil, ctx.Err())
		case err != nil:
			yield(nil, fmt.Errorf("control: the answer was cut off: %w", err))
		}
	}
}

// Run runs commands, calls each for what they write as it comes, and returns the
// last line, whose Status is set. When ctx ends the commands are interrupted.
func (c *Client) Run(ctx context.Context, q Request, each func(Line)) (Line, error) {
	for b, err := range c.lines(ctx, http.MethodPost, "/v1/run", q) {
		if err != nil {
			return Line{}, err
		}
		var l Line
		if err := json.Unmarshal(b, &l); err != nil {
			return Line{}, fmt.Errorf("control: the answer cannot be read: %w", err)
		}
		if l.Status != nil {
			return l, nil
		}
		each(l)
	}
	return Line{}, fmt.Errorf("control: the answer was cut off: %w", io.ErrUnexpectedEOF)
}

// Events yields what happens at the peer, each event as JSON, until ctx or the
// peer ends. A line is good until the next one.
func (c *Client) Events(ctx context.Context) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		for b, err := range c.lines(ctx, http.MethodGet, "/v1/events", nil) {
			if !yield(b, err) {
				return
			}
		}
	}
}

// Suggestion is one way to go on with a line.
type Suggestion struct {
	Text        string `json:"text"`
	Description string `json:"description"`
}

// Complete returns what may stand in place of the last word of a line, in a
// session or, if that is empty, in a new one. asked tells that the user wants to
// know even if the word is empty.
func (c *Client) Complete(ctx context.Context, session, line string, asked bool) ([]Suggestion, error) {
	var all struct{ Suggestions []Suggestion }
	err := c.get(ctx, http.MethodPost, "/v1/complete", map[string]any{"line": line, "session": session, "asked": asked}, &all)
	return all.Suggestions, err
}

// About asks the peer who it is.
func (c *Client) About(ctx context.Context) (About, error) {
	a := About{Socket: c.socket}
	err := c.get(ctx, http.MethodGet, "/v1/", nil, &a)
	return a, err
}

// EndSession ends a session and closes what its variables hold.
func (c *Client) EndSession(ctx context.Context, name string) error {
	var done struct{}
	return c.get(ctx, http.MethodDelete, "/v1/sessions/"+url.PathEscape(name), nil, &done)
}

// Stop tells the peer to end, and waits until it has left the network or ctx ends.
func (c *Client) Stop(ctx context.Context) error {
	told := false
	for _, err := range c.Events(ctx) { // they end with the peer
		switch {
		case err != nil && told && ctx.Err() == nil:
			return nil // it ended in a hurry
		case err != nil:
			return err
		case told:
			continue
		}
		var done struct{}
		if err := c.get(ctx, http.MethodPost, "/v1/stop", nil, &done); err != nil {
			return err
		}
		told = true
	}
	return ctx.Err()
}

// Running returns the user's peers that can be asked, sorted by name.
func Running(ctx context.Context) ([]About, error) {
	var sockets []string
	for _, dir := range look() {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("control: %w", err)
		}
		for _, e := range entries {
			sockets = append(sockets, filepath.Join(dir, e.Name(), socketFile))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	found := make([]*About, len(sockets))
	var asking sync.WaitGroup
	for i, path := range sockets {
		asking.Go(func() {
			c, err := Open(path)
			if err != nil {
				return
			}
			defer c.Close()
			if a, err := c.About(ctx); err == nil {
				found[i] = &a
			}
		})
	}
	asking.Wait()
	var all []About
	for _, a := range found {
		if a != nil {
			all = append(all, *a)
		}
	}
	slices.SortFunc(all, func(a, b About) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}
