package store

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
)

// TestExpired: what has expired is remembered for a while, until it is back; what
// was removed or never there is not.
func TestExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Memory(Config{})
		defer func() { _ = s.Close() }()
		sc := s.Scope(id.NetGroup)
		put := func(key string, life time.Duration) {
			t.Helper()
			if _, err := sc.Put(Record{Kind: advertisements.Peers, Key: key, Fields: []advertisements.Field{{Name: "Name", Value: "the " + key}}, Document: []byte("<a/>"), Lifetime: time.Now().Add(life)}); err != nil {
				t.Fatal(err)
			}
		}
		put("ann", time.Minute)
		put("bob", time.Hour)
		put("eve", time.Minute)
		end := time.Now().Add(time.Minute)
		sc.Remove(advertisements.Peers, "eve")
		time.Sleep(10 * time.Minute)
		for key, want := range map[string]bool{"ann": true, "bob": false, "eve": false, "nobody": false} {
			when, ok := sc.Expired(advertisements.Peers, key)
			if ok != want || ok && !when.Equal(end) {
				t.Errorf("%s: %v, %v", key, when, ok)
			}
			if _, ok := sc.ExpiredWith(advertisements.Peers, "Name", "the "+key); ok != want {
				t.Errorf("%s by name: %v", key, ok)
			}
		}
		put("ann", time.Minute)
		if _, ok := sc.ExpiredWith(advertisements.Peers, "Name", "the ann"); ok {
			t.Error("ann is back and still counts as expired by name")
		}
		if _, ok := sc.Expired(advertisements.Peers, "ann"); ok {
			t.Error("ann is back and still counts as expired")
		}
		for i := range 10 * maxGraves {
			put(fmt.Sprint(i), time.Second+time.Duration(i)*time.Millisecond)
		}
		time.Sleep(time.Minute)
		if _, ok := sc.Expired(advertisements.Peers, fmt.Sprint(10*maxGraves-1)); !ok || len(sc.graves) > maxGraves {
			t.Errorf("%d are remembered, the last among them: %v", len(sc.graves), ok)
		}
	})
}
