package jxsetest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/membership"
	"github.com/juxta-p2p/juxta/protocols/discovery"
)

// groupTime bounds what a group takes to come together: Java peers look for its
// rendezvous on a tick, and for documents with pauses.
const groupTime = 90 * time.Second

// findGroup finds a group's advertisement, asking again and again.
func findGroup(t *testing.T, g *peergroup.Group, gid string) *advertisements.Group {
	t.Helper()
	ctx := within(t, groupTime)
	for ctx.Err() == nil {
		short, cancel := context.WithTimeout(ctx, 3*time.Second)
		r, err := g.Discovery().FindOne(short, discovery.Query{Kind: advertisements.Groups, Attr: "GID", Value: gid})
		cancel()
		if err == nil {
			return r.Adv.(*advertisements.Group)
		}
	}
	t.Fatalf("the group %s is not found", gid)
	return nil
}

// talk sends messages both ways over a pipe of each type in a group.
func talk(t *testing.T, j *javaPeer, g *peergroup.Group) {
	t.Helper()
	gid := g.ID().String()
	for _, kind := range []advertisements.PipeType{advertisements.Unicast, advertisements.Propagate} {
		there := advertisements.NewPipe(g.ID(), "there "+string(kind), kind)
		here := advertisements.NewPipe(g.ID(), "here "+string(kind), kind)
		h := j.Do("inpipe", "group="+gid, "xml="+compact(t, there)).Text("pipe")
		in, err := g.Pipes().Listen(t.Context(), here)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		ctx := within(t, groupTime)
		var out interface {
			Send(ctx context.Context, m *message.Message) error
			Close()
		}
		for out == nil {
			o, err := g.Pipes().Dial(ctx, there)
			if err == nil {
				out = o
			} else if ctx.Err() != nil {
				t.Fatalf("%s: no pipe to the Java peer: %v", kind, err)
			}
		}
		defer out.Close()
		for n := 0; ; n++ { // until one arrives, since nobody may be connected yet
			if err := out.Send(ctx, message.New(message.Text("juxta", "n", fmt.Sprint(n+1)))); err != nil && ctx.Err() != nil {
				t.Fatalf("%s: to the Java peer: %v", kind, err)
			}
			if r := j.Do("waitpipe", "pipe="+h, "count=1", "timeout=2000"); r.Int("count") > 0 {
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("%s: the Java peer got nothing", kind)
			}
		}
		o := j.Do("outpipe", "group="+gid, "xml="+compact(t, here), "timeout=60000").Text("pipe")
		got := make(chan string, 1)
		go func() {
			if m, err := in.Receive(ctx); err == nil {
				got <- m.Message.Text("", "word")
			}
			close(got)
		}()
		for heard := false; !heard; {
			j.Do("sendtext", "pipe="+o, ":word=hello")
			select {
			case w, ok := <-got:
				if !ok || w != "hello" {
					t.Fatalf("%s: the Java peer's message: %q", kind, w)
				}
				heard = true
			case <-time.After(2 * time.Second):
			}
		}
	}
}

// inGroup waits until a peer has a lease in a group, or grants one.
func inGroup(t *testing.T, g *peergroup.Group) {
	t.Helper()
	if err := g.Rendezvous().WaitConnected(within(t, groupTime)); err != nil {
		t.Fatalf("%s in %s: %v", g.PeerName(), g.Name(), err)
	}
}

// TestJavaGroup: a group that a Java peer has made, with none of the memberships, is
// found and joined, and both talk in it and find what the other publishes there.
func TestJavaGroup(t *testing.T) {
	r := startGo(t, peergroup.Config{Name: "r", Roles: peergroup.Roles{Rendezvous: true}})
	j := startJava(t, "java", "edge", "seeds="+address(r))
	j.Do("waitrdv")
	made := j.Do("creategroup", "name=crew", "desc=those who sail", "rdv=true")
	a := startGo(t, peergroup.Config{Name: "a"}, address(r))
	connected(t, a)
	adv := findGroup(t, a.Net(), made.Text("groupid"))
	if adv.Name != "crew" || adv.Desc != "those who sail" {
		t.Errorf("found %q, %q", adv.Name, adv.Desc)
	}
	g, err := a.Net().Join(within(t, groupTime), adv)
	if err != nil {
		t.Fatal(err)
	}
	inGroup(t, g)
	talk(t, j, g)
	// Advertisements within it, both ways.
	pipe := advertisements.NewPipe(g.ID(), "chart", advertisements.Unicast)
	if err := g.Discovery().Publish(t.Context(), pipe, discovery.Lifetime{}); err != nil {
		t.Fatal(err)
	}
	if n := j.Do("search", "group="+g.ID().String(), "kind=adv", "attr=Name", "value=chart", "want=1", "timeout=60000", "repeat=2000").Int("count"); n == 0 {
		t.Error("the Java peer does not find what is published in its group")
	}
	j.Do("publish", "group="+g.ID().String(), "type=pipe", "name=log")
	if _, err := g.Discovery().FindOne(within(t, groupTime), discovery.Query{Kind: advertisements.Advs, Attr: "Name", Value: "log"}); err != nil {
		t.Errorf("what the Java peer publishes in its group: %v", err)
	}
	// And a group within the group.
	child, err := g.Create(within(t, groupTime), peergroup.Spec{Name: "watch"})
	if err != nil {
		t.Fatal(err)
	}
	joined := j.Do("joingroup", "group="+g.ID().String(), "groupid="+child.ID().String())
	if joined.Text("groupid") != child.ID().String() {
		t.Errorf("the Java peer joined %s", joined.Text("groupid"))
	}
}

// TestJuxtaGroup: the reverse. The Java peer finds the group and how it is implemented.
func TestJuxtaGroup(t *testing.T) {
	r := startGo(t, peergroup.Config{Name: "r", Roles: peergroup.Roles{Rendezvous: true}})
	a := startGo(t, peergroup.Config{Name: "a"}, address(r))
	connected(t, a)
	g, err := a.Net().Create(t.Context(), peergroup.Spec{Name: "crew", Description: "those who sail"})
	if err != nil {
		t.Fatal(err)
	}
	j := startJava(t, "java", "edge", "seeds="+address(r))
	j.Do("waitrdv")
	joined := j.Do("joingroup", "groupid="+g.ID().String())
	if joined.Text("name") != "crew" {
		t.Errorf("joined %q", joined.Text("name"))
	}
	j.Do("waitrdv", "group="+g.ID().String(), "timeout=120000")
	talk(t, j, g)
}

// TestJuxtaGroupWithServices: a group with a module that no Java peer has is joined all the
// same, by the implementation that is published for it.
func TestJuxtaGroupWithServices(t *testing.T) {
	spec := id.NewModuleSpec(id.NewModuleClass())
	r := startGo(t, peergroup.Config{Name: "r", Roles: peergroup.Roles{Rendezvous: true}})
	a := startGo(t, peergroup.Config{Name: "a", Implementations: map[id.ModuleSpec]peergroup.Implementation{spec: silent()}}, address(r))
	connected(t, a)
	g, err := a.Net().Create(t.Context(), peergroup.Spec{Name: "crew", Services: []peergroup.GroupService{{Spec: spec}}})
	if err != nil {
		t.Fatal(err)
	}
	j := startJava(t, "java", "edge", "seeds="+address(r))
	j.Do("waitrdv")
	j.Do("joingroup", "groupid="+g.ID().String())
	j.Do("waitrdv", "group="+g.ID().String(), "timeout=120000")
	talk(t, j, g)
	// What it is made of is to be read there.
	found := j.Do("search", "kind=adv", "attr=MSID", "value="+g.Advertisement().Spec.String(), "want=2", "timeout=30000", "repeat=2000")
	if found.Int("count") < 1 {
		t.Error("the Java peer finds no implementation")
	}
}

// TestPasswordOfAJavaGroup: a group with passwords that a Java peer has made takes a Juxta
// peer that knows one, and the Java peer reads its credential.
func TestPasswordOfAJavaGroup(t *testing.T) {
	r := startGo(t, peergroup.Config{Name: "r", Roles: peergroup.Roles{Rendezvous: true}})
	j := startJava(t, "java", "edge", "seeds="+address(r))
	j.Do("waitrdv")
	made := j.Do("creategroup", "name=crew", "membership=passwd", "user=bob", "pass=FIFTEEN", "rdv=true")
	gid := made.Text("groupid")
	j.Do("auth", "group="+gid, "user=bob", "pass=FIFTEEN")
	a := startGo(t, peergroup.Config{Name: "a"}, address(r))
	connected(t, a)
	adv := findGroup(t, a.Net(), gid)
	apply := func(pass string) func(*membership.Authenticator) error {
		return func(x *membership.Authenticator) error {
			return x.Load(strings.NewReader("Identity: bob\nPassword: " + pass + "\n"))
		}
	}
	if g, err := a.Net().JoinWith(within(t, groupTime), adv, peergroup.JoinConfig{Apply: apply("WRONG")}); err == nil {
		g.Leave()
		t.Error("joined with a wrong password")
	}
	g, err := a.Net().JoinWith(within(t, groupTime), adv, peergroup.JoinConfig{Apply: apply("FIFTEEN")})
	if err != nil {
		t.Fatal(err)
	}
	inGroup(t, g)
	talk(t, j, g)
}

// TestPasswordOfAJuxtaGroup: the reverse; the Java peer becomes a member by its password.
func TestPasswordOfAJuxtaGroup(t *testing.T) {
	r := startGo(t, peergroup.Config{Name: "r", Roles: peergroup.Roles{Rendezvous: true}})
	a := startGo(t, peergroup.Config{Name: "a"}, address(r))
	connected(t, a)
	parm, err := membership.Passwords(map[string]string{"bob": "FIFTEEN", "ann": "MEN"})
	if err != nil {
		t.Fatal(err)
	}
	g, err := a.Net().Create(t.Context(), peergroup.Spec{Name: "crew", Membership: parm, Apply: func(x *membership.Authenticator) error {
		return x.Load(strings.NewReader("Identity: ann\nPassword: MEN\n"))
	}})
	if err != nil {
		t.Fatal(err)
	}
	j := startJava(t, "java", "edge", "seeds="+address(r))
	j.Do("waitrdv")
	gid := g.ID().String()
	joined := j.Do("joingroup", "groupid="+gid)
	if !strings.Contains(joined.Text("membership"), "Passwd") {
		t.Errorf("the Java peer's membership is %s", joined.Text("membership"))
	}
	if c := j.Do("auth", "group="+gid, "user=bob", "pass=FIFTEEN").Text("credential"); !strings.Contains(c, "PasswdCred") {
		t.Errorf("the Java peer's credential is %s", c)
	}
	j.Do("waitrdv", "group="+gid, "timeout=120000")
	talk(t, j, g)
}

// TestSharedKeyOfAJuxtaGroup: a group as JXSE's PSE makes them, of which members share the
// key, made by a Juxta peer and joined by a Java peer that knows the password.
func TestSharedKeyOfAJuxtaGroup(t *testing.T) {
	r := startGo(t, peergroup.Config{Name: "r", Roles: peergroup.Roles{Rendezvous: true}})
	a := startGo(t, peergroup.Config{Name: "a"}, address(r))
	connected(t, a)
	issuer, err := membership.NewIssuer("crew", identity.RSA2048)
	if err != nil {
		t.Fatal(err)
	}
	parm, err := membership.SharedKey(issuer, "FIFTEEN")
	if err != nil {
		t.Fatal(err)
	}
	g, err := a.Net().Create(t.Context(), peergroup.Spec{Name: "crew", Membership: parm, Apply: func(x *membership.Authenticator) error {
		return x.Load(strings.NewReader("Password: FIFTEEN\n"))
	}})
	if err != nil {
		t.Fatal(err)
	}
	j := startJava(t, "java", "edge", "seeds="+address(r))
	j.Do("waitrdv")
	gid := g.ID().String()
	joined := j.Do("joingroup", "groupid="+gid)
	t.Logf("membership %s", joined.Text("membership"))
	auth := j.Do("auth", "group="+gid, "pass=FIFTEEN")
	if c := auth.Text("credential"); !strings.Contains(c, "PSECred") {
		t.Errorf("the Java peer's credential is %s", c)
	}
}

// TestSharedKeyOfAJavaGroup: the reverse; a Juxta peer opens the group's key by the password.
func TestSharedKeyOfAJavaGroup(t *testing.T) {
	r := startGo(t, peergroup.Config{Name: "r", Roles: peergroup.Roles{Rendezvous: true}})
	j := startJava(t, "java", "edge", "seeds="+address(r))
	j.Do("waitrdv")
	issuer, err := membership.NewIssuer("crew", identity.RSA2048)
	if err != nil {
		t.Fatal(err)
	}
	parm, err := membership.SharedKey(issuer, "FIFTEEN")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := parm.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	made := j.Do("creategroup", "name=crew", "membership=pse", "parm="+string(doc), "rdv=true")
	gid := made.Text("groupid")
	if c := j.Do("auth", "group="+gid, "pass=FIFTEEN").Text("credential"); !strings.Contains(c, "PSECred") {
		t.Errorf("the Java peer's credential is %s", c)
	}
	a := startGo(t, peergroup.Config{Name: "a"}, address(r))
	connected(t, a)
	adv := findGroup(t, a.Net(), gid)
	g, err := a.Net().JoinWith(within(t, groupTime), adv, peergroup.JoinConfig{Apply: func(x *membership.Authenticator) error {
		return x.Load(strings.NewReader("Password: FIFTEEN\n"))
	}})
	if err != nil {
		t.Fatal(err)
	}
	inGroup(t, g)
	talk(t, j, g)
}

// TestSignedAdvertisementAtJava: a Java peer finds an advertisement that a Juxta peer with an
// RSA key has signed, and its classes read it; and module advertisements of ours.
func TestSignedAdvertisementAtJava(t *testing.T) {
	key, err := identity.New(identity.RSA2048)
	if err != nil {
		t.Fatal(err)
	}
	r := startGo(t, peergroup.Config{Name: "r", Roles: peergroup.Roles{Rendezvous: true}, Identity: key})
	j := startJava(t, "java", "edge", "seeds="+address(r))
	j.Do("waitrdv")
	signed, err := r.Net().Sign(advertisements.NewPipe(id.NetGroup, "sealed orders", advertisements.Unicast))
	if err != nil {
		t.Fatal(err)
	}
	got := j.Do("parse", "xml="+compact(t, signed))
	if got.Text("advtype") != "jxta:SA" || !strings.Contains(got.Text("inner"), "sealed orders") || got.Text("signer") != r.ID().String() {
		t.Errorf("Java reads it as %v", got)
	}
	if err := r.Net().Discovery().Publish(t.Context(), signed, discovery.Lifetime{}); err != nil {
		t.Fatal(err)
	}
	seen := ""
	for _, x := range j.Do("search", "kind=adv", "want=1", "timeout=20000", "repeat=2000").Records("results") {
		seen += x.Text("xml")
	}
	if !strings.Contains(seen, "sealed orders") {
		t.Errorf("the Java peer finds %q", seen)
	}
	class := id.NewModuleClass()
	for _, adv := range []advertisements.Advertisement{
		&advertisements.ModuleClass{ID: class, Name: "soundings", Desc: "depth of the sea"},
		&advertisements.ModuleSpec{ID: id.NewModuleSpec(class), Name: "soundings", Creator: "ann", URI: "http://example.invalid/s", Version: "1"},
	} {
		if err := r.Net().Discovery().Publish(t.Context(), adv, discovery.Lifetime{}); err != nil {
			t.Fatal(err)
		}
	}
	found := j.Do("search", "kind=adv", "attr=Name", "value=soundings", "want=2", "timeout=30000", "repeat=2000")
	if found.Int("count") < 2 {
		t.Errorf("the Java peer finds %d of two module advertisements", found.Int("count"))
	}
}

// silent is a module that does nothing.
func silent() peergroup.Implementation {
	return peergroup.Implementation{Name: "quiet", New: func(xmldoc.Node) (peergroup.Module, error) { return muted{}, nil }}
}

type muted struct{}

func (muted) Start(context.Context, *peergroup.Group) error { return nil }
