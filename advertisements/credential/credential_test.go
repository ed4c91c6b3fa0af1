package credential_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// recorded reads a document that an original peer wrote.
func recorded(t testing.TB, name string) (doc []byte, n xmldoc.Node) {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join("testdata", name))
	if err == nil {
		n, err = xmldoc.ParseNode(doc)
	}
	if err != nil {
		t.Fatal(err)
	}
	return doc, n
}

// whenRecorded is within the time for which the recorded certificates are valid.
var whenRecorded = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

// TestRecordedCredentials: what original peers wrote is read, printed again to the
// octet, and verified.
func TestRecordedCredentials(t *testing.T) {
	for _, c := range []struct {
		file     string
		kind     credential.Kind
		subject  string
		chain    int
		standing credential.Standing
	}{
		{"cred-none.xml", credential.None, "nobody", 0, credential.Claimed},
		{"cred-none-unicode.xml", credential.None, "Éléonore & co", 0, credential.Claimed},
		{"cred-passwd.xml", credential.Password, "alice", 0, credential.Claimed},
		{"cred-pse.xml", credential.Certificate, "OU=5693D582C82546819BBF, CN=alice-CA, O=www.jxta.org", 1, credential.Signed},
		{"cred-pse-group.xml", credential.Certificate, "", 1, credential.Signed},
		{"cred-pse-service-chain.xml", credential.Certificate, "", 2, credential.Signed},
		{"cred-pse-27.xml", credential.Certificate, "", 1, credential.Signed},
	} {
		t.Run(c.file, func(t *testing.T) {
			doc, n := recorded(t, c.file)
			got, err := credential.Parse(n)
			if err != nil {
				t.Fatal(err)
			}
			if got.Kind != c.kind || len(got.Chain) != c.chain || c.subject != "" && got.Subject() != c.subject {
				t.Errorf("%s, %d certificates, subject %q", got.Kind, len(got.Chain), got.Subject())
			}
			again, err := xmldoc.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(c.file, "27") && !bytes.Equal(again, doc) {
				t.Errorf("printed again it is another one:\n%s\nwant:\n%s", again, doc)
			}
			standing, err := got.Verify(credential.Rules{Group: got.Group, Peer: got.Peer, Now: whenRecorded})
			if err != nil || standing != c.standing {
				t.Errorf("it is %s, %v; want %s", standing, err, c.standing)
			}
		})
	}
}

// TestForgedCredentials: what original peers take as valid is refused.
func TestForgedCredentials(t *testing.T) {
	for file, want := range map[string]error{
		"c01-cred-signature-removed.xml":            credential.ErrUnsigned,
		"c02-cred-other-peer-signature-removed.xml": credential.ErrUnsigned,
		"c03-cred-other-peer.xml":                   credential.ErrSignature,
	} {
		_, n := recorded(t, file)
		c, err := credential.Parse(n)
		if err != nil {
			t.Fatal(file, err)
		}
		if _, err := c.Verify(credential.Rules{Group: c.Group, Now: whenRecorded}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", file, err, want)
		}
	}
}

// TestRules: each rule refuses what breaks it and nothing else.
func TestRules(t *testing.T) {
	_, n := recorded(t, "cred-pse-service-chain.xml")
	c, err := credential.Parse(n)
	if err != nil {
		t.Fatal(err)
	}
	_, other := recorded(t, "cred-pse-group.xml")
	stranger, err := credential.Parse(other)
	if err != nil {
		t.Fatal(err)
	}
	fine := credential.Rules{Group: c.Group, Peer: c.Peer, Now: whenRecorded, Roots: c.Chain[1:]}
	with := func(f func(*credential.Rules)) credential.Rules {
		r := fine
		f(&r)
		return r
	}
	for name, x := range map[string]struct {
		rules credential.Rules
		want  error
	}{
		"fine":        {fine, nil},
		"other group": {with(func(r *credential.Rules) { r.Group = id.WorldGroup }), credential.ErrOtherGroup},
		"other peer": {with(func(r *credential.Rules) {
			r.Peer = id.PeerFromSeed(id.NetGroup, []byte("eve"))
		}), credential.ErrOtherPeer},
		"old":   {with(func(r *credential.Rules) { r.Now = whenRecorded.AddDate(30, 0, 0) }), credential.ErrExpired},
		"early": {with(func(r *credential.Rules) { r.Now = whenRecorded.AddDate(-5, 0, 0) }), credential.ErrNotYet},
		"revoked": {with(func(r *credential.Rules) {
			r.Revoked = func(x *x509.Certificate) bool { return x.Equal(c.Chain[0]) }
		}), credential.ErrRevoked},
		"other issuer": {with(func(r *credential.Rules) { r.Roots = stranger.Chain }), credential.ErrIssuer},
	} {
		if _, err := c.Verify(x.rules); !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want %v", name, err, x.want)
		}
	}
}

// TestSign: what an identity signs is proven, and nobody else can use it.
func TestSign(t *testing.T) {
	for _, alg := range []identity.Algorithm{identity.Ed25519, identity.RSA2048} {
		who, err := identity.New(alg)
		if err != nil {
			t.Fatal(err)
		}
		made, err := credential.Sign(who, id.NetGroup)
		if err != nil {
			t.Fatal(err)
		}
		n, err := made.Node()
		if err != nil {
			t.Fatal(err)
		}
		c, err := credential.Parse(n.Renamed("Credential"))
		if err != nil {
			t.Fatal(err)
		}
		if s, err := c.Verify(credential.Rules{Group: id.NetGroup, Peer: who.Peer()}); err != nil || s != credential.Proven {
			t.Errorf("%s: %s, %v", alg, s, err)
		}
		eve, err := identity.New(alg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := credential.Sign(eve, id.NetGroup, c.Chain...); !errors.Is(err, credential.ErrOtherKey) {
			t.Errorf("%s: signed with another's certificate: %v", alg, err)
		}
		forged, err := credential.Sign(eve, id.NetGroup)
		if err != nil {
			t.Fatal(err)
		}
		forged.Peer = who.Peer()
		if _, err := forged.Verify(credential.Rules{Group: id.NetGroup}); !errors.Is(err, credential.ErrSignature) {
			t.Errorf("%s: another's name on an own credential: %v", alg, err)
		}
	}
}

// TestSelfSignedByAnother: a certificate of an own key, and the ID of somebody else
// in what is signed.
func TestSelfSignedByAnother(t *testing.T) {
	ann, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	eve, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	c, err := credential.SignAs(eve, ann.Peer(), id.NetGroup)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Verify(credential.Rules{Group: id.NetGroup, Peer: ann.Peer()}); !errors.Is(err, credential.ErrOtherKey) {
		t.Errorf("%v, want %v", err, credential.ErrOtherKey)
	}
}

// TestSharedKey: a key that all members have proves no peer, and says so.
func TestSharedKey(t *testing.T) {
	group, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	ann, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	key, root := group.Certificate().PrivateKey.(crypto.Signer), group.Certificate().Leaf
	c, err := credential.SignShared(key, ann.Peer(), id.NetGroup, root)
	if err != nil {
		t.Fatal(err)
	}
	rules := credential.Rules{Group: id.NetGroup, Peer: ann.Peer(), Roots: c.Chain}
	if _, err := c.Verify(rules); !errors.Is(err, credential.ErrOtherKey) {
		t.Errorf("as the key of a peer: %v", err)
	}
	rules.SharedKey = true
	if s, err := c.Verify(rules); err != nil || s != credential.Signed {
		t.Errorf("%s, %v", s, err)
	}
	for _, chain := range [][]*x509.Certificate{nil, {ann.Certificate().Leaf}} {
		if _, err := credential.SignShared(key, ann.Peer(), id.NetGroup, chain...); !errors.Is(err, credential.ErrOtherKey) {
			t.Errorf("with the certificate of another key: %v", err)
		}
	}
}

// TestCutCredentials: no beginning of a credential is one.
func TestCutCredentials(t *testing.T) {
	doc, _ := recorded(t, "cred-pse.xml")
	for i := range len(bytes.TrimSpace(doc)) - 1 {
		n, err := xmldoc.ParseNode(doc[:i])
		if err != nil {
			continue
		}
		if _, err := credential.Parse(n); err == nil {
			t.Fatalf("the first %d octets are a credential", i)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil || len(files) == 0 {
		f.Fatal("no recordings", err)
	}
	for _, name := range files {
		doc, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		n, err := xmldoc.ParseNode(doc)
		if err != nil {
			return
		}
		c, err := credential.Parse(n)
		if err != nil {
			return
		}
		_, _ = c.Verify(credential.Rules{Group: c.Group, Now: whenRecorded})
		_ = c.Subject()
		if again, err := c.Node(); err == nil {
			if _, err := credential.Parse(again); err != nil {
				t.Fatalf("what was read and printed is not read again: %v", err)
			}
		}
	})
}
