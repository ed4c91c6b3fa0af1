package commands

import (
	"context"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func publishCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "publish", Aliases: []string{"remotepublish"}, Family: familyPeers,
		Summary: "publishes an advertisement in the current group",
		Args:    "VARIABLE", MinArgs: 0, MaxArgs: 1,
		Options: []interp.Option{
			{Letter: "d", Value: "VARIABLE", Help: "the advertisement, as in the original shell"},
			{Letter: "r", Name: "push", Help: "also push copies to other peers now"},
			{Letter: "t", Name: "life", Value: "DURATION", Help: "how long copies at other peers live (default 2h)"},
		},
		Complete: completeAdvertisements,
		Details: "Others find it from now on. A document (importfile) is published if it is an\nadvertisement. " +
			"As remotepublish it pushes, as in the original shell.\nJSON: type, key, pushed (to how many peers or networks).",
		Examples: []interp.Example{{Line: "chat = newpipe -n chat; publish chat", Text: "others can find the pipe"},
			{Line: "publish -r -t 24h chat", Text: "copies that live a day"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			adv, err := advertisementArg(c)
			if err != nil {
				return err
			}
			life, err := c.Duration("t", 0)
			if err != nil {
				return err
			}
			if c.Flag("t") && life < time.Second {
				return interp.Usagef("copies live for a second at least")
			}
			d := h.group().Discovery()
			if err := d.Publish(ctx, adv, discovery.Lifetime{Remote: life}); err != nil {
				return interp.Because(err, "cannot publish it")
			}
			pushed := 0
			if c.Flag("r") || c.Name == "remotepublish" {
				if pushed, err = d.PublishRemote(ctx, adv, discovery.Lifetime{Remote: life}); err != nil {
					return interp.Because(err, "published here, but not pushed")
				}
			}
			if c.JSON() {
				key, err := advertisements.KeyOf(adv)
				if err != nil {
					return err
				}
				c.Row(interp.Field{Name: "type", Value: adv.DocType()}, interp.Field{Name: "key", Value: key}, interp.Field{Name: "pushed", Value: pushed})
			}
			return nil
		},
	}
}

// completeAdvertisements lists variables that hold advertisements.
func completeAdvertisements(s *interp.Session, n int) []interp.Suggestion {
	if n > 0 {
		return nil
	}
	return s.Variables(classAdv, classPipeAdv, classGroupAdv, classPeerAdv, classDocument)
}

// advertisementArg returns the advertisement that -d or the first argument names.
func advertisementArg(c *interp.Call) (advertisements.Advertisement, error) {
	a := interp.Arg{Text: c.Value("d", "")}
	switch {
	case a.Text != "" && len(c.Args) > 0, a.Text == "" && len(c.Args) == 0:
		return nil, interp.Usagef("%s wants one advertisement", c.Command.Name).Try("usage: %s", c.Command.Usage())
	case a.Text == "":
		a = c.Args[0]
	}
	v, ok := c.Variable(a)
	if !ok {
		return nil, interp.NotFoundf("no variable is called %q", a.Text).Try("env lists them")
	}
	switch x := v.Object.(type) {
	case advertisements.Advertisement:
		return x, nil
	case Document:
		adv, err := advertisements.Standard().Parse(x)
		if err != nil {
			return nil, interp.Because(err, "%s is no advertisement", v.Name)
		}
		return adv, nil
	}
	return nil, interp.Failf("%s holds no advertisement, but: %s", v.Name, v.Class)
}
