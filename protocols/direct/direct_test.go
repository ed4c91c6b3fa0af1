package direct_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/direct"
	"github.com/juxta-p2p/juxta/protocols/routing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// walls is a network in which only the relay can be dialled, unless two peers try
// each other at the same moment.
type walls struct {
	net *memory.Network

	mu     sync.Mutex
	trying map[[2]string]int // from, to
}

// transport is that of a peer behind a wall.
type transport struct {
	*memory.Transport
	w    *walls
	name string
}

var errWall = errors.New("a wall is between")

func (t *transport) Dial(ctx context.Context, a endpoint.Address) (endpoint.Link, error) {
	if a.Host == "relay" || t.name == "relay" {
		return t.Transport.Dial(ctx, a)
	}
	return nil, &endpoint.DialError{Addr: a, Phase: endpoint.PhaseConnect, Err: errWall}
}

// Punch implements [endpoint.Puncher].
func (t *transport) Punch(ctx context.Context, a endpoint.Address, lead bool) (endpoint.Link, error) {
	here, there := [2]string{t.name, a.Host}, [2]string{a.Host, t.name}
	t.w.mu.Lock()
	t.w.trying[here]++
	t.w.mu.Unlock()
	defer func() { t.w.mu.Lock(); t.w.trying[here]--; t.w.mu.Unlock() }()
	for {
		t.w.mu.Lock()
		both := t.w.trying[there] > 0
		t.w.mu.Unlock()
		if both && lead {
			return t.Transport.Dial(ctx, a)
		}
		select {
		case <-ctx.Done():
			return nil, &endpoint.DialError{Addr: a, Phase: endpoint.PhaseConnect, Err: context.Cause(ctx)}
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// peer is a peer behind a wall, with a link to the relay.
type peer struct {
	*endpoint.Endpoint
	direct *direct.Service
}

func (w *walls) peer(t *testing.T, name string) *peer {
	t.Helper()
	e, err := endpoint.New(endpoint.Config{Peer: id.PeerFromSeed(id.NetGroup, []byte(name))})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Add(&transport{w.net.Transport(memory.TransportConfig{Name: name}), w, name}); err != nil {
		t.Fatal(err)
	}
	self := func() *advertisements.Route { return &advertisements.Route{Dest: e.Peer(), Addresses: e.Addresses()} }
	own := self()
	r, err := routing.New(routing.Config{Scope: e.Scope(id.NetGroup), Self: func() *advertisements.Route { return own }})
	if err != nil {
		t.Fatal(err)
	}
	d, err := direct.New(direct.Config{Scope: e.Scope(id.NetGroup), Addresses: e.Addresses})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close(); r.Close(); _ = e.Close() })
	if name != "relay" {
		if _, err := e.Dial(t.Context(), endpoint.Address{Protocol: memory.Protocol, Host: "relay"}); err != nil {
			t.Fatal(err)
		}
		for _, other := range []string{"ann", "bob"} {
			if other != name {
				r.Learn(&advertisements.Route{
					Dest: id.PeerFromSeed(id.NetGroup, []byte(other)),
					Hops: []advertisements.AccessPoint{{Peer: id.PeerFromSeed(id.NetGroup, []byte("relay"))}},
				})
			}
		}
	}
	return &peer{e, d}
}

func inWalls(t *testing.T, f func(t *testing.T, w *walls)) {
	synctest.Test(t, func(t *testing.T) {
		f(t, &walls{net: memory.New(memory.Config{Latency: 20 * time.Millisecond}), trying: map[[2]string]int{}})
	})
}

func TestUpgrade(t *testing.T) {
	inWalls(t, func(t *testing.T, w *walls) {
		w.peer(t, "relay")
		a, b := w.peer(t, "ann"), w.peer(t, "bob")
		began := time.Now()
		if err := a.direct.Upgrade(t.Context(), b.Peer()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if a.LinkTo(b.Peer()) == nil || b.LinkTo(a.Peer()) == nil {
			t.Error("no link")
		}
		if d := time.Since(began); d > 500*time.Millisecond {
			t.Errorf("it took %v", d)
		}
		if s := a.direct.Stats(); s.Tried != 1 || s.Opened != 1 {
			t.Errorf("%+v", s)
		}
		if s := b.direct.Stats(); s.Served != 1 {
			t.Errorf("%+v", s)
		}
		if err := a.direct.Upgrade(t.Context(), b.Peer()); err != nil || a.direct.Stats().Tried != 1 {
			t.Errorf("with a link there is nothing to do: %v", err)
		}
	})
}

// TestUpgradeFromBothSides: both begin at the same moment, and one link is enough.
func TestUpgradeFromBothSides(t *testing.T) {
	inWalls(t, func(t *testing.T, w *walls) {
		w.peer(t, "relay")
		a, b := w.peer(t, "ann"), w.peer(t, "bob")
		var both sync.WaitGroup
		both.Go(func() {
			if err := a.direct.Upgrade(t.Context(), b.Peer()); err != nil {
				t.Error(err)
			}
		})
		both.Go(func() {
			if err := b.direct.Upgrade(t.Context(), a.Peer()); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
	})
}

// TestNobodyAnswers: an original peer drops the message; it is left alone then.
func TestNobodyAnswers(t *testing.T) {
	inWalls(t, func(t *testing.T, w *walls) {
		w.peer(t, "relay")
		a, b := w.peer(t, "ann"), w.peer(t, "bob")
		b.direct.Close()
		if err := a.direct.Upgrade(t.Context(), b.Peer()); !errors.Is(err, direct.ErrNoAnswer) {
			t.Fatal(err)
		}
		for _, wait := range []time.Duration{0, time.Minute, 10 * time.Minute} {
			time.Sleep(wait)
			if err := a.direct.Upgrade(t.Context(), b.Peer()); !errors.Is(err, direct.ErrTooSoon) {
				t.Errorf("after %v more: %v", wait, err)
			}
		}
		a.direct.Reconsider()
		if err := a.direct.Upgrade(t.Context(), b.Peer()); !errors.Is(err, direct.ErrNoAnswer) {
			t.Errorf("in another network: %v", err)
		}
		if s := a.direct.Stats(); s.Tried != 2 || s.FailedTries != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// TestOthersCannotMakeItDial: a peer that asks again and again is served once in
// ten seconds.
func TestOthersCannotMakeItDial(t *testing.T) {
	inWalls(t, func(t *testing.T, w *walls) {
		w.peer(t, "relay")
		a, b := w.peer(t, "ann"), w.peer(t, "bob")
		for range 100 {
			b.flood(t, a.Peer())
		}
		synctest.Wait()
		time.Sleep(time.Second)
		if s := a.direct.Stats(); s.Served != 1 || s.RefusedRate != 99 {
			t.Errorf("%+v", s)
		}
	})
}

// TestOthersCannotMakeItDialForThem: who sends an attempt in the name of another
// does not see the answer, and without it nothing is dialled.
func TestOthersCannotMakeItDialForThem(t *testing.T) {
	inWalls(t, func(t *testing.T, w *walls) {
		w.peer(t, "relay")
		a, b := w.peer(t, "ann"), w.peer(t, "bob")
		nonce := direct.NewNonce()
		b.say(t, a.Peer(), "ask", nonce, "<EA>mem://bob</EA>")
		b.say(t, a.Peer(), "go", nonce, "")
		b.say(t, a.Peer(), "go", nonce, "<Token>"+direct.NewNonce()+"</Token>")
		time.Sleep(time.Second)
		if s := a.direct.Stats(); s.Served != 1 || s.DroppedMalformed != 2 {
			t.Errorf("%+v", s)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if _, tried := w.trying[[2]string{"ann", "bob"}]; tried {
			t.Error("it dialled")
		}
	})
}

// TestPauseDoubles: a peer that cannot be reached is tried less and less often.
func TestPauseDoubles(t *testing.T) {
	inWalls(t, func(t *testing.T, w *walls) {
		w.peer(t, "relay")
		a, b := w.peer(t, "ann"), w.peer(t, "bob")
		w.mu.Lock()
		w.trying[[2]string{"bob", "ann"}] = -1000 // the wall stays, whatever they try
		w.trying[[2]string{"ann", "bob"}] = -1000
		w.mu.Unlock()
		if err := a.direct.Upgrade(t.Context(), b.Peer()); err == nil {
			t.Fatal("the wall has a hole")
		}
		var pauses []time.Duration
		for n := uint64(2); n < 9; n++ {
			began := time.Now()
			for a.direct.Stats().Tried < n {
				if err := a.direct.Upgrade(t.Context(), b.Peer()); err == nil {
					t.Fatal("the wall has a hole")
				} else if errors.Is(err, direct.ErrTooSoon) {
					time.Sleep(time.Second)
				}
			}
			pauses = append(pauses, time.Since(began).Truncate(time.Minute))
		}
		for i, p := range pauses {
			if want := min(time.Minute<<i, 30*time.Minute); p != want {
				t.Errorf("pause %d was %v, want %v", i, p, want)
			}
		}
	})
}

func TestProbe(t *testing.T) {
	inWalls(t, func(t *testing.T, w *walls) {
		r := w.peer(t, "relay")
		a := w.peer(t, "ann")
		other := endpoint.Address{Protocol: memory.Protocol, Host: "somebody"}
		got, err := a.direct.Probe(t.Context(), r.Peer(), append(a.Addresses(), other))
		if err != nil || len(got) != 2 || !got[0].OK || got[1].OK || got[1].Phase != endpoint.PhasePolicy {
			t.Fatalf("%+v, %v", got, err)
		}
		synctest.Wait()
		if n := len(a.Links()); n != 1 {
			t.Errorf("%d links are left", n)
		}
		r.direct.Close()
		if _, err := a.direct.Probe(t.Context(), r.Peer(), a.Addresses()); !errors.Is(err, direct.ErrNoAnswer) {
			t.Error(err)
		}
	})
}

// flood asks q to take part in an attempt, outside of any.
func (p *peer) flood(t *testing.T, q id.Peer) {
	t.Helper()
	p.say(t, q, "ask", direct.NewNonce(), "<EA>mem://bob</EA>")
}

// say sends a message of the protocol, outside of any attempt.
func (p *peer) say(t *testing.T, q id.Peer, kind, nonce, more string) {
	t.Helper()
	doc := "<juxta:Direct><Kind>" + kind + "</Kind><Nonce>" + nonce + "</Nonce>" + more + "</juxta:Direct>"
	msg := message.New(message.XML(message.Platform, "Direct", []byte(doc)))
	if err := p.Scope(id.NetGroup).Send(t.Context(), q, "juxta.direct", "", msg); err != nil {
		t.Fatal(err)
	}
}
