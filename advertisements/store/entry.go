package store

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
)

// entry is a record in memory. The fields up to seq never change, so that the
// writer reads them without the scope's lock.
type entry struct {
	kind     advertisements.Kind
	key      string
	fields   []advertisements.Field
	document []byte
	origin   id.Peer
	size     int64
	seq      uint64 // place in the store's order, key on disk

	end        timed[*entry] // end of life
	expiration time.Duration
	quiet      bool

	stored   bool   // handed to the writer at least once
	replaces uint64 // key on disk of the version before, to be removed with this one's writing

	inKind, inOrigin, inRemote, inPending link[*entry]
	nodes                                 []node
}

// node is one indexed value of an entry.
type node struct {
	e               *entry
	column          *column
	value           string
	inColumn, inRow link[*node]
}

// shelf holds the records of one kind.
type shelf struct {
	keys    map[string]*entry
	order   list[*entry]
	columns map[string]*column
}

// column is the index of one field: all values in store order, and by value.
type column struct {
	name  string
	nodes list[*node]
	rows  map[string]*list[*node]
}

func (e *entry) own() bool           { return e.origin.IsZero() }
func (e *entry) live(now int64) bool { return e.end.at > now }

// announced tells whether others learn that the entry is here.
func (e *entry) announced() bool { return e.expiration > 0 && !e.quiet }

func (e *entry) record() Record {
	return Record{
		Kind: e.kind, Key: e.key, Fields: e.fields, Document: e.document, Origin: e.origin,
		Lifetime: time.UnixMilli(e.end.at), Expiration: e.expiration, Quiet: e.quiet,
	}
}

// same tells whether the record says what the entry says already.
func (e *entry) same(r *Record) bool {
	return bytes.Equal(e.document, r.Document) && slices.Equal(e.fields, r.Fields)
}

// newEntry copies what the record refers to, each text by itself, so that no
// value holds on to the message it came in. Names are those of the columns if
// there are any.
func newEntry(r *Record, sh *shelf, seq uint64) *entry {
	e := &entry{
		kind: r.Kind, key: strings.Clone(r.Key), document: bytes.Clone(r.Document), origin: r.Origin,
		size: sizeOf(r), seq: seq, expiration: r.Expiration, quiet: r.Quiet,
	}
	if len(r.Fields) > 0 {
		e.fields = make([]advertisements.Field, len(r.Fields))
	}
	for i, f := range r.Fields {
		name := f.Name
		if c := sh.columns[name]; c != nil {
			name = c.name
		} else {
			name = strings.Clone(name)
		}
		e.fields[i] = advertisements.Field{Name: name, Value: strings.Clone(f.Value)}
	}
	return e
}

func sizeOf(r *Record) int64 {
	n := entryOverhead + len(r.Key) + len(r.Document)
	for _, f := range r.Fields {
		n += fieldOverhead + len(f.Name) + len(f.Value)
	}
	return int64(n)
}

// add enters e under its key and its values.
func (sh *shelf) add(e *entry) {
	if sh.keys == nil {
		sh.keys = make(map[string]*entry)
		sh.columns = make(map[string]*column)
	}
	sh.keys[e.key] = e
	sh.order.push(&e.inKind, e)

	e.nodes = make([]node, 0, len(e.fields))
	for i, f := range e.fields {
		last := !slices.ContainsFunc(e.fields[i+1:], func(g advertisements.Field) bool { return g.Name == f.Name })
		if f.Value == "" || !last {
			continue
		}
		c := sh.columns[f.Name]
		if c == nil {
			c = &column{name: f.Name, rows: make(map[string]*list[*node])}
			sh.columns[f.Name] = c
		}
		row := c.rows[f.Value]
		if row == nil {
			row = new(list[*node])
			c.rows[f.Value] = row
		}
		e.nodes = append(e.nodes, node{e: e, column: c, value: f.Value}) // within capacity: nodes do not move
		n := &e.nodes[len(e.nodes)-1]
		c.nodes.push(&n.inColumn, n)
		row.push(&n.inRow, n)
	}
}

// remove takes e out of all that add entered it in.
func (sh *shelf) remove(e *entry) {
	delete(sh.keys, e.key)
	sh.order.remove(&e.inKind)
	for i := range e.nodes {
		n := &e.nodes[i]
		row := n.column.rows[n.value]
		row.remove(&n.inRow)
		if row.n == 0 {
			delete(n.column.rows, n.value)
		}
		n.column.nodes.remove(&n.inColumn)
		if n.column.nodes.n == 0 {
			delete(sh.columns, n.column.name)
		}
	}
}
