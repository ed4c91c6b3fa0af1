package commands

import (
	"context"
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/routing"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func routeCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "route", Family: familyPeers, Summary: "shows and changes the ways to other peers",
		Args: "[local | info PEER | connect PEER | add VARIABLE | delete PEER | status]", MaxArgs: 2,
		Options: []interp.Option{interp.WaitOption("how long connect may take (default 10s)")},
		Complete: func(s *interp.Session, n int) []interp.Suggestion {
			if n > 0 {
				return s.Variables(classPeerAdv)
			}
			return []interp.Suggestion{{Text: "local", Description: "the way to this peer"}, {Text: "info", Description: "the way to a peer"},
				{Text: "connect", Description: "open a link to a peer"}, {Text: "add", Description: "learn a way from an advertisement"},
				{Text: "delete", Description: "forget the way to a peer"}, {Text: "status", Description: "what the routing has done"}}
		},
		Details: "Without arguments: all ways known. A peer is a variable, a name or an ID. add takes the\n" +
			"advertisement of a route, or of a peer, which holds one.\n" +
			"enableCM, disableCM, enableResolver and disableResolver of the original are not here: ways\n" +
			"of both sources, cache and questions, are always used.\n" +
			"JSON: peer_id, linked, link, addresses, hops, age (seconds); status: name, value.",
		Examples: []interp.Example{{Line: "route", Text: "all ways known"}, {Line: "route info ann", Text: "the way to ann"},
			{Line: "route connect peer0", Text: "opens a link, which tells whether the peer can be reached"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			if len(c.Args) == 0 {
				all := h.peer.Router().Routes()
				slices.SortFunc(all, func(a, b routing.Info) int { return strings.Compare(a.Peer.String(), b.Peer.String()) })
				for _, r := range all {
					c.Row(routeFields(r)...)
				}
				return nil
			}
			verb := c.Args[0].Text
			if verb == "local" && len(c.Args) == 1 {
				r := h.peer.Route()
				c.Detail(interp.Field{Name: "peer_id", Value: r.Dest.String()}, interp.Field{Name: "addresses", Value: addressTexts(r.Addresses)})
				return nil
			}
			switch verb {
			case "add":
				return h.addRoute(c)
			case "status":
				h.routeStatus(c)
				return nil
			case "enableCM", "disableCM", "enableResolver", "disableResolver":
				return interp.Failf("the sources of ways cannot be switched").Try("cache and questions are always used; route delete PEER forgets a way")
			}
			if !slices.Contains([]string{"info", "connect", "delete"}, verb) {
				return interp.Usagef("route does not know %q", verb).Try("usage: %s", c.Command.Usage())
			}
			if len(c.Args) != 2 {
				return interp.Usagef("route %s wants a peer", verb).Try("usage: %s", c.Command.Usage())
			}
			p, err := h.findPeer(ctx, c, c.Args[1], defaultWait)
			if err != nil {
				return err
			}
			switch verb {
			case "info":
				return h.routeInfo(c, p)
			case "delete":
				h.peer.Router().Forget(p)
				return nil
			default:
				wait, err := c.Duration("w", dialWait)
				if err != nil {
					return err
				}
				ctx, cancel := context.WithTimeout(ctx, wait)
				defer cancel()
				if _, err := h.peer.Router().Connect(ctx, p); err != nil {
					return interp.NotFoundf("no way to %s: %v", p.Short(), err)
				}
				return h.routeInfo(c, p)
			}
		},
	}
}

// addRoute learns the way that an advertisement tells.
func (h *Host) addRoute(c *interp.Call) error {
	if len(c.Args) != 2 {
		return interp.Usagef("route add wants an advertisement").Try("usage: %s", c.Command.Usage())
	}
	v, ok := c.Variable(c.Args[1])
	if !ok {
		return interp.NotFoundf("no variable is called %q", c.Args[1].Text).Try("env lists them")
	}
	var route *advertisements.Route
	switch x := v.Object.(type) {
	case *advertisements.Route:
		route = x
	case *advertisements.Peer:
		route, _ = x.Route()
	case Document:
		if adv, err := advertisements.Standard().Parse(x); err == nil {
			route, _ = adv.(*advertisements.Route)
		}
	}
	if route == nil {
		return interp.Failf("%s tells no way", v.Name).Try("search lists advertisements of routes; peers those of peers")
	}
	h.peer.Router().Learn(route)
	return h.routeInfo(c, route.Dest)
}

// routeStatus lists what the routing has done since the start.
func (h *Host) routeStatus(c *interp.Call) {
	for _, m := range h.peer.Metrics() {
		if m.Service == "routing" {
			c.Row(interp.Field{Name: "name", Value: m.Name}, interp.Field{Name: "value", Value: m.Value})
		}
	}
}

func (h *Host) routeInfo(c *interp.Call, p id.Peer) error {
	for _, r := range h.peer.Router().Routes() {
		if r.Peer == p {
			c.Detail(routeFields(r)...)
			return nil
		}
	}
	return interp.NotFoundf("no way to %s is known", p.Short()).Try("route connect looks for one")
}

func routeFields(r routing.Info) []interp.Field {
	hops := []string{}
	for _, p := range r.Hops {
		hops = append(hops, p.String())
	}
	link := ""
	if r.Linked {
		link = r.Link.String()
	}
	return []interp.Field{{Name: "peer_id", Value: r.Peer.String(), Short: r.Peer.Short()}, {Name: "linked", Value: r.Linked},
		{Name: "link", Value: link}, {Name: "addresses", Value: addressTexts(r.Addresses)}, {Name: "hops", Value: hops},
		{Name: "age", Value: r.Age}}
}
