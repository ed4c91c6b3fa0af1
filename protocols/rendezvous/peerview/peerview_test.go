package peerview_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"testing"
	"testing/synctest"
	"time"
)

// TestViewsGrowCompleteAndStay: rendezvous that are started together and know
// three seeds all see each other soon, and go on doing so.
func TestViewsGrowCompleteAndStay(t *testing.T) {
	sizes := []int{2, 3, 10, 50, 100}
	if raceDetector || testing.Short() {
		sizes = []int{2, 10, 20}
	}
	for _, size := range sizes {
		calm := time.Hour
		if size > 20 {
			calm = 10 * time.Minute
		}
		t.Run(fmt.Sprint(size), func(t *testing.T) { grow(t, size, calm) })
	}
}

// TestFiveHundred is the same for 500, which takes minutes of processor time.
func TestFiveHundred(t *testing.T) {
	if os.Getenv("JUXTA_SLOW") == "" {
		t.Skip("SKIPPED: takes minutes; set JUXTA_SLOW=1 to run it")
	}
	grow(t, 500, 10*time.Minute)
}

// grow starts so many rendezvous within a second, waits until all see each other
// and then for a while.
func grow(t *testing.T, size int, calm time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 3)
		began, cpu := time.Now(), processor()
		for range size {
			n.add(nil)
			time.Sleep(time.Second / time.Duration(size))
		}
		n.until(10*time.Minute, n.nodes)
		took := time.Since(began)
		sent := n.sent.Load() / int64(size)
		t.Logf("%d rendezvous: complete after %v, %d messages each, %.1f s of processor time",
			size, took.Round(10*time.Millisecond), sent, (processor() - cpu).Seconds())
		if most := int64(10*size + 50); sent > most {
			t.Errorf("more than %d messages each", most)
		}
		n.sent.Store(0)
		cpu = processor()
		time.Sleep(calm)
		if !complete(n.nodes) || n.left(n.nodes) > 0 {
			t.Errorf("the views did not stay: %d times one left, %+v", n.left(n.nodes), n.nodes[0].view.Stats())
		}
		hourly := float64(n.sent.Load()) / float64(size) / calm.Hours()
		t.Logf("%d rendezvous: then %.0f messages each in an hour, %.1f s of processor time in %v",
			size, hourly, (processor() - cpu).Seconds(), calm)
		// See "Traffic" in the package documentation: pairs, neighbours, kicks.
		if most := float64(size-1)*20 + 600; hourly > most {
			t.Errorf("more than %.0f messages each in an hour", most)
		}
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		t.Logf("%d rendezvous: %d KiB of heap, %+v", size, stats.HeapAlloc>>10, n.nodes[0].view.Stats())
	})
}

// processor returns the processor time that went into this process' own code.
func processor() time.Duration {
	runtime.GC() // which brings the figures up to date
	list := []metrics.Sample{{Name: "/cpu/classes/user:cpu-seconds"}, {Name: "/cpu/classes/gc/total:cpu-seconds"}}
	metrics.Read(list)
	return time.Duration((list[0].Value.Float64() + list[1].Value.Float64()) * float64(time.Second))
}
