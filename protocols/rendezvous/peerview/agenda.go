package peerview

import (
	"container/heap"
	"time"
)

// agenda is the members in the order in which something is due with them, as a
// heap. What is put off keeps its place until its turn comes: members are heard
// much more often than they are probed.
type agenda []*member

// Len, Less, Swap, Push and Pop implement [heap.Interface].
func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }

// Swap implements [heap.Interface].
func (a agenda) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].place, a[j].place = i, j
}

// Push implements [heap.Interface].
func (a *agenda) Push(x any) {
	m := x.(*member)
	m.place = len(*a)
	*a = append(*a, m)
}

// Pop implements [heap.Interface].
func (a *agenda) Pop() any {
	last := len(*a) - 1
	m := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	return m
}

// schedule says when to do something about a member. v.mu is held.
func (v *View) schedule(m *member, due time.Time) {
	m.due = due
	if due.Before(m.at) { // else ripe moves it
		m.at = due
		heap.Fix(&v.agenda, m.place)
		v.stir(due)
	}
}

// enter puts a new member on the agenda. v.mu is held.
func (v *View) enter(m *member, due time.Time) {
	m.due, m.at = due, due
	heap.Push(&v.agenda, m)
	v.stir(due)
}

// strike takes a member off the agenda. v.mu is held.
func (v *View) strike(m *member) { heap.Remove(&v.agenda, m.place) }

// ripe returns a member with which something is due, or nil. Whoever gets it puts
// it off or takes it off the agenda. v.mu is held.
func (v *View) ripe(now time.Time) *member {
	for len(v.agenda) > 0 && !now.Before(v.agenda[0].at) {
		m := v.agenda[0]
		if !now.Before(m.due) {
			return m
		}
		m.at = m.due
		heap.Fix(&v.agenda, m.place)
	}
	return nil
}
