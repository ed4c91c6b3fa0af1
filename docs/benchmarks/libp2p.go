package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"

	"github.com/juxta-p2p/juxta/shell/bench"
)

const (
	protocol = "/bench/1"
	topic    = "bench"
	patience = 20 * time.Second
	maxSize  = 16 << 20
)

func libp2pTLS() bench.Contestant {
	return libp2pWith("libp2p-tls", "streams over TCP with TLS, one write a message; gossipsub", libp2p.Security(libp2ptls.ID, libp2ptls.New))
}

func libp2pNoise() bench.Contestant {
	c := libp2pWith("libp2p-noise", "streams over TCP with Noise, one write a message", libp2p.Security(noise.ID, noise.New))
	c.Publish, c.Subscribe = nil, nil
	return c
}

// hostWith starts a host on loopback that does nothing by itself.
func hostWith(security libp2p.Option) (host.Host, error) {
	return libp2p.New(security, libp2p.Transport(tcp.NewTCPTransport), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"),
		libp2p.DisableRelay(), libp2p.ResourceManager(&network.NullResourceManager{}))
}

func addrOf(h host.Host) string { return fmt.Sprintf("%s/p2p/%s", h.Addrs()[0], h.ID()) }

func connect(security libp2p.Option, addr string) (host.Host, peer.ID, error) {
	info, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return nil, "", err
	}
	h, err := hostWith(security)
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return h, info.ID, h.Connect(ctx, *info)
}

func libp2pWith(name, about string, security libp2p.Option) bench.Contestant {
	accepting := func() (string, chan network.Stream, error) {
		h, err := hostWith(security)
		if err != nil {
			return "", nil, err
		}
		streams := make(chan network.Stream, 16)
		h.SetStreamHandler(protocol, func(s network.Stream) { streams <- s })
		return addrOf(h), streams, nil
	}
	opening := func(addr string) (func() (network.Stream, error), error) {
		h, server, err := connect(security, addr)
		return func() (network.Stream, error) { return h.NewStream(context.Background(), server, protocol) }, err
	}
	return bench.Contestant{
		Name: name, About: about,
		Listen: func(bench.Options) (string, func() (bench.Conn, error), error) {
			addr, streams, err := accepting()
			return addr, func() (bench.Conn, error) { return newFramed(<-streams), nil }, err
		},
		Dial: func(addr string, _ bench.Options) (bench.Conn, error) {
			open, err := opening(addr)
			if err != nil {
				return nil, err
			}
			s, err := open()
			if err != nil {
				return nil, err
			}
			return newFramed(s), nil
		},
		ListenStream: func(bench.Options) (string, func() (io.ReadWriteCloser, error), error) {
			addr, streams, err := accepting()
			return addr, func() (io.ReadWriteCloser, error) { return <-streams, nil }, err
		},
		DialStream: func(addr string, _ bench.Options) (func() (io.ReadWriteCloser, error), error) {
			open, err := opening(addr)
			return func() (io.ReadWriteCloser, error) { return open() }, err
		},
		Publish: func(subscribers int, _ bench.Options) (string, func([]byte) error, func() error, error) {
			h, err := hostWith(security)
			if err != nil {
				return "", nil, nil, err
			}
			ps, err := pubsub.NewGossipSub(context.Background(), h, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithPeerOutboundQueueSize(1<<14))
			if err != nil {
				return "", nil, nil, err
			}
			t, err := ps.Join(topic)
			if err != nil {
				return "", nil, nil, err
			}
			return addrOf(h), func(b []byte) error {
				own := append([]byte(nil), b...)
				return t.Publish(context.Background(), own)
			}, nil, nil
		},
		Subscribe: func(addr string, _ bench.Options, f func([]byte)) error {
			h, _, err := connect(security, addr)
			if err != nil {
				return err
			}
			ps, err := pubsub.NewGossipSub(context.Background(), h, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign))
			if err != nil {
				return err
			}
			t, err := ps.Join(topic)
			if err != nil {
				return err
			}
			sub, err := t.Subscribe(pubsub.WithBufferSize(1 << 14))
			if err != nil {
				return err
			}
			go func() { // lives as long as the process
				for {
					m, err := sub.Next(context.Background())
					if err != nil {
						return
					}
					f(m.Data)
				}
			}()
			return nil
		},
		Serve: func(bench.Options) (string, error) {
			h, err := hostWith(security)
			if err != nil {
				return "", err
			}
			return addrOf(h), nil
		},
		Start: func(addr, _ string) error {
			_, _, err := connect(security, addr)
			return err
		},
	}
}

// framed cuts a stream into messages, each behind its length.
type framed struct {
	io.ReadWriteCloser
	r       *bufio.Reader
	in, out []byte
}

func newFramed(s io.ReadWriteCloser) *framed {
	return &framed{ReadWriteCloser: s, r: bufio.NewReaderSize(s, 64<<10)}
}

func (f *framed) Send(b []byte) error {
	f.out = append(binary.BigEndian.AppendUint32(f.out[:0], uint32(len(b))), b...)
	_, err := f.Write(f.out)
	return err
}

func (f *framed) Flush() error { return nil }

func (f *framed) Receive() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(head[:]))
	if n > maxSize {
		return nil, errors.New("a message that is too long")
	}
	if cap(f.in) < n {
		f.in = make([]byte, n)
	}
	_, err := io.ReadFull(f.r, f.in[:n])
	return f.in[:n], err
}
