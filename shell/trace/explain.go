// Package trace tells in words what the messages of a peer are, as they are on the wire, and
// keeps them in files.
package trace

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"

	"github.com/juxta-p2p/juxta/core/compact"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// Kinds of messages: the protocol to which they belong.
const (
	KindRendezvous = "rendezvous" // leases
	KindView       = "peerview"   // rendezvous among themselves
	KindResolver   = "resolver"   // queries, responses, index entries
	KindPipe       = "pipe"
	KindSocket     = "socket"
	KindRouter     = "router" // ways to peers
	KindRelay      = "relay"
	KindSecure     = "tls" // encrypted from end to end: what is in it cannot be told here
	KindOther      = "other"
)

// Explained is a message in words.
type Explained struct {
	Kind    string
	Service string // at the other end, as its address says
	Param   string
	Group   id.Group // in which it is spoken, as its address says; zero if that says nothing
	Asker   id.Peer  // who asks, for queries: others may pass them on; zero otherwise
	Text    string   // what it is for, in plain words, without who sends it
	Spread  string   // "propagated" or "walking", with how far; empty if it goes to one peer
	Routed  bool     // it carries a header of the router
	Quiet   bool     // it comes again and again while nothing happens
	Message *message.Message
}

// Explain decodes a message and tells what it is. The error is that of decoding.
func Explain(x endpoint.Traced) (*Explained, error) {
	m, err := message.Decode(x.Body)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	e := &Explained{Kind: KindOther, Message: m}
	e.to(m.Text(message.Platform, "EndpointDestinationAddress"))
	if doc := m.Text(message.Platform, "EndpointRouterMsg"); doc != "" {
		e.Routed = true
		e.to(inside(doc, "Dest")) // the end of the way, and not this hop
	}
	e.explain()
	return e, nil
}

// to takes the service from an address.
func (e *Explained) to(address string) {
	to, err := endpoint.ParseAddress(address)
	if err != nil {
		return
	}
	e.Service, e.Param = to.Service, to.Param
	if group, ok := strings.CutPrefix(to.Service, "EndpointService:"); ok { // the group, and within it service and parameter
		e.Service, e.Param, _ = strings.Cut(to.Param, "/")
		e.in(group)
	}
	e.in(e.Param) // services of every peer, which carry the group as their parameter
}

// in notes the group, if the name is that of one.
func (e *Explained) in(unique string) {
	if g, err := id.ParseGroup("urn:jxta:" + unique); err == nil {
		e.Group = g
	}
}

// has returns the body of an element of any namespace.
func (e *Explained) has(name string) (string, bool) {
	for x := range e.Message.All() {
		if x.Name == name {
			return string(long(x)), true
		}
	}
	return "", false
}

// starts returns the element whose name begins so.
func (e *Explained) starts(name string) (string, bool) {
	for x := range e.Message.All() {
		if strings.HasPrefix(x.Name, name) {
			return string(long(x)), true
		}
	}
	return "", false
}

func (e *Explained) set(kind, format string, args ...any) {
	e.Kind, e.Text = kind, fmt.Sprintf(format, args...)
}

func (e *Explained) explain() {
	if doc, ok := e.starts("RendezVousPropagate"); ok {
		e.Spread = "propagated, " + inside(doc, "TTL") + " hops left"
		e.Service = inside(doc, "DestSName")
	}
	if doc, ok := e.has("LimitedRangeRdvMessage"); ok {
		e.Spread = "walking through the rendezvous, " + inside(doc, "TTL") + " steps left"
	}
	for _, try := range []func() bool{e.lease, e.view, e.resolver, e.pipe, e.socket, e.below} {
		if try() {
			return
		}
	}
	e.Text = "a message for " + strings.Trim(e.Service+" "+e.Param, " ")
}

func (e *Explained) lease() bool {
	switch {
	case e.is("Connect"):
		e.set(KindRendezvous, "asks for a lease, or to prolong it, and says who asks")
		e.Quiet = true
	case e.is("ConnectedLease"):
		ms, _ := e.has("ConnectedLease")
		e.set(KindRendezvous, "grants a lease of %s ms", ms)
		e.Quiet = true
	case e.is("RdvReferral"):
		e.set(KindRendezvous, "grants no lease, but names other rendezvous")
	case e.is("Disconnect"):
		e.set(KindRendezvous, "ends the lease")
	case e.is("RdvAdvReply"):
		e.set(KindRendezvous, "says who the rendezvous is")
	default:
		return false
	}
	return true
}

func (e *Explained) is(name string) bool {
	_, ok := e.has(name)
	return ok
}

func (e *Explained) view() bool {
	if _, ok := e.starts("PeerView."); !ok {
		return false
	}
	e.Quiet = true
	switch {
	case e.is("PeerView.Failure"):
		e.set(KindView, "tells other rendezvous that one has gone")
	case e.is("PeerView.PeerAdv.Response"):
		e.set(KindView, "answers another rendezvous, and tells of a third")
	default:
		e.set(KindView, "asks whether a rendezvous is there, and says who asks")
	}
	return true
}

func (e *Explained) resolver() bool {
	for x := range e.Message.All() {
		body := string(unzipped(x))
		switch {
		case strings.Contains(body, "ResolverQuery"):
			e.set(KindResolver, "query %s to %s: %s", inside(body, "QueryID"), handler(body), question(body))
			if p, err := id.ParsePeer(inside(body, "SrcPeerID")); err == nil {
				e.Asker = p
			}
		case strings.Contains(body, "ResolverResponse"):
			e.set(KindResolver, "answer to query %s of %s: %s", inside(body, "QueryID"), handler(body), answer(body))
		case strings.Contains(body, "ResolverSrdi"), strings.Contains(body, "ResolverSRDI"):
			e.set(KindResolver, "index entries for %s: what the sender holds, so that others find it there", handler(body))
		default:
			continue
		}
		return true
	}
	return false
}

// handler names who asks, in words.
func handler(doc string) string {
	name := inside(doc, "HandlerName")
	for part, word := range map[string]string{
		"DEADBEEFDEAFBABAFEEDBABE0000000305": "discovery", "jxta.service.discovery": "discovery", "JxtaPipeResolver": "pipes", "EndpointRouter": "routes",
		"PeerInfo": "peer information", "DEADBEEFDEAFBABAFEEDBABE0000000505": "peer information",
	} {
		if strings.Contains(name, part) {
			return word
		}
	}
	return name
}

// question tells what a resolver query asks. The query within is a document in escapes.
func question(doc string) string {
	q := unescape(inside(doc, "Query"))
	switch {
	case strings.Contains(q, "DiscoveryQuery"):
		what := map[string]string{"0": "peers", "1": "groups"}[inside(q, "Type")]
		if what == "" {
			what = "advertisements"
		}
		attr, value := inside(q, "Attr"), inside(q, "Value")
		if attr == "" {
			return fmt.Sprintf("%s, %s at most", what, inside(q, "Threshold"))
		}
		return fmt.Sprintf("%s whose %s is %s, %s at most", what, attr, value, inside(q, "Threshold"))
	case strings.Contains(q, "PipeResolver"):
		return "who listens on the pipe " + short(inside(q, "PipeId"))
	case strings.Contains(q, "RouteQuery"):
		return "the way to a peer"
	}
	return "something of its own"
}

func answer(doc string) string {
	r := unescape(inside(doc, "Response"))
	switch {
	case strings.Contains(r, "DiscoveryResponse"):
		return inside(r, "Count") + " advertisements"
	case strings.Contains(r, "PipeResolver"):
		if inside(r, "Found") == "false" {
			return "the pipe is not open there"
		}
		return "it listens on the pipe"
	case strings.Contains(r, "RouteResponse"):
		return "a way"
	}
	return "something of its own"
}

func (e *Explained) pipe() bool {
	switch doc, wire := e.has("JxtaWireHeader"); {
	case wire:
		e.set(KindPipe, "a message on the propagate pipe %s: %s", short(inside(doc, "PipeId")), e.payload())
	case e.is("JuxtaNotice"):
		e.set(KindPipe, "tells a sender what has come on a pipe, and how much more may")
		e.Quiet = true
	case e.Service == "PipeService":
		e.set(KindPipe, "a message on the pipe %s: %s", short(e.Param), e.payload())
	default:
		return false
	}
	return true
}

func (e *Explained) socket() bool {
	switch {
	case e.is("reqPipe"):
		e.set(KindSocket, "asks for a connection")
	case e.is("remPipe"):
		e.set(KindSocket, "accepts a connection")
	case e.is("DATAGRAM"):
		e.set(KindSocket, "a datagram")
	default:
		return false
	}
	return true
}

// below are the protocols under those of groups.
func (e *Explained) below() bool {
	switch {
	case e.Service == "TlsTransport":
		e.set(KindSecure, "encrypted from end to end; only the two ends can read it")
	case strings.HasPrefix(e.Service, "EndpointRouter"):
		e.set(KindRouter, "about ways to peers")
		e.Quiet = true
	case strings.Contains(strings.ToLower(e.Service), "relay"):
		e.set(KindRelay, "between a relay and its client")
	case e.is("Direct"):
		e.set(KindRelay, "arranges a direct link, past a relay")
	default:
		return false
	}
	return true
}

// payload tells what an application has put into the message.
func (e *Explained) payload() string {
	var names []string
	octets := 0
	for x := range e.Message.All() {
		if x.Namespace != message.Platform && !strings.HasPrefix(x.Name, "Juxta") {
			names = append(names, x.Name)
			octets += len(x.Body)
		}
	}
	const most = 4
	if len(names) > most {
		names = append(names[:most], "…")
	}
	if len(names) == 0 {
		return "nothing of an application"
	}
	return fmt.Sprintf("%s, %d octets", strings.Join(names, " "), octets)
}

// inside returns the text of the first element of that name, without blanks around it. It looks
// for the tags only: what it finds is shown and decides nothing.
func inside(doc, name string) string {
	_, rest, ok := strings.Cut(doc, "<"+name+">")
	if !ok {
		return ""
	}
	text, _, ok := strings.Cut(rest, "</"+name+">")
	if !ok {
		return ""
	}
	return strings.TrimSpace(text)
}

func unescape(s string) string {
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&apos;", "'", "&amp;", "&").Replace(s)
}

// short is the end of an ID.
func short(urn string) string {
	const digits = 10
	if len(urn) > digits && strings.HasPrefix(urn, "urn:jxta:") {
		return "…" + urn[len(urn)-digits:]
	}
	return urn
}

// Elements lists the elements of a message: name, type and size, then what is in them, XML with
// indented lines, and of what is no text the beginning in hexadecimal digits.
func Elements(m *message.Message) string {
	var b strings.Builder
	for x := range m.All() {
		name := x.Name
		if x.Namespace != "" {
			name = x.Namespace + ":" + name
		}
		kind := x.Type
		if kind == "" {
			kind = message.TypeOctets
		}
		fmt.Fprintf(&b, "    %s  %s  %d octets", name, kind, len(x.Body))
		body := unzipped(x)
		if compact.Is(body) {
			if body = long(x); len(body) > len(x.Body) {
				b.WriteString(", in short for")
			}
		}
		b.WriteString("\n")
		for line := range strings.SplitSeq(strings.TrimRight(content(body), "\n"), "\n") {
			b.WriteString("        " + line + "\n")
		}
	}
	return b.String()
}

// long returns what is in an element; the document for which it stands, if it is a header in the
// short form.
func long(x message.Element) []byte {
	if compact.Is(x.Body) {
		for _, read := range []func([]byte) ([]byte, bool){pipe.Uncompact, rendezvous.Uncompact} {
			if doc, ok := read(x.Body); ok {
				return doc
			}
		}
	}
	return x.Body
}

// unzipped returns what is in an element, if it is compressed, as far as that is shown.
func unzipped(x message.Element) []byte {
	const gzipped = "application/gzip"
	if x.Type != gzipped {
		return x.Body
	}
	r, err := gzip.NewReader(bytes.NewReader(x.Body))
	if err != nil {
		return x.Body
	}
	b, err := io.ReadAll(io.LimitReader(r, maxUnzipped))
	if err != nil {
		return x.Body
	}
	return b
}

// maxUnzipped bounds what a compressed element may become, in octets.
const maxUnzipped = 256 << 10

// maxShown bounds how much of an element is shown, in octets.
const maxShown = 16 << 10

func content(body []byte) string {
	if n, err := xmldoc.ParseNode(body); err == nil {
		var b strings.Builder
		indent(&b, n, "")
		return clip(b.String())
	}
	for _, c := range body {
		if c < ' ' && c != '\n' && c != '\t' && c != '\r' || c == 0x7f {
			return octets(body)
		}
	}
	return clip(strings.ToValidUTF8(string(body), "\uFFFD"))
}

// indent writes an element with one line a tag. A document that stands in it as a text is shown
// as the document that it is.
func indent(b *strings.Builder, n xmldoc.Node, by string) {
	b.WriteString(by + "<" + n.Name())
	for _, a := range n.Attrs() {
		fmt.Fprintf(b, " %s=%q", a.Name, a.Value)
	}
	text := n.Text()
	inner, err := xmldoc.ParseNode([]byte(text))
	if err != nil || len(by) > maxIndent {
		inner = xmldoc.Node{}
	}
	below := 0
	for c := range n.Children() {
		if below++; below == 1 {
			b.WriteString(">\n")
		}
		if len(by) <= maxIndent {
			indent(b, c, by+"  ")
		}
	}
	switch {
	case !inner.IsZero():
		b.WriteString(">\n")
		indent(b, inner, by+"  ")
	case below == 0 && text == "":
		b.WriteString("/>\n")
		return
	case below == 0:
		b.WriteString(">" + text + "</" + n.Name() + ">\n")
		return
	case text != "":
		b.WriteString(by + "  " + text + "\n")
	}
	b.WriteString(by + "</" + n.Name() + ">\n")
}

// maxIndent is how far documents are indented; what stands deeper is left out.
const maxIndent = 64

func clip(s string) string {
	if len(s) > maxShown {
		return strings.ToValidUTF8(s[:maxShown], "") + fmt.Sprintf("\n… and %d octets", len(s)-maxShown)
	}
	return s
}

func octets(b []byte) string {
	const line, most = 16, 64
	var out strings.Builder
	for i := 0; i < min(len(b), most); i += line {
		fmt.Fprintf(&out, "% x\n", b[i:min(i+line, len(b), most)])
	}
	if len(b) > most {
		fmt.Fprintf(&out, "… and %d octets\n", len(b)-most)
	}
	return out.String()
}
