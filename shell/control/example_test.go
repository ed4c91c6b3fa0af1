package control_test

import (
	"context"
	"fmt"

	"github.com/juxta-p2p/juxta/shell/control"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// Example serves a command and runs it from outside. A real peer is served by
// juxta up, and by every interactive shell.
func Example() {
	server, err := control.Listen(control.Config{
		Private: true,
		Session: func(cfg interp.Config) (*interp.Session, func() string, error) {
			cfg.Commands = []*interp.Command{{Name: "whoami", Run: func(_ context.Context, c *interp.Call) error {
				c.Row(interp.Field{Name: "name", Value: "ann"})
				return nil
			}}}
			return interp.New(cfg), func() string { return "JXTA> " }, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	client, err := control.Open(server.Socket())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	last, err := client.Run(context.Background(), control.Request{Commands: "whoami; nix"}, func(l control.Line) {
		switch {
		case l.Out != nil:
			fmt.Printf("out %s\n", l.Out)
		case l.Error != nil:
			fmt.Printf("error %s\n", l.Error)
		}
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("status", *last.Status)
	// Output:
	// out {"name":"ann"}
	// error {"code":"unknown_command","message":"there is no command \"nix\"","command":"nix","status":2,"hint":"help lists the commands"}
	// status 2
}
