package netmap

// Changes tells in words what is different between two maps of a peer: who came and went, which
// links and leases began and ended, and which groups.
func Changes(before, after *Map) []string {
	if before == nil || after == nil {
		return nil
	}
	var all []string
	name := func(peer string) string {
		for _, m := range []*Map{after, before} {
			if p := m.Peer(peer); p != nil {
				return p.Label()
			}
		}
		return "a peer"
	}
	different(before.Peers, after.Peers, func(p Peer) string { return p.ID }, func(p Peer, came bool) {
		all = append(all, p.Label()+map[bool]string{true: " is known now", false: " is not known any more"}[came])
	})
	type pair struct{ from, to, kind, group string }
	different(before.Edges, after.Edges, func(e Edge) pair { return pair{e.From, e.To, e.Kind, e.Group} }, func(e Edge, came bool) {
		from, to := name(e.From), name(e.To)
		var began, ended string
		switch e.Kind {
		case KindLink:
			began, ended = from+" has a link to "+to, "the link of "+from+" to "+to+" has ended"
		case KindLease:
			began, ended = from+" leases from "+to, from+" leases from "+to+" no more"
		case KindRelay:
			began, ended = from+" is reached through "+to, from+" is not reached through "+to+" any more"
		case KindView:
			began, ended = "the rendezvous "+to+" is in view", "the rendezvous "+to+" is out of view"
		default:
			return // routes follow from the rest
		}
		all = append(all, map[bool]string{true: began, false: ended}[came])
	})
	different(before.Groups, after.Groups, func(g Group) string { return g.ID }, func(g Group, came bool) {
		all = append(all, map[bool]string{true: "joined ", false: "left "}[came]+g.Name)
	})
	different(before.Pipes, after.Pipes, func(p Pipe) string { return p.Group + p.ID }, func(p Pipe, came bool) {
		all = append(all, "the pipe "+p.Name+map[bool]string{true: " is open", false: " is closed"}[came])
	})
	return all
}

// different calls f for what is in one list only.
func different[T any, K comparable](before, after []T, key func(T) K, f func(x T, came bool)) {
	was := map[K]bool{}
	for _, x := range before {
		was[key(x)] = true
	}
	for _, x := range after {
		k := key(x)
		if _, ok := was[k]; !ok {
			f(x, true)
		}
		was[k] = false
	}
	for _, x := range before {
		if was[key(x)] {
			f(x, false)
		}
	}
}
