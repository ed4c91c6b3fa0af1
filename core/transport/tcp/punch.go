package tcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// Punch implements [endpoint.Puncher]. It dials addr from the port listened on,
// again and again, until a link is open or ctx ends. If two such connections become
// one (simultaneous open), who leads acts as dialler. A tls:// address is spoken to
// in TLS from the first octet. The error tells why the last attempt failed.
func (t *Transport) Punch(ctx context.Context, addr endpoint.Address, lead bool) (endpoint.Link, error) {
	if err := t.check(addr); err != nil {
		return nil, err
	}
	ctx, stop := t.bound(ctx)
	defer stop()
	from := t.listens()
	last := error(nil)
	for patience := punchFirst; ; patience = min(2*patience, punchLongest) {
		l, err := t.punchOnce(ctx, addr, from, lead, patience)
		if err == nil {
			return l, nil
		}
		var de *endpoint.DialError
		if errors.As(err, &de) && ctx.Err() == nil {
			switch de.Phase {
			case endpoint.PhaseResolve, endpoint.PhaseIdentity, endpoint.PhasePolicy:
				return nil, err // it will not get better
			}
			last = de.Err
		}
		if t.pause(ctx, punchPause) != nil {
			err = context.Cause(ctx)
			if last != nil {
				err = fmt.Errorf("%w; before: %w", err, last)
			}
			return nil, &endpoint.DialError{Addr: addr, Phase: endpoint.PhaseConnect, Err: err}
		}
	}
}

func (t *Transport) punchOnce(ctx context.Context, addr endpoint.Address, from *net.TCPAddr, lead bool,
	patience time.Duration) (endpoint.Link, error) {
	try, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var c net.Conn
	var err error
	if from == nil {
		c, err = t.connect(try, addr, nil)
	} else if c, err = t.connectFrom(try, addr, from); err != nil {
		err = &endpoint.DialError{Addr: addr, Phase: endpoint.PhaseConnect, Err: reason(err)}
	}
	if err != nil {
		return nil, err
	}
	ctx, done := context.WithTimeout(ctx, t.times.connect)
	defer done()
	return t.set.Punched(ctx, c, addr, lead)
}

// fromListener is a connection dialled from the port listened on.
type fromListener struct{ *net.TCPConn }

// FromListener tells links so.
func (*fromListener) FromListener() bool { return true }

// FromListener reports whether a link was dialled from the port that this peer
// listens on. What the other side then observes as the address of this one is where
// others may dial it, if the address translator is a friendly one.
func FromListener(l endpoint.Link) bool {
	x, ok := l.(interface{ FromListener() bool })
	return ok && x.FromListener()
}

// shared is the place to dial host from: the port listened on, if that is done on
// all interfaces, or nil. This machine itself is dialled from any port.
func (t *Transport) shared(hostport string) *net.TCPAddr {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil || host == "localhost" || isLoopback(host) {
		return nil
	}
	if a := t.listens(); a != nil && a.IP.IsUnspecified() {
		return a
	}
	return nil
}

// listens is a place listened on, if possible on all interfaces; nil if there is none.
func (t *Transport) listens() *net.TCPAddr {
	var first *net.TCPAddr
	for _, ln := range t.listeners {
		a, ok := ln.Addr().(*net.TCPAddr)
		switch {
		case !ok:
		case a.IP.IsUnspecified():
			return a
		case first == nil:
			first = a
		}
	}
	return first
}

var errSelf = errors.New("the connection leads to itself")

// connectFrom opens a connection from the place listened on.
func (t *Transport) connectFrom(ctx context.Context, addr endpoint.Address, from *net.TCPAddr) (net.Conn, error) {
	here := &net.TCPAddr{IP: from.IP, Port: from.Port}
	if here.IP.IsUnspecified() {
		here.IP = nil // of the family that the other side has
	}
	d := net.Dialer{KeepAliveConfig: keepAlive, Control: controlShared, LocalAddr: here}
	c, err := d.DialContext(ctx, "tcp", addr.Host)
	if err != nil {
		return nil, err
	}
	tc, ok := c.(*net.TCPConn)
	if !ok || c.LocalAddr().String() == c.RemoteAddr().String() {
		_ = c.Close()
		return nil, errSelf
	}
	return &fromListener{tc}, nil
}

// unusable reports whether it was for the port that a connection failed: the system
// does not share it, there is such a connection already, or what was left of one before it has
// ended it at once.
func unusable(err error) bool {
	var sys *os.SyscallError
	return errors.As(err, &sys) && sys.Syscall == "bind" || errors.Is(err, errSelf) ||
		errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.ECONNRESET)
}

var (
	_ endpoint.Multi   = (*Transport)(nil)
	_ endpoint.Puncher = (*Transport)(nil)
)
