package peerview

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// jobKind says what a job sends.
type jobKind uint8

const (
	probing   jobKind = iota
	answering         // a response, and referrals
	referring
	noticing // that somebody is gone
)

// job is something to be sent. It has one of to, seed and shout.
type job struct {
	kind  jobKind
	to    id.Peer
	seed  endpoint.Address
	shout bool
	link  endpoint.Link                // on which to answer, or nil
	route *advertisements.Route        // to the peer
	hear  bool                         // others told the route
	refs  []*advertisements.Rendezvous // to tell of

	member *member // that is probed, or nil
	spoke  uint64  // as it was then
	asks   bool    // for referrals, in any case
}

// queue keeps what is to be sent. View.mu guards it.
type queue struct {
	ready, calls     []job // those for which there is a link, and those for which one may have to be dialled
	sending, dialing int   // goroutines, and of these with a job of calls
}

func (q *queue) clear() { q.ready, q.calls = nil, nil }

// enqueue has a job done soon. It reports false if too many are waiting. v.mu is
// held.
func (v *View) enqueue(j job) bool {
	list := &v.calls
	if j.link != nil || !j.to.IsZero() && v.ep.LinkTo(j.to) != nil {
		list = &v.ready
	}
	if v.closed || len(*list) >= maxQueue {
		v.stats.queue.Add(1)
		return false
	}
	*list = append(*list, j)
	if v.sending < maxSending && (list == &v.ready || v.dialing < maxDials) {
		v.sending++
		v.wg.Go(v.work)
	}
	return true
}

// work does jobs as long as there are some that may be done.
func (v *View) work() {
	for {
		v.mu.Lock()
		j, call, ok := v.pop()
		if !ok {
			v.sending--
		}
		v.mu.Unlock()
		if !ok {
			return
		}
		v.do(&j)
		if call {
			v.mu.Lock()
			v.dialing--
			v.mu.Unlock()
		}
	}
}

// pop takes the next job off the queues. call says that it counts as dialling.
func (q *queue) pop() (j job, call, ok bool) {
	switch {
	case len(q.ready) > 0:
		j = shift(&q.ready)
		return j, false, true
	case len(q.calls) > 0 && q.dialing < maxDials:
		j = shift(&q.calls)
		q.dialing++
		return j, true, true
	}
	return job{}, false, false
}

// shift takes the first job off a list.
func shift(list *[]job) job {
	j := (*list)[0]
	(*list)[0] = job{} // it keeps nothing alive
	if *list = (*list)[1:]; len(*list) == 0 {
		*list = nil
	}
	return j
}

// do sends what a job consists of.
func (v *View) do(j *job) {
	own, err := v.introduction()
	if err != nil {
		v.log.Error("the own advertisement cannot be printed", "error", err)
		v.finish(j, err)
		return
	}
	if j.hear && v.cfg.Hear != nil {
		v.cfg.Hear(j.route)
	}
	switch j.kind {
	case probing:
		v.begin(j)
		known, told := v.lists(j.asks)
		err = v.send(j, own.probe(known, told), &v.stats.probes)
	case answering:
		err = v.send(j, own.response(), &v.stats.responses)
	}
	for _, adv := range j.refs {
		if err != nil {
			break
		}
		var doc []byte
		switch doc, err = xmldoc.Marshal(adv); {
		case err != nil:
			v.log.Debug("an advertisement cannot be printed", "peer", adv.Peer.Short(), "error", err)
		case j.kind == noticing:
			err = v.send(j, own.failure(doc), &v.stats.notices)
		default:
			err = v.send(j, own.referral(doc), &v.stats.referrals)
		}
	}
	v.finish(j, err)
}

// introduction returns the own advertisement, printed not long ago.
func (v *View) introduction() (printed, error) {
	now := time.Now()
	v.mu.Lock()
	own, at := v.own, v.ownAt
	v.mu.Unlock()
	if own.adv != nil && now.Sub(at) < selfLife {
		return own, nil
	}
	adv := v.cfg.Self()
	if adv == nil {
		return printed{}, errors.New("peerview: Config.Self returned nothing")
	}
	own, err := printSelf(adv)
	if err == nil {
		v.mu.Lock()
		v.own, v.ownAt = own, now
		v.mu.Unlock()
	}
	return own, err
}

// lists returns what a probe tells of what this peer knows: nothing while it could
// not use referrals, unless it asks for them in any case.
func (v *View) lists(asks bool) (known, told []byte) {
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	if !asks && !v.hungry(now) {
		return nil, nil
	}
	return v.knownList(), printList(v.expected(now))
}

// begin notes that the probe of a member is on its way only now.
func (v *View) begin(j *job) {
	if j.member == nil {
		return
	}
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	if m := j.member; m.spoke == j.spoke && v.members[m.peer] == m {
		m.asked = now
		v.schedule(m, now.Add(answerTime))
	}
}

// finish sees what became of a job.
func (v *View) finish(j *job, err error) {
	if err != nil && v.ctx.Err() == nil {
		v.log.Debug("not sent", "peer", j.to.Short(), "address", j.seed.String(), "error", err)
	}
	m := j.member
	if m == nil {
		return
	}
	now := time.Now()
	v.mu.Lock()
	m.queued = false
	switch {
	case err == nil, v.closed, m.spoke != j.spoke, v.members[m.peer] != m:
	case errors.Is(err, endpoint.ErrTooManyLinks) && now.Sub(m.heard) < endure:
		m.asked = time.Time{} // it is not the member's fault
		v.schedule(m, now.Add(postpone))
	default:
		v.fail(m, "cannot be reached", now)
	}
	v.mu.Unlock()
	v.tell()
}

// send sends one message of a job and counts it.
func (v *View) send(j *job, msg *message.Message, count *atomic.Uint64) error {
	ctx, cancel := context.WithTimeout(v.ctx, sendTimeout)
	defer cancel()
	if j.shout {
		v.cfg.Shout(ctx, msg)
		count.Add(1)
		v.stats.shouts.Add(1)
		return nil
	}
	var err error
	if j.seed.IsZero() {
		err = v.sendTo(ctx, j, msg)
	} else {
		err = v.sendSeed(ctx, j, msg)
	}
	if err != nil {
		v.stats.unsent.Add(1)
		return err
	}
	count.Add(1)
	return nil
}

// sendTo sends to a peer without asking others for the way, except to one that
// can be reached only through others.
func (v *View) sendTo(ctx context.Context, j *job, msg *message.Message) error {
	if j.link != nil && v.scope.SendOn(ctx, j.link, Service, v.param, msg) == nil {
		return nil
	}
	if v.cfg.Connect == nil {
		return v.scope.Send(ctx, j.to, Service, v.param, msg)
	}
	l, err := v.cfg.Connect(ctx, j.to)
	if err == nil {
		if err = v.scope.SendOn(ctx, l, Service, v.param, msg); !errors.Is(err, endpoint.ErrLinkClosed) {
			return err
		}
		if l, err = v.cfg.Connect(ctx, j.to); err == nil { // it broke just now
			return v.scope.SendOn(ctx, l, Service, v.param, msg)
		}
	}
	if j.route == nil {
		return err
	}
	if !v.dialable(j.route) {
		return v.scope.Send(ctx, j.to, Service, v.param, msg)
	}
	if !j.hear {
		return err
	}
	// The router passes over heard addresses while it knows a way through others,
	// but over that nobody can become a member.
	for _, a := range j.route.Addresses[:min(len(j.route.Addresses), maxHeardDials)] {
		if !v.ep.Serves(a.Protocol) {
			continue
		}
		if l, err := v.ep.Dial(ctx, a); err == nil && l.Peer() == j.to {
			return v.scope.SendOn(ctx, l, Service, v.param, msg)
		}
	}
	return err
}

// sendSeed sends to an address and remembers who turns out to be there.
func (v *View) sendSeed(ctx context.Context, j *job, msg *message.Message) error {
	if p, ok := j.seed.Peer(); ok {
		return v.sendTo(ctx, &job{to: p, route: &advertisements.Route{Dest: p}}, msg)
	}
	l, err := v.ep.Dial(ctx, j.seed)
	if errors.Is(err, endpoint.ErrSelf) {
		v.noteSeed(j.seed, v.self)
		return err
	}
	if err != nil {
		return err
	}
	v.noteSeed(j.seed, l.Peer())
	return v.scope.SendOn(ctx, l, Service, v.param, msg)
}

// noteSeed remembers who is at the address of a seed.
func (v *View) noteSeed(a endpoint.Address, p id.Peer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seeds == nil || len(v.seeds) >= maxSeeds {
		v.seeds = map[endpoint.Address]id.Peer{}
	}
	v.seeds[a.Base()] = p
}

// farewell tells the members that this peer is no longer there: those first to
// which there is a link.
func (v *View) farewell() {
	own, err := v.introduction()
	if err != nil {
		return
	}
	peers := slices.Clone(v.Peers())
	near := make(map[id.Peer]bool, len(peers))
	for _, p := range peers {
		near[p] = v.ep.LinkTo(p) != nil
	}
	slices.SortStableFunc(peers, func(a, b id.Peer) int {
		switch {
		case near[a] == near[b]:
			return 0
		case near[a]:
			return -1
		}
		return 1
	})
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeTimeout)
	defer cancel()
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(maxSending, len(peers)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(peers) || ctx.Err() != nil {
					return
				}
				if v.sendTo(ctx, &job{to: peers[i]}, own.goodbye()) == nil {
					v.stats.notices.Add(1)
				} else {
					v.stats.unsent.Add(1)
				}
			}
		})
	}
	wg.Wait()
}
