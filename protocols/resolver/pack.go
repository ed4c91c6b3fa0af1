package resolver

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"io"
	"sync"

	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// indexBounds are those of the envelope; what is in it is one text.
var indexBounds = xmldoc.Bounds{Octets: MaxIndex}

// indexMessage prints an index message, compressed unless readers would not take
// it for that.
func (s *Service) indexMessage(x *Index) (*message.Message, error) {
	doc, err := indexBounds.Marshal(x)
	if err != nil {
		return nil, err
	}
	packed, err := pack(doc)
	if err != nil {
		return nil, err
	}
	if len(doc) > limitFor(len(packed)) {
		// So repetitive that it would be taken for an attack.
		return message.New(message.XML(message.Platform, s.param+"Srdi", doc)), nil
	}
	return message.New(message.Element{Namespace: message.Platform, Name: s.param + "Srdi", Type: message.TypeGzip, Body: packed}), nil
}

// pack writes a document as gzip: as it is if it is small, else compressed.
func pack(doc []byte) ([]byte, error) {
	if len(doc) <= packFrom {
		return stored(doc), nil
	}
	var b bytes.Buffer
	w := packers.Get().(*gzip.Writer)
	defer packers.Put(w)
	w.Reset(&b)
	if _, err := w.Write(doc); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// packers keeps compressors, each of which takes most of a megabyte.
var packers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// Of the gzip form, RFC 1952, and of what is not compressed in it, RFC 1951
// section 3.2.4.
const (
	gzipHeader  = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" // deflate, no flags, no time, unknown system
	storedLast  = 1                                          // the only block, not compressed
	storedFrame = len(gzipHeader) + 1 + 2 + 2 + 4 + 4        // kind, length and its complement, checksum, length
)

// stored writes a document of at most 65,535 octets as gzip without compressing
// it.
func stored(doc []byte) []byte {
	b := append(make([]byte, 0, storedFrame+len(doc)), gzipHeader...)
	b = append(b, storedLast)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(doc)))
	b = binary.LittleEndian.AppendUint16(b, ^uint16(len(doc)))
	b = append(b, doc...)
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(doc))
	return binary.LittleEndian.AppendUint32(b, uint32(len(doc)))
}

// limitFor is how large a compressed index message of that size may become.
func limitFor(size int) int { return min(MaxIndex, maxRatio*max(size, 1024)) }

// unpackers keeps decompressors, each of which takes 40 KiB.
var unpackers = sync.Pool{New: func() any { return new(gzip.Reader) }}

// unpack undoes gzip within bounds.
func unpack(b []byte) ([]byte, error) {
	r := unpackers.Get().(*gzip.Reader)
	defer unpackers.Put(r)
	if err := r.Reset(bytes.NewReader(b)); err != nil {
		return nil, err
	}
	limit := limitFor(len(b))
	out, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(out) > limit {
		return nil, errBomb
	}
	return out, nil
}
