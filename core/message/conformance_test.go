package message_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/core/message"
)

// TestRecordingsAreComplete: all that was recorded of transports is here as it was
// recorded, with a list of fields that leaves no octet out.
func TestRecordingsAreComplete(t *testing.T) {
	var index []struct {
		File, Kind, SHA256 string
		Octets             int
	}
	readJSON(t, "testdata/transport/index.json", &index)
	var listed, found []string
	kinds := map[string]int{}
	for _, e := range index {
		b := read(t, "testdata/transport/"+e.File)
		if len(b) != e.Octets || fmt.Sprintf("%x", sha256.Sum256(b)) != e.SHA256 {
			t.Errorf("%s is not the file that was recorded", e.File)
		}
		if kinds[e.Kind]++; e.Kind != "synthetic package" {
			fields(t, strings.TrimSuffix(e.File, ".bin"), "")
		}
		listed = append(listed, e.File)
	}
	for _, f := range glob(t, "testdata/transport/*.bin") {
		found = append(found, filepath.Base(f))
	}
	if slices.Sort(listed); !slices.Equal(listed, found) {
		t.Errorf("the index lists %q, there are %q", listed, found)
	}
	want := map[string]int{"welcome": 3, "package": 16, "http": 9, "mcast": 2, "message+cbjx": 2, "synthetic package": 16}
	if fmt.Sprint(kinds) != fmt.Sprint(want) {
		t.Errorf("recordings of each kind: %v, want %v", kinds, want)
	}
}

// TestRecordedHTTP: what JXSE 2.5 says over HTTP is HTTP, with messages of this
// form as bodies and nothing around them.
func TestRecordedHTTP(t *testing.T) {
	const client = "uuid-59616261646162614E50472050325033A000000000004000800080000000000303"
	const relay = "/EndpointService:jxta-NetGroup/uuid-DEADBEEFDEAFBABAFEEDBABE0000000F05"
	for name, want := range map[string]struct{ method, path, query string }{
		"http-ping-request":          {"GET", "/", ""},
		"http-poll-request-plain":    {"GET", "/uuid-", "120000,120000,http://"},
		"http-poll-request-relay":    {"GET", "/" + client, relay + "/connect,3600000,keep,true"},
		"http-post-request":          {"POST", "/", ""},
		"http-post-relay-renew":      {"POST", "/", ""},
		"http-post-relay-disconnect": {"POST", "/", ""},
	} {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(read(t, "testdata/transport/"+name+".bin"))))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r.Method != want.method || !strings.HasPrefix(r.URL.Path, want.path) || !strings.Contains(r.URL.RawQuery, want.query) {
			t.Errorf("%s: %s %s", name, r.Method, r.URL)
		}
		if want.method != "POST" {
			continue
		}
		body, err := io.ReadAll(r.Body)
		if typ := r.Header.Get("Content-Type"); err != nil || typ != message.ContentType {
			t.Errorf("%s: type %q, %v", name, typ, err)
		}
		if m, err := message.Decode(body); err != nil || m.Len() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, want := range map[string]struct {
		body    string
		chunked bool
	}{
		"http-ping-response":       {"uuid-", false},
		"http-post-response":       {"", false},
		"http-poll-response-relay": {"jxmg", true},
	} {
		r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(read(t, "testdata/transport/"+name+".bin"))), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d, %v", name, r.StatusCode, err)
		}
		if got := string(body); !strings.HasPrefix(got, want.body) || (got == "") != (want.body == "") || slices.Contains(r.TransferEncoding, "chunked") != want.chunked {
			t.Errorf("%s: body %.80q, %v", name, got, r.TransferEncoding)
		}
	}
}
