package peerview

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Service is the endpoint service under which rendezvous listen for each other;
// its parameter is the unique value of the group.
const Service = "PeerView"

// Names of the elements. Flags have the text "true"; only their presence counts.
const (
	elemProbe    = "PeerView.PeerAdv"
	elemResponse = "PeerView.PeerAdv.Response"
	elemCached   = "PeerView.Cached"
	elemSource   = "PeerView.SrcRouteAdv"
	elemFailure  = "PeerView.Failure"
	elemEdge     = "PeerView.EdgePeer"

	// elemKnown and elemTold are additions of this implementation, which JXSE
	// ignores, in a namespace of their own: fingerprints of the members that the
	// prober knows, and of peers that it was told of and will probe. A probe that
	// has the first one asks for referrals; see [fingerprint].
	elemKnown = "PeerView.Known"
	elemTold  = "PeerView.Told"
	namespace = "juxta"
)

const flag = "true"

// PipeID returns the ID of the propagate pipe on which the view of one group is
// looked for in another: in the group itself or in its parent. Nobody publishes
// it, as everybody can compute it. JXTA v2 has it from the first 16 octets of a
// text in which the group comes second, so that some groups share a pipe.
func PipeID(of, in id.Group) id.Pipe {
	return id.PipeFromSeed(in, []byte(Service+of.Unique()+id.ClassRendezvous.String()+of.Unique()))
}

// fingerprint stands for a peer in the lists of a prober: FNV-1a, 32 bits, of the
// unique value of its ID.
func fingerprint(p id.Peer) uint32 {
	const offset, prime = 0x811c9dc5, 0x01000193
	h := uint32(offset)
	for _, c := range []byte(p.Unique()) {
		h = (h ^ uint32(c)) * prime
	}
	return h
}

const fingerprintSize = 4

// printed is the own advertisement as it goes into messages.
type printed struct {
	adv, route []byte
}

func printSelf(adv *advertisements.Rendezvous) (printed, error) {
	var p printed
	var err error
	if p.adv, err = xmldoc.Marshal(adv); err != nil {
		return p, err
	}
	if adv.Route != nil {
		p.route, err = xmldoc.Marshal(adv.Route)
	}
	return p, err
}

// probe asks the receiver to answer, and tells it of this peer. known may be nil,
// and told empty.
func (p printed) probe(known, told []byte) *message.Message {
	m := message.New(message.XML(message.Platform, elemProbe, p.adv))
	if known != nil {
		m.Add(message.Bytes(namespace, elemKnown, known))
	}
	if len(told) > 0 {
		m.Add(message.Bytes(namespace, elemTold, told))
	}
	return m
}

// response answers a probe.
func (p printed) response() *message.Message {
	return message.New(message.XML(message.Platform, elemResponse, p.adv))
}

// goodbye says that this peer is no longer there.
func (p printed) goodbye() *message.Message {
	return message.New(
		message.Text(message.Platform, elemFailure, flag),
		message.XML(message.Platform, elemResponse, p.adv))
}

// referral tells of another peer.
func (p printed) referral(of []byte) *message.Message {
	m := message.New(
		message.XML(message.Platform, elemResponse, of),
		message.Text(message.Platform, elemCached, flag))
	if p.route != nil {
		m.Add(message.XML(message.Platform, elemSource, p.route))
	}
	return m
}

// failure tells that another peer is not there.
func (p printed) failure(of []byte) *message.Message {
	return message.New(message.Text(message.Platform, elemFailure, flag)).Add(slices.Collect(p.referral(of).All())...)
}

// letter is a message of this protocol, before its advertisement is read.
type letter struct {
	probe                 bool // otherwise a response
	failure, edge, cached bool
	adv                   []byte
	source                []byte // nil if there is none
	known, told           []byte
	knows                 bool // whether it tells what the prober knows
}

var (
	errNoAdvertisement = errors.New("no advertisement")
	errLarge           = errors.New("too large")
	errKnown           = errors.New("a list of fingerprints has a rest")
	errNoRoute         = errors.New("an advertisement without route, or with one to another peer")
)

// open reads the elements of a message.
func open(m *message.Message) (letter, error) {
	var l letter
	size := 0
	for e := range m.All() {
		switch {
		case e.Namespace == namespace && e.Name == elemKnown:
			l.known, l.knows = e.Body, true
		case e.Namespace == namespace && e.Name == elemTold:
			l.told = e.Body
		case e.Namespace != message.Platform:
			continue
		case e.Name == elemProbe && !l.probe: // comes first, as in JXSE
			l.probe, l.adv = true, e.Body
		case e.Name == elemResponse && l.adv == nil:
			l.adv = e.Body
		case e.Name == elemSource && l.source == nil:
			l.source = e.Body
		case e.Name == elemFailure:
			l.failure = true
		case e.Name == elemEdge:
			l.edge = true
		case e.Name == elemCached:
			l.cached = true
		default:
			continue
		}
		if size += len(e.Body); size > maxDocuments {
			return l, errLarge
		}
	}
	switch {
	case l.adv == nil:
		return l, errNoAdvertisement
	case (len(l.known)|len(l.told))%fingerprintSize != 0:
		return l, errKnown
	}
	return l, nil
}

// readAdv reads an advertisement that stands in a message. The route of the
// result names its destination, which is the peer.
func readAdv(b []byte) (*advertisements.Rendezvous, error) {
	adv := new(advertisements.Rendezvous)
	if err := xmldoc.Unmarshal(b, adv); err != nil {
		return nil, fmt.Errorf("peerview: %w", err)
	}
	if adv.Route == nil || !adv.Route.Dest.IsZero() && adv.Route.Dest != adv.Peer {
		return nil, fmt.Errorf("peerview: %w", errNoRoute)
	}
	adv.Route.Dest = adv.Peer // the same string, which a view keeps once
	return adv, nil
}

// readRoute reads the route of a sender; nil if there is none that can be used.
func readRoute(b []byte) *advertisements.Route {
	r := new(advertisements.Route)
	if b == nil || xmldoc.Unmarshal(b, r) != nil || r.Dest.IsZero() {
		return nil
	}
	return r
}

// fingerprints reads a list of fingerprints: ascending, as this implementation
// writes it, or put in order.
func fingerprints(b []byte) []uint32 {
	if len(b) == 0 {
		return nil
	}
	list := make([]uint32, len(b)/fingerprintSize)
	sorted := true
	for i := range list {
		list[i] = binary.BigEndian.Uint32(b[i*fingerprintSize:])
		sorted = sorted && (i == 0 || list[i-1] <= list[i])
	}
	if !sorted {
		slices.Sort(list)
	}
	return list
}

// printList writes a list of fingerprints: 4 octets each, the most significant
// first. It is never nil.
func printList(list []uint32) []byte {
	b := make([]byte, 0, fingerprintSize*len(list))
	for _, f := range list {
		b = binary.BigEndian.AppendUint32(b, f)
	}
	return b
}
