package jxsetest_test

import (
	"context"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/pipe"
)

// quiet is how long nothing must come before a propagate pipe counts as empty.
const quiet = 300 * time.Millisecond

// courses of propagate pipes.
var (
	throughJava = course{typ: advertisements.Propagate, window: window, shuffled: true}
	throughGo   = course{typ: advertisements.Propagate, window: window}
)

// hear has a Java peer send to a propagate pipe until something arrives: from
// then on the rendezvous knows of the listener.
func hear(t *testing.T, from *javaPeer, out string, in *pipe.Input) {
	t.Helper()
	heard := false
	for range 50 {
		from.Do("sendtext", out, "juxta:probe=1")
		ctx, cancel := context.WithTimeout(t.Context(), quiet)
		for {
			_, err := in.Receive(ctx)
			if err != nil {
				break
			}
			heard = true
		}
		cancel()
		if heard {
			return
		}
	}
	t.Fatal("nothing arrives from Java")
}

// beHeard is the same from a Juxta peer to a Java peer.
func beHeard(t *testing.T, out *pipe.Output, to *javaPeer, in string) {
	t.Helper()
	for range 50 {
		if err := out.Send(t.Context(), message.New(message.Text("juxta", "probe", "1"))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(quiet)
		if to.Do("pipestat", in).Int("count") > 0 {
			to.Do("pipereset", in)
			return
		}
	}
	t.Fatal("nothing arrives at Java")
}

// TestPropagateAtJavaRendezvous: ten thousand messages each way on propagate
// pipes between Juxta and Java edges, passed on by a Java rendezvous.
func TestPropagateAtJavaRendezvous(t *testing.T) {
	t.Parallel()
	jr := startJava(t, "jr", "rendezvous")
	je := startJava(t, "je", "edge", "seeds="+jr.addr)
	ge := startGo(t, peergroup.Config{Name: "ge"}, jr.addr)
	connected(t, ge)
	je.Do("waitrdv")
	javaToGo(t, je, ge, throughJava)
	goToJava(t, ge, je, throughJava)
}

// TestPropagateAtGoRendezvous: the same with a Juxta rendezvous between them.
func TestPropagateAtGoRendezvous(t *testing.T) {
	t.Parallel()
	gr := startGo(t, peergroup.Config{Name: "gr", Roles: peergroup.Roles{Rendezvous: true}})
	je := startJava(t, "je", "edge", "seeds="+address(gr))
	ge := startGo(t, peergroup.Config{Name: "ge"}, address(gr))
	connected(t, ge)
	je.Do("waitrdv")
	javaToGo(t, je, ge, throughGo)
	goToJava(t, ge, je, throughGo)
	if st := gr.Net().Pipes().Stats(); st.RelayDroppedFull+st.RelayDroppedSlow+st.WireDuplicates != 0 {
		t.Errorf("the rendezvous: %+v", st)
	}
}
