package identity_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
)

// rsaIdentity is made once, since making it takes long.
var rsaIdentity = sync.OnceValues(func() (*identity.Identity, error) { return identity.New(identity.RSA2048) })

// each runs f with an identity of each algorithm.
func each(t *testing.T, f func(t *testing.T, i *identity.Identity)) {
	t.Helper()
	t.Run("Ed25519", func(t *testing.T) { f(t, newIdentity(t)) })
	t.Run("RSA-2048", func(t *testing.T) {
		i, err := rsaIdentity()
		if err != nil {
			t.Fatal(err)
		}
		f(t, i)
	})
}

func newIdentity(t testing.TB) *identity.Identity {
	t.Helper()
	i, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestPeerIsMadeOfTheKey(t *testing.T) {
	each(t, func(t *testing.T, i *identity.Identity) {
		p := i.Peer()
		if !p.Proves(i.SPKI()) || p != id.PeerFromKey(i.SPKI()) {
			t.Errorf("%s is not made of the key", p)
		}
		if !strings.HasPrefix(p.Unique(), "cbid-59616261646162614A78746150325033") {
			t.Errorf("%s is not a cbid of the World group", p)
		}
		pub, err := identity.ParseKey(i.SPKI())
		if err != nil || !i.PublicKey().(interface{ Equal(crypto.PublicKey) bool }).Equal(pub) {
			t.Errorf("the SPKI is of another key than the public key (%v)", err)
		}
		i.SPKI()[0] = 0
		if i.SPKI()[0] == 0 {
			t.Error("the caller can alter the identity")
		}
	})
	if a, b := newIdentity(t), newIdentity(t); a.Peer() == b.Peer() {
		t.Error("two identities are one")
	}
}

func TestNewUnknownAlgorithm(t *testing.T) {
	if i, err := identity.New(99); err == nil || i != nil {
		t.Errorf("got %v, %v", i, err)
	}
	if got := fmt.Sprint(identity.Ed25519, identity.RSA2048, identity.Algorithm(99)); got != "Ed25519 RSA-2048 algorithm 99" {
		t.Error(got)
	}
}

func TestSignVerify(t *testing.T) {
	other := newIdentity(t)
	each(t, func(t *testing.T, i *identity.Identity) {
		for _, msg := range [][]byte{nil, []byte("text"), bytes.Repeat([]byte("x"), 100_000)} {
			sig, err := i.Sign(msg)
			if err != nil {
				t.Fatal(err)
			}
			if err := identity.Verify(i.PublicKey(), msg, sig); err != nil {
				t.Error(err)
			}
			if err := identity.Verify(i.PublicKey(), append(msg, 0), sig); !errors.Is(err, identity.ErrSignature) {
				t.Errorf("another message: %v, want ErrSignature", err)
			}
			if err := identity.Verify(other.PublicKey(), msg, sig); !errors.Is(err, identity.ErrSignature) {
				t.Errorf("another key: %v, want ErrSignature", err)
			}
			for n := range sig {
				if err := identity.Verify(i.PublicKey(), msg, sig[:n]); !errors.Is(err, identity.ErrSignature) {
					t.Fatalf("signature cut at %d: %v, want ErrSignature", n, err)
				}
			}
			sig[len(sig)/2] ^= 1
			if err := identity.Verify(i.PublicKey(), msg, sig); !errors.Is(err, identity.ErrSignature) {
				t.Errorf("another signature: %v, want ErrSignature", err)
			}
		}
	})
}

func TestVerifyKeys(t *testing.T) {
	for name, key := range map[string]any{
		"none":          nil,
		"text":          "key",
		"short Ed25519": ed25519.PublicKey{1, 2, 3},
		"nil RSA":       (*rsa.PublicKey)(nil),
		"empty RSA":     &rsa.PublicKey{},
	} {
		if err := identity.Verify(key, nil, nil); !errors.Is(err, identity.ErrKey) {
			t.Errorf("%s: %v, want ErrKey", name, err)
		}
	}
}

// Neither printing nor logging nor JSON may show the key.
func TestNothingShowsTheKey(t *testing.T) {
	i := newIdentity(t)
	key := i.Certificate().PrivateKey.(ed25519.PrivateKey)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "identity", i, "holder", struct{ I *identity.Identity }{i})
	js, _ := json.Marshal(struct{ I *identity.Identity }{i})
	for _, text := range []string{
		fmt.Sprint(i), fmt.Sprintf("%v %+v %#v %s %q %d %x", i, i, i, i, i, i, i),
		fmt.Sprintf("%+v %d", struct{ I *identity.Identity }{i}, []*identity.Identity{i}), log.String(), string(js),
	} {
		for _, form := range []string{"%v", "%x", "%X"} {
			if strings.Contains(text, strings.Trim(fmt.Sprintf(form, []byte(key.Seed()[:8])), "[]")) {
				t.Errorf("the key stands in %q", text)
			}
		}
	}
	if want := i.Peer().String(); i.String() != want || fmt.Sprintf("%#v", i) != want {
		t.Errorf("printed as %#v", i)
	}
	if !strings.Contains(log.String(), `"identity":"`+i.Peer().Short()+`"`) {
		t.Errorf("logged as %s", log.String())
	}
}

func TestFingerprint(t *testing.T) {
	if got, want := identity.Fingerprint([]byte("key")), "FRYO-CK32-AZDP-SITZ"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	i := newIdentity(t)
	if i.Fingerprint() != identity.Fingerprint(i.SPKI()) || i.Fingerprint() == newIdentity(t).Fingerprint() {
		t.Error("the fingerprint is not that of the key")
	}
}

func TestCertificate(t *testing.T) {
	each(t, func(t *testing.T, i *identity.Identity) {
		cert := i.Certificate()
		leaf, err := x509.ParseCertificate(cert.Certificate[0])
		if err != nil || !leaf.Equal(cert.Leaf) || len(cert.Certificate) != 1 {
			t.Fatalf("leaf differs (%v)", err)
		}
		if want := "Juxta peer " + i.Fingerprint(); leaf.Subject.CommonName != want || leaf.Issuer.CommonName != want {
			t.Errorf("issued by %q to %q, want %q", leaf.Issuer.CommonName, leaf.Subject.CommonName, want)
		}
		if len(leaf.URIs) != 1 || leaf.URIs[0].String() != i.Peer().String() {
			t.Errorf("it names %v, want %s", leaf.URIs, i.Peer())
		}
		now := time.Now()
		if leaf.NotBefore.After(now.Add(-23*time.Hour)) || leaf.NotAfter.Before(now.AddDate(19, 11, 0)) || leaf.NotAfter.After(now.AddDate(20, 1, 0)) {
			t.Errorf("valid from %v to %v", leaf.NotBefore, leaf.NotAfter)
		}
		if leaf.IsCA || leaf.SerialNumber.Sign() <= 0 {
			t.Errorf("authority %t, serial %v", leaf.IsCA, leaf.SerialNumber)
		}
		if err := identity.VerifyPeer(i.Peer(), leaf); err != nil {
			t.Error(err)
		}
	})
}

// A clock far off harms neither side.
func TestClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIdentity(t)
		time.Sleep(50 * 365 * 24 * time.Hour)
		if err := identity.VerifyPeer(i.Peer(), i.Certificate().Leaf); err != nil {
			t.Error(err)
		}
	})
}

// Two peers meet in TLS 1.3 and each learns who the other is.
func TestHandshake(t *testing.T) {
	ann := newIdentity(t)
	each(t, func(t *testing.T, bob *identity.Identity) {
		for _, tt := range []struct {
			name     string
			expected id.Peer // whom the client wants to reach
			want     error
		}{
			{"the right peer", bob.Peer(), nil},
			{"another peer", newIdentity(t).Peer(), identity.ErrOtherKey},
			{"a peer that cannot prove itself", id.NewPeer(id.NetGroup), identity.ErrUnprovable},
		} {
			t.Run(tt.name, func(t *testing.T) {
				a, b := net.Pipe()
				defer func() { _, _ = a.Close(), b.Close() }()
				server := tls.Server(b, config(bob, ann.Peer()))
				serverErr := make(chan error, 1)
				go func() { serverErr <- server.Handshake() }()
				err := tls.Client(a, config(ann, tt.expected)).Handshake()
				_ = a.Close()
				other := <-serverErr
				if !errors.Is(err, tt.want) {
					t.Errorf("client: %v, want %v", err, tt.want)
				}
				if tt.want == nil && other != nil {
					t.Errorf("server: %v", other)
				}
				if tt.want != nil && !errors.Is(err, identity.ErrNotProven) {
					t.Errorf("client: %v, want ErrNotProven", err)
				}
			})
		}
	})
}

// config is how a TLS link uses an identity: the peer ID takes the place of names
// and authorities.
func config(own *identity.Identity, expected id.Peer) *tls.Config {
	return &tls.Config{
		Certificates:           []tls.Certificate{own.Certificate()},
		MinVersion:             tls.VersionTLS13,
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true,
		SessionTicketsDisabled: true, // nothing to write after the handshake
		VerifyConnection: func(s tls.ConnectionState) error {
			return identity.VerifyPeer(expected, s.PeerCertificates[0])
		},
	}
}

func BenchmarkNew(b *testing.B) {
	for _, alg := range []identity.Algorithm{identity.Ed25519, identity.RSA2048} {
		b.Run(alg.String(), func(b *testing.B) {
			for b.Loop() {
				if _, err := identity.New(alg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	msg := make([]byte, 1<<10)
	for _, alg := range []identity.Algorithm{identity.Ed25519, identity.RSA2048} {
		i, err := identity.New(alg)
		if err != nil {
			b.Fatal(err)
		}
		sig, err := i.Sign(msg)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(alg.String()+"/sign", func(b *testing.B) {
			for b.Loop() {
				_, _ = i.Sign(msg)
			}
		})
		b.Run(alg.String()+"/verify", func(b *testing.B) {
			for b.Loop() {
				if err := identity.Verify(i.PublicKey(), msg, sig); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(alg.String()+"/verify-peer", func(b *testing.B) {
			for b.Loop() {
				if err := identity.VerifyPeer(i.Peer(), i.Certificate().Leaf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
