package stream

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pace bounds what is under way on a slow connection, so that the queues of routers
// stay short: less when octets take much longer than at best, more when they do not.
// Left alone, TCP fills such queues, which hold seconds of a slow line, and all that
// comes later waits behind them. It belongs to the writer.
type pace struct {
	raw     syscall.RawConn
	bound   int
	changed time.Time
	full    bool      // since it changed
	late    bool      // octets have been, once at least
	distant bool      // even at best
	vain    time.Time // since when the bound is at its least and octets are late nevertheless
}

// newPace returns nil if the connection is not TCP, or not slow because of a long way:
// then it is the other side that does not read.
func newPace(c net.Conn) *pace {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	p := &pace{raw: raw, bound: firstPace}
	h, ok := p.look()
	if !ok || h.rtt < paceFar {
		return nil
	}
	p.distant = h.best >= paceFar
	return p
}

// held is what the system holds of a connection, and what it knows of the way.
type held struct {
	unacked, unsent int
	packet          int // octets
	rtt, best       time.Duration
}

func (p *pace) look() (h held, ok bool) {
	err := p.raw.Control(func(fd uintptr) {
		unacked, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		if err != nil {
			return
		}
		unsent, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQNSD)
		if err != nil {
			return
		}
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		h = held{
			unacked: unacked, unsent: unsent, packet: max(1, int(info.Snd_mss)),
			rtt: time.Duration(info.Rtt) * time.Microsecond, best: time.Duration(info.Min_rtt) * time.Microsecond,
		}
		ok = true
	})
	return h, ok && err == nil
}

// room returns how many octets may be written now.
func (p *pace) room() int {
	h, ok := p.look()
	if !ok {
		return mostPace
	}
	now := time.Now()
	// Whole packets: the other side acknowledges others later, and they cost more.
	room := (p.bound - h.unacked + h.packet - 1) / h.packet * h.packet
	if room <= 0 {
		p.full = true
	}
	if h.best > 0 && now.Sub(p.changed) >= h.rtt {
		p.adjust(now, h)
	}
	return min(room, paceUnsent-h.unsent)
}

// adjust fits the bound to how late octets are.
func (p *pace) adjust(now time.Time, h held) {
	switch late := h.rtt - h.best; {
	case late > paceLate:
		p.late = true
		p.bound = max(leastPace, int(float64(p.bound)*max(0.5, float64(h.best+paceLate)/float64(h.rtt))))
	case p.full && !p.late: // nothing is known yet
		p.bound = min(mostPace, p.bound+p.bound/2)
	case p.full && late < paceLate*2/3:
		p.bound = min(mostPace, p.bound+p.bound/4)
	}
	p.changed, p.full = now, false
	switch {
	case p.bound > leastPace || h.rtt-h.best < paceHeld:
		p.vain = time.Time{}
	case p.vain.IsZero():
		p.vain = now
	}
}

// slow reports whether the way has shown to be slow.
func (p *pace) slow() bool { return p.late }

// far reports whether octets take long even at best, and not for a moment only.
func (p *pace) far() bool { return p.distant }

// over reports whether pacing is of no use: the connection has become fast, or the
// queue is filled by somebody else, before whom this peer would step back for ever.
func (p *pace) over() (fast, vain bool) {
	return p.bound >= enoughPace, !p.vain.IsZero() && time.Since(p.vain) > paceVain
}
