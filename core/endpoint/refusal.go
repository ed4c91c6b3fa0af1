package endpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// ErrRefused is the cause when a peer does not want a link with another.
var ErrRefused = errors.New("refused")

// Refusal tells that a link was refused by a rule of one side.
type Refusal struct {
	Peer id.Peer   // the other side
	Ours bool      // this peer refused; else the other side did, and said so
	Rule string    // in words
	When time.Time // of the last time
}

// Error implements error.
func (r *Refusal) Error() string {
	if r.Ours {
		return fmt.Sprintf("this peer refuses peer %s: %s", r.Peer.Short(), r.Rule)
	}
	return fmt.Sprintf("peer %s refuses this peer: %s", r.Peer.Short(), r.Rule)
}

// Unwrap returns [ErrRefused].
func (r *Refusal) Unwrap() error { return ErrRefused }

// The message by which a Juxta peer says why it closes a link at once. It goes to
// a service that no other implementation has.
const (
	refusedService = "juxta.refused"
	elemRule       = "Rule"
)

// refusals remembers the last refusal for each of some peers. The zero value is
// empty.
type refusals struct {
	mu  sync.Mutex
	all []Refusal // the latest comes last
}

func (r *refusals) add(x Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = slices.DeleteFunc(r.all, func(y Refusal) bool { return y.Peer == x.Peer && y.Ours == x.Ours })
	if len(r.all) >= maxRefusals {
		r.all = slices.Delete(r.all, 0, 1)
	}
	r.all = append(r.all, x)
}

// Refusals returns the links that were refused by a rule, the latest last: those
// that this peer refused, and those of which the other side told that it did. At
// most 256 are remembered.
func (e *Endpoint) Refusals() []Refusal {
	e.refused.mu.Lock()
	defer e.refused.mu.Unlock()
	return slices.Clone(e.refused.all)
}

// Refuse closes all links to a peer and tells it the rule, as when a rule begins
// to hold for a peer that is connected. [Config.Admit] keeps it from coming back.
func (e *Endpoint) Refuse(p id.Peer, rule error) {
	for _, l := range e.Links() {
		if l.Peer() == p {
			e.refuse(l, rule)
			_ = l.Close()
		}
	}
}

// Object tells a peer that a rule keeps what it sends over a link from being taken,
// as when a group excludes it, and remembers that like a refusal. The link stays.
// Only Juxta peers are told. It waits for a second at most.
func (e *Endpoint) Object(l Link, rule error) { e.refuse(l, rule) }

// refuse remembers that a link is not wanted, and tells the other side if it can
// make something of it.
func (e *Endpoint) refuse(l Link, rule error) {
	e.refused.add(Refusal{Peer: l.Peer(), Ours: true, Rule: rule.Error(), When: time.Now()})
	e.log.Info("a peer is refused", "peer", l.Peer().Short(), "from", l.Origin(), "rule", rule)
	if !IsJuxta(l) {
		return
	}
	ctx, cancel := context.WithTimeout(e.ctx, refuseTimeout)
	defer cancel()
	_ = e.SendOn(ctx, l, l.Remote().With(refusedService, ""),
		message.New(message.Text(message.Platform, elemRule, clip(rule.Error()))))
}

// takeRefusal takes the other side's word that it refuses this peer.
func (e *Endpoint) takeRefusal(in Incoming) {
	rule, _ := in.Message.Get(message.Platform, elemRule)
	e.refused.add(Refusal{Peer: in.From, Rule: clip(string(rule.Body)), When: time.Now()})
	e.log.Info("a peer refuses this one", "peer", in.From.Short(), "rule", clip(string(rule.Body)))
}

// clip makes a text from outside fit to be shown: one line of bounded length.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > maxRule {
		s = strings.ToValidUTF8(s[:maxRule], "")
	}
	return s
}
