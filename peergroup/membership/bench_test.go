package membership_test

import (
	"testing"

	"github.com/juxta-p2p/juxta/peergroup/membership"
)

// BenchmarkCheck: a credential that was verified of late, as it comes with a question,
// and as it comes with a message of a propagate pipe.
func BenchmarkCheck(b *testing.B) {
	c := newCrew(b)
	doc, err := c.bobShows.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	p := c.bobs.Peer()
	b.Run("element", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := c.boss.Check(c.bobShows, p); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("document", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := c.boss.CheckDocument(doc, p); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			fresh := c.service(b, c.bobs, membership.Config{})
			if _, _, err := fresh.CheckDocument(doc, p); err != nil {
				b.Fatal(err)
			}
		}
	})
}
