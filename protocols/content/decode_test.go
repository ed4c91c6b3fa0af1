package content

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// example is an item with everything in it.
func example() Item {
	return Item{
		ID: ID{1, 2, 3}, Name: "Nocturne & Waltz.ogg", Size: 123456, MIME: "audio/ogg", Words: []string{"chopin", "opus"},
		Fields: map[string]string{"year": "1832", "key": "E flat", "note": ""}, Replicas: 3,
	}
}

func exampleShare() *Share {
	peer := id.PeerFromSeed(id.NetGroup, []byte("ann"))
	return &Share{Item: example(), Peer: peer, Pipe: *pipeOf(id.NetGroup, peer)}
}

// documents are one of each kind, with how to make an empty one.
func documents() []struct {
	full  xmldoc.Document
	empty func() xmldoc.Document
} {
	type kind = struct {
		full  xmldoc.Document
		empty func() xmldoc.Document
	}
	q := Query{ID: ID{7}, Words: []string{"a", "b*"}, Name: "n*", MIME: "audio/*", Fields: map[string]string{"k": "v"}, MinSize: 1, MaxSize: 5, Limit: 7}
	share := exampleShare()
	return []kind{
		{share, func() xmldoc.Document { return new(Share) }},
		{&question{q, 5}, func() xmldoc.Document { return new(question) }},
		{&answer{[]Share{*share, *share}}, func() xmldoc.Document { return new(answer) }},
		{&tell{share.Pipe, true, []Item{share.Item}, []ID{{9}}}, func() xmldoc.Document { return new(tell) }},
		{&told{17}, func() xmldoc.Document { return new(told) }},
	}
}

func TestDocuments(t *testing.T) {
	for _, d := range documents() {
		b, err := xmldoc.Marshal(d.full)
		if err != nil {
			t.Fatalf("%T: %v", d.full, err)
		}
		got := d.empty()
		if err := xmldoc.Unmarshal(b, got); err != nil {
			t.Fatalf("%T: %v\n%s", d.full, err, b)
		}
		if !reflect.DeepEqual(got, d.full) {
			t.Errorf("%T: read\n%+v, want\n%+v", d.full, got, d.full)
		}
		for n := range b {
			if xmldoc.Unmarshal(b[:n], d.empty()) == nil && len(bytes.TrimSpace(b[n:])) > 0 {
				t.Errorf("%T cut at %d of %d can be read", d.full, n, len(b))
			}
		}
	}
}

// Items over a limit are refused when they come.
func TestItemLimits(t *testing.T) {
	for name, spoil := range map[string]func(*Item){
		"name":       func(it *Item) { it.Name = "../x" },
		"slash":      func(it *Item) { it.Name = "a/b" },
		"no id":      func(it *Item) { it.ID = ID{} },
		"size":       func(it *Item) { it.Size = -1 },
		"large":      func(it *Item) { it.Size = MaxChunks*ChunkSize + 1 },
		"type":       func(it *Item) { it.MIME = strings.Repeat("x", maxMIME+1) },
		"words":      func(it *Item) { it.Words = make([]string, maxWords+1) },
		"long word":  func(it *Item) { it.Words = []string{strings.Repeat("x", maxWord+1)} },
		"two words":  func(it *Item) { it.Words = []string{"a b"} },
		"key":        func(it *Item) { it.Fields = map[string]string{"a=b": "c"} },
		"value":      func(it *Item) { it.Fields = map[string]string{"a": strings.Repeat("x", maxValue+1)} },
		"replicas":   func(it *Item) { it.Replicas = maxReplicas + 1 },
		"negative":   func(it *Item) { it.Replicas = -1 },
		"control":    func(it *Item) { it.MIME = "a\u202eb" },
		"empty word": func(it *Item) { it.Words = []string{""} },
	} {
		it := example()
		spoil(&it)
		if it.check() == nil {
			t.Errorf("%s: it passes", name)
		}
	}
	it := example()
	if err := it.check(); err != nil {
		t.Error(err)
	}
}

// The text that an advertisement is found by fits into an index.
func TestSearchText(t *testing.T) {
	it := example()
	want(t, "text", it.searchText(), "nocturne waltz ogg chopin opus audio/ogg key=e_flat note= year=1832")
	for i := range maxWords {
		it.Words = append(it.Words, strings.Repeat("x", 50)+string(rune('a'+i%26)))
	}
	if n := len(it.searchText()); n > maxSearchText {
		t.Errorf("%d octets", n)
	}
}

func FuzzShare(f *testing.F) {
	for _, d := range documents() {
		b, err := xmldoc.Marshal(d.full)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, d := range documents() {
			got := d.empty()
			if xmldoc.Unmarshal(b, got) != nil {
				continue
			}
			again, err := xmldoc.Marshal(got)
			if err != nil {
				continue // what came cannot be printed; it is not passed on
			}
			second := d.empty()
			if err := xmldoc.Unmarshal(again, second); err != nil {
				t.Errorf("%T: what was printed cannot be read: %v\n%s", got, err, again)
			}
		}
	})
}

func TestManifest(t *testing.T) {
	for _, size := range []int{0, 1, ChunkSize - 1, ChunkSize, ChunkSize + 1, 3 * ChunkSize} {
		b := octets(1, size)
		m, err := makeManifest(bytes.NewReader(b), int64(size))
		if err != nil {
			t.Fatal(err)
		}
		want(t, "size", m.size, int64(size))
		want(t, "chunks", int64(m.chunks()), chunksOf(int64(size)))
		enc := m.encode()
		again, err := readManifest(enc)
		if err != nil || again.id() != m.id() {
			t.Fatalf("%d: %v", size, err)
		}
		for n := range enc {
			if _, err := readManifest(enc[:n]); err == nil {
				t.Errorf("%d octets cut at %d can be read", size, n)
			}
		}
		for i := range m.chunks() {
			c := b[i*ChunkSize : min((i+1)*ChunkSize, size)]
			if !m.fits(i, c) || m.fits(i, c[1:]) {
				t.Errorf("chunk %d of %d", i, size)
			}
		}
	}
}

func FuzzManifest(f *testing.F) {
	for _, size := range []int{0, 1, ChunkSize + 1} {
		m, err := makeManifest(bytes.NewReader(octets(1, size)), ChunkSize)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(m.encode())
	}
	f.Add([]byte(manifestName + "\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte(manifestName + "\x7f\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := readManifest(b)
		if err != nil {
			return
		}
		if !bytes.Equal(m.encode(), b) {
			t.Errorf("%x is printed as %x", b, m.encode())
		}
		for i := range m.chunks() {
			if n := m.length(i); n < 1 || n > ChunkSize {
				t.Errorf("chunk %d has %d octets", i, n)
			}
		}
	})
}

func FuzzWire(f *testing.F) {
	f.Add(request{askChunk, ID{1}, 7}.encode())
	f.Add(encodeHead(given, 100))
	f.Add(encodeKept([]kept{{ID{1}, 3}, {ID{2}, 1}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := decodeRequest(b); err == nil && !bytes.Equal(r.encode(), b) {
			t.Errorf("request %x is printed as %x", b, r.encode())
		}
		for what := askManifest; what <= askKept; what++ {
			r := request{what: what}
			if status, n, err := decodeHead(b, r); err == nil && (n > r.limit() || !bytes.Equal(encodeHead(status, n), b)) {
				t.Errorf("head %x", b)
			}
			if _, body, err := readAnswer(bytes.NewReader(b), r, func() {}); err == nil && len(body) > r.limit() {
				t.Errorf("an answer of %d octets", len(body))
			}
		}
		if page, err := decodeKept(b); err == nil && !bytes.Equal(encodeKept(page), b) {
			t.Errorf("page %x", b)
		}
	})
}

func TestWireIsCut(t *testing.T) {
	for _, b := range [][]byte{request{askChunk, ID{1}, 7}.encode(), encodeHead(given, 3)} {
		for n := range b {
			if _, err := decodeRequest(b[:n]); err == nil {
				t.Errorf("a request of %d octets", n)
			}
			if _, _, err := readAnswer(bytes.NewReader(b[:n]), request{what: askChunk}, func() {}); err == nil {
				t.Errorf("an answer of %d octets", n)
			}
		}
	}
	if _, _, err := decodeHead(encodeHead(given, ChunkSize+1), request{what: askChunk}); !errors.Is(err, ErrLimit) {
		t.Errorf("a chunk too large: %v", err)
	}
	if _, _, err := decodeHead(encodeHead(notHere, 1), request{what: askChunk}); !errors.Is(err, ErrLimit) {
		t.Errorf("a refusal with a body: %v", err)
	}
}

func FuzzList(f *testing.F) {
	f.Add([]byte(`{"name":"a/b.txt","id":"` + ID{1}.String() + `","size":1}`))
	f.Add([]byte(`{"name":"../b.txt","id":"` + ID{1}.String() + `","size":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := readList(b)
		if err != nil {
			return
		}
		for _, m := range list {
			if CheckName(m.Name) != nil || m.ID.IsZero() || m.Size < 0 {
				t.Errorf("%+v is taken", m)
			}
		}
	})
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"root":"/a","name":"b","size":0,"manifest":"","item":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := readRecord(b); err == nil && l.man.id() != l.item.ID {
			t.Errorf("%+v", l)
		}
	})
}
