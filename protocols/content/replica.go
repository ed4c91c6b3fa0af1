package content

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/protocols/pipe"
)

// keeper keeps replicas. Members that do so, or have something of which replicas
// are wanted, say every few seconds on a propagate pipe that they live, and a
// version of what they have; who sees a new one asks for the list. So each knows
// all holders and all who could become one, sees alike what is missing, and knows
// by the rank of hashes who is called to fetch it, without anybody deciding.
type keeper struct {
	wake chan struct{} // something is to be done

	mu        sync.Mutex
	version   uint64 // of what this peer has; begins by chance, so that a restart shows
	beaten    uint64 // version that others were told
	members   map[id.Peer]*fellow
	restoring map[ID]int       // what is being fetched: replicas wanted
	short     map[ID]time.Time // since when replicas are missing
	failed    map[ID]time.Time // when one could not be fetched
}

// fellow is another member as the keeper knows it.
type fellow struct {
	last    time.Time // when it was heard of
	version uint64    // of what it says to have
	listed  uint64    // of list
	listing bool      // it is being asked
	asked   time.Time // when it was asked the last time
	keeps   bool      // fetches replicas, and has room
	list    map[ID]int
}

// Elements of a beat.
const (
	beatSpace   = "juxta"
	beatVersion = "ContentVersion"
	beatFree    = "ContentFree" // octets it would still keep
)

// changed says that what this peer has is not what it was.
func (k *keeper) changed() {
	k.mu.Lock()
	k.version++
	k.mu.Unlock()
	k.stir()
}

func (k *keeper) stir() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// known is how many members are known to live, this one included.
func (k *keeper) known() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.members) + 1
}

// beatPipe is where the members of a group tell each other that they live.
func beatPipe(g id.Group) *advertisements.Pipe {
	return &advertisements.Pipe{
		ID: id.PipeFromHash(g, []byte("juxta content replicas")), Type: advertisements.Propagate, Name: "juxta content replicas",
	}
}

// startKeeper begins to listen to the others, and to tell them.
func (s *Service) startKeeper() error {
	k := &s.keeper
	k.mu.Lock()
	k.version += rand.Uint64()>>1 + 1
	k.members, k.restoring = map[id.Peer]*fellow{}, map[ID]int{}
	k.short, k.failed = map[ID]time.Time{}, map[ID]time.Time{}
	k.mu.Unlock()
	adv := beatPipe(s.g.ID())
	in, err := s.g.Pipes().ListenWith(s.ctx, adv, pipe.ListenConfig{Handle: s.hearBeat})
	if err != nil {
		return err
	}
	out, err := s.g.Pipes().Dial(s.ctx, adv)
	if err != nil {
		in.Close()
		return err
	}
	s.work.Go(func() {
		defer in.Close()
		defer out.Close()
		s.keepReplicas(out)
	})
	return nil
}

// keeping is what this peer has, or is about to have, and of which replicas are
// wanted.
func (s *Service) keeping() []kept {
	all := map[ID]int{}
	s.mu.Lock()
	for c, l := range s.byID {
		if l.item.Replicas > 0 {
			all[c] = l.item.Replicas
		}
	}
	s.mu.Unlock()
	s.keeper.mu.Lock()
	maps.Copy(all, s.keeper.restoring)
	s.keeper.mu.Unlock()
	list := make([]kept, 0, len(all))
	for c, n := range all {
		list = append(list, kept{c, n})
	}
	slices.SortFunc(list, func(a, b kept) int { return bytes.Compare(a.id[:], b.id[:]) })
	return list[:min(len(list), maxKept)]
}

// hearBeat takes notice that a member lives.
func (s *Service) hearBeat(msg pipe.Message) {
	version, err := strconv.ParseUint(msg.Text(beatSpace, beatVersion), 10, 64)
	free, err2 := strconv.ParseInt(msg.Text(beatSpace, beatFree), 10, 64)
	if err != nil || err2 != nil || version == 0 || msg.From.IsZero() {
		s.stats.malformed.Add(1)
		return
	}
	if msg.From == s.self {
		return
	}
	k := &s.keeper
	k.mu.Lock()
	f := k.members[msg.From]
	if f == nil {
		if len(k.members) >= maxKeepers {
			k.mu.Unlock()
			s.stats.forgotten.Add(1)
			return
		}
		f = &fellow{}
		k.members[msg.From] = f
	}
	f.last, f.version, f.keeps = time.Now(), version, free > 0
	news := f.version != f.listed
	k.mu.Unlock()
	if news {
		k.stir()
	}
}

// beat tells the others that this peer lives, if it has anything to do with
// replicas.
func (s *Service) beat(out *pipe.Output) {
	if !s.cfg.Keep && len(s.keeping()) == 0 {
		return
	}
	free := int64(0)
	if s.cfg.Keep {
		free = s.room()
	}
	k := &s.keeper
	k.mu.Lock()
	version := k.version
	k.beaten = version
	k.mu.Unlock()
	msg := message.New(
		message.Text(beatSpace, beatVersion, strconv.FormatUint(version, 10)),
		message.Text(beatSpace, beatFree, strconv.FormatInt(free, 10)),
	)
	ctx, cancel := context.WithTimeout(s.ctx, beatEvery/2)
	defer cancel()
	if err := out.Send(ctx, msg); err != nil {
		s.log.Debug("nobody hears that this member lives", "error", err)
	}
}

// keepReplicas tells the others, learns from them and fetches what is missing,
// until the service ends.
func (s *Service) keepReplicas(out *pipe.Output) {
	var work sync.WaitGroup
	defer work.Wait()
	k := &s.keeper
	check := time.NewTicker(checkEvery)
	defer check.Stop()
	listing, fetching := make(chan struct{}, listers), make(chan struct{}, restoring)
	var last time.Time
	for {
		k.mu.Lock()
		news := k.version != k.beaten
		k.mu.Unlock()
		if now := time.Now(); news && now.Sub(last) >= beatLeast || now.Sub(last) >= beatEvery {
			s.beat(out)
			last = now
		}
		s.bury(time.Now())
		for _, p := range s.unlisted(cap(listing) - len(listing)) {
			listing <- struct{}{}
			work.Go(func() {
				s.list(p)
				<-listing
				k.stir()
			})
		}
		if s.cfg.Keep {
			for _, c := range s.called(time.Now(), cap(fetching)-len(fetching)) {
				fetching <- struct{}{}
				work.Go(func() {
					s.restoreReplica(c)
					<-fetching
				})
			}
		}
		tick := check.C
		if s.idle() {
			tick = nil
		}
		select {
		case <-s.ctx.Done():
			return
		case <-tick:
		case <-k.wake:
			select { // what changes in one go is told in one go
			case <-s.ctx.Done():
				return
			case <-time.After(gather):
			}
		}
	}
}

// idle reports whether there is nothing to watch, as in groups that keep no
// replicas.
func (s *Service) idle() bool { return !s.cfg.Keep && s.keeper.known() == 1 && len(s.keeping()) == 0 }

// bury forgets members that are gone.
func (s *Service) bury(now time.Time) {
	k := &s.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	for p, f := range k.members {
		if now.Sub(f.last) > deadAfter {
			delete(k.members, p)
		}
	}
}

// unlisted returns up to n members whose list is to be asked for.
func (s *Service) unlisted(n int) []id.Peer {
	k := &s.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	var all []id.Peer
	for p, f := range k.members {
		if len(all) < n && f.version != f.listed && !f.listing && now.Sub(f.asked) > checkEvery {
			f.listing, f.asked = true, now
			all = append(all, p)
		}
	}
	return all
}

// list asks a member what it has.
func (s *Service) list(p id.Peer) {
	k := &s.keeper
	k.mu.Lock()
	f := k.members[p]
	if f == nil {
		k.mu.Unlock()
		return
	}
	version := f.version
	k.mu.Unlock()
	ctx, cancel := context.WithTimeout(s.ctx, listWait)
	defer cancel()
	list, whole := map[ID]int{}, false
	err := s.ask(ctx, Holder{p, pipeOf(s.g.ID(), p)}, request{what: askKept}, func(status byte, body []byte) bool {
		page, err := decodeKept(body)
		if status != given || err != nil || len(list)+len(page) > maxKept {
			s.stats.malformed.Add(1)
			return false
		}
		for _, e := range page {
			list[e.id] = e.replicas
		}
		whole = len(page) < keptPage
		return !whole
	})
	if err != nil {
		s.log.Debug("a member does not say what it has", "member", p.Short(), "error", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	f.listing = false
	if whole && err == nil {
		f.list, f.listed = list, version
		s.stats.listed.Add(1)
	}
}

// called returns up to n contents of which replicas are missing and which this
// peer is called to fetch, and counts them as being fetched.
func (s *Service) called(now time.Time, n int) []ID {
	own := s.keeping()
	room := s.room() > 0
	k := &s.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	wanted, holders := map[ID]int{}, map[ID]int{}
	for _, e := range own {
		wanted[e.id], holders[e.id] = e.replicas, 1
	}
	mine := maps.Clone(holders)
	for _, f := range k.members {
		for c, want := range f.list {
			wanted[c] = max(wanted[c], want)
			holders[c]++
		}
	}
	maps.DeleteFunc(k.short, func(c ID, _ time.Time) bool { return holders[c] == 0 || holders[c] >= wanted[c] })
	maps.DeleteFunc(k.failed, func(_ ID, at time.Time) bool { return now.Sub(at) > failedWait })
	var all []ID
	for c, want := range wanted {
		if holders[c] >= want {
			continue
		}
		if k.short[c].IsZero() {
			k.short[c] = now
		}
		_, failed := k.failed[c]
		if mine[c] > 0 || failed || !room || len(all) == n || s.cfg.Refused(c) {
			continue
		}
		places := want - holders[c] + int(now.Sub(k.short[c])/graceEach)
		if k.rank(c, s.self) < places {
			all = append(all, c)
			k.restoring[c] = want
			k.version++
		}
	}
	return all
}

// rank is how many members that could keep a content come before this peer. It
// wants mu.
func (k *keeper) rank(c ID, self id.Peer) int {
	weight := func(p id.Peer) [sha256.Size]byte { return sha256.Sum256(append(c[:], p.String()...)) }
	own, before := weight(self), 0
	for p, f := range k.members {
		if _, has := f.list[c]; has || !f.keeps {
			continue
		}
		if w := weight(p); cmp.Or(bytes.Compare(w[:], own[:]), cmp.Compare(p.String(), self.String())) < 0 {
			before++
		}
	}
	return before
}

// restoreReplica fetches a content and keeps it.
func (s *Service) restoreReplica(c ID) {
	k := &s.keeper
	k.mu.Lock()
	var from []Holder
	for p, f := range k.members {
		if _, has := f.list[c]; has {
			from = append(from, Holder{p, pipeOf(s.g.ID(), p)})
		}
	}
	k.mu.Unlock()
	_, err := s.Fetch(s.ctx, c, FetchConfig{From: from, Patience: restoreWait})
	k.mu.Lock()
	delete(k.restoring, c)
	k.version++
	if err != nil {
		k.failed[c] = time.Now()
	}
	k.mu.Unlock()
	k.stir()
	switch {
	case err == nil:
		s.stats.restored.Add(1)
		s.log.Info("a replica was restored", "id", c)
	case s.ctx.Err() == nil:
		s.log.Warn("a replica cannot be restored", "id", c, "error", err)
	}
}
