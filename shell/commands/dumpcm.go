package commands

import (
	"context"
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func dumpcmCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "dumpcm", Family: familyPeers, Summary: "shows all that the cache of the current group holds",
		Options: []interp.Option{{Letter: "l", Name: "long", Help: "also the keys"}},
		Details: "In place of the files that the original shows. JSON: kind (peer, group or adv), type, name, key, octets,\n" +
			"until (when the copy ends; null: never), expires (seconds that copies at others may live).",
		Examples: []interp.Example{{Line: "dumpcm", Text: "everything"}, {Line: "dumpcm | count type", Text: "how many of each type"},
			{Line: "dumpcm | sort -r octets | first 3", Text: "the largest"}},
		Run: func(_ context.Context, c *interp.Call) error {
			for _, k := range []struct {
				kind advertisements.Kind
				name string
			}{{advertisements.Peers, "peer"}, {advertisements.Groups, "group"}, {advertisements.Advs, "adv"}} {
				all := h.group().Discovery().Local(discovery.Query{Kind: k.kind})
				slices.SortStableFunc(all, func(a, b discovery.Result) int { return strings.Compare(nameOf(a.Adv), nameOf(b.Adv)) })
				for _, r := range all {
					key, err := advertisements.KeyOf(r.Adv)
					if err != nil {
						continue // it could not have been kept
					}
					c.Emit(interp.Record{Wide: c.Flag("l"), Fields: []interp.Field{{Name: "kind", Value: k.name}, {Name: "type", Value: r.Adv.DocType()},
						{Name: "name", Value: nameOf(r.Adv)}, {Name: "octets", Value: len(r.Document)}, {Name: "until", Value: endOf(r)},
						{Name: "expires", Value: r.Expiration}, {Name: "key", Value: key, Long: true}}})
				}
			}
			return nil
		},
	}
}

// nameOf is the name that an advertisement can be found by.
func nameOf(adv advertisements.Advertisement) string {
	fields, err := advertisements.Fields(adv)
	if err != nil {
		return ""
	}
	for _, f := range fields {
		if f.Name == "Name" {
			return f.Value
		}
	}
	return ""
}
