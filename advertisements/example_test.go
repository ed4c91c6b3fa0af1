package advertisements_test

import (
	"fmt"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Recipe is an advertisement type of an application.
type Recipe struct {
	Title string
	Steps []string
}

// DocType returns the name of the root element.
func (*Recipe) DocType() string { return "kitchen:Recipe" }

// Map describes the document, for reading and writing.
func (r *Recipe) Map(m *xmldoc.Mapper) {
	m.Root("kitchen:Recipe")
	m.Filled("Title", &r.Title)
	xmldoc.Each(m, "Step", 100, &r.Steps, func(m *xmldoc.Mapper, s *string) { m.Self(s) })
}

// Indexed lists what others can search for.
func (*Recipe) Indexed() []string { return []string{"Title"} }

// Key says which recipes are versions of one another.
func (r *Recipe) Key() string { return "recipe/" + r.Title }

// An application makes its own type of advertisement known to its registry.
func ExampleRegistry_Add() {
	reg := advertisements.Standard()
	reg.Add("kitchen:Recipe", func() advertisements.Advertisement { return new(Recipe) })

	doc, err := advertisements.Marshal(&Recipe{Title: "Fish & chips", Steps: []string{"fry", "fry again"}})
	if err != nil {
		panic(err)
	}
	adv, err := reg.Parse(doc)
	if err != nil {
		panic(err)
	}
	r := adv.(*Recipe)
	fmt.Println(r.Title, len(r.Steps))

	fields, _ := advertisements.Fields(r)
	fmt.Println(fields)

	// A peer that does not know recipes passes them on all the same.
	unknown, _ := advertisements.Standard().Parse(doc)
	same, _ := advertisements.Marshal(unknown)
	fmt.Printf("%T %v\n", unknown, string(same) == string(doc))
	// Output:
	// Fish & chips 2
	// [{Title Fish & chips}]
	// *advertisements.Unknown true
}

func ExampleRegistry_Parse() {
	adv, err := advertisements.Standard().Parse([]byte(`<?xml version="1.0"?>
<jxta:PipeAdvertisement xmlns:jxta="http://jxta.org">
  <Id>urn:jxta:uuid-59616261646162614E504720503250333132333435363738393A3B3C3D3E3F4004</Id>
  <Type>JxtaPropagate</Type>
  <Name>chat</Name>
</jxta:PipeAdvertisement>`))
	if err != nil {
		panic(err)
	}
	switch adv := adv.(type) {
	case *advertisements.Pipe:
		fmt.Println(adv.Name, adv.Type == advertisements.Propagate)
	case *advertisements.Unknown:
		fmt.Println("no idea what", adv.DocType(), "is")
	}
	// Output: chat true
}

func ExamplePeer_SetRoute() {
	alice := &advertisements.Peer{ID: id.PeerFromSeed(id.NetGroup, []byte("alice")), Group: id.NetGroup, Name: "alice"}
	relay := id.PeerFromSeed(id.NetGroup, []byte("relay"))

	err := alice.SetRoute(&advertisements.Route{Hops: []advertisements.AccessPoint{{Peer: relay}}})
	if err != nil {
		panic(err)
	}
	if r, ok := alice.Route(); ok {
		fmt.Println(r.Dest == alice.ID, r.Passes(relay), len(r.Addresses))
	}
	// Output: true true 0
}

func ExampleMatch() {
	for _, pattern := range []string{"chat*", "*room", "ch*om"} {
		fmt.Println(pattern, advertisements.Match(pattern, "chat room"), advertisements.SendablePattern(pattern))
	}
	// Output:
	// chat* true true
	// *room true true
	// ch*om true false
}
