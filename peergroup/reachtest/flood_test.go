//go:build linux

package reachtest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/framing"
)

// attackVariable says to this binary how to attack a peer, and where it is.
const attackVariable = "JUXTA_TEST_REACH_ATTACK"

// beAttacker attacks until its input ends.
func beAttacker(what string) {
	kind, at, _ := strings.Cut(what, " ")
	attack := attacks[strings.ReplaceAll(kind, "_", " ")]
	_, _ = os.Stdout.WriteString("ready\n")
	for range 16 {
		go func() {
			for {
				attack(at)
			}
		}()
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// attacks are what a hostile machine may do, each again and again on 16 goroutines.
var attacks = map[string]func(at string){
	"half-open connections": func(at string) {
		if c, err := net.DialTimeout("tcp", at, time.Second); err == nil {
			_, _ = io.Copy(io.Discard, c) // until it is thrown out
			_ = c.Close()
		}
	},
	"slow welcomes": func(at string) {
		c, err := net.DialTimeout("tcp", at, time.Second)
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		for _, octet := range []byte(framing.Greeting + strings.Repeat(" x", 1000)) {
			if _, err := c.Write([]byte{octet}); err != nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	},
	"TLS handshakes": func(at string) {
		if c, err := net.DialTimeout("tcp", at, time.Second); err == nil {
			_ = c.SetDeadline(time.Now().Add(time.Second))
			_ = tls.Client(c, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}).Handshake()
			_ = c.Close()
		}
	},
	"connections": func(at string) {
		if c, err := net.DialTimeout("tcp", at, time.Second); err == nil {
			_ = c.Close()
		}
	},
	"a flood of messages":     func(at string) { flood(at, io.Discard) },
	"a flood without reading": func(at string) { flood(at, nil) },
	"slow heads of HTTP": func(at string) {
		host, _, _ := strings.Cut(at, ":")
		c, err := net.DialTimeout("tcp", fmt.Sprint(host, ":", httpPort), time.Second)
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		for _, octet := range []byte("GET / HTTP/1.1\r\nX-Long: " + strings.Repeat("x", 10_000)) {
			if _, err := c.Write([]byte{octet}); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	},
}

// flood opens a link as an original peer would, and sends messages for nobody as
// fast as they are taken.
func flood(at string, sink io.Writer) {
	c, err := net.DialTimeout("tcp", at, time.Second)
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	to := endpoint.Address{Protocol: "tcp", Host: at}
	me := endpoint.Address{Protocol: "tcp", Host: c.LocalAddr().String()}
	hello := framing.Welcome{Dest: to, Public: me, Peer: id.NewPeer(id.NetGroup)}
	if _, err := c.Write(hello.AppendTo(nil)); err != nil {
		return
	}
	if sink != nil {
		go func() { _, _ = io.Copy(sink, c) }() // until the connection ends
	}
	body, err := message.New(
		message.Text("app", "text", strings.Repeat("noise ", 200)),
		message.Text(message.Platform, "EndpointSourceAddress", me.String()),
		message.Text(message.Platform, "EndpointDestinationAddress", to.String()+"/EndpointService:jxta-NetGroup/urn:jxta:uuid-DEADBEEFDEAFBABAFEEDBABE0000000205/jxta-NetGroupORes"),
	).MarshalBinary()
	if err != nil {
		return
	}
	frame := append(framing.AppendHeader(nil, len(body)), body...)
	for {
		_ = c.SetWriteDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Write(frame); err != nil {
			return
		}
	}
}

// rounds measures echoes of the other's mailbox; Took is the time that 95 of 100
// stay below.
func (p *inside) rounds(ctx context.Context, other id.Peer, n int) (reply, error) {
	out, err := p.peer.Net().Pipes().Bind(mailbox(other), other)
	if err != nil {
		return reply{}, err
	}
	defer out.Close()
	var all []time.Duration
	for i := range n {
		text := fmt.Sprintf("round %d %d", time.Now().UnixNano(), i)
		began := time.Now()
		if err := out.Send(ctx, message.New(message.Text("", "text", text))); err != nil {
			return reply{}, err
		}
		select {
		case <-arrived.of("echo " + text):
		case <-ctx.Done():
			return reply{}, errors.New("no echo")
		}
		all = append(all, time.Since(began))
		time.Sleep(10 * time.Millisecond)
	}
	slices.Sort(all)
	return reply{Took: all[len(all)*95/100]}, nil
}

// memory is what the process of a peer holds, in octets.
func (p *outside) memory() int64 {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	fields := strings.Fields(rest)
	n, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return n << 10
}

// TestAttacks: whatever a hostile machine does, honest peers are served, the memory
// stays within bounds, and the machine is named.
func TestAttacks(t *testing.T) {
	const growth, late = 50 << 20, 500 * time.Millisecond
	l := newLab(t)
	at := fmt.Sprintf("%s:%d", l.host("victim", 1), tcpPort)
	l.host("ann", 2)
	evil := l.host("evil", 66)
	listen := []string{fmt.Sprint("tcp://0.0.0.0:", tcpPort), fmt.Sprint("http://0.0.0.0:", httpPort)}
	victim := l.peer("victim", config{Listen: listen, Roles: "rendezvous,relay"})
	ann := l.peer("ann", config{Listen: listen[:1], Seeds: []string{"tcp://" + at}})
	ann.must(order{Do: "talk", Peer: victim.id, Text: "hello", Wait: 20 * time.Second})
	calm := ann.must(order{Do: "rounds", Peer: victim.id, Size: 100, Wait: 20 * time.Second})
	addRow(t, fmt.Sprintf("| none | %v | | |", calm.Took.Round(10*time.Microsecond)))
	before := victim.memory()
	for _, kind := range []string{
		"half-open connections", "slow welcomes", "TLS handshakes", "connections", "a flood of messages", "a flood without reading", "slow heads of HTTP",
	} {
		stop := l.attack("evil", kind+" "+at)
		r, err := ann.ask(order{Do: "rounds", Peer: victim.id, Size: 150, Wait: 30 * time.Second})
		held := victim.memory()
		stop()
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		named := ""
		for _, x := range victim.must(order{Do: "limits", Peer: victim.id}).Addresses {
			if strings.HasPrefix(x, evil+" ") && named == "" {
				named = strings.TrimPrefix(x, evil+" ")
			}
		}
		row := fmt.Sprintf("| %s | %v | %.1f MB | %s |", kind, r.Took.Round(10*time.Microsecond), float64(held-before)/1e6, named)
		t.Log(row)
		addRow(t, row)
		if r.Took > late {
			t.Errorf("%s: 95 of 100 echoes took up to %v", kind, r.Took)
		}
		if held-before > growth && !racing {
			t.Errorf("%s: the memory has grown by %d MB", kind, (held-before)>>20)
		}
		if named == "" {
			t.Errorf("%s: nobody is named", kind)
		}
	}
}

// attack starts an attacker in a namespace.
func (l *lab) attack(space, what string) (stop func()) {
	l.t.Helper()
	self, err := os.Executable()
	if err != nil {
		l.t.Fatal(err)
	}
	cmd := exec.Command("ip", "netns", "exec", l.prefix+space, self)
	kind := what[:strings.LastIndex(what, " ")]
	cmd.Env = append(os.Environ(), attackVariable+"="+strings.ReplaceAll(kind, " ", "_")+" "+what[strings.LastIndex(what, " ")+1:])
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
	ready(out, make([]byte, 6))
	return func() { _ = in.Close(); _ = cmd.Wait() }
}
