package content

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Item describes a content that somebody shares. All of it is what the holder
// says; only that the content has the ID is verified, when it is fetched.
type Item struct {
	ID       ID                `json:"id"`
	Name     string            `json:"name"` // of the file or folder, without the way to it
	Size     int64             `json:"size"` // octets
	MIME     string            `json:"mime,omitempty"`
	Words    []string          `json:"words,omitempty"`    // beside those of the name; lower case
	Fields   map[string]string `json:"fields,omitempty"`   // free
	Replicas int               `json:"replicas,omitempty"` // wanted in the group; 0: none are kept
}

// Folder reports whether the item is a folder: a content that lists its files,
// see [Service.FetchFolder].
func (it *Item) Folder() bool { return it.MIME == FolderType }

// Holder is a peer that gives a content.
type Holder struct {
	Peer id.Peer
	Pipe *advertisements.Pipe // on which it listens for those who fetch; must not be changed
}

// Hit is a content that was found, at one of those who have it.
type Hit struct {
	Item   Item
	Holder Holder
}

// Description is what a file or folder is to be found by.
type Description struct {
	// Name replaces that of the file or folder. It must pass [CheckName] and have
	// no slash.
	Name string

	// Words are found as if they stood in the name.
	Words []string

	// MIME is the type of a single file; empty means to guess it from the
	// extension, then from the first octets. In a folder each is guessed.
	MIME string

	// Fields are found by key and value.
	Fields map[string]string

	// Replicas is how many members shall have the content, this one included, as
	// long as so many are alive that have Config.Keep set. Zero leaves it to those
	// who fetch it.
	Replicas int
}

// check bounds what others say, and what we say to others.
func (it *Item) check() error {
	bad := func(what string) error { return fmt.Errorf("content: %s: %w", what, ErrLimit) }
	if err := CheckName(it.Name); err != nil {
		return err
	}
	switch {
	case strings.Contains(it.Name, "/"):
		return &NameError{it.Name, "it has a slash"}
	case it.ID.IsZero():
		return fmt.Errorf("content: an item without ID: %w", ErrMalformed)
	case it.Size < 0 || it.Size > MaxChunks*ChunkSize:
		return bad("the size of an item")
	case len(it.MIME) > maxMIME || !printable(it.MIME):
		return bad("the type of an item")
	case len(it.Words) > maxWords:
		return bad("the words of an item")
	case len(it.Fields) > maxFields:
		return bad("the fields of an item")
	case it.Replicas < 0 || it.Replicas > maxReplicas:
		return bad("the replicas of an item")
	}
	for _, w := range it.Words {
		if w == "" || len(w) > maxWord || !printable(w) || strings.ContainsFunc(w, unicode.IsSpace) {
			return bad("a word of an item")
		}
	}
	for k, v := range it.Fields {
		if k == "" || len(k) > maxKey || len(v) > maxValue || !printable(k) || !printable(v) || strings.Contains(k, "=") {
			return bad("a field of an item")
		}
	}
	return nil
}

// printable reports whether a text can stand in a document and be read again.
func printable(s string) bool {
	return utf8.ValidString(s) && s == xmldoc.Trim(s) && !strings.ContainsFunc(s, hidden)
}

// wordsOf cuts a text into words: runs of letters and digits, in lower case.
func wordsOf(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Mn, r)
	})
}

// fieldToken is the word by which a field is found.
func fieldToken(key, value string) string {
	return strings.Join(strings.Fields(strings.ToLower(key+"="+value)), "_")
}

// tokens are the words by which the item is found: of its name, those given, its
// type and its fields, each once.
func (it *Item) tokens() []string {
	words := slices.Concat(wordsOf(it.Name), it.Words)
	if it.MIME != "" {
		words = append(words, strings.ToLower(it.MIME))
	}
	for _, k := range slices.Sorted(maps.Keys(it.Fields)) {
		words = append(words, fieldToken(k, it.Fields[k]))
	}
	seen := make(map[string]bool, len(words))
	return slices.DeleteFunc(words, func(w string) bool {
		again := seen[w]
		seen[w] = true
		return again
	})
}

// field is how a free field stands in a document.
type field struct{ key, value string }

// describe maps an item, as it stands in advertisements, questions and answers.
func (it *Item) describe(m *xmldoc.Mapper) {
	m.Value("Hash", &it.ID)
	m.Filled("Name", &it.Name)
	m.Int("Size", &it.Size)
	m.Optional("MIME", &it.MIME)
	xmldoc.Each(m, "Word", maxWords, &it.Words, func(m *xmldoc.Mapper, w *string) { m.Self(w) })
	var fields []field
	for _, k := range slices.Sorted(maps.Keys(it.Fields)) {
		fields = append(fields, field{k, it.Fields[k]})
	}
	mapFields(m, maxFields, &fields)
	replicas := int64(it.Replicas)
	m.OptionalInt("Replicas", &replicas)
	if !m.Reading() {
		return
	}
	if it.Replicas = int(replicas); int64(it.Replicas) != replicas {
		it.Replicas = -1
	}
	it.Fields = fieldMap(fields)
	if m.Err() == nil && !it.ID.IsZero() {
		m.Fail(it.check())
	}
}

func mapFields(m *xmldoc.Mapper, limit int, list *[]field) {
	xmldoc.Each(m, "Field", limit, list, func(m *xmldoc.Mapper, f *field) {
		m.Filled("Key", &f.key)
		m.Always("Value", &f.value)
	})
}

func fieldMap(list []field) map[string]string {
	if len(list) == 0 {
		return nil
	}
	all := make(map[string]string, len(list))
	for _, f := range list {
		all[f.key] = f.value
	}
	return all
}

// octets estimates what the item takes in a message, where its document is
// escaped twice.
func (it *Item) octets() int {
	const markup, perTag = 800, 60
	n := markup + size(it.Name) + size(it.MIME)
	for _, w := range it.Words {
		n += perTag + size(w)
	}
	for k, v := range it.Fields {
		n += 3*perTag + size(k) + size(v)
	}
	return n
}

// size is how long a text is when it is escaped twice.
func size(s string) int {
	const escaped = 8
	return len(s) + escaped*(strings.Count(s, "&")+strings.Count(s, "<")+strings.Count(s, ">"))
}
