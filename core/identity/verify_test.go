package identity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/message"
)

func TestVerifyPeer(t *testing.T) {
	ann, bob := newIdentity(t), newIdentity(t)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// forged is a certificate for Ann's key made by Bob, who does not have it.
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "Ann, says Bob"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, bob.Certificate().Leaf, ann.PublicKey(), bob.Certificate().PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	own := func(c *x509.Certificate) id.Peer { return id.PeerFromKey(c.RawSubjectPublicKeyInfo) }
	selfSigned := func(pub, key any) *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, template, template, pub, key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	weakCert, curveCert := selfSigned(&weak.PublicKey, weak), selfSigned(&curve.PublicKey, curve)
	huge := *weakCert
	huge.PublicKey = &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 8192), E: 65537}

	inNet, err := id.ParsePeer(strings.Replace(ann.Peer().String(), "4A78746150325033", "4E50472050325033", 1))
	if err != nil || inNet == ann.Peer() {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		peer id.Peer
		cert *x509.Certificate
		want error
	}{
		{"own", ann.Peer(), ann.Certificate().Leaf, nil},
		{"the same key in another group", inNet, ann.Certificate().Leaf, nil},
		{"another key", ann.Peer(), bob.Certificate().Leaf, identity.ErrOtherKey},
		{"made-up ID", id.NewPeer(id.NetGroup), ann.Certificate().Leaf, identity.ErrUnprovable},
		{"no ID", id.Peer{}, ann.Certificate().Leaf, identity.ErrUnprovable},
		{"no certificate", ann.Peer(), nil, identity.ErrKey},
		{"signed by another", ann.Peer(), forged, identity.ErrSignature},
		{"weak RSA", own(weakCert), weakCert, identity.ErrKey},
		{"huge RSA", own(&huge), &huge, identity.ErrKey},
		{"elliptic curve", own(curveCert), curveCert, identity.ErrKey},
		{"empty certificate", own(&x509.Certificate{}), &x509.Certificate{}, identity.ErrKey},
	} {
		err := identity.VerifyPeer(tt.peer, tt.cert)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		var proof *identity.ProofError
		if tt.want != nil && (!errors.Is(err, identity.ErrNotProven) || !errors.As(err, &proof) || proof.Peer != tt.peer) {
			t.Errorf("%s: %v, want a ProofError of %s", tt.name, err, tt.peer)
		}
		if tt.want == identity.ErrOtherKey && (proof.Key != bob.Peer() || !strings.Contains(err.Error(), bob.Peer().String())) {
			t.Errorf("%s: %v does not name %s", tt.name, err, bob.Peer())
		}
	}
}

func TestProof(t *testing.T) {
	var p identity.Proof
	if p != identity.Claimed || p.String() != "claimed" || identity.Proven.String() != "proven" {
		t.Errorf("what nobody proved is %s", p)
	}
}

// A key and the peer ID that JXSE 2.5 makes of it in the Net group.
func TestWorkedID(t *testing.T) {
	spki, err := hex.DecodeString("30819f300d06092a864886f70d010101050003818d0030818902818100af09c401b780f64a444b1b538f8ef9f81d787487" +
		"2eddb99176cb427d95270bd4e5faee64752b8b8710d0b65231818eb29b4461e5e89c5426f7410fcf8addc66ff4cc144d34c13c81d8ffddfae4876b8" +
		"daaf43e5e73532f60bbfe49ad2638c7f35310a22f0cb732a265d07f0e461d1029ea611d94d9915e06c12abc4dd5dfeaf50203010001")
	if err != nil {
		t.Fatal(err)
	}
	p, err := id.ParsePeer("urn:jxta:cbid-59616261646162614E50472050325033628399A0A9C1F439BD908E6BE7D12AAA03")
	if err != nil || !p.Proves(spki) {
		t.Errorf("the key does not make %s (%v)", p, err)
	}
	if _, err := identity.ParseKey(spki); err != nil {
		t.Error(err)
	}
	for n := range spki {
		if _, err := identity.ParseKey(spki[:n]); !errors.Is(err, identity.ErrKey) {
			t.Fatalf("cut at %d: %v, want ErrKey", n, err)
		}
	}
	if _, err := identity.ParseKey(append(spki, make([]byte, 4<<10)...)); !errors.Is(err, identity.ErrKey) {
		t.Errorf("too long: %v, want ErrKey", err)
	}
}

// What JXSE 2.7 signs: each message, and the source of those it routes.
func TestJXSE27Signatures(t *testing.T) {
	for _, file := range []string{"cbjx27-message-connect.bin", "cbjx27-message-routed.bin"} {
		octets, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := message.Decode(octets)
		if err != nil || m.Trailer == nil {
			t.Fatalf("%s: no trailer (%v)", file, err)
		}
		tr := m.Trailer
		signed := append(append(octets[:len(octets)-tr.Size():len(octets)-tr.Size()], tr.Cert...), tr.Source...)
		checkJXSE27(t, file+", message", tr.Cert, string(tr.Source), signed, tr.Signature)

		if e, ok := m.Get(message.Platform, "EndpointRouterMsg-fingerprint"); ok {
			var parts [3][]byte
			b := e.Body
			for i := range parts {
				n := binary.BigEndian.Uint32(b)
				parts[i], b = b[4:4+n], b[4+n:]
			}
			urn := strings.Replace(string(parts[0]), "jxta://", "urn:jxta:", 1)
			checkJXSE27(t, file+", source", parts[1], urn, append(parts[0][:len(parts[0]):len(parts[0])], parts[1]...), parts[2])
		}
	}
}

func checkJXSE27(t *testing.T, name string, certDER []byte, peer string, signed, sig []byte) {
	t.Helper()
	cert, err := x509.ParseCertificate(certDER)
	if err != nil {
		t.Fatal(err)
	}
	key, err := identity.ParseKey(cert.RawSubjectPublicKeyInfo)
	if err != nil {
		t.Fatal(err)
	}
	if err := identity.Verify(key, signed, sig); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if err := identity.Verify(key, signed[1:], sig); !errors.Is(err, identity.ErrSignature) {
		t.Errorf("%s, altered: %v, want ErrSignature", name, err)
	}
	p, err := id.ParsePeer(peer)
	if err != nil || id.PeerFromKey(cert.RawSubjectPublicKeyInfo) != p {
		t.Errorf("%s: the key does not make %s (%v)", name, peer, err)
	}
	// Its 1024 bits are good enough for Java's rules, not to prove an ID to us.
	if err := identity.VerifyPeer(p, cert); !errors.Is(err, identity.ErrKey) {
		t.Errorf("%s: %v, want ErrKey", name, err)
	}
}
