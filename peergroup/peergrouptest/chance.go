package peergrouptest

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"sync"
)

// digest makes octets of a seed and the purpose they are for.
func digest(seed uint64, purpose string) []byte {
	b := sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, seed), purpose...))
	return b[:]
}

// chance returns a source of choices for one purpose, safe for concurrent use.
func chance(seed uint64, purpose string) *rand.Rand {
	d := digest(seed, "chance of "+purpose)
	return rand.New(&source{pcg: rand.NewPCG(binary.BigEndian.Uint64(d), binary.BigEndian.Uint64(d[8:]))})
}

// source is a source of chance that the services of a peer share.
type source struct {
	mu  sync.Mutex
	pcg *rand.PCG
}

// Uint64 implements [rand.Source].
func (s *source) Uint64() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pcg.Uint64()
}
