package http

import (
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/core/endpoint"
)

// FuzzPollQuery: no address of a request makes the reader fail; what it takes for a poll
// is within the limits.
func FuzzPollQuery(f *testing.F) {
	for _, name := range []string{"http-poll-request-plain.bin", "http-poll-request-relay.bin"} {
		line, _, _ := strings.Cut(string(testdata(f, name)), " HTTP")
		path, query, _ := strings.Cut(strings.TrimPrefix(line, "GET "), "?")
		for i := range query {
			f.Add(path, query[:i])
		}
		f.Add(path, query)
	}
	f.Fuzz(func(t *testing.T, path, query string) {
		p, err := parsePoll(path, query)
		if err != nil {
			return
		}
		if p.response < 0 || p.response > answerWait || p.extra < 0 || p.extra > answerWait || p.peer.IsZero() || p.dest.IsZero() {
			t.Errorf("%+v", p)
		}
		if again, err := endpoint.ParseAddress(p.dest.String()); err != nil || again != p.dest {
			t.Errorf("%s does not survive", p.dest)
		}
	})
}

// FuzzTunnelQuery: the same for the requests of tunnels.
func FuzzTunnelQuery(f *testing.F) {
	name := tunnelPath + "00112233445566778899aabbccddeeff"
	for _, q := range []string{"0", "17,end", "0,broken", "5,20000,1", "5,x,1", "-1", ",", "9223372036854775807,99999999999,1"} {
		f.Add(name, q)
	}
	f.Fuzz(func(t *testing.T, path, query string) {
		if q, ok := parseTunnel(path, query); ok && (q.at < 0 || q.wait < 0 || q.wait > tunnelWait || len(q.name) != 32) {
			t.Errorf("%+v", q)
		}
	})
}
