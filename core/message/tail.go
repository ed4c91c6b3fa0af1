package message

import "fmt"

// Tail is encoded elements of the platform, to follow the elements of messages.
// The zero value has none. It is immutable.
type Tail struct {
	n    int
	raw  []byte
	flow uint8
	many bool
	pass bool
}

// ForMany returns the same tail for a message of which many copies go out at once: a
// link then does not write it at once but with what follows.
func (t Tail) ForMany(many bool) Tail {
	t.many = many
	return t
}

// ForPassing returns the same tail for a message that is passed on by who reads it: a
// link leaves a large one to its writer, so that the next is read meanwhile.
func (t Tail) ForPassing() Tail {
	t.pass = true
	return t
}

// Passing reports whether the message is passed on.
func (t Tail) Passing() bool { return t.pass }

// Many reports whether many copies go out at once.
func (t Tail) Many() bool { return t.many }

// WithFlow returns the same tail for another flow. Messages of one flow stay in
// order on a link; those of others may overtake them where much is to be written.
func (t Tail) WithFlow(flow uint8) Tail {
	t.flow = flow
	return t
}

// Flow returns the flow, 0 if none was named.
func (t Tail) Flow() uint8 { return t.flow }

// Size returns the encoded size in octets.
func (t Tail) Size() int { return len(t.raw) }

// Memory returns the memory of the tail, to be used again when the tail is not.
func (t Tail) Memory() []byte { return t.raw }

// AppendTail encodes elements into b, whose memory the tail then uses. They must be
// of the namespace [Platform] or of the empty one, which need no declaration.
func AppendTail(b []byte, elems ...Element) (Tail, error) {
	for i := range elems {
		if ns := elems[i].Namespace; ns != "" && ns != Platform {
			return Tail{}, fmt.Errorf("message: namespace %q in a tail", clip(ns))
		}
		var err error
		if b, err = elems[i].appendTo(b, nil); err != nil {
			return Tail{}, err
		}
	}
	return Tail{n: len(elems), raw: b}, nil
}
