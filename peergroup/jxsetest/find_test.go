package jxsetest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/jxsetest"
	"github.com/juxta-p2p/juxta/protocols/discovery"
)

// odd is text that XML has to escape, that UTF-8 writes with two, three and four
// octets, and that Java keeps in two characters each.
const odd = `R&D <b>"five" 'n' ]]> größer 漢字かな 한글 🚀👩‍🚀`

// written looks like markup. JXSE turns it into what it looks like in
// descriptions (it copies them as text and reads them as XML), though not in
// names.
const written = ` &amp; &lt;i>`

// sought is an advertisement and how to search for it.
type sought struct {
	what          string // document type
	kind          advertisements.Kind
	javaKind      string
	attr, pattern string
	name, desc    string
	doc           string  // compact; empty if only name and description count
	at            id.Peer // to be asked for it; zero for the group
}

// field picks the texts out of an advertisement that a search must bring intact.
func field(adv advertisements.Advertisement) (name, desc string) {
	switch a := adv.(type) {
	case *advertisements.Peer:
		return a.Name, a.Desc
	case *advertisements.Group:
		return a.Name, a.Desc
	case *advertisements.Pipe:
		return a.Name, a.Desc
	case *advertisements.ModuleClass:
		return a.Name, a.Desc
	case *advertisements.ModuleSpec:
		return a.Name, a.Desc
	case *advertisements.ModuleImpl:
		return "", a.Desc
	}
	return fmt.Sprintf("%T", adv), ""
}

// collection makes one advertisement of each type, with tag in front of the name.
func collection(tag string) []advertisements.Advertisement {
	class := id.NewModuleClass()
	spec := id.NewModuleSpec(class)
	desc := "described: " + odd
	pipe := advertisements.NewPipe(id.NetGroup, tag+"-pipe "+odd+written, advertisements.Unicast)
	pipe.Desc = desc
	return []advertisements.Advertisement{
		&advertisements.Peer{ID: id.NewPeer(id.NetGroup), Group: id.NetGroup, Name: tag + "-peer " + odd + written, Desc: desc},
		&advertisements.Group{ID: id.NewGroup(id.NetGroup), Spec: id.SpecGenericGroup, Name: tag + "-group " + odd + written, Desc: desc},
		pipe,
		&advertisements.ModuleClass{ID: class, Name: tag + "-class " + odd + written, Desc: desc},
		&advertisements.ModuleSpec{
			ID: spec, Name: tag + "-spec " + odd + written, Desc: desc, Creator: odd, URI: "http://example.org/?a=1&b=2", Version: "1.0",
		},
		&advertisements.ModuleImpl{
			Spec: spec, Desc: desc, Comp: advertisements.JuxtaCompatibility().Node(), Code: "example", Provider: odd,
		},
	}
}

// seek tells how each advertisement of a collection is searched.
func seek(t *testing.T, all []advertisements.Advertisement, tag string) []sought {
	t.Helper()
	var list []sought
	for _, adv := range all {
		s := sought{
			what: adv.DocType(), kind: advertisements.KindOf(adv), attr: "Name", pattern: tag + "-*", doc: compact(t, adv),
		}
		s.name, s.desc = field(adv)
		if impl, ok := adv.(*advertisements.ModuleImpl); ok {
			u := impl.Spec.String()
			s.attr, s.pattern = "MSID", u[:len(u)-8]+"*"
		}
		s.javaKind = map[advertisements.Kind]string{
			advertisements.Peers: "peer", advertisements.Groups: "group", advertisements.Advs: "adv",
		}[s.kind]
		list = append(list, s)
	}
	return list
}

// javaCollection publishes one advertisement of each type at a Java peer.
func javaCollection(t *testing.T, j *javaPeer, tag string) []sought {
	t.Helper()
	var all []advertisements.Advertisement
	desc := "described: " + odd
	spec := id.NewModuleSpec(id.NewModuleClass())
	for _, typ := range []string{"peer", "group", "pipe", "module", "modulespec", "moduleimpl"} {
		args := []string{"type=" + typ, "name=" + tag + "-" + typ + " " + odd + written, "desc=" + desc, "creator=" + odd}
		if typ == "moduleimpl" {
			args = append(args, "msid="+spec.String(), "provider="+odd)
		}
		r := j.Do("publish", args...)
		adv, err := advertisements.Standard().Parse([]byte(r.Text("xml")))
		if err != nil {
			t.Fatalf("%s published by Java: %v", typ, err)
		}
		name, d := field(adv)
		if d != desc || typ != "moduleimpl" && name != tag+"-"+typ+" "+odd+written {
			t.Errorf("%s published by Java has name %q and description %q", typ, name, d)
		}
		all = append(all, adv)
	}
	return seek(t, all, tag)
}

// javaFinds has a Java peer search for each of them and returns how many came
// intact.
func javaFinds(t *testing.T, j *javaPeer, list []sought, args ...string) int {
	t.Helper()
	n := 0
	for _, s := range list {
		r := j.Do("search", append([]string{
			"kind=" + s.javaKind, "attr=" + s.attr, "value=" + s.pattern, "want=1", "repeat=2000", "timeout=15000",
		}, args...)...)
		if javaHas(t, r, s) {
			n++
		} else {
			t.Errorf("Java did not find %s by %s=%s in %d ms", s.what, s.attr, s.pattern, r.Int("ms"))
		}
	}
	return n
}

func javaHas(t *testing.T, r jxsetest.Record, s sought) bool {
	t.Helper()
	for _, x := range r.Records("results") {
		adv, err := advertisements.Standard().Parse([]byte(x.Text("xml")))
		if err != nil {
			t.Errorf("%s printed by Java: %v", s.what, err)
			continue
		}
		if adv.DocType() != s.what {
			continue
		}
		if name, desc := field(adv); name != s.name || desc != s.desc {
			t.Errorf("Java read name %q and description %q, sent were %q and %q", name, desc, s.name, s.desc)
		}
		if got := compact(t, adv); s.doc != "" && got != s.doc {
			t.Errorf("%s changed:\n%s\nwas\n%s", s.what, got, s.doc)
		}
		return true
	}
	return false
}

// goFinds has a Juxta peer search for each of them, without looking into its own
// cache, and returns how many came intact.
func goFinds(t *testing.T, p *peergroup.Peer, list []sought, from id.Peer) int {
	t.Helper()
	n := 0
	for _, s := range list {
		if goHas(t, p, s, from) {
			n++
		} else {
			t.Errorf("%s did not find %s by %s=%s", p.Name(), s.what, s.attr, s.pattern)
		}
	}
	return n
}

// goHas asks again every 2 s, as an application would, since index entries may
// be on their way.
func goHas(t *testing.T, p *peergroup.Peer, s sought, from id.Peer) bool {
	t.Helper()
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		for r, err := range p.Net().Discovery().Find(ctx, discovery.Query{
			Kind: s.kind, Attr: s.attr, Value: s.pattern, RemoteOnly: true, Peer: s.at,
		}) {
			if err != nil {
				t.Error(err)
				return false
			}
			if r.Adv.DocType() != s.what {
				continue
			}
			if r.From != from {
				t.Errorf("%s came from %s, not from %s", s.what, r.From.Short(), from.Short())
			}
			if got := compact(t, r.Adv); s.doc != "" && got != s.doc {
				t.Errorf("%s changed:\n%s\nwas\n%s", s.what, got, s.doc)
			}
			return true
		}
	}
	return false
}

func publish(t *testing.T, p *peergroup.Peer, all ...advertisements.Advertisement) {
	t.Helper()
	for _, adv := range all {
		if err := p.Net().Discovery().Publish(t.Context(), adv, discovery.Lifetime{}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFindAtJavaRendezvous: with a Java rendezvous between them, Juxta and Java
// find each other's advertisements of every type by wildcard, texts intact.
func TestFindAtJavaRendezvous(t *testing.T) {
	t.Parallel()
	jr := startJava(t, "jr "+odd, "rendezvous")
	je := startJava(t, "je "+odd, "edge", "seeds="+jr.addr)
	ge := startGo(t, peergroup.Config{Name: "ge " + odd, Description: odd}, jr.addr)
	connected(t, ge)
	je.Do("waitrdv")

	mine := collection("ge")
	publish(t, ge, mine...)
	theirs := seek(t, mine, "ge")
	t.Logf("Java edge found %d of %d of a Juxta edge", javaFinds(t, je, theirs), len(theirs))
	t.Logf("Java rendezvous found %d of %d of a Juxta edge", javaFinds(t, jr, theirs), len(theirs))

	list := javaCollection(t, jr, "jr")
	t.Logf("Juxta edge found %d of %d of a Java rendezvous", goFinds(t, ge, list, jr.id), len(list))
	list = javaCollection(t, je, "je")
	je.Do("reconnect") // a new lease announces everything at once
	t.Logf("Juxta edge found %d of %d of a Java edge", goFinds(t, ge, list, je.id), len(list))

	// And the peers themselves. When JXSE announces its own advertisement is a
	// matter of chance, but it answers with it.
	self := seek(t, []advertisements.Advertisement{ge.Net().PeerAdvertisement()}, "")
	self[0].pattern, self[0].doc = "ge R&D <b>*", "" // Java turns attributes around in parameters
	t.Logf("Java edge found %d Juxta peer by name", javaFinds(t, je, self))
	self = []sought{ownAdvertisement(t, je)}
	self[0].pattern, self[0].at = "*漢字*", je.id
	t.Logf("Juxta edge found %d Java peer by name", goFinds(t, ge, self, je.id))
}

// ownAdvertisement is that of a Java peer, as it stands.
func ownAdvertisement(t *testing.T, j *javaPeer) sought {
	t.Helper()
	adv, err := advertisements.Standard().Parse([]byte(j.Do("self").Text("xml")))
	if err != nil {
		t.Fatal(err)
	}
	return seek(t, []advertisements.Advertisement{adv}, "")[0]
}

// TestFindAtGoRendezvous: the same with a Juxta rendezvous between them.
func TestFindAtGoRendezvous(t *testing.T) {
	t.Parallel()
	gr := startGo(t, peergroup.Config{Name: "gr", Roles: peergroup.Roles{Rendezvous: true}})
	je := startJava(t, "je", "edge", "seeds="+address(gr))
	ge := startGo(t, peergroup.Config{Name: "ge"}, address(gr))
	connected(t, ge)
	je.Do("waitrdv")

	mine := collection("ge")
	publish(t, ge, mine...)
	theirs := seek(t, mine, "ge")
	t.Logf("Java edge found %d of %d of a Juxta edge", javaFinds(t, je, theirs), len(theirs))
	mine = collection("gr")
	publish(t, gr, mine...)
	theirs = seek(t, mine, "gr")
	t.Logf("Java edge found %d of %d of a Juxta rendezvous", javaFinds(t, je, theirs), len(theirs))

	list := javaCollection(t, je, "je")
	je.Do("reconnect")
	t.Logf("Juxta edge found %d of %d of a Java edge", goFinds(t, ge, list, je.id), len(list))
	t.Logf("Juxta rendezvous found %d of %d of a Java edge", goFinds(t, gr, list, je.id), len(list))
}
