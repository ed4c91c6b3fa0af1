package seeding

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// parseURI reads a URI that can be loaded. The error names it and wraps [ErrURI].
func parseURI(s string) (*url.URL, error) {
	if len(s) > maxURI {
		return nil, fmt.Errorf("seeding: %w: %.40q…: longer than %d octets", ErrURI, s, maxURI)
	}
	u, err := url.Parse(s)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err // it repeats the URI
		}
		return nil, fmt.Errorf("seeding: %w: %q: %v", ErrURI, s, err)
	}
	bad := func(why string) (*url.URL, error) {
		return nil, fmt.Errorf("seeding: %w: %q: %s", ErrURI, s, why)
	}
	switch u.Scheme {
	case "http", "https":
		if u.Hostname() == "" {
			return bad("no host")
		}
	case "file":
		switch {
		case u.Host != "" && !strings.EqualFold(u.Host, "localhost"):
			return bad("a file of another host")
		case !strings.HasPrefix(u.Path, "/"):
			return bad("no absolute path")
		case u.RawQuery != "" || u.ForceQuery:
			return bad("a file has no query")
		}
	case "":
		return bad("no scheme")
	default:
		return bad("neither http, https nor file")
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// defaultClient is what is used without [Config.Client].
func defaultClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout:    handshakeTimeout,
		ResponseHeaderTimeout:  headerTimeout,
		MaxResponseHeaderBytes: maxHeader,
		DisableKeepAlives:      true, // the next load is half an hour away
		DisableCompression:     true,
	}}
}

// guarded returns a copy of the client that keeps the rules on redirects.
func guarded(c *http.Client) *http.Client {
	if c == nil {
		return &http.Client{Transport: defaultClient().Transport, CheckRedirect: checkRedirect}
	}
	own := *c
	own.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if err := checkRedirect(req, via); err != nil {
			return err
		}
		if c.CheckRedirect != nil {
			return c.CheckRedirect(req, via)
		}
		return nil
	}
	return &own
}

// checkRedirect refuses the fourth redirect, all that lead out of HTTP, and
// those out of HTTPS once that was used.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("%w: more than %d", ErrRedirect, maxRedirects)
	}
	switch req.URL.Scheme {
	case "https":
		return nil
	case "http":
		for _, v := range via {
			if v.URL.Scheme == "https" {
				return fmt.Errorf("%w: from https to http", ErrRedirect)
			}
		}
		return nil
	}
	return fmt.Errorf("%w: to %q", ErrRedirect, req.URL.Scheme)
}

// validators are what a server calls the version of a document it sent.
type validators struct {
	etag     string
	modified string
	origin   string // scheme and host that said so, after redirects
}

func (v validators) none() bool { return v.etag == "" && v.modified == "" }

// loaded is what came of a load.
type loaded struct {
	document   document
	unchanged  bool // there is no document, since the last one still holds
	validators validators
}

// errElsewhere is a server's "not modified" about what another one sent.
var errElsewhere = errors.New(`"not modified" from another server than before`)

// load reads the document at u within [loadTimeout] and [MaxDocument]. The server
// may say that the version known by v is still good.
func load(ctx context.Context, c *http.Client, u *url.URL, v validators) (loaded, error) {
	if u.Scheme == "file" {
		d, err := loadFile(u)
		return loaded{document: d}, err
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	l, err := loadHTTP(ctx, c, u, v)
	var e *url.Error
	if errors.As(err, &e) {
		err = e.Err // it names the URI, which the caller does
	}
	return l, err
}

func loadHTTP(ctx context.Context, c *http.Client, u *url.URL, v validators) (loaded, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return loaded{}, err
	}
	req.Header.Set("Accept", "text/plain, application/xml, text/xml, */*;q=0.1")
	req.Header.Set("Accept-Encoding", "identity") // a small document need not come as a bomb
	req.Header.Set("User-Agent", "juxta")
	if v.etag != "" {
		req.Header.Set("If-None-Match", v.etag)
	}
	if v.modified != "" {
		req.Header.Set("If-Modified-Since", v.modified)
	}
	resp, err := c.Do(req)
	if err != nil {
		return loaded{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	final := u
	if resp.Request != nil && resp.Request.URL != nil {
		final = resp.Request.URL
	}
	origin := final.Scheme + "://" + final.Host
	switch {
	case resp.StatusCode == http.StatusNotModified && !v.none():
		if origin != v.origin {
			return loaded{}, errElsewhere
		}
		return loaded{unchanged: true, validators: v}, nil
	case resp.StatusCode != http.StatusOK:
		return loaded{}, fmt.Errorf("status %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	if e := resp.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return loaded{}, fmt.Errorf("%w: content encoding %.40q", ErrType, e)
	}
	if resp.ContentLength > MaxDocument {
		return loaded{}, fmt.Errorf("%w: %d octets", ErrSize, resp.ContentLength)
	}
	b, err := readBounded(resp.Body)
	if err != nil {
		return loaded{}, err
	}
	return loaded{
		document: document{body: b, mediaType: resp.Header.Get("Content-Type"), name: final.Path},
		validators: validators{
			etag:     validator(resp.Header.Get("ETag")),
			modified: validator(resp.Header.Get("Last-Modified")),
			origin:   origin,
		},
	}, nil
}

// validator returns s if it is worth remembering and can be sent back.
func validator(s string) string {
	unfit := func(r rune) bool { return r < ' ' || r > '~' }
	if len(s) > maxValidator || strings.ContainsFunc(s, unfit) {
		return ""
	}
	return s
}

// loadFile reads a regular file; a pipe or a device might never end.
func loadFile(u *url.URL) (document, error) {
	name := u.Path
	if runtime.GOOS == "windows" {
		name = strings.TrimPrefix(name, "/") // file:///C:/seeds.txt
	}
	name = filepath.FromSlash(name)
	info, err := os.Stat(name)
	if err != nil {
		return document{}, err
	}
	if !info.Mode().IsRegular() {
		return document{}, fmt.Errorf("%w: not a regular file", ErrType)
	}
	f, err := os.Open(name)
	if err != nil {
		return document{}, err
	}
	defer func() { _ = f.Close() }()
	b, err := readBounded(f)
	if err != nil {
		return document{}, err
	}
	return document{body: b, name: u.Path}, nil
}

// readBounded reads to the end, or fails beyond [MaxDocument].
func readBounded(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(b) > MaxDocument {
		return nil, fmt.Errorf("%w: more than %d octets", ErrSize, MaxDocument)
	}
	return b, nil
}
