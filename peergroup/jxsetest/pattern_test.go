package jxsetest_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
)

// pattern yields the octets of a stream as the driver makes them: the words of a
// xorshift generator, little endian.
type pattern struct {
	state uint64
	word  [8]byte
	used  int
	left  int64
}

// newPattern begins the pattern of that seed; it ends after so many octets.
func newPattern(seed uint64, octets int64) *pattern {
	return &pattern{state: seed*0x9E3779B97F4A7C15 + 1, used: 8, left: octets}
}

func (p *pattern) next() uint64 {
	p.state ^= p.state << 13
	p.state ^= p.state >> 7
	p.state ^= p.state << 17
	return p.state
}

// Read implements [io.Reader].
func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), p.left)]
	p.left -= int64(len(b))
	n := len(b)
	for p.used < 8 && len(b) > 0 {
		b[0] = p.word[p.used]
		p.used++
		b = b[1:]
	}
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, p.next())
	}
	if len(b) > 0 {
		binary.LittleEndian.PutUint64(p.word[:], p.next())
		p.used = copy(b, p.word[:])
	}
	return n, nil
}

// patternHash is the SHA-256 of a pattern, as the driver prints it.
func patternHash(seed uint64, octets int64) string {
	h := sha256.New()
	_, _ = io.Copy(h, newPattern(seed, octets))
	return hex.EncodeToString(h.Sum(nil))
}
