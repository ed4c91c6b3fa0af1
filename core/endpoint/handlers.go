package endpoint

import (
	"fmt"
	"slices"
	"strings"
)

// Handle registers the handler of a service and parameter; an empty parameter
// means all that no other handler took. It returns a function that removes it,
// after which no new call begins. The error wraps [ErrTaken].
func (s Scope) Handle(service, param string, h Handler) (remove func(), err error) {
	e, group := s.e, s.group.Unique()
	e.hmu.Lock()
	defer e.hmu.Unlock()
	i, found := e.handlersOf(group)
	if !found {
		e.handlers = slices.Insert(e.handlers, i, &handlers{e: e, group: group})
	}
	all := e.handlers[i]
	r := &registered{route{service, param}, s.guarded(h), all}
	if all.get(r.route) != nil {
		return nil, fmt.Errorf("endpoint: %w: %s/%s in group %s", ErrTaken, service, param, s.group)
	}
	all.add(r)
	e.handled.Add(1)
	return r.remove, nil
}

// handlersOf returns where in the list the handlers of a group are, or would be.
// hmu is held.
func (e *Endpoint) handlersOf(group string) (int, bool) {
	return slices.BinarySearchFunc(e.handlers, group, func(hs *handlers, group string) int { return strings.Compare(hs.group, group) })
}

// remove takes the handler, and its group if it was the last one, off the list.
func (r *registered) remove() {
	all := r.in
	all.e.hmu.Lock()
	defer all.e.hmu.Unlock()
	all.remove(r)
	all.e.handled.Add(1)
	if i, found := all.e.handlersOf(all.group); found && len(all.list) == 0 && all.e.handlers[i] == all {
		all.e.handlers = slices.Delete(all.e.handlers, i, i+1)
	}
}

// route is what a handler is registered for, in its group.
type route struct{ service, param string }

type registered struct {
	route
	h  Handler
	in *handlers
}

// handlers are those of one group. Groups mostly have a dozen, so there is a map
// of them only when there are many, as where many pipes are open.
type handlers struct {
	e     *Endpoint
	group string // unique value of its ID
	list  []*registered
	many  map[route]*registered // of list, or nil
}

// fewHandlers is up to how many handlers looking at each is as quick as a map.
const fewHandlers = 16

// get returns the handler of exactly k, or nil.
func (hs *handlers) get(k route) *registered {
	if hs.many != nil {
		return hs.many[k]
	}
	for _, r := range hs.list {
		if r.param == k.param && r.service == k.service {
			return r
		}
	}
	return nil
}

func (hs *handlers) add(r *registered) {
	hs.list = append(hs.list, r)
	switch {
	case hs.many != nil:
		hs.many[r.route] = r
	case len(hs.list) > fewHandlers:
		hs.many = map[route]*registered{}
		for _, r := range hs.list {
			hs.many[r.route] = r
		}
	}
}

// remove forgets r, and not who came after it under the same name.
func (hs *handlers) remove(r *registered) {
	i := slices.Index(hs.list, r)
	if i < 0 {
		return
	}
	last := len(hs.list) - 1
	hs.list[i], hs.list[last] = hs.list[last], nil
	hs.list = hs.list[:last]
	switch {
	case hs.many == nil:
	case len(hs.list) <= fewHandlers/2:
		hs.many = nil
	default:
		delete(hs.many, r.route)
	}
}

// lookup finds the handler of the exact parameter, else of the service with any
// parameter, else of a service that is called like service and parameter glued
// together: the order of JXSE 2.5.
func (e *Endpoint) lookup(group string, k route) Handler {
	e.hmu.RLock()
	defer e.hmu.RUnlock()
	i, found := e.handlersOf(group)
	if !found {
		return nil
	}
	all := e.handlers[i]
	r := all.get(k)
	if r == nil && k.param != "" {
		if r = all.get(route{k.service, ""}); r == nil {
			r = all.get(route{k.service + k.param, ""})
		}
	}
	if r == nil {
		return nil
	}
	return r.h
}
