package stream

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/transport/framing"
)

// What the sides agree on in the TLS handshake (ALPN): that JXTA follows; and after
// plain welcomes also which ones they were.
const (
	protocolSecure  = "juxta"
	protocolUpgrade = "juxta/"
)

// TLS, RFC 8446: the first octet of a connection that begins with TLS, and where
// the kind of handshake message stands.
const (
	recordHandshake = 22
	messageAt       = 5
	clientHello     = 1
)

// ErrCrossed is the cause when both sides dialled in the same moment from the ports
// they listen on, and met in one connection that has no acceptor.
var ErrCrossed = errors.New("both sides dialled and met in one connection")

// secure does the TLS handshake on the connection. The other side must hold a key
// fit to prove a peer ID, whichever that is. Both must name proto.
func (l *link) secure(proto string) error {
	if l.s.prover == nil {
		return fmt.Errorf("%w: this peer has no identity to prove", errTLS)
	}
	cfg := &tls.Config{
		MinVersion:                  tls.VersionTLS13,
		Certificates:                []tls.Certificate{l.s.prover.Certificate()},
		ClientAuth:                  tls.RequireAnyClientCert,
		InsecureSkipVerify:          true, // names and authorities mean nothing here; VerifyConnection looks at the key
		NextProtos:                  []string{proto},
		SessionTicketsDisabled:      true,
		DynamicRecordSizingDisabled: true,
		VerifyConnection: func(st tls.ConnectionState) error {
			if st.NegotiatedProtocol != proto {
				return fmt.Errorf("%w: the other side does not agree on %q", errTLS, proto)
			}
			cert := leaf(st)
			return identity.VerifyPeer(keyPeer(cert), cert)
		},
	}
	l.wire = &wire{Conn: l.c, l: l, in: ahead{in: l.in}, under: l.br, client: l.dialed}
	if l.tls = tls.Server(l.wire, cfg); l.dialed {
		l.tls = tls.Client(l.wire, cfg)
	}
	if err := l.tls.Handshake(); err != nil { // ends with the deadline of the connection
		return fmt.Errorf("%w: %w", errTLS, err)
	}
	l.private = true
	l.br = bufio.NewReaderSize(l.tls, welcomeBuffer)
	return nil
}

// leaf is the other side's certificate, nil if it has shown none.
func leaf(st tls.ConnectionState) *x509.Certificate {
	if len(st.PeerCertificates) == 0 {
		return nil
	}
	return st.PeerCertificates[0]
}

// keyPeer is the peer that a certificate proves.
func keyPeer(cert *x509.Certificate) id.Peer {
	if cert == nil {
		return id.Peer{}
	}
	return id.PeerFromKey(cert.RawSubjectPublicKeyInfo)
}

// wire is the connection as TLS sees it. In the handshake it writes through; later
// what TLS writes waits on the link for the link's writer, which writes with
// deadlines and in parts, as TLS could not.
type wire struct {
	net.Conn
	l      *link
	in     ahead
	under  *bufio.Reader // over in; holds what came behind the welcome; nil when it has been read
	client bool          // has not heard from the server yet
	open   bool          // the handshake of the link is over
}

// Read implements io.Reader.
func (w *wire) Read(b []byte) (int, error) {
	if w.client {
		w.client = false
		if head, err := w.under.Peek(messageAt + 1); err == nil && head[0] == recordHandshake && head[messageAt] == clientHello {
			return 0, ErrCrossed
		}
	}
	if w.under == nil {
		return w.in.Read(b)
	}
	if n := w.under.Buffered(); n > 0 {
		return w.under.Read(b[:min(n, len(b))])
	}
	w.under = nil
	return w.in.Read(b)
}

// Write implements io.Writer.
func (w *wire) Write(b []byte) (int, error) {
	if !w.open {
		return w.Conn.Write(b)
	}
	l := w.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return 0, net.ErrClosed
	}
	if !l.sealing { // by the reader
		if l.answers += len(b); l.answers > maxAnswers {
			return 0, fmt.Errorf("stream: more than %d octets of TLS wait for who takes nothing", maxAnswers)
		}
	}
	if l.sealed == nil {
		l.sealed = framesPool.Get().(*frames)
	}
	l.sealed.b = append(l.sealed.b, b...)
	if !l.writing {
		l.writing = true
		l.flushers.Add(1)
		go l.flush(nil) // waited for by the reader before it reports the end
	}
	return len(b), nil
}

// encrypt hands octets to TLS, which leaves its records in l.sealed. The caller is
// the writer.
func (l *link) encrypt(parts ...[]byte) (err error) {
	l.mu.Lock()
	l.sealing = true
	l.mu.Unlock()
	for _, b := range parts {
		if len(b) > 0 && err == nil {
			_, err = l.tls.Write(b)
		}
	}
	l.mu.Lock()
	l.sealing = false
	l.mu.Unlock()
	return err
}

// seal encrypts frames. They are lost if it fails, which ends the link.
func (l *link) seal(f *frames) *frames {
	err := l.encrypt(f.b)
	n := f.n
	f.free()
	return l.takeSealed(n, err)
}

// sealAround encrypts a large message, of which the body is not copied before: the
// processor would fetch it from its slower memory twice.
func (l *link) sealAround(o *outgoing) (f *frames, bad error) {
	around := framesPool.Get().(*frames)
	defer around.free()
	b, body, at, bad := o.msg.AppendAround(framing.AppendHeader(around.b, o.size), o.tail, minAround/2)
	if bad == nil {
		around.b = b
		bad = o.took(len(b) + len(body))
	}
	if bad != nil {
		return nil, bad
	}
	return l.takeSealed(1, l.encrypt(b[:at], body, b[at:])), nil
}

// takeSealed returns what is encrypted, which is n messages, or nil if that failed.
func (l *link) takeSealed(n int, err error) *frames {
	if err != nil {
		l.s.stats.lost.Add(uint64(n))
		l.fail(reason(err))
		return nil
	}
	l.mu.Lock()
	f := l.sealed
	l.sealed, l.answers = nil, 0
	l.mu.Unlock()
	if f == nil { // the link was closed a moment ago
		f = &frames{}
	}
	f.n = n
	return f
}
