package multicast

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/framing"
)

// recordings are datagrams of JXSE 2.5 peers, by file name.
func recordings(t testing.TB) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, pattern := range []string{"*.bin", "*.dgram"} {
		files, err := filepath.Glob(filepath.Join("testdata", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.Base(f)] = b
		}
	}
	if len(all) != 4 {
		t.Fatalf("%d recordings", len(all))
	}
	return all
}

func TestRecordedDatagrams(t *testing.T) {
	group := New(Config{}).Group()
	for file, b := range recordings(t) {
		body, err := parseDatagram(b)
		if err != nil {
			t.Fatal(file, err)
		}
		m, err := message.Decode(body)
		if err != nil {
			t.Fatal(file, err)
		}
		dst, err := endpoint.ParseAddress(m.Text(message.Platform, "EndpointDestinationAddress"))
		if err != nil || dst.Base() != group {
			t.Errorf("%s is for %v, %v", file, dst, err)
		}
		again, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(file, err)
		}
		if got := appendDatagram(nil, again); !bytes.Equal(got, b) {
			t.Errorf("%s written again differs", file)
		}
		for n := range b {
			if _, err := parseDatagram(b[:n]); err == nil {
				t.Fatalf("%s cut at %d is accepted", file, n)
			}
		}
	}
}

func TestDatagramRules(t *testing.T) {
	whole := appendDatagram(nil, []byte("message"))
	longer := append(slices.Clone(whole), "and more"...)
	if body, err := parseDatagram(longer); err != nil || string(body) != "message" {
		t.Errorf("octets behind the message: %q, %v", body, err)
	}
	claims := slices.Clone(whole)
	binary.BigEndian.PutUint64(claims[len(magic)+framing.HeaderSize-9:], 1<<63)
	for name, b := range map[string][]byte{
		"nothing": nil, "magic alone": []byte(magic), "other magic": append([]byte("JXTB"), whole[4:]...),
		"a length beyond the end": claims,
	} {
		if body, err := parseDatagram(b); err == nil {
			t.Errorf("%s: %q", name, body)
		}
	}
}

func FuzzDatagram(f *testing.F) {
	for _, b := range recordings(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := parseDatagram(b)
		if err != nil {
			return
		}
		if again, err := parseDatagram(appendDatagram(nil, body)); err != nil || !bytes.Equal(again, body) {
			t.Fatal(err)
		}
	})
}

func BenchmarkDatagram(b *testing.B) {
	body := recordings(b)["mcast-datagram-app.bin"][overhead:]
	buf := make([]byte, 0, defaultMaxDatagram)
	b.ReportAllocs()
	for b.Loop() {
		buf = appendDatagram(buf[:0], body)
		if _, err := parseDatagram(buf); err != nil {
			b.Fatal(err)
		}
	}
}
