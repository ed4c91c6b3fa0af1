package commands

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/shell/interp"
	"github.com/juxta-p2p/juxta/shell/netmap"
)

// trafficFor is how long a map waits to tell how much goes over links at present.
const trafficFor = time.Second

func mapCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "map", Family: familyPeers, Summary: "shows the network as this peer knows it",
		Options: []interp.Option{{Letter: "r", Name: "remote", Help: "ask the current group for its peers first"},
			{Letter: "t", Name: "traffic", Help: "look for a second how much goes over the links"},
			{Name: "svg", Value: "FILE", Help: "a drawing instead, into the file"},
			interp.WaitOption("how long to wait for answers (default 3s)")},
		Complete: nothing,
		Details: "The tree hangs below each rendezvous the edges that lease from it, as far as this peer\n" +
			"knows; behind a name stand the roles of the peer and the way by which it is reached.\n" +
			"With -t there is also what went over the links to each peer and how much that is now, what\n" +
			"comes in on pipes, and how long leases last. console shows the same as a live page; what a map\n" +
			"can tell and what it cannot is in docs/map.md.\n" +
			"JSON: time, self, peers (id, name, short, roles, way, known), edges (from, to, kind, group, detail,\n" +
			"left, traffic), groups (id, name, parent, role, members), pipes (id, name, type, group, received,\n" +
			"waiting, dropped, rate), more. Traffic is sent, sent_octets, received, received_octets, rate (the\n" +
			"same four in a second); only -t gives rates.",
		Examples: []interp.Example{{Line: "map", Text: "a tree"}, {Line: "map -r --svg map.svg", Text: "a drawing, after asking around"}, {Line: "map -t", Text: "with traffic, and the time left on leases"}, {Line: "map --json", Text: "for programs"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			if c.Flag("r") {
				wait, err := c.Duration("w", defaultWait)
				if err != nil {
					return err
				}
				if _, err := collect(ctx, h.group(), discovery.Query{Kind: advertisements.Peers}, wait); err != nil && !errors.Is(err, discovery.ErrNobody) {
					return err
				}
				if err := waited(ctx); err != nil {
					return err
				}
			}
			m := netmap.Take(h.peer)
			if c.Flag("t") {
				before := m
				select {
				case <-time.After(trafficFor):
				case <-ctx.Done():
					return ctx.Err()
				}
				m = netmap.Take(h.peer)
				m.Since(before)
			}
			if file := c.Value("svg", ""); file != "" {
				const mode = 0o644
				if err := os.WriteFile(file, []byte(m.SVG()), mode); err != nil {
					return interp.Because(err, "cannot write it")
				}
				c.Notice("%d peers are drawn in %s", len(m.Peers), file)
				return nil
			}
			if c.JSON() {
				c.Emit(interp.Record{Fields: []interp.Field{{Name: "time", Value: m.Time}, {Name: "self", Value: m.Self}, {Name: "peers", Value: m.Peers}, {Name: "edges", Value: m.Edges},
					{Name: "groups", Value: m.Groups}, {Name: "pipes", Value: m.Pipes}, {Name: "more", Value: m.More}}})
				return nil
			}
			c.Print(m.Tree())
			return nil
		},
	}
}
