package xmldoc

import "github.com/beevik/etree"

// Embed is a child element that is a document of its own and must be there. Its
// root names the element. It is written compact, with the attributes xml:space
// and xmlns:jxta, in an order that alternates with the depth of embedding, since
// JXSE turns it round at each copying.
func (m *Mapper) Embed(d Document) {
	if !m.ready() {
		return
	}
	if m.mode == writing {
		m.document("", d)
		return
	}
	name := rootName(d)
	if e := m.child(name); e != nil {
		m.documentIn(e, "", d)
	}
}

// OptionalEmbed is an Embed that is written if *present. In reading *present
// says whether it was there.
func (m *Mapper) OptionalEmbed(present *bool, d Document) {
	if !m.ready() {
		return
	}
	if m.mode == writing {
		if *present {
			m.document("", d)
		}
		return
	}
	e := last(m.cur, rootName(d))
	*present = e != nil
	if e != nil {
		m.documentIn(e, "", d)
	}
}

// EmbedAs is an Embed in a place with a name of its own, such as a credential in
// a signed advertisement.
func (m *Mapper) EmbedAs(name string, d Document) {
	if !m.ready() {
		return
	}
	if m.mode == writing {
		m.document(name, d)
		return
	}
	if e := m.child(name); e != nil {
		m.documentIn(e, name, d)
	}
}

// OptionalEmbedAs is an EmbedAs that is written if *present. In reading *present
// says whether it was there.
func (m *Mapper) OptionalEmbedAs(name string, present *bool, d Document) {
	if !m.ready() {
		return
	}
	if m.mode == writing {
		if *present {
			m.document(name, d)
		}
		return
	}
	e := last(m.cur, name)
	*present = e != nil
	if e != nil {
		m.documentIn(e, name, d)
	}
}

// document writes an embedded document.
func (m *Mapper) document(as string, d Document) {
	depth := len(m.p.stack)
	outer := *m
	m.as, m.rooted, m.docs = as, false, m.docs+1
	d.Map(m)
	_ = m.finish()
	m.as, m.rooted, m.docs = outer.as, true, outer.docs
	if m.Err() == nil && len(m.p.stack) > depth {
		m.p.end()
	}
}

// documentIn reads an embedded document.
func (m *Mapper) documentIn(e *etree.Element, as string, d Document) {
	outer := *m
	m.cur, m.as, m.rooted, m.held = e, as, false, false
	d.Map(m)
	_ = m.finish()
	m.cur, m.as, m.rooted, m.held = outer.cur, outer.as, true, outer.held
}

// rootName asks a description for the name of its root.
func rootName(d Document) string {
	if t, ok := d.(interface{ DocType() string }); ok {
		return t.DocType()
	}
	m := Mapper{mode: probing}
	d.Map(&m)
	return m.root
}
