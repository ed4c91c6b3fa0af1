package quic

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"syscall"

	quicgo "github.com/quic-go/quic-go"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// port is one UDP socket with the QUIC that goes over it.
type port struct {
	socket   *socket
	quic     *quicgo.Transport
	listener *quicgo.EarlyListener // nil if connections are only dialled here
	at       netip.AddrPort        // where it is bound
}

// quietBuffers is how the QUIC library is told not to print, past every logger, that
// the system allows small socket buffers only.
const quietBuffers = "QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING"

// open binds a socket and, if asked to, takes connections there.
func (t *Transport) open(at string, listen bool) (*port, error) {
	addr, err := net.ResolveUDPAddr("udp", at)
	if err != nil {
		return nil, err
	}
	c, err := net.ListenUDP("udp", addr)
	if err != nil {
		return nil, err
	}
	if os.Getenv(quietBuffers) == "" {
		_ = os.Setenv(quietBuffers, "1")
	}
	bound, _ := c.LocalAddr().(*net.UDPAddr)
	s := &socket{UDPConn: c, unsent: &t.stats.unsent}
	p := &port{
		socket: s, at: netip.AddrPortFrom(bound.AddrPort().Addr().Unmap(), bound.AddrPort().Port()),
		quic: &quicgo.Transport{
			Conn: s, ConnectionIDLength: connectionID, StatelessResetKey: &t.keys.reset,
			VerifySourceAddress: t.doubt, ConnContext: t.arrive,
		},
	}
	if listen {
		if p.listener, err = p.quic.ListenEarly(t.server, t.accepts); err != nil {
			p.close()
			return nil, err
		}
	}
	return p, nil
}

// stop ends listening.
func (p *port) stop() {
	if p.listener != nil {
		_ = p.listener.Close()
	}
}

// close ends every connection without a word, and the socket.
func (p *port) close() {
	_ = p.quic.Close()
	_ = p.socket.Close()
}

// serves reports whether packets to ip can leave by the port.
func (p *port) serves(ip netip.Addr) bool {
	own := p.at.Addr()
	switch {
	case own.IsUnspecified():
		return own.Is6() || ip.Is4() // the system's IPv6 wildcard takes both
	case own.Is4() != ip.Is4(), own.IsLoopback() != ip.IsLoopback():
		return false
	}
	return true
}

// portTo returns the port to reach ip from: one that listens, so that answers and
// other peers come to the same place; else one that is made for such. Those bound to
// addresses that the machine does not have are passed over if machine is not nil.
func (t *Transport) portTo(ip netip.Addr, machine []netip.Prefix) (*port, error) {
	for _, p := range t.ports {
		if p.serves(ip) && (machine == nil || p.at.Addr().IsUnspecified() || hasAddress(machine, p.at.Addr())) {
			return p, nil
		}
	}
	t.mu.Lock()
	p, closed := t.spare, t.closed
	t.mu.Unlock()
	switch {
	case closed:
		return nil, endpoint.ErrClosed
	case p != nil:
		return p, nil
	}
	fresh, err := t.open(":0", false)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	if t.spare == nil && !t.closed {
		t.spare = fresh
	}
	p = t.spare
	t.mu.Unlock()
	if p != fresh {
		fresh.close()
	}
	if p == nil {
		return nil, endpoint.ErrClosed
	}
	return p, nil
}

func hasAddress(machine []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(machine, func(x netip.Prefix) bool { return x.Addr() == ip })
}

// socket is a UDP socket that takes it for the loss of a packet when the machine has
// no way for it: links then outlive a moment between two networks.
type socket struct {
	*net.UDPConn
	unsent *atomic.Uint64
}

// WriteMsgUDP replaces that of [net.UDPConn].
func (s *socket) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	n, oobn, err = s.UDPConn.WriteMsgUDP(b, oob, addr)
	if err != nil && passing(err) {
		s.unsent.Add(1)
		return len(b), len(oob), nil
	}
	return n, oobn, err
}

// passing reports whether an error of sending may go away by itself.
func passing(err error) bool {
	for _, e := range []syscall.Errno{
		syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.EHOSTDOWN,
		syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.EPERM, syscall.EINVAL, syscall.ECONNREFUSED, syscall.ENODEV,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// route returns the address from which this machine sends to another one, or the
// system's reason why it cannot. Nothing is sent.
func route(to netip.AddrPort) (netip.Addr, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return netip.Addr{}, reason(err)
	}
	defer func() { _ = c.Close() }()
	return ipOf(c.LocalAddr()), nil
}

// ipOf is the IP address in a network address, invalid if there is none.
func ipOf(a net.Addr) netip.Addr {
	if u, ok := a.(*net.UDPAddr); ok {
		return u.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

func isLoopback(ip string) bool {
	a, err := netip.ParseAddr(ip)
	return err == nil && a.IsLoopback()
}
