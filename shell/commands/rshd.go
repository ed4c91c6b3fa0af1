package commands

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/access"
	"github.com/juxta-p2p/juxta/peergroup/membership"
	"github.com/juxta-p2p/juxta/protocols/socket"
	"github.com/juxta-p2p/juxta/shell/interp"
	"github.com/juxta-p2p/juxta/shell/remote"
)

const (
	// maxVisitors bounds the connections that are looked after at a time: sessions, and those that
	// are being refused. Others are hung up on.
	maxVisitors = 2 * remote.MaxSessions

	// visitorBacklog is how many connections wait to be looked after.
	visitorBacklog = 8

	// maxGuests bounds the peers that one rshd names.
	maxGuests = 64

	// refusalPause is how often refusals are told: strangers must not be able to fill the
	// screen and the log.
	refusalPause = 10 * time.Second

	// maxShownLine is how much of a line is told, in characters.
	maxShownLine = 200
)

func rshdCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "rshd", Family: familyPeers, Summary: "lets peers that are named use a shell on this one, to look around",
		Args: "[PEER]...", MaxArgs: maxGuests, Complete: func(s *interp.Session, _ int) []interp.Suggestion { return s.Variables(classPeerAdv) },
		Options: []interp.Option{
			{Letter: "m", Name: "members", Help: "those who hold a certificate of the current group may come, too"},
			{Letter: "r", Name: "right", Value: "OPERATION", Help: "those of them who have this right in the group may"},
			{Letter: "l", Name: "list", Help: "lists the sessions there are"},
			{Letter: "k", Name: "stop", Help: "ends it, and all sessions"},
		},
		Details: "Nobody may come but those named: PEER is an ID, or a variable with the advertisement of a peer, whose\n" +
			"ID counts. A name alone is refused, since anybody can take it; compare the ID with the owner (whoami -p).\n" +
			"Peers prove their ID by their key, and everything is encrypted from end to end. Of members and rights see\n" +
			"docs/groups.md; a right is a word of your own, such as shell, and is looked at again before each line.\n" +
			"They have a session of their own in the current group, with these commands, of which some options are missing:\n" + wrapWords(visitorWords()) +
			"no files, no programs, no variables of their own, and nothing that changes this peer. Each session and each line\n" +
			"is told here and in the log. docs/shell.md tells what this protects, and what not.\n" +
			"JSON: variable, peers, members, right, commands; with -l peer_id, name, since, lines, last.\n" +
			"What visitors do are notices with event (came, typed, left, refused), peer_id, said.",
		Examples: []interp.Example{{Line: "rshd ann", Text: "ann may look around here, if ann is a variable with the peer that you mean"},
			{Line: "rshd -l", Text: "who is here", Before: "rshd ann", Status: interp.StatusNotFound}, {Line: "rshd -k", Text: "nobody may any more", Before: "rshd ann"},
			{Line: "rshd -m -r shell", Text: "who has the right \"shell\" in a group with certificates", Before: "echo 'shell: bob' > crew.rights\nnewpgrp -j --certificates --rights crew.rights team"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			name := h.shellVariable()
			v, runs := c.Session.Vars.Get(name)
			d, _ := v.Object.(*shellDaemon)
			switch {
			case c.Flag("l") || c.Flag("k"):
				if !runs || d == nil {
					return interp.NotFoundf("no remote shell runs in %s", h.group().Name()).Try("rshd PEER starts one")
				}
				if c.Flag("l") {
					return h.listVisitors(c, d)
				}
				if _, err := c.Session.Vars.Remove(name); err != nil {
					return err
				}
				return d.Close()
			case runs:
				return interp.Failf("a remote shell runs in %s already", h.group().Name()).Try("rshd -k ends it")
			}
			return h.startShell(ctx, c, name)
		},
	}
}

// wrapWords breaks a list of names into lines of a manual page.
func wrapWords(words string) string {
	const width = 90
	lines := []string{""}
	for w := range strings.SplitSeq(words, ", ") {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = w
		case len(*last)+len(w) < width:
			*last += ", " + w
		default:
			*last += ","
			lines = append(lines, w)
		}
	}
	return strings.Join(lines, "\n") + ";\n"
}

func (h *Host) shellVariable() string { return userVariable("rshd", h.group().PeerName(), h.group()) }

// shellPipe is the pipe on which the remote shell of a peer listens in a group. Everybody can
// work it out, so it need not be published or found.
func shellPipe(g *peergroup.Group, host id.Peer) *advertisements.Pipe {
	seed := sha256.Sum256([]byte("rshd\x00" + host.String()))
	return &advertisements.Pipe{ID: id.PipeFromSeed(g.ID(), seed[:]), Type: advertisements.UnicastSecure, Name: "JuxtaRshd"}
}

// guests are those who may use the remote shell.
type guests struct {
	group   *peergroup.Group
	peers   []id.Peer
	members bool   // who hold a certificate of the group
	right   string // or, unless empty, have it
}

// may tells whether a peer may come, in words for it.
func (x *guests) may(p id.Peer, shown xmldoc.Node) error {
	if slices.Contains(x.peers, p) {
		return nil
	}
	if !x.members && x.right == "" {
		return errors.New("this remote shell is not for your peer")
	}
	cred, standing, err := x.group.Membership().Check(shown, p)
	switch {
	case err != nil || cred == nil || standing != credential.Proven:
		return errors.New("this remote shell is not for your peer: it has shown no good certificate of the group")
	case x.right != "" && x.group.Access().Permit(x.right, cred, standing) != nil:
		return fmt.Errorf("this remote shell is not for your peer: it does not have the right %q in the group", x.right)
	}
	return nil
}

// guestsOf reads who may come.
func (h *Host) guestsOf(c *interp.Call) (*guests, error) {
	g := h.group()
	x := &guests{group: g, members: c.Flag("m"), right: c.Value("r", "")}
	for _, a := range c.Args {
		v, _ := c.Variable(a)
		adv, ok := v.Object.(*advertisements.Peer)
		if ok {
			x.peers = append(x.peers, adv.ID)
			continue
		}
		if text, ok := v.Object.(string); ok {
			a.Text = text
		}
		p, err := id.ParsePeer(a.Text)
		if err != nil {
			return nil, interp.Usagef("%q is neither the ID of a peer nor a variable with its advertisement", oneLine(a.Text)).
				Try("a name does not do, since anybody can take it; peers -l lists IDs")
		}
		x.peers = append(x.peers, p)
	}
	if c.Flag("r") && (x.right == "" || slices.Contains(access.Operations(), x.right)) {
		return nil, interp.Usagef("%q is no right of an application", x.right).Try("choose a word such as shell, and list it in newpgrp --rights")
	}
	if x.members || x.right != "" {
		if g.Membership().Kind() != membership.Certificate {
			return nil, interp.Failf("%s has no certificates, so nobody can prove to be a member", g.Name()).Try("name the peers: rshd PEER...")
		}
		if x.right != "" && g.Access().Kind() != access.List {
			return nil, interp.Failf("%s has no list of rights", g.Name()).Try("newpgrp --rights gives it one; rshd -m lets all members in")
		}
	}
	if len(x.peers) == 0 && !x.members && x.right == "" {
		return nil, interp.Usagef("rshd wants to know who may come").Try("usage: %s", c.Command.Usage())
	}
	return x, nil
}

// shellDaemon is a remote shell that runs.
type shellDaemon struct {
	group    *peergroup.Group
	host     *remote.Host
	listener *socket.Listener
	life     context.Context
	end      context.CancelFunc
	serving  sync.WaitGroup
}

// Close ends it and all sessions. It is idempotent.
func (d *shellDaemon) Close() error {
	d.end()
	err := d.listener.Close()
	_ = d.host.Close()
	d.serving.Wait()
	return err
}

// startShell starts the remote shell of the current group.
func (h *Host) startShell(ctx context.Context, c *interp.Call, name string) error {
	who, err := h.guestsOf(c)
	if err != nil {
		return err
	}
	if _, err := h.ownKey(); err != nil {
		return err
	}
	g := h.group()
	d := &shellDaemon{group: g}
	d.listener, err = g.Sockets().ListenWith(ctx, shellPipe(g, h.peer.ID()), socket.ListenConfig{Backlog: visitorBacklog, ReliableOnly: true,
		Check: func(_ context.Context, r socket.Request) error {
			if !r.Proven || !r.Juxta {
				return errors.New("commands: it has not proven who it is")
			}
			return nil
		}})
	if err != nil {
		return pipeError(err, "cannot listen")
	}
	d.life, d.end = context.WithCancel(context.Background())
	list := visitorWords()
	told := &visitorEvents{host: h}
	d.host = remote.NewHost(remote.HostConfig{
		Welcome: fmt.Sprintf("the shell of %s in %s, to look around: %s; exit leaves", g.PeerName(), g.Name(), list),
		Session: func(cfg interp.Config) (*interp.Session, func() string, error) { return h.visitorSession(g, cfg) },
		Event:   told.tell,
	})
	d.serving.Go(func() { d.accept(who) })
	if err := c.Session.Store(name, d); err != nil {
		_ = d.Close()
		return err
	}
	var peers []string
	for _, p := range who.peers {
		peers = append(peers, p.String())
	}
	h.peer.Logger().Info("rshd: begins", "group", g.Name(), "peers", peers, "members", who.members, "right", who.right)
	if c.JSON() {
		c.Row(interp.Field{Name: "variable", Value: name}, interp.Field{Name: "peers", Value: peers}, interp.Field{Name: "members", Value: who.members},
			interp.Field{Name: "right", Value: who.right}, interp.Field{Name: "commands", Value: strings.Split(list, ", ")})
	}
	c.Notice("%s may come to %s: rsh %s", who.text(), g.Name(), words(oneLine(g.PeerName())))
	c.Notice("they can run %s; they see what this peer is, its addresses, and whom it knows in %s; rshd -k ends it", list, g.Name())
	return nil
}

// text tells people who may come.
func (x *guests) text() string {
	var all []string
	for _, p := range x.peers {
		all = append(all, p.String())
	}
	switch {
	case x.right != "":
		all = append(all, fmt.Sprintf("members with the right %q", x.right))
	case x.members:
		all = append(all, "all members with a certificate")
	}
	return strings.Join(all, ", ")
}

// visitorSession makes the session of a visitor.
func (h *Host) visitorSession(g *peergroup.Group, cfg interp.Config) (*interp.Session, func() string, error) {
	own := h.Another()
	cfg.Commands, cfg.Describe = visitorCommands(own.Commands()), own.Describe
	s := interp.New(cfg)
	if err := own.Attach(s); err != nil {
		return nil, nil, err
	}
	for _, name := range []string{stdgroup, rootgroup, worldgroup} { // it has but one group
		if err := s.StoreFixed(name, g); err != nil {
			return nil, nil, err
		}
	}
	return s, own.Prompt, nil
}

// accept looks after those who connect, until the listener closes.
func (d *shellDaemon) accept(who *guests) {
	defer func() { _ = d.host.Close() }() // when the group is left
	room := make(chan struct{}, maxVisitors)
	for {
		conn, err := d.listener.AcceptConn(d.life)
		if err != nil {
			return
		}
		select {
		case room <- struct{}{}:
		default:
			_ = conn.Close()
			continue
		}
		d.serving.Go(func() {
			defer func() { <-room }()
			p, shown := conn.Peer(), conn.Credential()
			d.host.Serve(conn, remote.Visitor{Peer: p, May: func() error {
				if !conn.Proven() {
					return errors.New("your peer has not proven who it is")
				}
				return who.may(p, shown)
			}})
		})
	}
}

// visitorEvents tells the user and the log what visitors do.
type visitorEvents struct {
	host *Host

	mu      sync.Mutex
	refused time.Time // when a refusal was told last
	untold  int       // refusals since then
}

func (v *visitorEvents) tell(e remote.Event) {
	untold := 0
	if e.Kind == remote.Refused {
		v.mu.Lock()
		late := time.Since(v.refused) >= refusalPause
		if late {
			v.refused, untold, v.untold = time.Now(), v.untold, 0
		} else {
			v.untold++
		}
		v.mu.Unlock()
		if !late {
			return
		}
	}
	h := v.host
	who := words(h.peerName(e.Peer)) // a name may hold anything
	text := ""
	switch e.Kind {
	case remote.Came:
		text = who + " has come"
	case remote.Left:
		text = fmt.Sprintf("%s has left: %s", who, e.Text)
	case remote.Typed:
		text = fmt.Sprintf("%s runs %.*q", who, maxShownLine, e.Text)
	case remote.Refused:
		text = fmt.Sprintf("%s was refused: %s", who, e.Text)
		if untold > 0 {
			text += fmt.Sprintf("; and %d others before", untold)
		}
	}
	h.session.Notice("rshd", text, interp.Field{Name: "event", Value: string(e.Kind)}, interp.Field{Name: "peer_id", Value: e.Peer.String()}, interp.Field{Name: "said", Value: e.Text})
	h.peer.Logger().LogAttrs(context.Background(), slog.LevelInfo, "rshd: "+string(e.Kind), slog.String("peer", e.Peer.String()), slog.String("text", e.Text))
}

// listVisitors lists the sessions of others.
func (h *Host) listVisitors(c *interp.Call, d *shellDaemon) error {
	all := d.host.Sessions()
	slices.SortFunc(all, func(a, b remote.Info) int { return a.Since.Compare(b.Since) })
	for _, x := range all {
		c.Row(interp.Field{Name: "peer_id", Value: x.Peer.String(), Short: x.Peer.Short()}, interp.Field{Name: "name", Value: words(h.peerName(x.Peer))},
			interp.Field{Name: "since", Value: x.Since}, interp.Field{Name: "lines", Value: x.Lines}, interp.Field{Name: "last", Value: x.Last})
	}
	if len(all) == 0 {
		return interp.NotFoundf("nobody is here")
	}
	return nil
}
