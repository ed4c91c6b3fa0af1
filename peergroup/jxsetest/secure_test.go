package jxsetest_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/tcp"
	"github.com/juxta-p2p/juxta/peergroup/jxsetest"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/routing"
	"github.com/juxta-p2p/juxta/protocols/secure"
)

// secureSeries is how many messages go through a secure pipe. JXSE sends 20 blocks
// at a time and acknowledges each when it is read.
const secureSeries = 500

// largeBody is the size of one message that takes many blocks.
const largeBody = 200_000

// withBody makes message n with a body of that size, as the driver makes it.
func withBody(n, size int) *message.Message {
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(n + i)
	}
	return message.New(message.Text("juxta", "n", strconv.Itoa(n)), message.Bytes("juxta", "body", body))
}

// allowOldTLS lets Java processes that are started after it speak TLS 1.0, which
// today's Java refuses unless it is told otherwise.
func allowOldTLS(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "java.security")
	text := "jdk.tls.disabledAlgorithms=\njdk.certpath.disabledAlgorithms=\njdk.tls.legacyAlgorithms=\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("JAVA_TOOL_OPTIONS", "-Djava.security.properties="+file)
}

// rootsOf logs a Java peer in and returns its chain of certificates, root last.
func rootsOf(t *testing.T, j *javaPeer, pass string) []*x509.Certificate {
	t.Helper()
	if r := j.Do("auth", "user=any", "pass="+pass); r.Text("joined") != "true" {
		t.Fatalf("the Java peer could not log in: %v", r)
	}
	var chain []*x509.Certificate
	for _, text := range j.Do("pse").Texts("chain") {
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, cert)
	}
	return chain
}

// securePeer is a Juxta peer with the secure transport, as far as pipes need one.
type securePeer struct {
	id    id.Peer
	sec   *secure.Service
	pipes *pipe.Service
	rdv   *rendezvous.Service
}

func startSecure(t *testing.T, java secure.JavaConfig, seed string) *securePeer {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	own, err := identity.New(identity.Ed25519)
	must(err)
	p := &securePeer{id: own.Peer()}
	ep, err := endpoint.New(endpoint.Config{Peer: p.id, Identity: own})
	must(err)
	t.Cleanup(func() { _ = ep.Close() })
	must(ep.Add(tcp.New(tcp.Config{Listen: []string{"127.0.0.1:0"}})))
	scope := ep.Scope(id.NetGroup)
	self := func() *advertisements.Route {
		return &advertisements.Route{Dest: p.id, Addresses: ep.Addresses()}
	}
	rt, err := routing.New(routing.Config{Scope: scope, Self: self})
	must(err)
	t.Cleanup(rt.Close)
	p.sec, err = secure.New(secure.Config{Scope: scope, Identity: own, Java: java})
	must(err)
	adv := &advertisements.Peer{ID: p.id, Group: id.NetGroup, Name: "go"}
	must(adv.SetRoute(self()))
	p.rdv, err = rendezvous.New(rendezvous.Config{
		Connect: rt.Connect, Learn: rt.Learn, Hear: rt.Hear, Scope: scope,
		Advertisement: func() *advertisements.Peer { return adv },
		Seeds:         func() []endpoint.Address { return []endpoint.Address{endpoint.MustParseAddress(seed)} },
		Met: func(adv *advertisements.Peer, _ time.Duration) {
			if r, ok := adv.Route(); ok {
				rt.Learn(r)
			}
		},
	})
	must(err)
	t.Cleanup(p.rdv.Close)
	res, err := resolver.New(resolver.Config{Scope: scope, Rendezvous: p.rdv, Route: self, Learn: rt.Learn, Hear: rt.Hear})
	must(err)
	t.Cleanup(res.Close)
	must(rt.Ask(context.Background(), res))
	p.pipes, err = pipe.New(pipe.Config{
		Scope: scope, Resolver: res, Self: func() *advertisements.Peer { return adv }, Learn: rt.Learn, Secure: true,
	})
	must(err)
	t.Cleanup(p.pipes.Close)
	t.Cleanup(p.sec.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	must(p.rdv.WaitConnected(ctx))
	return p
}

// Secure pipes lead from us to JXSE and back, each with its own TLS 1.0 connection.
func TestSecurePipes(t *testing.T) {
	jxsetest.Require(t)
	allowOldTLS(t)
	for _, first := range []string{"go", "java"} {
		t.Run(first+" begins", func(t *testing.T) { securePipes(t, first) })
	}
}

func securePipes(t *testing.T, first string) {
	const pass = "a-long-password"
	j := startJava(t, "ann", "rendezvous", "principal=ann", "password="+pass)
	chain := rootsOf(t, j, pass)
	root := chain[len(chain)-1]
	cert, err := secure.NewJavaCertificate("go")
	if err != nil {
		t.Fatal(err)
	}
	pins := new(secure.Pins)
	g := startSecure(t, secure.JavaConfig{
		Certificate: cert, Trust: pins.Check,
		Roots: func(id.Peer) []*x509.Certificate { return []*x509.Certificate{root} },
	}, j.addr)
	j.Do("psetrust", "id="+g.id.String(), "cert="+base64.StdEncoding.EncodeToString(cert.Certificate[len(cert.Certificate)-1]))

	there := advertisements.NewPipe(id.NetGroup, "there", advertisements.UnicastSecure)
	here := advertisements.NewPipe(id.NetGroup, "here", advertisements.UnicastSecure)
	handle := j.Do("inpipe", "xml="+compact(t, there)).Text("pipe")
	in, err := g.pipes.Listen(t.Context(), here)
	if err != nil {
		t.Fatal(err)
	}
	send := func() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := g.pipes.DialPeers(ctx, there, j.id)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		for n := 1; n <= secureSeries; n++ {
			if err := out.Send(ctx, numbered(n)); err != nil {
				t.Fatalf("message %d: %v", n, err)
			}
		}
		if err := out.Send(ctx, withBody(secureSeries+1, largeBody)); err != nil {
			t.Fatal(err)
		}
		r := j.Do("waitpipe", "pipe="+handle, "count="+strconv.Itoa(secureSeries+1), "timeout=30000")
		if r.Int("distinct") != secureSeries+1 || r.Int("badbody") != 0 || r.Int("duplicates") != 0 {
			t.Errorf("the Java peer got %v", r)
		}
		if err := g.sec.Flush(ctx, j.id); err != nil {
			t.Error(err)
		}
	}
	receive := func() {
		h := openOutput(t, j, here)
		j.Do("send", "pipe="+h, "count="+strconv.Itoa(secureSeries), "size="+strconv.Itoa(bodySize))
		for n := 1; n <= secureSeries; n++ {
			ctx, cancel := context.WithTimeout(t.Context(), soon)
			m, err := in.Receive(ctx)
			cancel()
			if err != nil {
				t.Fatalf("message %d: %v", n, err)
			}
			if m.Text("juxta", "n") != strconv.Itoa(n) || m.From != j.id || !m.Proven {
				t.Fatalf("message %d: got %q from %v, proven %v", n, m.Text("juxta", "n"), m.From, m.Proven)
			}
		}
		j.Do("send", "pipe="+h, "first="+strconv.Itoa(secureSeries+1), "size="+strconv.Itoa(largeBody))
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		defer cancel()
		m, err := in.Receive(ctx)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := m.Get("juxta", "body")
		body, _ := withBody(secureSeries+1, largeBody).Get("juxta", "body")
		if !bytes.Equal(got.Body, body.Body) {
			t.Error("a large message came otherwise")
		}
	}
	if first == "go" {
		send()
		receive()
	} else {
		receive()
		send()
	}
	for _, c := range g.sec.Connections() {
		t.Logf("%+v", c)
	}
	t.Logf("%+v", g.sec.Stats())
	if n := len(g.sec.Connections()); n != 1 {
		t.Errorf("%d connections, want 1 for both ways", n)
	}
}
