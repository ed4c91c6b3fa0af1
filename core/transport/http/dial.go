package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// userAgent is what requests go by.
const userAgent = "Juxta"

// ProxyError tells that the proxy between does not let a request through.
type ProxyError struct {
	Proxy  string // host and port
	Status int    // of its answer; 0 if there was none
	Err    error  // why there was no answer
}

// Error implements error.
func (e *ProxyError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("the proxy %s cannot be reached: %v", e.Proxy, e.Err)
	}
	return fmt.Sprintf("the proxy %s refused: %d %s", e.Proxy, e.Status, nethttp.StatusText(e.Status))
}

// Unwrap returns why there was no answer.
func (e *ProxyError) Unwrap() error { return e.Err }

// ProxyStatus returns the status of the proxy's answer, 0 if there was none.
func (e *ProxyError) ProxyStatus() int { return e.Status }

// Causes of a *endpoint.DialError.
var (
	errHost = errors.New("the host is missing")
	errName = errors.New("the host is not a name or IP address")
	errPort = errors.New("the port is not a number from 1 to 65535")
	errPing = errors.New("the server does not answer a ping of JXTA")
)

// Dial implements [endpoint.Transport]. A server that offers tunnels gets one; any
// other is spoken to as an original peer, which proves nothing.
func (t *Transport) Dial(ctx context.Context, addr endpoint.Address) (endpoint.Link, error) {
	fail := func(p endpoint.Phase, err error) (endpoint.Link, error) {
		return nil, &endpoint.DialError{Addr: addr, Phase: p, Err: err}
	}
	if t.ctx.Err() != nil {
		return fail(endpoint.PhaseConnect, endpoint.ErrClosed)
	}
	if err := check(addr); err != nil {
		return fail(endpoint.PhaseAddress, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(t.ctx, func() { cancel(endpoint.ErrClosed) })()
	ctx, stop := context.WithTimeout(ctx, requestTimeout)
	defer stop()
	p, err := t.ping(ctx, addr)
	if err != nil {
		if ctx.Err() != nil {
			return fail(endpoint.PhaseConnect, context.Cause(ctx))
		}
		return fail(phaseOf(err), plain(err))
	}
	if p.tunnels && !t.cfg.Original {
		s, err := t.tunnel(addr, p.local, p.remote)
		if err != nil {
			return fail(endpoint.PhaseConnect, err)
		}
		l, err := t.set.Dialled(ctx, s, addr)
		var refused *ProxyError
		if err != nil && errors.As(s.dead(), &refused) {
			return fail(endpoint.PhaseConnect, refused)
		}
		return l, err
	}
	if err := t.admitted(p.peer); err != nil {
		t.stats.unproven.Add(1)
		phase := endpoint.PhaseIdentity
		if t.host.RequireSecure {
			phase = endpoint.PhasePolicy
		}
		return fail(phase, fmt.Errorf("peer %s: %w", p.peer.Short(), err))
	}
	l, err := t.post(addr, p)
	if err != nil {
		return fail(endpoint.PhasePolicy, err)
	}
	return l, nil
}

// check tells whether an address can be dialled. The host becomes part of a URL,
// where other characters would mean something.
func check(addr endpoint.Address) error {
	if addr.Protocol != Protocol {
		return endpoint.ErrNoTransport
	}
	host, port, err := addr.HostPort()
	if err != nil {
		return err
	}
	if host == "" {
		return errHost
	}
	for _, c := range []byte(host) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._:", c) >= 0) {
			return errName
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return errPort
	}
	return nil
}

// pinged is what a ping tells.
type pinged struct {
	peer          id.Peer
	tunnels       bool     // the server offers them
	local, remote net.Addr // of the connection; the remote one as dialled if there is a proxy
}

// named is the network address of a server behind a proxy.
type named string

func (n named) Network() string { return "tcp" }
func (n named) String() string  { return string(n) }

// ping asks a server who it is.
func (t *Transport) ping(ctx context.Context, addr endpoint.Address) (p pinged, err error) {
	p.local, p.remote = &net.TCPAddr{}, named(addr.Host)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		p.local, p.remote = i.Conn.LocalAddr(), i.Conn.RemoteAddr()
	}})
	req, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodGet, "http://"+addr.Host+"/", nil)
	if err != nil {
		return p, err
	}
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Cache-Control", "no-cache")
	proxy, err := t.cfg.Proxy(req)
	if err != nil {
		return p, err
	}
	resp, err := t.client.Do(req)
	if proxy != nil {
		p.remote = named(addr.Host)
		if err != nil {
			return p, &ProxyError{Proxy: proxy.Host, Err: plain(err)}
		}
		if fromProxy(resp.StatusCode) {
			_ = resp.Body.Close()
			return p, &ProxyError{Proxy: proxy.Host, Status: resp.StatusCode}
		}
	}
	if err != nil {
		return p, err
	}
	defer discard(resp)
	if resp.StatusCode != nethttp.StatusOK {
		return p, fmt.Errorf("%w: %s", errPing, resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxPing))
	if err != nil {
		return p, err
	}
	text := strings.TrimPrefix(strings.TrimSpace(string(b)), "jxta://")
	if p.peer, err = id.ParsePeerUnique(strings.TrimPrefix(text, "urn:jxta:")); err != nil {
		return p, errPing
	}
	p.tunnels = resp.Header.Get(offerName) == offerValue
	return p, nil
}

// fromProxy reports whether a status is that of a proxy which does not pass on.
func fromProxy(status int) bool {
	switch status {
	case nethttp.StatusForbidden, nethttp.StatusProxyAuthRequired, nethttp.StatusMethodNotAllowed,
		nethttp.StatusBadGateway, nethttp.StatusServiceUnavailable, nethttp.StatusGatewayTimeout:
		return true
	}
	return false
}

// phaseOf tells in which phase a ping failed.
func phaseOf(err error) endpoint.Phase {
	var dns *net.DNSError
	var op *net.OpError
	var proxy *ProxyError
	switch {
	case errors.As(err, &proxy):
		return endpoint.PhaseConnect
	case errors.As(err, &dns):
		return endpoint.PhaseResolve
	case errors.As(err, &op) && op.Op == "dial", errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return endpoint.PhaseConnect
	}
	return endpoint.PhaseHandshake
}

// plain strips what repeats the address from an error of package net/http.
func plain(err error) error {
	var proxy *ProxyError
	if errors.As(err, &proxy) {
		return proxy
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns
	}
	return reason(err)
}

// reason strips what repeats the address from an error of package net.
func reason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
