package content

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
)

// member is a peer of a test with its service.
type member struct {
	name string
	peer *peergroup.Peer
	s    *Service
	stop func() // ends the service
}

// yard is a number of members, all near each other.
type yard struct {
	t   *testing.T
	net *memory.Network
	dir string
	all map[string]*member
}

func newYard(t *testing.T) *yard {
	y := &yard{t: t, net: memory.New(memory.Config{Latency: time.Millisecond}), dir: t.TempDir(), all: map[string]*member{}}
	return y
}

// add starts a member, whose service has a folder of its own unless one is given.
func (y *yard) add(name string, cfg Config) *member {
	y.t.Helper()
	p, err := peergroup.Start(context.Background(), peergroup.Config{
		Name: name, NoLAN: true,
		Transports: []endpoint.Transport{y.net.Transport(memory.TransportConfig{Name: name, Segment: "lan"})},
	})
	if err != nil {
		y.t.Fatal(err)
	}
	m := &member{name: name, peer: p}
	y.all[name] = m
	y.t.Cleanup(func() { _ = p.Close() })
	y.serve(m, cfg)
	return m
}

// serve starts the service of a member, in the place of the one before.
func (y *yard) serve(m *member, cfg Config) {
	y.t.Helper()
	if m.stop != nil {
		m.stop()
		m.s.Wait()
	}
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(y.dir, m.name)
	}
	m.s = New(cfg)
	stop, err := m.peer.Net().Load(m.s)
	if err != nil {
		y.t.Fatal(err)
	}
	m.stop = stop
}

// kill takes a member off the network without a goodbye.
func (y *yard) kill(m *member) {
	y.net.Crash(m.name)
	_ = m.peer.Close()
}

// octets are as many of chance, but always the same.
func octets(seed uint64, n int) []byte {
	b := make([]byte, n)
	src := rand.NewChaCha8(sha256.Sum256(fmt.Append(nil, seed)))
	_, _ = src.Read(b)
	return b
}

// write makes a file of a member and returns where it lies.
func (m *member) write(y *yard, name string, b []byte) string {
	y.t.Helper()
	path := filepath.Join(y.dir, "files of "+m.name, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		y.t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		y.t.Fatal(err)
	}
	return path
}

// share shares a new file of a member.
func (m *member) share(y *yard, name string, b []byte, d Description) Item {
	y.t.Helper()
	items, err := m.s.Share(y.t.Context(), m.write(y, name, b), d)
	if err != nil {
		y.t.Fatal(err)
	}
	return items[0]
}

// find searches for a while and returns "name@member" of each result in order of
// coming.
func (y *yard) find(m *member, q Query) []string {
	y.t.Helper()
	ctx, cancel := context.WithTimeout(y.t.Context(), 10*time.Second)
	defer cancel()
	var got []string
	for h, err := range m.s.Find(ctx, q) {
		if err != nil {
			y.t.Fatal(err)
		}
		got = append(got, h.Item.Name+"@"+y.nameOf(h.Holder))
	}
	return got
}

func (y *yard) nameOf(h Holder) string {
	for name, m := range y.all {
		if m.peer.ID() == h.Peer {
			return name
		}
	}
	return "nobody"
}

// same fails unless the file has the octets.
func (y *yard) same(path string, wanted []byte) {
	y.t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		y.t.Fatal(err)
	}
	if !bytes.Equal(got, wanted) {
		y.t.Fatalf("%s has %d octets that are not the %d wanted", path, len(got), len(wanted))
	}
}

func want[T comparable](t *testing.T, what string, got, wanted T) {
	t.Helper()
	if got != wanted {
		t.Errorf("%s: %v, want %v", what, got, wanted)
	}
}
