package commands

import (
	"context"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func infoCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "info", Family: familyPeers, Summary: "tells how long an advertisement lives, here and at others",
		Args: "VARIABLE", MaxArgs: 1, Complete: completeAdvertisements,
		Options: []interp.Option{{Letter: "d", Value: "VARIABLE", Help: "the advertisement, as in the original shell"}},
		Details: "JSON: type, key, until (when the own copy ends; null: never), expires (seconds that copies\n" +
			"at other peers may live), signed (who signed it). Status 3: it is not in the cache.",
		Examples: []interp.Example{{Line: "peers; info peer0", Text: "how long that peer is remembered"}, {Line: "info -d adv0", Text: "the same in the old way"}},
		Run: func(_ context.Context, c *interp.Call) error {
			adv, err := advertisementArg(c)
			if err != nil {
				return err
			}
			r, ok := h.cached(adv)
			if !ok {
				return interp.NotFoundf("it is not in the cache of %s", h.group().Name()).Try("publish puts it there")
			}
			key, err := advertisements.KeyOf(adv)
			if err != nil {
				return err
			}
			signer := ""
			if r.Verdict.Signed {
				signer = r.Verdict.Signer.Peer.String()
			}
			var until any = "for ever"
			if c.JSON() || !r.Until.Equal(store.Forever()) {
				until = endOf(r)
			}
			c.Detail(interp.Field{Name: "type", Value: adv.DocType()}, interp.Field{Name: "key", Value: key}, interp.Field{Name: "until", Value: until},
				interp.Field{Name: "expires", Value: r.Expiration}, interp.Field{Name: "signed", Value: signer})
			return nil
		},
	}
}

// endOf is when the own copy ends; zero: never.
func endOf(r discovery.Result) time.Time {
	if r.Until.Equal(store.Forever()) {
		return time.Time{}
	}
	return r.Until
}

// cached returns what the cache of the current group holds of an advertisement.
func (h *Host) cached(adv advertisements.Advertisement) (discovery.Result, bool) {
	key, err := advertisements.KeyOf(adv)
	if err != nil {
		return discovery.Result{}, false
	}
	for _, kind := range []advertisements.Kind{advertisements.Peers, advertisements.Groups, advertisements.Advs} {
		for _, r := range h.group().Discovery().Local(discovery.Query{Kind: kind}) {
			if k, err := advertisements.KeyOf(r.Adv); err == nil && k == key && r.Adv.DocType() == adv.DocType() {
				return r, true
			}
		}
	}
	return discovery.Result{}, false
}
