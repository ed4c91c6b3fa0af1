package quic

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"

	quicgo "github.com/quic-go/quic-go"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// Causes of a *endpoint.DialError.
var (
	errHost   = errors.New("the host is missing")
	errPort   = errors.New("the port is not a number from 1 to 65535")
	errNobody = errors.New("nobody answers; perhaps UDP is blocked on the way")
	errSlow   = errors.New("the other side did not finish the QUIC handshake in time")
)

// Dial implements [endpoint.Transport]. It fails within 5 s if nobody answers, and at
// once if the other machine says that nobody listens.
func (t *Transport) Dial(ctx context.Context, addr endpoint.Address) (endpoint.Link, error) {
	if !t.begin() {
		return nil, &endpoint.DialError{Addr: addr, Phase: endpoint.PhaseConnect, Err: endpoint.ErrClosed}
	}
	defer t.wg.Done()
	ctx, cancel := t.bound(ctx, t.times.connect)
	defer cancel()
	c, phase, err := t.connect(ctx, addr)
	if err != nil {
		return nil, &endpoint.DialError{Addr: addr, Phase: phase, Err: err}
	}
	return t.dialledOn(ctx, c, addr)
}

// dialledOn makes a link of a connection.
func (t *Transport) dialledOn(ctx context.Context, c *conn, addr endpoint.Address) (endpoint.Link, error) {
	l, err := t.set.Dialled(ctx, c, addr)
	if err == nil {
		c.isLinked()
	}
	return l, err
}

// bound is ctx with a timeout, ending with the transport.
func (t *Transport) bound(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, fail := context.WithCancelCause(ctx)
	stop := context.AfterFunc(t.ctx, func() { fail(endpoint.ErrClosed) })
	ctx, cancel := context.WithTimeout(ctx, d)
	return ctx, func() {
		cancel()
		stop()
		fail(nil)
	}
}

// connect opens a connection and takes its stream.
func (t *Transport) connect(ctx context.Context, addr endpoint.Address) (*conn, endpoint.Phase, error) {
	places, phase, err := resolve(ctx, addr)
	if err != nil {
		return nil, phase, err
	}
	for i, at := range places {
		var c *conn
		if c, phase, err = t.connectTo(ctx, at); err == nil {
			return c, "", nil
		}
		if ctx.Err() != nil || i == len(places)-1 {
			break
		}
	}
	return nil, phase, err
}

// resolve checks an address and returns the places it stands for.
func resolve(ctx context.Context, addr endpoint.Address) ([]netip.AddrPort, endpoint.Phase, error) {
	if addr.Protocol != Protocol {
		return nil, endpoint.PhaseAddress, endpoint.ErrNoTransport
	}
	host, service, err := addr.HostPort()
	if err != nil {
		return nil, endpoint.PhaseAddress, err
	}
	number, err := strconv.ParseUint(service, 10, 16)
	switch {
	case host == "":
		return nil, endpoint.PhaseAddress, errHost
	case err != nil, number == 0:
		return nil, endpoint.PhaseAddress, errPort
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip.Unmap(), uint16(number))}, "", nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, endpoint.PhaseResolve, err
	}
	var places []netip.AddrPort
	for _, ip := range ips[:min(len(ips), maxResolved)] {
		places = append(places, netip.AddrPortFrom(ip.Unmap(), uint16(number)))
	}
	return places, "", nil
}

// connectTo opens a connection to one place and takes the stream that the other
// side opens.
func (t *Transport) connectTo(ctx context.Context, at netip.AddrPort) (*conn, endpoint.Phase, error) {
	fail := func(p endpoint.Phase, err error) (*conn, endpoint.Phase, error) {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, p, err
	}
	p, err := t.portTo(at.Addr(), nil)
	if err != nil {
		return fail(endpoint.PhaseConnect, err)
	}
	own, err := t.route(at)
	if err != nil {
		return fail(endpoint.PhaseConnect, err)
	}
	if b := p.at.Addr(); !b.IsUnspecified() {
		own = b
	}
	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	stop := knock(ctx, at, refuse)
	q, err := p.quic.Dial(ctx, net.UDPAddrFromAddrPort(at), t.client, t.dials)
	stop()
	if err != nil {
		phase, err := explain(err)
		return fail(phase, err)
	}
	s, err := q.AcceptStream(ctx)
	if err != nil {
		_ = q.CloseWithError(codeFailed, "")
		phase, err := explain(err)
		return fail(max(phase, endpoint.PhaseHandshake), err)
	}
	c := t.newConn(q, s, p, net.UDPAddrFromAddrPort(netip.AddrPortFrom(own, p.at.Port())))
	c.dialled = true
	if !t.enter(c) {
		_ = q.CloseWithError(codeClosed, "")
		return fail(endpoint.PhaseConnect, endpoint.ErrClosed)
	}
	return c, "", nil
}

// explain tells in which phase the QUIC library failed, in words of ours.
func explain(err error) (endpoint.Phase, error) {
	var idle *quicgo.IdleTimeoutError
	var slow *quicgo.HandshakeTimeoutError
	var transport *quicgo.TransportError
	switch {
	case errors.As(err, &idle):
		return endpoint.PhaseConnect, errNobody
	case errors.As(err, &slow):
		return endpoint.PhaseHandshake, errSlow
	case errors.As(err, &transport) && transport.ErrorCode == quicgo.ConnectionRefused:
		return endpoint.PhaseConnect, errors.New("the other side takes no connection now")
	case errors.As(err, &transport):
		return endpoint.PhaseHandshake, err
	}
	return endpoint.PhaseConnect, err
}

// opening is a packet that no QUIC peer takes for one of its own: the bit that all
// of those have is not set. Whoever gets it drops it.
var opening = []byte("\x00juxta")

// knock sends opening packets from a socket that the system connects to at, and
// ends the attempt if the answer is that nobody listens there: sockets that serve
// many peers are not told. stop ends it.
func knock(ctx context.Context, at netip.AddrPort, refuse context.CancelCauseFunc) (stop func()) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, len(opening))
		for gap := knockEvery; ctx.Err() == nil; gap *= 2 {
			_, err := c.Write(opening)
			if err == nil {
				_ = c.SetReadDeadline(time.Now().Add(gap))
				_, err = c.Read(b)
			}
			if errors.Is(err, syscall.ECONNREFUSED) {
				refuse(syscall.ECONNREFUSED)
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
		}
	}()
	return func() {
		_ = c.Close()
		<-done
	}
}
