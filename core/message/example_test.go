package message_test

import (
	"fmt"

	"github.com/juxta-p2p/juxta/core/message"
)

// A message is an ordered list of elements. Applications use the empty
// namespace or their own; what JXTA adds stands in "jxta".
func Example() {
	m := message.New(
		message.Text("", "greeting", "hello"),
		message.Bytes("photos", "thumbnail", []byte{0xff, 0xd8}),
	)
	wire, err := m.MarshalBinary()
	if err != nil {
		fmt.Println(err)
		return
	}
	got, err := message.Decode(wire)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(wire), "octets:", got.Text("", "greeting"))
	for e := range got.All() {
		fmt.Printf("%s:%s %s %d\n", e.Namespace, e.Name, message.BaseType(e.Type), len(e.Body))
	}
	// Output:
	// 91 octets: hello
	// :greeting text/plain 5
	// photos:thumbnail application/octet-stream 2
}

// The addresses of a hop change with every neighbour, so they are written
// behind the message instead of being added to it.
func ExampleMessage_AppendTo() {
	m := message.New(message.Text("", "greeting", "hello"))
	buf := make([]byte, 0, 512) // reused from message to message
	for _, hop := range []string{"tcp://192.0.2.1:9701", "tcp://192.0.2.2:9701"} {
		var err error
		buf, err = m.AppendTo(buf[:0], message.Text(message.Platform, "EndpointDestinationAddress", hop))
		if err != nil {
			fmt.Println(err)
			return
		}
		got, _ := message.Decode(buf)
		fmt.Println(got.Len(), got.Text(message.Platform, "EndpointDestinationAddress"))
	}
	fmt.Println(m.Len())
	// Output:
	// 2 tcp://192.0.2.1:9701
	// 2 tcp://192.0.2.2:9701
	// 1
}
