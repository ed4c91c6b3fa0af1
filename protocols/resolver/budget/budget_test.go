package budget

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
)

func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := Budget{Rate: 10, Burst: 100}
		ann, bob := id.NewPeer(id.NetGroup), id.NewPeer(id.NetGroup)
		if !b.Spend(ann, 250) || b.Spend(ann, 1) {
			t.Error("the last that is begun is allowed, then nothing")
		}
		if !b.Spend(bob, 1) {
			t.Error("another peer pays too")
		}
		time.Sleep(14 * time.Second)
		if b.Spend(ann, 1) {
			t.Error("still in debt")
		}
		time.Sleep(2 * time.Second)
		if !b.Spend(ann, 1) {
			t.Error("refilled but refused")
		}
		// Too many peers: those that owe nothing make room, then all share one.
		for range MaxPeers {
			b.Spend(id.NewPeer(id.NetGroup), 200)
		}
		if len(b.buckets) > MaxPeers+1 {
			t.Errorf("%d buckets", len(b.buckets))
		}
		if b.Spend(id.NewPeer(id.NetGroup), 1) && b.Spend(id.NewPeer(id.NetGroup), 200) && b.Spend(id.NewPeer(id.NetGroup), 200) {
			t.Error("strangers beyond the bound are not bounded")
		}
		time.Sleep(time.Minute)
		if !b.Spend(id.NewPeer(id.NetGroup), 1) || len(b.buckets) > MaxPeers {
			t.Errorf("no room was made: %d buckets", len(b.buckets))
		}
	})
}
