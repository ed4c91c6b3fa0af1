package bench

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/pipe"
)

// patience bounds finding one's way to the other process.
const patience = 20 * time.Second

// own are the contestants of Juxta: pipes and sockets over its transports.
func own() []Contestant {
	return []Contestant{
		juxta("juxta", "pipes and sockets, links encrypted as by default", "tcp", true),
		juxta("juxta-plain", "the same without encryption", "tcp", false),
		juxta("juxta-http", "the same over HTTP, encrypted", "http", true),
	}
}

// start starts a peer on loopback that is alone there but for its seeds.
func start(scheme string, secure bool, seeds ...string) (*peergroup.Peer, error) {
	cfg := peergroup.Config{
		Name: "bench", Listen: []string{scheme + "://127.0.0.1:0"}, NoLAN: true, NoMulticast: true, NoPortMapping: true,
		Seeds: seeds, Roles: peergroup.Roles{Rendezvous: len(seeds) == 0}, ForwardRate: -1,
	}
	if !secure {
		cfg.PeerID = id.NewPeer(id.NetGroup) // of no key, so that nothing can be encrypted
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p, err := peergroup.Start(context.Background(), cfg) // it lives as long as the process
	if err == nil && len(seeds) > 0 {
		err = p.Net().Rendezvous().WaitConnected(ctx)
	}
	return p, err
}

func juxta(name, about, scheme string, secure bool) Contestant {
	c := Contestant{Name: name, About: about}
	serve := func() (*peergroup.Peer, string, error) {
		p, err := start(scheme, secure)
		if err != nil {
			return nil, "", err
		}
		all := p.Addresses()
		at := all[len(all)-1].String() // without TLS from the first octet: the marks decide
		return p, at + " " + p.ID().String(), nil
	}
	reach := func(addr string) (*peergroup.Peer, id.Peer, []string, error) {
		parts := strings.Fields(addr)
		server, err := id.ParsePeer(parts[1])
		if err != nil {
			return nil, server, nil, err
		}
		p, err := start(scheme, secure, parts[0])
		return p, server, parts[2:], err
	}
	c.Listen = func(o Options) (string, func() (Conn, error), error) {
		p, at, err := serve()
		if err != nil {
			return "", nil, err
		}
		adv := advertisements.NewPipe(p.Net().ID(), "bench", advertisements.Unicast)
		in, err := p.Net().Pipes().Listen(context.Background(), adv)
		if err != nil {
			return "", nil, err
		}
		return at + " " + adv.ID.String(), func() (Conn, error) {
			m, err := in.Receive(context.Background())
			if err != nil {
				return nil, err
			}
			return answer(p, m, o)
		}, nil
	}
	c.Dial = func(addr string, o Options) (Conn, error) {
		p, server, rest, err := reach(addr)
		if err != nil {
			return nil, err
		}
		return call(p, server, rest[0], o)
	}
	c.ListenStream = func(Options) (string, func() (io.ReadWriteCloser, error), error) {
		p, at, err := serve()
		if err != nil {
			return "", nil, err
		}
		adv := advertisements.NewPipe(p.Net().ID(), "bench", advertisements.Unicast)
		l, err := p.Net().Sockets().Listen(context.Background(), adv)
		if err != nil {
			return "", nil, err
		}
		return at + " " + adv.ID.String(), func() (io.ReadWriteCloser, error) { return l.Accept() }, nil
	}
	c.DialStream = func(addr string, _ Options) (func() (io.ReadWriteCloser, error), error) {
		p, _, rest, err := reach(addr)
		if err != nil {
			return nil, err
		}
		adv, err := pipeOf(rest[0])
		return func() (io.ReadWriteCloser, error) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			return p.Net().Sockets().Dial(ctx, adv)
		}, err
	}
	c.Publish = func(subscribers int, _ Options) (string, func([]byte) error, func() error, error) {
		p, at, err := serve()
		if err != nil {
			return "", nil, nil, err
		}
		adv := advertisements.NewPipe(p.Net().ID(), "bench", advertisements.Propagate)
		out, err := p.Net().Pipes().Dial(context.Background(), adv)
		msg := message.New(message.Bytes("", "b", nil))
		return at + " " + adv.ID.String(), func(b []byte) error {
			msg.Replace(message.Bytes("", "b", b))
			return out.Send(context.Background(), msg)
		}, nil, err
	}
	c.Subscribe = func(addr string, _ Options, f func([]byte)) error {
		p, _, rest, err := reach(addr)
		if err != nil {
			return err
		}
		adv, err := pipeOf(rest[0])
		if err != nil {
			return err
		}
		adv.Type = advertisements.Propagate
		_, err = p.Net().Pipes().ListenWith(context.Background(), adv, pipe.ListenConfig{Handle: func(m pipe.Message) {
			e, _ := m.Get("", "b")
			f(e.Body)
			m.Release()
		}})
		return err
	}
	c.Serve = func(Options) (string, error) {
		_, at, err := serve()
		return at, err
	}
	c.Start = func(addr, home string) error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		p, err := peergroup.Start(context.Background(), peergroup.Config{
			Name: "bench", Home: home, Listen: []string{scheme + "://127.0.0.1:0"}, NoLAN: true, NoMulticast: true, NoPortMapping: true,
			Seeds: []string{strings.Fields(addr)[0]},
		})
		if err != nil {
			return err
		}
		return p.Net().Rendezvous().WaitConnected(ctx)
	}
	return c
}

func pipeOf(name string) (*advertisements.Pipe, error) {
	p, err := id.ParsePipe(name)
	return &advertisements.Pipe{ID: p, Type: advertisements.Unicast, Name: "bench"}, err
}

// talk is a conversation over two pipes.
type talk struct {
	in   *pipe.Input
	out  *pipe.Output
	last pipe.Message
	msg  *message.Message
}

// inline is a conversation whose messages are handled where they come in.
type inline struct {
	talk
	f     atomic.Pointer[func([]byte)]
	mu    sync.Mutex            // held while f is set, and while something is put into first
	first chan *message.Message // what came before there was a handler
}

func (t *inline) Handle(f func([]byte)) {
	t.mu.Lock()
	t.f.Store(&f)
	t.mu.Unlock()
	select {
	case m := <-t.first:
		e, _ := m.Get("", "b")
		f(e.Body)
	default:
	}
}

func (t *inline) take(m pipe.Message) {
	f := t.f.Load()
	if f == nil {
		t.mu.Lock()
		if f = t.f.Load(); f == nil {
			select {
			case t.first <- m.Message:
			default:
			}
		}
		t.mu.Unlock()
	}
	if f != nil {
		e, _ := m.Get("", "b")
		(*f)(e.Body)
		m.Release()
	}
}

// open opens the input of a conversation. first returns the first message.
func open(ctx context.Context, p *peergroup.Peer, adv *advertisements.Pipe, o Options) (c Conn, t *talk, first func() (*message.Message, error), err error) {
	if !o.Inline {
		t := new(talk)
		t.in, err = p.Net().Pipes().ListenWith(ctx, adv, pipe.ListenConfig{Quiet: true})
		return t, t, func() (*message.Message, error) {
			m, err := t.in.Receive(ctx)
			return m.Message, err
		}, err
	}
	x := &inline{first: make(chan *message.Message, 1)}
	x.in, err = p.Net().Pipes().ListenWith(ctx, adv, pipe.ListenConfig{Quiet: true, Handle: x.take})
	return x, &x.talk, func() (*message.Message, error) {
		select {
		case m := <-x.first:
			return m, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}, err
}

// call opens a pipe of its own, and tells the other side of it.
func call(p *peergroup.Peer, server id.Peer, name string, o Options) (Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	adv, err := pipeOf(name)
	if err != nil {
		return nil, err
	}
	back := advertisements.NewPipe(p.Net().ID(), "bench", advertisements.Unicast)
	c, t, answer, err := open(ctx, p, back, o)
	if err != nil {
		return nil, err
	}
	first, err := p.Net().Pipes().Bind(adv, server)
	if err != nil {
		return nil, err
	}
	defer first.Close()
	if err := first.Send(ctx, message.New(message.Text("", "back", back.ID.String()))); err != nil {
		return nil, err
	}
	m, err := answer()
	if err != nil {
		return nil, err
	}
	to, err := pipeOf(m.Text("", "to"))
	if err != nil {
		return nil, err
	}
	t.out, err = p.Net().Pipes().Bind(to, server)
	return c, err
}

// answer opens a pipe for one caller.
func answer(p *peergroup.Peer, m pipe.Message, o Options) (Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	to, err := pipeOf(m.Text("", "back"))
	if err != nil {
		return nil, err
	}
	adv := advertisements.NewPipe(p.Net().ID(), "bench", advertisements.Unicast)
	c, t, _, err := open(ctx, p, adv, o)
	if err != nil {
		return nil, err
	}
	if t.out, err = p.Net().Pipes().Bind(to, m.From); err != nil {
		return nil, err
	}
	return c, t.out.Send(ctx, message.New(message.Text("", "to", adv.ID.String())))
}

func (t *talk) Send(b []byte) error {
	if t.msg == nil {
		t.msg = message.New()
	}
	t.msg.Replace(message.Bytes("", "b", b))
	return t.out.Send(context.Background(), t.msg)
}

func (t *talk) Flush() error { return nil }

func (t *talk) Receive() ([]byte, error) {
	if t.last.Message != nil {
		t.last.Release()
	}
	var err error
	if t.last, err = t.in.Receive(context.Background()); err != nil {
		return nil, err
	}
	e, ok := t.last.Get("", "b")
	if !ok {
		return nil, errors.New("bench: a message without content")
	}
	return e.Body, nil
}

func (t *talk) Close() error {
	t.out.Close()
	t.in.Close()
	return nil
}

// homeOf is the folder of a contestant under one for all.
func homeOf(all, name string) (string, error) {
	dir := all + string(os.PathSeparator) + name
	return dir, os.MkdirAll(dir, 0o700)
}
