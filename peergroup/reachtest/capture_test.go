//go:build linux

package reachtest

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sniffVariable says to this binary to write every frame of its namespace to a file.
const sniffVariable = "JUXTA_TEST_REACH_SNIFF"

// beSniffer records what goes over the wire until its input ends.
func beSniffer(file string) {
	const everything = 0x0300 // ETH_P_ALL in network order
	s, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, everything)
	if err != nil {
		_, _ = os.Stdout.WriteString("no: " + err.Error() + "\n")
		return
	}
	f, err := os.Create(file)
	if err != nil {
		_, _ = os.Stdout.WriteString("no: " + err.Error() + "\n")
		return
	}
	_, _ = os.Stdout.WriteString("ready\n")
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := unix.Read(s, buf)
			if err != nil {
				return
			}
			_, _ = f.Write(buf[:n])
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
	time.Sleep(200 * time.Millisecond) // what is on its way
	_ = f.Close()
}

// sniff records the frames of a namespace until the returned function is called,
// which returns them.
func (l *lab) sniff(space string) (stop func() []byte) {
	l.t.Helper()
	self, err := os.Executable()
	if err != nil {
		l.t.Fatal(err)
	}
	file := l.t.TempDir() + "/frames"
	cmd := exec.Command("ip", "netns", "exec", l.prefix+space, self)
	cmd.Env = append(os.Environ(), sniffVariable+"="+file)
	in, err := cmd.StdinPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	if b := make([]byte, 6); !ready(out, b) {
		l.t.Fatalf("the frames cannot be recorded: %s", b)
	}
	return func() []byte {
		_ = in.Close()
		_ = cmd.Wait()
		b, err := os.ReadFile(file)
		if err != nil {
			l.t.Fatal(err)
		}
		return b
	}
}

func ready(r io.Reader, b []byte) bool {
	_, err := io.ReadFull(r, b)
	return err == nil && string(b) == "ready\n"
}

// What must not be read on the wire: what is said, how the pipe is called, what
// advertisements are made of.
var secrets = []string{"the quick brown fox", "mailbox", "jxta:PA", "PipeAdvertisement", "a very private description", "DiscoveryQuery", "ResolverQuery"}

// overheard has two peers of the default configuration on one LAN find each other
// and talk, and returns which secrets somebody on the LAN could read.
func overheard(t *testing.T, c config) (read []string, octets int) {
	l := newLab(t)
	l.host("ann", 1)
	l.host("bob", 2)
	for _, h := range []string{"ann", "bob"} {
		l.ip(h, "route add default dev eth0") // multicast leaves by it
	}
	c.LAN, c.QUIC, c.Desc = true, !c.Plain, "a very private description"
	stop := l.sniff("ann")
	b := l.peer("bob", c, "TMPDIR="+t.TempDir(), "XDG_RUNTIME_DIR="+t.TempDir())
	a := l.peer("ann", c, "TMPDIR="+t.TempDir(), "XDG_RUNTIME_DIR="+t.TempDir())
	r := a.must(order{Do: "talk", Peer: b.id, Text: "the quick brown fox", Wait: 30 * time.Second})
	t.Logf("first echo after %v over %s", r.Took.Round(time.Millisecond), r.Path)
	a.stop()
	b.stop()
	frames := stop()
	for _, s := range secrets {
		if bytes.Contains(frames, []byte(s)) {
			read = append(read, s)
		}
	}
	return read, len(frames)
}

// TestNothingCanBeRead: peers of the default configuration say nothing in the open.
// The same peers without keys do, which shows that the ear is open.
func TestNothingCanBeRead(t *testing.T) {
	t.Parallel()
	read, n := overheard(t, config{})
	if n < 10_000 || len(read) > 0 {
		t.Errorf("in %d octets these could be read: %q", n, read)
	}
	if read, n = overheard(t, config{Plain: true}); len(read) < 3 {
		t.Errorf("of peers without keys only these could be read in %d octets: %q", n, read)
	}
}
