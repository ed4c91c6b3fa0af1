package commands

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/socket"
	"github.com/juxta-p2p/juxta/shell/interp"
	"github.com/juxta-p2p/juxta/shell/xfer"
)

// userKind is what users are for. It stands before the name of a user in that of the
// pipe on which the user listens, as Java and C shells have it.
type userKind string

const (
	talkKind userKind = talkName
	xferKind userKind = xfer.NamePrefix
)

// user returns whose pipe it is.
func (k userKind) user(p *advertisements.Pipe) string { return strings.TrimPrefix(p.Name, string(k)) }

// search and register are what to type.
func (k userKind) search() string {
	if k == xferKind {
		return "xfer search"
	}
	return "talk -search"
}

func (k userKind) register() string {
	if k == xferKind {
		return "xfer register"
	}
	return "talk -register"
}

// opened is the way to a user: a pipe or a stream.
type opened struct {
	out  *pipe.Output
	conn *socket.Conn
}

func (o opened) ok() bool { return o.out != nil || o.conn != nil }

func (o opened) close() {
	if o.out != nil {
		o.out.Close()
	}
	if o.conn != nil {
		_ = o.conn.Close()
	}
}

// opener opens the way.
type opener func(context.Context, *advertisements.Pipe) (opened, error)

func (h *Host) openPipe(ctx context.Context, adv *advertisements.Pipe) (opened, error) {
	out, err := h.group().Pipes().Dial(ctx, adv)
	return opened{out: out}, err
}

// ownPipe is the pipe of a user at this peer. Its ID is always the same, so that
// advertisements of earlier runs stay right.
func (h *Host) ownPipe(g *peergroup.Group, kind userKind, user string, t advertisements.PipeType) *advertisements.Pipe {
	name := user
	if kind != talkKind {
		name = string(kind) + user
	}
	seed := sha256.Sum256([]byte(h.peer.ID().String() + "\x00" + name + "\x00" + string(t)))
	return &advertisements.Pipe{ID: id.PipeFromSeed(g.ID(), seed[:]), Type: t, Name: string(kind) + user}
}

// registered returns the advertisement that a user of this peer was registered with.
func (h *Host) registered(g *peergroup.Group, kind userKind, user string) (*advertisements.Pipe, error) {
	if kind == talkKind && strings.EqualFold(user, everybody) {
		return everybodyPipe(g.ID())
	}
	for _, t := range []advertisements.PipeType{advertisements.Unicast, advertisements.Propagate, advertisements.UnicastSecure} {
		own := h.ownPipe(g, kind, user, t)
		for range g.Discovery().Local(discovery.Query{Kind: advertisements.Advs, Attr: "Id", Value: own.ID.String()}) {
			return own, nil
		}
	}
	return nil, interp.NotFoundf("the user %q is not registered at this peer", user).Try("%s %s", kind.register(), user)
}

// register publishes the pipe of a user.
func (h *Host) register(ctx context.Context, g *peergroup.Group, kind userKind, user string, t advertisements.PipeType) error {
	adv := h.ownPipe(g, kind, user, t)
	if err := g.Discovery().Publish(ctx, adv, discovery.Lifetime{Local: discovery.Forever}); err != nil {
		return interp.Because(err, "cannot register %s", user)
	}
	return nil
}

// userVariable is the name of the variable that holds a listener of a kind.
func userVariable(kind, user string, g *peergroup.Group) string {
	name := func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' {
				return r
			}
			return '_'
		}, s)
	}
	return kind + "." + name(user) + "@" + name(g.Name())
}

// usersOf returns the pipes of users found, each once, unicast ones first.
func usersOf(found []discovery.Result, kind userKind) []*advertisements.Pipe {
	var all []*advertisements.Pipe
	for _, r := range found {
		p, ok := r.Adv.(*advertisements.Pipe)
		if !ok || !strings.HasPrefix(p.Name, string(kind)) || len(p.Name) == len(kind) {
			continue
		}
		if !slices.ContainsFunc(all, func(x *advertisements.Pipe) bool { return x.ID == p.ID && x.Type == p.Type }) {
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(a, b *advertisements.Pipe) int {
		return strings.Compare(a.Name+"\x00"+string(b.Type)+a.ID.String(), b.Name+"\x00"+string(a.Type)+b.ID.String())
	})
	return all
}

// registerNew registers a user, unless somebody else has the name.
func (h *Host) registerNew(ctx context.Context, c *interp.Call, kind userKind, user string, t advertisements.PipeType) error {
	switch {
	case user == "" || strings.Contains(user, "*"):
		return interp.Usagef("%q is no name for a user", user)
	case kind == talkKind && strings.EqualFold(user, everybody):
		return interp.Failf("%s is there always; talk -login %s", everybody, everybody)
	}
	wait, err := c.Duration("w", defaultWait)
	if err != nil {
		return err
	}
	g := h.group()
	own := h.ownPipe(g, kind, user, t)
	var other *advertisements.Pipe
	findOne(ctx, g, discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: own.Name}, wait, func(r discovery.Result) bool {
		p, ok := r.Adv.(*advertisements.Pipe)
		if ok && p.Name == own.Name && p.ID != own.ID {
			other = p
		}
		return other != nil
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	if other != nil && (t != advertisements.Propagate || other.Type != advertisements.Propagate) {
		return interp.Failf("somebody else is registered as %s already", user).Try("choose another name")
	}
	return h.register(ctx, g, kind, user, t)
}

// searchUsers lists the users that can be found.
func (h *Host) searchUsers(ctx context.Context, c *interp.Call, kind userKind) error {
	wait, err := c.Duration("w", defaultWait)
	if err != nil {
		return err
	}
	found, err := collect(ctx, h.group(), discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: string(kind) + "*"}, wait)
	if err != nil && !errors.Is(err, discovery.ErrNobody) {
		return err
	}
	users := usersOf(found, kind)
	for _, p := range users {
		c.Row(interp.Field{Name: "user", Value: kind.user(p)}, interp.Field{Name: "type", Value: string(p.Type)},
			interp.Field{Name: "pipe_id", Value: p.ID.String(), Short: p.ID.Short()})
	}
	if err := waited(ctx); err != nil {
		return err
	}
	if len(users) == 0 {
		return interp.NotFoundf("no users were found")
	}
	return nil
}

// dialUser finds the pipe of a user and opens it. Several peers may have
// published the name, some of them long ago, so the first that answers counts.
func (h *Host) dialUser(ctx context.Context, kind userKind, user string, wait time.Duration, open opener) (opened, error) {
	g := h.group()
	short, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	type answer struct {
		to  opened
		err error
	}
	answers := make(chan answer)
	var tried []*advertisements.Pipe
	var self *advertisements.Pipe // of the same name: the last that is meant
	pending := 0
	var to opened
	var failure error
	take := func(a answer) {
		pending--
		switch {
		case a.err != nil:
			failure = a.err
		case !to.ok():
			to = a.to
			cancel()
		default:
			a.to.close()
		}
	}
	try := func(r discovery.Result) bool {
		for _, p := range usersOf([]discovery.Result{r}, kind) {
			known := slices.ContainsFunc(tried, func(x *advertisements.Pipe) bool { return x.ID == p.ID })
			if known || kind.user(p) != user || len(tried) >= maxCandidates {
				continue
			}
			if p.ID == h.ownPipe(g, kind, user, p.Type).ID {
				self = p
				continue
			}
			tried = append(tried, p)
			pending++
			go func() { // waited for below
				o, err := open(short, p)
				answers <- answer{o, err}
			}()
		}
		select {
		case a := <-answers:
			take(a)
		default:
		}
		return to.ok()
	}
	q := discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: string(kind) + user}
	for _, r := range g.Discovery().Local(q) {
		try(r)
	}
	search := wait
	if self != nil {
		search = min(wait, namesakeWait)
	}
	searching := make(chan struct{})
	results := make(chan discovery.Result)
	go func() { // waited for below
		defer close(searching)
		findOne(short, g, q, search, func(r discovery.Result) bool {
			select {
			case results <- r:
			case <-short.Done():
				return true
			}
			return false
		})
	}()
	for done := false; !done || pending > 0; {
		select {
		case r := <-results:
			if !to.ok() {
				try(r)
			}
		case a := <-answers:
			take(a)
		case <-searching:
			done, searching = true, nil
		}
	}
	switch {
	case to.ok():
		return to, nil
	case ctx.Err() != nil:
		return opened{}, ctx.Err()
	case self != nil:
		short, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		o, err := open(short, self)
		if err != nil && ctx.Err() == nil {
			return opened{}, pipeError(err, fmt.Sprintf("cannot open the pipe %q", self.Name))
		}
		return o, err
	case len(tried) == 0:
		return opened{}, interp.NotFoundf("nobody called %q was found in %s", user, g.Name()).Try("%s lists who can be found", kind.search())
	case errors.Is(failure, pipe.ErrSecure):
		return opened{}, pipeError(failure, "cannot reach "+user)
	}
	return opened{}, interp.NotFoundf("%s is known, but does not answer", user)
}

const (
	// maxCandidates bounds the pipes of one name that are tried.
	maxCandidates = 8

	// namesakeWait is how long others of the name are looked for before the user
	// of that name at this peer is meant.
	namesakeWait = 2 * time.Second
)
