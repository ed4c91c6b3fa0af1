package rendezvous

import (
	"context"
	"hash/maphash"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// greeter is the service that takes walking messages; the group's ID is added.
const greeter = "LR-Greeter"

// The directions of a walk. The rendezvous of a view stand in a row, in order of
// the unique part of their IDs; the row has ends.
const (
	dirUp   = 1
	dirDown = 2
)

// walk is the header of a walking message, jxta:LimitedRangeRdvMessage.
type walk struct {
	TTL     int64
	Dir     int64
	Source  id.Peer // who started the walk
	Service string  // of the one who started it
	Param   string
}

// Map implements [xmldoc.Document].
func (w *walk) Map(m *xmldoc.Mapper) {
	m.Root("jxta:LimitedRangeRdvMessage")
	m.Indented()
	m.Int("TTL", &w.TTL)
	m.Int("Dir", &w.Dir)
	m.Value("SrcPeerID", &w.Source)
	m.Text("SrcSvcName", &w.Service)
	m.Optional("SrcSvcParams", &w.Param)
}

func walkOf(msg *message.Message) (*walk, error) {
	e, ok := msg.Get(message.Platform, elemWalk)
	if !ok {
		return nil, nil
	}
	w := new(walk)
	if err := xmldoc.Unmarshal(e.Body, w); err != nil {
		return nil, err
	}
	return w, nil
}

// walkOn starts a walk over the view in both directions, or continues the one
// whose header the message carries in its direction, at most ttl hops from here.
// Members that cannot be reached are stepped over. It returns to how many it went.
func (s *Service) walkOn(ctx context.Context, msg *message.Message, service, param string, ttl int) int {
	v := s.view.Load()
	if v == nil || v.Size() == 0 {
		return 0
	}
	w, err := walkOf(msg)
	if err != nil {
		return 0
	}
	most := int64(min(ttl, MaxTTL, v.Size()+1))
	dirs := []int64{dirUp, dirDown}
	if w == nil {
		w = &walk{TTL: most, Source: s.self, Service: id.ClassRendezvous.String(), Param: s.param}
	} else {
		dirs = []int64{w.Dir}
		w.TTL = min(w.TTL-1, most)
	}
	if w.TTL <= 0 {
		return 0
	}
	n := 0
	for _, dir := range dirs {
		w.Dir = dir
		doc, err := xmldoc.Marshal(w)
		if err != nil {
			s.log.Error("walk header cannot be printed", "error", err)
			return n
		}
		out := msg.Clone()
		out.Replace(message.Text(message.Platform, elemWalkService, service))
		out.Replace(message.Text(message.Platform, elemWalkParam, param))
		out.Replace(message.XML(message.Platform, elemWalk, doc))
		if s.step(ctx, dir, out) {
			n++
		}
	}
	return n
}

// step gives a walking message to the next member in a direction that can be
// reached. It reports whether there was one.
func (s *Service) step(ctx context.Context, dir int64, msg *message.Message) bool {
	at := s.self
	for range maxSteps {
		v := s.view.Load()
		if v == nil {
			return false
		}
		next, ok := v.Up(at)
		if dir == dirDown {
			next, ok = v.Down(at)
		}
		if !ok {
			return false
		}
		one, cancel := context.WithTimeout(ctx, stepTimeout)
		err := s.direct(one, next, greeter+s.group.String(), id.ClassRendezvous.String()+s.param, msg)
		cancel()
		if err == nil {
			s.stats.sent.Add(1)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		s.stats.unsent.Add(1)
		s.log.Debug("a walk steps over a member", "peer", next.Short(), "error", err)
		v.Suspect(next)
		at = next
	}
	return false
}

// direct sends over a link, one that is opened now if an address is known, and
// asks nobody for a way.
func (s *Service) direct(ctx context.Context, p id.Peer, service, param string, msg *message.Message) error {
	if s.cfg.Connect == nil {
		return s.scope.Send(ctx, p, service, param, msg)
	}
	l, err := s.cfg.Connect(ctx, p)
	if err != nil {
		return err
	}
	return s.scope.SendOn(ctx, l, service, param, msg)
}

// receiveWalk takes a walking message and hands it to the service it is for,
// which decides whether it walks on.
func (s *Service) receiveWalk(_ context.Context, in endpoint.Incoming) {
	s.stats.received.Add(1)
	times := 1.0
	if s.related(in.From) {
		times = relatedTimes
	}
	if !s.sources.allow(in.From, now(), times) {
		s.stats.overRate.Add(1)
		return
	}
	w, err := walkOf(in.Message)
	v := s.view.Load()
	if err != nil || w == nil || v == nil || w.Dir != dirUp && w.Dir != dirDown {
		s.stats.malformed.Add(1)
		s.log.Debug("walking message dropped", "from", in.From.Short(), "error", err)
		return
	}
	switch {
	case w.TTL <= 0:
		s.stats.expired.Add(1)
		return
	case w.Source == s.self || !s.walked.addKey(s.fingerprint(w, in.Message)):
		s.stats.duplicate.Add(1)
		return
	}
	most := int64(v.Size() + 1)
	if !v.Has(in.From) {
		most = strangerTTL
	}
	if w.TTL > most {
		w.TTL = most
		if doc, err := xmldoc.Marshal(w); err == nil {
			in.Message.Replace(message.XML(message.Platform, elemWalk, doc))
		}
	}
	service := in.Message.Text(message.Platform, elemWalkService)
	param := in.Message.Text(message.Platform, elemWalkParam)
	in.Message.Remove(message.Platform, elemWalkService)
	in.Message.Remove(message.Platform, elemWalkParam)
	if !s.scope.Deliver(in, service, param) {
		s.stats.noListener.Add(1)
	}
}

// fingerprint tells walks apart, which have no ID of their own: by who started
// them and what they carry.
func (s *Service) fingerprint(w *walk, msg *message.Message) uint64 {
	var h maphash.Hash
	h.SetSeed(s.walked.seed)
	_, _ = h.WriteString(w.Source.String())
	for e := range msg.All() {
		if e.Namespace == message.Platform && e.Name == elemWalk {
			continue
		}
		_, _ = h.WriteString(e.Name)
		_, _ = h.Write(e.Body)
	}
	return h.Sum64()
}
