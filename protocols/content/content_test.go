package content

import (
	"context"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// What one shares, others find and fetch, whatever the index.
func TestShareFindFetch(t *testing.T) {
	for _, policy := range []Policy{Rendezvous, Central, Flood} {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				y := newYard(t)
				hub := y.add("hub", Config{Index: Flood})
				cfg := Config{Index: policy, IndexPeer: hub.peer.ID()}
				y.serve(hub, cfg)
				ann, bob, eve := y.add("ann", cfg), y.add("bob", cfg), y.add("eve", cfg)
				song := octets(1, 3*ChunkSize+17)
				it := ann.share(y, "Nocturne in E-flat.ogg", song, Description{
					Words: []string{"Chopin"}, MIME: "audio/ogg", Fields: map[string]string{"year": "1832"}, Replicas: 0,
				})
				bob.share(y, "the same.ogg", song, Description{MIME: "audio/ogg"})
				bob.share(y, "notes.txt", []byte("on nocturnes"), Description{})
				time.Sleep(5 * time.Second)
				for _, c := range []struct {
					q    Query
					want string
				}{
					{Query{Words: []string{"nocturne"}}, "[Nocturne in E-flat.ogg@ann]"},
					{Query{Words: []string{"NOCT*", "chopin"}}, "[Nocturne in E-flat.ogg@ann]"},
					{Query{Words: []string{"chopin", "liszt"}}, "[]"},
					{Query{ID: it.ID}, "[Nocturne in E-flat.ogg@ann the same.ogg@bob]"},
					{Query{Name: "notes.txt"}, "[notes.txt@bob]"},
					{Query{Name: "not*s.txt"}, "[notes.txt@bob]"},
					{Query{MIME: "audio/*"}, "[Nocturne in E-flat.ogg@ann the same.ogg@bob]"},
					{Query{Fields: map[string]string{"year": "18*"}}, "[Nocturne in E-flat.ogg@ann]"},
					{Query{Fields: map[string]string{"year": "1900"}}, "[]"},
					{Query{MIME: "*", MaxSize: 100}, "[notes.txt@bob]"},
				} {
					got := y.find(eve, c.q)
					slices.Sort(got)
					if fmt.Sprint(got) != c.want {
						t.Errorf("%+v: found %v, want %v", c.q, got, c.want)
					}
				}
				f, err := eve.s.Fetch(t.Context(), it.ID, FetchConfig{Folder: y.dir + "/got", Name: "a/b.ogg"})
				if err != nil {
					t.Fatal(err)
				}
				y.same(f.Path, song)
				r, err := eve.s.Open(t.Context(), it.ID)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := r.Seek(-20, io.SeekEnd); err != nil {
					t.Fatal(err)
				}
				end, err := io.ReadAll(r)
				if err != nil || string(end) != string(song[len(song)-20:]) {
					t.Errorf("the end is %x, %v", end, err)
				}
				_ = r.Close()
				if err := ann.s.Unshare(t.Context(), it.ID); err != nil {
					t.Fatal(err)
				}
				time.Sleep(copyLife + time.Minute)
				want(t, "after Unshare", fmt.Sprint(y.find(eve, Query{ID: it.ID})), "[the same.ogg@bob]")
			})
		})
	}
}

func TestNotReady(t *testing.T) {
	s := New(Config{Dir: t.TempDir()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Share(ctx, "x", Description{}); err == nil {
		t.Error("a service that does not run shares")
	}
	if err := (Module{}).Start(ctx, nil); err == nil {
		t.Error("a module without folder starts")
	}
}
