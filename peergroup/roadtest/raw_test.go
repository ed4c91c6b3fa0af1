//go:build linux

package roadtest

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Raw TCP beside a bulk transfer shows what is possible without Juxta. A frame is a
// length of four octets, a kind, and the rest.
const (
	rawHead = 5
	rawChat = 1
	rawBulk = 2
)

// rawWay is a way to send chat beside bulk over raw TCP.
type rawWay struct {
	name   string
	own    bool // the chat has a connection of its own
	first  bool // small frames go before large ones, as far as they are not in the system
	unsent int  // bounds the octets that the system holds and has not sent; 0 for no bound
	polled bool // the system is asked whether it wants more before each write
	polite bool // bulk under way is bounded by how much longer than at best it takes
	thin   bool // the chat's connection repeats what is lost without waiting longer each time
	block  int  // octets of a bulk frame
}

// rawSender writes frames to a connection.
type rawSender struct {
	c     *net.TCPConn
	first bool
	most  int    // octets a write, when polled; 0 for not polled
	mind  *gauge // nil if not polite
	held  []int  // octets that the system held and had not sent, before writes

	mu      sync.Mutex // held while writing
	waiting sync.Cond  // for small frames to be gone; over small
	small   int
	state   sync.Mutex
}

func newRawSender(c *net.TCPConn, first bool) *rawSender {
	s := &rawSender{c: c, first: first}
	s.waiting.L = &s.state
	return s
}

func (s *rawSender) send(kind byte, body []byte) error {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)+1))
	b = append(append(b, kind), body...)
	if s.first && kind == rawChat {
		s.state.Lock()
		s.small++
		s.state.Unlock()
	}
	if s.first && kind == rawBulk {
		s.state.Lock()
		for s.small > 0 {
			s.waiting.Wait()
		}
		s.state.Unlock()
	}
	s.mu.Lock()
	err := s.write(b)
	s.mu.Unlock()
	if s.first && kind == rawChat {
		s.state.Lock()
		s.small--
		s.waiting.Broadcast()
		s.state.Unlock()
	}
	return err
}

// write writes all of b. The system is first asked whether it wants more: a bound on
// what is unsent does not hold for a write that fits behind what waits already.
func (s *rawSender) write(b []byte) error {
	raw, err := s.c.SyscallConn()
	if err != nil {
		return err
	}
	if s.most == 0 {
		_ = raw.Control(func(fd uintptr) { s.note(int(fd)) })
		_, err := s.c.Write(b)
		return err
	}
	for len(b) > 0 && err == nil {
		most := s.most
		if s.mind != nil {
			for most = s.mind.room(raw); most == 0; most = s.mind.room(raw) {
				time.Sleep(5 * time.Millisecond)
			}
			most = min(most, s.most)
		}
		var failed error
		err = raw.Write(func(fd uintptr) bool {
			poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
			if n, err := unix.Poll(poll, 0); err != nil || n == 0 {
				return false // poll has asked to be told
			}
			s.note(int(fd))
			n, err := unix.Write(int(fd), b[:min(len(b), most)])
			if err == unix.EAGAIN {
				return false
			}
			if failed = err; err == nil {
				b = b[n:]
			}
			return true
		})
		if err == nil {
			err = failed
		}
	}
	return err
}

func (s *rawSender) note(fd int) {
	if n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQNSD); err == nil {
		s.held = append(s.held, n)
	}
}

// gauge bounds what is under way on a connection: less when it takes much longer than
// at best, more when it does not.
type gauge struct {
	bound   int
	changed time.Time
	full    bool // since it changed
}

const (
	gaugeFirst = 16 << 10
	gaugeLeast = 3 << 10
	gaugeMost  = 4 << 20
	gaugeExtra = 100 * time.Millisecond // by which the road may take longer
)

// room returns how much may be sent now.
func (g *gauge) room(raw syscall.RawConn) (octets int) {
	octets = gaugeMost
	_ = raw.Control(func(fd uintptr) {
		way, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		info, err2 := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil || err2 != nil {
			return
		}
		if g.bound == 0 {
			g.bound = gaugeFirst
		}
		// Whole packets: the other side acknowledges others later, and they cost more.
		if octets = (g.bound - way + int(info.Snd_mss) - 1) / int(info.Snd_mss) * int(info.Snd_mss); octets <= 0 {
			octets, g.full = 0, true
		}
		rtt, best := time.Duration(info.Rtt)*time.Microsecond, time.Duration(info.Min_rtt)*time.Microsecond
		if best == 0 || time.Since(g.changed) < rtt {
			return
		}
		switch late := rtt - best; {
		case late > gaugeExtra:
			g.bound = max(gaugeLeast, int(float64(g.bound)*max(0.5, float64(best+gaugeExtra)/float64(rtt))))
		case late < gaugeExtra*2/3 && g.full:
			g.bound = min(gaugeMost, g.bound+g.bound/4)
		}
		g.changed, g.full = time.Now(), false
	})
	return octets
}

// rawReceive reads frames until the connection ends.
func rawReceive(c net.Conn, got *arrivals) {
	r := bufio.NewReader(c)
	head := make([]byte, rawHead)
	for {
		if _, err := io.ReadFull(r, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head)-1)
		if _, err := io.ReadFull(r, body); err != nil {
			return
		}
		switch head[4] {
		case rawChat:
			got.chat(body)
		case rawBulk:
			got.bulk(len(body))
		}
	}
}

// lowWater bounds what the system holds of a connection and has not sent.
func lowWater(t *testing.T, c *net.TCPConn, octets int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err == nil {
		err2 := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, octets)
		})
		if err == nil {
			err = err2
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// thin has lost octets repeated at a steady pace.
func thin(t *testing.T, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_THIN_LINEAR_TIMEOUTS, 1)
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// raw has chat beside bulk on a road, for that long.
func (w rawWay) run(t *testing.T, c conditions, long time.Duration) mixed {
	l := newLab(t, c)
	ln := l.listenTCP("bob", bobIP)
	got := &arrivals{}
	ann, bob := l.connect(ln)
	go rawReceive(bob, got) // until the connection is closed with the test
	if w.unsent > 0 {
		lowWater(t, ann, w.unsent)
	}
	bulk := newRawSender(ann, w.first)
	if w.polled {
		bulk.most = w.unsent
	}
	if w.polite {
		bulk.mind = &gauge{}
	}
	chat := bulk
	if w.own {
		ann2, bob2 := l.connect(ln)
		go rawReceive(bob2, got) // likewise
		chat = newRawSender(ann2, false)
		if w.thin {
			thin(t, ann2)
		}
	}
	stop := time.Now().Add(long)
	var wg sync.WaitGroup
	wg.Go(func() {
		body := make([]byte, w.block)
		for time.Now().Before(stop) {
			if bulk.send(rawBulk, body) != nil {
				return
			}
		}
	})
	sent := 0
	talk(stop, func(text []byte) error {
		sent++
		return chat.send(rawChat, text)
	})
	wg.Wait()
	slices.Sort(bulk.held)
	if n := len(bulk.held); n > 0 {
		t.Logf("%s: the system held %d octets unsent usually, %d in 19 of 20 cases, %d at the most", w.name, bulk.held[n/2], bulk.held[n*19/20], bulk.held[n-1])
	}
	return got.wait(sent)
}
