package xmldoc

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/beevik/etree"
)

// ParseNode reads a document as a tree of elements. It accepts what JXSE and
// JXTA-C print and more (comments, CDATA, character references), bounded by the
// limits of this package; DOCTYPE may be absent, must name the root if present,
// and may not define anything. Characters that XML does not allow are read as
// U+FFFD, since JXSE prints them raw; so are invalid octets, unless the prolog
// says ISO-8859-1.
//
// The error wraps [ErrSyntax] or [ErrLimit]. The time is linear in len(b).
func ParseNode(b []byte) (Node, error) { return Bounds{}.parse(b) }

func (bounds Bounds) parse(b []byte) (Node, error) {
	if len(b) > bounds.octets() {
		return Node{}, at("document", fmt.Errorf("%d octets: %w", len(b), ErrLimit))
	}
	if n := bytes.Count(b, []byte{'<'}); n > bounds.markup() {
		return Node{}, at("document", fmt.Errorf("%d times %q: %w", n, "<", ErrLimit))
	}
	b = clean(b)
	root, ok := scan(b)
	if !ok {
		var err error
		if root, err = parseAny(b); err != nil {
			return Node{}, at("document", err)
		}
	}
	if err := check(root); err != nil {
		return Node{}, err
	}
	return Node{root}, nil
}

// parseAny reads a clean document whatever XML it uses, and returns its root.
func parseAny(b []byte) (*etree.Element, error) {
	doc := etree.Document{ReadSettings: etree.ReadSettings{
		Permissive:             true,
		PreserveDuplicateAttrs: true,
		MaxDepth:               MaxDepth,
	}}
	if err := doc.ReadFromBytes(b); err != nil {
		if errors.Is(err, etree.ErrMaxDepth) {
			return nil, fmt.Errorf("nested deeper than %d: %w", MaxDepth, ErrLimit)
		}
		return nil, fmt.Errorf("%w: %v", ErrSyntax, err)
	}
	return single(&doc)
}

// clean makes the octets fit for an XML parser and drops byte order mark and
// prolog. It returns b itself, or a part of it, if nothing had to be replaced.
func clean(b []byte) []byte {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	prolog, b := cutProlog(b)
	if !utf8.Valid(b) {
		if isLatin1(prolog) {
			b = fromLatin1(b)
		} else {
			b = bytes.ToValidUTF8(b, []byte("\ufffd"))
		}
	}
	if !clear(b) {
		b = bytes.Map(func(r rune) rune {
			if !allowed(r) {
				return utf8.RuneError
			}
			return r
		}, b)
	}
	if bytes.Contains(b, []byte("]]>")) && !bytes.Contains(b, []byte("<![CDATA[")) {
		b = bytes.ReplaceAll(b, []byte("]]>"), []byte("]]&gt;"))
	}
	return b
}

// cutProlog separates a leading "<?xml …?>", the encoding and version of which
// do not matter: the octets are UTF-8 whatever it says.
func cutProlog(b []byte) (prolog, rest []byte) {
	rest = bytes.TrimLeft(b, " \t\r\n")
	if !bytes.HasPrefix(rest, []byte("<?xml")) || len(rest) < 6 || inner(rest[5]) {
		return nil, rest
	}
	if i := bytes.Index(rest, []byte("?>")); i >= 0 {
		return rest[:i], rest[i+2:]
	}
	return nil, rest
}

// isLatin1 tells whether a prolog names ISO-8859-1.
func isLatin1(prolog []byte) bool {
	return bytes.Contains(bytes.ToLower(prolog), []byte("iso-8859-1"))
}

func fromLatin1(b []byte) []byte {
	out := make([]byte, 0, len(b)+len(b)/8)
	for _, c := range b {
		out = utf8.AppendRune(out, rune(c))
	}
	return out
}

// clear tells whether b, valid UTF-8, holds only characters that XML allows.
func clear(b []byte) bool {
	for i, c := range b {
		switch {
		case c < ' ':
			if c != '\n' && c != '\t' && c != '\r' {
				return false
			}
		case c == 0xef: // U+FFFE and U+FFFF are EF BF BE and EF BF BF
			if i+2 < len(b) && b[i+1] == 0xbf && b[i+2] >= 0xbe {
				return false
			}
		}
	}
	return true
}

// single returns the only element of a document, after looking at what stands
// beside it: two documents in one are refused, since readers would differ on
// which one counts.
func single(doc *etree.Document) (*etree.Element, error) {
	var root *etree.Element
	doctype := ""
	for _, c := range doc.Child {
		switch c := c.(type) {
		case *etree.Element:
			if root != nil {
				return nil, fmt.Errorf("%w: two root elements", ErrSyntax)
			}
			root = c
		case *etree.CharData:
			if Trim(c.Data) != "" {
				return nil, fmt.Errorf("%w: text outside the root element", ErrSyntax)
			}
		case *etree.Directive:
			if doctype != "" || root != nil {
				return nil, fmt.Errorf("%w: misplaced declaration", ErrSyntax)
			}
			f := strings.Fields(c.Data)
			if len(f) < 2 || f[0] != "DOCTYPE" || strings.Contains(c.Data, "[") {
				return nil, fmt.Errorf("%w: DOCTYPE that declares things", ErrSyntax)
			}
			doctype = f[1]
		}
	}
	if root == nil {
		return nil, fmt.Errorf("%w: no root element", ErrSyntax)
	}
	if doctype != "" && !named(root, doctype) {
		return nil, fmt.Errorf("%w: DOCTYPE does not name the root element", ErrSyntax)
	}
	return root, nil
}

// check looks at names and attributes of an element and all below it, at most
// [MaxDepth] deep.
func check(e *etree.Element) error {
	if len(e.Space)+len(e.Tag) > MaxName {
		return at(path(e.Parent()), fmt.Errorf("name of %d octets: %w", len(e.Space)+len(e.Tag), ErrLimit))
	}
	if len(e.Attr) > MaxAttributes {
		return at(path(e), fmt.Errorf("%d attributes: %w", len(e.Attr), ErrLimit))
	}
	for i := range e.Attr {
		a := &e.Attr[i]
		if len(a.Space)+len(a.Key) > MaxName {
			return at(path(e), fmt.Errorf("attribute name of %d octets: %w", len(a.Space)+len(a.Key), ErrLimit))
		}
		for j := range i {
			if o := &e.Attr[j]; a.Key == o.Key && a.Space == o.Space {
				return at(path(e), fmt.Errorf("%w: attribute twice", ErrSyntax))
			}
		}
	}
	for _, c := range e.Child {
		switch c := c.(type) {
		case *etree.Element:
			if err := check(c); err != nil {
				return err
			}
		case *etree.Directive:
			return at(path(e), fmt.Errorf("%w: misplaced declaration", ErrSyntax))
		}
	}
	return nil
}
