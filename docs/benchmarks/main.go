// Command benchmarks measures Juxta beside others who carry messages between
// processes, in one run on one machine: plain TCP and TLS, go-libp2p, and NATS. It is
// a module of its own, so that their weight never reaches users of Juxta.
//
//	go run . --floor --json > figures.json
//
// The options are those of juxta bench.
package main

import (
	"os"

	"github.com/juxta-p2p/juxta/shell/bench"
)

// others are the contestants beside Juxta.
func others() []bench.Contestant { return []bench.Contestant{libp2pTLS(), libp2pNoise(), natsCore()} }

func main() {
	bench.Child(others()...) // does not return in a process that is measured
	os.Exit(bench.Main(os.Args[1:], os.Stdout, os.Stderr, others()...))
}
