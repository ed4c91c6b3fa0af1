package jxsetest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/peerinfo"
	"github.com/juxta-p2p/juxta/protocols/routing"
)

// TestPeerInfo: a Juxta peer answers what a Java peer asks about it; a Java peer
// does not answer, which is told as such.
func TestPeerInfo(t *testing.T) {
	t.Parallel()
	gr := startGo(t, peergroup.Config{Name: "gr", Roles: peergroup.Roles{Rendezvous: true}})
	j := startJava(t, "je", "edge", "seeds="+address(gr))
	j.Do("waitrdv")

	question := fmt.Sprintf(`<?xml version="1.0"?>
<!DOCTYPE jxta:PeerInfoQueryMessage>
<jxta:PeerInfoQueryMessage xmlns:jxta="http://jxta.org">
	<sourcePid>
		%s
	</sourcePid>
	<targetPid>
		%s
	</targetPid>
</jxta:PeerInfoQueryMessage>
`, j.id, gr.ID())
	r := j.Do("query", "handler="+id.ClassPeerInfo.String(), "text="+question, "peer="+gr.ID().String(), "takeover=true")
	got := r.Records("results")
	if len(got) != 1 {
		t.Fatalf("%d answers", len(got))
	}
	doc, err := xmldoc.ParseNode([]byte(got[0].Text("text")))
	if err != nil {
		t.Fatal(err)
	}
	text := func(name string) string {
		c, _ := doc.Child(name)
		return xmldoc.Trim(c.Text())
	}
	up, err1 := strconv.ParseInt(text("uptime"), 10, 64)
	at, err2 := strconv.ParseInt(text("timestamp"), 10, 64)
	if doc.Name() != "jxta:PeerInfoResponseMessage" || text("sourcePid") != j.id.String() || text("targetPid") != gr.ID().String() ||
		err1 != nil || err2 != nil || up <= 0 || time.Duration(up)*time.Millisecond > time.Minute ||
		time.Since(time.UnixMilli(at)).Abs() > time.Minute {
		t.Errorf("the answer is %s", got[0].Text("text"))
	}
	t.Logf("Java was told an uptime of %d ms", up)

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	info, err := gr.Net().PeerInfo().Ask(ctx, j.id)
	if !errors.Is(err, peerinfo.ErrNoAnswer) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("asking Java: %+v, %v", info, err)
	}
}

// TestRouteFromJava: a Juxta edge that knows nothing of a Java edge but its ID
// asks a Java rendezvous for the way.
func TestRouteFromJava(t *testing.T) {
	t.Parallel()
	jr := startJava(t, "jr", "rendezvous")
	je := startJava(t, "je", "edge", "seeds="+jr.addr)
	ge := startGo(t, peergroup.Config{Name: "ge"}, jr.addr)
	connected(t, ge)
	je.Do("waitrdv")
	if slices.ContainsFunc(ge.Router().Routes(), func(r routing.Info) bool { return r.Peer == je.id }) {
		t.Fatal("the way is known before it is asked for")
	}
	adv := advertisements.NewPipe(ge.Net().ID(), "told", advertisements.Unicast)
	in := "pipe=" + je.Do("inpipe", "xml="+compact(t, adv)).Text("pipe")
	out, err := ge.Net().Pipes().Bind(adv, je.id) // asks nobody who listens
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	begin := time.Now()
	if err := out.Send(within(t, 2*soon), message.New(message.Text("juxta", "n", "1"))); err != nil {
		t.Fatal(err)
	}
	if n := je.Do("waitpipe", in, "count=1").Int("count"); n != 1 {
		t.Errorf("%d messages came", n)
	}
	t.Logf("the way was found and the message sent within %v", time.Since(begin).Round(time.Millisecond))
	// JXSE tells of its neighbours that they are, but not where.
	if !slices.ContainsFunc(ge.Router().Routes(), func(r routing.Info) bool {
		return r.Peer == je.id && slices.Equal(r.Hops, []id.Peer{jr.id})
	}) {
		t.Errorf("the ways known are %+v", ge.Router().Routes())
	}
}

// TestRouteFromGo: the reverse; a Java edge asks a Juxta rendezvous for the way to
// a Juxta edge.
func TestRouteFromGo(t *testing.T) {
	t.Parallel()
	gr := startGo(t, peergroup.Config{Name: "gr", Roles: peergroup.Roles{Rendezvous: true}})
	je := startJava(t, "je", "edge", "seeds="+address(gr))
	ge := startGo(t, peergroup.Config{Name: "ge"}, address(gr))
	connected(t, ge)
	je.Do("waitrdv")
	if ge.Endpoint().LinkTo(je.id) != nil {
		t.Fatal("there is a link before it is asked for")
	}
	echo(t, ge)
	begin := time.Now()
	r := je.Do("query", "handler="+echoName, "text=you there?", "peer="+ge.ID().String(), "timeout=20000")
	if got := r.Records("results"); len(got) != 1 || got[0].Text("text") != "you there?" {
		t.Fatalf("answers %v", got)
	}
	t.Logf("the way was found and a question answered within %v", time.Since(begin).Round(time.Millisecond))
	// The question went through the rendezvous or straight, as Java chose; the
	// answer came straight, since the question told the way back.
	direct(t, ge, je.id)
}
