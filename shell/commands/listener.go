package commands

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/peergroup"
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

// login opens the pipe of a user and shows what arrives. The listener is kept in
// the variable talkd.<user>@<group>, as in the original shell.
func (h *Host) login(ctx context.Context, g *peergroup.Group, user string) error {
	adv, err := h.registered(g, talkKind, user)
	if err != nil {
		return err
	}
	in, err := g.Pipes().Listen(ctx, adv)
	if err != nil {
		return pipeError(err, "cannot log in "+user)
	}
	l := &listener{user: user, group: g, in: in}
	if err := h.session.Store(userVariable("talkd", user, g), l); err != nil {
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
	if err := h.register(ctx, g, talkKind, user, advertisements.Unicast); err != nil {
		return err
	}
	return h.login(ctx, g, user)
}

// logout closes the pipe of a user.
func (h *Host) logout(user string) error {
	v, err := h.session.Vars.Remove(userVariable("talkd", user, h.group()))
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
