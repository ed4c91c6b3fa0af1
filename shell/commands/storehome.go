package commands

import (
	"context"
	"net/url"
	"path/filepath"

	"github.com/juxta-p2p/juxta/shell/interp"
)

func storehomeCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "storehome", Family: familyLanguage, Summary: "tells where this peer keeps its key, its cache and the history",
		Details:  "All groups share the folder. JSON: home, uri. Status 3: this peer keeps nothing.",
		Examples: []interp.Example{{Line: "storehome", Text: "the folder, as a URI"}, {Line: "storehome | select home", Text: "as a path"}},
		Run: func(_ context.Context, c *interp.Call) error {
			home := h.peer.Home()
			if home == "" {
				return interp.NotFoundf("this peer keeps nothing on disk").Try("start one with --home DIR")
			}
			if full, err := filepath.Abs(home); err == nil {
				home = full
			}
			uri := (&url.URL{Scheme: "file", Path: filepath.ToSlash(home)}).String()
			c.Line(uri, interp.Field{Name: "home", Value: home}, interp.Field{Name: "uri", Value: uri})
			return nil
		},
	}
}
