package pipe

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/resolver/srdi"
)

var (
	e1 = peer("E1E1E1E1E1E14E1EA1E1E1E1E1E1E1E1")
	e2 = peer("E2E2E2E2E2E24E2EA2E2E2E2E2E2E2E2")
	r1 = peer("1111111111114111A111111111111111")
	a2 = peer("A2A2A2A2A2A24A2AA2A2A2A2A2A2A2A2")
)

func peer(unique string) id.Peer {
	p, err := id.ParsePeer("urn:jxta:uuid-59616261646162614E50472050325033" + unique + "03")
	if err != nil {
		panic(err)
	}
	return p
}

func goldenPipe(last string) id.Pipe {
	p, err := id.ParsePipe("urn:jxta:uuid-59616261646162614E504720503250330A0A0A0A0A0A4A0A8A0A0A0A0A0A0A" + last + "04")
	if err != nil {
		panic(err)
	}
	return p
}

// recording reads a recorded message.
func recording(t testing.TB, name string) *message.Message {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".dgram") {
		i := bytes.Index(b, []byte("jxmg"))
		if i < 0 {
			t.Fatal("no message in the datagram")
		}
		b = b[i:]
	}
	m, err := message.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func body(t testing.TB, m *message.Message, name string) []byte {
	t.Helper()
	e, ok := m.Get(message.Platform, name)
	if !ok {
		t.Fatalf("no element %s", name)
	}
	if message.BaseType(e.Type) != message.TypeGzip {
		return e.Body
	}
	z, err := gzip.NewReader(bytes.NewReader(e.Body))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(t testing.TB, b []byte, d xmldoc.Document) {
	t.Helper()
	if err := xmldoc.Unmarshal(b, d); err != nil {
		t.Fatal(err)
	}
}

// query and answer return the body of a recorded pipe resolver message.
func recordedBinding(t testing.TB, name string) string {
	t.Helper()
	m := recording(t, name)
	if strings.Contains(name, "answer") {
		var r resolver.RawResponse
		decode(t, body(t, m, "jxta-NetGroupIRes"), &r)
		if r.Handler != handlerName {
			t.Fatalf("handler %q", r.Handler)
		}
		return r.Body
	}
	var q resolver.RawQuery
	decode(t, body(t, m, "jxta-NetGroupORes"), &q)
	if q.Handler != handlerName {
		t.Fatalf("handler %q", q.Handler)
	}
	return q.Body
}

func recordedPush(t testing.TB, name string) string {
	t.Helper()
	var x resolver.Index
	decode(t, body(t, recording(t, name), "jxta-NetGroupSrdi"), &x)
	if x.Handler != handlerName {
		t.Fatalf("handler %q", x.Handler)
	}
	return x.Payload
}

var bindings = map[string]binding{
	"pbp-01-query.jxm":           {MsgType: typeQuery, Pipe: goldenPipe("01"), Type: advertisements.Unicast},
	"pbp-02-query-forwarded.jxm": {MsgType: typeQuery, Pipe: goldenPipe("01"), Type: advertisements.Unicast},
	"pbp-03-answer-found.jxm":    {MsgType: typeAnswer, Pipe: goldenPipe("01"), Type: advertisements.Unicast, Peers: []id.Peer{e1}, Found: true},
	"pbp-04-query-directed.jxm":  {MsgType: typeQuery, Pipe: goldenPipe("01"), Type: advertisements.Unicast, Peers: []id.Peer{e1}},
	"pbp-05-answer-notfound.jxm": {MsgType: typeAnswer, Pipe: goldenPipe("77"), Type: advertisements.Unicast, Peers: []id.Peer{e1}},
}

func TestRecordedBindings(t *testing.T) {
	for name, want := range bindings {
		t.Run(name, func(t *testing.T) {
			text := recordedBinding(t, name)
			var got binding
			decode(t, []byte(text), &got)
			if name == "pbp-03-answer-found.jxm" {
				var adv advertisements.Peer
				decode(t, []byte(got.PeerAdv), &adv)
				route, ok := adv.Route()
				if adv.ID != e1 || !ok || route.Addresses[0].String() != "tcp://10.9.0.1:9811" {
					t.Errorf("peer advertisement %+v", adv)
				}
				want.PeerAdv = got.PeerAdv
			}
			if d := cmp.Diff(want, got, texts); d != "" {
				t.Error(d)
			}
			samePrinted(t, text, &got)
		})
	}
}

var texts = cmp.Options{
	cmp.Comparer(func(a, b id.Peer) bool { return a == b }), cmp.Comparer(func(a, b id.Pipe) bool { return a == b }),
}

// samePrinted prints a document again and compares it with the recording; the
// resolver has trimmed what was around it.
func samePrinted(t testing.TB, text string, d xmldoc.Document) {
	t.Helper()
	b, err := xmldoc.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.TrimSpace(text), strings.TrimSpace(string(b))); d != "" {
		t.Errorf("printed otherwise: %s", d)
	}
}

func TestRecordedPushes(t *testing.T) {
	withdrawn, err := id.ParsePipe("urn:jxta:uuid-59616261646162614E504720503250333475EED10F9E4A40BCA4E3E9A122A77B04")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]srdi.Push{
		"srdi-06-pipe-add.jxm":    {Holder: e1, Primary: "JxtaUnicast", TTL: 1, Entries: []srdi.Entry{{Name: "Id", Value: goldenPipe("01").String(), Millis: forever}}},
		"srdi-07-pipe-remove.jxm": {Holder: e2, Primary: "JxtaUnicast", TTL: 1, Entries: []srdi.Entry{{Name: "Id", Value: withdrawn.String()}}},
	} {
		text := recordedPush(t, name)
		var got srdi.Push
		decode(t, []byte(text), &got)
		if d := cmp.Diff(want, got, texts); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		samePrinted(t, text, &got)
	}
}

var recordedHeaders = map[string]header{
	"wire-01-edge-to-rdv.jxm":        {e2, goldenPipe("04"), "00000025-0000-1000-819d-aa056c07d784", 200},
	"wire-02-walk.jxm":               {e2, goldenPipe("04"), "00000025-0000-1000-819d-aa056c07d784", 199},
	"wire-03-rdv-to-edge.jxm":        {e2, goldenPipe("04"), "00000025-0000-1000-819d-aa056c07d784", 198},
	"wire-04-origin-rdv-to-edge.jxm": {r1, goldenPipe("04"), "00000004-0000-1000-83df-93fc6b04b347", 200},
	"wire-05-directed.jxm":           {e2, goldenPipe("04"), "00000028-0000-1000-819d-aa056c07d784", 1},
	"adhoc-02-wire.dgram":            {a2, goldenPipe("04"), "00000003-0000-1000-814e-a47bee5944a7", 200},
}

func TestRecordedHeaders(t *testing.T) {
	for name, want := range recordedHeaders {
		m := recording(t, name)
		text := body(t, m, elemHeader)
		var slow header
		decode(t, text, &slow)
		fast, ok := scan(text)
		if !ok {
			t.Errorf("%s: a header as JXSE prints it is not scanned", name)
			continue
		}
		again, ok := lastOf(text, fast).like(text)
		if !ok || slow != want || fast != want || again != want {
			t.Errorf("%s: parsed %+v, scanned %+v and %+v, want %+v", name, slow, fast, again, want)
		}
		printed, err := want.print()
		if err != nil || !bytes.Equal(printed, text) {
			t.Errorf("%s: printed otherwise: %v\n%s", name, err, printed)
		}
		samePrinted(t, string(text), &want)
	}
}

func TestRecordedUnicastMessage(t *testing.T) {
	m := recording(t, "pbp-06-unicast-message.jxm")
	if m.Text("app", "Text") != "hello-unicast" {
		t.Error("the application's element is missing")
	}
	if !strings.Contains(m.Text(message.Platform, "EndpointRouterMsg"), "/"+pipeService+"/"+goldenPipe("01").String()) {
		t.Error("the recording is not addressed as this package registers its inputs")
	}
}

func TestHeaderWithoutSourceOrWithOddID(t *testing.T) {
	for _, h := range []header{
		{Pipe: goldenPipe("04"), MsgID: "1", TTL: 1},
		{e1, goldenPipe("04"), "a <b> & c", 7},
		{e1, goldenPipe("04"), "ä", 7},
	} {
		b, err := h.print()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := scan(b); ok {
			t.Errorf("scanned: %s", b)
		}
		got, err := new(headers).of(message.New(message.XML(message.Platform, elemHeader, b)))
		if err != nil || got != h {
			t.Errorf("%+v %v, want %+v", got, err, h)
		}
	}
	for _, h := range []header{{}, {e1, goldenPipe("04"), "x", 0}, {e1, goldenPipe("04"), strings.Repeat("x", 300), 1}, {Source: e1, MsgID: "x", TTL: 1}} {
		if b, err := h.print(); err == nil {
			t.Errorf("printed: %s", b)
		}
	}
}

func TestFoundIsReadAsJXSEDoes(t *testing.T) {
	for text, want := range map[string]bool{"<Found>true</Found>": true, "<Found> TRUE </Found>": true, "<Found>yes</Found>": false, "<Found></Found>": false, "": true} {
		var b binding
		decode(t, []byte("<jxta:PipeResolver><MsgType>Answer</MsgType><PipeId>"+goldenPipe("01").String()+"</PipeId><Type>JxtaUnicast</Type><Peer>"+
			e1.String()+"</Peer>"+text+"</jxta:PipeResolver>"), &b)
		if b.Found != want {
			t.Errorf("%q is read as %v", text, b.Found)
		}
	}
}

func TestBadBindings(t *testing.T) {
	good := recordedBinding(t, "pbp-03-answer-found.jxm")
	for _, x := range [][2]string{
		{"Answer", "Question"}, {"JxtaUnicast", " "}, {goldenPipe("01").String(), e1.String()}, {"Peer>", "Pear>"}, {"MsgType>", "M>"},
		{"jxta:PipeResolver", "jxta:PipeDissolver"},
	} {
		text := strings.ReplaceAll(good, x[0], x[1])
		var b binding
		if err := xmldoc.Unmarshal([]byte(text), &b); err == nil {
			t.Errorf("%q for %q is read", x[1], x[0])
		}
	}
}

func TestCutDocuments(t *testing.T) {
	for name := range bindings {
		text := strings.TrimSpace(recordedBinding(t, name))
		for i := range len(text) {
			if xmldoc.Unmarshal([]byte(text[:i]), new(binding)) == nil {
				t.Fatalf("%s: read although cut at %d", name, i)
			}
		}
	}
	text := strings.TrimSpace(recordedPush(t, "srdi-06-pipe-add.jxm"))
	for i := range len(text) {
		if xmldoc.Unmarshal([]byte(text[:i]), new(srdi.Push)) == nil {
			t.Fatalf("push read although cut at %d", i)
		}
	}
	head := bytes.TrimSpace(body(t, recording(t, "wire-01-edge-to-rdv.jxm"), elemHeader))
	for i := range head {
		if h, err := new(headers).of(message.New(message.XML(message.Platform, elemHeader, head[:i]))); err == nil {
			t.Fatalf("header read although cut at %d: %+v", i, h)
		}
	}
}

func FuzzBinding(f *testing.F) {
	for name := range bindings {
		f.Add(recordedBinding(f, name))
	}
	f.Fuzz(func(t *testing.T, text string) {
		var b, again binding
		if xmldoc.Unmarshal([]byte(text), &b) != nil {
			return
		}
		doc, err := xmldoc.Marshal(&b)
		if err != nil {
			return // such as a text that XML cannot carry
		}
		decode(t, doc, &again)
		if d := cmp.Diff(b, again, texts); d != "" {
			t.Error(d)
		}
	})
}

func FuzzPush(f *testing.F) {
	for _, name := range []string{"srdi-06-pipe-add.jxm", "srdi-07-pipe-remove.jxm"} {
		f.Add(recordedPush(f, name))
	}
	f.Fuzz(func(t *testing.T, text string) {
		var p, again srdi.Push
		if xmldoc.Unmarshal([]byte(text), &p) != nil {
			return
		}
		doc, err := xmldoc.Marshal(&p)
		if err != nil {
			return
		}
		decode(t, doc, &again)
		if d := cmp.Diff(p, again, texts); d != "" {
			t.Error(d)
		}
	})
}

// The quick way of reading a header must see what the long one sees.
func FuzzHeader(f *testing.F) {
	for name := range recordedHeaders {
		doc := body(f, recording(f, name), elemHeader)
		f.Add(doc)
		if h, ok := scan(doc); ok {
			if doc, ok := h.compact(); ok {
				f.Add(doc)
			}
		}
	}
	f.Add([]byte("\x01\x05\x04ab"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, ok := readCompact(b); ok {
			if doc, ok := h.compact(); ok {
				if again, ok := readCompact(doc); !ok || again != h {
					t.Fatalf("%+v made short and read: %+v", h, again)
				}
			}
		}
		if fast, ok := scan(b); ok {
			var slow header
			if err := xmldoc.Unmarshal(b, &slow); err != nil {
				t.Fatalf("scanned, but: %v", err)
			}
			if slow.TTL = min(slow.TTL, wireTTL); slow != fast {
				t.Fatalf("scanned %+v, parsed %+v", fast, slow)
			}
		}
		var r headers
		h, err := r.of(message.New(message.XML(message.Platform, elemHeader, b)))
		if err != nil {
			return
		}
		doc, err := h.print()
		if err != nil {
			return
		}
		again, err := r.of(message.New(message.XML(message.Platform, elemHeader, doc)))
		if err != nil || again != h {
			t.Fatalf("%+v printed and read: %+v %v", h, again, err)
		}
	})
}
