package tcp

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
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
	ctx, stop := context.WithTimeout(ctx, t.times.connect)
	defer stop()
	d := net.Dialer{KeepAliveConfig: keepAlive, Control: control}
	c, err := d.DialContext(ctx, "tcp", addr.Host)
	if err != nil {
		phase := endpoint.PhaseConnect
		var dns *net.DNSError
		if errors.As(err, &dns) {
			phase, err = endpoint.PhaseResolve, dns
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fail(phase, reason(err))
	}
	return t.set.Dialled(ctx, c, addr)
}

// Causes of a *endpoint.DialError in endpoint.PhaseAddress.
var (
	errHost = errors.New("the host is missing")
	errPort = errors.New("the port is not a number from 1 to 65535")
)

// pause waits, but not longer than ctx lives.
func (t *Transport) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
