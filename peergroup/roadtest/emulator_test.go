//go:build linux

package roadtest

import (
	"encoding/binary"
	"io"
	"math"
	"net"
	"slices"
	"testing"
	"time"
)

const port = 9701

// listenTCP listens in a namespace until the test ends.
func (l *lab) listenTCP(space, ip string) net.Listener {
	l.t.Helper()
	var ln net.Listener
	var err error
	l.inside(space, func() { ln, err = net.ListenTCP("tcp4", &net.TCPAddr{IP: net.ParseIP(ip), Port: port}) })
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// connect makes a TCP connection from ann to bob, closed with the test.
func (l *lab) connect(ln net.Listener) (ann, bob *net.TCPConn) {
	l.t.Helper()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := ln.Accept()
		accepted <- c
	}()
	var err error
	l.inside("ann", func() { ann, err = net.DialTCP("tcp4", nil, ln.Addr().(*net.TCPAddr)) })
	if err != nil {
		l.t.Fatal(err)
	}
	bob, _ = (<-accepted).(*net.TCPConn)
	if bob == nil {
		l.t.Fatal("no connection")
	}
	l.t.Cleanup(func() { _ = ann.Close(); _ = bob.Close() })
	return ann, bob
}

// TestRoadDelaysAndLoses sends datagrams there and back.
func TestRoadDelaysAndLoses(t *testing.T) {
	t.Parallel()
	const (
		count = 800
		gap   = 2 * time.Millisecond
		delay = 40 * time.Millisecond
		loss  = 0.1
	)
	l := newLab(t, conditions{Rate: 1 << 20, Delay: delay, Loss: loss, Seed: 1})
	var ann, bob *net.UDPConn
	var err, err2 error
	l.inside("bob", func() { bob, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(bobIP), Port: port}) })
	l.inside("ann", func() { ann, err2 = net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.ParseIP(bobIP), Port: port}) })
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	defer func() { _ = ann.Close(); _ = bob.Close() }()
	go func() {
		b := make([]byte, 64)
		for {
			n, from, err := bob.ReadFromUDP(b)
			if err != nil {
				return
			}
			_, _ = bob.WriteToUDP(b[:n], from)
		}
	}()
	go func() {
		for range count {
			_, _ = ann.Write(binary.BigEndian.AppendUint64(nil, uint64(now())))
			time.Sleep(gap)
		}
		time.Sleep(4 * delay)
		_ = ann.SetReadDeadline(time.Now())
	}()
	var rtts []time.Duration
	for b := make([]byte, 64); ; {
		if _, err := ann.Read(b); err != nil {
			break
		}
		rtts = append(rtts, time.Duration(now()-int64(binary.BigEndian.Uint64(b))))
	}
	slices.Sort(rtts)
	kept := (1 - loss) * (1 - loss)
	want, sigma := count*kept, math.Sqrt(count*kept*(1-kept))
	if got := float64(len(rtts)); math.Abs(got-want) > 4*sigma {
		t.Fatalf("%v of %d datagrams came back, want %.0f give or take %.0f", got, count, want, 4*sigma)
	}
	if least, half := rtts[0], rtts[len(rtts)/2]; least < 2*delay || half > 2*delay+20*time.Millisecond {
		t.Errorf("round trips take %v at the least and %v usually, want %v", least, half, 2*delay)
	}
	t.Logf("%d of %d came back, %v at the least, %v usually", len(rtts), count, rtts[0], rtts[len(rtts)/2])
}

// TestRoadIsAsWideAsItSays: TCP fills the road, and no more; and its queue.
func TestRoadIsAsWideAsItSays(t *testing.T) {
	t.Parallel()
	const rate = 128 << 10
	l := newLab(t, conditions{Rate: rate, Delay: 10 * time.Millisecond})
	ann, bob := l.connect(l.listenTCP("bob", bobIP))
	started := time.Now()
	go func() {
		b := make([]byte, 64<<10)
		for {
			if _, err := ann.Write(b); err != nil {
				return
			}
		}
	}()
	b := make([]byte, 64<<10)
	total := len(b)
	if _, err := io.ReadFull(bob, b); err != nil { // it has begun
		t.Fatal(err)
	}
	best := 0.0
	for range 3 { // a busy machine keeps TCP from its work at times
		begun, n := time.Now(), 0
		_ = bob.SetReadDeadline(begun.Add(3 * time.Second))
		for {
			m, err := bob.Read(b)
			n += m
			if err != nil {
				break
			}
		}
		total += n
		got := float64(n) / time.Since(begun).Seconds() / rate
		// What a busy machine has held up comes later than it should, but not more of it in all.
		if all := float64(total) / time.Since(started).Seconds() / rate; all > 1.02 {
			t.Errorf("TCP reaches %.2f of the rate", all)
		}
		if best = max(best, got); best >= 0.85 {
			break
		}
	}
	if best < 0.85 {
		t.Errorf("TCP reaches %.2f of the rate", best)
	}
	w := l.road.ways[0]
	longest := time.Duration(w.longest.Load())
	if full := time.Duration(float64(homeQueue) / rate * float64(time.Second)); longest < full/2 || longest > full {
		t.Errorf("a packet waited %v, a full queue is %v", longest, full)
	}
	t.Logf("TCP reaches %.2f of the rate; the queue held packets for %v and dropped %d", best, longest.Round(time.Millisecond), w.queueDrops.Load())
}

// TestRoadBreaks: nothing comes through an outage, and what TCP had taken comes after it.
func TestRoadBreaks(t *testing.T) {
	t.Parallel()
	l := newLab(t, conditions{Rate: 128 << 10, Delay: 10 * time.Millisecond})
	ann, bob := l.connect(l.listenTCP("bob", bobIP))
	l.road.outage(true)
	if _, err := ann.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	_ = bob.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	if n, err := bob.Read(b); err == nil {
		t.Fatalf("%d octets came through an outage", n)
	}
	l.road.outage(false)
	_ = bob.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := bob.Read(b); err != nil {
		t.Fatalf("nothing came after an outage: %v", err)
	}
	if l.road.ways[0].outageLost.Load() == 0 {
		t.Error("no packet was lost")
	}
}
