package credential

import (
	"crypto"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
)

// SignAs has an identity sign what another peer would.
func SignAs(i *identity.Identity, p id.Peer, g id.Group) (*Credential, error) {
	return sign(i.Certificate().PrivateKey.(crypto.Signer), p, g, i.Certificate().Leaf)
}
