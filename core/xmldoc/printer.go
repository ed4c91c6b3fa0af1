package xmldoc

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/beevik/etree"
)

// Names of attributes that have a meaning to the layout or to the choice of type.
const (
	spaceAttr = "xml:space"
	nsAttr    = "xmlns:jxta"
	typeAttr  = "type"

	preserve  = "preserve"
	nsValue   = "http://jxta.org"
	unwritten = "default"
)

// printer writes elements the way JXSE does: compact below an element with
// xml:space="preserve", otherwise one TAB a level with every tag and text on a
// line of its own.
type printer struct {
	b        []byte
	indented bool // the root is to be indented whatever the document says
	stack    []open
	attrs    []Attribute // of the start tag not yet ended
	leaf     func(name, text string)
	bounds   Bounds
	err      error

	// Room for most documents.
	levels [startDepth]open
	pairs  [startAttrs]Attribute
}

// What most documents fit into: their octets, how deep they are, and the attributes
// of one element.
const (
	startSize  = 1 << 10
	startDepth = 8
	startAttrs = 4
)

func newPrinter() *printer {
	p := &printer{b: make([]byte, 0, startSize)}
	p.stack, p.attrs = p.levels[:0], p.pairs[:0]
	return p
}

// open is an element whose end tag is to come.
type open struct {
	name    string
	begun   bool // the start tag has ended
	raw     bool // attribute values come from a foreign document
	doc     bool // it is the root of a document: xml:space and xmlns:jxta follow
	reverse bool // attributes are written last to first, as JXSE does at each copying
	plain   bool // a document without xml:space
	outer   bool // it stands in an indented element
	inner   bool // its children are indented
}

// document prints a whole document.
func (p *printer) document(d Document) ([]byte, error) {
	m := Mapper{mode: writing, p: p}
	d.Map(&m)
	if len(p.stack) == 1 {
		p.end()
	}
	if err := m.finish(); err != nil {
		return nil, err
	}
	if p.err != nil {
		return nil, p.err
	}
	if n := bytes.Count(p.b, []byte{'<'}); n > p.bounds.markup() {
		return nil, at("document", fmt.Errorf("%d times %q: %w", n, "<", ErrLimit))
	}
	return p.b, nil
}

// fail keeps the first error.
func (p *printer) fail(err error) {
	if p.err == nil {
		p.err = at(p.path(), err)
	}
}

// path names the element being written.
func (p *printer) path() string {
	var s strings.Builder
	for i := range p.stack {
		s.WriteByte('/')
		s.WriteString(p.stack[i].name)
	}
	if s.Len() == 0 {
		return "/"
	}
	return s.String()
}

// top returns the innermost open element.
func (p *printer) top() *open { return &p.stack[len(p.stack)-1] }

// start begins an element.
func (p *printer) start(o open) {
	if !validName(o.name) {
		p.fail(fmt.Errorf("%w: %q is no element name", ErrText, clip(o.name)))
	}
	if len(p.stack) == 0 {
		p.b = append(p.b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE "...)
		p.b = append(p.b, o.name...)
		p.b = append(p.b, ">\n"...)
	} else {
		p.begin()
		o.outer = p.top().inner
		p.tabs(o.outer, len(p.stack))
	}
	alike := 0
	for i := range p.stack {
		if p.stack[i].name == o.name {
			alike++
		}
	}
	p.stack = append(p.stack, o)
	if alike >= MaxSameName || len(p.stack) > MaxDepth {
		p.fail(fmt.Errorf("nested too deep: %w", ErrLimit))
	}
	p.b = append(p.b, '<')
	p.b = append(p.b, o.name...)
}

// attr adds an attribute to the element just started.
func (p *printer) attr(name, value string) {
	o := p.top()
	switch {
	case o.begun:
		p.fail(fmt.Errorf("%w: attribute %s after content", errUsage, name))
	case !validName(name):
		p.fail(fmt.Errorf("%w: %q is no attribute name", ErrText, clip(name)))
	case !o.raw && !plainAttr(value):
		p.fail(fmt.Errorf("%w: attribute %s", ErrText, name))
	default:
		p.attrs = append(p.attrs, Attribute{name, value})
	}
}

// begin ends the start tag, if that has not happened: content follows.
func (p *printer) begin() {
	o := p.top()
	if o.begun {
		return
	}
	p.attributes(o)
	o.begun = true
	p.b = append(p.b, '>')
	if o.outer || len(p.stack) == 1 {
		p.b = append(p.b, '\n')
	}
}

// attributes writes the attributes of o and finds the layout of its content.
func (p *printer) attributes(o *open) {
	root := len(p.stack) == 1
	if o.doc {
		switch {
		case o.plain:
		case root && p.indented:
			p.attrs = append(p.attrs, Attribute{spaceAttr, unwritten})
		default:
			p.attrs = append(p.attrs, Attribute{spaceAttr, preserve})
		}
		p.attrs = append(p.attrs, Attribute{nsAttr, nsValue})
	}
	o.inner = root || o.outer
	for i := range p.attrs {
		a := &p.attrs[i]
		if o.reverse {
			a = &p.attrs[len(p.attrs)-1-i]
		}
		if a.Name == spaceAttr && a.Value == preserve {
			o.inner = false
		}
		p.b = append(p.b, ' ')
		p.b = append(p.b, a.Name...)
		p.b = append(p.b, '=', '"')
		if o.raw {
			var ok bool
			if p.b, ok = appendAttr(p.b, a.Value); !ok {
				p.fail(fmt.Errorf("%w: attribute %s", ErrText, a.Name))
			}
		} else {
			p.b = append(p.b, a.Value...)
		}
		p.b = append(p.b, '"')
	}
	p.attrs = p.attrs[:0]
}

// text writes the text of the element just started.
func (p *printer) text(s string) {
	if s == "" {
		return
	}
	p.begin()
	level := len(p.stack)
	o := p.top()
	pretty := o.outer || level == 1 && o.inner
	p.tabs(pretty, level)
	var ok bool
	if p.b, ok = appendText(p.b, s); !ok {
		p.fail(ErrText)
	}
	if pretty {
		p.b = append(p.b, '\n')
	}
	if p.leaf != nil && level == 2 {
		if t := Trim(s); t != "" {
			p.leaf(o.name, t)
		}
	}
}

// end ends the innermost element.
func (p *printer) end() {
	o := p.top()
	root := len(p.stack) == 1
	switch {
	case !o.begun && !root:
		p.attributes(o)
		p.b = append(p.b, '/', '>')
	default:
		p.begin()
		p.tabs(o.outer, len(p.stack)-1)
		p.b = append(p.b, '<', '/')
		p.b = append(p.b, o.name...)
		p.b = append(p.b, '>')
	}
	if o.outer || root {
		p.b = append(p.b, '\n')
	}
	p.stack = p.stack[:len(p.stack)-1]
	if most := p.bounds.octets(); len(p.b) > most {
		p.fail(fmt.Errorf("longer than %d octets: %w", most, ErrLimit))
	}
}

// tabs indents a line.
func (p *printer) tabs(on bool, n int) {
	if on {
		for range n {
			p.b = append(p.b, '\t')
		}
	}
}

// node prints a foreign element under a name. As JXSE does, it writes the text
// of an element before its children.
func (p *printer) node(name string, e *etree.Element) {
	if p.err != nil {
		return
	}
	p.start(open{name: name, raw: true})
	for i := range e.Attr {
		key, value := e.Attr[i].FullKey(), e.Attr[i].Value
		if p.indented && len(p.stack) == 1 && key == spaceAttr {
			value = unwritten
		}
		p.attr(key, value)
	}
	p.text(text(e))
	for _, c := range e.Child {
		if c, ok := c.(*etree.Element); ok {
			p.node(c.FullTag(), c)
		}
	}
	p.end()
}
