package stream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/transport/framing"
)

// role is the part that this side plays in a handshake.
type role uint8

const (
	dialler  role = iota // speaks first
	acceptor             // says nothing before it has heard what the other side speaks
	follower             // acceptor or dialler, whatever the other side is not
)

// What a Juxta peer writes as service and parameter behind the other side's
// address in its welcome. JXSE reads it as a service name and does not look at it.
// The parameter tells whether the peer can go on in TLS.
const (
	mark       = "juxta"
	markPlain  = "1"
	markSecure = "tls"
)

var (
	errSilent  = errors.New("the other side sent no welcome in time")
	errSlow    = errors.New("no TLS handshake in time")
	errSending = errors.New("sending the welcome")
	errTLS     = errors.New("TLS")

	// errInsecure and errClaimed are why plain links are refused.
	errInsecure = fmt.Errorf("%w: only encrypted links are wanted here", endpoint.ErrUnproven)
	errClaimed  = fmt.Errorf("%w: the ID is made of a key", endpoint.ErrUnproven)
)

// phaseOf tells in which phase a handshake failed.
func phaseOf(err error) endpoint.Phase {
	var proof *identity.ProofError
	switch {
	case errors.Is(err, errInsecure):
		return endpoint.PhasePolicy
	case errors.Is(err, endpoint.ErrUnproven), errors.As(err, &proof):
		return endpoint.PhaseIdentity
	}
	return endpoint.PhaseHandshake
}

// handshake finds out who is at the other end; target is zero for an acceptor. One
// deadline holds for all of it, and it ends with ctx, whose cause is then the error.
func (s *Set) handshake(ctx context.Context, c net.Conn, target endpoint.Address, r role) (*link, error) {
	deadline := time.Now().Add(s.times.Welcome)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	_ = c.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	l := &link{
		s: s, c: c, in: &patient{c: c, socket: newSocket(c), silence: s.times.Read}, local: s.cfg.Local(c), dialed: r == dialler,
		ip: origin(c), once: newAtOnce(c), closed: make(chan struct{}),
	}
	l.br = bufio.NewReaderSize(l.in, welcomeBuffer)
	var err error
	if r == follower {
		l.dialed, err = l.unheard(ctx, deadline)
	}
	if err == nil {
		err = l.meet(target)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, s.count(err)
	case !stop():
		return nil, context.Cause(ctx) // it may still be about to set the deadline
	}
	_ = c.SetDeadline(time.Time{})
	l.beginReading()
	if err := s.judge(l); err != nil {
		s.stats.unproven.Add(1)
		return nil, fmt.Errorf("peer %s: %w", l.peer.Short(), err)
	}
	return l, nil
}

// beginReading leaves the buffer of the handshake behind.
func (l *link) beginReading() {
	if l.tls != nil {
		l.box.start(l.br, l.tls)
	} else {
		l.box.start(l.br, l.in)
	}
	l.br = nil
}

// count counts a failed handshake and returns the error to report.
func (s *Set) count(err error) error {
	var proof *identity.ProofError
	late := errors.Is(err, os.ErrDeadlineExceeded)
	switch {
	case errors.As(err, &proof):
		s.stats.otherKey.Add(1)
	case errors.Is(err, errTLS):
		s.stats.badTLS.Add(1)
		if late {
			return errSlow
		}
	case errors.Is(err, errSending):
	default:
		s.stats.badWelcome.Add(1)
		if late {
			return errSilent
		}
	}
	return err
}

// judge applies the rules of the host on who may go unproven.
func (s *Set) judge(l *link) error {
	switch {
	case l.proven:
		return nil
	case s.host.RequireSecure:
		return errInsecure
	case l.peer.Provable() && s.prover != nil && !s.host.AllowClaimed:
		return errClaimed
	}
	return nil
}

// unheard waits a moment for the other side's first octet and reports whether none
// came.
func (l *link) unheard(ctx context.Context, deadline time.Time) (bool, error) {
	patience := time.Now().Add(l.s.times.Follow)
	if deadline.Before(patience) {
		patience = deadline
	}
	_ = l.c.SetReadDeadline(patience)
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	_, err := l.br.Peek(1)
	_ = l.c.SetReadDeadline(deadline)
	if ctx.Err() != nil { // its end may have set a deadline that is overwritten now
		return false, context.Cause(ctx)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return true, nil
	}
	return false, err
}

// meet exchanges the welcomes, and goes over to TLS before, or afterwards if both
// can.
func (l *link) meet(target endpoint.Address) error {
	s := l.s
	carrier, carried := l.c.(interface{ PeerCertificate() *x509.Certificate })
	l.private = carried
	secured := s.cfg.Secured != "" && target.Protocol == s.cfg.Secured
	if !l.dialed {
		first, err := l.br.Peek(1)
		if err != nil {
			return err
		}
		begins := first[0] == recordHandshake && s.cfg.Secured != "" && s.prover != nil && !carried
		if secured && !begins {
			return fmt.Errorf("%w: the other side does not begin with it", errTLS)
		}
		secured = begins
	}
	if secured && !carried {
		if err := l.secure(protocolSecure); err != nil {
			return err
		}
	}
	mine, theirs, err := l.greet(target)
	if err != nil {
		return err
	}
	if !l.private && upgrades(mine) && upgrades(theirs) {
		if err := l.secure(protocolUpgrade + l.digest(mine, theirs)); err != nil {
			return err
		}
	}
	l.peer = theirs.Peer
	l.juxta = theirs.Dest.Service == mark || l.tls != nil
	l.remote, l.asked = theirs.Public, theirs.Dest
	if l.asked.Service == mark {
		l.asked = l.asked.Base()
	}
	if l.dialed {
		l.asked, l.remote = target, target.Base()
		if at, err := netip.ParseAddrPort(theirs.Dest.Host); err == nil && !at.Addr().IsUnspecified() && at.Port() != 0 {
			l.observed = theirs.Dest.Base()
		}
	}
	if !l.private {
		return nil
	}
	var cert *x509.Certificate
	if carried {
		cert = carrier.PeerCertificate()
	} else {
		cert = leaf(l.tls.ConnectionState())
	}
	if err := identity.VerifyPeer(l.peer, cert); err != nil {
		return err
	}
	l.proven = true
	if l.tls != nil {
		l.wire.open = true
	}
	return nil
}

// greet exchanges the welcomes and returns both as the other side reads them.
func (l *link) greet(target endpoint.Address) (mine, theirs framing.Welcome, err error) {
	param := markPlain
	if l.s.prover != nil {
		param = markSecure
	}
	mine = framing.Welcome{Dest: target, Public: l.local, Peer: l.s.host.Peer}
	if !l.dialed {
		mine.Dest = endpoint.Address{Protocol: l.s.cfg.Protocol, Host: l.c.RemoteAddr().String()}
	}
	if mine.Dest.Service == "" {
		mine.Dest = mine.Dest.With(mark, param)
	}
	line := mine.AppendTo(nil)
	if mine, err = framing.ReadWelcome(bufio.NewReader(bytes.NewReader(line))); err != nil {
		return mine, theirs, fmt.Errorf("%w: %w", errSending, err) // the other side could not read it either
	}
	if l.dialed {
		if err = l.say(line); err == nil {
			theirs, err = framing.ReadWelcome(l.br)
		}
	} else if theirs, err = framing.ReadWelcome(l.br); err == nil {
		err = l.say(line)
	}
	return mine, theirs, err
}

// say writes the welcome.
func (l *link) say(line []byte) error {
	var w interface{ Write([]byte) (int, error) } = l.c
	if l.tls != nil {
		w = l.tls
	}
	if _, err := w.Write(line); err != nil {
		return fmt.Errorf("%w: %w", errSending, reason(err))
	}
	return nil
}

// upgrades reports whether who wrote the welcome can go on in TLS.
func upgrades(w framing.Welcome) bool { return w.Dest.Service == mark && w.Dest.Param == markSecure }

// digest stands for both welcomes, so that the sides notice if somebody between
// them altered one.
func (l *link) digest(mine, theirs framing.Welcome) string {
	first, second := mine, theirs
	if !l.dialed {
		first, second = theirs, mine
	}
	sum := sha256.Sum256(second.AppendTo(first.AppendTo(nil)))
	return hex.EncodeToString(sum[:])
}
