package resolver

import (
	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// RawQuery is a question to the handler of a name, jxta:ResolverQuery.
type RawQuery struct {
	Handler    string
	ID         int32 // the asker's choice; answers carry it
	HC         int   // how often it was forwarded to named peers
	Source     id.Peer
	Route      *advertisements.Route // to the asker
	Credential xmldoc.Node           // zero if absent; not verified
	Body       string                // usually a printed document

	// From is the peer that the message came from, the asker or one that
	// forwarded it. It is set on received queries only.
	From id.Peer

	// ToGroup says that a received query was spread, not sent to this peer alone.
	ToGroup bool

	// Broadcast says that the query came as a datagram to the whole
	// neighbourhood, which will answer at the same time.
	Broadcast bool

	// Range is how many rendezvous further the query goes, in each of the two
	// directions of a walk, when it is spread or passed on from here: 0 means to
	// the ends of the view, less than 0 that it does not walk. It is no part of
	// the document; whoever gets the query decides anew.
	Range int

	memo *memo // what is remembered of it; nil if nothing is
}

// Map implements [xmldoc.Document].
func (q *RawQuery) Map(m *xmldoc.Mapper) {
	m.Root("jxta:ResolverQuery")
	m.Indented()
	m.Text("HandlerName", &q.Handler)
	m.Node("jxta:Cred", &q.Credential)
	mapID(m, &q.ID)
	hc := int64(q.HC)
	m.OptionalInt("HC", &hc)
	if m.Reading() {
		q.HC = int(hc)
	}
	m.Value("SrcPeerID", &q.Source)
	has := q.Route != nil
	m.OptionalElement("SrcPeerRoute", &has, func(m *xmldoc.Mapper) {
		if q.Route == nil {
			q.Route = new(advertisements.Route)
		}
		m.Embed(q.Route)
	})
	m.Text("Query", &q.Body)
}

// RawResponse is an answer, jxta:ResolverResponse.
type RawResponse struct {
	Handler    string
	ID         int32
	Credential xmldoc.Node
	Body       string

	// From is the peer that the message came from; set on received responses.
	From id.Peer
}

// Map implements [xmldoc.Document].
func (r *RawResponse) Map(m *xmldoc.Mapper) {
	m.Root("jxta:ResolverResponse")
	m.Indented()
	m.Text("HandlerName", &r.Handler)
	m.Node("jxta:Cred", &r.Credential)
	mapID(m, &r.ID)
	m.Text("Response", &r.Body)
}

// Index is a push of index entries to a handler, jxta:ResolverSRDI.
type Index struct {
	Handler    string
	Credential xmldoc.Node
	Payload    string

	// From is the peer that the message came from; set on received pushes.
	From id.Peer
}

// Map implements [xmldoc.Document].
func (x *Index) Map(m *xmldoc.Mapper) {
	m.Root("jxta:ResolverSRDI")
	m.Indented()
	m.Text("HandlerName", &x.Handler)
	m.Node("jxta:Cred", &x.Credential)
	m.Text("Payload", &x.Payload)
}

// mapID keeps query IDs within 32 bits: JXSE drops what is not an int.
func mapID(m *xmldoc.Mapper, v *int32) {
	n := int64(*v)
	m.OptionalInt("QueryID", &n)
	if n != int64(int32(n)) {
		m.Fail(errID)
		return
	}
	if m.Reading() {
		*v = int32(n)
	}
}
