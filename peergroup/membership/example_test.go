package membership_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/peergroup/membership"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Whoever joins a group with passwords fills in what it asks for.
func ExampleService_Join() {
	group := id.NewGroup(id.Group{})
	parm := must(membership.Passwords(map[string]string{"ann": "open sesame"}))
	ann := must(membership.New(membership.Config{Group: group, Peer: id.NewPeer(id.NetGroup), Parm: parm}))
	fmt.Println(ann.Member())

	form := must(ann.Apply(""))
	err := form.Ask(func(f membership.Field) (string, error) {
		fmt.Printf("%s (secret: %t)\n", f.Name, f.Secret)
		return map[string]string{"Identity": "ann", "Password": "open sesame"}[f.Name], nil
	})
	if err != nil {
		panic(err)
	}
	c := must(ann.Join(form))
	fmt.Println(c.Kind, c.Subject(), ann.Member())
	// Output:
	// membership: this peer is not a member of the group: apply for membership and join first (it takes a name and a password)
	// Identity (secret: false)
	// Password (secret: true)
	// password ann <nil>
}

// The founder invites a member, who accepts and is believed, until the certificate is
// revoked.
func ExampleService_Invite() {
	group := id.NewGroup(id.Group{})
	issuer := must(membership.NewIssuer("crew", identity.Ed25519))
	parm := membership.Certificates(issuer) // stands in the group's advertisement
	peer := func(i *identity.Identity, by *membership.Issuer) *membership.Service {
		return must(membership.New(membership.Config{Group: group, Peer: i.Peer(), Identity: i, Parm: parm, Issuer: by}))
	}
	anns, bobs := must(identity.New(identity.Ed25519)), must(identity.New(identity.Ed25519))
	ann, bob := peer(anns, issuer), peer(bobs, nil)

	request := membership.Request(bobs) // bob sends it to ann
	invitation := must(ann.Invite(must(membership.ReadRequest(request)), "bob", 30*24*time.Hour))
	if err := bob.Accept(invitation); err != nil {
		panic(err)
	}
	shown := must(must(bob.Join(must(bob.Apply("")))).Node())

	c, standing, err := ann.Check(shown, bobs.Peer())
	fmt.Println(c.Subject(), standing, err)
	_, _, err = ann.Check(shown, anns.Peer()) // played back by another
	fmt.Println(err)

	if err := ann.Revoke(ann.Issued()...); err != nil {
		panic(err)
	}
	_, _, err = ann.Check(shown, bobs.Peer())
	fmt.Println(errors.Is(err, credential.ErrRevoked))
	// Output:
	// CN=bob, O=www.jxta.org proven <nil>
	// membership: the credential is that of another peer
	// true
}
