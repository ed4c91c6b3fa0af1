package peerview_test

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestViewsGrowCompleteAndStay: rendezvous that are started together and know
// three seeds all see each other soon, and go on doing so.
func TestViewsGrowCompleteAndStay(t *testing.T) {
	sizes := []int{2, 3, 10, 50, 100}
	if testing.Short() {
		sizes = []int{2, 10, 50}
	}
	for _, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) { grow(t, size, time.Hour) })
	}
}

// grow starts so many rendezvous within a second.
func grow(t testing.TB, size int, calm time.Duration) {
	test := func(t testing.TB) {
		n := newNetwork(t, 3)
		began, cpu := time.Now(), processor()
		for range size {
			n.add(nil)
			time.Sleep(time.Second / time.Duration(size))
		}
		n.until(10*time.Minute, n.nodes)
		took := time.Since(began)
		t.Logf("%d rendezvous: complete after %v, %d messages each, %.1f s of processor time",
			size, took.Round(10*time.Millisecond), n.sent.Load()/int64(size), (processor() - cpu).Seconds())
		sent := n.sent.Load()
		cpu = processor()
		time.Sleep(calm)
		if !complete(n.nodes) || n.left(n.nodes) > 0 {
			t.Errorf("the views did not stay: %d times one left, %+v", n.left(n.nodes), n.nodes[0].view.Stats())
		}
		perHour := float64(n.sent.Load()-sent) / float64(size) / calm.Hours()
		t.Logf("%d rendezvous: then %.0f messages each in an hour, %.1f s of processor time in %v", size, perHour, (processor() - cpu).Seconds(), calm)
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		t.Logf("%d rendezvous: %d KiB of heap, %+v", size, stats.HeapAlloc>>10, n.nodes[0].view.Stats())
		for _, r := range n.nodes {
			r.stop()
		}
	}
	if t, ok := t.(*testing.T); ok {
		synctest.Test(t, func(t *testing.T) { test(t) })
	}
}

// processor returns the processor time that this process has used.
func processor() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
