// Package commands holds the commands of the shell, one a file, and what they
// have in common: the peer, the current group, and how arguments name peers,
// groups, pipes and messages. It uses nothing but the exported API of the
// packages below.
package commands

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/membership"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// Variables that the shell sets itself.
const (
	stdgroup   = "stdgroup"   // the current group
	rootgroup  = "rootgroup"  // the network
	worldgroup = "worldgroup" // the group of all peers
)

const (
	// defaultWait is how long commands wait for the answers of other peers unless
	// they are told otherwise.
	defaultWait = 3 * time.Second

	// dialWait is the same for opening a pipe, which takes a search and a connection.
	dialWait = 10 * time.Second
)

// What some examples need before they can be typed.
const (
	withModerators = "newpgrp --moderated -j team"
	withRequest    = "bob> request | exportfile bob.request\nnewpgrp --certificates -j team"
	withInvited    = withRequest + "\ninvite bob bob.request"
	withInvitation = "request | exportfile me.request\ngroups -f\nann> leave crew\nann> groups -f\n" +
		"ann> newpgrp --certificates -j crew\nann> invite me me.request | exportfile bob.pem"
)

// Host is the peer behind a session. Its methods are safe for concurrent use.
type Host struct {
	peer    *peergroup.Peer
	session *interp.Session
	shelves *shelves

	mu   sync.Mutex
	made map[id.Group]peergroup.Spec // groups whose advertisement this session made
	logs *Levels                     // what is logged; nil: cannot be changed
	auto bool                        // talk reaches this peer under its name in every group joined
}

// New returns a host for the peer, which must outlive it.
func New(peer *peergroup.Peer) *Host {
	return &Host{peer: peer, shelves: new(shelves), made: map[id.Group]peergroup.Spec{}}
}

// SetLevels tells what decides about the log of the peer, for the command logging.
func (h *Host) SetLevels(l *Levels) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.logs = l
}

func (h *Host) levels() *Levels {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.logs
}

// Another returns a host of the same peer for another session.
func (h *Host) Another() *Host {
	x := New(h.peer)
	x.shelves, x.logs = h.shelves, h.levels()
	return x
}

// Peer returns the peer.
func (h *Host) Peer() *peergroup.Peer { return h.peer }

// Group returns the current group of the session, for commands that a program adds.
func (h *Host) Group() *peergroup.Group { return h.group() }

// Commands returns all commands, in the order in which help lists them.
func (h *Host) Commands() []*interp.Command {
	var all []*interp.Command
	for _, f := range []func(*Host) *interp.Command{
		statusCommand, netcheckCommand, pingCommand,
		whoamiCommand, identityCommand, peersCommand, groupsCommand, searchCommand, publishCommand, infoCommand, flushCommand, dumpcmCommand,
		rdvstatusCommand, rdvcontrolCommand, metricsCommand, limitsCommand, peerinfoCommand, routeCommand, whyCommand, mapCommand, consoleCommand, monitorCommand, traceCommand, transportsCommand, relaystatusCommand, rdvserverCommand, rshCommand, rshdCommand, yardCommand,
		newpgrpCommand, joinCommand, loginCommand, whoCommand, requestCommand, inviteCommand, acceptCommand, revokeCommand,
		psestatusCommand, psecertsCommand, psekeysCommand, psenewcsrCommand, psesigncsrCommand, pseimportcertCommand, psedumpcredCommand,
		banCommand, leaveCommand, chpgrpCommand,
		shareCommand, findCommand, fetchCommand, unshareCommand, callCommand,
		talkCommand, xferCommand, newpipeCommand, mkadvCommand, newmoduleclassCommand, newmodulespecCommand, mkpipeCommand, mkmsgCommand, putCommand, getCommand, sendCommand, recvCommand,
		envCommand, setCommand, unsetCommand, catCommand, echoCommand, grepCommand, wcCommand, moreCommand,
		whereCommand, selectCommand, sortCommand, countCommand, firstCommand, lastCommand,
		shellCommand, sourceCommand, aliasCommand, timeCommand, watchCommand,
		importfileCommand, exportfileCommand, sleepCommand, historyCommand, clearCommand,
		helpCommand, manCommand, versionCommand, memCommand, loggingCommand, storehomeCommand, exitCommand,
		psecreatekeyCommand, psedupkeyCommand, pseeraseCommand,
		sftpCommand, instjarCommand, uninstjarCommand, peerconfigCommand,
	} {
		c := h.forMembers(f(h))
		c.Paged = slices.Contains(paged[:], c.Name)
		all = append(all, c)
	}
	return all
}

// paged are the commands that end by themselves, ask nothing, and may print more than a screen has rows for.
var paged = [...]string{
	"status", "peers", "groups", "search", "info", "dumpcm", "rdvstatus", "metrics", "limits", "peerinfo", "route", "why", "map",
	"transports", "relaystatus", "who", "find", "env", "cat", "grep", "where", "select", "sort", "count", "first", "last",
	"history", "alias", "help", "man",
}

// forMembers has a command say, when the group takes nothing from this peer, what to do
// about it.
func (h *Host) forMembers(c *interp.Command) *interp.Command {
	run := c.Run
	c.Run = func(ctx context.Context, call *interp.Call) error {
		err := run(ctx, call)
		if !errors.Is(err, membership.ErrNotMember) {
			return err
		}
		g := h.group()
		return interp.Deniedf("this peer is not a member of %s", g.Name()).Try("%s", howToJoin(g))
	}
	return c
}

// Attach gives the session the variables of the shell. It must be called once,
// before the first command.
func (h *Host) Attach(s *interp.Session) error {
	h.session = s
	return errors.Join(
		s.StoreFixed(stdgroup, h.peer.Net()),
		s.StoreFixed(rootgroup, h.peer.Net()),
		s.StoreFixed(worldgroup, h.peer.World()),
	)
}

// group returns the current group.
func (h *Host) group() *peergroup.Group {
	if v, ok := h.session.Vars.Get(stdgroup); ok {
		if g, ok := v.Object.(*peergroup.Group); ok {
			return g
		}
	}
	return h.peer.Net()
}

// changeGroup makes a group the current one.
func (h *Host) changeGroup(object any) error {
	g, ok := object.(*peergroup.Group)
	if !ok {
		return interp.Usagef("that is no group that was joined").Try("chpgrp lists them")
	}
	select {
	case <-g.Done():
		return interp.Failf("the group %q was left", g.Name())
	default:
	}
	return h.session.StoreFixed(stdgroup, g)
}

// joined returns the groups this peer is in, the network first.
func (h *Host) joined() []*peergroup.Group {
	var all []*peergroup.Group
	var add func(g *peergroup.Group)
	add = func(g *peergroup.Group) {
		all = append(all, g)
		for _, c := range g.Groups() {
			add(c)
		}
	}
	add(h.peer.Net())
	return all
}

// Prompt returns the prompt: it names the group, unless that is the network.
func (h *Host) Prompt() string {
	g := h.group()
	if g.ID() == h.peer.Net().ID() {
		return "JXTA> "
	}
	return "JXTA " + oneLine(g.Name()) + "> "
}

// findGroup returns the group that an argument names: a variable, the ID or the
// name of a group that was joined.
func (h *Host) findGroup(c *interp.Call, a interp.Arg) (*peergroup.Group, error) {
	if v, ok := c.Variable(a); ok {
		if g, ok := v.Object.(*peergroup.Group); ok {
			return g, nil
		}
	}
	const old = "PG@" // led the variables of joined groups in the first shells
	name := strings.TrimPrefix(a.Text, old)
	i := slices.IndexFunc(h.joined(), func(g *peergroup.Group) bool {
		return g.Name() == a.Text || g.Name() == name || g.ID().String() == a.Text
	})
	if i < 0 {
		return nil, interp.NotFoundf("this peer is in no group %q", a.Text).Try("chpgrp lists the groups; join %s", a.Text)
	}
	return h.joined()[i], nil
}

// completeGroups lists the groups that were joined.
func (h *Host) completeGroups(s *interp.Session, n int) []interp.Suggestion {
	if n > 0 {
		return nil
	}
	all := s.Variables(classGroup)
	for _, g := range h.joined() {
		all = append(all, interp.Suggestion{Text: g.Name(), Description: "group " + g.ID().Short()})
	}
	return all
}

// waited turns the end of a wait into the error of the command: nil if the time
// was over, which is how waiting ends, and the cause if it was stopped.
func waited(parent context.Context) error {
	if parent.Err() != nil {
		return context.Cause(parent)
	}
	return nil
}

// duplicates says that a name fits several things.
func duplicates(what, name string, n int) error {
	return interp.Failf("%d %s are called %q", n, what, name).Try("give a variable or an ID instead, for example from a listing with -l")
}

func oneLine(s string) string {
	const longest = 24
	r := []rune(s)
	if len(r) > longest {
		r = append(r[:longest], '…')
	}
	return string(r)
}
