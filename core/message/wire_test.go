package message_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/juxta-p2p/juxta/core/message"
)

// same compares messages by what a receiver sees of them.
func same(t interface {
	Helper()
	Errorf(string, ...any)
}, got, want *message.Message) {
	t.Helper()
	var a, b []message.Element
	for e := range got.All() {
		a = append(a, e)
	}
	for e := range want.All() {
		b = append(b, e)
	}
	if !slices.EqualFunc(a, b, equal) { // much faster than cmp, which tells the difference
		t.Errorf("elements differ (-want +got):\n%s", cmp.Diff(b, a, cmpopts.EquateEmpty()))
	}
	if d := cmp.Diff(want.Trailer, got.Trailer, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("trailers differ (-want +got):\n%s", d)
	}
}

func equal(a, b message.Element) bool {
	return a.Is(b.Namespace, b.Name) && a.Type == b.Type && bytes.Equal(a.Body, b.Body) &&
		(a.Signature == nil) == (b.Signature == nil) &&
		(a.Signature == nil || equal(*a.Signature, *b.Signature))
}

// elem encodes one element by hand.
func elem(ns, flags byte, name string, rest ...byte) []byte {
	b := append([]byte("jxel"), ns, flags)
	b = binary.BigEndian.AppendUint16(b, uint16(len(name)))
	return append(append(b, name...), rest...)
}

// msg encodes a message of one namespace "app" and the elements.
func msg(count uint16, elems ...[]byte) []byte {
	b := []byte("jxmg\x00\x00\x01\x00\x03app")
	b = binary.BigEndian.AppendUint16(b, count)
	return append(b, bytes.Join(elems, nil)...)
}

func TestDecodeRules(t *testing.T) {
	body := []byte{0, 0, 0, 2, 'h', 'i'}
	sig := append(elem(1, 0, "sig"), body...)
	for _, tt := range []struct {
		name string
		in   []byte
		ok   bool
	}{
		{"one element", msg(1, elem(2, 0, "x", body...)), true},
		{"empty name and body", msg(1, elem(0, 0, "", 0, 0, 0, 0)), true},
		{"no element", msg(0), true},
		{"unknown flags", msg(1, elem(2, 0xf8, "x", body...)), true},
		{"encoding flag without encoding", msg(1, elem(2, 0x02, "x", body...)), true},
		{"empty type", msg(1, elem(2, 0x01, "x", append([]byte{0, 0}, body...)...)), true},
		{"type that is no MIME type", msg(1, elem(2, 0x01, "x", append([]byte{0, 1, 'x'}, body...)...)), true},
		{"signed", msg(1, elem(2, 0x04, "x", body...), sig), true},
		{"duplicates", msg(2, elem(2, 0, "x", body...), elem(2, 0, "x", body...)), true},
		{"names of 32768 octets in JXSE", msg(1, elem(2, 0, strings.Repeat("n", 1<<15), body...)), false},
		{"longest name", msg(1, elem(2, 0, strings.Repeat("n", message.MaxName), body...)), true},
		{"name too long", msg(1, elem(2, 0, strings.Repeat("n", message.MaxName+1), body...)), false},
		{"type too long", msg(1, elem(2, 1, "x", append(append([]byte{1, 1}, make([]byte, 257)...), body...)...)), false},
		{"signature signed", msg(1, elem(2, 0x04, "x", body...), elem(2, 0x04, "sig", body...), sig), false},
		{"signature missing", msg(1, elem(2, 0x04, "x", body...)), false},
		{"namespace not declared", msg(1, elem(3, 0, "x", body...)), false},
		{"magic of the element", msg(1, []byte("jxem"), elem(2, 0, "x", body...)), false},
		{"more counted than there", msg(2, elem(2, 0, "x", body...)), false},
		{"count beyond the limit", msg(message.MaxElements+1, bytes.Repeat(elem(0, 0, "", 0, 0, 0, 0), message.MaxElements+1)), false},
		{"count at the limit", msg(message.MaxElements, bytes.Repeat(elem(0, 0, "", 0, 0, 0, 0), message.MaxElements)), true},
		{"body of 4 GiB", msg(1, elem(2, 0, "x", 0xff, 0xff, 0xff, 0xff)), false},
		{"body of 2 GiB", msg(1, elem(2, 0, "x", 0x80, 0, 0, 0)), false},
		{"negative namespace count", []byte("jxmg\x00\xff\xff\x00\x00"), false},
		{"254 namespaces", append(append([]byte("jxmg\x00\x00\xfe"), make([]byte, 2*254)...), 0, 0), false},
		{"253 namespaces", append(append([]byte("jxmg\x00\x00\xfd"), make([]byte, 2*253)...), 0, 0), true},
		{"version 1", []byte("jxmg\x01\x00\x00\x00\x00"), false},
		{"magic", []byte("jxmh\x00\x00\x00\x00\x00"), false},
		{"nothing", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := message.Decode(tt.in)
			if tt.ok {
				if err != nil {
					t.Fatal(err)
				}
				again, err := m.MarshalBinary()
				if err != nil {
					t.Fatal(err)
				}
				m2, err := message.Decode(again)
				if err != nil {
					t.Fatal(err)
				}
				same(t, m2, m)
			} else if !errors.Is(err, message.ErrFormat) {
				t.Errorf("got %v, want ErrFormat", err)
			} else if !strings.HasPrefix(err.Error(), "message: ") {
				t.Errorf("the error %q is not led by the package", err)
			}
		})
	}
}

func TestDecodeReadsDefaultsOneWay(t *testing.T) {
	typ := append([]byte{0, byte(len(message.TypeOctets))}, message.TypeOctets...)
	m, err := message.Decode(msg(1,
		elem(2, 0x05, "x", append(typ, 0, 0, 0, 0)...),
		elem(0, 0, "sig", 0, 0, 0, 0)))
	if err != nil {
		t.Fatal(err)
	}
	e, ok := m.Get("app", "x")
	if !ok || e.Type != "" {
		t.Errorf("type %q, want the default spelt as empty", e.Type)
	}
	if e.Signature == nil || e.Signature.Namespace != "app" {
		t.Errorf("signature %+v, want it in the namespace of its owner", e.Signature)
	}
}

// The trailer is three blobs and nothing else; anything else is ignored.
func TestDecodeTrailer(t *testing.T) {
	plain := msg(1, elem(2, 0, "x", 0, 0, 0, 0))
	blob := func(n int) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(n)), make([]byte, n)...) }
	for _, tt := range []struct {
		name string
		tail []byte
		ok   bool
	}{
		{"three blobs", bytes.Join([][]byte{blob(500), blob(80), blob(128)}, nil), true},
		{"three empty blobs", bytes.Join([][]byte{blob(0), blob(0), blob(0)}, nil), true},
		{"two blobs", bytes.Join([][]byte{blob(500), blob(80)}, nil), false},
		{"four blobs", bytes.Join([][]byte{blob(500), blob(80), blob(128), blob(0)}, nil), false},
		{"one octet more", bytes.Join([][]byte{blob(500), blob(80), blob(128), {0}}, nil), false},
		{"certificate too long", bytes.Join([][]byte{blob(8<<10 + 1), blob(80), blob(128)}, nil), false},
		{"source too long", bytes.Join([][]byte{blob(500), blob(257), blob(128)}, nil), false},
		{"signature too long", bytes.Join([][]byte{blob(500), blob(80), blob(1<<10 + 1)}, nil), false},
		{"length of 4 GiB", []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0}, false},
		{"another message", plain, false},
	} {
		m, err := message.Decode(append(bytes.Clone(plain), tt.tail...))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if got := m.Trailer != nil; got != tt.ok {
			t.Errorf("%s: taken as a trailer: %t, want %t", tt.name, got, tt.ok)
		} else if tt.ok && !bytes.Equal(m.Trailer.AppendTo(nil), tt.tail) {
			t.Errorf("%s: encoded again it differs", tt.name)
		}
	}
}

func TestEncodeLimits(t *testing.T) {
	many := func(n int, space func(i int) string) *message.Message {
		m := message.New()
		for i := range n {
			m.Add(message.Bytes(space(i), "n", nil))
		}
		return m
	}
	one := func(int) string { return "app" }
	own := func(i int) string { return strings.Repeat("n", i+1) }
	sig := &message.Element{Name: "sig", Signature: &message.Element{Name: "sig"}}
	for _, tt := range []struct {
		name string
		m    *message.Message
		ok   bool
	}{
		{"most elements", many(message.MaxElements, one), true},
		{"too many elements", many(message.MaxElements+1, one), false},
		{"most namespaces", many(message.MaxNamespaces, own), true},
		{"too many namespaces", many(message.MaxNamespaces+1, own), false},
		{"longest names", message.New(message.Bytes(strings.Repeat("s", message.MaxName), strings.Repeat("n", message.MaxName), nil)), true},
		{"name too long", message.New(message.Bytes("", strings.Repeat("n", message.MaxName+1), nil)), false},
		{"namespace too long", message.New(message.Bytes(strings.Repeat("s", message.MaxName+1), "n", nil)), false},
		{"type too long", message.New(message.Element{Type: strings.Repeat("t", message.MaxType+1)}), false},
		{"signature signed", message.New(message.Element{Signature: sig}), false},
	} {
		prefix := []byte("kept")
		b, err := tt.m.AppendTo(prefix)
		if tt.ok {
			if err != nil || len(b) != len(prefix)+tt.m.Size() {
				t.Errorf("%s: %d octets, %v, want %d", tt.name, len(b), err, len(prefix)+tt.m.Size())
			} else if _, err := message.Decode(b[len(prefix):]); err != nil {
				t.Errorf("%s: encoded, but %v", tt.name, err)
			}
		} else if !errors.Is(err, message.ErrTooLarge) || string(b) != "kept" {
			t.Errorf("%s: got %q, %v, want ErrTooLarge", tt.name, b, err)
		}
	}
}

// Forwarding keeps the namespaces a message declared, in their order, also
// those nobody uses; new ones follow.
func TestEncodeKeepsNamespaces(t *testing.T) {
	m, err := message.Decode([]byte("jxmg\x00\x00\x03\x00\x01z\x00\x01y\x00\x01x\x00\x01jxel\x04\x00\x00\x01n\x00\x00\x00\x00"))
	if err != nil {
		t.Fatal(err)
	}
	m.Remove("x", "n")
	m.Add(message.Bytes("new", "n", nil), message.Bytes("y", "n", nil))
	got, err := m.AppendTo(nil, message.Bytes("tail", "n", nil))
	if err != nil {
		t.Fatal(err)
	}
	want := "jxmg\x00\x00\x05\x00\x01z\x00\x01y\x00\x01x\x00\x03new\x00\x04tail\x00\x03" +
		"jxel\x05\x00\x00\x01n\x00\x00\x00\x00" + "jxel\x03\x00\x00\x01n\x00\x00\x00\x00" + "jxel\x06\x00\x00\x01n\x00\x00\x00\x00"
	if string(got) != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// A decoded message shares its bodies with the octets it came from, its names not.
func TestDecodeSharesBodiesOnly(t *testing.T) {
	b := msg(1, elem(2, 0x01, "name", 0, 3, 'a', '/', 'b', 0, 0, 0, 2, 'h', 'i'))
	m, err := message.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] = '!'
	}
	e, ok := m.Get("app", "name")
	if !ok || e.Type != "a/b" || e.Text() != "!!" {
		t.Errorf("got %+v, want names of their own and a shared body", e)
	}
	if grown := append(e.Body, "overrun"...); &grown[0] == &e.Body[0] {
		t.Error("appending to a body writes into the octets behind it")
	}
}

// However small its elements are, a message costs a bounded multiple of its size.
func TestDecodeAllocationIsBounded(t *testing.T) {
	sig := elem(0, 0, "", 0, 0, 0, 0)
	for _, b := range [][]byte{
		msg(message.MaxElements, bytes.Repeat(sig, message.MaxElements)),
		msg(message.MaxElements, bytes.Repeat(append(elem(0, 4, "", 0, 0, 0, 0), sig...), message.MaxElements)),
		msg(100, bytes.Repeat(elem(0, 0, strings.Repeat("n", 255), 0, 0, 0, 0), 100)),
		msg(message.MaxElements), // refused before anything is allocated
		[]byte("jxmg\x00\x00\xfd\x00\x00"),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = message.Decode(b)
		runtime.ReadMemStats(&after)
		if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(8*len(b)+4<<10); got > limit {
			t.Errorf("%d octets: %d allocated, want at most %d", len(b), got, limit)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, rec := range recordings(f) {
		f.Add(rec.octets)
	}
	for _, file := range glob(f, "testdata/transport/syn-*.bin") {
		f.Add(stripPackage(f, read(f, file)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := message.Decode(b)
		if err != nil {
			if !errors.Is(err, message.ErrFormat) || m != nil {
				t.Fatalf("%v, %v, want ErrFormat", m, err)
			}
			return
		}
		out, err := m.MarshalBinary()
		if err != nil {
			t.Fatalf("decoded, but cannot be encoded: %v", err)
		}
		if len(out) != m.Size() || len(out) > len(b) {
			t.Fatalf("%d octets, Size says %d, decoded from %d", len(out), m.Size(), len(b))
		}
		if m.Trailer != nil {
			out = m.Trailer.AppendTo(out)
		}
		m2, err := message.Decode(out)
		if err != nil {
			t.Fatalf("encoded, but cannot be decoded: %v", err)
		}
		same(t, m2, m)
	})
}

// genElement draws elements as applications make them; spaces and names are few,
// so that they repeat.
func genElement(t *rapid.T) message.Element {
	e := message.Element{
		Namespace: rapid.SampledFrom([]string{"", "jxta", "app", "relay", "jxtatls", "é"}).Draw(t, "namespace"),
		Name:      rapid.OneOf(rapid.SampledFrom([]string{"", "a", "EndpointRouterMsg"}), rapid.StringN(0, 40, 300)).Draw(t, "name"),
		Type:      rapid.SampledFrom([]string{"", message.TypeText, message.TypeXML, "a/b"}).Draw(t, "type"),
		Body:      rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "body"),
	}
	if rapid.IntRange(0, 9).Draw(t, "signed") == 0 {
		e.Signature = &message.Element{Namespace: e.Namespace, Name: "sig", Body: []byte("s")}
	}
	return e
}

func genMessage(t *rapid.T) *message.Message {
	return message.New(rapid.SliceOfN(rapid.Custom(genElement), 0, 30).Draw(t, "elements")...)
}

func TestPropertyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, tail := genMessage(t), rapid.SliceOfN(rapid.Custom(genElement), 0, 3).Draw(t, "tail")
		b, err := m.AppendTo([]byte("before"), tail...)
		if err != nil {
			t.Fatal(err)
		}
		got, err := message.Decode(b[len("before"):])
		if err != nil {
			t.Fatal(err)
		}
		all := m.Clone().Add(tail...)
		same(t, got, all)
		if n := all.Size(); len(b) != n+len("before") {
			t.Errorf("Size says %d, want %d", n, len(b)-len("before"))
		}
		if direct, _ := all.MarshalBinary(); !bytes.Equal(direct, b[len("before"):]) {
			t.Error("a tail is not written as if it had been added")
		}
	})
}

// TestUnfix: what was sent while the elements were encoded once for all stays as it was, also
// when their memory is used again; and the message goes on as before.
func TestUnfix(t *testing.T) {
	message.Poison(true)
	defer message.Poison(false)
	msg := message.New(message.Text("app", "a", "one"), message.Bytes("", "b", make([]byte, 1000)))
	plain, err := msg.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if err := msg.Fix(); err != nil || !msg.Fixed() {
		t.Fatal(err, msg.Fixed())
	}
	clone := msg.Clone()
	sent, err := msg.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	msg.Unfix()
	msg.Unfix()
	other := message.New(message.Text("other", "c", strings.Repeat("x", 900)))
	if err := other.Fix(); err != nil { // in the same memory
		t.Fatal(err)
	}
	again, err := msg.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	cloned, err := clone.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{"fixed": sent, "later": again, "a clone": cloned} {
		if !bytes.Equal(got, plain) {
			t.Errorf("%s differs: %q", name, got)
		}
	}
}

// TestAppendAround: with the body in its place it is what AppendWith gives.
func TestAppendAround(t *testing.T) {
	const least = 100
	long, longer := bytes.Repeat([]byte("long "), 50), bytes.Repeat([]byte("longer "), 50)
	signed := message.Bytes("jxta", "signed", long)
	signed.Signature = &message.Element{Name: "signature", Body: []byte("who knows")}
	tail, err := message.AppendTail(nil, message.Bytes(message.Platform, "tail", []byte("end")))
	if err != nil {
		t.Fatal(err)
	}
	short := message.Bytes("ns", "short", []byte("few"))
	for name, tt := range map[string]struct {
		elems []message.Element
		body  []byte
		fixed bool
	}{
		"none long":           {elems: []message.Element{short, message.Bytes("", "other", nil)}},
		"no elements":         {},
		"first":               {elems: []message.Element{message.Bytes("ns", "long", long), short}, body: long},
		"last, of two spaces": {elems: []message.Element{short, message.Bytes("other", "long", long)}, body: long},
		"two":                 {elems: []message.Element{message.Bytes("", "a", longer), short, message.Bytes("", "b", long)}, body: longer},
		"a signed one":        {elems: []message.Element{short, signed}},
		"behind a signed one": {elems: []message.Element{signed, message.Bytes("ns", "long", longer)}, body: longer},
		"encoded already":     {elems: []message.Element{message.Bytes("", "a", longer)}, fixed: true},
	} {
		t.Run(name, func(t *testing.T) {
			m := message.New(tt.elems...)
			if tt.fixed {
				if err := m.Fix(); err != nil {
					t.Fatal(err)
				}
			}
			before := []byte("before")
			want, err := m.AppendWith(before, tail)
			if err != nil {
				t.Fatal(err)
			}
			out, body, at, err := m.AppendAround(before, tail, least)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(body, tt.body) {
				t.Errorf("left out %q, want %q", body, tt.body)
			}
			if got := slices.Concat(out[:at], body, out[at:]); !bytes.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	bad := message.New(message.Bytes("", "long", long), message.Bytes("", strings.Repeat("n", message.MaxName+1), nil))
	if _, _, _, err := bad.AppendAround(nil, tail, least); !errors.Is(err, message.ErrTooLarge) {
		t.Errorf("a name of too many octets: %v", err)
	}
}
