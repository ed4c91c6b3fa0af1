package secure

import (
	"cmp"
	"crypto/tls"
	"slices"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
)

// Proof says how it is known that the other side of a connection is the peer.
type Proof string

const (
	// ByKey: the peer ID is made of the key that the other side has shown.
	ByKey Proof = "key"
	// ByCertificate: the other side has shown a certificate that the
	// configuration ties to the peer; TLS 1.0, which is weak.
	ByCertificate Proof = "certificate"
)

// Info describes a connection.
type Info struct {
	Peer        id.Peer
	Begun       time.Time
	BegunHere   bool
	Idle        time.Duration // since a message went either way
	Version     string        // of TLS
	Cipher      string
	Proof       Proof
	Fingerprint string // of the peer's key

	Sent     uint64 // messages that the connection has taken
	Acked    uint64 // and those of which it is known that they have arrived
	Received uint64 // messages

	SentOctets  uint64 // encrypted, without repetitions
	AckedOctets uint64
	InFlight    int    // octets
	Repeats     uint64 // blocks sent again
	RTT         time.Duration
	Window      int // octets that may be in flight
}

// Connections returns the open connections in order of peer ID.
func (s *Service) Connections() []Info {
	s.mu.Lock()
	var all []*connection
	for _, c := range s.all {
		if c.state == ready || c.state == leaving {
			all = append(all, c)
		}
	}
	s.mu.Unlock()
	list := make([]Info, 0, len(all))
	for _, c := range all {
		list = append(list, c.info())
	}
	slices.SortFunc(list, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.Peer.String(), b.Peer.String()), a.Begun.Compare(b.Begun))
	})
	return list
}

func (c *connection) info() Info {
	state := c.tls.ConnectionState()
	i := Info{
		Peer: c.peer, Begun: c.began, BegunHere: c.client, Idle: c.idle(), Proof: ByKey,
		Version: tls.VersionName(state.Version), Cipher: tls.CipherSuiteName(state.CipherSuite),
		Received: c.taken.Load(),
	}
	if c.id == 0 {
		i.Proof = ByCertificate
	}
	if len(state.PeerCertificates) > 0 {
		i.Fingerprint = identity.Fingerprint(state.PeerCertificates[0].RawSubjectPublicKeyInfo)
	}
	st := c.st
	st.mu.Lock()
	i.SentOctets, i.AckedOctets, i.InFlight = st.out.cut, st.out.acked, st.out.flying
	i.Repeats, i.RTT, i.Window = st.out.repeats, st.out.rtt, st.out.congestion
	st.mu.Unlock()
	c.out.mu.Lock()
	c.out.settle(i.AckedOctets)
	i.Sent, i.Acked = c.out.queued, c.out.came
	c.out.mu.Unlock()
	return i
}

// Stats counts what a service did since it was made.
type Stats struct {
	Sent, Received   uint64 // messages
	Lost             uint64 // messages that were not acknowledged when their connection failed
	Connections      int    // at present, handshakes included
	Opened           uint64 // connections begun, here or there
	FailedHandshakes uint64
	Refused          uint64 // handshakes not begun, for want of room

	Repeats       uint64 // blocks sent again
	RepeatsSeen   uint64 // blocks that came marked as sent again
	AcksSent      uint64
	UnsentBlocks  uint64 // blocks and acknowledgements that no way was found for, and that were tried again
	Duplicates    uint64 // blocks that came twice
	DroppedAhead  uint64 // blocks far before their turn
	DroppedNoRoom uint64 // blocks beyond the window

	DroppedMalformed    uint64 // messages, outside or inside, that cannot be read
	DroppedMisaddressed uint64 // messages in the name of another peer, or not for this one, or for what carries messages
	DroppedForged       uint64 // acknowledgements with a wrong seal
	DroppedBadAcks      uint64 // acknowledgements of what was never sent
	DroppedUnprovable   uint64 // messages of peers that nothing can prove, with [Config].Java not set
	DroppedStray        uint64 // messages of connections that are not known
}

type counters struct {
	sent, received, lost, opened, failedHandshakes, refused           atomic.Uint64
	repeats, repeatsSeen, acksSent, unsent, duplicates, ahead, noRoom atomic.Uint64
	malformed, misaddressed, forged, badAcks, unprovable, stray       atomic.Uint64
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	n := len(s.all)
	s.mu.Unlock()
	c := &s.stats
	return Stats{
		Sent: c.sent.Load(), Received: c.received.Load(), Lost: c.lost.Load(), Connections: n, Opened: c.opened.Load(),
		FailedHandshakes: c.failedHandshakes.Load(), Refused: c.refused.Load(),
		Repeats: c.repeats.Load(), RepeatsSeen: c.repeatsSeen.Load(), AcksSent: c.acksSent.Load(), UnsentBlocks: c.unsent.Load(),
		Duplicates: c.duplicates.Load(), DroppedAhead: c.ahead.Load(), DroppedNoRoom: c.noRoom.Load(),
		DroppedMalformed: c.malformed.Load(), DroppedMisaddressed: c.misaddressed.Load(), DroppedForged: c.forged.Load(),
		DroppedBadAcks: c.badAcks.Load(), DroppedUnprovable: c.unprovable.Load(), DroppedStray: c.stray.Load(),
	}
}
