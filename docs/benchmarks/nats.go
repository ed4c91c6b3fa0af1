package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/juxta-p2p/juxta/shell/bench"
)

const pending = 1 << 30 // octets and messages that may wait in a client

// serve starts a server in this process, and connects to it.
func serve() (*nats.Conn, string, error) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, MaxPayload: 8 << 20, MaxPending: pending})
	if err != nil {
		return nil, "", err
	}
	go s.Start() // lives as long as the process
	if !s.ReadyForConnections(10 * time.Second) {
		return nil, "", fmt.Errorf("the server did not start")
	}
	c, err := nats.Connect(s.ClientURL(), nats.InProcessServer(s))
	return c, s.ClientURL(), err
}

// natsCore is NATS with its server in the receiver, or in the publisher of what goes to
// many.
func natsCore() bench.Contestant {
	return bench.Contestant{
		Name: "nats", About: "NATS core, its server in the receiver",
		Listen: func(bench.Options) (string, func() (bench.Conn, error), error) {
			c, url, err := serve()
			if err != nil {
				return "", nil, err
			}
			hello, err := c.SubscribeSync("hello")
			if err != nil {
				return "", nil, err
			}
			return url, func() (bench.Conn, error) {
				m, err := hello.NextMsg(time.Hour)
				if err != nil {
					return nil, err
				}
				name := string(m.Data)
				t, err := newTalk(c, name+".in", name+".out")
				if err != nil {
					return nil, err
				}
				return t, m.Respond(nil)
			}, c.Flush()
		},
		Dial: func(addr string, _ bench.Options) (bench.Conn, error) {
			c, err := nats.Connect(addr)
			if err != nil {
				return nil, err
			}
			name := "talk" + strings.TrimPrefix(nats.NewInbox(), nats.InboxPrefix)
			t, err := newTalk(c, name+".out", name+".in")
			if err != nil {
				return nil, err
			}
			_, err = c.Request("hello", []byte(name), 10*time.Second)
			return t, err
		},
		Publish: func(int, bench.Options) (string, func([]byte) error, func() error, error) {
			c, url, err := serve()
			if err != nil {
				return "", nil, nil, err
			}
			return url, func(b []byte) error { return c.Publish("many", b) }, c.Flush, nil
		},
		Subscribe: func(addr string, _ bench.Options, f func([]byte)) error {
			c, err := nats.Connect(addr)
			if err != nil {
				return err
			}
			s, err := c.Subscribe("many", func(m *nats.Msg) { f(m.Data) })
			if err != nil {
				return err
			}
			if err := s.SetPendingLimits(pending, pending); err != nil {
				return err
			}
			return c.Flush()
		},
		Serve: func(bench.Options) (string, error) {
			_, url, err := serve()
			return url, err
		},
		Start: func(addr, _ string) error {
			c, err := nats.Connect(addr)
			if err != nil {
				return err
			}
			return c.Flush()
		},
	}
}

// talk is a conversation over two subjects.
type talk struct {
	c   *nats.Conn
	in  *nats.Subscription
	out string
}

func newTalk(c *nats.Conn, in, out string) (*talk, error) {
	s, err := c.SubscribeSync(in)
	if err != nil {
		return nil, err
	}
	if err := s.SetPendingLimits(pending, pending); err != nil {
		return nil, err
	}
	return &talk{c, s, out}, c.Flush()
}

func (t *talk) Send(b []byte) error { return t.c.Publish(t.out, b) }

// Flush does not wait for the server: the client writes by itself.
func (t *talk) Flush() error { return nil }

func (t *talk) Receive() ([]byte, error) {
	m, err := t.in.NextMsg(time.Hour)
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

func (t *talk) Close() error { return t.in.Unsubscribe() }
