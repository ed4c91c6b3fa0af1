package content

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/socket"
)

// connect opens a connection for chunks from one member to another.
func (y *yard) connect(from, to *member) *socket.Conn {
	y.t.Helper()
	h := to.s.holder()
	c, err := from.peer.Net().Sockets().DialWith(y.t.Context(), h.Pipe, socket.DialConfig{Peer: h.Peer})
	if err != nil {
		y.t.Fatal(err)
	}
	y.t.Cleanup(func() { _ = c.Close() })
	return c
}

// Requests that make no sense, or for what is not there, harm nobody.
func TestHostileRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		ann, eve := y.add("ann", Config{}), y.add("eve", Config{})
		song := octets(1, ChunkSize+10)
		it := ann.share(y, "song", song, Description{Replicas: 2})
		ask := func(b []byte) (status byte, body []byte, err error) {
			c := y.connect(eve, ann)
			defer c.Close()
			if _, err := c.Write(b); err != nil {
				return 0, nil, err
			}
			_ = c.SetDeadline(time.Now().Add(time.Minute))
			return readAnswer(c, request{what: askManifest}, func() {})
		}
		hello := func(r request) []byte { return append([]byte(greeting), r.encode()...) }
		for name, b := range map[string][]byte{
			"greeting": []byte("GET / HTTP/1.0\r\n\r\n"),
			"request":  append([]byte(greeting), make([]byte, requestSize)...),
			"unknown":  hello(request{what: askKept + 1}),
		} {
			if _, _, err := ask(b); !errors.Is(err, io.EOF) {
				t.Errorf("%s: %v, want the connection closed", name, err)
			}
		}
		want(t, "malformed", ann.s.Stats().DroppedMalformed, 3)
		for name, c := range map[string]struct {
			r      request
			status byte
			length int
		}{
			"manifest":         {request{askManifest, it.ID, 0}, given, manifestHead + 2*hashSize},
			"last chunk":       {request{askChunk, it.ID, 1}, given, 10},
			"behind the last":  {request{askChunk, it.ID, 2}, notHere, 0},
			"far behind":       {request{askChunk, it.ID, 1<<32 - 1}, notHere, 0},
			"another content":  {request{askChunk, ID{9}, 0}, notHere, 0},
			"its manifest":     {request{askManifest, ID{9}, 0}, notHere, 0},
			"what is kept":     {request{askKept, ID{}, 0}, given, keptEntry},
			"more of it":       {request{askKept, ID{}, 1}, given, 0},
			"much more of it":  {request{askKept, ID{}, 1<<32 - 1}, given, 0},
			"chunk of nothing": {request{askChunk, ID{}, 0}, notHere, 0},
		} {
			status, body, err := ask(hello(c.r))
			if err != nil || status != c.status || len(body) != c.length {
				t.Errorf("%s: %d, %d octets, %v", name, status, len(body), err)
			}
		}
		want(t, "shared after all", ann.s.Stats().Shared, 1)
	})
}

// One peer has so many connections, and those who ask nothing are closed.
func TestConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		ann, eve := y.add("ann", Config{}), y.add("eve", Config{})
		var all []*socket.Conn
		for range maxPeerConns + 3 {
			all = append(all, y.connect(eve, ann))
		}
		time.Sleep(time.Second)
		want(t, "busy", ann.s.Stats().RefusedBusy, 3)
		want(t, "served", ann.s.Stats().Serving, maxPeerConns)
		time.Sleep(idleWait)
		want(t, "served after a while", ann.s.Stats().Serving, 0)
		for _, c := range all {
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("a connection is open: %v", err)
			}
		}
	})
}

// A link that leads out of the folder, put in the place of a shared file, gives
// nothing away.
func TestFileTurnedIntoLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		ann, eve := y.add("ann", Config{}), y.add("eve", Config{})
		it := ann.share(y, "open/x", []byte("open"), Description{})
		secret := ann.write(y, "secret", []byte("hide"))
		place := filepath.Join(y.dir, "files of ann", "open", "x")
		info, err := os.Stat(place)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Chtimes(secret, info.ModTime(), info.ModTime()), os.Remove(place)); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("../secret", place); err != nil {
			t.Skip("no links here:", err)
		}
		_, err = eve.s.Fetch(t.Context(), it.ID, FetchConfig{Folder: y.dir + "/got", Patience: 10 * time.Second})
		if !errors.Is(err, ErrNoHolder) {
			t.Errorf("fetched: %v", err)
		}
		want(t, "octets given", ann.s.Stats().ServedOctets, 0)
	})
}

// Advertisements with false names, and of holders that do not have the content, do
// not keep anybody from fetching.
func TestHostileAdvertisements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		ann, bob, eve := y.add("ann", Config{}), y.add("bob", Config{}), y.add("eve", Config{})
		song := octets(1, 3*ChunkSize)
		it := ann.share(y, "song", song, Description{})
		false1 := &Share{Item: it, Peer: bob.peer.ID(), Pipe: *bob.s.pipe}
		false1.Item.Name, false1.Item.Size = "another name", 7
		if err := bob.peer.Net().Discovery().Publish(t.Context(), false1, discovery.Lifetime{}); err != nil {
			t.Fatal(err)
		}
		doc, err := advertisements.Marshal(false1)
		if err != nil {
			t.Fatal(err)
		}
		doc = bytes.Replace(doc, []byte("another name"), []byte("../../evil"), 1)
		node, err := xmldoc.ParseNode(doc)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := hit(&advertisements.Unknown{Node: node}); ok {
			t.Error("an advertisement with a name that leaves its folder is taken")
		}
		time.Sleep(time.Second)
		f, err := eve.s.Fetch(t.Context(), it.ID, FetchConfig{Folder: y.dir + "/got", Name: "song"})
		if err != nil {
			t.Fatal(err)
		}
		y.same(f.Path, song)
		want(t, "size", f.Item.Size, int64(len(song)))
	})
}

// Nobody tells the index for another, nor what cannot be read; and what it is told
// has an end.
func TestIndexPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		hub := y.add("hub", Config{})
		cfg := Config{Index: Central, IndexPeer: hub.peer.ID()}
		y.serve(hub, cfg)
		ann, eve := y.add("ann", cfg), y.add("eve", cfg)
		for i := range 3 * maxBatch / 2 {
			ann.write(y, fmt.Sprint("all/", i), fmt.Append(nil, i))
		}
		items, err := ann.s.Share(t.Context(), filepath.Join(y.dir, "files of ann", "all"), Description{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		want(t, "indexed", hub.s.Stats().Indexed, len(items))
		if n := hub.s.Stats().Told; n > 10 { // not one for each file
			t.Errorf("%d messages for %d items", n, len(items))
		}
		hub.s.hearHolder(t.Context(), &resolver.RawQuery{Source: ann.peer.ID(), From: eve.peer.ID(), Body: "x"})
		want(t, "foreign", hub.s.Stats().DroppedForeign, 1)
		hub.s.hearHolder(t.Context(), &resolver.RawQuery{Source: eve.peer.ID(), From: eve.peer.ID(), Body: "x"})
		hub.s.hearQuestion(t.Context(), &resolver.RawQuery{Source: eve.peer.ID(), From: eve.peer.ID(), Body: "x"})
		want(t, "malformed", hub.s.Stats().DroppedMalformed, 2)
		y.serve(hub, cfg) // it has forgotten everything
		time.Sleep(renewEvery + time.Second)
		want(t, "indexed again", hub.s.Stats().Indexed, len(items))
		if err := ann.s.Unshare(t.Context(), items[1].ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		want(t, "indexed after Unshare", hub.s.Stats().Indexed, len(items)-1)
		eve.share(y, "x", []byte("x"), Description{})
		time.Sleep(time.Second)
		y.serve(eve, cfg)
		time.Sleep(time.Second)
		want(t, "indexed after a restart", hub.s.Stats().Indexed, len(items))
		y.kill(ann)
		time.Sleep(indexLife + sweepEvery)
		want(t, "indexed after its death", hub.s.Stats().Indexed, 1)
		eve.stop()
		eve.s.Wait()
		time.Sleep(time.Second)
		want(t, "indexed after a goodbye", hub.s.Stats().Indexed, 0)
		eve.stop = nil
	})
}

// A table has room for so much, in all and of each holder.
func TestTableIsBounded(t *testing.T) {
	tab := newTable(3, 2)
	put := func(n byte, seed string) bool {
		share := exampleShare()
		share.Item.ID[0] = n
		share.Item.Words = append(share.Item.Words, fmt.Sprint("w", n))
		return tab.put(Hit{share.Item, Holder{Peer: peerOf(seed)}})
	}
	for _, c := range []struct {
		n    byte
		peer string
		want bool
	}{{1, "a", true}, {2, "a", true}, {2, "a", true}, {3, "a", false}, {3, "b", true}, {4, "b", false}, {3, "b", true}} {
		want(t, fmt.Sprint(c), put(c.n, c.peer), c.want)
	}
	want(t, "found", len(tab.find(&Query{Words: []string{"w2"}}, 10)), 1)
	want(t, "found by pattern", len(tab.find(&Query{Words: []string{"w*"}}, 10)), 3)
	tab.forget(peerOf("a"))
	tab.take(ID{3, 2, 3}, peerOf("b"))
	want(t, "left", len(tab.hits)+len(tab.words)+len(tab.byID)+len(tab.holders), 0)
}

// Who asks too much is answered no more for a while, others are.
func TestAskersHaveABudget(t *testing.T) {
	var b budget
	now := time.Now()
	asked := func(p string, cost int) (n int) {
		for b.spend(peerOf(p), cost, now) {
			n++
		}
		return n
	}
	want(t, "questions at once", asked("eve", 1), searchBurst)
	want(t, "of another by pattern", asked("bob", (&Query{Words: []string{"*"}}).cost()), searchBurst/patternCost)
	want(t, "for a word", (&Query{Words: []string{"*", "a"}}).cost(), 1)
	now = now.Add(time.Second)
	want(t, "a second later", asked("eve", 1), searchRate)
	for i := range 3 * maxAskers {
		asked(fmt.Sprint(i), searchBurst)
	}
	if n := len(b.peers); n > maxAskers {
		t.Errorf("%d askers are remembered", n)
	}
	want(t, "of all", b.spend(peerOf("new"), searchBurst, now), false)
}
