// Command juxta is a peer with a shell. See package shell.
package main

import (
	"context"
	"os"

	"github.com/juxta-p2p/juxta/shell"
	"github.com/juxta-p2p/juxta/shell/bench"
	"github.com/juxta-p2p/juxta/shell/yard"
)

func main() {
	bench.Child() // does not return in a process that is measured
	yard.Child()  // does not return in a process that simulates
	os.Exit(shell.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
