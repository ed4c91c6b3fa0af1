package peergroup_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/access"
	"github.com/juxta-p2p/juxta/peergroup/membership"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// town is a rendezvous and peers that lease from it, in which groups are made.
type town struct {
	t   *testing.T
	mem *memory.Network
	r   *peergroup.Peer
}

func newTown(t *testing.T) *town {
	w := &town{t: t, mem: memory.New(memory.Config{Latency: time.Millisecond})}
	w.r = w.peer("r", peergroup.Roles{Rendezvous: true})
	return w
}

func (w *town) peer(name string, roles peergroup.Roles, seeds ...string) *peergroup.Peer {
	w.t.Helper()
	i, err := identity.New(identity.Ed25519)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.start(peergroup.Config{Name: name, Roles: roles, Identity: i, Seeds: seeds})
}

func (w *town) start(cfg peergroup.Config) *peergroup.Peer {
	w.t.Helper()
	cfg.NoLAN = true
	cfg.Transports = []endpoint.Transport{w.mem.Transport(memory.TransportConfig{Name: cfg.Name})}
	p, err := peergroup.Start(context.Background(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = p.Close() })
	return p
}

// edge starts a peer with a lease.
func (w *town) edge(name string) *peergroup.Peer {
	w.t.Helper()
	p := w.peer(name, peergroup.Roles{}, "mem://r")
	if err := p.Net().Rendezvous().WaitConnected(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// join finds a group and enters it.
func (w *town) join(p *peergroup.Peer, name string, cfg peergroup.JoinConfig) *peergroup.Group {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	found, err := p.Net().Discovery().FindOne(ctx, discovery.Query{Kind: advertisements.Groups, Attr: "Name", Value: name})
	if err != nil {
		w.t.Fatal(err)
	}
	g, err := p.Net().JoinWith(ctx, found.Adv.(*advertisements.Group), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := g.Rendezvous().WaitConnected(ctx); err != nil {
		w.t.Fatal(err)
	}
	return g
}

// login fills in a name and a password.
func login(name, password string) func(*membership.Authenticator) error {
	return func(a *membership.Authenticator) error {
		return a.Load(strings.NewReader("identity: " + name + "\npassword: " + password))
	}
}

var echo = resolver.Define[*word, *word]("urn:example:echo")

type word struct{ Text string }

func (w *word) Map(m *xmldoc.Mapper) {
	m.Root("example:Word")
	m.Text("Text", &w.Text)
}

// answer has a member answer questions.
func answer(t *testing.T, g *peergroup.Group) {
	t.Helper()
	err := echo.Handle(t.Context(), g.Resolver(), func(_ context.Context, q resolver.Query[*word]) (*word, error) { return q.Body, nil })
	if err != nil {
		t.Fatal(err)
	}
}

// ask asks the whole group and returns how many answered, and why nobody could be asked.
func ask(t *testing.T, g *peergroup.Group) (n int, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	for _, e := range echo.Ask(ctx, g.Resolver(), &word{"hello"}) {
		if e != nil {
			err = e
			continue
		}
		n++
	}
	return n, err
}

// tally returns the value of a metric of a group.
func tally(t *testing.T, g *peergroup.Group, service, name string) uint64 {
	t.Helper()
	for _, m := range g.Peer().Metrics() {
		if m.GroupID == g.ID() && m.Service == service && m.Name == name {
			return m.Value
		}
	}
	t.Fatalf("no metric %s %s in %s", service, name, g.Name())
	return 0
}

// TestPasswordGroup: who is no member is told so, and is not answered.
func TestPasswordGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		ann, bob, eve := w.edge("ann"), w.edge("bob"), w.edge("eve")
		parm, err := membership.Passwords(map[string]string{"ann": "a", "bob": "b"})
		if err != nil {
			t.Fatal(err)
		}
		anns, err := ann.Net().Create(t.Context(), peergroup.Spec{Name: "crew", Membership: parm, Apply: login("ann", "a")})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		bobs := w.join(bob, "crew", peergroup.JoinConfig{Apply: login("bob", "b")})
		eves := w.join(eve, "crew", peergroup.JoinConfig{})
		if _, err := eve.Net().JoinWith(t.Context(), anns.Advertisement(), peergroup.JoinConfig{}); !errors.Is(err, peergroup.ErrJoined) {
			t.Error(err)
		}
		answer(t, anns)
		if n, err := ask(t, bobs); n != 1 || err != nil {
			t.Errorf("%d answers for a member, %v", n, err)
		}

		// Who has not joined.
		chat := advertisements.NewPipe(anns.ID(), "chat", advertisements.Unicast)
		wave := advertisements.NewPipe(anns.ID(), "wave", advertisements.Propagate)
		for what, try := range map[string]func() error{
			"asking": func() error { _, err := ask(t, eves); return err },
			"publishing": func() error {
				return eves.Discovery().Publish(t.Context(), chat, discovery.Lifetime{})
			},
			"publishing remotely": func() error {
				_, err := eves.Discovery().PublishRemote(t.Context(), chat, discovery.Lifetime{})
				return err
			},
			"finding": func() error {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := eves.Discovery().FindOne(ctx, discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: "x"})
				return err
			},
			"listening": func() error { _, err := eves.Pipes().Listen(t.Context(), chat); return err },
			"dialling":  func() error { _, err := eves.Pipes().Dial(t.Context(), chat); return err },
			"waving":    func() error { _, err := eves.Pipes().Dial(t.Context(), wave); return err },
		} {
			if err := try(); !errors.Is(err, membership.ErrNotMember) {
				t.Errorf("%s: %v", what, err)
			}
		}

		// Who joins later with what it claims.
		a, err := eves.Membership().Apply("")
		if err != nil {
			t.Fatal(err)
		}
		if err := login("bob", "x")(a); err != nil {
			t.Fatal(err)
		}
		if _, err := eves.Membership().Join(a); !errors.Is(err, membership.ErrPassword) {
			t.Error(err)
		}
		if err := login("bob", "b")(a); err != nil {
			t.Fatal(err)
		}
		if _, err := eves.Membership().Join(a); err != nil {
			t.Error(err)
		}
		if n, err := ask(t, eves); n != 1 || err != nil {
			t.Errorf("%d answers for a new member, %v", n, err)
		}
		eves.Membership().Resign()
		if _, err := ask(t, eves); !errors.Is(err, membership.ErrNotMember) {
			t.Errorf("after resigning: %v", err)
		}

		// Who enters a group of the same ID without rules, and asks without a credential.
		mallory := w.edge("mallory")
		open := anns.Advertisement().Clone()
		open.Services, open.Spec = nil, id.SpecGenericGroup
		theirs, err := mallory.Net().Join(t.Context(), open)
		if err != nil {
			t.Fatal(err)
		}
		if err := theirs.Rendezvous().WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := tally(t, anns, "membership", "refused_absent")
		if n, _ := ask(t, theirs); n != 0 {
			t.Errorf("%d answers for a stranger", n)
		}
		if n := tally(t, anns, "membership", "refused_absent"); n == before {
			t.Error("not counted")
		}
		if n := tally(t, anns, "resolver", "dropped_denied"); n == 0 {
			t.Error("not counted as dropped")
		}
	})
}

// guild is a certificate group of a founder and a member.
type guild struct {
	*town
	ann, bob   *peergroup.Peer
	anns, bobs *peergroup.Group
}

func newGuild(t *testing.T, rights xmldoc.Node) *guild {
	w := newTown(t)
	c := &guild{town: w, ann: w.edge("ann"), bob: w.edge("bob")}
	by, err := membership.NewIssuer("crew", identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	c.anns, err = c.ann.Net().Create(t.Context(), peergroup.Spec{Name: "crew", Membership: membership.Certificates(by), Issuer: by, Access: rights})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.anns.Membership().Member(); err != nil {
		t.Fatalf("the founder: %v", err)
	}
	time.Sleep(time.Second)
	c.bobs = w.join(c.bob, "crew", peergroup.JoinConfig{Invitation: c.invite(c.bob)})
	if err := c.bobs.Membership().Member(); err != nil {
		t.Fatalf("the invited: %v", err)
	}
	return c
}

func (c *guild) invite(p *peergroup.Peer) []byte {
	c.t.Helper()
	key, err := membership.ReadRequest(membership.Request(p.Identity()))
	if err != nil {
		c.t.Fatal(err)
	}
	b, err := c.anns.Membership().Invite(key, p.Name(), 30*24*time.Hour)
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

// TestCertificateGroup: members are served, whoever shows nothing or something that is
// not his is not, and each reason is counted.
func TestCertificateGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newGuild(t, xmldoc.Node{})
		answer(t, c.anns)
		if n, err := ask(t, c.bobs); n != 1 || err != nil {
			t.Fatalf("%d answers for a member, %v", n, err)
		}
		bobShows, err := c.bobs.Membership().Default().Node()
		if err != nil {
			t.Fatal(err)
		}
		doc, err := bobShows.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		eve := c.edge("eve")
		sign := func(g id.Group) xmldoc.Node {
			x, err := credential.Sign(eve.Identity(), g)
			if err != nil {
				t.Fatal(err)
			}
			n, err := x.Node()
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		forged, err := xmldoc.ParseNode([]byte(strings.Replace(string(doc), c.bob.ID().String(), eve.ID().String(), 1)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := eve.Endpoint().Dial(t.Context(), endpoint.MustParseAddress("mem://ann")); err != nil {
			t.Fatal(err)
		}
		for _, x := range []struct {
			what, counter string
			shown         xmldoc.Node
		}{
			{"nothing", "refused_absent", xmldoc.Node{}},
			{"another's, played back", "refused_other_peer", bobShows},
			{"another's, with the own name", "refused_forged", forged},
			{"self-signed", "refused_issuer", sign(c.anns.ID())},
			{"of another group", "refused_other_group", sign(id.NetGroup)},
		} {
			before, answered := tally(t, c.anns, "membership", x.counter), tally(t, c.anns, "resolver", "dropped_denied")
			body, err := xmldoc.Marshal(&word{"let me in"})
			if err != nil {
				t.Fatal(err)
			}
			q := &resolver.RawQuery{Handler: echo.Name(), ID: 1_000_000_001, Source: eve.ID(), Credential: x.shown, Body: string(body)}
			printed, err := xmldoc.Marshal(q)
			if err != nil {
				t.Fatal(err)
			}
			param := c.anns.ID().Unique() + "ORes"
			scope := eve.Endpoint().Scope(c.anns.ID())
			msg := message.New(message.XML(message.Platform, param, printed))
			if err := scope.Send(t.Context(), c.ann.ID(), id.ClassResolver.String(), param, msg); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if n := tally(t, c.anns, "membership", x.counter); n != before+1 {
				t.Errorf("%s: %s went up by %d", x.what, x.counter, n-before)
			}
			if n := tally(t, c.anns, "resolver", "dropped_denied"); n != answered+1 {
				t.Errorf("%s: was taken", x.what)
			}
		}
	})
}

// TestPipesOfMembers: messages are taken from members alone, on both kinds of pipes.
func TestPipesOfMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newGuild(t, xmldoc.Node{})
		for _, kind := range []advertisements.PipeType{advertisements.Unicast, advertisements.Propagate} {
			adv := advertisements.NewPipe(c.anns.ID(), "chat", kind)
			in, err := c.anns.Pipes().Listen(t.Context(), adv)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			out, err := c.bobs.Pipes().Dial(t.Context(), adv)
			if err != nil {
				t.Fatal(err)
			}
			if err := out.Send(t.Context(), message.New(message.Text("", "x", "hello"))); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			m, err := in.Receive(ctx)
			cancel()
			if err != nil || m.From != c.bob.ID() || m.Len() != 1 {
				t.Fatalf("%s: %v, %v", kind, m, err)
			}
		}
		// A stranger in a group of the same ID without rules.
		open := c.anns.Advertisement().Clone()
		open.Services, open.Spec = nil, id.SpecGenericGroup
		eve := c.edge("eve")
		eves, err := eve.Net().Join(t.Context(), open)
		if err != nil {
			t.Fatal(err)
		}
		if err := eves.Rendezvous().WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		adv := advertisements.NewPipe(c.anns.ID(), "wave", advertisements.Propagate)
		in, err := c.anns.Pipes().Listen(t.Context(), adv)
		if err != nil {
			t.Fatal(err)
		}
		out, err := eves.Pipes().Dial(t.Context(), adv)
		if err != nil {
			t.Fatal(err)
		}
		if err := out.Send(t.Context(), message.New(message.Text("", "x", "spam"))); err != nil {
			t.Fatal(err)
		}
		one := advertisements.NewPipe(c.anns.ID(), "one", advertisements.Unicast)
		ones, err := c.anns.Pipes().Listen(t.Context(), one)
		if err != nil {
			t.Fatal(err)
		}
		straight, err := eves.Pipes().Bind(one, c.ann.ID())
		if err != nil {
			t.Fatal(err)
		}
		if err := straight.Send(t.Context(), message.New(message.Text("", "x", "spam"))); err != nil {
			t.Fatal(err)
		}
		for _, in := range []*pipe.Input{in, ones} {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if m, err := in.Receive(ctx); err == nil {
				t.Errorf("a stranger's message on %s: %v", in.Pipe().Name, m)
			}
			cancel()
		}
		if n := tally(t, c.anns, "pipe", "dropped_denied"); n != 2 {
			t.Errorf("%d counted", n)
		}
	})
}

// TestStreamsOfMembers: a stream, whose way back nobody asks for, goes on in both
// directions.
func TestStreamsOfMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newGuild(t, access.Certificates())
		adv := advertisements.NewPipe(c.anns.ID(), "stream", advertisements.Unicast)
		l, err := c.anns.Sockets().Listen(t.Context(), adv)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(conn, conn)
			_ = conn.Close()
		}()
		time.Sleep(time.Second)
		conn, err := c.bobs.Sockets().Dial(t.Context(), adv)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := conn.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 5)
			if _, err := io.ReadFull(conn, b); err != nil || string(b) != "hello" {
				t.Fatalf("%q, %v", b, err)
			}
			time.Sleep(time.Hour)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestRevokedWithinAMinute: the revoked and the others hear of it, and so does who was
// not there.
func TestRevokedWithinAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newGuild(t, xmldoc.Node{})
		carol := c.edge("carol")
		carols := c.join(carol, "crew", peergroup.JoinConfig{Invitation: c.invite(carol)})
		answer(t, carols)
		adv := advertisements.NewPipe(c.anns.ID(), "chat", advertisements.Unicast)
		in, err := carols.Pipes().Listen(t.Context(), adv)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		out, err := c.bobs.Pipes().Dial(t.Context(), adv)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := ask(t, c.bobs); n != 1 || err != nil {
			t.Fatalf("%d answers, %v", n, err)
		}
		for _, x := range c.anns.Membership().Issued() {
			if x.Subject.CommonName != "bob" {
				continue
			}
			if err := c.anns.Membership().Revoke(x); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(59 * time.Second)
		if err := c.bobs.Membership().Member(); !errors.Is(err, membership.ErrNotMember) {
			t.Errorf("the revoked has not heard: %v", err)
		}
		if _, n := carols.Membership().Export(); n != 1 {
			t.Error("another member has not heard")
		}
		if _, err := ask(t, c.bobs); !errors.Is(err, membership.ErrNotMember) {
			t.Errorf("the revoked asks: %v", err)
		}
		_ = out.Send(t.Context(), message.New(message.Text("", "x", "still here")))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if m, err := in.Receive(ctx); err == nil {
			t.Errorf("a message of the revoked: %v", m)
		}
		if n := tally(t, carols, "pipe", "dropped_denied"); n != 1 {
			t.Errorf("%d messages refused", n)
		}
		if n := tally(t, carols, "membership", "revoked"); n != 1 {
			t.Errorf("%d certificates revoked", n)
		}
		dave := c.edge("dave")
		daves := c.join(dave, "crew", peergroup.JoinConfig{Invitation: c.invite(dave)})
		time.Sleep(2 * time.Second)
		if _, n := daves.Membership().Export(); n != 1 {
			t.Error("a new member has not heard")
		}
	})
}

// TestRights: a list says who of the members may do what.
func TestRights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rights, err := access.Rights(map[string][]string{access.ResolverQuery: {"carol"}})
		if err != nil {
			t.Fatal(err)
		}
		c := newGuild(t, rights)
		answer(t, c.anns)
		if n, _ := ask(t, c.bobs); n != 0 {
			t.Error("a member was answered who may not ask")
		}
		if tally(t, c.anns, "access", "denied_list") == 0 {
			t.Error("not counted")
		}
		carol := c.edge("carol")
		if n, err := ask(t, c.join(carol, "crew", peergroup.JoinConfig{Invitation: c.invite(carol)})); n != 1 || err != nil {
			t.Errorf("%d answers, %v", n, err)
		}
		// What is not on the list every member may do.
		adv := advertisements.NewPipe(c.anns.ID(), "chat", advertisements.Unicast)
		if err := c.anns.Discovery().Publish(t.Context(), adv, discovery.Lifetime{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := c.bobs.Discovery().FindOne(ctx, discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: "chat"}); err != nil {
			t.Error(err)
		}
	})
}

// TestCallsOfMembers: a list says whose calls a service of the group takes.
func TestCallsOfMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rights, err := access.Rights(map[string][]string{access.ModuleCall: {"carol"}})
		if err != nil {
			t.Fatal(err)
		}
		c := newGuild(t, rights)
		carol := c.edge("carol")
		carols := c.join(carol, "crew", peergroup.JoinConfig{Invitation: c.invite(carol)})
		service := peergroup.DefineService[*word, *word](id.NewModuleSpec(id.NewModuleClass()), "echo")
		if err := service.Serve(t.Context(), c.anns, func(_ context.Context, r peergroup.Request[*word]) (*word, error) { return r.Body, nil }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for who, x := range map[*peergroup.Group]bool{carols: true, c.bobs: false} {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			r, _, err := service.Call(ctx, who, &word{"hello"})
			cancel()
			if (err == nil) != x || x && r.Text != "hello" {
				t.Errorf("%s: %v, %v, want %t", who.PeerName(), r, err, x)
			}
		}
		if tally(t, c.anns, "access", "denied_list") == 0 {
			t.Error("not counted")
		}
	})
}

// TestRuledGroupIsPublished: with its rules, and with implementations for Juxta and Java.
func TestRuledGroupIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newGuild(t, access.Certificates())
		adv := c.bobs.Advertisement()
		if adv.Spec == id.SpecGenericGroup || adv.Spec.Class() != id.ClassPeerGroup {
			t.Errorf("its specification is %s", adv.Spec)
		}
		if c.bobs.Membership().Kind() != membership.Certificate || c.bobs.Access().Kind() != access.Certificate {
			t.Errorf("%s, %s", c.bobs.Membership().Kind(), c.bobs.Access().Kind())
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		bindings := map[string]bool{}
		for found, err := range c.bob.Net().Discovery().Find(ctx, discovery.Query{Kind: advertisements.Advs, Attr: "MSID", Value: adv.Spec.String()}) {
			if err != nil {
				t.Fatal(err)
			}
			mia, ok := found.Adv.(*advertisements.ModuleImpl)
			if !ok {
				continue
			}
			how, _ := mia.Compatibility()
			specs := map[id.ModuleSpec]bool{}
			for m := range mia.Modules() {
				specs[m.Spec] = true
			}
			bindings[how.Binding] = specs[id.SpecMembershipPSE] && specs[id.SpecAccessPSE] && specs[id.SpecResolver]
		}
		if len(bindings) != 2 || !bindings[advertisements.JuxtaBinding] || !bindings[advertisements.JavaBinding] {
			t.Errorf("%v", bindings)
		}
		if _, err := c.ann.Net().Create(t.Context(), peergroup.Spec{Name: "x", Membership: xmldoc.NewNode("Parm", "", xmldoc.NewNode("RootCert", ""))}); !errors.Is(err, membership.ErrMalformed) {
			t.Errorf("a group with rules that make no sense: %v", err)
		}
	})
}

// TestMemberComesBack: with its home a member is one again, and a founder can invite.
func TestMemberComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		home := t.TempDir()
		i, err := identity.New(identity.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		cfg := peergroup.Config{Name: "ann", Home: home, Identity: i, Seeds: []string{"mem://r"}}
		by, err := membership.NewIssuer("crew", identity.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		ann := w.start(cfg)
		g, err := ann.Net().Create(t.Context(), peergroup.Spec{Name: "crew", Membership: membership.Certificates(by), Issuer: by})
		if err != nil {
			t.Fatal(err)
		}
		adv := g.Advertisement()
		if err := ann.Close(); err != nil {
			t.Fatal(err)
		}
		err = filepath.WalkDir(filepath.Join(home, "groups"), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := os.Stat(path)
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Name = "ann2"
		again, err := w.start(cfg).Net().Join(t.Context(), adv)
		if err != nil {
			t.Fatal(err)
		}
		if m := again.Membership(); m.Member() != nil || !m.CanInvite() || len(m.Issued()) != 1 {
			t.Errorf("%v, %t, %d", m.Member(), m.CanInvite(), len(m.Issued()))
		}
	})
}
