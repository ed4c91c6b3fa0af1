package xmldoc_test

import (
	"fmt"

	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Recipe is a document with one description for reading and writing.
type Recipe struct {
	Title    string
	Portions int64
	Steps    []string
}

// Map describes the document.
func (r *Recipe) Map(m *xmldoc.Mapper) {
	m.Root("kitchen:Recipe")
	m.Text("Title", &r.Title)
	m.OptionalInt("Portions", &r.Portions)
	xmldoc.Each(m, "Step", 100, &r.Steps, func(m *xmldoc.Mapper, s *string) { m.Self(s) })
}

func Example() {
	b, err := xmldoc.Marshal(&Recipe{Title: "Fish & chips", Portions: 2, Steps: []string{"fry", "fry again"}})
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s", b)

	r := Recipe{Portions: 4} // stays if the document does not say
	if err := xmldoc.Unmarshal(b, &r); err != nil {
		panic(err)
	}
	fmt.Println(r.Title, r.Portions, len(r.Steps))

	fmt.Println(xmldoc.Unmarshal([]byte("<kitchen:Recipe><Portions>2</Portions></kitchen:Recipe>"), new(Recipe)))
	// Output:
	// <?xml version="1.0" encoding="UTF-8"?>
	// <!DOCTYPE kitchen:Recipe>
	// <kitchen:Recipe xml:space="preserve" xmlns:jxta="http://jxta.org">
	// <Title>Fish &amp; chips</Title><Portions>2</Portions><Step>fry</Step><Step>fry again</Step></kitchen:Recipe>
	// Fish & chips 2 2
	// xmldoc: /kitchen:Recipe/Title: missing
}

func ExampleNode() {
	n, err := xmldoc.ParseNode([]byte(`<Parm><Rdv> true </Rdv><addr>tcp://192.0.2.1:9701</addr></Parm>`))
	if err != nil {
		panic(err)
	}
	for c := range n.Children() {
		fmt.Println(c.Name(), c.Text())
	}
	// Output:
	// Rdv true
	// addr tcp://192.0.2.1:9701
}
