// Package relay is the relay protocol: a peer that nobody can dial takes a lease
// at a relay and keeps a link to it open. Others send what is for that peer to the
// relay, which passes it on, and keeps it for a while when the link is away.
//
// A [Server] grants leases and keeps messages; a [Client] holds leases, two if it
// can, so that losing one relay leaves no gap. The protocol is that of JXSE 2.5,
// which the JXTA v2 specification does not describe; what goes beyond is between
// Juxta peers.
package relay

import (
	"errors"
	"fmt"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// Names of the service and of the elements of the protocol.
const (
	space       = "relay" // the namespace of the elements
	elemRequest = "request"
	elemReply   = "response"
	elemLease   = "lease"
	elemAdv     = "relayAdv"

	// Between Juxta peers; JXSE passes over it.
	ownSpace   = "juxta"
	elemReason = "RelayReason" // why a lease is refused
)

// service is the name under which relays and their clients listen.
var service = advertisements.RelayService()

// Errors of having no lease. A [*LeaseError] wraps them and tells of which relay.
var (
	// ErrNoRelay: no relay to ask is known, or none beside the one that is leased from.
	ErrNoRelay = errors.New("no further relay is known")
	// ErrNoAnswer: a peer was asked for a lease and keeps silent; it may be no relay.
	ErrNoAnswer = errors.New("no answer to the request for a lease")
	// ErrRefused: the relay grants no lease, and does not say why.
	ErrRefused = errors.New("the relay refuses the lease")
	// ErrFull: the relay has as many clients as it may have.
	ErrFull = fmt.Errorf("%w: it has as many clients as it may", ErrRefused)
	// ErrCrowded: the relay has as many clients from the same network origin as it may.
	ErrCrowded = fmt.Errorf("%w: it has as many clients as it may from the same address", ErrRefused)
	// ErrTaken: somebody else holds a lease at the relay under the same peer ID.
	ErrTaken = fmt.Errorf("%w: somebody else holds one under this peer ID", ErrRefused)
	// ErrNotAdvertised: the relay granted a lease without saying how it is reached.
	ErrNotAdvertised = errors.New("the relay does not say how it is reached")
	// ErrAnotherPeer: the peer at a relay's address is not the one it was.
	ErrAnotherPeer = errors.New("another peer answers there")
	// ErrLinkLost: the link to the relay broke and no new one could be opened.
	ErrLinkLost = errors.New("the link to the relay is lost")
	// ErrExpired: the lease ended before it could be renewed.
	ErrExpired = errors.New("the lease has ended")
)

// LeaseError tells at which relay a lease was not to be had, or was lost.
type LeaseError struct {
	Relay id.Peer          // zero if the peer at Addr did not get to say who it is
	Addr  endpoint.Address // where it was dialled; may be zero
	Err   error
}

// Error implements error.
func (e *LeaseError) Error() string {
	who := e.Addr.String()
	if !e.Relay.IsZero() {
		who = e.Relay.Short()
	}
	if who == "" {
		return fmt.Sprintf("relay: %v", e.Err)
	}
	return fmt.Sprintf("relay: %s: %v", who, e.Err)
}

// Unwrap returns the cause.
func (e *LeaseError) Unwrap() error { return e.Err }

// reasons are the words by which a relay tells a client why it gets no lease.
var reasons = []struct {
	word string
	err  error
}{
	{"full", ErrFull},
	{"crowded", ErrCrowded},
	{"taken", ErrTaken},
}

func reasonOf(err error) string {
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.word
		}
	}
	return ""
}

func refusalOf(word string) error {
	for _, r := range reasons {
		if r.word == word {
			return r.err
		}
	}
	return ErrRefused
}
