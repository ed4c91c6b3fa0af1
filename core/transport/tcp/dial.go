package tcp

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/transport/stream"
)

// Dial implements [endpoint.Transport]. It dials from the port listened on, if the
// transport listens on all interfaces and the system allows it, so that address
// translators map both alike; links of which [FromListener] reports true.
func (t *Transport) Dial(ctx context.Context, addr endpoint.Address) (endpoint.Link, error) {
	if err := t.check(addr); err != nil {
		return nil, err
	}
	ctx, stop := t.bound(ctx)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, t.times.connect)
	defer cancel()
	from := t.shared(addr.Host)
	c, err := t.connect(ctx, addr, from)
	if err != nil {
		return nil, err
	}
	l, err := t.set.Dialled(ctx, c, addr)
	if from != nil && errors.Is(err, stream.ErrCrossed) {
		if c, err = t.connect(ctx, addr, nil); err != nil {
			return nil, err
		}
		l, err = t.set.Dialled(ctx, c, addr)
	}
	return l, err
}

// check tells whether an address can be dialled; the error is a *DialError.
func (t *Transport) check(addr endpoint.Address) error {
	phase, err := endpoint.PhaseAddress, error(nil)
	host, port, bad := addr.HostPort()
	n, nan := strconv.ParseUint(port, 10, 16)
	switch {
	case t.ctx.Err() != nil:
		phase, err = endpoint.PhaseConnect, endpoint.ErrClosed
	case !t.Serves(addr.Protocol):
		err = endpoint.ErrNoTransport
	case bad != nil:
		err = bad
	case host == "":
		err = errHost
	case nan != nil || n == 0:
		err = errPort
	default:
		return nil
	}
	return &endpoint.DialError{Addr: addr, Phase: phase, Err: err}
}

// bound makes a context end with the transport, too.
func (t *Transport) bound(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(t.ctx, func() { cancel(endpoint.ErrClosed) })
	return ctx, func() {
		unhook()
		cancel(nil)
	}
}

// connect opens a connection from a place, or from any port if from is nil or
// cannot be used. The error is a *DialError.
func (t *Transport) connect(ctx context.Context, addr endpoint.Address, from *net.TCPAddr) (net.Conn, error) {
	var c net.Conn
	var err error
	if from != nil {
		if c, err = t.connectFrom(ctx, addr, from); err == nil {
			return c, nil
		}
	}
	if from == nil || unusable(err) {
		d := net.Dialer{KeepAliveConfig: keepAlive, Control: control}
		if c, err = d.DialContext(ctx, "tcp", addr.Host); err == nil {
			return c, nil
		}
	}
	phase := endpoint.PhaseConnect
	var dns *net.DNSError
	if errors.As(err, &dns) {
		phase, err = endpoint.PhaseResolve, dns
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return nil, &endpoint.DialError{Addr: addr, Phase: phase, Err: reason(err)}
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
