package compact_test

import (
	"bytes"
	"testing"

	"github.com/juxta-p2p/juxta/core/compact"
)

func FuzzNext(f *testing.F) {
	f.Add(compact.Append(compact.Append(nil, ""), "abc"))
	f.Add([]byte{255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var again []byte
		for rest := b; ; {
			field, more, ok := compact.Next(rest)
			if !ok {
				if !bytes.Equal(append(again, rest...), b) {
					t.Error("something was lost or added")
				}
				return
			}
			again = compact.Append(again, string(field))
			rest = more
		}
	})
}
