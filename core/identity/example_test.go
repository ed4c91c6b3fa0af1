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

// A key that is kept encrypted, as for a laptop that may be lost.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "home")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cfg := identity.Config{Encrypt: true, Passphrase: func(string) ([]byte, error) { return []byte("a long sentence"), nil }}
	made, _, err := identity.LoadOrCreate(dir, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = identity.Load(dir)
	fmt.Println(errors.Is(err, identity.ErrEncrypted))
	opened, err := identity.Open(dir, cfg)
	fmt.Println(opened.Peer() == made.Peer(), err)
	// Output:
	// true
	// true <nil>
}

// A peer with a new key is still known by its old ID.
func ExampleRotate() {
	dir, err := os.MkdirTemp("", "home")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	before, _, err := identity.LoadOrCreate(dir, identity.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	after, handover, err := identity.Rotate(dir, identity.Config{}, identity.Rotation{Reason: identity.Moved})
	if err != nil {
		fmt.Println(err)
		return
	}

	var friends identity.Succession // at another peer, to which the hand-over came
	fresh, err := friends.Add(handover)
	fmt.Println(fresh, err)
	now, err := friends.Present(before.Peer())
	fmt.Println(now == after.Peer(), err)
	// Output:
	// true <nil>
	// true <nil>
}

// Two people read words to each other and know that nobody sits in between.
func ExamplePhrase() {
	ann, bob := []byte("the public key of Ann"), []byte("the public key of Bob")
	fmt.Println(identity.Phrase(ann, bob))
	fmt.Println(identity.Phrase(bob, ann))
	// Output:
	// jigsaw salmon fox daisy owl pirate school easel
	// jigsaw salmon fox daisy owl pirate school easel
}

// A signature serves the purpose that it was made for.
func ExampleIdentity_SignFor() {
	ann, err := identity.New(identity.Ed25519)
	if err != nil {
		fmt.Println(err)
		return
	}
	sig, err := ann.SignFor("example.org/order 1", []byte("ten apples"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(identity.VerifyFor(ann.PublicKey(), "example.org/order 1", sig, []byte("ten apples")))
	fmt.Println(identity.VerifyFor(ann.PublicKey(), "example.org/receipt 1", sig, []byte("ten apples")))
	// Output:
	// <nil>
	// identity: wrong signature
}
