package framing_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/framing"
)

// A peer introduces itself and sends one message; the other side reads both.
func Example() {
	msg := message.New(message.Text("app", "greeting", "hello"))
	body, _ := msg.MarshalBinary()

	out := framing.Welcome{
		Dest:   endpoint.MustParseAddress("tcp://192.0.2.1:9701"),
		Public: endpoint.MustParseAddress("tcp://192.0.2.2:9701"),
		Peer:   id.PeerFromSeed(id.NetGroup, []byte("ann")),
	}.AppendTo(nil)
	out = framing.AppendHeader(out, len(body))
	out = append(out, body...)

	in := bufio.NewReader(bytes.NewReader(out))
	w, _ := framing.ReadWelcome(in)
	h, _ := framing.ReadHeader(in)
	body, _ = io.ReadAll(io.LimitReader(in, int64(h.Length)))
	msg, _ = message.Decode(body)
	fmt.Println(w.Public, w.Version, msg.Text("app", "greeting"))
	// Output: tcp://192.0.2.2:9701 1.1 hello
}
