package store

import "container/heap"

// list is a doubly linked list whose links lie inside what it lists, so that
// anything can leave any list at once. Its order is that of arrival.
type list[T any] struct {
	head, tail *link[T]
	n          int
}

type link[T any] struct {
	prev, next *link[T]
	of         T
	in         bool
}

func (l *list[T]) push(k *link[T], of T) {
	k.of, k.in = of, true
	k.prev, k.next = l.tail, nil
	if l.tail != nil {
		l.tail.next = k
	} else {
		l.head = k
	}
	l.tail = k
	l.n++
}

// remove takes k out; it does nothing if k is not in the list.
func (l *list[T]) remove(k *link[T]) {
	if !k.in {
		return
	}
	if k.prev != nil {
		k.prev.next = k.next
	} else {
		l.head = k.next
	}
	if k.next != nil {
		k.next.prev = k.prev
	} else {
		l.tail = k.prev
	}
	k.prev, k.next, k.in = nil, nil, false
	l.n--
}

// timed is the place of something in an agenda.
type timed[T any] struct {
	at  int64 // milliseconds since 1970, or forever
	pos int   // place in the agenda plus one; 0 means not in it
	of  T
}

// agenda has the thing that ends first at its head. What never ends is not in it.
type agenda[T any] []*timed[T]

// set enters t with a new time, moves it, or takes it out if it never ends.
func (a *agenda[T]) set(t *timed[T], at int64, of T) {
	t.at, t.of = at, of
	switch {
	case at == forever:
		a.drop(t)
	case t.pos == 0:
		heap.Push(a, t)
	default:
		heap.Fix(a, t.pos-1)
	}
}

func (a *agenda[T]) drop(t *timed[T]) {
	if t.pos != 0 {
		heap.Remove(a, t.pos-1)
	}
}

// due tells whether anything ends at the time now or before.
func (a agenda[T]) due(now int64) bool { return len(a) > 0 && a[0].at <= now }

// Len implements [heap.Interface], as do the following.
func (a agenda[T]) Len() int           { return len(a) }
func (a agenda[T]) Less(i, j int) bool { return a[i].at < a[j].at }
func (a agenda[T]) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].pos, a[j].pos = i+1, j+1
}
func (a *agenda[T]) Push(x any) {
	t := x.(*timed[T])
	*a = append(*a, t)
	t.pos = len(*a)
}
func (a *agenda[T]) Pop() any {
	old := *a
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*a = old[:len(old)-1]
	t.pos = 0
	return t
}
