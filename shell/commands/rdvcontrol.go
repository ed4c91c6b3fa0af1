package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/tcp"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/shell/interp"
)

const (
	// autoDefault is after how long without a rendezvous "auto start" makes this
	// peer one, and autoMost the longest time it takes.
	autoDefault = time.Minute
	autoMost    = 24 * time.Hour
)

// controlLine is one line that rdvcontrol takes.
type controlLine struct {
	noun, verb, object string
	optional           bool // the object
	text               string
	run                func(r *control, ctx context.Context, object interp.Arg) error
}

// controls are all lines, in the order of the manual page.
func controls() []controlLine {
	return []controlLine{
		{"rdv", "start", "", false, "become a rendezvous of the group", (*control).start},
		{"rdv", "stop", "", false, "become an edge", (*control).stop},
		{"edge", "connect", "URI", false, "ask the rendezvous at an address for a lease", (*control).connect},
		{"edge", "disconnect", "PEER", false, "end a lease: that of this edge, or that of a client", (*control).disconnect},
		{"auto", "start", "SECONDS", true, "leave the role to the peer: a rendezvous when there is none", (*control).auto},
		{"auto", "stop", "", false, "keep the role as it is", (*control).manual},
		{"rpv", "addseed", "URI", false, "remember where a rendezvous is", (*control).addSeed},
		{"rpv", "reseed", "", false, "ask the seeds now", (*control).reseed},
		{"rpv", "probe", "PEER", false, "ask a peer whether it is a rendezvous", (*control).probe},
		{"rpv", "fail", "PEER", false, "doubt a rendezvous of the view: it leaves if it does not answer", (*control).fail},
		{"rpv", "delete", "PEER", false, "the same; who answers stays in the view", (*control).fail},
	}
}

// control is one call of rdvcontrol.
type control struct {
	h *Host
	c *interp.Call
	g *peergroup.Group
}

func rdvcontrolCommand(h *Host) *interp.Command {
	var lines strings.Builder
	for _, x := range controls() {
		object := x.object
		if x.optional {
			object = "[" + object + "]"
		}
		fmt.Fprintf(&lines, "%-25s %s\n", strings.TrimSpace(x.noun+" "+x.verb+" "+object), x.text)
	}
	return &interp.Command{
		Name: "rdvcontrol", Family: familyPeers, Summary: "changes the role in the current group, the lease and the view",
		Args: "NOUN VERB [OBJECT]", MinArgs: 2, MaxArgs: 3,
		Options:  []interp.Option{interp.WaitOption("how long edge connect waits for the lease (default 3s)")},
		Complete: h.completeControl,
		Details: "It prints one line that says what happened.\n\n" + lines.String() +
			"\nA URI is the address of a rendezvous, such as tcp://192.0.2.1:9701. A peer is a variable, a\n" +
			"name or an ID. An edge has one lease: with one, edge connect only remembers the address.\n" +
			"JSON: action, group, role, and address, peer_id or every (seconds) where there is one.\n" +
			"Status 3: the peer is unknown, has no lease, is not in the view, or gave no lease.",
		Examples: []interp.Example{
			{Line: "rdvcontrol rdv start", Text: "other members can lease from this peer"},
			{Line: "rdvcontrol edge connect tcp://192.0.2.1:9701", Text: "a lease from the rendezvous there"},
			{Line: "rdvcontrol auto start 30", Text: "a rendezvous after about 30 s without one"},
			{Line: "rdvcontrol rpv probe ann", Text: "is ann still a rendezvous?", Before: "rdvcontrol rdv start"},
		},
		Run: func(ctx context.Context, c *interp.Call) error {
			noun, verb := c.Args[0].Text, c.Args[1].Text
			for _, x := range controls() {
				if x.noun != noun || x.verb != verb {
					continue
				}
				var object interp.Arg
				switch {
				case len(c.Args) == 3 && x.object == "":
					return interp.Usagef("%s %s takes nothing more", noun, verb).Try("help rdvcontrol")
				case len(c.Args) == 3:
					object = c.Args[2]
				case x.object != "" && !x.optional:
					return interp.Usagef("%s %s wants a %s", noun, verb, x.object).Try("help rdvcontrol")
				}
				return x.run(&control{h, c, h.group()}, ctx, object)
			}
			return interp.Usagef("rdvcontrol does not know %q", noun+" "+verb).Try("help rdvcontrol")
		},
	}
}

// done says what happened.
func (r *control) done(line string, fields ...interp.Field) {
	action := r.c.Args[0].Text + " " + r.c.Args[1].Text
	r.c.Line(line, append([]interp.Field{{Name: "action", Value: action}, {Name: "group", Value: r.g.Name()},
		{Name: "role", Value: r.g.Rendezvous().Role().String()}}, fields...)...)
}

func peerField(p id.Peer) interp.Field { return interp.Field{Name: "peer_id", Value: p.String()} }

func (r *control) start(context.Context, interp.Arg) error { return r.role(rendezvous.Rendezvous) }

func (r *control) stop(context.Context, interp.Arg) error { return r.role(rendezvous.Edge) }

// role changes the role.
func (r *control) role(to rendezvous.Role) error {
	what := map[rendezvous.Role]string{rendezvous.Edge: "an edge", rendezvous.Rendezvous: "a rendezvous"}[to]
	was := r.g.Rendezvous().Role()
	if err := r.g.SetRole(to); err != nil {
		return r.failed(err)
	}
	if was == to {
		r.done(fmt.Sprintf("this peer is %s of %s already", what, r.g.Name()))
	} else {
		r.done(fmt.Sprintf("this peer is %s of %s now", what, r.g.Name()))
	}
	return nil
}

// failed words what keeps a role from being changed.
func (r *control) failed(err error) error {
	if errors.Is(err, rendezvous.ErrRole) {
		return interp.Failf("this peer is ad hoc in %s and stays it", r.g.Name())
	}
	return err
}

func (r *control) auto(_ context.Context, object interp.Arg) error {
	every := autoDefault
	if object.Text != "" {
		d, err := interp.ParseDuration(object.Text)
		if err != nil || d < time.Second || d > autoMost {
			return interp.Usagef("auto start wants a time from 1 second to a day, not %q", object.Text)
		}
		every = d
	}
	return r.setAuto(every, "this peer becomes a rendezvous of %s after about %v without one, and an edge when there are others", r.g.Name(), every)
}

func (r *control) manual(context.Context, interp.Arg) error {
	return r.setAuto(0, "the role in %s stays as it is: %s", r.g.Name(), r.g.Rendezvous().Role())
}

func (r *control) setAuto(every time.Duration, line string, args ...any) error {
	if r.g.Rendezvous().Role() == rendezvous.AdHoc {
		return r.failed(rendezvous.ErrRole)
	}
	r.g.Rendezvous().SetAuto(every)
	r.done(fmt.Sprintf(line, args...), interp.Field{Name: "every", Value: every})
	return nil
}

// address reads a URI; "host" means TCP and the usual port.
func (r *control) address(object interp.Arg) (endpoint.Address, error) {
	text := object.Text
	if !strings.Contains(text, "://") {
		text = tcp.Protocol + "://" + text
	}
	a, err := endpoint.ParseAddress(strings.TrimSuffix(text, "/"))
	if err != nil {
		return endpoint.Address{}, interp.Usagef("%q is no address", object.Text).Try("such as tcp://192.0.2.1:9701")
	}
	if _, _, err := a.HostPort(); err != nil && a.Protocol == tcp.Protocol {
		a.Host = fmt.Sprintf("%s:%d", a.Host, tcp.FirstPort)
	}
	if _, peer := a.Peer(); !peer && !r.h.peer.Endpoint().Serves(a.Protocol) {
		return endpoint.Address{}, interp.Usagef("no transport of this peer serves %q", a.Protocol)
	}
	return a.Base(), nil
}

func (r *control) addSeed(_ context.Context, object interp.Arg) error {
	a, err := r.address(object)
	if err != nil {
		return err
	}
	r.g.Rendezvous().AddSeed(a)
	r.done(fmt.Sprintf("%s is a seed of %s from now on", a, r.g.Name()), interp.Field{Name: "address", Value: a.String()})
	return nil
}

func (r *control) reseed(context.Context, interp.Arg) error {
	rdv := r.g.Rendezvous()
	rdv.TrySeeds()
	lease, leased := rdv.Lease()
	switch {
	case rdv.Role() == rendezvous.Rendezvous:
		r.done("other rendezvous are looked for at the seeds")
	case rdv.Role() == rendezvous.AdHoc:
		return interp.Failf("this peer is ad hoc in %s and asks nobody", r.g.Name())
	case leased:
		r.done("there is a lease at " + lease.Name + "; the seeds are asked when it ends")
	default:
		r.done("the seeds are asked for a lease")
	}
	return nil
}

func (r *control) connect(ctx context.Context, object interp.Arg) error {
	a, err := r.address(object)
	if err != nil {
		return err
	}
	wait, err := r.c.Duration("w", defaultWait)
	if err != nil {
		return err
	}
	rdv := r.g.Rendezvous()
	if rdv.Role() != rendezvous.Edge {
		return interp.Failf("this peer is no edge of %s and takes no lease", r.g.Name()).Try("rdvcontrol rdv stop makes it one")
	}
	at := interp.Field{Name: "address", Value: a.String()}
	had, leased := rdv.Lease()
	rdv.AddSeed(a)
	if leased {
		r.done(fmt.Sprintf("there is a lease at %s; %s is remembered for later", had.Name, a), peerField(had.Peer), at)
		return nil
	}
	short, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	_ = rdv.WaitConnected(short)
	if err := waited(ctx); err != nil {
		return err
	}
	got, ok := rdv.Lease()
	if !ok {
		return interp.NotFoundf("%s gave no lease so far", a).Try("it is asked again now and then; rdvstatus tells")
	}
	r.done("leased from "+got.Name, peerField(got.Peer), at)
	return nil
}

func (r *control) disconnect(ctx context.Context, object interp.Arg) error {
	p, err := r.peer(ctx, object)
	if err != nil {
		return err
	}
	rdv := r.g.Rendezvous()
	lease, leased := rdv.Lease()
	mine := leased && lease.Peer == p
	name := r.name(p)
	if err := rdv.Disconnect(p); errors.Is(err, rendezvous.ErrNoLease) {
		return interp.NotFoundf("there is no lease between this peer and %s", name).Try("rdvstatus lists those there are")
	} else if err != nil {
		return err
	}
	if mine {
		r.done("the lease at "+name+" is given back", peerField(p))
	} else {
		r.done("the lease of "+name+" is ended", peerField(p))
	}
	return nil
}

func (r *control) fail(ctx context.Context, object interp.Arg) error {
	p, err := r.peer(ctx, object)
	if err != nil {
		return err
	}
	view := r.g.Rendezvous().PeerView()
	switch {
	case view == nil:
		return interp.Failf("only a rendezvous has a view").Try("rdvcontrol rdv start makes this peer one")
	case !view.Has(p):
		return interp.NotFoundf("%s is not in the view", r.name(p)).Try("rdvstatus -v lists who is")
	}
	view.Suspect(p)
	r.done(r.name(p)+" is probed, and leaves the view if it does not answer", peerField(p))
	return nil
}

func (r *control) probe(ctx context.Context, object interp.Arg) error {
	p, err := r.peer(ctx, object)
	if err != nil {
		return err
	}
	view := r.g.Rendezvous().PeerView()
	switch {
	case view == nil:
		return interp.Failf("only a rendezvous has a view").Try("rdvcontrol rdv start makes this peer one")
	case view.Has(p):
		return r.fail(ctx, object)
	case p == r.h.peer.ID():
		return interp.Failf("that is this peer itself")
	}
	r.g.Rendezvous().AddSeed(endpoint.PeerAddress(p, "", ""))
	r.done(r.name(p)+" is asked whether it is a rendezvous", peerField(p))
	return nil
}

// related are the peers that rdvcontrol is about: with a lease, or in the view.
func (r *control) related() map[id.Peer]string {
	rdv := r.g.Rendezvous()
	all := map[id.Peer]string{}
	if l, ok := rdv.Lease(); ok {
		all[l.Peer] = l.Name
	}
	for _, c := range rdv.Clients() {
		all[c.Peer] = c.Name
	}
	if v := rdv.PeerView(); v != nil {
		for _, m := range v.Members() {
			all[m.Peer] = m.Name
		}
	}
	return all
}

// peer returns the peer that is meant: among those with a lease and in the view
// nobody needs to be asked for a name.
func (r *control) peer(ctx context.Context, object interp.Arg) (id.Peer, error) {
	var found []id.Peer
	if _, variable := r.c.Variable(object); !variable {
		for p, name := range r.related() {
			if name == object.Text {
				found = append(found, p)
			}
		}
	}
	switch len(found) {
	case 0:
		return r.h.findPeer(ctx, r.c, object, defaultWait)
	case 1:
		return found[0], nil
	}
	return id.Peer{}, duplicates("peers", object.Text, len(found))
}

// name is how the line calls a peer.
func (r *control) name(p id.Peer) string {
	if name := r.related()[p]; name != "" {
		return name
	}
	return r.h.peerName(p)
}

// completeControl lists the words that may stand at a place.
func (h *Host) completeControl(s *interp.Session, n int) []interp.Suggestion {
	var all []interp.Suggestion
	add := func(text, description string) {
		for i := range all {
			if all[i].Text == text {
				all[i].Description += "; " + description
				return
			}
		}
		all = append(all, interp.Suggestion{Text: text, Description: description})
	}
	switch n {
	case 0:
		for _, x := range controls() {
			add(x.noun, x.verb)
		}
	case 1:
		for _, x := range controls() {
			add(x.verb, x.noun+": "+x.text)
		}
	case 2:
		all = s.Variables(classPeerAdv)
		r := &control{h: h, g: h.group()}
		for p, name := range r.related() {
			if name != "" {
				add(name, "peer "+p.Short())
			}
		}
	}
	return all
}
