package governance

import (
	"context"
	"iter"
	"time"
)

// EventKind says what has changed in a group's state.
type EventKind uint8

// What can change.
const (
	Excluded          EventKind = iota + 1 // an exclusion took effect, now or from its beginning on
	Readmitted                             // it was ended, or what it rests on has become void
	Ended                                  // its term is over
	Withdrawn                              // content was withdrawn
	Reinstated                             // and is no longer
	Proposed                               // a motion came that has no effect so far
	Decided                                // a motion took effect
	ModeratorsChanged                      // somebody was appointed or dismissed
	QuorumChanged
)

var eventNames = [...]string{"", "excluded", "readmitted", "ended", "withdrawn", "reinstated", "proposed", "decided", "moderators changed", "quorum changed"}

// String returns the name of the kind.
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return ""
}

// Event tells a change of a group's state as this member has it.
type Event struct {
	Kind EventKind
	ID   ID   // of the act; zero for changes of moderators and quorum
	Act  *Act // that act, which must not be changed
}

// Events yields what changes from now on, until ctx ends; see [event.Hub] for
// what a reader that lags loses. The sequence is single-use.
func (s *Service) Events(ctx context.Context) iter.Seq[Event] { return s.hub.Subscribe(ctx) }

// Watch has f called with what changes from now on, in order, until stop is
// called. f must not wait. The state that [Service.State] returns has the change
// already.
func (s *Service) Watch(f func(Event)) (stop func()) { return s.hub.Watch(f) }

// changes lists what differs between two states.
func changes(was, is *State, now time.Time) (list []Event) {
	before := make(map[ID]*Exclusion, len(was.Exclusions))
	for i := range was.Exclusions {
		before[was.Exclusions[i].ID] = &was.Exclusions[i]
	}
	for i := range is.Exclusions {
		e := &is.Exclusions[i]
		if before[e.ID] == nil {
			list = append(list, Event{Excluded, e.ID, &e.Act})
		}
		delete(before, e.ID)
	}
	for i := range was.Exclusions {
		e := &was.Exclusions[i]
		if before[e.ID] != nil && (e.Until.IsZero() || now.Before(e.Until)) {
			list = append(list, Event{Readmitted, e.ID, &e.Act})
		}
	}
	content := make(map[Hash]ID, len(was.Withdrawals))
	for _, w := range was.Withdrawals {
		content[w.Content] = w.ID
	}
	for _, w := range is.Withdrawals {
		if _, ok := content[w.Content]; !ok {
			list = append(list, Event{Withdrawn, w.ID, &Act{Kind: Withdraw, Content: w.Content, Reason: w.Reason, Time: w.At}})
		}
		delete(content, w.Content)
	}
	for _, w := range was.Withdrawals {
		if _, ok := content[w.Content]; ok {
			list = append(list, Event{Reinstated, w.ID, &Act{Kind: Withdraw, Content: w.Content, Reason: w.Reason, Time: w.At}})
		}
	}
	proposals := make(map[ID]bool, len(was.Proposals))
	for _, m := range was.Proposals {
		proposals[m.id] = true
		if is.effective[m.id] {
			list = append(list, Event{Decided, m.id, &m.act})
		}
	}
	for _, m := range is.Proposals {
		if !proposals[m.id] && !was.effective[m.id] {
			list = append(list, Event{Proposed, m.id, &m.act})
		}
	}
	if !sameModerators(was, is) {
		list = append(list, Event{Kind: ModeratorsChanged})
	}
	if was.Quorum != is.Quorum {
		list = append(list, Event{Kind: QuorumChanged})
	}
	return list
}

func sameModerators(a, b *State) bool {
	if len(a.moderator) != len(b.moderator) {
		return false
	}
	for k := range a.moderator {
		if !b.moderator[k] {
			return false
		}
	}
	return true
}
