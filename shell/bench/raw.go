package bench

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/transport/framing"
)

const (
	loopback = "127.0.0.1:0"

	// batch is what a batched connection collects before it writes.
	batch = 64 << 10
)

// floor are plain connections: the limit for everybody else.
func floor() []Contestant {
	return []Contestant{
		plain("tcp", "one write a message, with the package header of JXTA", false, false),
		plain("tcp-batched", "the same through a buffer of 64 KiB", false, true),
		plain("tls", "TLS 1.3, one write a message", true, false),
		plain("tls-batched", "the same through a buffer of 64 KiB", true, true),
	}
}

func plain(name, about string, secure, batched bool) Contestant {
	dial := func(addr string) (net.Conn, error) {
		if secure {
			return tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}) // of a process of our own
		}
		return net.Dial("tcp", addr)
	}
	listen := func() (net.Listener, error) {
		l, err := net.Listen("tcp", loopback)
		if err != nil || !secure {
			return l, err
		}
		cert, err := certificate()
		return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}), err
	}
	c := Contestant{
		Name: name, About: about, Floor: true,
		Listen: func(Options) (string, func() (Conn, error), error) {
			l, err := listen()
			if err != nil {
				return "", nil, err
			}
			return l.Addr().String(), func() (Conn, error) {
				c, err := l.Accept()
				if err != nil {
					return nil, err
				}
				return newFramed(c, batched), nil
			}, nil
		},
		Dial: func(addr string, _ Options) (Conn, error) {
			c, err := dial(addr)
			if err != nil {
				return nil, err
			}
			return newFramed(c, batched), nil
		},
	}
	c.Publish = func(subscribers int, _ Options) (string, func([]byte) error, func() error, error) {
		l, err := listen()
		if err != nil {
			return "", nil, nil, err
		}
		x := new(several)
		go x.accept(l, subscribers, batched) // ends with the last subscriber
		return l.Addr().String(), x.send, x.flush, nil
	}
	c.Subscribe = func(addr string, _ Options, f func([]byte)) error {
		c, err := dial(addr)
		if err != nil {
			return err
		}
		in := newFramed(c, batched)
		if err := in.Send(nil); err != nil {
			return err
		}
		go func() { // lives as long as the process
			for {
				b, err := in.Receive()
				if err != nil {
					return
				}
				f(b)
			}
		}()
		return in.Flush()
	}
	if !batched {
		c.ListenStream = func(Options) (string, func() (io.ReadWriteCloser, error), error) {
			l, err := listen()
			if err != nil {
				return "", nil, err
			}
			return l.Addr().String(), func() (io.ReadWriteCloser, error) { return l.Accept() }, nil
		}
		c.DialStream = func(addr string, _ Options) (func() (io.ReadWriteCloser, error), error) {
			return func() (io.ReadWriteCloser, error) { return dial(addr) }, nil
		}
	}
	return c
}

// framed cuts a connection into messages, each behind the package header of JXTA.
type framed struct {
	net.Conn
	w       *bufio.Writer
	batched bool
	r       *bufio.Reader
	in, out []byte
}

func newFramed(c net.Conn, batched bool) *framed {
	return &framed{Conn: c, w: bufio.NewWriterSize(c, batch), batched: batched, r: bufio.NewReaderSize(c, batch)}
}

func (f *framed) Send(b []byte) error {
	if f.batched {
		f.out = framing.AppendHeader(f.out[:0], len(b))
		if _, err := f.w.Write(f.out); err != nil {
			return err
		}
		_, err := f.w.Write(b)
		return err
	}
	f.out = append(framing.AppendHeader(f.out[:0], len(b)), b...)
	_, err := f.Conn.Write(f.out)
	return err
}

func (f *framed) Flush() error { return f.w.Flush() }

func (f *framed) Receive() ([]byte, error) {
	h, err := framing.ReadHeader(f.r)
	if err != nil {
		return nil, err
	}
	n := int(min(h.Length, maxSize))
	if cap(f.in) < n {
		f.in = make([]byte, n)
	}
	_, err = io.ReadFull(f.r, f.in[:n])
	return f.in[:n], err
}

// several are the connections to subscribers.
type several struct {
	mu  sync.Mutex
	all []*framed
}

func (x *several) accept(l net.Listener, subscribers int, batched bool) {
	for range subscribers {
		c, err := l.Accept()
		if err != nil {
			return
		}
		f := newFramed(c, batched)
		if _, err := f.Receive(); err != nil { // that it is there, which ends the handshake of TLS
			return
		}
		x.mu.Lock()
		x.all = append(x.all, f)
		x.mu.Unlock()
	}
}

// send gives a message to all.
func (x *several) send(b []byte) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, f := range x.all {
		if err := f.Send(b); err != nil {
			return err
		}
	}
	return nil
}

// flush writes what is in the buffers, if there are any.
func (x *several) flush() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, f := range x.all {
		if err := f.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// certificate makes one for this process alone.
func certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
