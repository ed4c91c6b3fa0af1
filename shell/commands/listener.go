package commands

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// The wire format of talk, which Java and C shells share: a pipe advertisement
// with this name before that of the user, and messages with these elements.
const (
	talkName    = "JxtaTalkUserName."
	talkSender  = "JxtaTalkSenderName"
	talkText    = "JxtaTalkSenderMessage"
	talkGroup   = "GrpName"
	talkSpace   = "talkx" // namespace of pictures
	talkImage   = "image"
	talkCaption = "image_caption"

	// everybody is the user that stands for all members of a group, in any case.
	everybody = "IP2PGRP"
)

// maxTalkText bounds what is shown of one message of a stranger, in octets.
const maxTalkText = 16 << 10

// listener is a user who is logged in: an open input pipe whose messages are
// shown as they come.
type listener struct {
	user  string
	group *peergroup.Group
	in    *pipe.Input
	wg    sync.WaitGroup
}

// Close logs the user out. It is idempotent.
func (l *listener) Close() error {
	l.in.Close()
	l.wg.Wait()
	return nil
}

// everybodyPipe is the pipe on which all members of a group talk: its ID is that
// of the group, followed by sixteen octets D1.
func everybodyPipe(g id.Group) (*advertisements.Pipe, error) {
	const groupDigits, prefix = 32, "uuid-"
	_, digits, ok := strings.Cut(id.NewPipe(g).Unique(), "-")
	if !ok || len(digits) < groupDigits {
		return nil, interp.Failf("groups with IDs of this kind have no pipe for everybody")
	}
	p, err := id.ParsePipe("urn:jxta:" + prefix + digits[:groupDigits] + strings.Repeat("D1", 16) + "04")
	if err != nil {
		return nil, err
	}
	return &advertisements.Pipe{ID: p, Type: advertisements.Propagate, Name: talkName + everybody}, nil
}

// ownPipe is the pipe of a user at this peer. Its ID is always the same, so that
// advertisements of earlier runs stay right.
func (h *Host) ownPipe(g *peergroup.Group, user string, t advertisements.PipeType) *advertisements.Pipe {
	seed := sha256.Sum256([]byte(h.peer.ID().String() + "\x00" + user + "\x00" + string(t)))
	return &advertisements.Pipe{ID: id.PipeFromSeed(g.ID(), seed[:]), Type: t, Name: talkName + user}
}

// talkAdv returns the advertisement that a user of this peer was registered with.
func (h *Host) talkAdv(g *peergroup.Group, user string) (*advertisements.Pipe, error) {
	if strings.EqualFold(user, everybody) {
		return everybodyPipe(g.ID())
	}
	for _, t := range []advertisements.PipeType{advertisements.Unicast, advertisements.Propagate, advertisements.UnicastSecure} {
		own := h.ownPipe(g, user, t)
		for range g.Discovery().Local(discovery.Query{Kind: advertisements.Advs, Attr: "Id", Value: own.ID.String()}) {
			return own, nil
		}
	}
	return nil, interp.NotFoundf("the user %q is not registered at this peer", user).Try("talk -register %s", user)
}

// register publishes the pipe of a user.
func (h *Host) register(ctx context.Context, g *peergroup.Group, user string, t advertisements.PipeType) error {
	adv := h.ownPipe(g, user, t)
	if err := g.Discovery().Publish(ctx, adv, discovery.Lifetime{Local: discovery.Forever}); err != nil {
		return interp.Because(err, "cannot register %s", user)
	}
	return nil
}

// login opens the pipe of a user and shows what arrives. The listener is kept in
// the variable talkd.<user>@<group>, as in the original shell.
func (h *Host) login(ctx context.Context, g *peergroup.Group, user string) error {
	adv, err := h.talkAdv(g, user)
	if err != nil {
		return err
	}
	in, err := g.Pipes().Listen(ctx, adv)
	if err != nil {
		return pipeError(err, "cannot log in "+user)
	}
	l := &listener{user: user, group: g, in: in}
	if err := h.session.Store(talkVariable(user, g), l); err != nil {
		in.Close()
		return err
	}
	l.wg.Go(func() {
		for m, err := range in.Messages(context.Background()) { // ends with the input
			if err != nil {
				return
			}
			h.showTalk(l, m)
		}
	})
	return nil
}

// talkVariable is the name of the variable that holds a listener.
func talkVariable(user string, g *peergroup.Group) string {
	name := func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' {
				return r
			}
			return '_'
		}, s)
	}
	return "talkd." + name(user) + "@" + name(g.Name())
}

// showTalk shows a message that has arrived.
func (h *Host) showTalk(l *listener, m pipe.Message) {
	from, okFrom := m.Get("", talkSender)
	text, okText := m.Get("", talkText)
	if !okFrom {
		return // not a message of talk
	}
	if m.From == h.peer.ID() && l.in.Pipe().Type == advertisements.Propagate {
		return // the own words, which a propagate pipe brings back
	}
	body := text.Text()
	if image, ok := m.Get(talkSpace, talkImage); ok && !okText {
		body = fmt.Sprintf("[a picture of %d octets] %s", len(image.Body), m.Text(talkSpace, talkCaption))
	}
	if len(body) > maxTalkText {
		body = strings.ToValidUTF8(body[:maxTalkText], "") + "…"
	}
	sender := oneLine(strings.Join(strings.Fields(from.Text()), " "))
	h.session.Notice("talk", fmt.Sprintf("%s to %s> %s", sender, l.user, strings.TrimRight(body, "\n")),
		interp.Field{Name: "from", Value: sender}, interp.Field{Name: "to", Value: l.user},
		interp.Field{Name: "message", Value: body}, interp.Field{Name: "group", Value: l.group.Name()},
		interp.Field{Name: "peer_id", Value: m.From.String()}, interp.Field{Name: "proven", Value: m.Proven})
}

// Login makes this peer reachable by talk under its own name, in the network and
// in every group joined later. Others need not do anything but talk NAME.
func (h *Host) Login(ctx context.Context) error {
	h.mu.Lock()
	h.auto = true
	h.mu.Unlock()
	return h.loginSelf(ctx, h.peer.Net())
}

func (h *Host) loginSelf(ctx context.Context, g *peergroup.Group) error {
	user := g.PeerName()
	if err := h.register(ctx, g, user, advertisements.Unicast); err != nil {
		return err
	}
	return h.login(ctx, g, user)
}

// logout closes the pipe of a user.
func (h *Host) logout(user string) error {
	v, err := h.session.Vars.Remove(talkVariable(user, h.group()))
	if err != nil {
		return interp.NotFoundf("%s is not logged in", user)
	}
	interp.CloseObject(v.Object)
	return nil
}

// loggedIn returns the users who are logged in at this peer in the current group.
func (h *Host) loggedIn() []string {
	var all []string
	for _, v := range h.session.Vars.All() {
		if l, ok := v.Object.(*listener); ok && l.group == h.group() {
			all = append(all, l.user)
		}
	}
	return all
}

// talkMessage is a text as a message of talk.
func talkMessage(me, group, text string) *message.Message {
	return message.New(message.Text("", talkSender, me), message.Text("", talkText, text), message.Text("", talkGroup, group))
}

// talkUsers returns the pipes of users found, each once, unicast ones first.
func talkUsers(found []discovery.Result) []*advertisements.Pipe {
	var all []*advertisements.Pipe
	for _, r := range found {
		p, ok := r.Adv.(*advertisements.Pipe)
		if !ok || !strings.HasPrefix(p.Name, talkName) || len(p.Name) == len(talkName) {
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
