package rendezvous

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// TestHeadersInRecordings: every propagation header that JXSE 2.5 peers sent is
// read and means the same when it is printed again.
func TestHeadersInRecordings(t *testing.T) {
	var files []string
	for _, pattern := range []string{"*.jxm", "*.dgram"} {
		f, err := filepath.Glob("../../core/message/testdata/services/" + pattern)
		if err != nil || len(f) == 0 {
			t.Fatal(pattern, err)
		}
		files = append(files, f...)
	}
	count := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m, err := message.Decode(b[bytes.Index(b, []byte("jxmg")):])
		if err != nil {
			t.Fatal(f, err)
		}
		for e := range m.All() {
			if !strings.HasPrefix(e.Name, elemPropagate) {
				continue
			}
			count++
			h, err := readHeader(e.Body)
			if err != nil {
				t.Errorf("%s: %v", f, err)
				continue
			}
			if h.TTL < 1 || h.TTL > MaxTTL || len(h.Path) == 0 || h.Service == "" {
				t.Errorf("%s: %+v", f, h)
			}
			doc, err := h.print()
			if err != nil {
				t.Errorf("%s: %v", f, err)
				continue
			}
			was, err1 := xmldoc.ParseNode(e.Body)
			is, err2 := xmldoc.ParseNode(doc)
			if err1 != nil || err2 != nil || !was.Equal(is) {
				t.Errorf("%s: printed as %s", f, doc)
			}
		}
	}
	if count != 25 {
		t.Errorf("%d headers found", count)
	}
}

// TestRoomForClients: so many in all, and so many from one place, which this
// machine itself is not.
func TestRoomForClients(t *testing.T) {
	s := &Service{cfg: Config{MaxClients: 3 * maxClientsPerHost}, clients: map[id.Peer]*client{}}
	add := func(n int, origin string, left time.Duration) {
		for range n {
			s.clients[id.NewPeer(id.NetGroup)] = &client{origin: origin, until: time.Now().Add(left)}
		}
	}
	room := func(want string) {
		t.Helper()
		if got := fmt.Sprint(s.room("192.0.2.1"), s.room("192.0.2.2"), s.room("127.0.0.1"), s.room("")); got != want {
			t.Errorf("room for one more: %s, want %s", got, want)
		}
	}
	add(maxClientsPerHost-1, "192.0.2.1", time.Hour)
	room("true true true true")
	add(1, "192.0.2.1", time.Hour)
	room("false true true true")
	add(2*maxClientsPerHost-1, "127.0.0.1", time.Hour)
	add(5, "192.0.2.2", 0) // their leases are over
	room("false true true true")
	add(1, "", time.Hour)
	room("false false false false")
}

// TestRateOfNeighbours: a burst, then so many a second, each for himself.
func TestRateOfNeighbours(t *testing.T) {
	var s sources
	now := time.Unix(1e9, 0)
	ann, bob := id.NewPeer(id.NetGroup), id.NewPeer(id.NetGroup)
	count := func(p id.Peer, n int) (ok int) {
		for range n {
			if s.allow(p, now, 1) {
				ok++
			}
		}
		return ok
	}
	if n := count(ann, 2*sourceBurst); n != sourceBurst {
		t.Errorf("%d at once", n)
	}
	if n := count(bob, 10); n != 10 {
		t.Errorf("%d of another", n)
	}
	carl, more := id.NewPeer(id.NetGroup), 0
	for range 3 * relatedTimes * sourceBurst {
		if s.allow(carl, now, relatedTimes) {
			more++
		}
	}
	if more != relatedTimes*sourceBurst {
		t.Errorf("%d at once of one that belongs here", more)
	}
	now = now.Add(time.Second)
	if n := count(ann, 2*sourceBurst); n != sourceRate {
		t.Errorf("%d after a second", n)
	}
	for range 2 * maxSources {
		s.allow(id.NewPeer(id.NetGroup), now, 1)
	}
	if len(s.buckets) > maxSources {
		t.Errorf("%d neighbours are remembered", len(s.buckets))
	}
}

// TestWalksInRecordings: the headers of recorded walks are read, and printed as
// JXSE 2.5 prints them.
func TestWalksInRecordings(t *testing.T) {
	r1, r2, r3 := "1111111111114111A11111111111111103", "2222222222224222A22222222222222203", "3333333333334333A33333333333333303"
	for file, want := range map[string]walk{
		"rvp-11-walk-query-origin.jxm": {TTL: 2, Dir: dirUp, Source: recordedID(t, r1)},
		"rvp-12-walk-hop1.jxm":         {TTL: 3, Dir: dirDown, Source: recordedID(t, r3)},
		"rvp-13-walk-hop2.jxm":         {TTL: 2, Dir: dirDown, Source: recordedID(t, r3)},
		"wire-02-walk.jxm":             {TTL: 2, Dir: dirDown, Source: recordedID(t, r2)},
	} {
		want.Service, want.Param = id.ClassRendezvous.String(), id.NetGroup.Unique()
		b, err := os.ReadFile("../../core/message/testdata/services/" + file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := message.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		w, err := walkOf(m)
		if err != nil || w == nil || *w != want {
			t.Errorf("%s: %+v %v, want %+v", file, w, err, want)
			continue
		}
		e, _ := m.Get(message.Platform, elemWalk)
		if doc, err := xmldoc.Marshal(w); err != nil || !bytes.Equal(bytes.TrimSpace(doc), bytes.TrimSpace(e.Body)) {
			t.Errorf("%s: printed\n%s\nwant\n%s", file, doc, e.Body)
		}
	}
}

func recordedID(t *testing.T, unique string) id.Peer {
	p, err := id.ParsePeer("urn:jxta:uuid-59616261646162614E50472050325033" + unique)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func FuzzWalk(f *testing.F) {
	for _, file := range []string{"rvp-11-walk-query-origin.jxm", "rvp-13-walk-hop2.jxm"} {
		b, err := os.ReadFile("../../core/message/testdata/services/" + file)
		if err != nil {
			f.Fatal(err)
		}
		m, err := message.Decode(b)
		if err != nil {
			f.Fatal(err)
		}
		e, _ := m.Get(message.Platform, elemWalk)
		for i := range e.Body {
			f.Add(e.Body[:i])
		}
		f.Add(e.Body)
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		w, err := walkOf(message.New(message.XML(message.Platform, elemWalk, doc)))
		if err != nil || w == nil {
			return
		}
		if _, err := xmldoc.Marshal(w); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzLoad: whatever a rendezvous says of its load is a share.
func FuzzLoad(f *testing.F) {
	for _, s := range []string{"87/1000", "0/0", "5/3", "-1/2", "1/", "/", "99999999999999999999/1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if l := loadIn(message.New(message.Text(elemOwn, elemLoad, s))); !(l >= 0 && l <= 1) {
			t.Fatal(l)
		}
	})
}
