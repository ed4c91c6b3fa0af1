package tcp

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/transport/stream"
)

// TestSocketOptions: on both sides the system looks after idle links, gives up on
// octets that nobody acknowledges, and sends small messages at once.
func TestSocketOptions(t *testing.T) {
	conns := make(chan net.Conn, 2)
	tr := New(Config{Listen: []string{"127.0.0.1:0"}})
	tr.set = stream.New(stream.Config{Protocol: Protocol, Local: func(c net.Conn) endpoint.Address {
		conns <- c
		return tr.local(c)
	}})
	h := newHost(t, tr)
	if _, err := h.t.Dial(short(t), h.addr()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c := next(t, conns)
		raw, err := c.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range []struct {
			name              string
			level, opt, value int
		}{
			{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
			{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 5},
			{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
			{"TCP_USER_TIMEOUT", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 12000},
			{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		} {
			var got int
			cerr := raw.Control(func(fd uintptr) { got, err = unix.GetsockoptInt(int(fd), o.level, o.opt) })
			if cerr != nil || err != nil || got != o.value {
				t.Errorf("%v: %s is %d, %v, %v; want %d", c.LocalAddr(), o.name, got, cerr, err, o.value)
			}
		}
	}
}
