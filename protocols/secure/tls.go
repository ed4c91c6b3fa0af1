package secure

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/juxta-p2p/juxta/core/identity"
)

// tlsConfig says how a connection is secured. The peer ID, which is made of the
// key, takes the place of names and authorities.
func (s *Service) tlsConfig(c *connection) (*tls.Config, error) {
	if c.id == 0 {
		return s.javaTLS(c)
	}
	return &tls.Config{
		MinVersion:                  tls.VersionTLS13,
		Certificates:                []tls.Certificate{s.cfg.Identity.Certificate()},
		NextProtos:                  []string{protocol},
		ClientAuth:                  tls.RequireAnyClientCert,
		InsecureSkipVerify:          true, // VerifyConnection does
		SessionTicketsDisabled:      true,
		DynamicRecordSizingDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if state.NegotiatedProtocol != protocol {
				return fmt.Errorf("the other side speaks %q, not %q", state.NegotiatedProtocol, protocol)
			}
			if len(state.PeerCertificates) == 0 {
				return errors.New("the other side shows no certificate")
			}
			return identity.VerifyPeer(c.peer, state.PeerCertificates[0])
		},
	}, nil
}
