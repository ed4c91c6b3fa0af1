package id_test

import (
	"errors"
	"fmt"

	"github.com/juxta-p2p/juxta/core/id"
)

// Two spellings of one ID are equal, and kinds cannot be mixed up.
func Example() {
	p, err := id.ParsePeer("URN:JXTA:uuid-59616261646162614e50472050325033a000000000004000800080000000000103")
	if err != nil {
		fmt.Println(err)
		return
	}
	names := map[id.Peer]string{p: "ann"}
	same, _ := id.ParsePeer(p.String())
	fmt.Println(p.Short(), names[same])

	_, err = id.ParsePipe(p.String())
	fmt.Println(errors.Is(err, id.ErrKind))
	fmt.Println(id.NetGroup)
	// Output:
	// 00000001 ann
	// true
	// urn:jxta:jxta-NetGroup
}

// Whoever knows the phrase can name the group; nobody has to tell its ID.
func ExampleGroupFromSeed() {
	fmt.Println(id.GroupFromSeed(id.Group{}, []byte("our secret phrase")))
	// Output:
	// urn:jxta:uuid-6F75722073654372A574A0706872617302
}

// A peer ID made of a key belongs to whoever holds the key.
func ExamplePeer_Proves() {
	key := []byte("the DER form of a public key")
	p := id.PeerFromKey(key)
	fmt.Println(p.Provable(), p.Proves(key), p.Proves([]byte("another key")))
	fmt.Println(id.NewPeer(id.NetGroup).Provable())
	// Output:
	// true true false
	// false
}
