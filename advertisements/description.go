package advertisements

import (
	"fmt"

	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// mapName describes the name of an advertisement.
func mapName(m *xmldoc.Mapper, name *string) {
	m.Optional("Name", name)
	bound(m, "Name", len(*name), MaxName)
}

// mapDesc describes a description, which is text and in rare cases a tree. The
// tree is kept only where there is one, and written only as long as its text is
// still that of desc, so that a program need not know about it.
func mapDesc(m *xmldoc.Mapper, desc *string, tree *xmldoc.Node) {
	if m.Reading() {
		var n xmldoc.Node
		m.Node("Desc", &n)
		bound(m, "Desc", n.Size(), MaxDesc)
		*desc = n.Text()
		for range n.Children() {
			*tree = n
			break
		}
		return
	}
	if !tree.IsZero() && tree.Text() == xmldoc.Trim(*desc) {
		bound(m, "Desc", tree.Size(), MaxDesc)
		m.Node("Desc", tree)
		return
	}
	bound(m, "Desc", len(*desc), MaxDesc)
	m.Optional("Desc", desc)
}

// mapParam describes parameters of unknown content.
func mapParam(m *xmldoc.Mapper, param *xmldoc.Node, limit int) {
	m.Node("Parm", param)
	bound(m, "Parm", param.Size(), limit)
}

// bound refuses a part that is too large.
func bound(m *xmldoc.Mapper, what string, n, limit int) {
	if n > limit {
		m.Fail(fmt.Errorf("%s of %d octets: %w", what, n, xmldoc.ErrLimit))
	}
}
