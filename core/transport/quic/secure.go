package quic

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"

	quicgo "github.com/quic-go/quic-go"

	"github.com/juxta-p2p/juxta/core/identity"
)

// alpn is what the sides agree on in the TLS handshake.
const alpn = "juxta"

// Application error codes with which connections are closed.
const (
	codeClosed  quicgo.ApplicationErrorCode = 0 // in good order
	codeRefused quicgo.ApplicationErrorCode = 1 // a limit
	codeFailed  quicgo.ApplicationErrorCode = 2 // no welcome came of it
)

// purposeReset is what is signed to make the key of stateless resets, which must
// outlive this process: after a crash others learn from a reset that their links
// are gone.
const purposeReset = "juxta quic stateless reset key"

// keys are what packets outside connections are made with.
type keys struct{ reset quicgo.StatelessResetKey }

// secure makes the configurations that carry the identity.
func (t *Transport) secure(who *identity.Identity) error {
	sig, err := who.Sign([]byte(purposeReset)) // the same each time, for every kind of key in use
	if err != nil {
		return fmt.Errorf("quic: %w", err)
	}
	t.keys.reset = sha256.Sum256(sig)
	base := &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Certificates:       []tls.Certificate{who.Certificate()},
		ClientAuth:         tls.RequireAnyClientCert,
		InsecureSkipVerify: true, // names and authorities mean nothing here; the stream compares key and peer ID
		NextProtos:         []string{alpn},
	}
	t.server = base
	t.client = base.Clone()
	t.client.ClientSessionCache = tls.NewLRUClientSessionCache(maxRemembered)
	quic := quicgo.Config{
		HandshakeIdleTimeout:           t.times.answer,
		MaxIdleTimeout:                 silence,
		KeepAlivePeriod:                keepAlive,
		InitialStreamReceiveWindow:     firstWindow,
		MaxStreamReceiveWindow:         maxWindow,
		InitialConnectionReceiveWindow: firstWindow,
		MaxConnectionReceiveWindow:     maxWindow,
		MaxIncomingUniStreams:          -1,
	}
	accepts, dials := quic, quic
	accepts.MaxIncomingStreams = -1 // the stream goes the other way
	dials.MaxIncomingStreams = 1
	dials.TokenStore = quicgo.NewLRUTokenStore(maxRemembered, maxTokens)
	t.accepts, t.dials = &accepts, &dials
	return nil
}
