package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup/jxsetest"
	"github.com/juxta-p2p/juxta/shell/bench"
)

// java is two original peers, a rendezvous and an edge, in processes of their own. The
// machine that runs them is warm before anything is measured.
func java() bench.Contestant {
	return bench.Contestant{
		Name: "jxse", About: "JXTA for Java 2.5, pipes and reliable sockets, not encrypted",
		Works: []string{bench.OneWay, bench.RoundTrip, bench.Stream}, Measure: measureJava,
	}
}

// What is sent before anything is measured, and while it is. Java peers drop messages
// beyond what their queues hold, so that their rate is not asked for but found.
const (
	javaWarm    = 20_000 // messages
	javaTrips   = 5_000
	javaOctets  = 64 << 20 // of messages, warm or not
	javaStream  = 64 << 20
	javaPatient = 2 * time.Minute
)

// holder stands for the test that a Java process belongs to.
type holder struct {
	testing.TB
	ends []func()
	dir  string
}

// failure is what a holder panics with.
type failure struct{ error }

func (h *holder) Helper()                  {}
func (h *holder) Cleanup(f func())         { h.ends = append(h.ends, f) }
func (h *holder) Fatal(args ...any)        { panic(failure{errors.New(fmt.Sprint(args...))}) }
func (h *holder) Skipf(f string, a ...any) { h.Fatalf(f, a...) }
func (h *holder) Fatalf(f string, a ...any) {
	panic(failure{fmt.Errorf(f, a...)})
}

func (h *holder) end() {
	for _, f := range h.ends {
		f()
	}
	if h.dir != "" {
		_ = os.RemoveAll(h.dir)
	}
}

func measureJava(_ context.Context, work string, size int, length time.Duration) (res bench.Result, err error) {
	h := &holder{}
	defer h.end()
	defer func() {
		if f, ok := recover().(failure); ok {
			err = f.error
		}
	}()
	if h.dir, err = os.MkdirTemp("", "jxse"); err != nil {
		return res, err
	}
	peer := func(name, role, seeds string) (*jxsetest.Java, string) {
		j := jxsetest.StartWith(h, "-Xmx512m")
		port := jxsetest.FreePort(h)
		args := []string{"name=" + name, "home=" + h.dir + "/" + name, fmt.Sprint("port=", port), "role=" + role}
		if seeds != "" {
			args = append(args, "seeds="+seeds)
		}
		j.Do("start", args...)
		return j, fmt.Sprint("tcp://127.0.0.1:", port)
	}
	to, addr := peer("to", "rendezvous", "")
	from, _ := peer("from", "edge", addr)
	from.Do("waitrdv")
	switch work {
	case bench.OneWay:
		return oneWay(from, to, size, length)
	case bench.RoundTrip:
		return trips(from, to, size)
	}
	return stream(from, to)
}

func pipeXML(name string) string {
	doc, err := advertisements.Marshal(advertisements.NewPipe(id.NetGroup, name, advertisements.Unicast))
	if err != nil {
		panic(failure{err})
	}
	return "=" + string(doc)
}

// oneWay sends as fast as the sender takes it. What the receiver has dropped is lost.
func oneWay(from, to *jxsetest.Java, size int, length time.Duration) (bench.Result, error) {
	adv := pipeXML("one way")
	in := "pipe=" + to.Do("inpipe", "xml"+adv, "keep=0").Text("pipe")
	out := "pipe=" + from.Do("outpipe", "xml"+adv).Text("pipe")
	first := 1
	send := func(count int) jxsetest.Record {
		r := from.Do("send", out, fmt.Sprint("count=", count), fmt.Sprint("size=", size), fmt.Sprint("first=", first), "timeout=60000")
		first += count
		return r
	}
	warm := send(min(javaWarm, javaOctets/size))
	to.Do("waitpipe", in, fmt.Sprint("count=", first-1), "timeout=2000")
	count := max(1000, min(javaOctets/size, int(float64(warm.Int("sent"))*float64(length.Milliseconds())/float64(max(1, warm.Int("ms"))))))
	to.Do("pipereset", in)
	send(count)
	r := to.Do("waitpipe", in, fmt.Sprint("count=", count), "timeout=2000")
	took := time.Duration(r.Int("lastms")-r.Int("firstms")) * time.Millisecond
	if took <= 0 {
		return bench.Result{}, errors.New("nothing came")
	}
	got := uint64(r.Int("distinct"))
	return bench.Result{Count: got, Rate: float64(got) / took.Seconds(), Lost: uint64(count) - got, Disorder: uint64(r.Int("outoforder"))}, nil
}

func trips(from, to *jxsetest.Java, size int) (bench.Result, error) {
	there, back := pipeXML("there"), pipeXML("back")
	me := from.Do("self").Text("peerid")
	served := make(chan error, 1)
	go func() { // answers when the pipe back is there
		_, err := to.Call(context.Background(), "tripserve", "xml"+there, "back"+back, "peer="+me)
		served <- err
	}()
	r := from.Do("trips", "xml"+back, "to"+there, "warm="+strconv.Itoa(javaTrips), "count="+strconv.Itoa(javaTrips),
		fmt.Sprint("size=", size))
	if err := <-served; err != nil {
		return bench.Result{}, err
	}
	return bench.Result{Count: javaTrips, P50: float64(r.Int("p50us")), P99: float64(r.Int("p99us"))}, nil
}

func stream(from, to *jxsetest.Java) (bench.Result, error) {
	adv := pipeXML("stream")
	l := to.Do("socklisten", "xml"+adv).Text("pipe")
	c := from.Do("sockdial", "xml"+adv).Text("pipe")
	ctx, cancel := context.WithTimeout(context.Background(), javaPatient)
	defer cancel()
	var res bench.Result
	for range 2 { // the first is for warming up
		wrote := make(chan error, 1)
		go func() {
			_, err := from.Call(ctx, "sockwrite", "pipe="+c, fmt.Sprint("octets=", javaStream))
			wrote <- err
		}()
		r, err := to.Call(ctx, "sockread", "pipe="+l+".1", fmt.Sprint("octets=", javaStream), "hash=false")
		if err == nil {
			err = <-wrote
		}
		if err != nil {
			return res, err
		}
		res = bench.Result{Count: uint64(r.Int("received")), Rate: float64(r.Int("received")) / 1e3 / float64(max(1, r.Int("ms")))}
	}
	return res, nil
}
