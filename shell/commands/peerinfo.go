package commands

import (
	"context"
	"errors"

	"github.com/juxta-p2p/juxta/protocols/peerinfo"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func peerinfoCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "peerinfo", Family: familyPeers, Summary: "asks a peer how it is, and how far away",
		Args: "[PEER]", MaxArgs: 1,
		Options: []interp.Option{
			{Letter: "p", Name: "peer", Value: "PEER", Help: "the peer, as in the original shell"},
			{Letter: "l", Name: "limits", Help: "who ran into which limit of this peer, the worst first"},
			interp.WaitOption("how long to wait for the answer (default 10s)"),
		},
		Complete: func(s *interp.Session, n int) []interp.Suggestion { return s.Variables(classPeerAdv) },
		Details: "A peer is a variable, a name or an ID; without one it tells about this peer. Original\nJXTA peers do not answer; ping measures several times, and reaches those too.\n" +
			"JSON: peer_id, uptime (seconds), clock, trip (seconds). Status 3: no answer.\n" +
			"With -l: origin (usually an IP address), peer_id, limit, count, last.",
		Examples: []interp.Example{{Line: "peerinfo ann", Text: "how long ann has been up, and how long the answer took"}, {Line: "peerinfo", Text: "this peer"},
			{Line: "peerinfo -limits", Text: "who asks too much of this peer"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			wait, err := c.Duration("w", dialWait)
			if err != nil {
				return err
			}
			if c.Flag("l") {
				h.showOffences(c)
				return nil
			}
			p := h.peer.ID()
			a := interp.Arg{Text: c.Value("p", "")}
			if len(c.Args) == 1 {
				a = c.Args[0]
			}
			if a.Text != "" {
				if p, err = h.findPeer(ctx, c, a, min(wait, defaultWait)); err != nil {
					return err
				}
			}
			short, cancel := context.WithTimeout(ctx, wait)
			defer cancel()
			info, err := h.group().PeerInfo().Ask(short, p)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.Is(err, peerinfo.ErrNoAnswer), short.Err() != nil:
				return interp.NotFoundf("%s does not answer; original JXTA peers never do", h.peerName(p))
			case err != nil:
				return interp.NotFoundf("%s cannot be asked: %v", h.peerName(p), err)
			}
			c.Detail(interp.Field{Name: "peer_id", Value: info.Peer.String()}, interp.Field{Name: "uptime", Value: info.Uptime},
				interp.Field{Name: "clock", Value: info.Clock}, interp.Field{Name: "trip", Value: info.Trip})
			return nil
		},
	}
}

// showOffences lists who ran into limits of this peer.
func (h *Host) showOffences(c *interp.Call) {
	all := h.peer.Endpoint().Offences()
	for _, o := range all {
		who, short := "", ""
		if !o.Peer.IsZero() {
			who, short = o.Peer.String(), o.Peer.Short()
		}
		c.Row(interp.Field{Name: "origin", Value: o.Origin}, interp.Field{Name: "peer_id", Value: who, Short: short},
			interp.Field{Name: "limit", Value: o.Limit}, interp.Field{Name: "count", Value: o.Count}, interp.Field{Name: "last", Value: o.Last})
	}
	if len(all) == 0 {
		c.Notice("nobody ran into a limit")
	}
}
