package identity

import (
	"bytes"
	"crypto/sha256"
	"strings"

	"golang.org/x/crypto/scrypt"
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
