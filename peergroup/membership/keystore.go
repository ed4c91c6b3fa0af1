package membership

import (
	"bytes"
	"crypto"
	"crypto/cipher"
	"crypto/des" // the only cipher that JXSE knows for keys
	"crypto/ed25519"
	"crypto/md5" // and what it makes the key of the password with
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Elements of the parameters of a certificate group, jxta:PSEConfig.
const (
	elemRoot        = "RootCert"
	elemCertificate = "Certificate"
	elemIssuer      = "Issuer"
	elemKey         = "EncryptedPrivateKey"
	attrAlgorithm   = "algorithm"
	typeConfig      = "jxta:PSEConfig"
	typeCertificate = "jxta:cert"
	namespace       = "http://jxta.org"
	algorithmRSA    = "RSA"
)

// oidPBE is pbeWithMD5AndDES-CBC.
var oidPBE = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 3}

const (
	// iterations is how often JXSE hashes a password.
	iterations = 500

	// lineLength is how JXSE wraps base64.
	lineLength = 76
)

// sealedKey is EncryptedPrivateKeyInfo of PKCS #8.
type sealedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbeParameters struct {
	Salt       []byte
	Iterations int
}

// stretch makes the key and the first vector of a password: PBKDF1 over MD5.
func stretch(password string, salt []byte, n int) (key, iv []byte) {
	sum := md5.Sum(append([]byte(password), salt...))
	for range n - 1 {
		sum = md5.Sum(sum[:])
	}
	return sum[:des.BlockSize], sum[des.BlockSize:]
}

// openKey opens a private key that JXSE has sealed with a password. The error wraps
// [ErrPassword] or [ErrMalformed].
func openKey(der []byte, password string) (crypto.Signer, error) {
	var s sealedKey
	if rest, err := asn1.Unmarshal(der, &s); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("membership: %w: the key of the group", ErrMalformed)
	}
	if !s.Algorithm.Algorithm.Equal(oidPBE) {
		return nil, fmt.Errorf("membership: %w: the key of the group is sealed by %s", ErrMalformed, s.Algorithm.Algorithm)
	}
	var p pbeParameters
	if rest, err := asn1.Unmarshal(s.Algorithm.Parameters.FullBytes, &p); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("membership: %w: how the key of the group is sealed", ErrMalformed)
	}
	if p.Iterations < 1 || p.Iterations > maxIterations || len(s.Data) == 0 || len(s.Data)%des.BlockSize != 0 {
		return nil, fmt.Errorf("membership: %w: the key of the group is hashed %d times, %d are the limit", ErrMalformed, p.Iterations, maxIterations)
	}
	key, iv := stretch(password, p.Salt, p.Iterations)
	block, err := des.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("membership: %w", err)
	}
	plain := make([]byte, len(s.Data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, s.Data)
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > des.BlockSize || !bytes.HasSuffix(plain, bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, fmt.Errorf("membership: %w", ErrPassword)
	}
	k, err := x509.ParsePKCS8PrivateKey(plain[:len(plain)-pad])
	if err != nil {
		return nil, fmt.Errorf("membership: %w", ErrPassword)
	}
	switch k := k.(type) {
	case *rsa.PrivateKey:
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("membership: %w: a key of type %T", ErrMalformed, k)
}

// sealKey is the other direction.
func sealKey(key crypto.Signer, password string) ([]byte, error) {
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("membership: %w", err)
	}
	salt := make([]byte, des.BlockSize)
	if _, err := rand.Read(salt); err != nil {
		return nil, fmt.Errorf("membership: %w", err)
	}
	k, iv := stretch(password, salt, iterations)
	block, err := des.NewCipher(k)
	if err != nil {
		return nil, fmt.Errorf("membership: %w", err)
	}
	pad := des.BlockSize - len(plain)%des.BlockSize
	plain = append(plain, bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(plain, plain)
	parameters, err := asn1.Marshal(pbeParameters{salt, iterations})
	if err != nil {
		return nil, fmt.Errorf("membership: %w", err)
	}
	return asn1.Marshal(sealedKey{
		pkix.AlgorithmIdentifier{Algorithm: oidPBE, Parameters: asn1.RawValue{FullBytes: parameters}}, plain,
	})
}

// root is what the parameters of a certificate group hold.
type root struct {
	chain  []*x509.Certificate // the group's own certificate first
	sealed []byte              // the private key of it; nil if members have keys of their own
}

// certificate returns that of the group.
func (r *root) certificate() *x509.Certificate { return r.chain[0] }

// open opens the group's key, which must be that of its certificate.
func (r *root) open(password string) (crypto.Signer, error) {
	key, err := openKey(r.sealed, password)
	if err != nil {
		return nil, err
	}
	if pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(r.certificate().PublicKey) {
		return nil, fmt.Errorf("membership: %w: the key of the group is not that of its certificate", ErrMalformed)
	}
	return key, nil
}

// readRoot reads the parameters of a certificate group.
func readRoot(parm xmldoc.Node) (*root, error) {
	e, ok := parm.Child(elemRoot)
	if !ok {
		return nil, fmt.Errorf("membership: %w: a group of certificates without its own", ErrMalformed)
	}
	r := &root{}
	for n, ok := e.Child(elemCertificate); ok; n, ok = n.Child(elemIssuer) {
		if len(r.chain) == maxChain {
			return nil, fmt.Errorf("membership: %w: more than %d certificates", ErrTooMany, maxChain)
		}
		der, err := unwrap(n.Text(), maxCertificate)
		if err != nil {
			return nil, fmt.Errorf("membership: %w: the group's certificate: %w", ErrMalformed, err)
		}
		x, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("membership: %w: the group's certificate: %w", ErrMalformed, err)
		}
		r.chain = append(r.chain, x)
	}
	if len(r.chain) == 0 {
		return nil, fmt.Errorf("membership: %w: a group of certificates without its own", ErrMalformed)
	}
	if n, ok := e.Child(elemKey); ok {
		der, err := unwrap(n.Text(), maxKey)
		if err != nil || len(der) == 0 {
			return nil, fmt.Errorf("membership: %w: the key of the group", ErrMalformed)
		}
		r.sealed = der
	}
	return r, nil
}

// node writes the parameters, as JXSE reads them.
func (r *root) node() xmldoc.Node {
	parts := []xmldoc.Node{xmldoc.NewNode(elemCertificate, wrap(r.certificate().Raw))}
	if r.sealed != nil {
		parts = append(parts, xmldoc.NewNode(elemKey, wrap(r.sealed)).WithAttr(attrAlgorithm, algorithmRSA))
	}
	return xmldoc.NewNode(elemParm, "", xmldoc.NewNode(elemRoot, "", parts...)).
		WithAttr("type", typeConfig).WithAttr("xmlns:jxta", namespace).WithAttr("xml:space", "preserve")
}

// Certificates makes the parameters of a group whose members hold certificates that
// the issuer has signed. The group's own certificate stands where JXSE has it, without
// a key that a password would open.
func Certificates(by *Issuer) xmldoc.Node {
	return (&root{chain: []*x509.Certificate{by.cert}}).node()
}

// SharedKey makes the parameters of a group as those of JXSE: one password opens the
// group's key, by which every member signs. It takes an issuer with an RSA key. Who has
// the password can be kept out no more, and whoever sees the group's advertisement can
// try passwords as fast as a computer can; the issuer can still issue certificates to
// single members.
func SharedKey(by *Issuer, password string) (xmldoc.Node, error) {
	if _, ok := by.key.(*rsa.PrivateKey); !ok {
		return xmldoc.Node{}, fmt.Errorf("membership: %w: JXSE shares RSA keys only", ErrMalformed)
	}
	if password == "" || len(password) > maxValue {
		return xmldoc.Node{}, fmt.Errorf("membership: %w: the password is empty or too long", ErrPassword)
	}
	sealed, err := sealKey(by.key, password)
	if err != nil {
		return xmldoc.Node{}, err
	}
	return (&root{chain: []*x509.Certificate{by.cert}, sealed: sealed}).node(), nil
}

// wrap writes base64 in lines.
func wrap(b []byte) string {
	s := base64.StdEncoding.EncodeToString(b)
	var out strings.Builder
	for len(s) > lineLength {
		out.WriteString(s[:lineLength])
		out.WriteByte('\n')
		s = s[lineLength:]
	}
	out.WriteString(s)
	return out.String()
}

// unwrap reads base64 with any blanks in it.
func unwrap(s string, most int) ([]byte, error) {
	if len(s) > 2*most {
		return nil, fmt.Errorf("%w: %d characters", ErrTooMany, len(s))
	}
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
}
