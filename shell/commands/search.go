package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func searchCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "search", Family: familyPeers, Summary: "lists the other advertisements of the current group: pipes, modules, …",
		Options: listOptions("things"), Complete: nothing,
		Details: "The results are kept in adv0, adv1, …\n" +
			"JSON: variable, type, name, id, expires (seconds).\nStatus 3: none was found.",
		Examples: []interp.Example{{Line: "search -r -v 'chat*'", Text: "what has a name that begins with chat"},
			{Line: "out = mkpipe -o adv0", Text: "opens the pipe that was found", Before: "search -r -a Name -v chat"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			found, err := h.list(ctx, c, advertisements.Advs)
			if err != nil {
				return err
			}
			type entry struct {
				adv            advertisements.Advertisement
				typ, name, urn string
				fields         []interp.Field
			}
			var all []entry
			for _, r := range found {
				e := entry{adv: r.Adv, typ: r.Adv.DocType()}
				short := ""
				fields, err := advertisements.Fields(r.Adv)
				if err == nil {
					for _, f := range fields {
						if f.Name == "Name" {
							e.name = f.Value
						}
					}
				}
				if p, ok := r.Adv.(*advertisements.Pipe); ok {
					e.urn, short = p.ID.String(), p.ID.Short()
					e.typ = string(p.Type)
				} else if key, err := advertisements.KeyOf(r.Adv); err == nil {
					e.urn, short = key, lastOf(key)
				}
				e.fields = []interp.Field{{Name: "type", Value: e.typ}, {Name: "name", Value: e.name},
					{Name: "id", Value: e.urn, Short: short}, {Name: "expires", Value: r.Expiration, Long: true}}
				all = append(all, e)
			}
			slices.SortFunc(all, func(a, b entry) int {
				return strings.Compare(a.name+"\x00"+a.typ+"\x00"+a.urn, b.name+"\x00"+b.typ+"\x00"+b.urn)
			})
			c.Session.Vars.Number("adv")
			for i, e := range all {
				if err := h.listed(c, fmt.Sprint("adv", i), e.adv, e.urn, e.fields); err != nil {
					return err
				}
			}
			if len(all) == 0 {
				return nothingFound(c, "advertisements")
			}
			return nil
		},
	}
}

// lastOf is the end of a key, which tells keys apart on a screen.
func lastOf(key string) string {
	const enough = 10
	if len(key) <= enough {
		return key
	}
	return "…" + key[len(key)-enough:]
}
