package store

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
)

func codecSamples() []Record {
	return []Record{
		{Kind: advertisements.Peers, Key: "k", Lifetime: Forever()},
		{
			Kind: advertisements.Advs, Key: "uuid-1", Document: []byte("<a/>"), Quiet: true,
			Fields:     []advertisements.Field{{Name: "Name", Value: "chat"}, {Name: "Empty"}},
			Origin:     id.PeerFromSeed(id.NetGroup, []byte("0123456789abcdef")),
			Expiration: 2 * time.Hour, Lifetime: time.UnixMilli(1_700_000_000_000),
		},
	}
}

func encode(r Record, seq uint64) (key, value []byte) {
	e := newEntry(&r, new(shelf), seq)
	return diskKey(seq), appendRecord(nil, &op{seq: seq, e: e, end: millis(r.Lifetime), exp: r.Expiration, quiet: r.Quiet})
}

var sameRecord = cmp.Options{
	cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }),
	cmp.Comparer(func(a, b id.Peer) bool { return a == b }),
	cmp.Comparer(func(a, b []byte) bool { return bytes.Equal(a, b) }),
}

func TestRecordOnDisk(t *testing.T) {
	for i, r := range codecSamples() {
		key, value := encode(r, uint64(i+1))
		got, end, err := readRecord(key, value)
		if err != nil || end != millis(r.Lifetime) {
			t.Fatalf("end %d, %v", end, err)
		}
		if diff := cmp.Diff(r, got, sameRecord); diff != "" {
			t.Errorf("(-written +read)\n%s", diff)
		}
		for n := range value {
			if _, _, err := readRecord(key, value[:n]); err == nil {
				t.Errorf("cut at %d of %d: no error", n, len(value))
			}
			if n > 0 && n < len(value)-crcSize {
				if _, _, err := readBody(value[crcSize : crcSize+n]); err == nil {
					t.Errorf("body cut at %d: no error", n)
				}
			}
			flipped := bytes.Clone(value)
			flipped[n] ^= 1
			if _, _, err := readRecord(key, flipped); err == nil {
				t.Errorf("octet %d changed: no error", n)
			}
		}
		if _, _, err := readRecord(diskKey(99), value); err == nil {
			t.Error("under another key: no error")
		}
		if _, _, err := readRecord(nil, value); err == nil {
			t.Error("without key: no error")
		}
	}
}

// FuzzRecord reads any body, mends nothing, and if a record comes out writes it
// and reads it again.
func FuzzRecord(f *testing.F) {
	for i, r := range codecSamples() {
		_, value := encode(r, uint64(i+1))
		f.Add(value[crcSize:])
	}
	f.Add([]byte{})
	f.Add(append(make([]byte, fixedSize), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1))
	f.Fuzz(func(t *testing.T, body []byte) {
		key := diskKey(1)
		value := binary.LittleEndian.AppendUint32(nil, checksum(key, body))
		r, end, err := readRecord(key, append(value, body...))
		if err != nil {
			return
		}
		if err := check(&r, &Config{MaxDocument: MaxDocument}); err != nil {
			t.Fatalf("read a record that could not be saved: %v", err)
		}
		e := newEntry(&r, new(shelf), 1)
		again, end2, err := readRecord(key, appendRecord(nil, &op{seq: 1, e: e, end: end, exp: r.Expiration, quiet: r.Quiet}))
		if err != nil || end2 != end {
			t.Fatalf("written and read again: %v", err)
		}
		if diff := cmp.Diff(r, again, sameRecord); diff != "" {
			t.Fatalf("(-first +again)\n%s", diff)
		}
	})
}
