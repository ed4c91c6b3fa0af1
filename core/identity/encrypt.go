package identity

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/scrypt"
)

// The algorithms of PKCS #5 (RFC 8018, RFC 7914) that keys are encrypted with.
var (
	oidPBES2      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	oidHMACSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidAES256CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

const (
	keySize  = 32 // of AES-256
	saltSize = 16
)

// work is N of scrypt for new passphrases. It is a variable only so that the tests of
// this package can save time.
var work = scryptN

// encryptedKey is EncryptedPrivateKeyInfo of PKCS #8.
type encryptedKey struct {
	Algorithm struct {
		OID    asn1.ObjectIdentifier
		Params struct{ Derivation, Cipher pkix.AlgorithmIdentifier }
	}
	Data []byte
}

// scryptParams is scrypt-params of RFC 7914.
type scryptParams struct {
	Salt      []byte
	N, R, P   int
	KeyLength int `asn1:"optional"`
}

// pbkdf2Params is PBKDF2-params of RFC 8018 with a salt given.
type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

// encryptKey encrypts the DER of a PKCS #8 key: the key of AES-256 (CBC) is made of
// the passphrase with scrypt, which costs an attacker scryptN·scryptR·128 octets of
// memory for each guess.
func encryptKey(der, passphrase []byte) ([]byte, error) {
	random := make([]byte, saltSize+aes.BlockSize)
	_, _ = rand.Read(random) // never fails
	salt, iv := random[:saltSize], random[saltSize:]
	key, err := scrypt.Key(passphrase, salt, work, scryptR, scryptP, keySize)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	pad := aes.BlockSize - len(der)%aes.BlockSize
	data := append(bytes.Clone(der), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)

	e := encryptedKey{Data: data}
	e.Algorithm.OID = oidPBES2
	d, c := &e.Algorithm.Params.Derivation, &e.Algorithm.Params.Cipher
	d.Algorithm, c.Algorithm = oidScrypt, oidAES256CBC
	if d.Parameters.FullBytes, err = asn1.Marshal(scryptParams{Salt: salt, N: work, R: scryptR, P: scryptP}); err != nil {
		return nil, err
	}
	if c.Parameters.FullBytes, err = asn1.Marshal(iv); err != nil {
		return nil, err
	}
	return asn1.Marshal(e)
}

// envelope is an encrypted key whose outside was read.
type envelope struct {
	derive   func(passphrase []byte) ([]byte, error) // the key of AES
	iv, data []byte
}

// parseEnvelope reads what [encryptKey] writes, and what openssl writes (PBKDF2 with
// HMAC-SHA-256). The error wraps [ErrFormat] if it is none of these or asks for more
// work than the limits allow.
func parseEnvelope(der []byte) (*envelope, error) {
	var e encryptedKey
	rest, err := asn1.Unmarshal(der, &e)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	case len(rest) > 0 || !e.Algorithm.OID.Equal(oidPBES2):
		return nil, fmt.Errorf("%w: not encrypted by PBES2", ErrFormat)
	case !e.Algorithm.Params.Cipher.Algorithm.Equal(oidAES256CBC):
		return nil, fmt.Errorf("%w: not encrypted by AES-256 (CBC)", ErrFormat)
	case len(e.Data) == 0 || len(e.Data)%aes.BlockSize != 0:
		return nil, fmt.Errorf("%w: %d encrypted octets", ErrFormat, len(e.Data))
	}
	v := &envelope{data: e.Data}
	if err := exactly(e.Algorithm.Params.Cipher, &v.iv); err != nil {
		return nil, err
	}
	if len(v.iv) != aes.BlockSize {
		return nil, fmt.Errorf("%w: initial vector of %d octets", ErrFormat, len(v.iv))
	}
	v.derive, err = derivation(e.Algorithm.Params.Derivation)
	return v, err
}

// decrypt returns the DER of the key. The error wraps [ErrPassphrase] if the
// passphrase is another; by chance, one time in 256, another one gives octets that
// are no key.
func (v *envelope) decrypt(passphrase []byte) ([]byte, error) {
	key, err := v.derive(passphrase)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	data := bytes.Clone(v.data)
	cipher.NewCBCDecrypter(block, v.iv).CryptBlocks(data, data)
	pad := int(data[len(data)-1])
	if pad == 0 || pad > aes.BlockSize || !bytes.Equal(data[len(data)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, ErrPassphrase
	}
	return data[:len(data)-pad], nil
}

// derivation reads how the key of AES is made of the passphrase.
func derivation(a pkix.AlgorithmIdentifier) (func(passphrase []byte) ([]byte, error), error) {
	switch {
	case a.Algorithm.Equal(oidScrypt):
		var p scryptParams
		if err := exactly(a, &p); err != nil {
			return nil, err
		}
		if err := checkLength(p.KeyLength, p.Salt); err != nil {
			return nil, err
		}
		if p.N < 2 || p.N&(p.N-1) != 0 || p.N > maxScryptMemory || p.R < 1 || p.R > maxScryptR || p.P < 1 || p.P > maxScryptP ||
			p.N*p.R > maxScryptMemory || p.N*p.R*p.P > maxScryptWork {
			return nil, fmt.Errorf("%w: scrypt with N=%d r=%d p=%d is too much work, or none", ErrFormat, p.N, p.R, p.P)
		}
		return func(passphrase []byte) ([]byte, error) { return scrypt.Key(passphrase, p.Salt, p.N, p.R, p.P, keySize) }, nil
	case a.Algorithm.Equal(oidPBKDF2):
		var p pbkdf2Params
		if err := exactly(a, &p); err != nil {
			return nil, err
		}
		if err := checkLength(p.KeyLength, p.Salt); err != nil {
			return nil, err
		}
		if !p.PRF.Algorithm.Equal(oidHMACSHA256) {
			return nil, fmt.Errorf("%w: PBKDF2 without HMAC-SHA-256", ErrFormat)
		}
		if p.Iterations < 1 || p.Iterations > maxIterations {
			return nil, fmt.Errorf("%w: PBKDF2 of %d iterations", ErrFormat, p.Iterations)
		}
		return func(passphrase []byte) ([]byte, error) {
			return pbkdf2.Key(sha256.New, string(passphrase), p.Salt, p.Iterations, keySize)
		}, nil
	}
	return nil, fmt.Errorf("%w: the passphrase is used neither by scrypt nor by PBKDF2", ErrFormat)
}

// exactly reads the parameters of an algorithm.
func exactly(a pkix.AlgorithmIdentifier, into any) error {
	rest, err := asn1.Unmarshal(a.Parameters.FullBytes, into)
	if err == nil && len(rest) > 0 {
		err = errors.New("something follows the parameters")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return nil
}

func checkLength(length int, salt []byte) error {
	if length != 0 && length != keySize || len(salt) > maxSalt {
		return fmt.Errorf("%w: key of %d octets, salt of %d", ErrFormat, length, len(salt))
	}
	return nil
}
