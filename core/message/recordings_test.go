package message_test

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// recording is one message of a foreign peer, freed of what its transport put
// around it.
type recording struct {
	name   string
	octets []byte            // the message and, from JXSE 2.7, its trailer
	fields map[string]string // by field name without the "message." before it; nil if not listed
}

// recordings returns the messages of all recorded packages, datagrams, HTTP
// bodies and service conversations, without those made by hand.
func recordings(t testing.TB) []recording {
	t.Helper()
	var all []recording
	for _, file := range glob(t, "testdata/transport/*.bin") {
		name := strings.TrimSuffix(filepath.Base(file), ".bin")
		b := read(t, file)
		switch {
		case strings.HasPrefix(name, "syn-"), strings.HasPrefix(name, "tcp-welcome-"):
		case strings.HasPrefix(name, "http-"):
			for i, body := range httpBodies(t, b) {
				if !bytes.HasPrefix(body, []byte("jxmg")) {
					continue // a request or answer without a message
				}
				prefix := "message."
				if strings.Contains(name, "poll-response") {
					prefix = fmt.Sprintf("chunk[%d].message.", i)
				}
				all = append(all, recording{fmt.Sprintf("%s[%d]", name, i), body, fields(t, name, prefix)})
			}
		default:
			all = append(all, recording{name, stripPackage(t, b), fields(t, name, "message.")})
		}
	}
	for _, file := range append(glob(t, "testdata/services/*.jxm"), glob(t, "testdata/services/*.dgram")...) {
		all = append(all, recording{name: filepath.Base(file), octets: stripPackage(t, read(t, file))})
	}
	const want = 98 // 16 packages, 2 datagrams, 5 over HTTP, 2 signed ones, 73 of services
	if len(all) != want {
		t.Fatalf("%d recorded messages, want %d", len(all), want)
	}
	return all
}

func glob(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return files
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readJSON(t testing.TB, file string, v any) {
	t.Helper()
	if err := json.Unmarshal(read(t, file), v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// stripPackage removes the magic of a datagram and the headers of a package.
func stripPackage(t testing.TB, b []byte) []byte {
	t.Helper()
	if bytes.HasPrefix(b, []byte("jxmg")) {
		return b
	}
	b = bytes.TrimPrefix(b, []byte("JXTA"))
	for b[0] != 0 {
		b = b[1+int(b[0]):]
		b = b[2+int(binary.BigEndian.Uint16(b)):]
	}
	return b[1:]
}

// httpBodies returns the body of an HTTP message, or its chunks.
func httpBodies(t testing.TB, b []byte) [][]byte {
	t.Helper()
	head, body, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	if !ok {
		t.Fatal("HTTP message without an end of its head")
	}
	if !bytes.Contains(head, []byte("chunked")) {
		return [][]byte{body}
	}
	var chunks [][]byte
	for r := bufio.NewReader(bytes.NewReader(body)); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.ParseUint(strings.TrimSpace(line), 16, 16)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return chunks
		}
		chunk := make([]byte, n+2)
		if _, err := r.Read(chunk); err != nil {
			t.Fatal(err)
		}
		chunks = append(chunks, chunk[:n])
	}
}

// fields returns the listed fields whose names have the prefix, and checks on
// the way that the list covers the whole file.
func fields(t testing.TB, name, prefix string) map[string]string {
	t.Helper()
	var list struct {
		Octets int
		Sha256 string
		Fields []struct {
			Off, Len int
			Name     string
			Value    any
		}
	}
	readJSON(t, "testdata/transport/"+name+".json", &list)
	octets := read(t, "testdata/transport/"+name+".bin")
	if got := fmt.Sprintf("%x", sha256.Sum256(octets)); got != list.Sha256 {
		t.Fatalf("%s.bin has SHA-256 %s, its list says %s", name, got, list.Sha256)
	}
	m, end := map[string]string{}, 0
	for _, f := range list.Fields {
		if f.Off != end {
			t.Fatalf("%s: field %s starts at %d, want %d", name, f.Name, f.Off, end)
		}
		end += f.Len
		value := fmt.Sprint(f.Value)
		if digits, ok := strings.CutPrefix(value, "hex:"); ok {
			digits, _, _ = strings.Cut(digits, "...") // long ones are listed by their start
			value = string(octets[f.Off:end])
			if !strings.HasPrefix(hex.EncodeToString([]byte(value)), digits) {
				t.Fatalf("%s: field %s differs from the file", name, f.Name)
			}
		}
		if rest, ok := strings.CutPrefix(f.Name, prefix); ok {
			m[rest] = value
		} else if strings.HasPrefix(f.Name, "cbjxTrailer.") {
			m[f.Name] = value
		}
	}
	if end != list.Octets {
		t.Fatalf("%s: the fields end at %d, want %d", name, end, list.Octets)
	}
	return m
}

func TestRecordingsDecode(t *testing.T) {
	listed := 0
	for _, rec := range recordings(t) {
		t.Run(rec.name, func(t *testing.T) {
			m, err := message.Decode(rec.octets)
			if err != nil {
				t.Fatal(err)
			}
			if rec.fields == nil {
				return
			}
			listed++
			if want := rec.fields["elementCount"]; strconv.Itoa(m.Len()) != want {
				t.Errorf("%d elements, want %s", m.Len(), want)
			}
			spaces := map[string]string{"0": "", "1": "jxta"}
			for i := 2; rec.fields[fmt.Sprintf("namespace[%d]", i)] != ""; i++ {
				spaces[strconv.Itoa(i)] = rec.fields[fmt.Sprintf("namespace[%d]", i)]
			}
			i := 0
			for e := range m.All() {
				prefix := fmt.Sprintf("element[%d].", i)
				compare(t, rec.fields, prefix, spaces, &e)
				if _, signed := rec.fields[prefix+"sig.name"]; signed != (e.Signature != nil) {
					t.Errorf("element %d: signature element present: %t, want %t", i, e.Signature != nil, signed)
				} else if signed {
					compare(t, rec.fields, prefix+"sig.", spaces, e.Signature)
				}
				i++
			}
			cert, signed := rec.fields["cbjxTrailer.certificate"]
			if signed != (m.Trailer != nil) {
				t.Fatalf("trailer present: %t, want %t", m.Trailer != nil, signed)
			}
			if signed && (string(m.Trailer.Cert) != cert ||
				string(m.Trailer.Source) != rec.fields["cbjxTrailer.source"] ||
				string(m.Trailer.Signature) != rec.fields["cbjxTrailer.signature"]) {
				t.Errorf("trailer differs: %x", m.Trailer)
			}
		})
	}
	if listed < 20 {
		t.Errorf("only %d recordings had a list of fields", listed)
	}
}

func compare(t *testing.T, fields map[string]string, prefix string, spaces map[string]string, e *message.Element) {
	t.Helper()
	for _, c := range [][2]string{
		{"name", e.Name}, {"type", e.Type}, {"content", string(e.Body)},
		{"contentLength", strconv.Itoa(len(e.Body))},
	} {
		if want := fields[prefix+c[0]]; c[1] != want {
			t.Errorf("%s%s is %q, want %q", prefix, c[0], c[1], want)
		}
	}
	if want := spaces[fields[prefix+"namespaceId"]]; e.Namespace != want {
		t.Errorf("%snamespace is %q, want %q", prefix, e.Namespace, want)
	}
}

func TestRecordingsOfServices(t *testing.T) {
	var index []struct {
		File       string
		Namespaces []string
		Elements   []struct {
			NS, Name, Type, SHA1 string
			Length               int
		}
	}
	readJSON(t, "testdata/services/index.json", &index)
	if len(index) < 70 {
		t.Fatalf("the index lists %d messages", len(index))
	}
	for _, want := range index {
		m, err := message.Decode(stripPackage(t, read(t, "testdata/services/"+want.File)))
		if err != nil {
			t.Errorf("%s: %v", want.File, err)
			continue
		}
		if m.Len() != len(want.Elements) {
			t.Errorf("%s: %d elements, want %d", want.File, m.Len(), len(want.Elements))
			continue
		}
		i := 0
		for e := range m.All() {
			w := want.Elements[i]
			sum := fmt.Sprintf("%x", sha1.Sum(e.Body))
			if !e.Is(w.NS, w.Name) || e.Type != w.Type || len(e.Body) != w.Length || sum != w.SHA1 {
				t.Errorf("%s: element %d is %s:%s, %s, %d octets, SHA-1 %s, want %+v",
					want.File, i, e.Namespace, e.Name, e.Type, len(e.Body), sum, w)
			}
			i++
		}
	}
}

func TestRecordingsReencode(t *testing.T) {
	for _, rec := range recordings(t) {
		m, err := message.Decode(rec.octets)
		if err != nil {
			t.Errorf("%s: %v", rec.name, err)
			continue
		}
		got, err := m.MarshalBinary()
		if err != nil {
			t.Errorf("%s: %v", rec.name, err)
		}
		size := m.Size()
		if m.Trailer != nil {
			got = m.Trailer.AppendTo(got)
			size += m.Trailer.Size()
		}
		if !bytes.Equal(got, rec.octets) {
			t.Errorf("%s: encoded again it differs:\n got %q\nwant %q", rec.name, got, rec.octets)
		}
		if size != len(rec.octets) {
			t.Errorf("%s: Size says %d, want %d", rec.name, size, len(rec.octets))
		}
	}
}

// JXSE 2.7 signs every message; the signature must verify over what Decode
// makes of it, and the source must be the cbid of the key that signed.
func TestTrailerVerifies(t *testing.T) {
	found := 0
	for _, rec := range recordings(t) {
		m, err := message.Decode(rec.octets)
		if err != nil || m.Trailer == nil {
			continue
		}
		found++
		cert, err := x509.ParseCertificate(m.Trailer.Cert)
		if err != nil {
			t.Fatalf("%s: %v", rec.name, err)
		}
		if err := verifyTrailer(rec.octets, m.Trailer, cert); err != nil {
			t.Errorf("%s: %v", rec.name, err)
		}
		p, err := id.ParsePeer(string(m.Trailer.Source))
		if err != nil || !p.Proves(cert.RawSubjectPublicKeyInfo) {
			t.Errorf("%s: the key does not prove %q (%v)", rec.name, m.Trailer.Source, err)
		}
		forged := bytes.Clone(rec.octets)
		forged[len(forged)-m.Trailer.Size()-1] ^= 1 // the last octet of the last element
		if m, err := message.Decode(forged); err != nil || verifyTrailer(forged, m.Trailer, cert) == nil {
			t.Errorf("%s: an altered message verifies (%v)", rec.name, err)
		}
	}
	if found != 2 {
		t.Errorf("%d messages with a trailer, want 2", found)
	}
}

func verifyTrailer(octets []byte, tr *message.Trailer, cert *x509.Certificate) error {
	if tr == nil {
		return errors.New("no trailer")
	}
	h := sha256.New()
	h.Write(octets[:len(octets)-tr.Size()])
	h.Write(tr.Cert)
	h.Write(tr.Source)
	return rsa.VerifyPKCS1v15(cert.PublicKey.(*rsa.PublicKey), crypto.SHA256, h.Sum(nil), tr.Signature)
}

// A message cut anywhere is an error; one whose trailer is cut is a message
// without a trailer.
func TestDecodeCut(t *testing.T) {
	for _, rec := range recordings(t) {
		whole, err := message.Decode(rec.octets)
		if err != nil {
			t.Fatalf("%s: %v", rec.name, err)
		}
		end := len(rec.octets)
		if whole.Trailer != nil {
			end -= whole.Trailer.Size()
		}
		for n := range end {
			if m, err := message.Decode(rec.octets[:n]); !errors.Is(err, message.ErrFormat) || m != nil {
				t.Fatalf("%s cut at %d: got %v, %v, want ErrFormat", rec.name, n, m, err)
			}
		}
		for n := end; n < len(rec.octets); n++ {
			m, err := message.Decode(rec.octets[:n])
			if err != nil || m.Len() != whole.Len() || m.Trailer != nil {
				t.Fatalf("%s cut at %d, in the trailer: %v, %v", rec.name, n, m, err)
			}
		}
	}
}

// The packages made by hand, as far as they concern the message in them: what
// concerns their headers is the business of the transports.
func TestSyntheticVerdicts(t *testing.T) {
	var list []struct{ File, Verdict string }
	readJSON(t, "testdata/transport/synthetic.json", &list)
	const refused = -1
	want := map[string]struct {
		elements int
		note     string
	}{
		"syn-ok-minimal.bin":       {3, ""},
		"syn-ok-flag-encoding.bin": {3, ""},
		"syn-ok-flag-unknown.bin":  {3, ""},
		"syn-ok-header-order.bin":  {3, "the transport's matter"},
		"syn-ok-type-params.bin":   {3, "the transport's matter"},
		"syn-ok-short-length.bin":  {3, "the transport's matter"},

		"syn-bad-version1.bin":  {refused, ""},
		"syn-bad-namespace.bin": {refused, ""},

		"syn-bad-header-case.bin":   {3, "the transport's matter"},
		"syn-bad-type.bin":          {3, "the transport's matter"},
		"syn-dead-header-name.bin":  {3, "the transport's matter"},
		"syn-dead-header-block.bin": {3, "the transport's matter"},

		"syn-bad-nested.bin":    {4, "a nested message is decoded when somebody asks, so it cannot harm here"},
		"syn-dead-empty.bin":    {0, "an empty message; the endpoint drops it, since it names no destination"},
		"syn-dead-count0.bin":   {0, "count 0 is read as it stands, and what follows is ignored"},
		"syn-dead-trailing.bin": {3, "octets behind the elements are ignored unless they are a trailer"},
	}
	if len(list) != len(want) {
		t.Errorf("%d packages made by hand, want %d", len(list), len(want))
	}
	for _, syn := range list {
		w, ok := want[syn.File]
		if !ok {
			t.Errorf("%s: no verdict of ours", syn.File)
			continue
		}
		m, err := message.Decode(stripPackage(t, read(t, "testdata/transport/"+syn.File)))
		switch {
		case w.elements == refused && !errors.Is(err, message.ErrFormat):
			t.Errorf("%s: accepted (%v); JXSE 2.5: %s", syn.File, err, syn.Verdict)
		case w.elements == refused:
		case err != nil:
			t.Errorf("%s: %v; JXSE 2.5: %s; %s", syn.File, err, syn.Verdict, w.note)
		case m.Len() != w.elements:
			t.Errorf("%s: %d elements, want %d", syn.File, m.Len(), w.elements)
		case m.Trailer != nil:
			t.Errorf("%s: has a trailer", syn.File)
		}
	}
}
