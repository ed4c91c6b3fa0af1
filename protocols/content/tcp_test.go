package content

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/peergroup"
)

// The same as TestManyHoldersShareTheWork over TCP on the loopback interface, in
// real time: one holder is killed and another one lies.
func TestLargeFileOverTCP(t *testing.T) {
	size, holders, limit := 8_000_000, 3, int64(0)
	if os.Getenv("JUXTA_SLOW") != "" {
		size, holders, limit = 300_000_000, 6, 10_000_000
	} else {
		t.Log("with JUXTA_SLOW=1 the file has 300 MB, and six holders give 10 MB/s each")
	}
	y := &yard{t: t, dir: t.TempDir(), all: map[string]*member{}}
	var first string
	add := func(name string, cfg Config) *member {
		pc := peergroup.Config{Name: name, Listen: []string{"tcp://127.0.0.1:0"}, NoLAN: true, NoMulticast: true, NoPortMapping: true}
		if first == "" {
			pc.Roles.Rendezvous = true
		} else {
			pc.Seeds = []string{first}
		}
		p, err := peergroup.Start(context.Background(), pc)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		if first == "" {
			first = p.Addresses()[0].String()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := p.Net().Rendezvous().WaitConnected(ctx); err != nil {
			t.Fatal(err)
		}
		m := &member{name: name, peer: p}
		y.all[name] = m
		y.serve(m, cfg)
		return m
	}
	eve := add("eve", Config{})
	song := octets(11, size)
	var it Item
	var all []*member
	for i := range holders {
		m := add(fmt.Sprint("h", i), Config{Upload: limit})
		it = m.share(y, "song", song, Description{})
		all = append(all, m)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var from []Holder
	for len(from) < holders { // the index hears of the last one a moment later
		from = from[:0]
		look, done := context.WithTimeout(ctx, 500*time.Millisecond)
		for h, err := range eve.s.Find(look, Query{ID: it.ID}) {
			if err != nil {
				t.Fatal(err)
			}
			if from = append(from, h.Holder); len(from) == holders {
				break
			}
		}
		done()
	}
	began := time.Now()
	f, err := eve.s.Fetch(ctx, it.ID, FetchConfig{Folder: y.dir + "/got", From: from})
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	y.same(f.Path, song)
	t.Logf("%d octets from %d holders in %v, %.1f MB/s", size, holders, took.Round(time.Millisecond), float64(size)/took.Seconds()/1e6)
	if limit > 0 {
		if rate := float64(size) / took.Seconds(); rate < 50e6 {
			t.Errorf("%.1f MB/s, want 50", rate/1e6)
		}
		for _, m := range all {
			if n := m.s.Stats().ServedOctets; n > uint64(size)/4 {
				t.Errorf("%s has given %d of %d octets", m.name, n, size)
			}
		}
	}
	for at := int64(0); at < int64(size); at += ChunkSize {
		all[1].tamper(y, "song", at)
	}
	go func() { _ = all[0].peer.Close() }() // waited for by its Done below
	again, err := eve.s.Fetch(ctx, it.ID, FetchConfig{Folder: filepath.Join(y.dir, "again"), From: from})
	if err != nil {
		t.Fatal(err)
	}
	y.same(again.Path, song)
	want(t, "lies", eve.s.Stats().Lies, 1)
	<-all[0].peer.Done()
}
