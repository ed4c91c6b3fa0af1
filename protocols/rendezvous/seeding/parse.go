package seeding

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"mime"
	"path"
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// document is what was loaded, with what tells its form.
type document struct {
	body      []byte
	mediaType string // Content-Type as the server sent it, or empty
	name      string // path it was loaded from at last
}

// parsed is what a document lists.
type parsed struct {
	addresses []endpoint.Address // distinct, at most [MaxAddresses]
	malformed int
	blank     int
}

// parse reads a document in the form that it has.
func parse(d document, rng *rand.Rand) (parsed, error) {
	isXML, err := d.xml()
	switch {
	case err != nil:
		return parsed{}, err
	case isXML:
		return parseXML(d.body, rng)
	}
	return parsePlain(d.body), nil
}

// xml tells whether the document is in the XML form: by media type, else by file
// extension, else by its first octet. As in JXSE 2.5 other types of text are the
// plain form; those that are no text are refused here.
func (d document) xml() (bool, error) {
	t, _, err := mime.ParseMediaType(d.mediaType)
	if err == nil && t != "application/octet-stream" { // which servers say of what they do not know
		switch {
		case t == "text/xml", t == "application/xml":
			return true, nil
		case strings.HasPrefix(t, "text/"):
			return false, nil
		}
		return false, fmt.Errorf("%w: %q", ErrType, t)
	}
	switch strings.ToLower(path.Ext(d.name)) {
	case ".xml":
		return true, nil
	case ".txt":
		return false, nil
	}
	b := bytes.TrimLeft(bytes.TrimPrefix(d.body, bom), " \t\r\n")
	return len(b) > 0 && b[0] == '<', nil
}

// bom is the byte order mark of UTF-8.
var bom = []byte("\ufeff")

// parsePlain reads the plain form: an address a line. Lines that begin with "#"
// are comments. Service and parameter of an address are dropped, since a seed is
// a place.
func parsePlain(b []byte) parsed {
	var p parsed
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(bytes.TrimPrefix(b, bom)))
	seen := map[endpoint.Address]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
			p.blank++
			continue
		case line[0] == '#':
			continue
		}
		a, err := endpoint.ParseAddress(strings.Clone(line)) // or it keeps the whole text in memory
		if err != nil {
			p.malformed++
			continue
		}
		p.add(a, seen)
	}
	return p
}

// parseXML reads the XML form: any root, with a route to each seed. The routes
// are shuffled unless the root says ordered="true". The first addresses of all
// routes come before the second ones, as in JXSE, so that whoever tries a few
// tries different peers.
func parseXML(b []byte, rng *rand.Rand) (parsed, error) {
	root, err := xmldoc.ParseNode(b)
	if err != nil {
		return parsed{}, err
	}
	var p parsed
	var routes [][]endpoint.Address
	longest := 0
	for c := range root.Children() {
		var r advertisements.Route
		if c.Name() != r.DocType() {
			continue
		}
		if err := c.Decode(&r); err != nil || len(r.Addresses) == 0 {
			p.malformed++
			continue
		}
		routes = append(routes, r.Addresses)
		longest = max(longest, len(r.Addresses))
	}
	if ordered, _ := root.Attr("ordered"); !strings.EqualFold(ordered, "true") {
		rng.Shuffle(len(routes), func(i, j int) { routes[i], routes[j] = routes[j], routes[i] })
	}
	seen := map[endpoint.Address]bool{}
	for n := range longest {
		for _, r := range routes {
			if n < len(r) {
				p.add(r[n], seen)
			}
		}
	}
	p.addresses = slices.Clip(p.addresses)
	return p, nil
}

// add takes an address, unless it is there already or the list is full.
func (p *parsed) add(a endpoint.Address, seen map[endpoint.Address]bool) {
	a = a.Base()
	if len(p.addresses) < MaxAddresses && !seen[a] {
		seen[a] = true
		p.addresses = append(p.addresses, a)
	}
}
