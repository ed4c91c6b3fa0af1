package membership_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup/membership"
)

// whenRecorded is within the time for which the recorded certificates are valid.
var whenRecorded = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

func then() time.Time { return whenRecorded }

var group = id.GroupFromSeed(id.NetGroup, []byte("crew"))

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

// recordedGroup reads a group's ID and the parameters of its membership.
func recordedGroup(t testing.TB, name string) (id.Group, xmldoc.Node) {
	t.Helper()
	adv := &advertisements.Group{}
	if err := recorded(t, name).Decode(adv); err != nil {
		t.Fatal(err)
	}
	parm, ok := adv.Service(id.ClassMembership)
	if !ok {
		t.Fatal("no parameters")
	}
	return adv.ID, parm
}

func newIdentity(t testing.TB) *identity.Identity {
	t.Helper()
	i, err := identity.New(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func start(t testing.TB, cfg membership.Config) *membership.Service {
	t.Helper()
	if cfg.Group.IsZero() {
		cfg.Group = group
	}
	if cfg.Peer.IsZero() && cfg.Identity != nil {
		cfg.Peer = cfg.Identity.Peer()
	}
	if cfg.Peer.IsZero() {
		cfg.Peer = id.PeerFromSeed(id.NetGroup, []byte("ann"))
	}
	s, err := membership.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// join applies in the usual way with fields in the form name=value.
func join(s *membership.Service, fields ...string) (*credential.Credential, error) {
	a, err := s.Apply("")
	if err != nil {
		return nil, err
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		if err := a.Set(name, value); err != nil {
			return nil, err
		}
	}
	return s.Join(a)
}

func mustJoin(t testing.TB, s *membership.Service, fields ...string) xmldoc.Node {
	t.Helper()
	c, err := join(s, fields...)
	if err != nil {
		t.Fatal(err)
	}
	n, err := c.Node()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestKinds: parameters and specifications tell the kind.
func TestKinds(t *testing.T) {
	_, passwd := recordedGroup(t, "pga-live-passwd.xml")
	_, pse := recordedGroup(t, "pga-live-pse.xml")
	for _, c := range []struct {
		spec id.ModuleSpec
		parm xmldoc.Node
		want membership.Kind
		err  error
	}{
		{want: membership.None},
		{parm: passwd, want: membership.Password},
		{parm: pse, want: membership.Certificate},
		{parm: pse, spec: id.SpecMembershipNone, want: membership.None},
		{spec: id.SpecMembershipPasswd, want: membership.Password},
		{spec: id.SpecMembershipPSE, want: membership.Certificate},
		{spec: id.SpecResolver, err: membership.ErrSpec},
	} {
		got, err := membership.KindOf(c.spec, c.parm)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s, %v: %s, %v; want %s", c.spec, c.parm, got, err, c.want)
		}
	}
	for _, k := range []membership.Kind{membership.None, membership.Password, membership.Certificate} {
		if got, err := membership.KindOf(k.Spec(), xmldoc.Node{}); got != k || err != nil {
			t.Errorf("%s became %s, %v", k, got, err)
		}
	}
	for _, spec := range []id.ModuleSpec{id.SpecMembershipPasswd, id.SpecMembershipPSE} {
		_, err := membership.New(membership.Config{Group: group, Peer: newIdentity(t).Peer(), Spec: spec})
		if !errors.Is(err, membership.ErrMalformed) {
			t.Errorf("without parameters: %v", err)
		}
	}
}

// TestNone: everybody is a member, and nothing that is shown is read.
func TestNone(t *testing.T) {
	s := start(t, membership.Config{})
	if s.Member() != nil || s.Default().Identity != "nobody" {
		t.Errorf("%v, %v", s.Member(), s.Default())
	}
	if c, err := join(s, "identity=ann"); err != nil || c.Identity != "ann" || s.Default().Identity != "nobody" {
		t.Errorf("%v, %v", c, err)
	} else if err := s.SetDefault(c); err != nil || s.Default() != c {
		t.Error(err)
	}
	if c, err := join(s); err != nil || c.Identity != "nobody" || len(s.Credentials()) != 3 {
		t.Errorf("%v, %v, %d", c, err, len(s.Credentials()))
	}
	s.Resign()
	if s.Member() != nil || len(s.Credentials()) != 1 || s.Default().Identity != "nobody" {
		t.Errorf("%d credentials remain", len(s.Credentials()))
	}
	if _, _, err := s.Check(xmldoc.Node{}, id.Peer{}); err != nil || s.Stats().Checked != 0 {
		t.Error(err)
	}
}

// TestRecordedPasswordGroup: in a group that an original peer made.
func TestRecordedPasswordGroup(t *testing.T) {
	gid, parm := recordedGroup(t, "pga-live-passwd.xml")
	p := id.PeerFromSeed(id.NetGroup, []byte("ann"))
	s := start(t, membership.Config{Group: gid, Peer: p, Parm: parm})
	if err := s.Member(); !errors.Is(err, membership.ErrNotMember) || !strings.Contains(err.Error(), "password") || !s.Shown().IsZero() {
		t.Error(err)
	}
	for _, c := range []struct {
		fields []string
		want   error
	}{
		{[]string{"Identity=alice"}, membership.ErrIncomplete},
		{[]string{"Password=secret"}, membership.ErrIncomplete},
		{[]string{"Identity=alice", "Password=wrong"}, membership.ErrPassword},
		{[]string{"Identity=eve", "Password=secret"}, membership.ErrName},
		{[]string{"Name=alice"}, membership.ErrField},
		{[]string{"Identity=" + strings.Repeat("x", 1<<20)}, membership.ErrField},
		{[]string{"Identity=alice", "Password=secret"}, nil},
		{[]string{"identity=alice", "PASSWORD=Secret"}, nil}, // the cipher knows no case
		{[]string{"Identity=bob", "Password="}, nil},
		{[]string{"Identity=bob", "Password=whatever"}, nil},
	} {
		if _, err := join(s, c.fields...); !errors.Is(err, c.want) {
			t.Errorf("%.60q: %v, want %v", c.fields, err, c.want)
		}
	}
	if err := s.Member(); err != nil || s.Default().Identity != "alice" {
		t.Error(err)
	}
	// What an original peer shows there.
	shown := recorded(t, "cred-passwd.xml")
	c, standing, err := s.Check(shown, id.Peer{})
	if err != nil || c.Identity != "alice" || standing != credential.Claimed {
		t.Errorf("%v, %s, %v", c, standing, err)
	}
	if c, _, ok := s.Known(c.Peer); !ok || c.Identity != "alice" {
		t.Error("who has shown a credential is not known")
	}
	if _, _, ok := s.Known(p); ok {
		t.Error("somebody is known who has shown none")
	}
	s.Resign()
	if err := s.Member(); !errors.Is(err, membership.ErrNotMember) {
		t.Errorf("after resigning: %v", err)
	}
}

// TestCipher: as an original peer enciphers.
func TestCipher(t *testing.T) {
	n, err := membership.Passwords(map[string]string{"alice": "Secret 42!", "bob": ""})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for e := range n.Children() {
		got = append(got, e.Name()+" "+e.Text())
	}
	if want := []string{"login alice:PHMFHG 42!:", "login bob::"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, users := range []map[string]string{nil, {"": "x"}, {"a:b": "x"}, {"a": "x:y"}, {" a": "x"}, {strings.Repeat("a", 300): ""}} {
		if _, err := membership.Passwords(users); err == nil {
			t.Errorf("%.60v is taken", users)
		}
	}
}

// TestRecordedKeyGroup: whoever knows the password of a group that an original peer
// made opens its key, and what its members show is good.
func TestRecordedKeyGroup(t *testing.T) {
	gid, parm := recordedGroup(t, "pga-live-pse.xml")
	ann := newIdentity(t)
	s := start(t, membership.Config{Group: gid, Identity: ann, Parm: parm, Now: then})
	if err := s.Member(); !errors.Is(err, membership.ErrNotMember) || !strings.Contains(err.Error(), "password") {
		t.Error(err)
	}
	if _, err := join(s, "Password=wrong"); !errors.Is(err, membership.ErrPassword) {
		t.Error(err)
	}
	a, err := s.Apply(membership.MethodString)
	if err != nil {
		t.Fatal(err)
	}
	if f := a.Fields(); len(f) != 1 || !f[0].Secret {
		t.Errorf("%+v", f)
	}
	own := mustJoin(t, s, "Password=group-password")
	if c, standing, err := s.Check(own, ann.Peer()); err != nil || standing != credential.Signed || !strings.Contains(c.Subject(), "secure-group-CA") {
		t.Errorf("the own credential: %v, %s, %v", c, standing, err)
	}
	if _, standing, err := s.Check(recorded(t, "cred-pse-group.xml"), id.Peer{}); err != nil || standing != credential.Signed {
		t.Errorf("an original member's: %s, %v", standing, err)
	}
	for _, f := range []string{"c01-cred-signature-removed.xml", "c02-cred-other-peer-signature-removed.xml", "c03-cred-other-peer.xml", "c04-cred-signature-first.xml", "cred-passwd.xml"} {
		if _, _, err := s.Check(recorded(t, f), id.Peer{}); err == nil {
			t.Errorf("%s is taken", f)
		}
	}
	if _, err := s.Apply("dance"); !errors.Is(err, membership.ErrMethod) {
		t.Error(err)
	}
}

// TestMakeKeyGroup: what JXSE reads, made here.
func TestMakeKeyGroup(t *testing.T) {
	by, err := membership.NewIssuer("crew", identity.RSA2048)
	if err != nil {
		t.Fatal(err)
	}
	parm, err := membership.SharedKey(by, "open sesame")
	if err != nil {
		t.Fatal(err)
	}
	_, java := recordedGroup(t, "pga-live-pse.xml")
	if got, want := shape(parm), shape(java); got != want {
		t.Errorf("it looks like %s, not %s", got, want)
	}
	ann, bob := newIdentity(t), newIdentity(t)
	one, two := start(t, membership.Config{Identity: ann, Parm: parm}), start(t, membership.Config{Identity: bob, Parm: parm})
	if _, _, err := two.Check(mustJoin(t, one, "Password=open sesame"), ann.Peer()); err != nil {
		t.Error(err)
	}
	// The founder can invite somebody too, who is then told apart.
	boss := start(t, membership.Config{Identity: newIdentity(t), Parm: parm, Issuer: by})
	if err := two.Accept(invite(t, boss, bob, "bob")); err != nil {
		t.Fatal(err)
	}
	if c, standing, err := one.Check(mustJoin(t, two), bob.Peer()); err != nil || standing != credential.Proven || !strings.Contains(c.Subject(), "CN=bob") {
		t.Errorf("%s, %v", standing, err)
	}
	ed, err := membership.NewIssuer("crew", identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := membership.SharedKey(ed, "x"); !errors.Is(err, membership.ErrMalformed) {
		t.Error(err)
	}
	if _, err := membership.SharedKey(by, ""); !errors.Is(err, membership.ErrPassword) {
		t.Error(err)
	}
}

// shape prints names and attributes of elements, and how lines of text are broken.
func shape(n xmldoc.Node) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<%s", n.Name())
	attrs := n.Attrs()
	slices.SortFunc(attrs, func(a, b xmldoc.Attribute) int { return strings.Compare(a.Name, b.Name) })
	for _, a := range attrs {
		fmt.Fprintf(&b, " %s=%s", a.Name, a.Value)
	}
	b.WriteString(">")
	if line, _, ok := strings.Cut(n.Text(), "\n"); ok {
		fmt.Fprint(&b, len(line))
	}
	for c := range n.Children() {
		b.WriteString(shape(c))
	}
	return b.String()
}

func invite(t testing.TB, by *membership.Service, to *identity.Identity, name string) []byte {
	t.Helper()
	key, err := membership.ReadRequest(membership.Request(to))
	if err != nil {
		t.Fatal(err)
	}
	b, err := by.Invite(key, name, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// crew is a certificate group with its founder and a member.
type crew struct {
	issuer   *membership.Issuer
	parm     xmldoc.Node
	now      time.Time
	boss     *membership.Service
	bob      *membership.Service
	bobs     *identity.Identity
	invited  []byte
	bobShows xmldoc.Node
}

func newCrew(t testing.TB) *crew {
	t.Helper()
	by, err := membership.NewIssuer("crew", identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	c := &crew{issuer: by, parm: membership.Certificates(by), now: time.Now(), bobs: newIdentity(t)}
	c.boss = c.service(t, newIdentity(t), membership.Config{Issuer: by})
	c.bob = c.service(t, c.bobs, membership.Config{})
	c.invited = invite(t, c.boss, c.bobs, "bob")
	if err := c.bob.Accept(c.invited); err != nil {
		t.Fatal(err)
	}
	c.bobShows = mustJoin(t, c.bob)
	return c
}

func (c *crew) service(t testing.TB, i *identity.Identity, cfg membership.Config) *membership.Service {
	t.Helper()
	cfg.Parm, cfg.Identity, cfg.Now = c.parm, i, func() time.Time { return c.now }
	return start(t, cfg)
}

// TestCertificates: founder and member prove who they are to each other.
func TestCertificates(t *testing.T) {
	c := newCrew(t)
	got, standing, err := c.boss.Check(c.bobShows, c.bobs.Peer())
	if err != nil || standing != credential.Proven || !strings.Contains(got.Subject(), "CN=bob") {
		t.Errorf("%s, %v", standing, err)
	}
	if _, _, err := c.boss.Check(c.bobShows, c.bobs.Peer()); err != nil || c.boss.Stats().Repeated != 1 {
		t.Errorf("%v, %+v", err, c.boss.Stats())
	}
	shown := mustJoin(t, c.boss) // the founder needs nobody
	if _, standing, err := c.bob.Check(shown, c.boss.Default().Peer); err != nil || standing != credential.Proven {
		t.Errorf("%s, %v", standing, err)
	}
	if doc, err := c.bobShows.Marshal(); err != nil {
		t.Error(err)
	} else if _, standing, err := c.boss.CheckDocument(doc, c.bobs.Peer()); err != nil || standing != credential.Proven || c.boss.Stats().Repeated != 2 {
		t.Errorf("printed: %s, %v, %+v", standing, err, c.boss.Stats())
	}
	for _, doc := range [][]byte{nil, []byte("<"), []byte("<a/>")} {
		if _, _, err := c.boss.CheckDocument(doc, c.bobs.Peer()); err == nil {
			t.Errorf("%q is a credential", doc)
		}
	}
	stranger := c.service(t, newIdentity(t), membership.Config{})
	if err := stranger.Member(); !errors.Is(err, membership.ErrNotMember) || !strings.Contains(err.Error(), "founder") {
		t.Error(err)
	}
	if _, err := join(stranger); !errors.Is(err, membership.ErrNotInvited) {
		t.Error(err)
	}
	if err := stranger.Accept(c.invited); !errors.Is(err, membership.ErrForeign) {
		t.Errorf("another's invitation: %v", err)
	}
	if _, err := stranger.Invite(c.bobs.PublicKey(), "x", time.Hour); !errors.Is(err, membership.ErrNoIssuer) {
		t.Error(err)
	}
	for _, x := range []struct {
		name string
		term time.Duration
	}{{"", time.Hour}, {"a,b", time.Hour}, {"a", 0}, {"a", -time.Hour}, {strings.Repeat("a", 1000), time.Hour}} {
		if _, err := c.boss.Invite(c.bobs.PublicKey(), x.name, x.term); !errors.Is(err, membership.ErrMalformed) {
			t.Errorf("%.20q for %v: %v", x.name, x.term, err)
		}
	}
	if _, err := c.boss.Invite("no key", "a", time.Hour); err == nil {
		t.Error("a certificate for what is no key")
	}
}

// TestRefused: every way to be no member has an error and a counter.
func TestRefused(t *testing.T) {
	c := newCrew(t)
	eve := newIdentity(t)
	sign := func(g id.Group, i *identity.Identity, chain ...*x509.Certificate) xmldoc.Node {
		x, err := credential.Sign(i, g, chain...)
		if err != nil {
			t.Fatal(err)
		}
		n, err := x.Node()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	other, err := membership.NewIssuer("crew", identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := start(t, membership.Config{Identity: newIdentity(t), Parm: membership.Certificates(other), Issuer: other})
	same := start(t, membership.Config{Group: id.NewGroup(id.Group{}), Identity: newIdentity(t), Parm: c.parm, Issuer: c.issuer})
	first := func(b []byte) *x509.Certificate {
		block, _ := pem.Decode(b)
		x, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	doc, err := c.bobShows.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	forged, err := xmldoc.ParseNode(bytes.Replace(doc, []byte(c.bobs.Peer().String()), []byte(eve.Peer().String()), 1))
	if err != nil {
		t.Fatal(err)
	}
	var unsigned []xmldoc.Node
	for n := range c.bobShows.Children() {
		if n.Name() != "Signature" {
			unsigned = append(unsigned, n)
		}
	}
	expired := newCrew(t)
	expired.now = expired.now.Add(25 * time.Hour)
	name, err := credential.New(credential.Password, group, eve.Peer(), "eve")
	if err != nil {
		t.Fatal(err)
	}
	named, err := name.Node()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		what  string
		by    *membership.Service
		shown xmldoc.Node
		from  id.Peer
		want  error
		count func(membership.Stats) uint64
	}{
		{"nothing", c.boss, xmldoc.Node{}, eve.Peer(), membership.ErrAbsent, func(s membership.Stats) uint64 { return s.RefusedAbsent }},
		{"no credential", c.boss, xmldoc.NewNode("jxta:Cred", "x"), eve.Peer(), credential.ErrUnknown, func(s membership.Stats) uint64 { return s.RefusedMalformed }},
		{"a name", c.boss, named, eve.Peer(), membership.ErrKind, func(s membership.Stats) uint64 { return s.RefusedKind }},
		{"played back", c.boss, c.bobShows, eve.Peer(), credential.ErrOtherPeer, func(s membership.Stats) uint64 { return s.RefusedOtherPeer }},
		{"forged", c.boss, forged, eve.Peer(), credential.ErrSignature, func(s membership.Stats) uint64 { return s.RefusedForged }},
		{"unsigned", c.boss, xmldoc.NewNode("jxta:Cred", "", unsigned...).WithAttr("type", "jxta:PSECred"), c.bobs.Peer(), credential.ErrUnsigned,
			func(s membership.Stats) uint64 { return s.RefusedForged }},
		{"self-signed", c.boss, sign(group, eve), eve.Peer(), credential.ErrIssuer, func(s membership.Stats) uint64 { return s.RefusedIssuer }},
		{"issued by another", c.boss, sign(group, eve, first(invite(t, elsewhere, eve, "eve"))), eve.Peer(), credential.ErrIssuer,
			func(s membership.Stats) uint64 { return s.RefusedIssuer }},
		{"of another group", c.boss, sign(id.NetGroup, eve), eve.Peer(), credential.ErrOtherGroup, func(s membership.Stats) uint64 { return s.RefusedOtherGroup }},
		{"a certificate of another group", c.boss, sign(group, eve, first(invite(t, same, eve, "eve"))), eve.Peer(), credential.ErrOtherGroup,
			func(s membership.Stats) uint64 { return s.RefusedOtherGroup }},
		{"expired", expired.boss, expired.bobShows, expired.bobs.Peer(), credential.ErrExpired, func(s membership.Stats) uint64 { return s.RefusedExpired }},
	} {
		before := x.count(x.by.Stats())
		if _, _, err := x.by.Check(x.shown, x.from); !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want %v", x.what, err, x.want)
		}
		if n := x.count(x.by.Stats()); n != before+1 {
			t.Errorf("%s: counted %d times", x.what, n-before)
		}
		if _, _, ok := x.by.Known(x.from); ok {
			t.Errorf("%s: the peer is known as a member", x.what)
		}
	}
}

// TestRevoke: a list takes effect at once where it is known, and cannot be turned back.
func TestRevoke(t *testing.T) {
	c := newCrew(t)
	carol := c.service(t, newIdentity(t), membership.Config{})
	mustJoin(t, c.boss)
	for _, s := range []*membership.Service{c.boss, carol} {
		if _, _, err := s.Check(c.bobShows, c.bobs.Peer()); err != nil {
			t.Fatal(err)
		}
	}
	if list, n := c.boss.Export(); list != nil || n != 0 {
		t.Error("a list of nothing")
	}
	all := c.boss.Issued()[:1] // the second is the founder's own
	if err := c.boss.Revoke(all...); err != nil {
		t.Fatal(err)
	}
	first, n := c.boss.Export()
	if n != 1 {
		t.Errorf("the first list is number %d", n)
	}
	if err := carol.Revoke(all...); !errors.Is(err, membership.ErrNoIssuer) {
		t.Error(err)
	}
	for range 2 {
		if _, err := carol.Import(first); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []*membership.Service{c.boss, carol} {
		if _, _, err := s.Check(c.bobShows, c.bobs.Peer()); !errors.Is(err, credential.ErrRevoked) || s.Stats().RefusedRevoked != 1 || s.Stats().Revoked != 1 {
			t.Errorf("%v, %+v", err, s.Stats())
		}
		if _, _, ok := s.Known(c.bobs.Peer()); ok {
			t.Error("still known")
		}
		if !s.Out(c.bobs.Peer()) || s.Out(c.boss.Default().Peer) {
			t.Error("the wrong one is out")
		}
	}
	var events []membership.EventKind
	defer c.bob.Watch(func(ev membership.Event) { events = append(events, ev.Kind) })()
	if newer, err := c.bob.Import(first); err != nil || !newer {
		t.Error(err)
	}
	if err := c.bob.Member(); !errors.Is(err, membership.ErrNotMember) {
		t.Errorf("the revoked: %v", err)
	}
	if want := []membership.EventKind{membership.ListChanged, membership.Revoked}; !slices.Equal(events, want) {
		t.Errorf("%v, want %v", events, want)
	}
	if err := c.bob.Accept(c.invited); !errors.Is(err, credential.ErrRevoked) {
		t.Errorf("accepted again: %v", err)
	}
	if err := c.boss.Revoke(all...); err != nil { // nothing new
		t.Error(err)
	}
	if _, n := c.boss.Export(); n != 1 {
		t.Errorf("number %d of a list that says the same", n)
	}
	// A second list, and then the first again.
	dave := newIdentity(t)
	invite(t, c.boss, dave, "dave")
	if err := c.boss.Revoke(c.boss.Issued()[2]); err != nil {
		t.Fatal(err)
	}
	second, n := c.boss.Export()
	if newer, err := carol.Import(second); n != 2 || !newer || err != nil {
		t.Errorf("%d, %t, %v", n, newer, err)
	}
	if newer, err := carol.Import(first); newer || err != nil || len(carol.Revocations()) != 2 {
		t.Errorf("turned back: %t, %v", newer, err)
	}
	// Lists of others, and what is none.
	eves := newCrew(t)
	if err := eves.boss.Revoke(eves.boss.Issued()...); err != nil {
		t.Fatal(err)
	}
	theirs, _ := eves.boss.Export()
	for what, list := range map[string][]byte{"another group's": theirs, "nothing": nil, "an invitation": c.invited, "cut": second[:len(second)/2], "huge": bytes.Repeat([]byte("x"), 1<<20)} {
		if newer, err := carol.Import(list); newer || err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	if carol.Stats().RefusedLists != 5 {
		t.Errorf("%+v", carol.Stats())
	}
	if err := c.boss.Revoke(c.issuer.Certificate()); err == nil {
		t.Error("the group's own certificate was revoked")
	}
}

// TestStore: founder and member are what they were after a restart.
func TestStore(t *testing.T) {
	c := newCrew(t)
	disk := func() (map[string][]byte, membership.Store) {
		m := map[string][]byte{}
		return m, membership.Store{Load: func(n string) ([]byte, error) { return m[n], nil }, Save: func(n string, b []byte) error { m[n] = b; return nil }}
	}
	_, bosses := disk()
	boss := c.service(t, newIdentity(t), membership.Config{Issuer: c.issuer, Store: bosses})
	bobs := newIdentity(t)
	_, bobStore := disk()
	bob := c.service(t, bobs, membership.Config{Store: bobStore})
	if err := bob.Accept(invite(t, boss, bobs, "bob")); err != nil {
		t.Fatal(err)
	}
	boss2, bob2 := c.service(t, newIdentity(t), membership.Config{Store: bosses}), c.service(t, bobs, membership.Config{Store: bobStore})
	if !boss2.CanInvite() || len(boss2.Issued()) != 1 {
		t.Errorf("the founder is none any more: %t, %d", boss2.CanInvite(), len(boss2.Issued()))
	}
	if !c.issuer.Certificate().Equal(boss2.Root()) || !c.issuer.Certificate().Equal(bob2.Root()) {
		t.Error("the group's own certificate is another one")
	}
	if _, _, err := boss2.Check(mustJoin(t, bob2), bobs.Peer()); err != nil {
		t.Error(err)
	}
	if err := boss2.Revoke(boss2.Issued()...); err != nil {
		t.Fatal(err)
	}
	list, _ := boss2.Export()
	if _, err := bob2.Import(list); err != nil {
		t.Fatal(err)
	}
	if bob3 := c.service(t, bobs, membership.Config{Store: bobStore}); bob3.Own() != nil || bob3.Stats().Revoked != 1 {
		t.Error("after a restart the revoked is a member again")
	}
	broken := membership.Store{Load: func(string) ([]byte, error) { return nil, os.ErrPermission }}
	if _, err := membership.New(membership.Config{Group: group, Peer: bobs.Peer(), Parm: c.parm, Store: broken}); !errors.Is(err, os.ErrPermission) {
		t.Error(err)
	}
}

// TestBounded: no stranger makes the memory grow.
func TestBounded(t *testing.T) {
	parm, err := membership.Passwords(map[string]string{"bob": ""})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, membership.Config{Parm: parm})
	for i := range membership.MaxKnown + 10 {
		p := id.PeerFromSeed(id.NetGroup, []byte(fmt.Sprint(i)))
		c, err := credential.New(credential.Password, group, p, "bob")
		if err != nil {
			t.Fatal(err)
		}
		n, err := c.Node()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Check(n, p); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Stats().Known; n != membership.MaxKnown {
		t.Errorf("%d are known", n)
	}
}
