package xmldoc

import (
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/beevik/etree"
)

// Node is an element with everything in it, of whatever shape. It is immutable,
// cheap to copy and safe for concurrent use. The zero Node stands for an absent
// element: it has no name, no text, no attributes and no children.
type Node struct{ e *etree.Element }

// Attribute is one attribute of an element.
type Attribute struct{ Name, Value string }

// NewNode makes an element with text and children, both of which may be absent.
// Zero Nodes among the children are left out. A name that is none shows when the
// node is written.
func NewNode(name, text string, children ...Node) Node {
	e := etree.NewElement(name)
	if text != "" {
		e.AddChild(etree.NewText(text))
	}
	for _, c := range children {
		if c.e != nil {
			e.AddChild(c.e.Copy())
		}
	}
	return Node{e}
}

// NodeOf returns the element of a document.
func NodeOf(d Document) (Node, error) {
	b, err := Marshal(d)
	if err != nil {
		return Node{}, err
	}
	return ParseNode(b)
}

// WithAttr returns the element with an attribute set.
func (n Node) WithAttr(name, value string) Node {
	if n.e == nil {
		return n
	}
	e := n.e.Copy()
	e.CreateAttr(name, value)
	return Node{e}
}

// Renamed returns the element under another name. A document that is put into a
// place with a name of its own, as service parameters are, needs its type said
// there: see [Holds].
func (n Node) Renamed(name string) Node {
	if n.e == nil {
		return n
	}
	e := n.e.Copy()
	named := etree.NewElement(name)
	e.Space, e.Tag = named.Space, named.Tag
	return Node{e}
}

// IsZero reports whether the node stands for an absent element.
func (n Node) IsZero() bool { return n.e == nil }

// Name returns the literal name, prefix included.
func (n Node) Name() string {
	if n.e == nil {
		return ""
	}
	return n.e.FullTag()
}

// Text returns the character data of the element itself, without that of its
// children, joined and trimmed.
func (n Node) Text() string {
	if n.e == nil {
		return ""
	}
	return text(n.e)
}

// Attr returns the value of an attribute and whether there is one.
func (n Node) Attr(name string) (string, bool) {
	if n.e == nil {
		return "", false
	}
	if a := attribute(n.e, name); a != nil {
		return a.Value, true
	}
	return "", false
}

// Attrs returns the attributes in the order of the document.
func (n Node) Attrs() []Attribute {
	if n.e == nil {
		return nil
	}
	list := make([]Attribute, len(n.e.Attr))
	for i := range n.e.Attr {
		list[i] = Attribute{n.e.Attr[i].FullKey(), n.e.Attr[i].Value}
	}
	return list
}

// Children yields the child elements in the order of the document.
func (n Node) Children() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		if n.e == nil {
			return
		}
		for _, c := range n.e.Child {
			if e, ok := c.(*etree.Element); ok && !yield(Node{e}) {
				return
			}
		}
	}
}

// Child returns the last child element of a name, which is the one that counts
// when JXSE reads.
func (n Node) Child(name string) (Node, bool) {
	if n.e == nil {
		return Node{}, false
	}
	e := last(n.e, name)
	return Node{e}, e != nil
}

// Holds reports whether the element is, or holds the place of, a document with
// that root: it has the name itself, or a neutral name such as Parm and says the
// name in its type attribute.
func (n Node) Holds(root string) bool { return n.e != nil && holds(n.e, root) }

// Decode reads the element as a document; see [Unmarshal] and [Node.Holds].
func (n Node) Decode(d Document) error {
	if n.e == nil {
		return at("/", ErrMissing)
	}
	m := Mapper{mode: reading, cur: n.e}
	d.Map(&m)
	return m.finish()
}

// Marshal returns the element as a document of its own, in the layout its
// xml:space attribute asks for.
func (n Node) Marshal() ([]byte, error) {
	return Marshal(whole{n})
}

// Size returns roughly how many octets the element takes when printed, for
// limits on content of unknown shape.
func (n Node) Size() int {
	if n.e == nil {
		return 0
	}
	return size(n.e)
}

// Equal reports whether two elements have the same name, text, attributes in any
// order, and equal children in the same order.
func (n Node) Equal(o Node) bool {
	if n.e == nil || o.e == nil {
		return n.e == o.e
	}
	if n.e == o.e {
		return true
	}
	if n.e.Space != o.e.Space || n.e.Tag != o.e.Tag || len(n.e.Attr) != len(o.e.Attr) || n.Text() != o.Text() {
		return false
	}
	for _, a := range n.e.Attr {
		if !slices.ContainsFunc(o.e.Attr, func(b etree.Attr) bool {
			return a.Space == b.Space && a.Key == b.Key && a.Value == b.Value
		}) {
			return false
		}
	}
	next, stop := iter.Pull(o.Children())
	defer stop()
	for a := range n.Children() {
		if b, ok := next(); !ok || !a.Equal(b) {
			return false
		}
	}
	_, more := next()
	return !more
}

// String returns the element as a document, for people, or "" if it cannot be
// written.
func (n Node) String() string {
	b, err := n.Marshal()
	if err != nil {
		return ""
	}
	return string(b)
}

// whole is the document that is nothing but a node.
type whole struct{ n Node }

func (w whole) Map(m *Mapper) { m.Whole(&w.n) }

// holders are the names that say nothing about what is in the element.
var holders = []string{"Parm", "RootCert", "Certificate", "Credential", "Offerer", "Issuer"}

// holds is [Node.Holds].
func holds(e *etree.Element, root string) bool {
	if named(e, root) {
		return true
	}
	a := attribute(e, typeAttr)
	return a != nil && a.Value == root && neutral(e)
}

// neutral tells whether the name of an element says nothing about its content.
func neutral(e *etree.Element) bool { return e.Space == "" && slices.Contains(holders, e.Tag) }

// named compares the literal name of an element without putting it together.
func named(e *etree.Element, name string) bool {
	if e.Space == "" {
		return e.Tag == name
	}
	return same(e.Space, e.Tag, name)
}

// same tells whether name is "space:tag".
func same(space, tag, name string) bool {
	n := len(space)
	return len(name) == n+1+len(tag) && name[n] == ':' && name[:n] == space && name[n+1:] == tag
}

// attribute finds an attribute, or returns nil.
func attribute(e *etree.Element, name string) *etree.Attr {
	for i := range e.Attr {
		a := &e.Attr[i]
		if a.Space == "" && a.Key == name || a.Space != "" && same(a.Space, a.Key, name) {
			return a
		}
	}
	return nil
}

// last finds the last child element of a name, or returns nil.
func last(e *etree.Element, name string) *etree.Element {
	for i := len(e.Child) - 1; i >= 0; i-- {
		if c, ok := e.Child[i].(*etree.Element); ok && named(c, name) {
			return c
		}
	}
	return nil
}

// text joins and trims the character data of an element. The builder keeps it
// linear for text in a thousand pieces.
func text(e *etree.Element) string {
	var first string
	var more *strings.Builder
	for _, c := range e.Child {
		d, ok := c.(*etree.CharData)
		switch {
		case !ok || d.Data == "":
		case first == "" && more == nil:
			first = d.Data
		case more == nil:
			more = &strings.Builder{}
			more.WriteString(first)
			fallthrough
		default:
			more.WriteString(d.Data)
		}
	}
	if more != nil {
		return Trim(more.String())
	}
	return Trim(first)
}

// size is [Node.Size].
func size(e *etree.Element) int {
	const brackets = len("<></>")
	n := 2*(len(e.Space)+len(e.Tag)) + brackets
	for i := range e.Attr {
		n += len(e.Attr[i].Key) + len(e.Attr[i].Value) + len(` :=""`)
	}
	for _, c := range e.Child {
		switch c := c.(type) {
		case *etree.Element:
			n += size(c)
		case *etree.CharData:
			n += len(c.Data)
		}
	}
	return n
}

// path names the place of an element in its document, with a position, counted
// from one, where several siblings share the name.
func path(e *etree.Element) string {
	if e == nil || e.Tag == "" {
		return "/"
	}
	var parts []string
	for ; e != nil && e.Tag != ""; e = e.Parent() {
		part := clip(e.FullTag())
		if p := e.Parent(); p != nil {
			pos, count := 0, 0
			for _, c := range p.Child {
				if s, ok := c.(*etree.Element); ok && s.Space == e.Space && s.Tag == e.Tag {
					count++
					if s == e {
						pos = count
					}
				}
			}
			if count > 1 {
				part += "[" + strconv.Itoa(pos) + "]"
			}
		}
		parts = append(parts, part)
	}
	slices.Reverse(parts)
	return "/" + strings.Join(parts, "/")
}

// clip shortens foreign text for an error.
func clip(s string) string {
	const room = 40
	if len(s) <= room {
		return s
	}
	return s[:room] + "…"
}
