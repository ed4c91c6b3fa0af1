package secure

import (
	"crypto/tls"

	"github.com/juxta-p2p/juxta/core/id"
)

// JavaConfig
type JavaConfig struct{ Certificate tls.Certificate }

func (j *JavaConfig) enabled() bool { return len(j.Certificate.Certificate) > 0 }

func (s *Service) javaConnection(p id.Peer, x *packet) *connection { return nil }

func (s *Service) javaTLS(c *connection) (*tls.Config, error) { return nil, ErrUnproven }
