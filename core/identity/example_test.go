package identity_test

import (
	"errors"
	"fmt"
	"os"

	"github.com/juxta-p2p/juxta/core/identity"
)

// A peer makes its identity at its first start and is the same peer ever after.
func ExampleLoadOrCreate() {
	dir, err := os.MkdirTemp("", "home")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()

	first, created, err := identity.LoadOrCreate(dir, identity.Config{})
	fmt.Println(created, err)
	again, created, err := identity.LoadOrCreate(dir, identity.Config{})
	fmt.Println(created, err)
	fmt.Println(first.Peer() == again.Peer(), first.Peer().Proves(again.SPKI()))
	// Output:
	// true <nil>
	// false <nil>
	// true true
}

// Nobody can show a certificate for another peer's ID.
func ExampleVerifyPeer() {
	ann, err := identity.New(identity.Ed25519)
	if err != nil {
		fmt.Println(err)
		return
	}
	eve, err := identity.New(identity.Ed25519)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(identity.VerifyPeer(ann.Peer(), ann.Certificate().Leaf))

	err = identity.VerifyPeer(ann.Peer(), eve.Certificate().Leaf)
	var proof *identity.ProofError
	fmt.Println(errors.As(err, &proof), errors.Is(err, identity.ErrOtherKey), proof.Key == eve.Peer())
	// Output:
	// <nil>
	// true true true
}
