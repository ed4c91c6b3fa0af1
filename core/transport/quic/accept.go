package quic

import (
	"context"
	"errors"
	"net"
	"slices"

	quicgo "github.com/quic-go/quic-go"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/transport/framing"
)

// arrival is a connection that others opened, from its first packet on.
type arrival struct {
	ip   string
	conn *quicgo.Conn // nil until it is accepted; Transport.mu guards it
}

// arrivalKey is where the context of a connection keeps its arrival.
type arrivalKey struct{}

var errTooMany = errors.New("too many connections")

// doubt reports whether who sends from an address must first prove that it receives
// there: when many have begun and not said who they are.
func (t *Transport) doubt(net.Addr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting) >= retryFrom
}

// arrive applies the limits on strangers to the first packet of a connection, before
// it costs anything.
func (t *Transport) arrive(ctx context.Context, info *quicgo.ClientInfo) (context.Context, error) {
	ip := ipOf(info.RemoteAddr)
	a := &arrival{ip: ip.WithZone("").String()}
	t.mu.Lock()
	if t.closed || t.cfg.ClientOnly && !t.expects(ip) {
		t.mu.Unlock()
		return nil, endpoint.ErrClosed
	}
	if !t.trusted(a.ip) && (t.perHost[a.ip] >= t.cfg.MaxPerHost || t.handshakesOf(a.ip) >= maxHandshakesPerHost) {
		t.mu.Unlock()
		t.stats.host.Add(1)
		t.offend(a.ip, "connections")
		return nil, errTooMany
	}
	var oldest *quicgo.Conn
	if len(t.waiting) >= maxHandshakes {
		oldest = t.waiting[0].conn
		if oldest == nil {
			t.mu.Unlock()
			t.stats.strangers.Add(1)
			return nil, errTooMany
		}
		t.waiting = slices.Delete(t.waiting, 0, 1)
		t.wg.Go(func() { _ = oldest.CloseWithError(codeRefused, errTooMany.Error()) })
	}
	t.waiting = append(t.waiting, a)
	t.perHost[a.ip]++
	t.released.Add(1)
	t.mu.Unlock()
	if oldest != nil {
		t.stats.strangers.Add(1)
	}
	context.AfterFunc(ctx, func() { // when the connection ends, however it does
		defer t.released.Done()
		t.known(a)
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.perHost[a.ip]--; t.perHost[a.ip] <= 0 {
			delete(t.perHost, a.ip)
		}
	})
	return context.WithValue(ctx, arrivalKey{}, a), nil
}

// handshakesOf counts the strangers of an IP address. t.mu is held.
func (t *Transport) handshakesOf(ip string) int {
	n := 0
	for _, a := range t.waiting {
		if a.ip == ip {
			n++
		}
	}
	return n
}

// known takes a connection off the list of those that have not said who they are.
func (t *Transport) known(a *arrival) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = slices.DeleteFunc(t.waiting, func(x *arrival) bool { return x == a })
}

// accept takes connections until listening ends.
func (t *Transport) accept(p *port) {
	for {
		q, err := p.listener.Accept(context.Background()) // ends with the listener
		if err != nil {
			return
		}
		t.stats.accepted.Add(1)
		a, _ := q.Context().Value(arrivalKey{}).(*arrival)
		t.mu.Lock()
		closed := t.closed
		if a != nil && !closed {
			a.conn = q
		}
		t.mu.Unlock()
		if closed || a == nil {
			_ = q.CloseWithError(codeRefused, endpoint.ErrClosed.Error())
			continue
		}
		t.wg.Go(func() {
			err := t.welcome(q, p)
			t.known(a)
			if err != nil {
				t.host.Logger.Debug("incoming connection ended early", "from", a.ip, "error", err)
			}
		})
	}
}

// welcome makes a link of an accepted connection. It greets before it knows the
// other side, so that the dialler, whose welcome comes with the last packets of the
// handshake, need not wait.
func (t *Transport) welcome(q *quicgo.Conn, p *port) error {
	ctx, cancel := context.WithTimeout(t.ctx, t.times.connect)
	defer cancel()
	fail := func(err error) error {
		t.stats.handshake.Add(1)
		_ = q.CloseWithError(codeFailed, "")
		return err
	}
	s, err := q.OpenStreamSync(ctx)
	if err != nil {
		return fail(err)
	}
	c := t.newConn(q, s, p, q.LocalAddr())
	line := t.greeting(c)
	if _, err := s.Write(line); err != nil {
		return fail(err)
	}
	select {
	case <-q.HandshakeComplete():
	case <-q.Context().Done():
		return fail(context.Cause(q.Context()))
	case <-ctx.Done():
		return fail(context.Cause(ctx))
	}
	c.said = line
	if !t.enter(c) {
		return fail(endpoint.ErrClosed)
	}
	l, err := t.set.Accepted(ctx, c, nil)
	if err == nil {
		c.isLinked()
		t.cameFrom(ipPortOf(c.RemoteAddr()), l)
	}
	return err
}

// greeting is the welcome that the stream will want to write on an accepted
// connection, which is a matter of the addresses alone.
func (t *Transport) greeting(c *conn) []byte {
	seen := endpoint.Address{Protocol: Protocol, Host: c.RemoteAddr().String()}
	return framing.Welcome{
		Dest: seen.With(mark, markSecure), Public: t.local(c), Peer: t.host.Peer,
	}.AppendTo(nil)
}

// The mark of a Juxta peer with an identity in its welcome.
const (
	mark       = "juxta"
	markSecure = "tls"
)
