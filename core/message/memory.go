package message

import (
	"sync"
	"sync/atomic"
)

// Memory is a block of memory in which received messages lie. It counts who uses
// it, and is used again when nobody does. Whoever does not say that he is done
// with it does no harm: the garbage collector then takes it instead. Its methods
// are safe for concurrent use.
type Memory struct {
	b     []byte
	class int8 // of the pool; none if negative
	users atomic.Int32
}

// memories are pools of memory of one size each.
var memories [len(memoryClasses)]sync.Pool

// poisoned says that released memory is overwritten.
var poisoned atomic.Bool

// Poison has released memory overwritten at once, so that tests find who still
// reads it.
func Poison(on bool) { poisoned.Store(on) }

// NewMemory returns memory of n octets or some more, whose content is arbitrary. The
// caller is its user.
func NewMemory(n int) *Memory {
	for class, size := range memoryClasses {
		if n > size {
			continue
		}
		m, ok := memories[class].Get().(*Memory)
		if !ok {
			m = &Memory{b: make([]byte, size), class: int8(class)}
		}
		m.users.Store(1)
		return m
	}
	m := &Memory{b: make([]byte, n), class: -1}
	m.users.Store(1)
	return m
}

// Bytes returns all of the memory.
func (m *Memory) Bytes() []byte { return m.b }

// Hold adds a user.
func (m *Memory) Hold() { m.users.Add(1) }

// Shared reports whether there are users besides the one who asks.
func (m *Memory) Shared() bool { return m.users.Load() > 1 }

// Release is called by a user who does not use the memory any more.
func (m *Memory) Release() {
	if m.users.Add(-1) != 0 {
		return
	}
	if poisoned.Load() {
		for i := range m.b {
			m.b[i] = poison
		}
	}
	if m.class >= 0 {
		memories[m.class].Put(m)
	}
}

// Release says that neither the message nor anything in it is used any more, so
// that the memory it was received into can be used again. It is never necessary: a
// program that takes many large messages saves the garbage collector work by it.
// The bodies of the elements must not be touched afterwards, nor slices of them;
// names, texts and clones made before are not affected. A message that was made here
// has nothing to release.
func (m *Message) Release() {
	mem := m.mem
	if mem == nil {
		return
	}
	room := m.room
	m.mem, m.room, m.elems, m.Trailer = nil, nil, nil, nil
	if room != nil {
		room.free()
	}
	mem.Release()
}
