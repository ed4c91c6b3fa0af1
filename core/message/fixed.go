package message

import (
	"fmt"
	"slices"
	"sync"
)

// fixed is the encoded form of the elements of a message.
type fixed struct {
	spaces []string
	raw    []byte
	size   int // of the whole message
}

// Fix encodes the elements once for all, for a message that is sent to many. It has
// no effect on what is sent, and is forgotten when an element is added or removed. The
// bodies must not change afterwards. Errors are those of [Message.AppendTo].
func (m *Message) Fix() error {
	if m.fixed != nil {
		return nil
	}
	f := fixedPool.Get().(*fixed)
	f.spaces, f.size = m.namespaces(f.spaces[:0]), m.Size()
	if len(m.elems) > MaxElements || len(f.spaces) > MaxNamespaces {
		return fmt.Errorf("message: %w: %d elements, %d namespaces", ErrTooLarge, len(m.elems), len(f.spaces))
	}
	f.raw = slices.Grow(f.raw[:0], f.size)
	var err error
	for i := range m.elems {
		if f.raw, err = m.elems[i].appendTo(f.raw, f.spaces); err != nil {
			return err
		}
	}
	m.fixed = f
	return nil
}

var fixedPool = sync.Pool{New: func() any { return new(fixed) }}

// Unfix undoes [Message.Fix], when the message has been sent to all: the memory is used again.
// Nobody may be sending the message meanwhile.
func (m *Message) Unfix() {
	f := m.fixed
	if f == nil {
		return
	}
	m.fixed = nil
	if poisoned.Load() {
		for i := range f.raw {
			f.raw[i] = poison
		}
	}
	if cap(f.raw) <= maxFixed {
		clear(f.spaces)
		fixedPool.Put(f)
	}
}

// Fixed reports whether the elements are encoded once for all.
func (m *Message) Fixed() bool { return m.fixed != nil }
