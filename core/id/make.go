package id

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"strings"
)

// NewPeer makes a random peer ID of the uuid format in the group, as JXSE 2.5
// does. Such an ID cannot be proven; Juxta peers use [PeerFromKey].
func NewPeer(g Group) Peer { return Peer{random("uuid", g, KindPeer)} }

// PeerFromKey makes the peer ID that only the holder of the key can prove: the
// cbid of the DER form of the public key (SubjectPublicKeyInfo) in the World
// group, as JXSE 2.7 makes it.
func PeerFromKey(spki []byte) Peer {
	sum := sha1.Sum(spki)
	b := WorldGroup.octets()
	copy(b[16:32], sum[:16])
	return Peer{fromOctets("cbid", b[:32], KindPeer)}
}

// Proves reports whether p is the cbid of the key, whatever group it names.
func (p Peer) Proves(spki []byte) bool {
	if !p.Provable() {
		return false
	}
	sum := sha1.Sum(spki)
	b := p.octets()
	return string(b[16:32]) == string(sum[:16])
}

// Provable reports whether the ID has the cbid form, so that a key can prove it.
func (p Peer) Provable() bool { return strings.HasPrefix(p.Unique(), "cbid-") }

// NewGroup makes a random group ID that names its parent, so that the lineage
// shows in the ID. A zero parent leaves it out.
func NewGroup(parent Group) Group {
	var b [32]byte
	fillV4(b[:16])
	n := 16
	if !parent.IsZero() {
		p := parent.octets()
		n += copy(b[16:], p[:16])
	}
	return Group{fromOctets("uuid", b[:n], KindGroup)}
}

// NewPipe makes a random pipe ID in the group, in the format of its ID.
func NewPipe(g Group) Pipe { return Pipe{random(g.format(), g, KindPipe)} }

// PipeFromSeed makes the pipe ID that JXSE derives from the seed, so that peers
// agree on a pipe without telling each other. In groups of the cbid format it is
// [PipeFromHash]; in others, as JXSE 2.5 has it, only the first 16 octets of the
// seed count.
func PipeFromSeed(g Group, seed []byte) Pipe {
	if g.format() == "cbid" {
		return PipeFromHash(g, seed)
	}
	b := g.octets()
	clear(b[16:])
	copy(b[16:32], seed)
	v4x(b[16:32])
	return Pipe{fromOctets("uuid", b[:32], KindPipe)}
}

// PipeFromHash makes the pipe ID of the cbid format that JXSE derives from the
// hash of the seed: every release in groups of that format, and JXSE 2.7 also in
// the well-known groups, where JXSE 2.5 derives another one, [PipeFromSeed].
func PipeFromHash(g Group, seed []byte) Pipe {
	sum := sha1.Sum(seed)
	b := g.octets()
	clear(b[16:])
	copy(b[16:32], sum[:])
	v4(b[16:32])
	return Pipe{fromOctets("cbid", b[:32], KindPipe)}
}

// PeerFromSeed makes the peer ID that JXSE 2.5 derives from the seed: in groups
// of the cbid format from its hash, in others from its first 16 octets. It serves
// tests and simulations, where IDs must repeat.
func PeerFromSeed(g Group, seed []byte) Peer {
	b := g.octets()
	clear(b[16:])
	if g.format() == "cbid" {
		sum := sha1.Sum(seed)
		copy(b[16:32], sum[:])
	} else {
		copy(b[16:32], seed)
		v4(b[16:32])
	}
	return Peer{fromOctets(g.format(), b[:32], KindPeer)}
}

// GroupFromSeed makes the uuid group ID that JXSE 2.5 derives from the first 16
// octets of the seed: the usual way to name a private network after a secret
// phrase. A zero parent leaves it out.
func GroupFromSeed(parent Group, seed []byte) Group {
	var b [32]byte
	copy(b[:16], seed)
	v4x(b[:16])
	n := 16
	if !parent.IsZero() {
		p := parent.octets()
		n += copy(b[16:], p[:16])
	}
	return Group{fromOctets("uuid", b[:n], KindGroup)}
}

// NewModuleClass makes a random module class ID.
func NewModuleClass() ModuleClass {
	var b [16]byte
	fillV4(b[:])
	return ModuleClass{fromOctets("uuid", b[:], KindModuleClass)}
}

// NewModuleRole makes a random ID of the same class in another role, for groups
// that have several services of one class.
func NewModuleRole(c ModuleClass) ModuleClass {
	b := c.octets()
	clear(b[16:])
	fillV4(b[16:32])
	return ModuleClass{fromOctets(c.format(), b[:32], KindModuleClass)}
}

// NewModuleSpec makes a random spec ID of the class.
func NewModuleSpec(c ModuleClass) ModuleSpec {
	b := c.octets()
	clear(b[16:])
	fillV4(b[16:32])
	return ModuleSpec{fromOctets(c.format(), b[:32], KindModuleSpec)}
}

// NewUUID returns a random version 4 UUID in its usual text form of 36 characters.
func NewUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	text := make([]byte, 0, 36)
	for i, part := range [...][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:]} {
		if i > 0 {
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, part)
	}
	return string(text)
}

func random(format string, g Group, k Kind) ID {
	b := g.octets()
	clear(b[16:])
	fillV4(b[16:32])
	return fromOctets(format, b[:32], k)
}

// fillV4 fills b with chance and marks it the way JXSE marks its random UUIDs.
func fillV4(b []byte) {
	_, _ = rand.Read(b) // never fails, see crypto/rand
	v4(b)
}

func v4(b []byte) {
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	b[10] |= 0x80
}

// v4x is the slip of JXSE that treats octet 10 like octet 8; seeded IDs depend on it.
func v4x(b []byte) {
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	b[10] = b[10]&0x3f | 0x80
}
