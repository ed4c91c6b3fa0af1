package identity

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"

	"golang.org/x/crypto/scrypt"

	"github.com/juxta-p2p/juxta/core/id"
)

const (
	// PhraseWords is the number of words in a [Phrase], of 8 bits each.
	PhraseWords = 8

	phraseContext = "juxta/phrase 1\x00"
)

// Phrase returns eight words, such as "amber canoe gecko …", that two people read to
// each other to learn whether their peers mean each other, and nobody sits between
// them: a and b are the public keys (SPKI) of the two peers, in any order, and each of
// the two takes the own key and the one that his peer has for the other.
//
// It has 64 bits. Whoever wants to sit in between must find two keys of his own by
// which both people hear the same words, for which he has to try some 2^32 keys; the
// words are made with scrypt, so that each try takes 16 MiB and a fifth of a second,
// all in all thirty years of a processor core for one pair of peers. That a stranger
// who cannot choose hits the words by chance is one in 2^64. Words that differ in one
// place differ: there is no "nearly".
//
// [Fingerprint] is for one key alone, in print. Phrase takes as long as a try.
func Phrase(a, b []byte) string {
	x, y := sha256.Sum256(a), sha256.Sum256(b)
	if bytes.Compare(x[:], y[:]) > 0 {
		x, y = y, x
	}
	sum, err := scrypt.Key(append(x[:], y[:]...), []byte(phraseContext), scryptN, scryptR, scryptP, PhraseWords)
	if err != nil {
		return "" // unreachable: the parameters are right
	}
	list := words()
	said := make([]string, len(sum))
	for i, n := range sum {
		said[i] = list[n]
	}
	return strings.Join(said, " ")
}

// PeerPhrase is [Phrase] for two peers of which only the IDs are at hand. An ID is made
// of 160 bits of the hash of its key, so that it stands for the key; the words are
// others than those of the keys themselves, so both people must compare the same kind.
// The error wraps [ErrUnprovable] if an ID is not made of a key.
func PeerPhrase(a, b id.Peer) (string, error) {
	for _, p := range []id.Peer{a, b} {
		if !p.Provable() {
			return "", fmt.Errorf("identity: %w: %s", ErrUnprovable, p)
		}
	}
	return Phrase([]byte(a.String()), []byte(b.String())), nil
}
