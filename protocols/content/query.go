package content

import (
	"maps"
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Query says which contents are wanted: those that fit all that is given. The
// zero value fits all. In patterns * stands for any text.
type Query struct {
	// ID is that of the content; zero means any.
	ID ID

	// Words must each be one of the words that the item is found by: of its name
	// or of [Item].Words. Case does not count. They may be patterns.
	Words []string

	// Name is a pattern for the whole name, in which case counts; empty fits all.
	Name string

	// MIME is a pattern for the type, such as "audio/*"; case does not count.
	MIME string

	// Fields are patterns for the values of fields that there must be; case counts.
	Fields map[string]string

	// MinSize and MaxSize bound the octets; MaxSize 0 means no bound.
	MinSize, MaxSize int64

	// Limit is the most wanted from each peer that answers; zero means 50, which
	// is also the most.
	Limit int
}

// Matches reports whether an item fits.
func (q *Query) Matches(it *Item) bool {
	switch {
	case !q.ID.IsZero() && q.ID != it.ID:
		return false
	case q.Name != "" && !advertisements.Match(q.Name, it.Name):
		return false
	case q.MIME != "" && !advertisements.Match(strings.ToLower(q.MIME), strings.ToLower(it.MIME)):
		return false
	case it.Size < q.MinSize || q.MaxSize > 0 && it.Size > q.MaxSize:
		return false
	}
	for k, pattern := range q.Fields {
		if v, ok := it.Fields[k]; !ok || !advertisements.Match(pattern, v) {
			return false
		}
	}
	if len(q.Words) == 0 {
		return true
	}
	words := it.tokens()
	for _, w := range q.Words {
		pattern := strings.ToLower(w)
		if !slices.ContainsFunc(words, func(t string) bool { return advertisements.Match(pattern, t) }) {
			return false
		}
	}
	return true
}

// question is what discovery is asked: it knows one field at a time. The answers
// are sifted.
func (q *Query) question() (attr, value string) {
	contains := func(w string) string { return "*" + strings.Trim(strings.ToLower(w), "*") + "*" }
	longest := ""
	for _, w := range q.Words {
		if len(w) > len(longest) {
			longest = w
		}
	}
	switch {
	case !q.ID.IsZero():
		return "Hash", q.ID.String()
	case q.Name != "" && q.Name != "*":
		return "Name", q.Name
	case strings.Trim(longest, "*") != "":
		return "Words", contains(longest)
	}
	for _, k := range slices.Sorted(maps.Keys(q.Fields)) {
		return "Words", contains(fieldToken(k, q.Fields[k]))
	}
	if q.MIME != "" {
		return "Words", contains(q.MIME)
	}
	return "Hash", "*"
}

// limit is how many results an answer may have.
func (q *Query) limit() int {
	if q.Limit <= 0 || q.Limit > maxHits {
		return maxHits
	}
	return q.Limit
}

// describe maps the query as it stands in a question.
func (q *Query) describe(m *xmldoc.Mapper) {
	m.OptionalValue("Hash", &q.ID)
	xmldoc.Each(m, "Word", maxAsked, &q.Words, func(m *xmldoc.Mapper, w *string) { m.Self(w) })
	m.Optional("Name", &q.Name)
	m.Optional("MIME", &q.MIME)
	var fields []field
	for _, k := range slices.Sorted(maps.Keys(q.Fields)) {
		fields = append(fields, field{k, q.Fields[k]})
	}
	mapFields(m, maxAsked, &fields)
	m.OptionalInt("MinSize", &q.MinSize)
	m.OptionalInt("MaxSize", &q.MaxSize)
	limit := int64(q.limit())
	m.OptionalInt("Limit", &limit)
	if m.Reading() {
		q.Fields, q.Limit = fieldMap(fields), int(min(max(limit, 0), maxHits))
		for _, text := range append([]string{q.Name, q.MIME}, q.Words...) {
			if len(text) > maxName {
				m.Fail(ErrLimit)
			}
		}
	}
}
