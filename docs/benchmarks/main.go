// Command benchmarks measures Juxta beside others who carry messages between
// processes, in one run on one machine: plain TCP and TLS, go-libp2p, and NATS; and
// original Java peers, if JUXTA_JXSE_CP names a class path with JXTA 2.5. It is
// a module of its own, so that their weight never reaches users of Juxta.
//
//	go run . --floor --json > figures.json
//
// The options are those of juxta bench.
package main

import (
	"os"

	"github.com/juxta-p2p/juxta/peergroup/jxsetest"
	"github.com/juxta-p2p/juxta/shell/bench"
)

// others are the contestants beside Juxta.
func others() []bench.Contestant {
	all := []bench.Contestant{libp2pTLS(), libp2pNoise(), natsCore()}
	if os.Getenv(jxsetest.Variable) != "" {
		all = append(all, java())
	}
	return all
}

func main() {
	bench.Child(others()...) // does not return in a process that is measured
	os.Exit(bench.Main(os.Args[1:], os.Stdout, os.Stderr, others()...))
}
