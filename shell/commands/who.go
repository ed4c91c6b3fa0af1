package commands

import (
	"context"
	"fmt"
	"slices"

	"github.com/juxta-p2p/juxta/shell/interp"
)

func whoCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "who", Family: familyGroups, Summary: "lists what makes this peer a member of the current group",
		Complete: nothing,
		Options: []interp.Option{
			{Letter: "i", Name: "issued", Help: "the certificates that this peer has issued instead"},
			{Letter: "r", Name: "revoked", Help: "the certificates of the group that are no longer good instead"},
			{Letter: "p", Help: "accepted as in the original shell; it changes nothing"}},
		Details: "It leaves cred0, cred1, … and with -i cert0, cert1, …, that which is shown to others first; cat shows them.\n" +
			"JSON: variable, name, kind, shown (to others), peer_id.\nWith -i: variable, name, serial, until, revoked. With -r: serial, since.\nStatus 3: there is none.",
		Examples: []interp.Example{{Line: "who", Text: "the credentials in this group"}, {Line: "who; cat -p cred0", Text: "all that is in the one that others see"}, {Line: "who -i", Text: "whom this peer has invited", Before: withInvited}},
		Run: func(_ context.Context, c *interp.Call) error {
			m := h.group().Membership()
			n := 0
			switch {
			case c.Flag("i"):
				gone := map[string]bool{}
				for _, r := range m.Revocations() {
					gone[r.Serial] = true
				}
				c.Session.Vars.Number("cert")
				for _, x := range m.Issued() {
					s, name := x.SerialNumber.Text(16), fmt.Sprint("cert", n)
					if err := c.Session.Store(name, x); err != nil {
						return interp.Because(err, "cannot keep the result")
					}
					n++
					c.Row(interp.Field{Name: "variable", Value: name}, interp.Field{Name: "name", Value: x.Subject.CommonName}, interp.Field{Name: "serial", Value: s},
						interp.Field{Name: "until", Value: x.NotAfter}, interp.Field{Name: "revoked", Value: gone[s]})
				}
			case c.Flag("r"):
				for _, r := range m.Revocations() {
					n++
					c.Row(interp.Field{Name: "serial", Value: r.Serial}, interp.Field{Name: "since", Value: r.Since})
				}
			default:
				shown, all := m.Default(), m.Credentials()
				if i := slices.Index(all, shown); i > 0 {
					all = slices.Insert(slices.Delete(all, i, i+1), 0, shown)
				}
				c.Session.Vars.Number("cred")
				for _, x := range all {
					name := fmt.Sprint("cred", n)
					if err := c.Session.Store(name, x); err != nil {
						return interp.Because(err, "cannot keep the result")
					}
					n++
					c.Row(interp.Field{Name: "variable", Value: name}, interp.Field{Name: "name", Value: x.Subject()}, interp.Field{Name: "kind", Value: x.Kind.String()},
						interp.Field{Name: "shown", Value: x == shown}, interp.Field{Name: "peer_id", Value: x.Peer.String(), Long: true})
				}
			}
			switch {
			case n > 0:
				return nil
			case c.Flag("i"), c.Flag("r"):
				return interp.NotFoundf("no such certificates")
			}
			return interp.NotFoundf("this peer is not a member of %s", h.group().Name()).Try("login makes it one")
		},
	}
}
