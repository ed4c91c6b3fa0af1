package relay

import (
	"strconv"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// answer is what a relay says to a request.
type answer struct {
	lease  time.Duration              // left; zero: there is no lease
	relay  *advertisements.Rendezvous // of this or another relay, or nil
	reason error                      // why there is no lease
}

// message returns the message that tells it, as JXSE 2.5 does.
func (a answer) message() *message.Message {
	m := &message.Message{}
	if a.lease > 0 {
		m.Add(message.Text(space, elemReply, "connected"),
			message.Text(space, elemLease, strconv.FormatInt(max(a.lease.Milliseconds(), 1), 10)))
	} else {
		m.Add(message.Text(space, elemReply, "disconnected"))
		if word := reasonOf(a.reason); word != "" {
			m.Add(message.Text(ownSpace, elemReason, word))
		}
	}
	if a.relay != nil {
		if doc, err := xmldoc.Marshal(a.relay); err == nil {
			m.Add(message.XML(space, elemAdv, doc))
		}
	}
	return m
}

// readAnswer reads what a relay says. It reports false for what is no answer, or
// one to the request for a peer ID, which is never sent.
func readAnswer(m *message.Message) (a answer, ok bool) {
	switch strings.ToLower(m.Text(space, elemReply)) {
	case "connected":
		text := m.Text(space, elemLease)
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil || ms <= 0 || len(text) > maxDigits {
			return answer{}, false
		}
		a.lease = time.Duration(min(ms, maxGranted.Milliseconds())) * time.Millisecond
	case "disconnected":
		a.reason = ErrRefused
		if e, ok := m.Get(ownSpace, elemReason); ok && len(e.Body) <= maxReason {
			a.reason = refusalOf(string(e.Body))
		}
	default:
		return answer{}, false
	}
	if e, ok := m.Get(space, elemAdv); ok && len(e.Body) <= maxAdvertisement {
		adv := new(advertisements.Rendezvous)
		if err := xmldoc.Unmarshal(e.Body, adv); err == nil && adv.Service == service && !adv.Peer.IsZero() {
			if adv.Route != nil && adv.Route.Dest.IsZero() {
				adv.Route.Dest = adv.Peer
			}
			a.relay = adv
		}
	}
	return a, true
}
