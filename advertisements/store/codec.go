package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
)

// A record on disk. Its key is its place in the store's order, 8 octets, most
// significant first. Its value, numbers least significant first:
//
//	4  CRC-32C of the key and of all that follows
//	1  layout, now 1
//	1  kind
//	1  flags: 1 quiet
//	8  end of life in ms since 1970
//	8  expiration in ns
//	   key, origin (URN or empty), number of fields, name and value of each,
//	   document; texts with their length before them, lengths and numbers as uvarint
const (
	layout    = 1
	keySize   = 8
	crcSize   = 4
	fixedSize = 3 + 8 + 8

	flagQuiet = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errDamagedRecord = errors.New("damaged record")

func diskKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// appendRecord appends the value of a record on disk.
func appendRecord(b []byte, o *op) []byte {
	e := o.e
	start := len(b)
	b = append(b, 0, 0, 0, 0, layout, byte(e.kind), 0)
	if o.quiet {
		b[len(b)-1] |= flagQuiet
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(o.end))
	b = binary.LittleEndian.AppendUint64(b, uint64(o.exp))
	b = appendText(b, e.key)
	b = appendText(b, e.origin.String())
	b = binary.AppendUvarint(b, uint64(len(e.fields)))
	for _, f := range e.fields {
		b = appendText(b, f.Name)
		b = appendText(b, f.Value)
	}
	b = binary.AppendUvarint(b, uint64(len(e.document)))
	b = append(b, e.document...)
	binary.LittleEndian.PutUint32(b[start:], checksum(diskKey(o.seq), b[start+crcSize:]))
	return b
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func checksum(key, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body)
}

// readRecord reads a value from disk. The document of the result lies in value.
func readRecord(key, value []byte) (r Record, end int64, err error) {
	if len(key) != keySize || len(value) < crcSize {
		return Record{}, 0, fmt.Errorf("store: %w: %d octets", errDamagedRecord, len(value))
	}
	if checksum(key, value[crcSize:]) != binary.LittleEndian.Uint32(value) {
		return Record{}, 0, fmt.Errorf("store: %w: checksum", errDamagedRecord)
	}
	return readBody(value[crcSize:])
}

// readBody reads what follows the checksum.
func readBody(b []byte) (r Record, end int64, err error) {
	if len(b) < fixedSize || b[0] != layout {
		return Record{}, 0, fmt.Errorf("store: %w: layout", errDamagedRecord)
	}
	r.Kind = advertisements.Kind(b[1])
	r.Quiet = b[2]&flagQuiet != 0
	end = int64(binary.LittleEndian.Uint64(b[3:]))
	r.Expiration = time.Duration(binary.LittleEndian.Uint64(b[11:]))
	d := reader{b: b[fixedSize:]}
	r.Key = string(d.bytes(MaxKey))
	origin := string(d.bytes(id.MaxText))
	n := d.number(MaxFields)
	for range n {
		name := string(d.bytes(MaxName))
		r.Fields = append(r.Fields, advertisements.Field{Name: name, Value: string(d.bytes(MaxValue))})
	}
	r.Document = d.bytes(MaxDocument)
	switch {
	case d.bad || len(d.b) != 0:
		return Record{}, 0, fmt.Errorf("store: %w: length", errDamagedRecord)
	case r.Kind >= kinds || r.Key == "" || r.Expiration < 0:
		return Record{}, 0, fmt.Errorf("store: %w: value", errDamagedRecord)
	}
	if origin != "" {
		if r.Origin, err = id.ParsePeer(origin); err != nil {
			return Record{}, 0, fmt.Errorf("store: %w: %w", errDamagedRecord, err)
		}
	}
	r.Lifetime = time.UnixMilli(end)
	return r, end, nil
}

// reader takes texts from the front of b; after bad it gives nothing.
type reader struct {
	b   []byte
	bad bool
}

func (d *reader) number(most uint64) uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 || n > most {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *reader) bytes(most uint64) []byte {
	n := d.number(most)
	if n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return nil
	}
	var text []byte
	text, d.b = d.b[:n], d.b[n:]
	return text
}
