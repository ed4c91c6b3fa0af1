package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func callCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "call", Family: familyPipes, Summary: "asks a service of a member of the group, or lists services",
		Args: "[SERVICE QUESTION [FIELD=VALUE]...]", MaxArgs: -1, Complete: nothing,
		Options: []interp.Option{{Letter: "p", Name: "peer", Value: "PEER", Help: "only this member"},
			{Letter: "x", Name: "xml", Help: "the answer as XML"},
			interp.WaitOption("how long to look for services, and for an answer (default 5s)")},
		Details: "Without arguments it lists what members offer. A service is known by its name or the ID of its\n" +
			"specification. The question is a document: its name and fields, or XML in quotes.\n" +
			"JSON: of the list name, spec_id, peer, peer_id; of an answer from, and the fields that it has.\n" +
			"Status 3: nobody offers it, or answers.",
		Examples: []interp.Example{{Line: "call", Text: "what is offered", Status: interp.StatusNotFound},
			{Line: "call units convert value=5 from=km to=mi", Text: "asks whoever offers units", Status: interp.StatusNotFound},
			{Line: "call -x -w 2s -p ann units '<convert><value>5</value></convert>'", Text: "asks ann, and shows the answer whole", Status: interp.StatusNotFound}},
		Run: func(ctx context.Context, c *interp.Call) error {
			const patience = 5 * time.Second
			wait, err := c.Duration("w", patience)
			if err != nil {
				return err
			}
			if len(c.Args) == 0 {
				return h.listOffers(ctx, c, min(wait, defaultWait))
			}
			if len(c.Args) == 1 {
				return interp.Usagef("ask %s what?", c.Args[0].Text).Try("usage: %s", c.Command.Usage())
			}
			question, err := questionOf(c.Args[1:])
			if err != nil {
				return err
			}
			var how peergroup.CallOptions
			if name := c.Value("p", ""); name != "" {
				if how.Peer, err = h.findPeer(ctx, c, interp.Arg{Text: name}, min(wait, defaultWait)); err != nil {
					return err
				}
			}
			spec, err := h.findService(ctx, c.Args[0].Text, min(wait, defaultWait))
			if err != nil {
				return err
			}
			how.Attempt = wait
			answer, from, err := h.group().CallSpec(ctx, spec, question, how)
			if err != nil {
				return callFailure(ctx, c.Args[0].Text, err)
			}
			h.showAnswer(c, answer, from)
			return nil
		},
	}
}

// callFailure tells why there is no answer.
func callFailure(ctx context.Context, name string, err error) error {
	var said *peergroup.CallError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, peergroup.ErrNoProvider):
		return interp.NotFoundf("nobody in the group offers %s", name).Try("call lists what is offered")
	case errors.As(err, &said) && said.Err == nil && said.Code != "" && !strings.HasPrefix(said.Code, "juxta."): // which are not the service's own
		return interp.Failf("%s says no: %s: %s", name, said.Code, said.Words)
	}
	return interp.NotFoundf("%s does not answer: %s", name, oneError(err))
}

// questionOf makes the document of a question.
func questionOf(args []interp.Arg) (xmldoc.Node, error) {
	name := args[0].Text
	if strings.HasPrefix(strings.TrimSpace(name), "<") {
		n, err := xmldoc.ParseNode([]byte(name))
		if err != nil || len(args) > 1 {
			return n, interp.Usagef("that is no XML document of one piece").Try("quote it whole")
		}
		return n, nil
	}
	var children []xmldoc.Node
	for _, a := range args[1:] {
		field, value, ok := strings.Cut(a.Text, "=")
		if !ok || field == "" {
			return xmldoc.Node{}, interp.Usagef("%q is no field; write FIELD=VALUE", a.Text)
		}
		children = append(children, xmldoc.NewNode(field, value))
	}
	n := xmldoc.NewNode(name, "", children...)
	b, err := n.Marshal()
	if err == nil {
		n, err = xmldoc.ParseNode(b) // names that are none
	}
	if err != nil {
		return n, interp.Usagef("that is no question: %s", oneError(err))
	}
	return n, nil
}

// offers collects what members say that they offer.
func (h *Host) offers(ctx context.Context, wait time.Duration) ([]peergroup.Offer, error) {
	found, err := collect(ctx, h.group(), discovery.Query{Kind: advertisements.Advs, Attr: "MSID", Value: "*"}, wait)
	if err != nil && !errors.Is(err, discovery.ErrNobody) {
		return nil, err
	}
	if err := waited(ctx); err != nil {
		return nil, err
	}
	var all []peergroup.Offer
	for _, r := range found {
		o, ok := r.Adv.(*peergroup.Offer)
		if ok && !o.Spec.IsZero() && !slices.ContainsFunc(all, func(x peergroup.Offer) bool { return x.Spec == o.Spec && x.Peer == o.Peer }) {
			all = append(all, *o)
		}
	}
	slices.SortFunc(all, func(a, b peergroup.Offer) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Spec.String(), b.Spec.String()), strings.Compare(a.Peer.String(), b.Peer.String()))
	})
	return all, nil
}

func (h *Host) listOffers(ctx context.Context, c *interp.Call, wait time.Duration) error {
	all, err := h.offers(ctx, wait)
	if err != nil {
		return err
	}
	for _, o := range all {
		c.Row(interp.Field{Name: "name", Value: o.Name}, interp.Field{Name: "spec_id", Value: o.Spec.String(), Short: o.Spec.Short()},
			interp.Field{Name: "peer", Value: h.peerName(o.Peer)}, interp.Field{Name: "peer_id", Value: o.Peer.String(), Short: o.Peer.Short()})
	}
	if len(all) == 0 {
		return interp.NotFoundf("no member offers anything, as far as is known").Try("peers -r asks who is there")
	}
	return nil
}

// findService returns the specification that a name or an ID means.
func (h *Host) findService(ctx context.Context, name string, wait time.Duration) (id.ModuleSpec, error) {
	if spec, err := id.ParseModuleSpec(name); err == nil {
		return spec, nil
	}
	all, err := h.offers(ctx, wait)
	if err != nil {
		return id.ModuleSpec{}, err
	}
	var specs []id.ModuleSpec
	for _, o := range all {
		if o.Name == name && !slices.Contains(specs, o.Spec) {
			specs = append(specs, o.Spec)
		}
	}
	switch len(specs) {
	case 0:
		return id.ModuleSpec{}, interp.NotFoundf("nobody in the group offers %s", name).Try("call lists what is offered")
	case 1:
		return specs[0], nil
	}
	return id.ModuleSpec{}, duplicates("services", name, len(specs))
}

// showAnswer shows the fields of an answer, or all of it as XML.
func (h *Host) showAnswer(c *interp.Call, answer xmldoc.Node, from id.Peer) {
	fields := []interp.Field{{Name: "from", Value: h.peerName(from)}}
	nested := false
	for n := range answer.Children() {
		for range n.Children() {
			nested = true
		}
		fields = append(fields, interp.Field{Name: n.Name(), Value: n.Text()})
	}
	if c.Flag("x") || nested && !c.JSON() {
		c.Print(strings.TrimRight(fmt.Sprint(answer), "\n") + "\n")
		return
	}
	if len(fields) == 1 {
		fields = append(fields, interp.Field{Name: answer.Name(), Value: answer.Text()})
	}
	c.Detail(fields...)
}
