package main_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup/jxsetest"
)

// openJava starts an original peer on loopback and returns its address.
func openJava(t *testing.T, name, role string, args ...string) (j *jxsetest.Java, url string) {
	t.Helper()
	j = jxsetest.Start(t)
	r := j.Do("start", append([]string{"name=" + name, "role=" + role, "home=" + t.TempDir(), fmt.Sprintf("port=%d", jxsetest.FreePort(t))}, args...)...)
	return j, r.Text("address")
}

// pipe returns the advertisement of a pipe of that name, as the original peer finds it.
func pipeAtJava(t *testing.T, j *jxsetest.Java, name string) string {
	t.Helper()
	r := j.Do("search", "kind=adv", "attr=Name", "value="+name, "want=1", "repeat=1000", "timeout=20000")
	found := r.Records("results")
	if len(found) == 0 {
		t.Fatalf("the original peer does not find %s: %v", name, r)
	}
	return "xml=" + found[0].Text("xml")
}

// pushed is when an original peer has told of what it publishes, at the latest: it does so
// every 30 s, and what it says in between may be lost.
const pushed = 45 * time.Second

// meetJava has the shell and an original peer do together what shells do.
func meetJava(t *testing.T, ann *shell, j *jxsetest.Java) {
	// Each finds what the other has published.
	j.Do("publish", "type=pipe", "name=java-wall", "remote=true")
	if o := ann.until(time.Now().Add(patience), "search -r -w 500ms -a Name -v java-wall", named("java-wall")); o.text("type") != "JxtaUnicast" {
		t.Errorf("found %v", o)
	}
	ann.must("newpipe --publish juxta-wall")
	pipeAtJava(t, j, "juxta-wall")

	// talk, both ways.
	ann.must("talk -w 1s -register ann; talk -login ann")
	out := j.Do("outpipe", pipeAtJava(t, j, "JxtaTalkUserName.ann")).Text("pipe")
	j.Do("sendtext", "pipe="+out, ":JxtaTalkSenderName=jim", ":JxtaTalkSenderMessage=hello from Java", ":GrpName=NetPeerGroup")
	ann.hearsTalk("jim", "hello from Java")
	xml := j.Do("publish", "type=pipe", "name=JxtaTalkUserName.jim", "remote=true").Text("xml")
	in := j.Do("inpipe", "xml="+xml, "events=true").Text("pipe")
	known := func(o object) bool { return o.text("user") == "jim" }
	ann.until(time.Now().Add(pushed), "talk -search -w 500ms", known)
	ann.must("talk jim hello from Go")
	j.Await("message", patience, func(r jxsetest.Record) bool {
		said := map[string]string{}
		for _, e := range r.Records("elements") {
			said[e.Text("name")] = e.Text("text")
		}
		return r.Text("pipe") == in && said["JxtaTalkSenderName"] == "ann" && said["JxtaTalkSenderMessage"] == "hello from Go" && said["GrpName"] != ""
	})

	// xfer, both ways, octet for octet.
	dir := t.TempDir()
	content := make([]byte, 300_000)
	for i := range content {
		content[i] = byte(rand.Uint32())
	}
	file := filepath.Join(dir, "bytes.bin")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	same := func(path string) {
		t.Helper()
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s has %d octets, other ones, %v", path, len(got), err)
		}
	}
	ann.must(fmt.Sprintf("xfer -w 1s register ann; xfer login -o '%s' ann", filepath.Join(dir, "ann")))
	out = j.Do("outpipe", pipeAtJava(t, j, "JxtaXferUserName.ann")).Text("pipe")
	j.Do("filesend", "pipe="+out, "file="+file, "user=jim")
	ann.hears("of the file", func(o object) bool {
		n := o.within("notice")
		return n.text("name") == "bytes.bin" && n.text("from") == "jim" && n["octets"] == float64(len(content))
	})
	same(filepath.Join(dir, "ann", "bytes.bin"))
	xml = j.Do("publish", "type=pipe", "name=JxtaXferUserName.jim", "remote=true").Text("xml")
	taken := t.TempDir()
	j.Do("filetake", "xml="+xml, "dir="+taken)
	ann.until(time.Now().Add(pushed), "xfer search -w 500ms", known)
	sent := ann.must(fmt.Sprintf("xfer send -b 20000 jim '%s'", file))
	if len(sent) != 1 || sent[0].text("arrived") != "unknown" {
		t.Errorf("sent: %v", sent)
	}
	got := j.Await("file", patience, func(r jxsetest.Record) bool { return r.Text("name") == "bytes.bin" })
	if got.Text("user") != "ann" || got.Int("block") != 20000 {
		t.Errorf("the original peer got %v", got)
	}
	same(filepath.Join(taken, "bytes.bin"))

	// Original peers do not answer questions how they are, and are seen none the less.
	if _, status := ann.do("peers -r -w 1s; peerinfo -w 1s jim"); status != "3" {
		t.Errorf("peerinfo of an original peer: status %s", status)
	}
	ann.until(time.Now().Add(patience), "peers -r -w 500ms", named("jim"))
	// They ask, though, and are answered.
	whoami := ann.must("whoami")[0]
	r := j.Do("query", "handler="+id.ClassPeerInfo.String(), "takeover=true", "peer="+whoami.text("peer_id"), "text="+
		fmt.Sprintf(`<?xml version="1.0"?>`+"\n"+`<!DOCTYPE jxta:PeerInfoQueryMessage>`+"\n"+`<jxta:PeerInfoQueryMessage xmlns:jxta="http://jxta.org"><sourcePid>%s</sourcePid><targetPid>%s</targetPid></jxta:PeerInfoQueryMessage>`,
			j.Do("self").Text("peerid"), whoami.text("peer_id")))
	if r.Int("count") != 1 || !bytes.Contains([]byte(r.Records("results")[0].Text("text")), []byte("<uptime>")) {
		t.Errorf("the original peer asked how ann is: %v", r)
	}
}

// TestJavaRendezvous: the shell at a rendezvous that is an original peer.
func TestJavaRendezvous(t *testing.T) {
	jxsetest.Require(t)
	j, url := openJava(t, "jim", "rendezvous")
	ann, _ := openEdge(t, "ann", url)
	meetJava(t, ann, j)
}

// TestJavaEdge: an original peer at a rendezvous that is the shell.
func TestJavaEdge(t *testing.T) {
	jxsetest.Require(t)
	ann, url := openRendezvous(t, "ann")
	_, port, _ := strings.Cut(url, "://")
	j, _ := openJava(t, "jim", "edge", "seeds=tcp://"+port)
	j.Do("waitrdv")
	meetJava(t, ann, j)
}
