package discovery

import (
	"fmt"
	"strconv"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// query is jxta:DiscoveryQuery.
type query struct {
	Kind        advertisements.Kind
	Threshold   int64  // most answers wanted from each responder
	PeerAdv     string // of the asker; legal, never sent, not looked at
	Attr, Value string
}

// Map implements [xmldoc.Document].
func (q *query) Map(m *xmldoc.Mapper) {
	m.Root("jxta:DiscoveryQuery")
	mapKind(m, &q.Kind)
	m.OptionalInt("Threshold", &q.Threshold)
	m.Optional("PeerAdv", &q.PeerAdv)
	m.Optional("Attr", &q.Attr)
	m.Optional("Value", &q.Value)
	switch {
	case q.Threshold < 0 || q.Threshold == 0 && q.Kind != advertisements.Peers:
		m.Fail(fmt.Errorf("threshold %d for %v", q.Threshold, q.Kind))
	case q.Attr == "" && q.Value != "":
		m.Fail(ErrQuery)
	}
}

func mapKind(m *xmldoc.Mapper, k *advertisements.Kind) {
	n := int64(*k)
	m.Int("Type", &n)
	if n < 0 || n > int64(advertisements.Advs) {
		m.Fail(fmt.Errorf("type %d: %w", n, ErrQuery))
		return
	}
	if m.Reading() {
		*k = advertisements.Kind(n)
	}
}

// response is jxta:DiscoveryResponse.
type response struct {
	Kind        advertisements.Kind
	PeerAdv     string // of the responder; legal, never sent, not looked at
	Attr, Value string // of the query
	Results     []result
}

// result is one advertisement of a response.
type result struct {
	Document   string
	Expiration int64 // ms that a copy may live
}

// Map implements [xmldoc.Document].
func (r *response) Map(m *xmldoc.Mapper) {
	m.Root("jxta:DiscoveryResponse")
	m.Indented()
	count := int64(len(r.Results))
	m.OptionalInt("Count", &count)
	mapKind(m, &r.Kind)
	m.Optional("PeerAdv", &r.PeerAdv)
	m.Optional("Attr", &r.Attr)
	m.Optional("Value", &r.Value)
	xmldoc.Each(m, "Response", maxResults, &r.Results, func(m *xmldoc.Mapper, x *result) {
		mapMillis(m, &x.Expiration, defaultRemote.Milliseconds())
		m.Self(&x.Document)
		if m.Reading() && x.Document == "" {
			m.Skip()
		}
	})
}

// mapMillis describes the attribute Expiration.
func mapMillis(m *xmldoc.Mapper, v *int64, missing int64) {
	text := ""
	if !m.Reading() {
		text = strconv.FormatInt(*v, 10)
	}
	m.Attr("Expiration", &text)
	if !m.Reading() {
		return
	}
	*v = missing
	if text = xmldoc.Trim(text); text == "" {
		return
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		m.Fail(fmt.Errorf("expiration is no number: %w", xmldoc.ErrSyntax))
	}
	*v = n
}
