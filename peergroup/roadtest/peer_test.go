//go:build linux

package roadtest

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/quic"
	"github.com/juxta-p2p/juxta/peergroup"
)

// order is what the test tells a peer to do; one a line.
type order struct {
	Do    string // start, receive, mix, flow, report
	Seed  string // of a peer that starts
	QUIC  bool
	Peer  string // to send to
	Bulk  string // pipe, stream or none
	Block int    // octets of a message or a write
	Every time.Duration
	For   time.Duration
	Sent  int // of the chat, to wait for
	Size  int // of a stream
}

// reply is what it says then.
type reply struct {
	Error string `json:",omitempty"`
	ID    string `json:",omitempty"`
	Path  string `json:",omitempty"`
	Links int    `json:",omitempty"` // to the other peer, behind the work
	Mixed mixed
	Flow  flow
}

// flow is what was sent or received of bulk when there was an outage.
type flow struct {
	Messages, Doubled, Disordered, Bad, Refused int
	Octets                                      int
	Hash                                        string
	Arrived                                     []int64 // when
}

// inside is a peer as its process sees it.
type inside struct {
	peer *peergroup.Peer
	got  *arrivals
	bulk *bulkSink
}

// bePeer is the program of a peer: it does what its standard input says.
func bePeer() {
	p := &inside{}
	out := json.NewEncoder(os.Stdout)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var o order
		err := json.Unmarshal(in.Bytes(), &o)
		var r reply
		if err == nil {
			r, err = p.do(o)
		}
		if err != nil {
			r.Error = err.Error()
		}
		_ = out.Encode(r)
	}
	if p.peer != nil {
		_ = p.peer.Close()
	}
}

func (p *inside) do(o order) (reply, error) {
	switch o.Do {
	case "start":
		return p.start(o)
	case "report":
		return reply{Mixed: p.got.wait(o.Sent), Flow: p.bulk.report()}, nil
	}
	to, err := id.ParsePeer(o.Peer)
	if err != nil {
		return reply{}, err
	}
	switch o.Do {
	case "mix":
		return p.mix(o, to)
	case "flow":
		return p.flow(o, to)
	}
	return reply{}, fmt.Errorf("no order %q", o.Do)
}

// pipeOf is a pipe of that name at a peer.
func pipeOf(p id.Peer, name string) *advertisements.Pipe {
	adv := advertisements.NewPipe(id.NetGroup, name, advertisements.Unicast)
	seed := sha256.Sum256([]byte(name + p.String()))
	adv.ID = id.PipeFromSeed(id.NetGroup, seed[:])
	return adv
}

// start starts the peer and has it receive.
func (p *inside) start(o order) (reply, error) {
	cfg := peergroup.Config{Name: "ann", Listen: []string{fmt.Sprint("tcp://0.0.0.0:", port)}, NoLAN: true, NoMulticast: true, NoPortMapping: true}
	if o.Seed == "" {
		cfg.Roles = peergroup.Roles{Rendezvous: true}
	} else {
		cfg.Seeds = []string{o.Seed}
	}
	if o.QUIC {
		cfg.Extra = []endpoint.Transport{quic.New(quic.Config{Listen: []string{fmt.Sprint("0.0.0.0:", port)}})}
	}
	if os.Getenv("JUXTA_ROAD_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	var err error
	if p.peer, err = peergroup.Start(context.Background(), cfg); err != nil {
		return reply{}, err
	}
	self := p.peer.ID()
	p.got = &arrivals{}
	p.bulk = newBulkSink(p.got)
	pipes := p.peer.Net().Pipes()
	chat, err := pipes.Listen(context.Background(), pipeOf(self, "chat"))
	if err != nil {
		return reply{}, err
	}
	bulk, err := pipes.Listen(context.Background(), pipeOf(self, "bulk"))
	if err != nil {
		return reply{}, err
	}
	go func() { // until the process ends, as the others here
		for m, err := range chat.Messages(context.Background()) {
			if err != nil {
				return
			}
			if e, ok := m.Get("", "text"); ok {
				p.got.chat(e.Body)
			}
		}
	}()
	go func() {
		for m, err := range bulk.Messages(context.Background()) {
			if err != nil {
				return
			}
			if e, ok := m.Get("", "data"); ok {
				p.bulk.take(e.Body)
			}
		}
	}()
	if err := p.swallow(); err != nil {
		return reply{}, err
	}
	if o.Seed != "" {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := p.peer.Net().Rendezvous().WaitConnected(ctx); err != nil {
			return reply{}, fmt.Errorf("no lease: %w", err)
		}
	}
	return reply{ID: self.String()}, nil
}

// path tells the way to the other.
func (p *inside) path(to id.Peer) string {
	l := p.peer.Endpoint().LinkTo(to)
	if l == nil {
		return ""
	}
	how := l.Remote().Protocol
	if endpoint.Encrypted(l) {
		how += ", encrypted"
	}
	return how
}

// mix has a chat beside bulk.
func (p *inside) mix(o order, to id.Peer) (reply, error) {
	ctx := context.Background()
	chat, err := p.peer.Net().Pipes().Dial(ctx, pipeOf(to, "chat"))
	if err != nil {
		return reply{}, err
	}
	defer chat.Close()
	r := reply{Path: p.path(to)}
	stop := time.Now().Add(o.For)
	ctx, cancel := context.WithDeadline(ctx, stop)
	defer cancel()
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() {
		switch o.Bulk {
		case "pipe":
			failed = p.sendPipe(ctx, o, to, nil)
		case "stream":
			failed = p.sendStream(ctx, o, to, nil)
		}
	})
	talk(stop, func(text []byte) error {
		r.Mixed.Sent++
		return chat.Send(context.Background(), message.New(message.Bytes("", "text", text)))
	})
	wg.Wait()
	for _, l := range p.peer.Endpoint().Links() {
		if l.Peer() == to {
			r.Links++
		}
	}
	return r, failed
}

// flow sends bulk alone and tells what was sent.
func (p *inside) flow(o order, to id.Peer) (r reply, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), max(o.For, time.Minute)+straggle)
	defer cancel()
	if o.Bulk == "stream" {
		err = p.sendStream(ctx, o, to, &r.Flow)
	} else {
		err = p.sendPipe(ctx, o, to, &r.Flow)
	}
	r.Path = p.path(to)
	return r, err
}

// sendPipe sends numbered messages until ctx ends, or as the order says.
func (p *inside) sendPipe(ctx context.Context, o order, to id.Peer, f *flow) error {
	out, err := p.peer.Net().Pipes().Dial(ctx, pipeOf(to, "bulk"))
	if err != nil {
		return err
	}
	defer out.Close()
	until := time.Now().Add(o.For)
	for n, next := 1, time.Now(); time.Now().Before(until); n++ {
		err := out.Send(ctx, message.New(message.Bytes("", "data", block(n, o.Block))))
		switch {
		case err != nil && f == nil && ctx.Err() != nil:
			return nil
		case err != nil && f != nil:
			f.Refused++
		case err != nil:
			return err
		case f != nil:
			f.Messages++
			f.Octets += o.Block
		}
		if o.Every > 0 {
			next = next.Add(o.Every)
			time.Sleep(time.Until(next))
		}
	}
	return nil
}

// block is the message of a number, of which every octet follows from it.
func block(number, size int) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, size), uint64(number))
	for i := len(b); i < size; i++ {
		b = append(b, byte(number*7+i*(1+number%13)))
	}
	return b
}

// bulkSink takes numbered messages, and streams.
type bulkSink struct {
	got *arrivals

	mu   sync.Mutex
	seen map[int]bool
	high int
	flow flow
}

func newBulkSink(got *arrivals) *bulkSink { return &bulkSink{got: got, seen: map[int]bool{}} }

func (s *bulkSink) take(b []byte) {
	s.got.bulk(len(b))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flow.Messages++
	s.flow.Octets += len(b)
	s.flow.Arrived = append(s.flow.Arrived, now())
	if len(b) < 8 {
		s.flow.Bad++
		return
	}
	n := int(binary.BigEndian.Uint64(b))
	switch {
	case !slices.Equal(b, block(n, len(b))):
		s.flow.Bad++
	case s.seen[n]:
		s.flow.Doubled++
	case n < s.high:
		s.flow.Disordered++
	}
	s.seen[n], s.high = true, max(s.high, n)
}

func (s *bulkSink) report() flow {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.flow
	f.Arrived = slices.Clone(f.Arrived)
	return f
}

// outside is a peer as the test sees it.
type outside struct {
	t    *testing.T
	name string
	id   string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *json.Decoder
}

// peer starts a peer in a namespace.
func (l *lab) peer(space string, o order) *outside {
	l.t.Helper()
	p := &outside{t: l.t, name: space}
	self, err := os.Executable()
	if err != nil {
		l.t.Fatal(err)
	}
	p.cmd = exec.Command("ip", "netns", "exec", l.prefix+space, self)
	p.cmd.Env = append(os.Environ(), peerVariable+"=1")
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		l.t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	p.out = json.NewDecoder(out)
	if err := p.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(p.stop)
	o.Do = "start"
	p.id = p.must(o).ID
	return p
}

// peers starts ann, a rendezvous, and bob, who has a lease from her.
func (l *lab) peers(o order) (ann, bob *outside) {
	l.t.Helper()
	ann = l.peer("ann", o)
	protocol := "tcp"
	if o.QUIC {
		protocol = "quic"
	}
	o.Seed = fmt.Sprintf("%s://%s:%d", protocol, annIP, port)
	return ann, l.peer("bob", o)
}

// leaveWait is how long a peer may take to say goodbye over a bad road.
const leaveWait = 2 * time.Second

// stop ends the peer.
func (p *outside) stop() {
	_ = p.in.Close()
	kill := time.AfterFunc(leaveWait, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	_ = p.cmd.Wait()
}

// overdue is how much longer than told an order may take; then the peer is killed.
const overdue = time.Minute

// ask gives an order and returns the reply.
func (p *outside) ask(o order) (reply, error) {
	b, err := json.Marshal(o)
	if err != nil {
		return reply{}, err
	}
	if _, err := p.in.Write(append(b, '\n')); err != nil {
		return reply{}, err
	}
	kill := time.AfterFunc(o.For+overdue, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	var r reply
	if err := p.out.Decode(&r); err != nil {
		return r, fmt.Errorf("%s: %w", p.name, err)
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	return r, nil
}

func (p *outside) must(o order) reply {
	p.t.Helper()
	r, err := p.ask(o)
	if err != nil {
		p.t.Fatalf("%s: %s: %v", p.name, o.Do, err)
	}
	return r
}
