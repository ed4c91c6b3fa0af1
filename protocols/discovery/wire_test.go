package discovery

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/resolver/srdi"
)

// The documents of the index.
type (
	push  = srdi.Push
	entry = srdi.Entry
)

// recording is the discovery document of a message recorded from JXSE 2.5.
type recording struct {
	query *resolver.RawQuery
	resp  *resolver.RawResponse
	index *resolver.Index
	body  string
}

// recorded reads a message of testdata.
func recorded(tb testing.TB, name string) recording {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	msg, err := message.Decode(b)
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	var r recording
	for e := range msg.All() {
		body := e.Body
		if message.BaseType(e.Type) == message.TypeGzip {
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				tb.Fatal(err)
			}
			if body, err = io.ReadAll(z); err != nil {
				tb.Fatal(err)
			}
		}
		var d xmldoc.Document
		switch {
		case strings.HasSuffix(e.Name, "ORes"):
			r.query = &resolver.RawQuery{}
			d = r.query
		case strings.HasSuffix(e.Name, "IRes"):
			r.resp = &resolver.RawResponse{}
			d = r.resp
		case strings.HasSuffix(e.Name, "Srdi"):
			r.index = &resolver.Index{}
			d = r.index
		default:
			continue
		}
		if err := xmldoc.Unmarshal(body, d); err != nil {
			tb.Fatalf("%s: %v", name, err)
		}
	}
	switch {
	case r.query != nil:
		r.body = r.query.Body
	case r.resp != nil:
		r.body = r.resp.Body
	case r.index != nil:
		r.body = r.index.Payload
	default:
		tb.Fatalf("%s: no resolver element", name)
	}
	return r
}

func recordings(tb testing.TB, pattern string) []string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(files) == 0 {
		tb.Fatalf("no recordings %s: %v", pattern, err)
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	return files
}

const (
	recordedE1 = "urn:jxta:uuid-59616261646162614E50472050325033E1E1E1E1E1E14E1EA1E1E1E1E1E1E1E103"
	golden     = "urn:jxta:uuid-59616261646162614E504720503250330A0A0A0A0A0A4A0A8A0A0A0A0A0A0A0104"
)

func TestQueriesOfJavaPeers(t *testing.T) {
	for file, want := range map[string]query{
		"prp-01-query-propagated.jxm":       {Kind: advertisements.Advs, Threshold: 5, Attr: "Name", Value: "GoldenPipe"},
		"prp-03-query-forwarded.jxm":        {Kind: advertisements.Advs, Threshold: 5, Attr: "Name", Value: "GoldenPipe"},
		"pdp-01-wildcard-query.jxm":         {Kind: advertisements.Advs, Threshold: 5, Attr: "Name", Value: "Gold*"},
		"pdp-03-peer-query-threshold0.jxm":  {Kind: advertisements.Peers},
		"pdp-08-lcdht-query-in.jxm":         {Kind: advertisements.Advs, Threshold: 5, Attr: "Name", Value: "Alpha"},
		"pdp-09-lcdht-query-to-replica.jxm": {Kind: advertisements.Advs, Threshold: 5, Attr: "Name", Value: "Alpha"},
		"pdp-10-lcdht-query-to-holder.jxm":  {Kind: advertisements.Advs, Threshold: 5, Attr: "Name", Value: "Alpha"},
	} {
		r := recorded(t, file)
		if r.query.Handler != handler {
			t.Errorf("%s: handler %q", file, r.query.Handler)
		}
		var q query
		if err := xmldoc.Unmarshal([]byte(r.body), &q); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if q != want {
			t.Errorf("%s: %+v, want %+v", file, q, want)
		}
		reprint(t, file, r.body, &q)
	}
}

func TestResponsesOfJavaPeers(t *testing.T) {
	for file, want := range map[string]struct {
		id          int32
		kind        advertisements.Kind
		attr, value string
		n           int
		expiration  int64
		adv         string // the first result
	}{
		"prp-04-response.jxm":                  {4, advertisements.Advs, "Name", "GoldenPipe", 1, 7200000, golden},
		"pdp-02-response-wildcard.jxm":         {5, advertisements.Advs, "Name", "Gold*", 1, 7200000, golden},
		"pdp-04-peer-response-threshold0.jxm":  {9, advertisements.Peers, "", "", 1, 7200000, "R2"},
		"pdp-05-peer-response-any.jxm":         {7, advertisements.Peers, "", "", 1, 7200000, "R2"},
		"pdp-06-remote-publish-propagated.jxm": {0, advertisements.Advs, "", "", 1, 60000, strings.Replace(golden, "0104", "0204", 1)},
		"pdp-07-remote-publish-directed.jxm":   {0, advertisements.Advs, "", "", 1, 60000, strings.Replace(golden, "0104", "0304", 1)},
		"pdp-11-response-capped.jxm":           {84, advertisements.Advs, "Name", "Poison*", 50, 597976, "Poison00"},
	} {
		r := recorded(t, file)
		var d response
		if err := xmldoc.Unmarshal([]byte(r.body), &d); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if r.resp.ID != want.id || d.Kind != want.kind || d.Attr != want.attr || d.Value != want.value || len(d.Results) != want.n {
			t.Errorf("%s: query %d, %v %q=%q, %d results", file, r.resp.ID, d.Kind, d.Attr, d.Value, len(d.Results))
			continue
		}
		if d.Results[0].Expiration != want.expiration {
			t.Errorf("%s: expiration %d", file, d.Results[0].Expiration)
		}
		for i, x := range d.Results {
			adv, err := advertisements.Standard().Parse([]byte(x.Document))
			if err != nil {
				t.Errorf("%s: result %d: %v", file, i, err)
				continue
			}
			got := ""
			switch a := adv.(type) {
			case *advertisements.Pipe:
				if got = a.ID.String(); strings.HasPrefix(a.Name, "Poison") {
					got = a.Name
				}
			case *advertisements.Peer:
				got = a.Name
			}
			if i == 0 && got != want.adv {
				t.Errorf("%s: first result is %q, want %q", file, got, want.adv)
			}
		}
		reprint(t, file, r.body, &d)
	}
}

func TestPushesOfJavaPeers(t *testing.T) {
	type summary struct {
		primary string
		ttl     int64
		entries string
	}
	for file, want := range map[string]summary{
		"srdi-01-initial-peers.jxm":   {"Peers", 1, "Name=E1 PID=" + recordedE1},
		"srdi-02-initial-adv.jxm":     {"Adv", 1, "MSID MSID DstPID"},
		"srdi-03-delta-adv.jxm":       {"Adv", 1, "Id=" + golden + " Name=GoldenPipe"},
		"srdi-04-delete.jxm":          {"Adv", 1, "DstPID DstPID Name=Alpha:0 Id:0"},
		"srdi-05-replica.jxm":         {"Adv", 0, "MSID MSID DstPID"},
		"srdi-06-pipe-add.jxm":        {"JxtaUnicast", 1, "Id=" + golden},
		"srdi-07-pipe-remove.jxm":     {"JxtaUnicast", 1, "Id:0"},
		"srdi-08-with-credential.jxm": {"Adv", 1, "MSID MSID"},
	} {
		r := recorded(t, file)
		var p push
		if err := xmldoc.Unmarshal([]byte(r.body), &p); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		var all []string
		for i, e := range p.Entries {
			s := e.Name
			if strings.Contains(strings.Split(want.entries, " ")[min(i, strings.Count(want.entries, " "))], "=") {
				s += "=" + e.Value
			}
			if e.Millis == 0 {
				s += ":0"
			}
			all = append(all, s)
		}
		if got := (summary{p.Primary, p.TTL, strings.Join(all, " ")}); got != want {
			t.Errorf("%s: %+v, want %+v", file, got, want)
		}
		if file != "srdi-07-pipe-remove.jxm" && p.Holder.String() != recordedE1 {
			t.Errorf("%s: holder %v", file, p.Holder)
		}
		reprint(t, file, r.body, &p)
	}
}

// reprint checks that what was read prints as it came; JXSE changes the order
// of attributes from one message to the next.
func reprint(t *testing.T, file, want string, d xmldoc.Document) {
	t.Helper()
	b, err := xmldoc.Marshal(d)
	if err != nil {
		t.Errorf("%s: %v", file, err)
		return
	}
	if got := ordered(string(b)); got != ordered(want) {
		t.Errorf("%s: printed\n%s\nrecorded\n%s", file, got, ordered(want))
	}
}

var tag = regexp.MustCompile(`<[\w:]+( [\w:]+="[^"]*")+>`)

// ordered sorts the attributes of each element and trims the text.
func ordered(doc string) string {
	return tag.ReplaceAllStringFunc(strings.TrimSpace(doc), func(s string) string {
		parts := strings.Split(strings.TrimSuffix(s, ">"), `" `)
		name, first, _ := strings.Cut(parts[0], " ")
		parts[0] = first
		for i := range parts {
			parts[i] = strings.TrimSuffix(parts[i], `"`) + `"`
		}
		slices.Sort(parts)
		return name + " " + strings.Join(parts, " ") + ">"
	})
}

// The order of attributes is all that the comparison may forgive.
func TestOrderedStillTellsApart(t *testing.T) {
	a := `<E SKey="Id" Expiration="0">`
	if ordered(a) != ordered(`<E Expiration="0" SKey="Id">`) {
		t.Error("order of attributes counts")
	}
	for _, b := range []string{`<E SKey="Id" Expiration="1">`, `<E SKey="Id">`, `<F SKey="Id" Expiration="0">`} {
		if ordered(a) == ordered(b) {
			t.Errorf("%s is taken for %s", a, b)
		}
	}
}

func TestDocumentRules(t *testing.T) {
	const pad = `<?xml version="1.0"?>`
	ok := func(doc string, d xmldoc.Document) {
		t.Helper()
		if err := xmldoc.Unmarshal([]byte(pad+doc), d); err != nil {
			t.Errorf("%s: %v", doc, err)
		}
	}
	bad := func(doc string, d xmldoc.Document) {
		t.Helper()
		if err := xmldoc.Unmarshal([]byte(pad+doc), d); err == nil {
			t.Errorf("%s was read as %+v", doc, d)
		}
	}
	q := func(inner string) string { return "<jxta:DiscoveryQuery>" + inner + "</jxta:DiscoveryQuery>" }
	ok(q("<Threshold> 9 </Threshold>\n<Type>2</Type>"), &query{})
	ok(q("<Type>0</Type>"), &query{})
	ok(q("<Type>2</Type><Threshold>1</Threshold><Attr>Name</Attr>"), &query{})
	ok(q("<Type>2</Type><Threshold>1</Threshold><PeerAdv>any</PeerAdv><Future/>"), &query{})
	bad(q("<Threshold>1</Threshold>"), &query{})
	bad(q("<Type>3</Type><Threshold>1</Threshold>"), &query{})
	bad(q("<Type>-1</Type><Threshold>1</Threshold>"), &query{})
	bad(q("<Type>2</Type><Threshold>0</Threshold>"), &query{})
	bad(q("<Type>1</Type>"), &query{})
	bad(q("<Type>0</Type><Threshold>-1</Threshold>"), &query{})
	bad(q("<Type>2</Type><Threshold>many</Threshold>"), &query{})
	bad(q("<Type>2</Type><Threshold>1</Threshold><Value>x</Value>"), &query{})
	bad("<jxta:DiscoveryResponse><Type>2</Type></jxta:DiscoveryResponse>", &query{})

	r := func(inner string) string {
		return "<jxta:DiscoveryResponse><Type>2</Type>" + inner + "</jxta:DiscoveryResponse>"
	}
	d := response{}
	ok(r(`<Response>a</Response><Response Expiration="-5">b</Response><Response Expiration="7"> </Response>`), &d)
	if want := []result{{"a", 7200000}, {"b", -5}}; !slices.Equal(d.Results, want) {
		t.Errorf("read %v, want %v", d.Results, want)
	}
	ok(r("<Count>77</Count>"), &response{})
	bad(r(`<Response Expiration="soon">a</Response>`), &response{})
	bad(r(strings.Repeat("<Response>a</Response>", maxResults+1)), &response{})

	g := func(inner string) string {
		return "<jxta:GenSRDI><PID>" + recordedE1 + "</PID>" + inner + "</jxta:GenSRDI>"
	}
	p := push{}
	ok(g(`<PKey>Adv</PKey><Entry>x</Entry><Entry SKey="Id" Expiration="0">y</Entry><Entry SKey="Id" Expiration="0"/>`), &p)
	if want := []entry{{Name: "NA", Value: "x", Millis: -1}, {Name: "Id", Value: "y"}}; !slices.Equal(p.Entries, want) || p.TTL != 0 {
		t.Errorf("read %v, want %v", p, want)
	}
	bad(g(""), &push{})
	bad(`<jxta:GenSRDI><PKey>Adv</PKey></jxta:GenSRDI>`, &push{})
	bad(g(`<PKey>Adv</PKey><Entry SKey="Id" Expiration="1e9">y</Entry>`), &push{})
	bad(g(`<PKey>Adv</PKey><ttl>x</ttl>`), &push{})
}

// documents of the three kinds, for each recording.
func documents(tb testing.TB) (all []string) {
	tb.Helper()
	for _, f := range recordings(tb, "*.jxm") {
		if strings.Contains(f, "02-query-walked") {
			continue
		}
		all = append(all, recorded(tb, f).body)
	}
	return all
}

// Every document cut anywhere is refused, and nothing panics.
func TestCutDocuments(t *testing.T) {
	for _, file := range []string{
		"pdp-01-wildcard-query.jxm", "pdp-02-response-wildcard.jxm", "pdp-06-remote-publish-propagated.jxm", "srdi-04-delete.jxm",
	} {
		doc := recorded(t, file).body
		end := strings.LastIndexByte(doc, '>')
		for i := 0; i < end; i++ {
			for _, d := range []xmldoc.Document{&query{}, &response{}, &push{}} {
				if err := xmldoc.Unmarshal([]byte(doc[:i]), d); err == nil {
					t.Fatalf("read %T from %d octets of\n%s", d, i, doc)
				}
			}
		}
	}
}

// What can be read and written again is read as the same.
func FuzzDocuments(f *testing.F) {
	for _, doc := range documents(f) {
		f.Add([]byte(doc))
	}
	f.Add([]byte(`<jxta:GenSRDI><PID>` + recordedE1 + `</PID><PKey>Adv</PKey><Entry>x</Entry></jxta:GenSRDI>`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		for _, make := range []func() xmldoc.Document{
			func() xmldoc.Document { return &query{} },
			func() xmldoc.Document { return &response{} },
			func() xmldoc.Document { return &push{} },
		} {
			d := make()
			if xmldoc.Unmarshal(doc, d) != nil {
				continue
			}
			b, err := xmldoc.Marshal(d)
			if err != nil {
				continue // what may be read may be too large, or unfit, to be written
			}
			again := make()
			if err := xmldoc.Unmarshal(b, again); err != nil {
				t.Fatalf("%T printed as %q: %v", d, b, err)
			}
			if got, want := fmt.Sprintf("%+v", again), fmt.Sprintf("%+v", d); got != want {
				t.Fatalf("read again as\n%s\nwas\n%s", got, want)
			}
		}
	})
}
