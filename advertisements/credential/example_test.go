package credential_test

import (
	"fmt"

	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
)

// A member signs a credential, and another checks it as it arrives.
func ExampleCredential_Verify() {
	ann, err := identity.New(identity.Ed25519)
	if err != nil {
		panic(err)
	}
	made, err := credential.Sign(ann, id.NetGroup)
	if err != nil {
		panic(err)
	}
	element, err := made.Node() // travels in a message
	if err != nil {
		panic(err)
	}

	shown, err := credential.Parse(element)
	if err != nil {
		panic(err)
	}
	standing, err := shown.Verify(credential.Rules{Group: id.NetGroup, Peer: ann.Peer()})
	fmt.Println(shown.Kind, standing, err)
	_, err = shown.Verify(credential.Rules{Group: id.WorldGroup})
	fmt.Println(err)
	// Output:
	// certificate proven <nil>
	// credential: the credential is of another group
}

// In a group without membership a credential is a name.
func ExampleNew() {
	p := id.PeerFromSeed(id.NetGroup, []byte("ann"))
	c, err := credential.New(credential.None, id.NetGroup, p, "nobody")
	if err != nil {
		panic(err)
	}
	standing, err := c.Verify(credential.Rules{Group: id.NetGroup, Peer: p})
	fmt.Println(c.Subject(), standing, err)
	// Output: nobody claimed <nil>
}
