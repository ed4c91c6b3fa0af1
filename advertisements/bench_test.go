package advertisements_test

import (
	"testing"

	adv "github.com/juxta-p2p/juxta/advertisements"
)

// benchmarked are advertisements of typical sizes.
var benchmarked = map[string]string{
	"pipe":       "jxse25/pipe-unicast.xml",
	"peer":       "jxse25/pa-live-net.xml",
	"rendezvous": "jxse25/rdvadv-live-peerview.xml",
	"impl":       "jxse25/mia-live-allpurpose.xml",
}

func eachBenchmarked(b *testing.B, fn func(doc []byte, reg *adv.Registry, a adv.Advertisement) error) {
	for name, file := range benchmarked {
		doc := readFile(b, documents+file)
		reg := adv.Standard()
		a, err := reg.Parse(doc)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				if err := fn(doc, reg, a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	eachBenchmarked(b, func(doc []byte, reg *adv.Registry, _ adv.Advertisement) error {
		_, err := reg.Parse(doc)
		return err
	})
}

func BenchmarkMarshal(b *testing.B) {
	eachBenchmarked(b, func(_ []byte, _ *adv.Registry, a adv.Advertisement) error {
		_, err := adv.Marshal(a)
		return err
	})
}

func BenchmarkFields(b *testing.B) {
	eachBenchmarked(b, func(_ []byte, _ *adv.Registry, a adv.Advertisement) error {
		_, err := adv.Fields(a)
		return err
	})
}
