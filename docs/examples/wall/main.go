// Command wall is a chat for everybody near by: each line typed appears at every
// other peer that runs it.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/peergroup"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	peer, err := peergroup.Start(ctx, peergroup.Config{Name: os.Getenv("USER")})
	if err != nil {
		log.Fatal(err)
	}
	defer peer.Close()

	// Everybody makes the same pipe from the same seed: nobody has to be asked.
	net := peer.Net()
	wall := &advertisements.Pipe{
		ID: id.PipeFromHash(net.ID(), []byte("the wall")), Type: advertisements.Propagate, Name: "wall",
	}
	in, err := net.Pipes().Listen(ctx, wall)
	if err != nil {
		log.Fatal(err)
	}
	out, err := net.Pipes().Dial(ctx, wall)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		for m, err := range in.Messages(ctx) {
			if err != nil {
				return
			}
			if m.From != peer.ID() {
				fmt.Printf("%s: %s\n", m.Text("", "who"), m.Text("", "line"))
			}
		}
	}()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		m := message.New(message.Text("", "who", peer.Name()), message.Text("", "line", lines.Text()))
		if err := out.Send(ctx, m); err != nil {
			log.Print(err)
		}
	}
}
