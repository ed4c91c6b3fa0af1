package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// ProxyError tells that the proxy between does not let a request through.
type ProxyError struct {
	Proxy  string // its URL, without password
	Status int    // of its answer
}

// Error implements error.
func (e *ProxyError) Error() string {
	return fmt.Sprintf("the proxy %s refuses: %d %s", e.Proxy, e.Status, nethttp.StatusText(e.Status))
}

// ProxyStatus returns the status of the proxy's answer.
func (e *ProxyError) ProxyStatus() int { return e.Status }

// Causes of a *endpoint.DialError.
var (
	errHost = errors.New("the host is missing")
	errPort = errors.New("the port is not a number from 1 to 65535")
	errPing = errors.New("the server does not answer a ping of JXTA")
)

// Dial implements [endpoint.Transport].
func (t *Transport) Dial(ctx context.Context, addr endpoint.Address) (endpoint.Link, error) {
	fail := func(p endpoint.Phase, err error) (endpoint.Link, error) {
		return nil, &endpoint.DialError{Addr: addr, Phase: p, Err: err}
	}
	if t.ctx.Err() != nil {
		return fail(endpoint.PhaseConnect, endpoint.ErrClosed)
	}
	if addr.Protocol != Protocol {
		return fail(endpoint.PhaseAddress, endpoint.ErrNoTransport)
	}
	if host, port, err := addr.HostPort(); err != nil {
		return fail(endpoint.PhaseAddress, err)
	} else if host == "" {
		return fail(endpoint.PhaseAddress, errHost)
	} else if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fail(endpoint.PhaseAddress, errPort)
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
	if p.tunnels && !t.cfg.Original && addr.Service == "" {
		s, err := t.tunnel(addr, p.local, p.remote)
		if err != nil {
			return fail(endpoint.PhaseConnect, err)
		}
		return t.set.Dialled(ctx, s, addr)
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

// pinged is what a ping tells.
type pinged struct {
	peer          id.Peer
	tunnels       bool // the server offers them
	local, remote net.Addr
}

// ping asks a server who it is.
func (t *Transport) ping(ctx context.Context, addr endpoint.Address) (p pinged, err error) {
	req, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodGet, "http://"+addr.Host+"/", nil)
	if err != nil {
		return p, err
	}
	proxy, err := t.cfg.Proxy(req)
	if err != nil {
		return p, err
	}
	p.local, p.remote = &net.TCPAddr{}, &net.TCPAddr{}
	resp, err := t.client.Do(req)
	if err != nil {
		return p, err
	}
	defer discard(resp)
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxPing))
	if resp.StatusCode != nethttp.StatusOK {
		if proxy != nil && fromProxy(resp.StatusCode) {
			return p, &ProxyError{Proxy: proxy.Redacted(), Status: resp.StatusCode}
		}
		return p, fmt.Errorf("%w: %s", errPing, resp.Status)
	}
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
	case errors.As(err, &dns):
		return endpoint.PhaseResolve
	case errors.As(err, &op), errors.As(err, &proxy):
		return endpoint.PhaseConnect
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return endpoint.PhaseConnect
	}
	return endpoint.PhaseHandshake
}

// plain strips what repeats the address from an error of package net/http.
func plain(err error) error {
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
