package xmldoc

import (
	"fmt"

	"github.com/beevik/etree"
)

// Each is a repeated child element; fn describes one of them. More than limit
// are refused, in both directions. Reading replaces the list, by nil if it
// stays empty. Within fn, [Mapper.Skip] leaves an element out.
func Each[T any](m *Mapper, name string, limit int, list *[]T, fn func(m *Mapper, v *T)) {
	if !m.ready() || m.tooMany(name, limit, len(*list)) {
		return
	}
	if m.mode == writing {
		for i := range *list {
			m.p.start(open{name: name})
			fn(m, &(*list)[i])
			if m.Err() != nil {
				return
			}
			m.p.end()
		}
		return
	}
	read(m, name, limit, list, func(e *etree.Element, v *T) {
		m.cur = e
		fn(m, v)
	})
}

// EachEmbed is a repeated child element that is a document; see [Mapper.Embed]
// and [Each].
func EachEmbed[T any, P interface {
	*T
	Document
}](m *Mapper, limit int, list *[]T) {
	if !m.ready() {
		return
	}
	name := rootName(P(new(T)))
	if m.tooMany(name, limit, len(*list)) {
		return
	}
	if m.mode == writing {
		for i := range *list {
			m.document("", P(&(*list)[i]))
			if m.Err() != nil {
				return
			}
		}
		return
	}
	read(m, name, limit, list, func(e *etree.Element, v *T) {
		m.documentIn(e, "", P(v))
	})
}

// Skip leaves the element at hand out of the list being read by [Each] or
// [EachEmbed]. In writing it does nothing.
func (m *Mapper) Skip() { m.skip = true }

// tooMany refuses to write a list that nobody would read.
func (m *Mapper) tooMany(name string, limit, n int) bool {
	if m.mode != writing || n <= limit {
		return false
	}
	m.failAt(name, fmt.Errorf("%d of at most %d: %w", n, limit, ErrLimit))
	return true
}

// read fills a list from the children of that name.
func read[T any](m *Mapper, name string, limit int, list *[]T, fn func(e *etree.Element, v *T)) {
	*list = nil
	outer, skip := m.cur, m.skip
	count := 0
	for _, c := range outer.Child {
		e, ok := c.(*etree.Element)
		if !ok || !named(e, name) {
			continue
		}
		if count++; count > limit {
			m.Fail(fmt.Errorf("more than %d of %s: %w", limit, name, ErrLimit))
			break
		}
		*list = append(*list, *new(T))
		m.skip = false
		fn(e, &(*list)[len(*list)-1])
		m.cur = outer
		if m.err != nil {
			break
		}
		if m.skip {
			*list = (*list)[:len(*list)-1]
		}
	}
	if len(*list) == 0 {
		*list = nil
	}
	m.skip = skip
}
