package jxsetest_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/peergroup"
)

// lossyShare is the part of the frames of the reliability layer that is lost, and
// the part that is overtaken.
const lossyShare = 0.01

// lossyOctets is how much goes through a lossy way in each direction.
func lossyOctets() int64 {
	if os.Getenv("JUXTA_SLOW") != "" {
		return 200_000_000
	}
	return 20_000_000
}

// lossyBlock is the size of the blocks.
const lossyBlock = 16 << 10

// oneLoss bounds the recovery from one lost block when Juxta sends.
const oneLoss = time.Second

// lossyStreams opens streams between a Juxta and a Java peer with a lossy proxy in
// between.
func lossyStreams(t *testing.T) (x *lossy, dialled, accepted net.Conn, served, dialling *javaStream) {
	t.Helper()
	j := startJava(t, "j", "rendezvous")
	x = between(t, j)
	g := startGo(t, peergroup.Config{Name: "g", ClientOnly: true}, x.addr)
	connected(t, g)
	dialled, accepted, served, dialling = streams(t, g, j, false)
	t.Cleanup(func() {
		x.toJava.rule(nil)
		x.toGo.rule(nil)
		_ = dialled.Close()
		_ = accepted.Close()
	})
	if n := x.accepted.Load(); n != 1 {
		t.Fatalf("%d connections through the proxy", n)
	}
	return x, dialled, accepted, served, dialling
}

// TestSocketLossToJava: of what Juxta sends to Java, and of Java's
// acknowledgements, one in a hundred messages is lost and another one overtaken.
func TestSocketLossToJava(t *testing.T) {
	t.Parallel()
	x, dialled, _, served, _ := lossyStreams(t)
	x.toJava.rule(chance(1, lossyShare, lossyShare))
	x.toGo.rule(chance(2, lossyShare, lossyShare))
	octets := lossyOctets()
	d := writeBlocksToJava(t, dialled, served, 1, octets, lossyBlock)
	t.Logf("%d octets in %v, %s; of %d blocks and %d acknowledgements %d and %d were lost, %d and %d overtaken",
		octets, d.Round(time.Millisecond), speed(octets, d), x.toJava.blocks.Load(), x.toGo.acks.Load(),
		x.toJava.lost.Load(), x.toGo.lost.Load(), x.toJava.reordered.Load(), x.toGo.reordered.Load())
	if x.toJava.lost.Load() == 0 || x.toGo.lost.Load() == 0 {
		t.Error("nothing was lost")
	}
}

// TestSocketReorderFromJava: of what Java sends, one in a hundred messages is
// overtaken, and so of our acknowledgements.
func TestSocketReorderFromJava(t *testing.T) {
	t.Parallel()
	x, dialled, _, served, _ := lossyStreams(t)
	x.toJava.rule(chance(3, 0, lossyShare))
	x.toGo.rule(chance(4, 0, lossyShare))
	octets := lossyOctets()
	served.do("sockset", fmt.Sprintf("buffer=%d", lossyBlock))
	d := readFromJava(t, dialled, served, 1, octets)
	t.Logf("%d octets in %v, %s; of %d blocks and %d acknowledgements %d and %d were overtaken",
		octets, d.Round(time.Millisecond), speed(octets, d), x.toGo.blocks.Load(), x.toJava.acks.Load(),
		x.toGo.reordered.Load(), x.toJava.reordered.Load())
	if x.toGo.reordered.Load() == 0 {
		t.Error("nothing was overtaken")
	}
}

// TestSocketOneLossToJava: one block that Juxta sends is lost, wherever it stands,
// or the acknowledgement of one.
func TestSocketOneLossToJava(t *testing.T) {
	t.Parallel()
	x, dialled, _, served, _ := lossyStreams(t)
	const blocks, block = 60, 64 << 10
	writeToJava(t, dialled, served, 1, 10*blocks*block) // warms up Java
	for _, n := range []int{1, 2, blocks / 2, blocks - 1, blocks} {
		var when atomic.Int64
		x.toJava.rule(loseBlock(n, &when))
		writeToJava(t, dialled, served, 1, blocks*block)
		if x.toJava.lost.Load() != 1 {
			t.Fatalf("%d blocks were lost", x.toJava.lost.Load())
		}
		d := time.Since(time.Unix(0, when.Load()))
		t.Logf("block %d of %d was lost: all was read %v later", n, blocks, d.Round(time.Millisecond))
		if d > oneLoss {
			t.Errorf("recovery took %v, want %v at the most", d, oneLoss)
		}
	}
}

// TestSocketOneLossFromJava: one block that Java sends is lost. JXSE repeats it
// after 50 s, and gives up after 60.
func TestSocketOneLossFromJava(t *testing.T) {
	t.Parallel()
	slow(t)
	x, dialled, _, served, _ := lossyStreams(t)
	const octets = 10_000_000
	var when atomic.Int64
	x.toGo.rule(loseBlock(20, &when))
	readFromJava(t, dialled, served, 1, octets)
	t.Logf("one block was lost: all was read %v later", time.Since(time.Unix(0, when.Load())).Round(time.Millisecond))
}

// TestSocketLossesFromJava finds out how much Java sends with so many losses. There
// is nothing to be held against it but that what is read is right.
func TestSocketLossesFromJava(t *testing.T) {
	t.Parallel()
	slow(t)
	x, dialled, _, served, _ := lossyStreams(t)
	x.toGo.rule(chance(5, lossyShare, 0))
	octets := int64(20_000_000) // 200 MB take eleven minutes
	if s := os.Getenv("JUXTA_LOSS_OCTETS"); s != "" {
		var err error
		if octets, err = strconv.ParseInt(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	write := served.start("sockwrite", fmt.Sprintf("octets=%d", octets))
	begin := time.Now()
	p := newPattern(1, octets)
	got, want := make([]byte, 64<<10), make([]byte, 64<<10)
	var n int64
	for n < octets {
		_ = dialled.SetReadDeadline(time.Now().Add(deathWait))
		k, err := dialled.Read(got)
		if _, perr := io.ReadFull(p, want[:k]); perr != nil || string(got[:k]) != string(want[:k]) {
			t.Fatalf("wrong octets behind %d", n)
		}
		n += int64(k)
		if err != nil {
			t.Logf("the stream broke after %d octets: %v", n, err)
			break
		}
	}
	t.Logf("%d octets in %v; %d of %d blocks were lost", n, time.Since(begin).Round(time.Millisecond), x.toGo.lost.Load(), x.toGo.blocks.Load())
	if r, err := write(); err == nil {
		t.Logf("Java wrote %d octets, %s", r.Int("sent"), r.Text("failed"))
	}
}
