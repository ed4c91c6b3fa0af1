package seeding_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/rendezvous/seeding"
)

// A peer reads the addresses of rendezvous from a web server.
func Example() {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, "# our rendezvous")
		_, _ = fmt.Fprintln(w, "tcp://192.0.2.20:9701")
		_, _ = fmt.Fprintln(w, "http://192.0.2.21:9700")
	}))
	defer web.Close()

	list, err := seeding.New(seeding.Config{URIs: []string{web.URL + "/seeds.txt"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = list.Close() }()
	if err := list.Ready(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	for _, a := range list.Seeds() {
		fmt.Println(a)
	}
	// Output:
	// tcp://192.0.2.20:9701
	// http://192.0.2.21:9700
}

// Everybody may serve but one.
func ExampleACL() {
	ann := id.PeerFromSeed(id.NetGroup, []byte("ann"))
	bob := id.PeerFromSeed(id.NetGroup, []byte("bob"))
	b, err := xmldoc.Marshal(&seeding.ACL{
		GrantAll: true,
		Peers:    []seeding.Entry{{Peer: bob, Name: "bob", Deny: true}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var acl seeding.ACL
	if err := xmldoc.Unmarshal(b, &acl); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(acl.Allows(ann), acl.Allows(bob))
	// Output: true false
}
