//go:build linux

package reachtest

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/pipe"
)

// peerVariable says to this binary that it is to be a peer of the laboratory.
const peerVariable = "JUXTA_TEST_REACH_PEER"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(sweepVariable) != "":
		sweep(os.Getenv(sweepVariable))
	case os.Getenv(proxyVariable) != "":
		beProxy(os.Getenv(proxyVariable))
	case os.Getenv(peerVariable) != "":
		bePeer()
	default:
		if what := os.Getenv(attackVariable); what != "" {
			beAttacker(what)
			return
		}
		if file := os.Getenv(sniffVariable); file != "" {
			beSniffer(file)
			return
		}
		if at := os.Getenv(proxyVariable); at != "" {
			beProxy(at)
			return
		}
		os.Exit(m.Run())
	}
}

// order is what the test tells a peer to do; one a line.
type order struct {
	Do     string // start, talk, path, why, stop
	Config config
	Peer   string
	Text   string
	Wait   time.Duration
	Size   int64 // of a stream
}

// config is how a peer of the laboratory is to be.
type config struct {
	Name       string
	Listen     []string
	Seeds      []string
	Relays     []string
	Roles      string
	ClientOnly bool
	QUIC       bool
	LAN        bool // looks for others near by, as by default
	Plain      bool // has an ID that it cannot prove
	Desc       string
}

// reply is what it says then.
type reply struct {
	Error string `json:",omitempty"`

	ID        string        `json:",omitempty"`
	Addresses []string      `json:",omitempty"`
	Took      time.Duration `json:",omitempty"`
	Path      string        `json:",omitempty"` // "" if none, address of the link, or "via" and names
	Direct    bool          `json:",omitempty"`
	Words     string        `json:",omitempty"`
	Cause     string        `json:",omitempty"`
	Hash      string        `json:",omitempty"` // of what was sent
	Theirs    string        `json:",omitempty"` // of what arrived
}

// bePeer is the program of a peer: it does what its standard input says.
func bePeer() {
	p := &inside{out: json.NewEncoder(os.Stdout)}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var o order
		if err := json.Unmarshal(in.Bytes(), &o); err != nil {
			p.say(reply{Error: err.Error()})
			continue
		}
		r, err := p.do(o)
		if err != nil {
			r.Error = err.Error()
		}
		p.say(r)
	}
	if p.peer != nil {
		_ = p.peer.Close()
	}
}

// inside is a peer of the laboratory as its process sees it.
type inside struct {
	peer *peergroup.Peer
	mu   sync.Mutex
	out  *json.Encoder
}

func (p *inside) say(r reply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.out.Encode(r)
}

func (p *inside) do(o order) (reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), max(o.Wait, time.Second))
	defer cancel()
	if o.Do == "start" {
		return p.start(o.Config)
	}
	other, err := id.ParsePeer(o.Peer)
	if err != nil {
		return reply{}, err
	}
	switch o.Do {
	case "talk":
		return p.talk(ctx, other, o.Text)
	case "path":
		return p.path(ctx, other, o.Text == "direct"), nil
	case "stream":
		return p.stream(ctx, other, o.Size)
	case "rounds":
		return p.rounds(ctx, other, int(o.Size))
	case "limits":
		var all []string
		for _, x := range p.peer.Endpoint().Offences() {
			all = append(all, fmt.Sprintf("%s %s %d", x.Origin, x.Limit, x.Count))
		}
		return reply{Addresses: all}, nil
	case "links":
		return p.links(), nil
	case "why":
		r := p.peer.Why(ctx, other, o.Text)
		return reply{Cause: string(r.Cause), Words: r.Why}, nil
	}
	return reply{}, fmt.Errorf("no order %q", o.Do)
}

// mailbox is the pipe on which a peer of the laboratory is talked to.
func mailbox(p id.Peer) *advertisements.Pipe {
	adv := advertisements.NewPipe(id.NetGroup, "mailbox", advertisements.Unicast)
	adv.ID = id.PipeFromSeed(id.NetGroup, []byte(p.Unique()[len(p.Unique())-20:]))
	return adv
}

func (p *inside) start(c config) (reply, error) {
	roles, err := peergroup.ParseRoles(c.Roles)
	if err != nil {
		return reply{}, err
	}
	cfg := peergroup.Config{
		Name: c.Name, Listen: c.Listen, Seeds: c.Seeds, Relays: c.Relays, Roles: roles, ClientOnly: c.ClientOnly,
		NoLAN: !c.LAN, NoMulticast: !c.LAN, Description: c.Desc, Logger: logger(c.Name),
	}
	if c.Plain {
		cfg.PeerID = id.NewPeer(id.NetGroup)
	}
	cfg.Extra = extra(c)
	began := time.Now()
	if p.peer, err = peergroup.Start(context.Background(), cfg); err != nil {
		return reply{}, err
	}
	in, err := p.peer.Net().Pipes().Listen(context.Background(), mailbox(p.peer.ID()))
	if err != nil {
		return reply{}, err
	}
	go p.echo(in) // until the process ends
	if !c.Plain {
		sink, err := p.peer.Net().Pipes().Listen(context.Background(), sinkOf(p.peer.ID()))
		if err != nil {
			return reply{}, err
		}
		go p.swallow(sink)
	}
	if len(c.Seeds) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := p.peer.Net().Rendezvous().WaitConnected(ctx); err != nil {
			return reply{}, fmt.Errorf("no lease: %w", err)
		}
	}
	r := reply{ID: p.peer.ID().String(), Took: time.Since(began)}
	for _, a := range p.peer.Addresses() {
		r.Addresses = append(r.Addresses, a.String())
	}
	return r, nil
}

// echo answers what comes to the mailbox in the sender's.
func (p *inside) echo(in *pipe.Input) {
	outs := map[id.Peer]*pipe.Output{}
	for m, err := range in.Messages(context.Background()) {
		if err != nil {
			return
		}
		text, _ := m.Get("", "text")
		if strings.HasPrefix(string(text.Body), "echo ") {
			arrived.put(string(text.Body))
			continue
		}
		out := outs[m.From]
		if out == nil {
			if out, err = p.peer.Net().Pipes().Bind(mailbox(m.From), m.From); err != nil {
				continue
			}
			outs[m.From] = out
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		_ = out.Send(ctx, message.New(message.Text("", "text", "echo "+string(text.Body))))
		cancel()
	}
}

// sinkOf is the secure pipe that takes streams.
func sinkOf(p id.Peer) *advertisements.Pipe {
	adv := mailbox(p)
	adv.ID = id.PipeFromSeed(id.NetGroup, []byte(p.Unique()[len(p.Unique())-18:]))
	adv.Name, adv.Type = "sink", advertisements.UnicastSecure
	return adv
}

// swallow takes streams and tells their senders the hash.
func (p *inside) swallow(in *pipe.Input) {
	state := map[id.Peer]hash.Hash{}
	for m, err := range in.Messages(context.Background()) {
		if err != nil {
			return
		}
		if state[m.From] == nil {
			state[m.From] = sha256.New()
		}
		if sum, ok := m.Get("", "sum"); ok {
			sums <- string(sum.Body)
			continue
		}
		if data, ok := m.Get("", "data"); ok {
			state[m.From].Write(data.Body)
			continue
		}
		sum := hex.EncodeToString(state[m.From].Sum(nil))
		delete(state, m.From)
		out, err := p.peer.Net().Pipes().Bind(sinkOf(m.From), m.From)
		if err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		_ = out.Send(ctx, message.New(message.Text("", "sum", sum)))
		cancel()
		out.Close()
	}
}

// chunk is how much of a stream goes into a message.
const chunk = 32 << 10

// stream sends that many octets through a secure pipe, and tells the hash and that
// of what arrived.
func (p *inside) stream(ctx context.Context, other id.Peer, size int64) (reply, error) {
	began := time.Now()
	out, err := p.peer.Net().Pipes().Bind(sinkOf(other), other)
	if err != nil {
		return reply{}, err
	}
	defer out.Close()
	rng := rand.NewChaCha8([32]byte{1})
	sum := sha256.New()
	block := make([]byte, chunk)
	for left := size; left > 0; left -= chunk {
		part := block[:min(left, chunk)]
		_, _ = rng.Read(part)
		sum.Write(part)
		if err := out.Send(ctx, message.New(message.Bytes("", "data", part))); err != nil {
			return reply{}, fmt.Errorf("after %d octets: %w", size-left, err)
		}
	}
	if err := out.Send(ctx, message.New(message.Text("", "end", ""))); err != nil {
		return reply{}, err
	}
	r := reply{Hash: hex.EncodeToString(sum.Sum(nil)), Path: p.path(ctx, other, false).Path}
	select {
	case r.Theirs = <-sums:
	case <-ctx.Done():
		return r, errors.New("the other side does not tell the hash")
	}
	r.Took = time.Since(began)
	return r, nil
}

// sums are the hashes that others tell.
var sums = make(chan string, 8)

// links lists the links.
func (p *inside) links() reply {
	var all []string
	for _, l := range p.peer.Endpoint().Links() {
		all = append(all, fmt.Sprintf("%s %s", l.Peer().Short(), l.Remote()))
	}
	return reply{Addresses: all, Words: p.peer.Reachability().String()}
}

// arrived holds the echoes that nobody has taken yet.
var arrived = &echoes{}

type echoes struct {
	mu  sync.Mutex
	all map[string]chan struct{}
}

func (e *echoes) of(text string) chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.all == nil {
		e.all = map[string]chan struct{}{}
	}
	if e.all[text] == nil {
		e.all[text] = make(chan struct{}, 1)
	}
	return e.all[text]
}

func (e *echoes) put(text string) {
	select {
	case e.of(text) <- struct{}{}:
	default:
	}
}

// talk sends a message to the other's mailbox, which it finds by asking the group,
// and waits for the echo.
func (p *inside) talk(ctx context.Context, other id.Peer, text string) (reply, error) {
	began := time.Now()
	out, err := p.peer.Net().Pipes().Dial(ctx, mailbox(other))
	if err != nil {
		return reply{}, err
	}
	defer out.Close()
	if err := out.Send(ctx, message.New(message.Text("", "text", text))); err != nil {
		return reply{}, err
	}
	select {
	case <-arrived.of("echo " + text):
	case <-ctx.Done():
		return reply{}, errors.New("no echo")
	}
	r := p.path(ctx, other, false)
	r.Took = time.Since(began)
	return r, nil
}

// path tells the way to the other, at once or when there is a direct one.
func (p *inside) path(ctx context.Context, other id.Peer, direct bool) reply {
	began := time.Now()
	for {
		if l := p.peer.Endpoint().LinkTo(other); l != nil {
			how := l.Remote().Protocol
			if at, ok := endpoint.Observed(l); ok && how == "" {
				how = at.Protocol
			}
			if endpoint.Encrypted(l) {
				how += ", encrypted"
			}
			return reply{Path: how, Direct: true, Took: time.Since(began)}
		}
		if !direct || ctx.Err() != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	for _, i := range p.peer.Router().Routes() {
		if i.Peer == other && len(i.Hops) > 0 {
			var hops []string
			for _, h := range i.Hops {
				hops = append(hops, h.Short())
			}
			return reply{Path: "via " + strings.Join(hops, ", "), Took: time.Since(began)}
		}
	}
	return reply{Took: time.Since(began), Words: p.peer.Reachability().String()}
}

// logger writes to standard error if the test is asked to be loud.
func logger(name string) *slog.Logger {
	if os.Getenv("JUXTA_REACH_LOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("name", name)
}

// outside is a peer of the laboratory as the test sees it.
type outside struct {
	t    *testing.T
	name string
	id   string
	at   []string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *json.Decoder
}

// peer starts a peer in a namespace.
func (l *lab) peer(space string, c config, env ...string) *outside {
	l.t.Helper()
	p := l.process(space, append(env, peerVariable+"=1")...)
	c.Name = space
	r := p.must(order{Do: "start", Config: c})
	p.id, p.at = r.ID, r.Addresses
	return p
}

// process runs this binary in a namespace once more, in a part that env names. It
// ends when its standard input does.
func (l *lab) process(space string, env ...string) *outside {
	l.t.Helper()
	self, err := os.Executable()
	if err != nil {
		l.t.Fatal(err)
	}
	p := &outside{t: l.t, name: space}
	p.cmd = exec.Command("ip", "netns", "exec", l.prefix+space, self)
	p.cmd.Env = append(os.Environ(), env...)
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
	return p
}

// stop ends the peer, which may be dead.
func (p *outside) stop() {
	if p.in == nil {
		return
	}
	_ = p.in.Close()
	p.in = nil
	kill := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	_ = p.cmd.Wait()
}

// kill ends the peer without a goodbye.
func (p *outside) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.in.Close()
	p.in = nil
	_ = p.cmd.Wait()
}

// overdue is how much longer than told an order may take; then the peer is killed.
const overdue = 45 * time.Second

// ask gives an order and returns the reply.
func (p *outside) ask(o order) (reply, error) {
	p.t.Helper()
	b, err := json.Marshal(o)
	if err != nil {
		return reply{}, err
	}
	if _, err := p.in.Write(append(b, '\n')); err != nil {
		return reply{}, err
	}
	kill := time.AfterFunc(o.Wait+overdue, func() { _ = p.cmd.Process.Kill() })
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
