package membership_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup/membership"
)

func passwordGroup(t testing.TB) *membership.Service {
	t.Helper()
	parm, err := membership.Passwords(map[string]string{"ann": "secret"})
	if err != nil {
		t.Fatal(err)
	}
	return start(t, membership.Config{Parm: parm})
}

// TestMethods: which ways to apply there are, by kind.
func TestMethods(t *testing.T) {
	none, passwd := start(t, membership.Config{}), passwordGroup(t)
	for _, c := range []struct {
		s      *membership.Service
		method string
		want   string
		err    error
	}{
		{none, "", "Identity", nil}, {none, membership.MethodNone, "Identity", nil}, {none, membership.MethodString, "Identity", nil},
		{none, membership.MethodPasswd, "", membership.ErrMethod}, {none, membership.MethodEngine, "", membership.ErrMethod},
		{passwd, "", "Identity Password*", nil}, {passwd, membership.MethodPasswd, "Identity Password*", nil},
		{passwd, membership.MethodKey, "", membership.ErrMethod}, {passwd, strings.Repeat("x", 1000), "", membership.ErrMethod},
	} {
		a, err := c.s.Apply(c.method)
		if !errors.Is(err, c.err) {
			t.Errorf("%s %.20q: %v, want %v", c.s.Kind(), c.method, err, c.err)
		}
		if err != nil {
			continue
		}
		var got []string
		for _, f := range a.Fields() {
			name := f.Name
			if f.Secret {
				name += "*"
			}
			got = append(got, name)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s %q asks for %s, want %s", c.s.Kind(), c.method, s, c.want)
		}
	}
}

// TestAsk: each field is asked for once, in order, unless it is set.
func TestAsk(t *testing.T) {
	s := passwordGroup(t)
	a, err := s.Apply("")
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	ask := func(f membership.Field) (string, error) {
		asked = append(asked, f.Name)
		return map[string]string{"Identity": "ann", "Password": "secret"}[f.Name], nil
	}
	if err := a.Ask(ask); err != nil || strings.Join(asked, " ") != "Identity Password" || a.Ready() != nil {
		t.Errorf("%v, %q, %v", err, asked, a.Ready())
	}
	if err := a.Ask(ask); err != nil || len(asked) != 2 {
		t.Errorf("asked again: %q", asked)
	}
	if _, err := s.Join(a); err != nil {
		t.Error(err)
	}
	if a, err = s.Apply(""); err != nil {
		t.Fatal(err)
	}
	if err := a.Ask(func(membership.Field) (string, error) { return "", io.EOF }); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if _, err := s.Join(a); !errors.Is(err, membership.ErrIncomplete) {
		t.Error(err)
	}
	if _, err := passwordGroup(t).Join(a); !errors.Is(err, membership.ErrForeign) {
		t.Errorf("another group's authenticator: %v", err)
	}
	if _, err := s.Join(nil); !errors.Is(err, membership.ErrForeign) {
		t.Error(err)
	}
	none := start(t, membership.Config{})
	if a, err = none.Apply(""); err != nil {
		t.Fatal(err)
	}
	if err := a.Ask(func(f membership.Field) (string, error) { return "", nil }); err != nil {
		t.Error(err)
	}
	if c, err := none.Join(a); err != nil || c.Identity != "nobody" {
		t.Errorf("%v, %v", c, err)
	}
}

// TestLoad: fields from a file.
func TestLoad(t *testing.T) {
	for _, c := range []struct {
		file string
		want error
	}{
		{"identity: ann\npassword: secret\n", nil},
		{"# my group\r\n\r\n  Identity :ann\r\nPASSWORD:  secret  ", nil},
		{"\uFEFFidentity: ann\npassword: secret", nil},
		{"identity: ann\n", membership.ErrIncomplete},
		{"identity: ann\npassword:\n", membership.ErrPassword},
		{"name: ann\n", membership.ErrField},
		{"identity ann\n", membership.ErrField},
		{strings.Repeat("#\n", 1<<16), membership.ErrField},
		{"identity: " + strings.Repeat("x", 2000), membership.ErrField},
	} {
		s := passwordGroup(t)
		a, err := s.Apply("")
		if err != nil {
			t.Fatal(err)
		}
		if err = a.Load(strings.NewReader(c.file)); err == nil {
			_, err = s.Join(a)
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%.40q: %v, want %v", c.file, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%v shows a password", err)
		}
	}
}

// FuzzLoad: whatever a file says, nothing but an error comes of it.
func FuzzLoad(f *testing.F) {
	f.Add("identity: ann\npassword: secret\n")
	f.Add("#\n::\n")
	f.Fuzz(func(t *testing.T, file string) {
		a, err := passwordGroup(t).Apply("")
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Load(strings.NewReader(file))
		_ = a.Ready()
	})
}

// FuzzParm: parameters of strangers make a service or an error.
func FuzzParm(f *testing.F) {
	for _, name := range []string{"pga-live-passwd.xml", "pga-passwd-acl.xml", "pga-live-pse.xml"} {
		_, parm := recordedGroup(f, name)
		doc, err := parm.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		for i := 0; i < len(doc); i += 97 {
			f.Add(doc[:i])
		}
		f.Add(doc)
	}
	shown := recorded(f, "cred-pse-group.xml")
	p := newIdentity(f)
	f.Fuzz(func(t *testing.T, doc []byte) {
		n, err := xmldoc.ParseNode(doc)
		if err != nil {
			return
		}
		s, err := membership.New(membership.Config{Group: group, Peer: p.Peer(), Identity: p, Parm: n})
		if err != nil {
			return
		}
		_, _ = join(s, "Password=group-password")
		_, _, _ = s.Check(shown, p.Peer())
	})
}

// FuzzDocuments: invitations, requests, keys and lists of strangers.
func FuzzDocuments(f *testing.F) {
	c := newCrew(f)
	if err := c.boss.Revoke(c.boss.Issued()...); err != nil {
		f.Fatal(err)
	}
	list, _ := c.boss.Export()
	key, err := c.issuer.PEM()
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range [][]byte{c.invited, membership.Request(c.bobs), list, key} {
		f.Add(b)
		for i := 0; i < len(b); i += 41 {
			f.Add(b[:i])
		}
	}
	s := c.service(f, newIdentity(f), membership.Config{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if s.Accept(b) == nil {
			t.Fatal("an invitation for nobody is accepted")
		}
		_, _ = s.Import(b)
		_, _ = membership.ReadRequest(b)
		if i, err := membership.ReadIssuer(b); err == nil {
			if _, err := i.PEM(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
