package advertisements_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	adv "github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// whenSigned is within the time for which the recorded certificates are valid.
var whenSigned = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

var rsaSigner = sync.OnceValues(func() (*identity.Identity, error) { return identity.New(identity.RSA2048) })

func signer(t testing.TB) *identity.Identity {
	t.Helper()
	i, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func sign(t testing.TB, a adv.Advertisement, i *identity.Identity) *adv.Signed {
	t.Helper()
	c, err := credential.Sign(i, id.NetGroup)
	if err != nil {
		t.Fatal(err)
	}
	s, err := adv.Sign(a, i, c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// reread sends the advertisement to another peer.
func reread(t testing.TB, a adv.Advertisement) adv.Advertisement {
	t.Helper()
	b, err := adv.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	got, err := adv.Standard().Parse(b)
	if err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return got
}

// What JXSE signed opens; nothing binds the names in it to the keys of 2.5, and those
// of 2.7 are too short to prove anything.
func TestRecordedSigned(t *testing.T) {
	for _, name := range []string{"jxse25/sa-pipe.xml", "jxse25/sa-pipe.pretty.xml", "jxse27/sa-pipe.xml"} {
		a, err := adv.Standard().Parse(readFile(t, documents+name))
		if err != nil {
			t.Fatal(name, err)
		}
		s := a.(*adv.Signed)
		inner, who, err := s.Open(credential.Rules{Group: id.NetGroup, Now: whenSigned})
		if err != nil {
			t.Error(name, err)
			continue
		}
		pipe, ok := inner.(*adv.Pipe)
		if !ok || !strings.HasPrefix(pipe.Name, "signed ") || who.Standing != credential.Signed || who.Relation != adv.Author || !strings.Contains(who.Subject, "CN=") {
			t.Errorf("%s: %+v by %+v", name, inner, who)
		}
		fields, err := adv.Fields(s)
		if want, _ := adv.Fields(pipe); err != nil || fmt.Sprint(fields) != fmt.Sprint(want) || len(want) != 2 {
			t.Errorf("%s: found by %v, %v", name, fields, err)
		}
		if adv.KindOf(s) != adv.Advs || !strings.HasPrefix(string(s.Payload()), "<?xml") || !bytes.HasSuffix(s.Payload(), []byte(">\n")) {
			t.Errorf("%s: %q", name, s.Payload())
		}
		for what, rules := range map[error]credential.Rules{
			credential.ErrExpired:    {Now: time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)},
			credential.ErrNotYet:     {Now: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)},
			credential.ErrOtherGroup: {Group: id.WorldGroup, Now: whenSigned},
			credential.ErrOtherPeer:  {Peer: id.NewPeer(id.NetGroup), Now: whenSigned},
		} {
			if _, _, err := s.Open(rules); !errors.Is(err, what) {
				t.Errorf("%s: %v, want %v", name, err, what)
			}
		}
	}
}

func TestHostileSigned(t *testing.T) {
	read := func(name string) (adv.Advertisement, error) {
		return adv.Standard().Parse(readFile(t, documents+"hostile/"+name))
	}
	if a, err := read("c05-sa-signature-corrupted.xml"); !errors.Is(err, adv.ErrSignature) {
		t.Errorf("c05: %v, %v", a, err)
	}
	if a, err := read("m25-sa-payload-before-signature.xml"); err == nil {
		t.Errorf("m25: %v", a)
	}
	a, err := read("c06-sa-credential-signature-removed.xml")
	if err != nil {
		t.Fatal(err) // the payload is signed
	}
	for _, p := range []adv.Policy{adv.AcceptUnsigned, adv.MarkUnsigned, adv.RefuseUnsigned} {
		if v, err := p.Judge(a, credential.Rules{Now: whenSigned}); !errors.Is(err, credential.ErrUnsigned) {
			t.Errorf("c06 under %s: %v, %v", p, v, err)
		}
	}
}

func TestSign(t *testing.T) {
	r, err := rsaSigner()
	if err != nil {
		t.Fatal(err)
	}
	for name, i := range map[string]*identity.Identity{"Ed25519": signer(t), "RSA": r} {
		pipe := adv.NewPipe(id.NetGroup, "chat & more", adv.Propagate)
		s := reread(t, sign(t, pipe, i)).(*adv.Signed)
		inner, who, err := s.Open(credential.Rules{Group: id.NetGroup})
		if err != nil || inner.(*adv.Pipe).ID != pipe.ID || who.Peer != i.Peer() || who.Key != i.Peer() || who.Standing != credential.Proven {
			t.Errorf("%s: %+v, %+v, %v", name, inner, who, err)
		}
		key, err := adv.KeyOf(s)
		if err != nil || key != i.Peer().Unique()+"/"+pipe.Key() {
			t.Errorf("%s: key %s, %v", name, key, err)
		}
		algorithm := map[string]string{"Ed25519": "Ed25519", "RSA": "SHA1withRSA"}[name]
		if b, err := adv.Marshal(s); err != nil || !strings.Contains(string(b), `algorithm="`+algorithm+`"`) {
			t.Errorf("%s: %s, %v", name, b, err)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	ann, eve := signer(t), signer(t)
	c, err := credential.Sign(ann, id.NetGroup)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := credential.New(credential.None, id.NetGroup, ann.Peer(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	pipe := adv.NewPipe(id.NetGroup, "chat", adv.Unicast)
	for name, f := range map[string]func() (*adv.Signed, error){
		"another's credential":      func() (*adv.Signed, error) { return adv.Sign(pipe, eve, c) },
		"no credential":             func() (*adv.Signed, error) { return adv.Sign(pipe, eve, nil) },
		"without certificate":       func() (*adv.Signed, error) { return adv.Sign(pipe, ann, plain) },
		"nothing":                   func() (*adv.Signed, error) { return adv.Sign(nil, ann, c) },
		"twice over":                func() (*adv.Signed, error) { return adv.Sign(sign(t, pipe, ann), ann, c) },
		"what cannot be written":    func() (*adv.Signed, error) { return adv.Sign(&adv.Pipe{}, ann, c) },
		"a signed one of no effect": func() (*adv.Signed, error) { return adv.Sign(&adv.Signed{}, ann, c) },
	} {
		if s, err := f(); err == nil || s != nil {
			t.Errorf("%s: %v", name, s)
		}
	}
	var zero adv.Signed
	if _, _, err := zero.Open(credential.Rules{}); !errors.Is(err, adv.ErrUnsigned) {
		t.Error(err)
	}
	if _, err := adv.Marshal(&zero); err == nil || zero.Key() != "" || zero.Indexed() != nil {
		t.Error("the zero value is of use")
	}
}

// Every part that is altered makes it useless.
func TestAlteredSigned(t *testing.T) {
	ann, eve := signer(t), signer(t)
	one, err := adv.Marshal(sign(t, adv.NewPipe(id.NetGroup, "one", adv.Unicast), ann))
	if err != nil {
		t.Fatal(err)
	}
	two, err := adv.Marshal(sign(t, adv.NewPipe(id.NetGroup, "two", adv.Unicast), eve))
	if err != nil {
		t.Fatal(err)
	}
	part := func(doc []byte, from, to string) string {
		_, rest, _ := strings.Cut(string(doc), from)
		text, _, ok := strings.Cut(rest, to)
		if !ok {
			t.Fatalf("no %s in %s", from, doc)
		}
		return text
	}
	swap := func(from, to string) string {
		return strings.Replace(string(one), part(one, from, to), part(two, from, to), 1)
	}
	for name, c := range map[string]struct {
		doc  string
		want error
	}{
		"payload":    {swap(`type="jxta:PipeAdvertisement">`, "</Adv"), adv.ErrSignature},
		"signature":  {swap("</Credential><Signature>", "</Sig"), adv.ErrSignature},
		"signer":     {swap("<Credential", "</Credential>"), adv.ErrSignature},
		"its type":   {strings.Replace(string(one), `type="jxta:PipeAdvertisement"`, `type="jxta:PA"`, 1), adv.ErrPayload},
		"no type":    {strings.Replace(string(one), ` type="jxta:PipeAdvertisement"`, ``, 1), adv.ErrPayload},
		"no payload": {string(one[:bytes.Index(one, []byte("<Advertisement"))]) + "</jxta:SA>", adv.ErrUnsigned},
	} {
		if a, err := adv.Standard().Parse([]byte(c.doc)); !errors.Is(err, c.want) || a != nil {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
	for n := range len(one) - 1 {
		if a, err := adv.Standard().Parse(one[:n]); err == nil {
			t.Fatalf("cut at %d it is %v", n, a)
		}
	}
}

func TestJudge(t *testing.T) {
	ann, bob := signer(t), signer(t)
	pipe := adv.NewPipe(id.NetGroup, "chat", adv.Unicast)
	own := &adv.Peer{ID: ann.Peer(), Group: id.NetGroup, Name: "ann"}
	hand, err := identity.NewHandover(ann, bob, identity.Moved, 1)
	if err != nil {
		t.Fatal(err)
	}
	bad := *hand
	bad.Serial++
	rules := credential.Rules{Group: id.NetGroup}
	for _, c := range []struct {
		name   string
		policy adv.Policy
		adv    adv.Advertisement
		want   error
		said   string
		marked bool
	}{
		{"unsigned", adv.AcceptUnsigned, pipe, nil, "unsigned", false},
		{"unsigned", adv.MarkUnsigned, pipe, nil, "unsigned", true},
		{"unsigned", adv.RefuseUnsigned, pipe, adv.ErrUnsigned, "", false},
		{"signed", adv.AcceptUnsigned, sign(t, pipe, ann), nil, "signed by " + ann.Peer().Short(), false},
		{"signed", adv.RefuseUnsigned, sign(t, pipe, ann), nil, "signed by " + ann.Peer().Short(), false},
		{"a peer's own", adv.RefuseUnsigned, sign(t, own, ann), nil, "signed by " + ann.Peer().Short(), false},
		{"another's", adv.AcceptUnsigned, sign(t, own, bob), adv.ErrNotOwner, "", false},
		{"a hand-over", adv.RefuseUnsigned, hand, nil, "signed by " + bob.Peer().Short(), false},
		{"no hand-over", adv.AcceptUnsigned, &bad, identity.ErrHandover, "", false},
	} {
		v, err := c.policy.Judge(c.adv, rules)
		if !errors.Is(err, c.want) || c.want != nil && err == nil || err == nil && v.String() != c.said || v.Marked != c.marked || err == nil && v.Adv == nil {
			t.Errorf("%s under %s: %s, %v", c.name, c.policy, v, err)
		}
		if s, ok := c.adv.(*adv.Signed); ok && err == nil && v.Adv.DocType() == s.DocType() {
			t.Errorf("%s: the payload was not taken out", c.name)
		}
	}
	v, err := adv.RefuseUnsigned.Judge(sign(t, own, ann), rules)
	if err != nil || v.Signer.Relation != adv.Owner {
		t.Errorf("%+v, %v", v, err)
	}
}

// Types of an application are read inside a signed one too.
func TestSignedOwnType(t *testing.T) {
	reg := adv.Standard()
	reg.Add("x:One", func() adv.Advertisement { return &shared{Type: "x:One"} })
	b, err := adv.Marshal(sign(t, &shared{Type: "x:One", Value: "7"}, signer(t)))
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Replace(b, []byte(`type="jxta:CP"`), []byte(`type="x:One"`), 1) // as JXSE would
	a, err := reg.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if inner, _, err := a.(*adv.Signed).Open(credential.Rules{}); err != nil || inner.(*shared).Value != "7" {
		t.Error(inner, err)
	}
	if a, err = adv.Standard().Parse(b); err != nil { // a type that is not known there
		t.Fatal(err)
	}
	again, err := adv.Marshal(a)
	if err != nil || !bytes.Contains(again, []byte("<jxta:SA")) {
		t.Error(again, err)
	}
}

func FuzzSigned(f *testing.F) {
	for _, name := range []string{"jxse25/sa-pipe.xml", "jxse27/sa-pipe.xml", "hostile/c05-sa-signature-corrupted.xml", "hostile/m25-sa-payload-before-signature.xml"} {
		f.Add(readFile(f, documents+name))
	}
	b, err := adv.Marshal(sign(f, adv.NewPipe(id.NetGroup, "chat", adv.Unicast), signer(f)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	reg := adv.Standard()
	f.Fuzz(func(t *testing.T, doc []byte) {
		n, err := xmldoc.ParseNode(doc)
		if err != nil || n.Name() != "jxta:SA" {
			return
		}
		a, err := reg.Decode(n)
		if err != nil {
			return
		}
		_, _ = adv.RefuseUnsigned.Judge(a, credential.Rules{})
		again, err := adv.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := reg.Parse(again); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkParseSigned(b *testing.B) {
	doc, err := adv.Marshal(sign(b, adv.NewPipe(id.NetGroup, "chat", adv.Unicast), signer(b)))
	if err != nil {
		b.Fatal(err)
	}
	reg := adv.Standard()
	for b.Loop() {
		if _, err := reg.Parse(doc); err != nil {
			b.Fatal(err)
		}
	}
}

// A pipe that nobody can put another's in the place of.
func ExampleSign() {
	ann, err := identity.New(identity.Ed25519)
	if err != nil {
		fmt.Println(err)
		return
	}
	cred, err := credential.Sign(ann, id.NetGroup)
	if err != nil {
		fmt.Println(err)
		return
	}
	signed, err := adv.Sign(adv.NewPipe(id.NetGroup, "chat", adv.Propagate), ann, cred)
	if err != nil {
		fmt.Println(err)
		return
	}
	doc, err := adv.Marshal(signed)
	if err != nil {
		fmt.Println(err)
		return
	}

	came, err := adv.Standard().Parse(doc) // at another peer
	if err != nil {
		fmt.Println(err)
		return
	}
	verdict, err := adv.RefuseUnsigned.Judge(came, credential.Rules{Group: id.NetGroup})
	fmt.Println(verdict.Adv.(*adv.Pipe).Name, verdict.Signer.Peer == ann.Peer(), verdict.Signer.Standing, err)
	_, err = adv.RefuseUnsigned.Judge(adv.NewPipe(id.NetGroup, "chat", adv.Propagate), credential.Rules{Group: id.NetGroup})
	fmt.Println(err)
	// Output:
	// chat true proven <nil>
	// advertisements: not signed
}
