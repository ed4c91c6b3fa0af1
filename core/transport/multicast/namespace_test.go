package multicast

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/ipv4"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// The tests of this file multicast. They do so only inside network namespaces
// that they make and remove: each runs its own binary once more there.

// outsideEnv holds, inside, what the network namespace outside is called.
const outsideEnv = "JUXTA_TEST_OUTSIDE_NETNS"

const waitAtMost = 10 * time.Second

type namespace string

var namespaces atomic.Uint32

func newNamespace(t *testing.T) namespace {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil || runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("NOT TESTED: multicast needs network namespaces, which need Linux, root and the ip command")
	}
	ns := namespace(fmt.Sprintf("jxm%d-%d", os.Getpid(), namespaces.Add(1)))
	if out, err := exec.Command("ip", "netns", "add", string(ns)).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: multicast needs network namespaces: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", string(ns)).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	ns.ip(t, "link set lo up")
	return ns
}

func (ns namespace) ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", append([]string{"-n", string(ns)}, strings.Fields(args)...)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// join connects two namespaces by a cable, as 10.77.0.1 and 10.77.0.2.
func (ns namespace) join(t *testing.T, other namespace) {
	t.Helper()
	ns.ip(t, "link add cable0 type veth peer name cable1 netns "+string(other))
	ns.ip(t, "addr add 10.77.0.1/24 dev cable0")
	other.ip(t, "addr add 10.77.0.2/24 dev cable1")
	ns.ip(t, "link set cable0 up")
	other.ip(t, "link set cable1 up")
}

// run runs a test of this binary inside.
func (ns namespace) run(ctx context.Context, test string, env ...string) ([]byte, error) {
	outside, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", string(ns), self, "-test.run", "^"+test+"$", "-test.v", "-test.timeout", "60s")
	cmd.Env = append(os.Environ(), append(env, outsideEnv+"="+outside)...)
	out, err := cmd.CombinedOutput()
	if err == nil && !bytes.Contains(out, []byte("--- PASS: "+test)) {
		err = fmt.Errorf("%s did not run", test)
	}
	return out, err
}

// inside reports whether the test runs inside a namespace. Outside it runs it
// in a new one with loopback alone, and reports the outcome.
func inside(t *testing.T) bool {
	t.Helper()
	if isInside(t) {
		t.Cleanup(func() { goleak.VerifyNone(t) })
		return true
	}
	t.Parallel()
	ns := newNamespace(t)
	if out, err := ns.run(t.Context(), t.Name()); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

func isInside(t *testing.T) bool {
	t.Helper()
	outside := os.Getenv(outsideEnv)
	if outside == "" {
		return false
	}
	if here, err := os.Readlink("/proc/self/ns/net"); err != nil || here == outside {
		t.Fatalf("not in a namespace of its own: %s, %v", here, err)
	}
	return true
}

// receiver is a host that keeps what it is given.
type receiver chan []byte

func (r receiver) host(seed string) endpoint.Host {
	return endpoint.Host{
		Peer: id.PeerFromSeed(id.NetGroup, []byte(seed)), Logger: slog.New(slog.DiscardHandler),
		Receive: func(l endpoint.Link, body []byte) error {
			if l != nil {
				panic("a datagram with a link")
			}
			if _, err := message.Decode(body); err != nil {
				return err
			}
			r <- body
			return nil
		},
	}
}

func (r receiver) want(t *testing.T, body []byte) {
	t.Helper()
	select {
	case got := <-r:
		if !bytes.Equal(got, body) {
			t.Fatalf("got %q, want %q", got, body)
		}
	case <-time.After(waitAtMost):
		t.Fatal("nothing came")
	}
}

func start(t *testing.T, cfg Config, seed string) (*Transport, receiver) {
	t.Helper()
	tr, r := New(cfg), make(receiver, 1024)
	if err := tr.Start(r.host(seed)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tr.Close() })
	return tr, r
}

func encoded(t *testing.T, text string) []byte {
	t.Helper()
	b, err := message.New(message.Text("app", "say", text)).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// raw is a socket that sends any octets to the group.
func raw(t *testing.T, to string) *net.UDPConn {
	t.Helper()
	dst, err := net.ResolveUDPAddr("udp4", to)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, dst)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := ipv4.NewPacketConn(c).SetMulticastInterface(lo); err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t *testing.T, c *net.UDPConn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what another goroutine counts.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(waitAtMost); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("in vain: ", what)
		}
	}
}

func TestBroadcastOnLoopback(t *testing.T) {
	if !inside(t) {
		return
	}
	a, ra := start(t, Config{}, "a")
	_, rb := start(t, Config{}, "b")
	for _, text := range []string{"one", "two", strings.Repeat("x", 15000)} {
		body := encoded(t, text)
		if err := a.Broadcast(t.Context(), body); err != nil {
			t.Fatal(err)
		}
		rb.want(t, body)
		ra.want(t, body) // one's own come back too; the endpoint knows them
	}
	eventually(t, "a has counted the last one, too", func() bool { return a.Stats().Received >= 3 })
	if s := a.Stats(); s.Sent != 3 || s.Received != 3 || s.DroppedMalformed+s.Foreign+s.DroppedOverRate+s.Unsent+s.FailedReads != 0 || s.Interfaces != 1 {
		t.Errorf("%+v", s)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.Broadcast(t.Context(), encoded(t, "three")); err == nil {
		t.Error("sent after Close")
	}
	if err := a.Close(); err != nil {
		t.Error("second Close:", err)
	}
}

// TestQuiet: a quiet transport says nothing before it hears somebody else.
func TestQuietOnLoopback(t *testing.T) {
	if !inside(t) {
		return
	}
	a, ra := start(t, Config{Quiet: true}, "a")
	b, rb := start(t, Config{}, "b")
	if err := a.Broadcast(t.Context(), encoded(t, "unheard")); err != nil {
		t.Fatal(err)
	}
	hello := encoded(t, "hello")
	if err := b.Broadcast(t.Context(), hello); err != nil {
		t.Fatal(err)
	}
	ra.want(t, hello)
	rb.want(t, hello)
	eventually(t, "a has heard b", func() bool { return a.Stats().Received == 1 })
	answer := encoded(t, "answer")
	if err := a.Broadcast(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	rb.want(t, answer)
	if s := a.Stats(); s.HeldBack != 1 || s.Sent != 1 {
		t.Errorf("%+v", s)
	}
}

func TestWireOnLoopback(t *testing.T) {
	if !inside(t) {
		return
	}
	// A socket as a JXSE peer has it, that also tells the TTL.
	gaddr := &net.UDPAddr{IP: net.IPv4(224, 0, 1, 85), Port: 1234}
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	java, err := net.ListenMulticastUDP("udp4", lo, gaddr)
	if err != nil {
		t.Fatal(err)
	}
	defer java.Close()
	pc := ipv4.NewPacketConn(java)
	if err := pc.SetControlMessage(ipv4.FlagTTL, true); err != nil {
		t.Fatal(err)
	}
	tr, _ := start(t, Config{}, "a")
	body := encoded(t, "hello")
	if err := tr.Broadcast(t.Context(), body); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 20000)
	_ = java.SetReadDeadline(time.Now().Add(waitAtMost))
	n, cm, src, err := pc.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	if cm.TTL != timeToLive || src.(*net.UDPAddr).Port != 1234 {
		t.Errorf("TTL %d from %s", cm.TTL, src)
	}
	if got, err := parseDatagram(b[:n]); err != nil || !bytes.Equal(got, body) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestReceiveOnLoopback(t *testing.T) {
	if !inside(t) {
		return
	}
	tr, r := start(t, Config{}, "a")
	c := raw(t, DefaultGroup)
	for file, b := range recordings(t) {
		write(t, c, b)
		r.want(t, b[overhead:])
		t.Log(file)
	}
	garbage := [][]byte{{}, []byte("JXT"), []byte("JXTA"), []byte("JXTB" + strings.Repeat("x", 100)), appendDatagram(nil, []byte("jxmg no message"))}
	for _, b := range garbage {
		write(t, c, b)
	}
	eventually(t, "malformed datagrams are counted", func() bool { return tr.Stats().DroppedMalformed == uint64(len(garbage)) })

	// The system hands over the datagrams of every group that anybody on the
	// machine has joined.
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	other, err := net.ListenMulticastUDP("udp4", lo, &net.UDPAddr{IP: net.IPv4(224, 0, 1, 86), Port: 1234})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	body := encoded(t, "stray")
	write(t, raw(t, "224.0.1.86:1234"), appendDatagram(nil, body))
	eventually(t, "a datagram of another group is counted", func() bool { return tr.Stats().Foreign == 1 })

	write(t, c, appendDatagram(nil, body)) // it is still alive
	r.want(t, body)
}

func TestFloodOnLoopback(t *testing.T) {
	if !inside(t) {
		return
	}
	const flood = 300
	tr, r := start(t, Config{SourceRate: 10}, "a")
	c := raw(t, DefaultGroup)
	began := time.Now()
	for range flood {
		write(t, c, appendDatagram(nil, encoded(t, "again")))
	}
	eventually(t, "every datagram is accounted for", func() bool {
		s := tr.Stats()
		return s.Received+s.DroppedOverRate == flood
	})
	most := 10 + int(10*time.Since(began).Seconds()) + 1
	if got := len(r); got < 10 || got > most {
		t.Errorf("%d came through, want 10 to %d", got, most)
	}
}

func TestEndpointOnLoopback(t *testing.T) {
	if !inside(t) {
		return
	}
	type heard struct {
		from id.Peer
		text string
	}
	join := func(name string) (*endpoint.Endpoint, chan heard) {
		ch := make(chan heard, 16)
		e, err := endpoint.New(endpoint.Config{Peer: id.PeerFromSeed(id.NetGroup, []byte(name))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = e.Close() })
		if err := e.Add(New(Config{})); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Scope(id.NetGroup).Handle("talk", "", func(_ context.Context, in endpoint.Incoming) {
			ch <- heard{in.From, in.Message.Text("app", "say")}
		}); err != nil {
			t.Fatal(err)
		}
		return e, ch
	}
	a, ca := join("a")
	_, cb := join("b")
	if err := a.Scope(id.NetGroup).Broadcast(t.Context(), "talk", "", message.New(message.Text("app", "say", "hello"))); err != nil {
		t.Fatal(err)
	}
	select {
	case h := <-cb:
		if h.from != a.Peer() || h.text != "hello" {
			t.Fatalf("%+v", h)
		}
	case <-time.After(waitAtMost):
		t.Fatal("nothing came")
	}
	if len(ca) != 0 {
		t.Error("one's own datagram was taken for another's")
	}
}

// TestNeighbours has one peer in each of two namespaces with a cable between,
// where no route to the group is set.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	a, b := newNamespace(t), newNamespace(t)
	a.join(t, b)
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	type result struct {
		out []byte
		err error
	}
	answer := make(chan result, 1)
	go func() {
		out, err := b.run(ctx, "TestNeighbourInside", "JUXTA_TEST_SAY=pong", "JUXTA_TEST_HEAR=ping")
		answer <- result{out, err}
	}()
	out, err := a.run(ctx, "TestNeighbourInside", "JUXTA_TEST_SAY=ping", "JUXTA_TEST_HEAR=pong")
	r := <-answer
	if err != nil || r.err != nil {
		t.Errorf("%v\n%s\n%v\n%s", err, out, r.err, r.out)
	}
}

// TestNeighbourInside is half of TestNeighbours.
func TestNeighbourInside(t *testing.T) {
	if os.Getenv(outsideEnv) == "" {
		t.Skip("part of TestNeighbours")
	}
	isInside(t)
	defer goleak.VerifyNone(t)
	say, hear := os.Getenv("JUXTA_TEST_SAY"), os.Getenv("JUXTA_TEST_HEAR")
	tr, r := start(t, Config{}, say)
	defer tr.Close()
	for _, ifi := range *tr.members.Load() {
		if ifi.Flags&net.FlagLoopback != 0 {
			t.Error("loopback is used beside a network")
		}
	}
	got := false
	until := time.Now().Add(waitAtMost)
	for end := until; time.Now().Before(end); {
		if err := tr.Broadcast(t.Context(), encoded(t, say)); err != nil {
			t.Fatal(err)
		}
		select {
		case body := <-r:
			if m, err := message.Decode(body); err != nil {
				t.Fatal(err)
			} else if !got && m.Text("app", "say") == hear {
				got = true
				end = time.Now().Add(time.Second) // the other side may not have heard yet
				until = end
			}
		case <-time.After(100 * time.Millisecond):
		}
		if got && time.Now().After(until) {
			break
		}
	}
	if !got {
		t.Error("the neighbour was not heard")
	}
}

func TestInterfacesComeAndGo(t *testing.T) {
	if !inside(t) {
		return
	}
	ip := func(args ...string) {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	tr, r := New(Config{}), make(receiver, 1024)
	tr.rejoinEvery = 10 * time.Millisecond
	if err := tr.Start(r.host("a")); err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	uses := func(name string) func() bool {
		return func() bool {
			m := *tr.members.Load()
			return len(m) == 1 && m[0].Name == name
		}
	}
	if !uses("lo")() {
		t.Fatal("not on loopback")
	}
	ip("link", "add", "cable0", "type", "veth", "peer", "name", "cable1")
	ip("addr", "add", "10.78.0.1/24", "dev", "cable0")
	ip("link", "set", "cable1", "up")
	ip("link", "set", "cable0", "up")
	eventually(t, "the new interface is joined", uses("cable0"))
	body := encoded(t, "hello")
	if err := tr.Broadcast(t.Context(), body); err != nil {
		t.Fatal(err)
	}
	r.want(t, body)
	ip("link", "del", "cable0")
	eventually(t, "loopback is used again", uses("lo"))
	body = encoded(t, "hello again")
	if err := tr.Broadcast(t.Context(), body); err != nil {
		t.Fatal(err)
	}
	r.want(t, body)
	ip("link", "set", "lo", "down")
	eventually(t, "no interface is left", func() bool { return len(*tr.members.Load()) == 0 })
	if err := tr.Broadcast(t.Context(), body); err == nil {
		t.Error("sent nowhere")
	}
}
