package peerinfo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// TestDocumentsOfJXSE25: the documents that JXSE 2.5 printed are
// printed again to the octet.
func TestDocumentsOfJXSE25(t *testing.T) {
	files, err := filepath.Glob("../../core/xmldoc/testdata/documents/jxse25/peerinfo-*.xml")
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var d xmldoc.Document = new(query)
		if strings.Contains(f, "response") {
			d = new(response)
		}
		if err := xmldoc.Unmarshal(b, d); err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		if out, err := xmldoc.Marshal(d); err != nil || string(out) != string(b) {
			t.Errorf("%s: printed otherwise: %v\n%s", f, err, out)
		}
	}
}
