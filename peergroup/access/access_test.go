package access_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup/access"
	"github.com/juxta-p2p/juxta/peergroup/membership"
)

// recorded reads a document that an original peer wrote.
func recorded(t testing.TB, name string) xmldoc.Node {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	n, err := xmldoc.ParseNode(doc)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func named(t testing.TB, name string) *credential.Credential {
	t.Helper()
	if name == "" {
		return nil
	}
	c, err := credential.New(credential.Password, id.NetGroup, id.PeerFromSeed(id.NetGroup, []byte(name)), name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func control(t testing.TB, rights map[string][]string) *access.Control {
	t.Helper()
	parm, err := access.Rights(rights)
	if err != nil {
		t.Fatal(err)
	}
	c, err := access.New(id.ModuleSpec{}, parm)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRecordedList: an original group's list decides as the original service did.
func TestRecordedList(t *testing.T) {
	adv := &advertisements.Group{}
	if err := recorded(t, "pga-live-passwd.xml").Decode(adv); err != nil {
		t.Fatal(err)
	}
	parm, _ := adv.Service(id.ClassAccess)
	c, err := access.New(id.SpecAccessList, parm)
	if err != nil {
		t.Fatal(err)
	}
	// Who asked to write there: the operation as it was recorded.
	op := recorded(t, "op-simpleacl.xml")
	name, _ := op.Child("Operation")
	by, _ := op.Child("Offerer")
	alice, err := credential.Parse(by)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Permit(name.Text(), alice, credential.Claimed); err != nil {
		t.Error(err)
	}
	for _, x := range []struct {
		op, who string
		may     bool
	}{
		{"read", "", true}, {"read", "eve", true},
		{"write", "bob", true}, {"write", "eve", false}, {"write", "", false},
		{"delete", "nobody", true}, {"delete", "alice", false}, {"delete", "", false},
		{access.PipeSend, "alice", true}, {"DENY", "alice", false},
	} {
		err := c.Permit(x.op, named(t, x.who), credential.Claimed)
		if (err == nil) != x.may || err != nil && !errors.Is(err, access.ErrDenied) {
			t.Errorf("%s by %q: %v, want %t", x.op, x.who, err, x.may)
		}
	}
}

// TestLists: table of rights.
func TestLists(t *testing.T) {
	all := control(t, map[string][]string{access.PipeSend: {"ann", "bob"}, access.Services: {"bob"}, "dance": {"DENY"}})
	some := control(t, map[string][]string{access.DiscoveryPublish: {"ann"}})
	for _, x := range []struct {
		c       *access.Control
		op, who string
		may     bool
	}{
		{all, access.PipeSend, "ann", true}, {all, access.PipeSend, "bob", true}, {all, access.PipeSend, "eve", false},
		{all, access.PipeBind, "ann", false}, {all, access.PipeBind, "bob", true},
		{all, "dance", "ann", false}, {all, "dance", "DENY", false}, {all, "sing", "bob", false},
		{some, access.DiscoveryPublish, "ann", true}, {some, access.DiscoveryPublish, "bob", false},
		{some, access.DiscoveryFind, "bob", true}, {some, "sing", "ann", false},
	} {
		err := x.c.Permit(x.op, named(t, x.who), credential.Claimed)
		var denied *access.DeniedError
		if (err == nil) != x.may || err != nil && (!errors.As(err, &denied) || denied.Operation != x.op || denied.Who != x.who) {
			t.Errorf("%s by %q: %v, want %t", x.op, x.who, err, x.may)
		}
	}
	if s := all.Stats(); s.Asked != 8 || s.DeniedList != 4 || s.DeniedUnlisted != 1 {
		t.Errorf("%+v", s)
	}
}

// TestCertificates: a name is not enough, and a certificate is listed by its names.
func TestCertificates(t *testing.T) {
	by, err := membership.NewIssuer("crew", identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	who, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	s, err := membership.New(membership.Config{Group: id.NetGroup, Peer: who.Peer(), Identity: who, Parm: membership.Certificates(by), Issuer: by})
	if err != nil {
		t.Fatal(err)
	}
	invitation, err := s.Invite(who.PublicKey(), "ann", time.Hour)
	if err == nil {
		err = s.Accept(invitation)
	}
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Apply("")
	if err != nil {
		t.Fatal(err)
	}
	ann, err := s.Join(a)
	if err != nil {
		t.Fatal(err)
	}
	c, err := access.New(id.ModuleSpec{}, access.Certificates())
	if err != nil || c.Kind() != access.Certificate {
		t.Fatal(err)
	}
	if err := c.Permit("sing", ann, credential.Proven); err != nil {
		t.Error(err)
	}
	for _, err := range []error{
		c.Permit("sing", named(t, "ann"), credential.Claimed), c.Permit("sing", nil, credential.Claimed), c.Permit("sing", ann, credential.Claimed),
	} {
		if !errors.Is(err, access.ErrDenied) {
			t.Error(err)
		}
	}
	if c.Stats().DeniedUncertain != 3 {
		t.Errorf("%+v", c.Stats())
	}
	for name, may := range map[string]bool{"ann": true, who.Peer().Unique(): true, "bob": false, "CN=ann": false} {
		if err := control(t, map[string][]string{"sing": {name}}).Permit("sing", ann, credential.Proven); (err == nil) != may {
			t.Errorf("listed as %s: %v", name, err)
		}
	}
}

// TestKinds: parameters and specifications tell the kind; what is none is refused.
func TestKinds(t *testing.T) {
	for _, k := range []access.Kind{access.Always, access.List, access.Certificate} {
		if got, err := access.KindOf(k.Spec(), xmldoc.Node{}); got != k || err != nil {
			t.Errorf("%s became %s, %v", k, got, err)
		}
	}
	if _, err := access.New(id.SpecResolver, xmldoc.Node{}); !errors.Is(err, access.ErrSpec) {
		t.Error(err)
	}
	if _, err := access.New(id.SpecAccessList, xmldoc.Node{}); !errors.Is(err, access.ErrMalformed) {
		t.Error(err)
	}
	c, err := access.New(id.ModuleSpec{}, xmldoc.Node{})
	if err != nil || c.Kind() != access.Always || c.Permit("anything", nil, credential.Claimed) != nil {
		t.Error(err)
	}
	many := map[string][]string{}
	for i := range access.MaxRights + 1 {
		many["op"+strings.Repeat("x", i%200)+string(rune('a'+i/200))] = nil
	}
	for _, r := range []map[string][]string{nil, {"": {"a"}}, {"a:b": {"a"}}, {"a": {"b,c"}}, {"a": {""}}, {" a": {"b"}}, many} {
		if _, err := access.Rights(r); !errors.Is(err, access.ErrMalformed) {
			t.Errorf("%.60v: %v", r, err)
		}
	}
}

// FuzzParm: parameters of strangers make a control or an error.
func FuzzParm(f *testing.F) {
	adv := &advertisements.Group{}
	if err := recorded(f, "pga-live-passwd.xml").Decode(adv); err != nil {
		f.Fatal(err)
	}
	parm, _ := adv.Service(id.ClassAccess)
	doc, err := parm.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	for i := range len(doc) + 1 {
		f.Add(doc[:i], "write")
	}
	who := named(f, "alice")
	f.Fuzz(func(t *testing.T, doc []byte, op string) {
		n, err := xmldoc.ParseNode(doc)
		if err != nil {
			return
		}
		c, err := access.New(id.ModuleSpec{}, n)
		if err != nil {
			return
		}
		if err := c.Permit(op, who, credential.Claimed); err != nil && !errors.Is(err, access.ErrDenied) {
			t.Fatal(err)
		}
	})
}
