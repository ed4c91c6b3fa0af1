package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/id"
)

// Records are found by the values of their fields, in the order in which they
// were saved.
func Example() {
	s := store.Memory(store.Config{})
	sc := s.Scope(id.NetGroup)
	for i, name := range []string{"chat", "files", "chat-archive"} {
		_, err := sc.Put(store.Record{
			Kind:       advertisements.Advs,
			Key:        fmt.Sprint("pipe-", i),
			Document:   []byte("<jxta:PipeAdvertisement>…"),
			Fields:     []advertisements.Field{{Name: "Name", Value: name}},
			Lifetime:   time.Now().Add(365 * 24 * time.Hour),
			Expiration: 2 * time.Hour,
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	for _, r := range sc.Find(store.Query{Kind: advertisements.Advs, Attr: "Name", Value: "chat*"}) {
		fmt.Println(r.Key, r.Fields[0].Value, r.Remote(time.Now()))
	}
	// Output:
	// pipe-0 chat 2h0m0s
	// pipe-2 chat-archive 2h0m0s
}

// A store on disk keeps what it has over a restart.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "juxta")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "advertisements.db")

	for range 2 {
		s, err := store.Open(path, store.Config{})
		if err != nil {
			fmt.Println(err)
			return
		}
		sc := s.Scope(id.NetGroup)
		fmt.Println("there:", sc.Count())
		_, err = sc.Put(store.Record{
			Kind: advertisements.Peers, Key: "ann", Document: []byte("<jxta:PA>…"), Lifetime: store.Forever(),
		})
		if err != nil {
			fmt.Println(err)
		}
		if err := s.Close(); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// there: 0
	// there: 1
}

// An edge tells its rendezvous everything once, and then what changed.
func ExampleScope_Changes() {
	sc := store.Memory(store.Config{}).Scope(id.NetGroup)
	save := func(key, name string) {
		_, err := sc.Put(store.Record{
			Kind: advertisements.Advs, Key: key, Document: []byte("<" + name + "/>"),
			Fields:   []advertisements.Field{{Name: "Name", Value: name}},
			Lifetime: store.Forever(), Expiration: 2 * time.Hour,
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	save("1", "chat")
	entries, cursor := sc.Entries()
	for _, e := range entries {
		fmt.Println("push", e.Kind, e.Name, e.Value)
	}
	save("2", "files")
	sc.Remove(advertisements.Advs, "1")
	changes, _, _ := sc.Changes(cursor)
	for _, c := range changes {
		fmt.Println("push", c.Kind, c.Name, c.Value, "withdrawn:", c.Lifetime.IsZero())
	}
	// Output:
	// push Adv Name chat
	// push Adv Name files withdrawn: false
	// push Adv Name chat withdrawn: true
}

// A rendezvous learns from index entries whom to ask.
func ExampleIndex() {
	x := store.NewIndex(store.IndexConfig{})
	ann := id.PeerFromSeed(id.NetGroup, []byte("ann's sixteen  o"))
	if err := x.Add("Adv", "Name", "chat", ann, time.Now().Add(time.Hour)); err != nil {
		fmt.Println(err)
	}
	fmt.Println(len(x.Find("Adv", "Name", "ch*", 10)), "peer to ask")
	x.RemoveHolder(ann) // its lease ended
	fmt.Println(len(x.Find("Adv", "Name", "ch*", 10)), "afterwards")
	// Output:
	// 1 peer to ask
	// 0 afterwards
}
