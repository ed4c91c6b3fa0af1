// Command juxta is a peer with a shell. See package shell.
package main

import (
	"context"
	"os"

	"github.com/juxta-p2p/juxta/shell"
)

func main() {
	os.Exit(shell.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
