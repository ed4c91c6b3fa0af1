package commands

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/shell/interp"
)

const (
	// askAgain is how often a question is put again while a command waits: peers
	// near by turn up during the first seconds.
	askAgain = time.Second

	// leastWait is what -w 0 means: time enough to send the question.
	leastWait = 100 * time.Millisecond

	// maxListed bounds what one listing shows and keeps in variables.
	maxListed = 10_000
)

// collect asks the group and returns what is known when the time is over: what
// was in the own cache, and what others have answered, each thing once. The
// error is ErrNobody if nobody could be asked; the results are valid then, too.
func collect(ctx context.Context, g *peergroup.Group, q discovery.Query, wait time.Duration) ([]discovery.Result, error) {
	if q.LocalOnly {
		return g.Discovery().Local(q), nil
	}
	ctx, cancel := context.WithTimeout(ctx, max(wait, leastWait))
	defer cancel()
	found := map[string]discovery.Result{}
	var nobody error
	for ctx.Err() == nil {
		round, end := context.WithTimeout(ctx, askAgain)
		for r, err := range g.Discovery().Find(round, q) {
			if errors.Is(err, discovery.ErrNobody) {
				nobody = err
				<-round.Done()
				break
			}
			if err != nil {
				end()
				return nil, err
			}
			if key, err := advertisements.KeyOf(r.Adv); err == nil && len(found) < maxListed {
				found[key] = r
			}
			if !r.From.IsZero() {
				nobody = nil
			}
		}
		end()
	}
	all := make([]discovery.Result, 0, len(found))
	for _, r := range found {
		all = append(all, r)
	}
	return all, nobody
}

// findOne asks the group until the first advertisement that accept takes.
func findOne(ctx context.Context, g *peergroup.Group, q discovery.Query, wait time.Duration, accept func(discovery.Result) bool) bool {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for ctx.Err() == nil {
		round, end := context.WithTimeout(ctx, askAgain)
		for r, err := range g.Discovery().Find(round, q) {
			if err != nil { // nobody to ask, or nothing that can be asked: that may be otherwise a little later
				<-round.Done()
				break
			}
			if accept(r) {
				end()
				return true
			}
		}
		end()
		q.RemoteOnly = true
	}
	return false
}

// findPeer returns the peer that an argument names: a variable with its
// advertisement, an ID, or a name, for which others are asked if need be.
func (h *Host) findPeer(ctx context.Context, c *interp.Call, a interp.Arg, wait time.Duration) (id.Peer, error) {
	if v, ok := c.Variable(a); ok {
		if p, ok := v.Object.(*advertisements.Peer); ok {
			return p.ID, nil
		}
	}
	if strings.HasPrefix(strings.ToLower(a.Text), "urn:") {
		p, err := id.ParsePeer(a.Text)
		if err != nil {
			return id.Peer{}, interp.Usagef("%q is no ID of a peer", a.Text)
		}
		return p, nil
	}
	var peers []id.Peer
	add := func(r discovery.Result) bool {
		p, ok := r.Adv.(*advertisements.Peer)
		if ok && !slices.Contains(peers, p.ID) {
			peers = append(peers, p.ID)
		}
		return ok
	}
	g := h.group()
	q := discovery.Query{Kind: advertisements.Peers, Attr: "Name", Value: a.Text}
	for _, r := range g.Discovery().Local(q) {
		add(r)
	}
	if len(peers) == 0 {
		findOne(ctx, g, q, wait, add)
	}
	if err := ctx.Err(); err != nil {
		return id.Peer{}, err
	}
	switch len(peers) {
	case 0:
		return id.Peer{}, interp.NotFoundf("no peer %q was found in %s", a.Text, g.Name()).Try("peers -r lists those who answer")
	case 1:
		return peers[0], nil
	}
	return id.Peer{}, duplicates("peers", a.Text, len(peers))
}

// listOptions are those of peers, groups and search.
func listOptions(what string) []interp.Option {
	return []interp.Option{
		{Letter: "r", Name: "remote", Help: "ask other peers, and wait for their answers"},
		interp.WaitOption("how long to wait with -r (default 3s); 0: only send the question"),
		{Letter: "p", Name: "peer", Value: "PEER", Help: "ask this peer only (implies -r)"},
		{Letter: "n", Name: "limit", Value: "N", Help: "answers wanted from each peer (default 10)"},
		{Letter: "a", Name: "attribute", Value: "FIELD", Help: "only those whose field, such as Name, …"},
		{Letter: "v", Name: "value", Value: "VALUE", Help: "… is this; * stands for any text"},
		{Letter: "l", Name: "long", Help: "all fields, whole IDs"},
		{Letter: "q", Name: "quiet", Help: "only the IDs of " + what},
		{Letter: "f", Name: "flush", Help: "forget all that are in the cache, but for this peer itself"},
	}
}

// defaultLimit is how many answers are wanted from each peer, as in the original.
const defaultLimit = 10

// list is the common part of peers, groups and search: it returns what fits the
// options.
func (h *Host) list(ctx context.Context, c *interp.Call, kind advertisements.Kind) ([]discovery.Result, error) {
	g := h.group()
	limit, err := c.Int("n", 1, defaultLimit)
	if err != nil {
		return nil, err
	}
	wait, err := c.Duration("w", defaultWait)
	if err != nil {
		return nil, err
	}
	q := discovery.Query{Kind: kind, Attr: c.Value("a", ""), Value: c.Value("v", ""), LocalOnly: true}
	if q.Attr == "" && q.Value != "" {
		q.Attr = "Name"
	}
	if c.Flag("f") {
		_, err := g.Discovery().Flush(ctx, kind)
		return nil, err
	}
	if c.Flag("p") {
		if q.Peer, err = h.findPeer(ctx, c, interp.Arg{Text: c.Value("p", "")}, defaultWait); err != nil {
			return nil, err
		}
	}
	if c.Flag("r") || c.Flag("p") {
		q.LocalOnly, q.Limit = false, limit
	}
	all, err := collect(ctx, g, q, wait)
	switch {
	case errors.Is(err, discovery.ErrNobody):
		c.Notice("nobody could be asked in %s: no rendezvous, no peer near by; wait a little, or start with --seed", g.Name())
	case err != nil:
		return nil, err
	}
	return all, waited(ctx)
}

// nothingFound is the error of a listing without results.
func nothingFound(c *interp.Call, what string) error {
	if c.Flag("f") || c.Value("w", "") == "0" {
		return nil
	}
	e := interp.NotFoundf("no %s found", what)
	if !c.Flag("r") && !c.Flag("p") {
		return e.Try("%s -r asks other peers", c.Command.Name)
	}
	return e
}

// lookUp returns the advertisements of one type that fit a query, each once:
// those in the own cache, else the first that others have.
func lookUp[A interface {
	advertisements.Advertisement
	Key() string
}](ctx context.Context, g *peergroup.Group, q discovery.Query, wait time.Duration) ([]A, error) {
	var found []A
	add := func(r discovery.Result) bool {
		a, ok := r.Adv.(A)
		if ok && !slices.ContainsFunc(found, func(x A) bool { return x.Key() == a.Key() }) {
			found = append(found, a)
		}
		return ok
	}
	for _, r := range g.Discovery().Local(q) {
		add(r)
	}
	if len(found) == 0 {
		findOne(ctx, g, q, wait, add)
	}
	return found, ctx.Err()
}
