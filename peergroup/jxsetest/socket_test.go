package jxsetest_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/jxsetest"
	"github.com/juxta-p2p/juxta/protocols/socket"
)

// streamOctets is how much goes through a stream to a Java peer and back.
const streamOctets = 50_000_000

// streamWait bounds what a stream of that size takes. Now and then a sender of JXSE
// goes to sleep and misses what should wake it, until it repeats something 50 s later.
const streamWait = 2 * time.Minute

// deathWait bounds how long a stream takes to break when the other side is gone
// for good: Juxta and Java repeat what is unacknowledged for a minute.
const deathWait = 75 * time.Second

// slow gates what takes minutes.
func slow(t *testing.T) {
	t.Helper()
	if os.Getenv("JUXTA_SLOW") == "" {
		t.Skip("SKIPPED: takes minutes; set JUXTA_SLOW=1")
	}
}

func streamAdv(t *testing.T) *advertisements.Pipe {
	return advertisements.NewPipe(id.NetGroup, t.Name(), advertisements.Unicast)
}

// javaStream is a Java peer's end of a stream, or of a bidirectional pipe.
type javaStream struct {
	*javaPeer
	pipe string // "pipe=" and the handle
	info jxsetest.Record
}

// do gives a command about the end.
func (s *javaStream) do(verb string, args ...string) jxsetest.Record {
	return s.Do(verb, append([]string{s.pipe}, args...)...)
}

// start gives a command about the end, and returns a function that waits for the
// answer.
func (s *javaStream) start(verb string, args ...string) func() (jxsetest.Record, error) {
	type outcome struct {
		r   jxsetest.Record
		err error
	}
	done := make(chan outcome, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	go func() {
		defer cancel()
		r, err := s.Call(ctx, verb, append([]string{s.pipe}, args...)...)
		done <- outcome{r, err}
	}()
	return func() (jxsetest.Record, error) { o := <-done; return o.r, o.err }
}

// javaServer listens at a Java peer: with verb socklisten or biserve.
type javaServer struct {
	*javaPeer
	handle string
	seen   int
}

func serveJava(t *testing.T, j *javaPeer, verb string, adv *advertisements.Pipe, args ...string) *javaServer {
	t.Helper()
	r := j.Do(verb, append([]string{"xml=" + compact(t, adv)}, args...)...)
	return &javaServer{javaPeer: j, handle: r.Text("pipe")}
}

// accept returns the next end that Java has accepted.
func (s *javaServer) accept() *javaStream {
	s.seen++
	name := fmt.Sprintf("%s.%d", s.handle, s.seen)
	r := s.Await("accept", soon, func(r jxsetest.Record) bool { return r.Text("pipe") == name })
	return &javaStream{s.javaPeer, "pipe=" + name, r}
}

// dialJava has a Java peer dial: with verb sockdial or bidial. JXSE asks but once who
// listens, and may not know yet.
func dialJava(t *testing.T, j *javaPeer, verb string, adv *advertisements.Pipe, args ...string) *javaStream {
	t.Helper()
	args = append([]string{"xml=" + compact(t, adv), "timeout=3000"}, args...)
	var failed error
	for range 5 {
		r, err := j.Call(t.Context(), verb, args...)
		if err == nil {
			return &javaStream{j, "pipe=" + r.Text("pipe"), r}
		}
		failed = err
	}
	t.Fatal(failed)
	return nil
}

// streams opens a stream in each direction between a Juxta and a Java peer.
func streams(t *testing.T, g *peergroup.Peer, j *javaPeer, unreliable bool) (dialled, accepted net.Conn, served, dialling *javaStream) {
	t.Helper()
	adv := streamAdv(t)
	server := serveJava(t, j, "socklisten", adv)
	ctx := within(t, soon)
	dialled, err := g.Net().Sockets().DialWith(ctx, adv, socket.DialConfig{Unreliable: unreliable})
	if err != nil {
		t.Fatal(err)
	}
	served = server.accept()

	adv = advertisements.NewPipe(id.NetGroup, t.Name()+" back", advertisements.Unicast)
	l, err := g.Net().Sockets().Listen(ctx, adv)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	dialling = dialJava(t, j, "sockdial", adv, fmt.Sprintf("reliable=%v", !unreliable))
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return dialled, accepted, served, dialling
}

// pace of a stream: octets and the time they took.
func speed(octets int64, d time.Duration) string {
	return fmt.Sprintf("%.1f MB/s", float64(octets)/1e6/d.Seconds())
}

// writeToJava writes a pattern at a Juxta peer and has the Java peer read it.
func writeToJava(t *testing.T, c net.Conn, j *javaStream, seed uint64, octets int64) time.Duration {
	t.Helper()
	return writeBlocksToJava(t, c, j, seed, octets, 64<<10)
}

// writeBlocksToJava does it so many octets at a time.
func writeBlocksToJava(t *testing.T, c net.Conn, j *javaStream, seed uint64, octets int64, block int) time.Duration {
	t.Helper()
	begin := time.Now()
	read := j.start("sockread", fmt.Sprintf("octets=%d", octets))
	if n, err := io.CopyBuffer(onlyWriter{c}, newPattern(seed, octets), make([]byte, block)); err != nil {
		t.Fatalf("wrote %d octets: %v", n, err)
	}
	r, err := read()
	if err != nil {
		t.Fatal(err)
	}
	if want := patternHash(seed, octets); r.Text("sha256") != want || int64(r.Int("received")) != octets {
		t.Errorf("to Java: %v octets, failed %q, hash %s, want %d, %s", r["received"], r.Text("failed"), r.Text("sha256"), octets, want)
	}
	return time.Since(begin)
}

// onlyWriter hides other methods, so that the size of writes is that of the
// buffer.
type onlyWriter struct{ io.Writer }

// readFromJava has a Java peer write a pattern and reads it at the Juxta peer.
func readFromJava(t *testing.T, c net.Conn, j *javaStream, seed uint64, octets int64, args ...string) time.Duration {
	t.Helper()
	begin := time.Now()
	write := j.start("sockwrite", append([]string{fmt.Sprintf("octets=%d", octets), fmt.Sprintf("seed=%d", seed)}, args...)...)
	h := sha256.New()
	n, err := io.CopyBuffer(h, struct{ io.Reader }{io.LimitReader(c, octets)}, make([]byte, 64<<10))
	if err != nil {
		t.Fatalf("read %d octets: %v", n, err)
	}
	d := time.Since(begin)
	if r, err := write(); err != nil || r.Text("failed") != "" {
		t.Fatal(err, r)
	}
	if got, want := hex.EncodeToString(h.Sum(nil)), patternHash(seed, octets); got != want {
		t.Errorf("from Java: %d octets, hash %s, want %s", n, got, want)
	}
	return d
}

// TestSocketJava: streams that Juxta and Java open to each other carry 50 MB each
// way unaltered, one after the other and both ways at a time; what one side wrote
// before its close is read by the other, and then the end.
func TestSocketJava(t *testing.T) {
	t.Parallel()
	j := startJava(t, "j", "rendezvous")
	g := startGo(t, peergroup.Config{Name: "g"}, j.addr)
	connected(t, g)
	dialled, accepted, served, dialling := streams(t, g, j, false)
	if s := served.info; s.Text("peer") != g.ID().String() || s["reliable"] != true {
		t.Errorf("Java accepted %v", s)
	}
	for _, c := range []net.Conn{dialled, accepted} {
		if a, ok := c.RemoteAddr().(socket.Addr); !ok || a.Peer != j.id {
			t.Errorf("the other side is %v", c.RemoteAddr())
		}
	}
	t.Logf("Juxta dialled: to Java %s, from Java %s", speed(streamOctets, writeToJava(t, dialled, served, 1, streamOctets)),
		speed(streamOctets, readFromJava(t, dialled, served, 2, streamOctets)))
	t.Logf("Java dialled: to Java %s, from Java %s", speed(streamOctets, writeToJava(t, accepted, dialling, 1, streamOctets)),
		speed(streamOctets, readFromJava(t, accepted, dialling, 4, streamOctets)))

	var both sync.WaitGroup
	begin := time.Now()
	both.Go(func() { writeToJava(t, dialled, served, 1, streamOctets/2) })
	readFromJava(t, dialled, served, 6, streamOctets/2)
	both.Wait()
	t.Logf("both ways at a time: %s", speed(streamOctets, time.Since(begin)))

	// Juxta closes: Java reads what was written before, and the end.
	const last = 300_001
	read := served.start("sockread")
	if _, err := io.Copy(onlyWriter{dialled}, newPattern(1, last)); err != nil {
		t.Fatal(err)
	}
	begin = time.Now()
	if err := dialled.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
	t.Logf("Juxta closed within %v", time.Since(begin).Round(time.Millisecond))
	if r, err := read(); err != nil || r["end"] != true || r.Int("received") != last || r.Text("sha256") != patternHash(1, last) {
		t.Errorf("behind the close Java read %v, %v", r, err)
	}

	// Java closes: the same the other way round.
	dialling.do("sockwrite", fmt.Sprintf("octets=%d", last), "seed=8")
	shut := dialling.start("close")
	h := sha256.New()
	_ = accepted.SetReadDeadline(time.Now().Add(soon))
	if n, err := io.Copy(h, accepted); err != nil || n != last || hex.EncodeToString(h.Sum(nil)) != patternHash(8, last) {
		t.Errorf("behind Java's close %d octets: %v", n, err)
	}
	if _, err := shut(); err != nil {
		t.Errorf("Java's close: %v", err)
	}
	if _, err := accepted.Write([]byte("late")); !errors.Is(err, socket.ErrHungUp) {
		t.Errorf("writing to a closed Java socket: %v", err)
	}
	_ = accepted.Close()
}

// TestSocketJavaHalf: JXSE does not half-close on the wire. Its shutdownOutput
// tells nobody, and a close ends both directions, so that ours cannot be half.
func TestSocketJavaHalf(t *testing.T) {
	t.Parallel()
	j := startJava(t, "j", "rendezvous")
	g := startGo(t, peergroup.Config{Name: "g"}, j.addr)
	connected(t, g)
	dialled, accepted, served, dialling := streams(t, g, j, false)

	half, ok := dialled.(interface{ CloseWrite() error })
	if !ok {
		t.Fatal("the connection has no CloseWrite")
	}
	if err := half.CloseWrite(); !errors.Is(err, socket.ErrHalfClose) {
		t.Errorf("CloseWrite towards Java: %v", err)
	}
	writeToJava(t, accepted, dialling, 1, 100_000)

	// Java shuts its output: nothing comes, and it still reads.
	dialling.do("sockshut", "out=true")
	_ = accepted.SetReadDeadline(time.Now().Add(quiet))
	if n, err := accepted.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Java's shutdownOutput: read %d octets, %v", n, err)
	}
	writeToJava(t, accepted, dialling, 3, 100_000)
	_ = served
	_ = dialled.Close()
	_ = accepted.Close()
}

// TestSocketJavaUnreliable: JXSE takes the messages of a connection with several
// threads, so that it keeps the order of an unreliable stream only where the next
// is sent when the last has been taken; what it sends itself comes in order.
func TestSocketJavaUnreliable(t *testing.T) {
	t.Parallel()
	j := startJava(t, "j", "rendezvous")
	g := startGo(t, peergroup.Config{Name: "g"}, j.addr)
	connected(t, g)
	dialled, accepted, served, dialling := streams(t, g, j, true)
	if served.info["reliable"] != false || dialling.info["reliable"] != false {
		t.Errorf("Java says reliable: %v, %v", served.info["reliable"], dialling.info["reliable"])
	}
	const octets, chunk = 2_000_000, 16 << 10
	for _, c := range []struct {
		conn net.Conn
		java *javaStream
	}{{dialled, served}, {accepted, dialling}} {
		p, buf := newPattern(1, octets), make([]byte, chunk)
		h := sha256.New()
		for n, err := io.ReadFull(p, buf); n > 0; n, err = io.ReadFull(p, buf) {
			if _, err := c.conn.Write(buf[:n]); err != nil {
				t.Fatal(err)
			}
			h.Write(buf[:n])
			sum := sha256.Sum256(buf[:n])
			if r := c.java.do("sockread", fmt.Sprintf("octets=%d", n)); r.Text("sha256") != hex.EncodeToString(sum[:]) {
				t.Fatalf("to Java: %v", r)
			}
			if err != nil {
				break
			}
		}
		if hex.EncodeToString(h.Sum(nil)) != patternHash(1, octets) {
			t.Fatal("not everything was sent")
		}
		readFromJava(t, c.conn, c.java, 5, octets, fmt.Sprintf("chunk=%d", chunk), "gap=1000")
	}

	// We close: Java reads the end. It never acknowledges, and we do not mind.
	begin := time.Now()
	if err := dialled.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
	if d := time.Since(begin); d > 2*time.Second {
		t.Errorf("closing took %v", d)
	}
	// A reader of JXSE that waits meanwhile gets octets of its own end marker.
	eventually(t, soon, "Java takes note of the close", func() bool { return served.do("socktest")["connected"] == false })
	served.do("sockset", "sotimeout=5000")
	if r := served.do("sockread"); r["end"] != true {
		t.Errorf("behind the close Java read %v", r)
	}
	// Java closes, and gets the acknowledgement that its own kind never gives.
	shut := dialling.start("close")
	_ = accepted.SetReadDeadline(time.Now().Add(soon))
	if n, err := accepted.Read(make([]byte, 10)); err != io.EOF || n != 0 {
		t.Errorf("behind Java's close: %d octets, %v", n, err)
	}
	if _, err := shut(); err != nil {
		t.Errorf("Java's close: %v", err)
	}
	_ = accepted.Close()
}

// TestSocketJavaDies: a Java peer that is killed breaks its streams within a bound,
// for who writes and for who only reads; and a Juxta peer that is cut off breaks
// those of Java.
func TestSocketJavaDies(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a minute")
	}
	j := startJava(t, "j", "rendezvous")
	g := startGo(t, peergroup.Config{Name: "g"}, j.addr)
	connected(t, g)
	writer, reader, _, _ := streams(t, g, j, false)
	if _, err := writer.Write(make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	j.Kill()
	begin := time.Now()
	_ = writer.SetDeadline(begin.Add(deathWait))
	_ = reader.SetDeadline(begin.Add(deathWait))
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			if _, err := writer.Write(make([]byte, 64<<10)); err != nil {
				t.Logf("the writer after %v: %v", time.Since(begin).Round(time.Millisecond), err)
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error("the writer was not told")
				}
				return
			}
		}
	})
	_, err := reader.Read(make([]byte, 1))
	t.Logf("the reader after %v: %v", time.Since(begin).Round(time.Millisecond), err)
	if err == nil || err == io.EOF || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the reader was not told")
	}
	wg.Wait()
	_ = writer.Close()
	_ = reader.Close()
}

// TestSocketJuxtaDies: a Java writer whose Juxta peer is cut off for ever gets an
// error within JXSE's minute; its reader waits as long as it was told to.
func TestSocketJuxtaDies(t *testing.T) {
	t.Parallel()
	slow(t)
	j := startJava(t, "j", "rendezvous")
	x := between(t, j)
	g := startGo(t, peergroup.Config{Name: "g", ClientOnly: true}, x.addr)
	connected(t, g)
	dialled, _, served, dialling := streams(t, g, j, false)
	if _, err := io.CopyN(io.Discard, dialled, 0); err != nil {
		t.Fatal(err)
	}
	dialling.do("sockset", "sotimeout=20000")
	write := served.start("sockwrite", "octets=100000000")
	read := dialling.start("sockread")
	if _, err := io.CopyN(io.Discard, dialled, 1_000_000); err != nil {
		t.Fatal(err)
	}
	_ = x.ln.Close()
	x.cut()
	begin := time.Now()
	r, err := read()
	t.Logf("Java's reader after %v: %v, %v", time.Since(begin).Round(time.Millisecond), r.Text("failed"), err)
	if r.Text("failed") == "" {
		t.Errorf("Java's reader was not told: %v", r)
	}
	r, err = write()
	t.Logf("Java's writer after %v: %v, %v", time.Since(begin).Round(time.Millisecond), r.Text("failed"), err)
	if r.Text("failed") == "" {
		t.Errorf("Java's writer was not told: %v", r)
	}
}

// TestSocketJavaCredential: credentials cross in both directions and decide.
func TestSocketJavaCredential(t *testing.T) {
	t.Parallel()
	j := startJava(t, "j", "rendezvous", "principal=ann", "password=secret password")
	g := startGo(t, peergroup.Config{Name: "g"}, j.addr)
	connected(t, g)
	if r := j.Do("auth", "user=any", "pass=secret password"); r.Text("joined") != "true" {
		t.Fatalf("the Java peer could not log in: %v", r)
	}
	adv := streamAdv(t)
	var shown []string
	var mu sync.Mutex
	l, err := g.Net().Sockets().ListenWith(within(t, soon), adv, socket.ListenConfig{Check: func(_ context.Context, r socket.Request) error {
		mu.Lock()
		defer mu.Unlock()
		typ, _ := r.Credential.Attr("type")
		shown = append(shown, typ)
		if len(shown) > 1 {
			return errors.New("one is enough")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	first := dialJava(t, j, "sockdial", adv)
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	writeToJava(t, c, first, 1, 1000)
	if _, err := j.Call(t.Context(), "sockdial", "xml="+compact(t, adv), "timeout=3000"); err == nil {
		t.Error("Java got a connection that was refused")
	}
	mu.Lock()
	if len(shown) != 2 || shown[0] != "jxta:PSECred" || shown[1] != shown[0] {
		t.Errorf("credentials of type %q", shown)
	}
	mu.Unlock()
	_ = c.Close()

	// A credential that Java cannot read is none to it; one that it can is judged.
	back := advertisements.NewPipe(id.NetGroup, t.Name()+" back", advertisements.Unicast)
	server := serveJava(t, j, "socklisten", back)
	d, err := g.Net().Sockets().DialWith(within(t, soon), back, socket.DialConfig{Credential: nobody(g)})
	if err != nil {
		t.Fatal(err)
	}
	s := server.accept()
	writeToJava(t, d, s, 1, 1000)
	t.Logf("Java read the credential %q", s.info.Text("cred"))
	_ = d.Close()
}

// TestSocketSpeed compares streams between Juxta and Java with those between two
// Java peers, in the same minute and with the same settings.
func TestSocketSpeed(t *testing.T) {
	j := startJava(t, "j", "rendezvous")
	other := startJava(t, "other", "edge", "seeds="+j.addr)
	other.Do("waitrdv")
	g := startGo(t, peergroup.Config{Name: "g"}, j.addr)
	connected(t, g)

	const octets, rounds = 20_000_000, 3
	adv := advertisements.NewPipe(id.NetGroup, "java to java", advertisements.Unicast)
	server := serveJava(t, j, "socklisten", adv)
	far := dialJava(t, other, "sockdial", adv)
	near := server.accept()
	dialled, _, served, _ := streams(t, g, j, false)

	best := map[string]time.Duration{}
	note := func(name string, d time.Duration) {
		if was, ok := best[name]; !ok || d < was {
			best[name] = d
		}
	}
	for range rounds { // the first warms up Java
		begin := time.Now()
		write := far.start("sockwrite", fmt.Sprintf("octets=%d", octets))
		near.do("sockread", fmt.Sprintf("octets=%d", octets))
		if _, err := write(); err != nil {
			t.Fatal(err)
		}
		note("Java to Java", time.Since(begin))
		note("Juxta to Java", writeToJava(t, dialled, served, 1, octets))
		note("Java to Juxta", readFromJava(t, dialled, served, 1, octets))
	}
	base := best["Java to Java"]
	for _, name := range []string{"Java to Java", "Juxta to Java", "Java to Juxta"} {
		ratio := float64(base) / float64(best[name])
		t.Logf("%s: %s, %.2f times Java to Java", name, speed(octets, best[name]), ratio)
		if ratio < 0.5 {
			t.Errorf("%s is slower than half of Java to Java", name)
		}
	}
	_ = dialled.Close()
}

// nobody is the credential that JXSE gives to everybody in a group without
// membership.
func nobody(g *peergroup.Peer) xmldoc.Node {
	return xmldoc.NewNode("jxta:Cred", "", xmldoc.NewNode("PeerGroupID", g.Net().ID().String()),
		xmldoc.NewNode("PeerID", g.ID().String()), xmldoc.NewNode("Identity", "nobody")).
		WithAttr("xmlns:jxta", "http://jxta.org").WithAttr("type", "jxta:NullCred")
}
