package commands

import "github.com/juxta-p2p/juxta/shell/interp"

func peerinfoCommand(*Host) *interp.Command { return &interp.Command{Name: "peerinfo"} }
