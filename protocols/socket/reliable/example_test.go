package reliable_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/protocols/socket/reliable"
)

// Two ends, and a way between them that loses every third message.
func Example() {
	var ends [2]*reliable.Conn
	to := func(other int) func(context.Context, *message.Message) error {
		n := 0
		return func(_ context.Context, m *message.Message) error {
			if n++; n%3 == 0 {
				return nil // lost, and nobody knows
			}
			wire, err := m.MarshalBinary() // m is the sender's
			if err != nil {
				return err
			}
			came, err := message.Decode(wire)
			if err != nil {
				return err
			}
			ends[other].Take(came)
			return nil
		}
	}
	ends[0] = reliable.New(reliable.Config{Mode: reliable.Juxta, Send: to(1)})
	ends[1] = reliable.New(reliable.Config{Mode: reliable.Juxta, Send: to(0)})
	defer ends[0].Close()
	defer ends[1].Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	go func() {
		for i := range 5 {
			if err := ends[0].WriteBlock(ctx, fmt.Appendf(nil, "block %d", i)); err != nil {
				fmt.Println(err)
			}
		}
		if err := ends[0].CloseWrite(ctx); err != nil {
			fmt.Println(err)
		}
	}()
	for {
		b, err := ends[1].ReadBlock(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s\n", b)
	}
	// Output:
	// block 0
	// block 1
	// block 2
	// block 3
	// block 4
}

// Whoever can tell that the way has changed spares the Conn finding out by silence.
func ExampleConn_Moved() {
	var b *reliable.Conn
	var works atomic.Bool
	tried := make(chan struct{}, 1)
	a := reliable.New(reliable.Config{Mode: reliable.Juxta, Send: func(_ context.Context, m *message.Message) error {
		if !works.Load() {
			select {
			case tried <- struct{}{}:
			default:
			}
			return errors.New("no way to the peer")
		}
		wire, err := m.MarshalBinary()
		if err != nil {
			return err
		}
		came, err := message.Decode(wire)
		if err != nil {
			return err
		}
		b.Take(came)
		return nil
	}})
	defer a.Close()
	b = reliable.New(reliable.Config{Mode: reliable.Juxta})
	defer b.Close()

	ctx := context.Background()
	if err := a.WriteBlock(ctx, []byte("hello")); err != nil {
		fmt.Println(err)
	}
	<-tried
	works.Store(true)
	a.Moved()
	got, err := b.ReadBlock(ctx)
	fmt.Printf("%s %v\n", got, err)
	// Output:
	// hello <nil>
}
