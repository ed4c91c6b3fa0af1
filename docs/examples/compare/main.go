// Command compare runs one group of 60 peers in memory, once for each policy of
// package content, and prints side by side what searches cost and what becomes of
// them when the peer that holds the index is killed. The table is that of
// docs/content.md. It takes some two minutes.
//
//	go run ./docs/examples/compare
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"

	"github.com/juxta-p2p/juxta/protocols/content"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	// The three networks do not know of each other; most of the time they wait.
	policies := []content.Policy{content.Central, content.Rendezvous, content.Flood}
	rows, errs := make([]row, len(policies)), make([]error, len(policies))
	var running sync.WaitGroup
	for i, policy := range policies {
		running.Go(func() {
			rows[i], errs[i] = run(ctx, yard{policy: policy, rendezvous: 8, edges: 52, files: 20, searches: 60})
		})
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(table(rows))
}
