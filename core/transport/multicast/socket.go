package multicast

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/net/ipv4"
)

// conn is the socket of a transport: bound to the port of the group, which it
// shares with the other peers of the machine.
type conn struct {
	udp *net.UDPConn
	pc  *ipv4.PacketConn
	dst *net.UDPAddr

	// plain is set where the system does not tell the interface of a datagram,
	// nor lets it be chosen for each: what is sent leaves by the first one.
	plain bool
}

// origin is where a datagram came from.
type origin struct {
	ip, dst netip.Addr // dst is the zero value if the system does not tell it
	ifindex int        // 0 if the system does not tell it
}

func listen(group netip.AddrPort) (*conn, error) {
	// Package net binds the port on every address and shares it, because the
	// address is a multicast one.
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(group))
	if err != nil {
		return nil, fmt.Errorf("multicast: %w", err)
	}
	c := &conn{udp: udp, pc: ipv4.NewPacketConn(udp), dst: net.UDPAddrFromAddrPort(group)}
	_ = udp.SetReadBuffer(socketBuffer) // the system may grant less
	c.plain = c.pc.SetControlMessage(ipv4.FlagInterface|ipv4.FlagDst, true) != nil
	if err := errors.Join(c.pc.SetMulticastTTL(timeToLive), c.pc.SetMulticastLoopback(true)); err != nil {
		_ = udp.Close()
		return nil, fmt.Errorf("multicast: %w", err)
	}
	return c, nil
}

func (c *conn) Close() error { return c.udp.Close() }

// send writes a datagram on one interface. It names the source as well: left
// to itself, Linux takes none for datagrams on loopback.
func (c *conn) send(b []byte, on member) error {
	var cm *ipv4.ControlMessage
	if !c.plain {
		cm = &ipv4.ControlMessage{IfIndex: on.Index, Src: on.local[0].Addr().AsSlice()}
	}
	_, err := c.pc.WriteTo(b, cm, c.dst)
	return err
}

// receive reads a datagram.
func (c *conn) receive(b []byte) (int, origin, error) {
	n, cm, src, err := c.pc.ReadFrom(b)
	if err != nil {
		return 0, origin{}, err
	}
	var from origin
	if a, ok := src.(*net.UDPAddr); ok {
		from.ip = a.AddrPort().Addr().Unmap()
	}
	if cm != nil {
		from.ifindex = cm.IfIndex
		from.dst, _ = netip.AddrFromSlice(cm.Dst)
		from.dst = from.dst.Unmap()
	}
	return n, from, nil
}

// member is an interface the group is joined on.
type member struct {
	net.Interface
	local []netip.Prefix // its own addresses, with the networks they are in
}

// membership holds the interfaces that the group is joined on.
type membership []member

func (m membership) has(ifindex int) bool {
	return slices.ContainsFunc(m, func(o member) bool { return o.Index == ifindex })
}

// takes reports whether a datagram is meant for the transport: to its group,
// on its interfaces, from their networks.
func (m membership) takes(from origin, group netip.Addr) bool {
	if from.dst.IsValid() && from.dst != group {
		return false
	}
	if from.ifindex != 0 && !m.has(from.ifindex) {
		return false
	}
	for _, on := range m {
		for _, p := range on.local {
			if p.Contains(from.ip) {
				return true
			}
		}
	}
	return false
}

// join brings the membership in line with the interfaces there are. The error
// wraps [ErrNoInterface] if there is none.
func (t *Transport) join(c *conn) error {
	all, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("multicast: %w", err)
	}
	var candidates, now membership
	for _, ifi := range all {
		if local := networks(ifi); len(local) > 0 {
			candidates = append(candidates, member{ifi, local})
		}
	}
	old := *t.members.Load()
	wanted := eligible(candidates, t.cfg.Interfaces)
	for _, m := range old {
		if !wanted.has(m.Index) {
			_ = c.pc.LeaveGroup(&m.Interface, c.dst) // fails when the interface is gone, and the membership with it
		}
	}
	for _, m := range wanted {
		if !old.has(m.Index) {
			if jerr := c.pc.JoinGroup(&m.Interface, c.dst); jerr != nil {
				err = jerr
				continue
			}
		}
		now = append(now, m)
	}
	if c.plain && len(now) > 0 {
		_ = c.pc.SetMulticastInterface(&now[0].Interface)
	}
	t.members.Store(&now)
	switch {
	case len(now) > 0:
		return nil
	case err != nil:
		return fmt.Errorf("multicast: %w: %w", ErrNoInterface, err)
	}
	return fmt.Errorf("multicast: %w", ErrNoInterface)
}

// eligible picks the interfaces to multicast on, of those that have an address:
// the named ones, else all that can, else loopback.
func eligible(all membership, names []string) membership {
	var out, loopback membership
	for _, ifi := range all {
		if ifi.Flags&net.FlagUp == 0 {
			continue
		}
		switch {
		case len(names) > 0:
			if slices.Contains(names, ifi.Name) {
				out = append(out, ifi)
			}
		case ifi.Flags&net.FlagLoopback != 0:
			loopback = append(loopback, ifi)
		case ifi.Flags&net.FlagMulticast != 0 && ifi.Flags&net.FlagPointToPoint == 0:
			out = append(out, ifi)
		}
	}
	if len(out) == 0 && len(names) == 0 {
		out = loopback
	}
	return out[:min(len(out), maxInterfaces)]
}

// networks returns the IPv4 networks an interface is in.
func networks(ifi net.Interface) []netip.Prefix {
	addrs, err := ifi.Addrs()
	if err != nil {
		return nil
	}
	var out []netip.Prefix
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		ones, bits := n.Mask.Size()
		if ip = ip.Unmap(); ok && ip.Is4() && bits == ip.BitLen() {
			out = append(out, netip.PrefixFrom(ip, ones))
		}
	}
	return out
}
