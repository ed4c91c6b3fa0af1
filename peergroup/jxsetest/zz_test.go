package jxsetest_test
import ("testing";"fmt";"os";"os/exec";"runtime/pprof";"context";"time";"github.com/juxta-p2p/juxta/peergroup";"github.com/juxta-p2p/juxta/advertisements")
func TestZZ(t *testing.T) {
	gr := startGo(t, peergroup.Config{Name: "gr", Roles: peergroup.Roles{Rendezvous: true}})
	je := startJava(t, "je", "edge", "seeds="+address(gr))
	je.Do("waitrdv")
	for i := range 60 {
	ge := startGo(t, peergroup.Config{Name: "ge"}, address(gr))
	connected(t, ge)
	adv := advertisements.NewPipe(ge.Net().ID(), "to "+ge.Name(), advertisements.Unicast)
	in, err := ge.Net().Pipes().Listen(t.Context(), adv)
	if err != nil { t.Fatal(err) }
	out := "pipe=" + openOutput(t, je, adv)
	go je.Call(context.Background(), "send", out, "count=3000", fmt.Sprintf("size=%d", bodySize))
	for n:=1;n<=3000;n++ {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		_, err := in.Receive(ctx)
		cancel()
		if err != nil {
			t.Logf("round %d: stuck after %d: %+v %+v", i, n, in.Stats(), ge.Endpoint().Stats())
			for _,l := range ge.Endpoint().Links() { t.Logf("%v %v %v out=%v", l.Peer().Short(), l.Local(), l.Remote(), l.Outgoing()) }
			pid := je.Events("ready")[0].Text("pid")
			f, _ := os.Create("/tmp/live/jstack.txt")
			c := exec.Command("jstack", pid); c.Stdout=f; c.Stderr=f; c.Run(); f.Close()
			f, _ = os.Create("/tmp/live/gostack.txt")
			pprof.Lookup("goroutine").WriteTo(f, 1); f.Close()
			o, _ := exec.Command("sh","-c","ss -tnpi 2>/dev/null | head -60 || netstat -tn").CombinedOutput()
			t.Log(string(o))
			m, err := in.Receive(within(t, 60*time.Second))
			t.Log("then", m.Message!=nil, err)
			t.FailNow()
		}
	}
	ge.Close()
	}
}
