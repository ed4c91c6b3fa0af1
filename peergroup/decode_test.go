package peergroup

import (
	"testing"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// callDocuments are those that strangers send about services.
func callDocuments(t testing.TB) (docs [][]byte) {
	spec := id.NewModuleSpec(id.NewModuleClass())
	parm := xmldoc.NewNode("Parm", "x", xmldoc.NewNode("Colour", "red"))
	offer := &Offer{Peer: id.PeerFromSeed(id.NetGroup, []byte("a")), Group: id.NetGroup, Class: spec.Class(), Spec: spec, Name: "n", Params: parm}
	peer := &advertisements.Peer{ID: offer.Peer, Group: id.NetGroup, Name: "a"}
	peer.SetService(spec.Class(), xmldoc.NewNode("Parm", "", xmldoc.NewNode(offerMark, spec.String()), xmldoc.NewNode("Colour", "red")))
	for _, d := range []xmldoc.Document{&callQuery{spec, 5000, "<q/>"}, &callReply{"a", "b", "<r/>"}, offer, peer} {
		b, err := xmldoc.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, b)
	}
	return docs
}

// readCall reads a document as all of them; what was read can be written.
func readCall(t *testing.T, b []byte) (read int) {
	for _, d := range []xmldoc.Document{new(callQuery), new(callReply), new(Offer), new(advertisements.Peer)} {
		if xmldoc.Unmarshal(b, d) != nil {
			continue
		}
		read++
		if p, ok := d.(*advertisements.Peer); ok {
			for _, o := range OffersOf(p) {
				if o.Peer != p.ID || o.Spec.IsZero() {
					t.Errorf("an offer of %v by %v", o.Spec, o.Peer)
				}
			}
			continue
		}
		if _, err := xmldoc.Marshal(d); err != nil {
			t.Errorf("%T was read and cannot be written: %v", d, err)
		}
	}
	return read
}

func TestCallDocumentsCutShort(t *testing.T) {
	for _, b := range callDocuments(t) {
		if readCall(t, b) != 1 {
			t.Errorf("not read: %s", b)
		}
		end := len(b) - 1
		for b[end] != '>' {
			end--
		}
		for n := range end {
			if readCall(t, b[:n]) != 0 {
				t.Errorf("read though cut at %d: %s", n, b[:n])
			}
		}
	}
}

func FuzzCallDocuments(f *testing.F) {
	for _, b := range callDocuments(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { readCall(t, b) })
}
